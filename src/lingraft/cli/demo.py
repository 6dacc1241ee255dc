"""lingraft demo"""

from pathlib import Path
from typing import Annotated

import typer

from lingraft.cli.console import Device, Threads, print_table, watching


def demo(
    to: Annotated[str, typer.Option(help="nl, fi, tr, ru, ko, eu, el or id.")] = "el",
    out: Annotated[Path, typer.Option(help="Folder of the adapted model.")] = Path("lingraft-demo"),
    weigh: Annotated[
        bool, typer.Option("--weigh", help="Weigh the graft to its best: most of an hour more.")
    ] = False,
    no_weigh: Annotated[
        bool, typer.Option("--no-weigh", help="Do not weigh the graft: two minutes less.")
    ] = False,
    threads: Threads = 0,
    device: Device = "auto",
) -> None:
    """Graft a language onto SmolLM2-135M in minutes, with numbers and a report.

    Example: lingraft demo --to nl --out smollm2-nl
    """
    from lingraft.pipelines.demo import demo as run_demo
    from lingraft.pipelines.records import summary
    from lingraft.report import render_table
    from lingraft.runtime import Runtime

    with watching() as progress:
        done = run_demo(
            to,
            out=out,
            weigh="long" if weigh else "no" if no_weigh else "short",
            runtime=Runtime(threads, device),
            progress=progress,
        )
    print_table(render_table(done.record))
    print(summary(done.record))
    if done.record["weight"]:
        print(f"weighed {done.record['weight']['described']}")
    print(f"model   {done.model_path}")
    print(f"report  {done.report_path}")
