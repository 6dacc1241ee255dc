"""Spaces in which words or tokens that are used alike are near: what WECHSEL, FOCUS and OMP need.

A row of zeros means that its word or token has no vector.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lingraft.embeddings.cooccurrence import DIMENSIONS, cooccurrence_vectors
from lingraft.errors import InputError
from lingraft.tokenizer.tokenizer import Tokenizer
from lingraft.tokenizer.words import folded, word_spans

MIN_WORD_COUNT = 3
MIN_TOKEN_COUNT = 10  # as FOCUS has it (section 3)
_TEXTS_AT_ONCE = 1024


@dataclass(frozen=True)
class WordVectors:
    """Vectors of the words of one language, trained here or anywhere.

    Attributes:
        words: Spellings as texts have them, each once.
        counts: int64 (num_words,), how often each occurs; ones where nobody knows.
        vectors: float32 (num_words, K).

    Raises:
        InputError: The three do not have one entry for each word.
    """

    words: tuple[str, ...]
    counts: NDArray[np.int64]
    vectors: NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.vectors.ndim != 2 or not len(self.words) == len(self.counts) == len(self.vectors):
            raise InputError(
                expected="one count and one vector for each word",
                got=f"{len(self.words)} words, {len(self.counts)} counts and vectors of shape "
                f"{self.vectors.shape}",
                where="word vectors",
            )

    def __len__(self) -> int:
        return len(self.words)

    @property
    def dimensions(self) -> int:
        """K."""
        return int(self.vectors.shape[1])


def train_word_vectors(
    texts: Iterable[str], *, dimensions: int = DIMENSIONS, min_count: int = MIN_WORD_COUNT
) -> WordVectors:
    """Trains vectors of a language's words on its texts, by `cooccurrence_vectors`.

    Spellings that differ in case alone share their vector.

    Args:
        texts: Any texts of the language.
        dimensions: K.
        min_count: Occurrences under which a word, without case, has no vector.

    Returns:
        The spellings of all words that have a vector, the most frequent first.
    """
    counts: Counter[str] = Counter()
    numbers: dict[str, int] = {}
    type_of: dict[str, int] = {}
    sequences = []
    for text in texts:
        words = [text[begin:end] for begin, end in word_spans(text)]
        counts.update(words)
        for word in words:
            if word not in type_of:
                type_of[word] = numbers.setdefault(folded(word), len(numbers))
        sequences.append([type_of[word] for word in words])
    of_types = cooccurrence_vectors(
        sequences, num_types=len(numbers), dimensions=dimensions, min_count=min_count
    )
    known = set(np.flatnonzero(of_types.any(axis=1)).tolist())
    spellings = [
        (word, count)
        for word, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        if type_of[word] in known
    ]
    return WordVectors(
        words=tuple(word for word, _ in spellings),
        counts=np.array([count for _, count in spellings], dtype=np.int64),
        vectors=of_types[[type_of[word] for word, _ in spellings]],
    )


def train_token_vectors(
    texts: Iterable[str],
    *,
    tokenizer: Tokenizer,
    dimensions: int = DIMENSIONS,
    min_count: int = MIN_TOKEN_COUNT,
) -> NDArray[np.float32]:
    """Trains vectors of a tokenizer's own tokens, by `cooccurrence_vectors`.

    Args:
        texts: Any texts of the language.
        tokenizer: Cuts them.
        dimensions: K.
        min_count: Occurrences under which a token has no vector.

    Returns:
        float32 (V, K).
    """
    vectors = cooccurrence_vectors(
        _encoded(texts, tokenizer),
        num_types=len(tokenizer),
        dimensions=dimensions,
        min_count=min_count,
    )
    vectors[_without_bytes(tokenizer)] = 0.0
    return vectors


def token_vectors_from_words(words: WordVectors, *, tokenizer: Tokenizer) -> NDArray[np.float32]:
    """Returns for each token the mean vector of the words that it is a part of.

    Words weigh as often as they occur (WECHSEL, arXiv 2112.06598, section 3.1, for vectors
    without subword information). Each is cut with and without a space in front.

    Args:
        words: Vectors of a language's words.
        tokenizer: Cuts the words.

    Returns:
        float32 (V, K).
    """
    sums = np.zeros((len(tokenizer), words.dimensions), dtype=np.float64)
    weights = np.zeros(len(tokenizer))
    for first in range(0, len(words), _TEXTS_AT_ONCE):
        part = slice(first, first + _TEXTS_AT_ONCE)
        counts = words.counts[part].astype(np.float64)
        weighted = words.vectors[part] * counts[:, None]
        for front in ("", " "):
            cut = tokenizer.encode_batch(front + word for word in words.words[part])
            tokens = np.array([i for ids in cut for i in sorted(set(ids))], dtype=np.int64)
            word = np.repeat(np.arange(len(cut)), [len(set(ids)) for ids in cut])
            np.add.at(sums, tokens, weighted[word])
            np.add.at(weights, tokens, counts[word])
    sums[_without_bytes(tokenizer)] = 0.0
    return (sums / np.maximum(weights, 1.0)[:, None]).astype(np.float32)


def count_words(texts: Iterable[str]) -> dict[str, int]:
    """Returns how often each word occurs in some texts, by `tokenizer.words.folded`."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text[begin:end] for begin, end in word_spans(text))
    without_case: Counter[str] = Counter()
    for word, count in counts.items():
        without_case[folded(word)] += count
    return dict(without_case)


def unit_rows(vectors: NDArray[np.floating]) -> NDArray[np.float64]:
    """Returns rows of length 1 in float64; rows of zeros stay so."""
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    units: NDArray[np.float64] = vectors / np.where(lengths > 0, lengths, 1.0)
    return units


def _encoded(texts: Iterable[str], tokenizer: Tokenizer) -> Iterable[list[int]]:
    batch: list[str] = []
    for text in texts:
        batch.append(text)
        if len(batch) == _TEXTS_AT_ONCE:
            yield from tokenizer.encode_batch(batch)
            batch = []
    yield from tokenizer.encode_batch(batch)


def _without_bytes(tokenizer: Tokenizer) -> list[int]:
    """Special tokens, such as that for what a vocabulary cannot spell, mean nothing."""
    return [token for token, piece in enumerate(tokenizer.vocabulary.pieces) if piece is None]
