"""lingraft tokenizer"""

from pathlib import Path
from typing import Annotated

import typer

from lingraft.cli.console import print_json

app = typer.Typer(help="Tokenizers.", no_args_is_help=True)

Base = Annotated[str, typer.Argument(help="Folder of a tokenizer or model, or a model's name.")]
Text = Annotated[list[str], typer.Option(help="Text: .txt or .jsonl (.gz .xz .zst).")]
Lang = Annotated[str, typer.Option(help="Language, where a .jsonl has several.")]
Out = Annotated[Path, typer.Option(help="Folder of the tokenizer.")]


@app.callback()
def tokenizer() -> None:
    """Make and look at tokenizers."""


@app.command("train")
def train(
    text: Text,
    out: Out,
    vocab_size: Annotated[int | None, typer.Option(help="Ids; else chosen by a rule.")] = None,
    lang: Lang = "en",
    like: Annotated[
        str | None, typer.Option(help="Model whose special tokens and template to take over.")
    ] = None,
) -> None:
    """Train a byte-level BPE tokenizer.

    Example: lingraft tokenizer train --text el.txt --vocab-size 8000 --out tok-el
    """
    from lingraft.pipelines.tokenizers import train_tokenizer

    print_json(train_tokenizer(text, lang=lang, vocab_size=vocab_size, like=like, out=out))


@app.command("extend")
def extend(
    base: Base,
    text: Text,
    new_tokens: Annotated[int, typer.Option(help="Tokens to add at most.")],
    out: Out,
    keep: Annotated[
        list[str] | None, typer.Option(help="Text of the old language, to be cut as before.")
    ] = None,
    max_changed_share: Annotated[
        float, typer.Option(help="Share of the old text's tokens that may change.")
    ] = 0.0,
    lang: Lang = "en",
    keep_lang: Annotated[str, typer.Option(help="Language of --keep, likewise.")] = "en",
) -> None:
    """Add tokens for a new language, with merges; old ids stay.

    `lingraft graft MODEL --tokenizer OUT --to LANG` gives a model the new vocabulary.

    Example: lingraft tokenizer extend smollm2-135m --text el.txt --lang el --new-tokens 2000
    --keep en.txt --out tok-en-el
    """
    from lingraft.pipelines.tokenizers import extend_tokenizer

    record = extend_tokenizer(
        base,
        text,
        lang=lang,
        new_tokens=new_tokens,
        keep=keep or (),
        keep_lang=keep_lang,
        max_changed_share=max_changed_share,
        out=out,
    )
    print_json(record)


@app.command("prune")
def prune(
    base: Base,
    text: Text,
    vocab_size: Annotated[int, typer.Option(help="Ids to reach.")],
    out: Annotated[Path, typer.Option(help="Folder of the tokenizer and id_map.json.")],
    lang: Lang = "en",
) -> None:
    """Remove the tokens that a text needs least.

    `lingraft graft MODEL --tokenizer OUT --to LANG` gives a model the new vocabulary.

    Example: lingraft tokenizer prune smollm2-135m --text en.txt --vocab-size 20000 --out tok-20k
    """
    from lingraft.pipelines.tokenizers import prune_tokenizer

    print_json(prune_tokenizer(base, text, lang=lang, vocab_size=vocab_size, out=out))


@app.command("stats")
def stats(base: Base, text: Text, lang: Lang = "en") -> None:
    """Print tokens per byte and per word of a text, as JSON.

    Example: lingraft tokenizer stats smollm2-135m --text el.txt --lang el
    """
    from lingraft.pipelines.tokenizers import count_tokens

    print_json(count_tokens(base, text, lang=lang))
