"""How a tokenizer spends tokens on a text."""

from collections.abc import Iterable
from dataclasses import dataclass

from lingraft.tokenizer.tokenizer import Tokenizer
from lingraft.tokenizer.words import word_spans


@dataclass(frozen=True)
class TokenizerStatistics:
    """Counts of one text under one tokenizer; ratios are taken last."""

    num_tokens: int
    num_bytes: int
    num_words: int

    @property
    def tokens_per_byte(self) -> float | None:
        """Tokens for each UTF-8 byte; None for an empty text."""
        return self.num_tokens / self.num_bytes if self.num_bytes else None

    @property
    def bytes_per_token(self) -> float | None:
        """UTF-8 bytes for each token; None where there is no token."""
        return self.num_bytes / self.num_tokens if self.num_tokens else None

    @property
    def tokens_per_word(self) -> float | None:
        """Tokens for each word of `words.word_spans`; None where there is no word."""
        return self.num_tokens / self.num_words if self.num_words else None


def tokenizer_statistics(tokenizer: Tokenizer, texts: Iterable[str]) -> TokenizerStatistics:
    """Counts the tokens, bytes and words of texts."""
    texts = list(texts)
    return TokenizerStatistics(
        num_tokens=sum(len(ids) for ids in tokenizer.encode_batch(texts)),
        num_bytes=sum(len(text.encode("utf-8")) for text in texts),
        num_words=sum(len(word_spans(text)) for text in texts),
    )
