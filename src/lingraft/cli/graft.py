"""lingraft graft"""

from pathlib import Path
from typing import Annotated

import typer

from lingraft.cli.console import Threads, print_json, watching
from lingraft.errors import InputError


def graft(
    model: Annotated[
        str | None, typer.Argument(help="Model folder, smollm2-135m, or a hub name.")
    ] = None,
    tokenizer: Annotated[
        Path | None,
        typer.Option(help="Folder of the new tokenizer, also an extended or pruned one."),
    ] = None,
    to: Annotated[str | None, typer.Option(help="The new language.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the grafted model.")] = None,
    pairs: Annotated[list[str] | None, typer.Option(help="Translations.")] = None,
    dictionary: Annotated[Path | None, typer.Option(help="TSV: word, translation.")] = None,
    method: Annotated[
        str | None, typer.Option(help="trans_tokenize, pieces, wechsel, focus, omp, dictionary, …")
    ] = None,
    source_lang: Annotated[str, typer.Option(help="The language that the model speaks.")] = "en",
    pad_to: Annotated[int, typer.Option(help="Rows become a multiple of this.")] = 1,
    explain: Annotated[
        list[str] | None, typer.Option(help="Print where this token's row came from, as JSON.")
    ] = None,
    check: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Only check this folder, whoever made it."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of random rows.")] = 0,
    threads: Threads = 0,
) -> None:
    """Swap a model's vocabulary, without training; or check what somebody swapped.

    A tokenizer from `lingraft tokenizer extend` or `prune` keeps the model's rows of old tokens to
    the bit: only those of new tokens are made.

    Example: lingraft graft smollm2-135m --tokenizer tok-el --to el --pairs en-el.tsv --out grafted

    Example: lingraft graft --check grafted
    """
    if check is not None:
        _check(check)
        return
    if model is None or tokenizer is None or to is None or out is None:
        raise InputError(
            expected="MODEL, --tokenizer, --to and --out, or --check DIR alone",
            got="only some of them",
            where="graft",
        )
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
            pad_to=pad_to,
            explain=explain or (),
            seed=seed,
            runtime=Runtime(threads),
            progress=progress,
        )
    for row in done.explained:
        print_json(row)
    if not done.explained:
        print_json({"model_path": str(done.model_path), **done.coverage})


def _check(folder: Path) -> None:
    """Prints a JSON record of a sound folder, else one line for each problem and ends with 1."""
    from lingraft.pipelines.checking import check_folder

    checked = check_folder(folder)
    if checked.sound:
        print_json(checked.record)
        return
    for line in checked.lines:
        print(line)
    raise typer.Exit(1)
