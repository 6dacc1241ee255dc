"""lingraft measure"""

from pathlib import Path
from typing import Annotated

import typer

from lingraft.cli.console import Device, Threads, print_json, print_table


def measure(
    models: Annotated[list[str], typer.Argument(metavar="MODEL...", help="Folders or names.")],
    text: Annotated[Path, typer.Option(help="Held-out text: .txt or .jsonl.")],
    lang: Annotated[str, typer.Option(help="Language of the text.")],
    on: Annotated[str, typer.Option(help="What to measure: bits-per-byte.")] = "bits-per-byte",
    base: Annotated[str | None, typer.Option(help="A model to compare the others with.")] = None,
    json: Annotated[bool, typer.Option(help="One JSON record a score on stdout.")] = False,
    threads: Threads = 0,
    device: Device = "auto",
) -> None:
    """Measure models on a text.

    Example: lingraft measure ./model-el --on bits-per-byte --text el.txt --lang el --json
    """
    from lingraft.pipelines.measuring import measure_models, score_table
    from lingraft.runtime import Runtime

    scores = measure_models(
        models, on=on.split(","), text=text, lang=lang, base=base, runtime=Runtime(threads, device)
    )
    if json:
        for record in scores:
            print_json(record)
    else:
        print_table(score_table(scores))
