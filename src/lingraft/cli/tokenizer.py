"""lingraft tokenizer"""

from pathlib import Path
from typing import Annotated

import typer

from lingraft.cli.console import print_json

app = typer.Typer(help="Tokenizers.", no_args_is_help=True)


@app.callback()
def tokenizer() -> None:
    """Make and look at tokenizers."""


@app.command("train")
def train(
    text: Annotated[list[str], typer.Option(help="Text: .txt or .jsonl (.gz .xz .zst).")],
    out: Annotated[Path, typer.Option(help="Folder of the tokenizer.")],
    vocab_size: Annotated[int | None, typer.Option(help="Ids; else chosen by a rule.")] = None,
    lang: Annotated[str, typer.Option(help="Language, where a .jsonl has several.")] = "en",
    like: Annotated[
        str | None, typer.Option(help="Model whose special tokens and template to take over.")
    ] = None,
) -> None:
    """Train a byte-level BPE tokenizer.

    Example: lingraft tokenizer train --text el.txt --vocab-size 8000 --out tok-el
    """
    from lingraft.pipelines.tokenizers import train_tokenizer

    print_json(train_tokenizer(text, lang=lang, vocab_size=vocab_size, like=like, out=out))
