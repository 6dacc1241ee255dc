"""A tokenizer from files of text."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lingraft.corpus import read_documents
from lingraft.languages import Language
from lingraft.pipelines.adapt import check_out
from lingraft.tokenizer import Tokenizer, tokenizer_statistics, train_bpe, vocabulary_rule


def train_tokenizer(
    text: Sequence[str], *, lang: str, vocab_size: int | None, like: str | None, out: Path
) -> dict[str, Any]:
    """Trains a tokenizer on files, writes it, and returns its statistics on that text."""
    from lingraft.model.loading import locate

    check_out(out)
    documents = read_documents(list(text), lang=Language.parse(lang))
    model = None if like is None else Tokenizer.load(locate(like))
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
