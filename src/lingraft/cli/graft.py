"""lingraft graft"""

from pathlib import Path
from typing import Annotated

import typer

from lingraft.cli.console import Threads, print_json, watching


def graft(
    model: Annotated[str, typer.Argument(help="Model folder, smollm2-135m, or a hub name.")],
    tokenizer: Annotated[Path, typer.Option(help="Folder of the new tokenizer.")],
    to: Annotated[str, typer.Option(help="The new language.")],
    out: Annotated[Path, typer.Option(help="Folder of the grafted model.")],
    pairs: Annotated[list[str] | None, typer.Option(help="Translations.")] = None,
    dictionary: Annotated[Path | None, typer.Option(help="TSV: word, translation.")] = None,
    method: Annotated[
        str | None, typer.Option(help="trans_tokenize, pieces, mean or random.")
    ] = None,
    source_lang: Annotated[str, typer.Option(help="The language that the model speaks.")] = "en",
    explain: Annotated[
        list[str] | None, typer.Option(help="Print where this token's row came from, as JSON.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of random rows.")] = 0,
    threads: Threads = 0,
) -> None:
    """Swap a model's vocabulary, without training.

    Example: lingraft graft smollm2-135m --tokenizer tok-el --to el --pairs en-el.tsv --out grafted
    """
    from lingraft.pipelines.graft import graft as run_graft
    from lingraft.runtime import Runtime

    with watching() as progress:
        done = run_graft(
            model,
            tokenizer=tokenizer,
            to=to,
            out=out,
            pairs=pairs,
            dictionary=dictionary,
            method=method,
            source_lang=source_lang,
            explain=explain or (),
            seed=seed,
            runtime=Runtime(threads),
            progress=progress,
        )
    for row in done.explained:
        print_json(row)
    if not done.explained:
        print_json({"model_path": str(done.model_path), **done.coverage})
