"""lingraft align"""

from pathlib import Path
from typing import Annotated

import typer

from lingraft.cli.console import Threads


def align(
    pairs: Annotated[str, typer.Argument(help=".tsv .jsonl .tmx (.gz .xz .zst) or FILE1,FILE2.")],
    source_lang: Annotated[str, typer.Option(help="Language of the first side.")],
    target_lang: Annotated[str, typer.Option(help="Language of the second side.")],
    out: Annotated[
        Path, typer.Option(help="One line a pair: Pharaoh i-j, or .tsv or .jsonl with the texts.")
    ],
    tokenized: Annotated[bool, typer.Option(help="Words are cut at spaces already.")] = False,
    method: Annotated[str, typer.Option(help="hmm, diagonal or ibm1.")] = "hmm",
    symmetrization: Annotated[
        str, typer.Option(help="posterior, grow-diag-final-and, intersection or union.")
    ] = "posterior",
    dictionary: Annotated[
        Path | None, typer.Option(help="TSV: word, translation; a hint to the aligner.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="An aligner that --save-model wrote; nothing is trained.")
    ] = None,
    save_model: Annotated[
        Path | None, typer.Option(help="Write what was learnt, for text to come.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Recorded; these methods draw nothing.")] = 0,
    threads: Threads = 0,
) -> None:
    """Link the words of parallel text.

    Example: lingraft align en-el.tsv --source-lang en --target-lang el --out en-el.links
    """
    from lingraft.pipelines.alignments import align_file
    from lingraft.runtime import Runtime

    done = align_file(
        pairs,
        out=out,
        source_lang=source_lang,
        target_lang=target_lang,
        method=method,
        symmetrization=symmetrization,
        tokenized=tokenized,
        dictionary=dictionary,
        model=model,
        save_model=save_model,
        seed=seed,
        runtime=Runtime(threads),
    )
    for reason, num in done.rejected.items():
        typer.echo(f"{num} pairs without links: {reason}", err=True)
    links = done.links
    typer.echo(f"{links.num_pairs} pairs, {len(links)} links in {out}", err=True)
