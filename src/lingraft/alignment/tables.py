"""From word links to a table of tokens: which source tokens a target token translates.

Words are linked, tokens are counted: each link's posterior is shared over the tokens of its two
words, found by character offsets on the text (never by token spellings, which tear byte-level
words of non-Latin scripts apart).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lingraft.alignment.links import Links
from lingraft.corpus.records import Pair
from lingraft.errors import InputError
from lingraft.tokenizer.tokenizer import Tokenizer

_PAIRS_AT_ONCE = 4096


@dataclass(frozen=True)
class TranslationTable:
    """Expected counts of (target token, source token), as sparse rows in CSR.

    Attributes:
        indptr: int64 (V_target + 1), where each target token's row starts.
        source: int32 (num_entries), source token ids, ascending within a row.
        counts: float64 (num_entries), expected counts, all positive.
        support: float64 (V_target), the row sums.
        num_source: V_source.
    """

    indptr: NDArray[np.int64]
    source: NDArray[np.int32]
    counts: NDArray[np.float64]
    num_source: int

    @property
    def support(self) -> NDArray[np.float64]:
        """Expected number of links of each target token, (V_target,)."""
        sums = np.concatenate([[0.0], np.cumsum(self.counts)])
        support: NDArray[np.float64] = sums[self.indptr[1:]] - sums[self.indptr[:-1]]
        return support

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def row(self, target: int) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """Returns one target token's source ids and counts."""
        span = slice(int(self.indptr[target]), int(self.indptr[target + 1]))
        return self.source[span], self.counts[span]

    @classmethod
    def from_entries(
        cls,
        target: NDArray[np.int64],
        source: NDArray[np.int64],
        counts: NDArray[np.float64],
        *,
        shape: tuple[int, int],
    ) -> "TranslationTable":
        """Sums entries given in any order, the same pair any number of times."""
        num_target, num_source = shape
        keys, inverse = np.unique(target * num_source + source, return_inverse=True)
        sums = np.bincount(inverse, weights=counts, minlength=len(keys)).astype(np.float64)
        keys, sums = keys[sums > 0], sums[sums > 0]
        rows = np.bincount(keys // num_source, minlength=num_target)
        return cls(
            indptr=np.concatenate([[0], np.cumsum(rows)]).astype(np.int64),
            source=(keys % num_source).astype(np.int32),
            counts=sums,
            num_source=num_source,
        )


def token_table(
    links: Links, pairs: Iterable[Pair], *, source: Tokenizer, target: Tokenizer
) -> TranslationTable:
    """Counts which source tokens stand behind each target token.

    A link of two words with posterior p adds p to every target token of the target word, shared
    over the source word's tokens: half of it evenly, half in order, proportionally to position
    (the two schemes of arXiv 2408.04303, section 3). Pairs that see one token on either side fall
    out as the whole count.

    Args:
        links: Word links of `pairs`, in their order.
        pairs: The pairs that were aligned.
        source: Tokenizer of the source model.
        target: The new tokenizer.

    Returns:
        A table of shape (V_target, V_source).

    Raises:
        InputError: The links are of another number of pairs.
    """
    counted: dict[tuple[tuple[int, ...], tuple[int, ...]], float] = {}
    batch: list[Pair] = []
    first = 0
    for pair in pairs:
        batch.append(pair)
        if len(batch) == _PAIRS_AT_ONCE:
            _count_words(counted, batch, links, first, source, target)
            first, batch = first + len(batch), []
    _count_words(counted, batch, links, first, source, target)
    _check_number(links, first + len(batch))
    return _spread_over_tokens(counted, shape=(len(target), len(source)))


def in_word_split(num_target: int, num_source: int) -> NDArray[np.float64]:
    """Returns how each target token of a word shares itself over the source word's tokens.

    The mean of the even split and of the split by position, where token i of n covers the
    interval [i/n, (i+1)/n) of the word. Shape (num_target, num_source); every row sums to 1.
    """
    target_edges = np.linspace(0.0, 1.0, num_target + 1)
    source_edges = np.linspace(0.0, 1.0, num_source + 1)
    overlap = np.minimum(target_edges[1:, None], source_edges[None, 1:]) - np.maximum(
        target_edges[:-1, None], source_edges[None, :-1]
    )
    by_position = np.maximum(overlap, 0.0) * num_target
    split: NDArray[np.float64] = (by_position + 1.0 / num_source) / 2
    return split


def _count_words(
    counted: dict[tuple[tuple[int, ...], tuple[int, ...]], float],
    batch: Sequence[Pair],
    links: Links,
    first: int,
    source: Tokenizer,
    target: Tokenizer,
) -> None:
    """Adds the posteriors of one batch's links to the counts of (source word, target word)."""
    _check_number(links, first + len(batch), at_least=True)
    source_words = _tokens_of_words(
        [pair.source for pair in batch], source, links.source_starts, links.source_offsets, first
    )
    target_words = _tokens_of_words(
        [pair.target for pair in batch], target, links.target_starts, links.target_offsets, first
    )
    begin, end = np.searchsorted(links.pair, [first, first + len(batch)])
    for number, s, t, posterior in zip(
        links.pair[begin:end].tolist(),
        links.source_word[begin:end].tolist(),
        links.target_word[begin:end].tolist(),
        links.posterior[begin:end].tolist(),
        strict=True,
    ):
        key = (source_words[number - first][s], target_words[number - first][t])
        if key[0] and key[1]:
            counted[key] = counted.get(key, 0.0) + posterior


def _check_number(links: Links, num_pairs: int, *, at_least: bool = False) -> None:
    if num_pairs > links.num_pairs or (num_pairs < links.num_pairs and not at_least):
        raise InputError(
            expected=f"the {links.num_pairs} pairs that were aligned",
            got=f"{num_pairs} or more" if at_least else str(num_pairs),
            where="pairs",
            hint="align these pairs anew",
        )


def _tokens_of_words(
    texts: list[str],
    tokenizer: Tokenizer,
    starts: NDArray[np.int64],
    offsets: NDArray[np.int32],
    first: int,
) -> list[list[tuple[int, ...]]]:
    """Returns for every text the token ids of each of its words, by overlap of characters."""
    words = []
    for number, (ids, spans) in enumerate(tokenizer.encode_with_offsets(texts), start=first):
        of_text = offsets[starts[number] : starts[number + 1]].tolist()
        words.append(_assign(ids, spans, of_text))
    return words


def _assign(
    ids: list[int], spans: list[tuple[int, int]], words: list[list[int]]
) -> list[tuple[int, ...]]:
    """Gives each token to the words that it overlaps; both lists run from left to right."""
    found: list[list[int]] = [[] for _ in words]
    at = 0
    for token, (begin, end) in zip(ids, spans, strict=True):
        while at < len(words) and words[at][1] <= begin:
            at += 1
        word = at
        while word < len(words) and words[word][0] < end:
            found[word].append(token)
            word += 1
    return [tuple(tokens) for tokens in found]


def _spread_over_tokens(
    counted: dict[tuple[tuple[int, ...], tuple[int, ...]], float], *, shape: tuple[int, int]
) -> TranslationTable:
    splits: dict[tuple[int, int], NDArray[np.float64]] = {}
    targets, sources, counts = [], [], []
    for (source_tokens, target_tokens), count in counted.items():
        size = (len(target_tokens), len(source_tokens))
        split = splits.get(size)
        if split is None:
            split = splits[size] = in_word_split(*size)
        targets.append(np.repeat(target_tokens, size[1]))
        sources.append(np.tile(source_tokens, size[0]))
        counts.append(split.ravel() * count)
    if not counted:
        empty = np.zeros(0)
        return TranslationTable.from_entries(
            empty.astype(np.int64), empty.astype(np.int64), empty, shape=shape
        )
    return TranslationTable.from_entries(
        np.concatenate(targets).astype(np.int64),
        np.concatenate(sources).astype(np.int64),
        np.concatenate(counts),
        shape=shape,
    )
