"""Tokenizers on files: trained, extended, pruned, counted."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lingraft.corpus import read_documents
from lingraft.corpus.records import Document
from lingraft.files import write_json
from lingraft.languages import Language
from lingraft.model.loading import locate
from lingraft.pipelines.adapt import check_out
from lingraft.tokenizer import (
    Tokenizer,
    extend_bpe,
    prune,
    tokenizer_statistics,
    train_bpe,
    vocabulary_rule,
)


def train_tokenizer(
    text: Sequence[str], *, lang: str, vocab_size: int | None, like: str | None, out: Path
) -> dict[str, Any]:
    """Trains a tokenizer on files, writes it, and returns its statistics on that text."""
    check_out(out)
    documents = _documents(text, lang)
    model = None if like is None else _load(like)
    tokenizer = train_bpe(documents, vocab_size=vocab_size, like=model)
    tokenizer.save(out)
    statistics = tokenizer_statistics(tokenizer, [document.text for document in documents])
    return {
        "path": str(out),
        "size": len(tokenizer),
        "rule": vocabulary_rule(vocab_size),
        "tokens_per_byte": statistics.tokens_per_byte,
        "tokens_per_word": statistics.tokens_per_word,
    }


def extend_tokenizer(
    base: str,
    text: Sequence[str],
    *,
    lang: str,
    new_tokens: int,
    keep: Sequence[str],
    keep_lang: str,
    max_changed_share: float,
    out: Path,
) -> dict[str, Any]:
    """Adds tokens for files of text to a tokenizer, writes it, and returns what that changed.

    Args:
        base: A tokenizer's or model's folder, a packaged model or a hub name.
        text: Files of the new language.
        lang: The new language.
        new_tokens: How many tokens to add at most.
        keep: Files of the old language, whose tokens are to stay.
        keep_lang: The old language.
        max_changed_share: Share of the old text's tokens that may change.
        out: Folder of the tokenizer.
    """
    check_out(out)
    source, documents = _load(base), _documents(text, lang)
    done = extend_bpe(
        source,
        documents,
        new_tokens=new_tokens,
        keep=_documents(keep, keep_lang),
        max_changed_share=max_changed_share,
    )
    done.tokenizer.save(out)
    texts = [document.text for document in documents]
    before, after = (tokenizer_statistics(t, texts) for t in (source, done.tokenizer))
    return {
        "path": str(out),
        "size": len(done.tokenizer),
        "num_new": done.num_new,
        "num_characters": done.num_characters,
        "num_refused": done.num_refused,
        "num_unreachable": done.num_unreachable,
        "num_old_tokens": done.num_old_tokens,
        "num_changed_tokens": done.num_changed_tokens,
        "changed_share": done.changed_share,
        "tokens_per_byte_before": before.tokens_per_byte,
        "tokens_per_byte": after.tokens_per_byte,
    }


def prune_tokenizer(
    base: str, text: Sequence[str], *, lang: str, vocab_size: int, out: Path
) -> dict[str, Any]:
    """Removes the tokens that files of text need least; writes the tokenizer and `id_map.json`.

    Args:
        base: A tokenizer's or model's folder, a packaged model or a hub name.
        text: Files that say which tokens are rare.
        lang: Their language.
        vocab_size: Number of ids to reach.
        out: Folder of the tokenizer; `id_map.json` maps old ids to new ones.
    """
    check_out(out)
    source = _load(base)
    done = prune(source, _documents(text, lang), vocab_size=vocab_size)
    done.tokenizer.save(out)
    write_json(out / "id_map.json", {str(old): new for old, new in done.id_map.items()})
    return {
        "path": str(out),
        "size": len(done.tokenizer),
        "num_removed": len(source) - len(done.tokenizer),
        "num_tokens_before": done.num_tokens_before,
        "num_tokens_after": done.num_tokens_after,
    }


def count_tokens(base: str, text: Sequence[str], *, lang: str) -> dict[str, Any]:
    """Returns how a tokenizer spends tokens on files of text: sums and their ratios."""
    tokenizer = _load(base)
    statistics = tokenizer_statistics(
        tokenizer, [document.text for document in _documents(text, lang)]
    )
    return {
        "path": base,
        "size": len(tokenizer),
        "num_special": len(tokenizer.vocabulary.special),
        "num_tokens": statistics.num_tokens,
        "num_bytes": statistics.num_bytes,
        "num_words": statistics.num_words,
        "tokens_per_byte": statistics.tokens_per_byte,
        "bytes_per_token": statistics.bytes_per_token,
        "tokens_per_word": statistics.tokens_per_word,
    }


def _documents(text: Sequence[str], lang: str) -> Sequence[Document]:
    return read_documents(list(text), lang=Language.parse(lang)).records if text else ()


def _load(name: str) -> Tokenizer:
    return Tokenizer.load(locate(name))
