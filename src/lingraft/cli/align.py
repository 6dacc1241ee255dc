"""lingraft align"""

from pathlib import Path
from typing import Annotated

import typer

from lingraft.cli.console import Threads


def align(
    pairs: Annotated[str, typer.Argument(help=".tsv .jsonl .tmx (.gz .xz .zst) or FILE1,FILE2.")],
    source_lang: Annotated[str, typer.Option(help="Language of the first side.")],
    target_lang: Annotated[str, typer.Option(help="Language of the second side.")],
    out: Annotated[Path, typer.Option(help="Pharaoh file: one line a pair, i-j.")],
    tokenized: Annotated[bool, typer.Option(help="Words are cut at spaces already.")] = False,
    method: Annotated[str, typer.Option(help="hmm or ibm1.")] = "hmm",
    seed: Annotated[int, typer.Option(help="Recorded; these methods draw nothing.")] = 0,
    threads: Threads = 0,
) -> None:
    """Link the words of parallel text.

    Example: lingraft align en-el.tsv --source-lang en --target-lang el --out en-el.links
    """
    from lingraft.alignment import write_pharaoh
    from lingraft.pipelines.alignments import align_file
    from lingraft.runtime import Runtime

    links, rejected = align_file(
        pairs,
        source_lang=source_lang,
        target_lang=target_lang,
        method=method,
        tokenized=tokenized,
        seed=seed,
        runtime=Runtime(threads),
    )
    write_pharaoh(links, out)
    for reason, num in rejected.items():
        typer.echo(f"{num} pairs without links: {reason}", err=True)
    typer.echo(f"{links.num_pairs} pairs, {len(links)} links in {out}", err=True)
