"""lingraft measure"""

from pathlib import Path
from typing import Annotated

import typer

from lingraft.cli.console import Device, Threads, print_json, print_note, print_table


def measure(
    models: Annotated[list[str], typer.Argument(metavar="MODEL...", help="Folders or names.")],
    text: Annotated[
        Path | None, typer.Option(help="Held-out text for bits-per-byte: .txt or .jsonl.")
    ] = None,
    lang: Annotated[
        str | None, typer.Option(help="Language of the text, or of the facts, with commas.")
    ] = None,
    on: Annotated[
        str, typer.Option(help="What to measure, with commas: bits-per-byte, unification, recall.")
    ] = "bits-per-byte",
    facts: Annotated[
        Path | None,
        typer.Option(
            help="Facts for unification and recall: .jsonl; or parallel text in two --lang."
        ),
    ] = None,
    template: Annotated[
        list[str] | None,
        typer.Option(
            help="LANG=PROMPT with {x}, once for each language: --facts is a dictionary (.tsv)."
        ),
    ] = None,
    base: Annotated[str | None, typer.Option(help="A model to compare the others with.")] = None,
    json: Annotated[bool, typer.Option(help="One JSON record a score on stdout.")] = False,
    threads: Threads = 0,
    device: Device = "auto",
) -> None:
    """Measure models on a text, or on facts that several languages ask for.

    Example: lingraft measure ./model-el --on bits-per-byte --text el.txt --lang el --json
    """
    from lingraft.pipelines.measuring import fact_table, measure_models, score_table
    from lingraft.runtime import Runtime

    scores = measure_models(
        models,
        on=on.split(","),
        text=text,
        lang=lang,
        facts=facts,
        templates=template or (),
        base=base,
        runtime=Runtime(threads, device),
        note=print_note,
    )
    if json:
        for record in scores:
            print_json(record)
    else:
        for rows in (score_table(scores), fact_table(scores)):
            if len(rows) > 1:
                print_table(rows)
