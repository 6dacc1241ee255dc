"""lingraft train"""

from pathlib import Path
from typing import Annotated

import typer

from lingraft.cli.console import Device, Threads, print_json, watching


def train(
    model: Annotated[str, typer.Argument(help="Model folder, smollm2-135m, or a hub name.")],
    text: Annotated[list[str], typer.Option(help="Text: .txt or .jsonl (.gz .xz .zst).")],
    to: Annotated[str, typer.Option(help="Language of the text.")],
    budget: Annotated[str, typer.Option(help="2MB, 10min or 200steps.")],
    out: Annotated[Path, typer.Option(help="Folder of the trained model.")],
    seed: Annotated[int, typer.Option(help="Of the order of the text.")] = 0,
    threads: Threads = 0,
    device: Device = "auto",
) -> None:
    """Go on training a model on text, with its vocabulary as it is.

    Example: lingraft train ./grafted --text el.txt --to el --budget 2MB --out ./trained
    """
    from lingraft.pipelines.training import train as run_train
    from lingraft.runtime import Runtime
    from lingraft.units import parse_budget

    with watching() as progress:
        done = run_train(
            model,
            text=text,
            to=to,
            budget=parse_budget(budget),
            out=out,
            seed=seed,
            runtime=Runtime(threads, device),
            progress=progress,
        )
    print_json(done)
