"""lingraft adapt"""

from pathlib import Path
from typing import Annotated

import typer

from lingraft.cli.console import Device, Threads, print_table, watching


def adapt(
    model: Annotated[str, typer.Argument(help="Model folder, smollm2-135m, or a hub name.")],
    to: Annotated[str, typer.Option(help="The new language: el, ell_Grek or Greek.")],
    text: Annotated[list[str], typer.Option(help="Target text: .txt or .jsonl (.gz .xz .zst).")],
    out: Annotated[Path, typer.Option(help="Folder of the adapted model.")],
    pairs: Annotated[
        list[str] | None, typer.Option(help="Translations: .tsv .jsonl .tmx or FILE1,FILE2.")
    ] = None,
    dictionary: Annotated[Path | None, typer.Option(help="TSV: word, translation.")] = None,
    source_lang: Annotated[str, typer.Option(help="The language that the model speaks.")] = "en",
    budget: Annotated[
        str | None, typer.Option(help="Text to train on: 2MB, 10min, 200steps; else all, once.")
    ] = None,
    vocab_size: Annotated[int | None, typer.Option(help="Ids; else chosen by a rule.")] = None,
    method: Annotated[str | None, typer.Option(help="trans_tokenize or pieces.")] = None,
    controls: Annotated[bool, typer.Option(help="Train the source model and random rows too.")] = (
        True
    ),
    test: Annotated[Path | None, typer.Option(help="Held-out rows; else drawn.")] = None,
    valid: Annotated[Path | None, typer.Option(help="Rows to choose settings on.")] = None,
    general_text: Annotated[
        Path | None, typer.Option(help="Source-language text to measure forgetting on.")
    ] = None,
    tokenizer: Annotated[Path | None, typer.Option(help="A tokenizer to use instead.")] = None,
    normalize: Annotated[
        list[str] | None, typer.Option(help="nfc, zwnj, homoglyphs or an apostrophe; off.")
    ] = None,
    licence: Annotated[
        list[str] | None, typer.Option(help="FILE=SPDX, for the model card.")
    ] = None,
    weigh: Annotated[
        bool, typer.Option("--weigh", help="Say what the graft was worth in bytes of text; long.")
    ] = False,
    weigh_sizes: Annotated[
        str | None, typer.Option(help="Sizes from random weights: 20kB,60kB,200kB.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of splits, orders and random rows.")] = 0,
    threads: Threads = 0,
    device: Device = "auto",
) -> None:
    """Make a model work in a language it does not speak, and measure what carried over.

    Example: lingraft adapt ./model --to el --text el.txt --pairs en-el.tsv --out ./model-el
    """
    from lingraft.pipelines.adapt import adapt as run_adapt
    from lingraft.pipelines.records import summary
    from lingraft.pipelines.weighing import WeighSettings
    from lingraft.report import render_table
    from lingraft.runtime import Runtime
    from lingraft.units import parse_budget, parse_bytes

    with watching() as progress:
        done = run_adapt(
            model,
            to=to,
            text=text,
            pairs=pairs,
            out=out,
            dictionary=dictionary,
            source_lang=source_lang,
            budget=parse_budget(budget) if budget else None,
            vocab_size=vocab_size,
            method=method,
            controls=controls,
            test=test,
            valid=valid,
            general_text=general_text,
            tokenizer=tokenizer,
            normalization=normalize or (),
            licences=licence or (),
            weigh=WeighSettings(tuple(map(parse_bytes, weigh_sizes.split(","))), seed=seed)
            if weigh_sizes
            else weigh,
            seed=seed,
            runtime=Runtime(threads, device),
            progress=progress,
        )
        for warning in done.record["warnings"]:
            progress.note(f"warning: {warning}")
    print_table(render_table(done.record))
    print(summary(done.record))
    print(f"vocabulary  {done.record['vocabulary']['rule']}")
    if done.record["weight"]:
        print(f"weighed     {done.record['weight']['described']}")
    print(f"model       {done.model_path}")
    print(f"report      {done.report_path}")
