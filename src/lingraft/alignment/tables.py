"""From word links to a table of tokens: which source tokens a target token translates.

Words are linked, tokens are counted: each link's posterior is shared over the tokens of its two
words, found by character offsets on the text (never by token spellings, which tear byte-level
words of non-Latin scripts apart).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from lingraft.alignment.links import Links
from lingraft.corpus.records import Pair
from lingraft.errors import InputError
from lingraft.tokenizer.tokenizer import Tokenizer
from lingraft.tokenizer.words import folded

_PAIRS_AT_ONCE = 4096
_SPLIT_ROUNDS = 5
# Links' worth of belief that a source token translates to anything. Without it a token that
# occurs in one word explains that word wholly, and takes it from the tokens that are its meaning.
_SPLIT_SMOOTHING = 3.0

Split = Literal["assumed", "learned"]
TokenWords = Mapping[tuple[tuple[int, ...], tuple[int, ...]], float]


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
    links: Links,
    pairs: Iterable[Pair],
    *,
    source: Tokenizer,
    target: Tokenizer,
    split: Split = "learned",
) -> TranslationTable:
    """Counts which source tokens stand behind each target token.

    A link of two words with posterior p adds p to every target token of the target word, shared
    over the source word's tokens as `table_of_words` does it.

    Args:
        links: Word links of `pairs`, in their order.
        pairs: The pairs that were aligned.
        source: Tokenizer of the source model.
        target: The new tokenizer.
        split: How the tokens of two linked words are linked; see `table_of_words`.

    Returns:
        A table of shape (V_target, V_source).

    Raises:
        InputError: The links are of another number of pairs, or there is no such split.
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
    return table_of_words(counted, shape=(len(target), len(source)), split=split)


def table_of_words(
    words: TokenWords, *, shape: tuple[int, int], split: Split = "learned"
) -> TranslationTable:
    """Counts which source tokens stand behind each target token in words that translate.

    Every target token of a word keeps the word's whole count and shares it over the source word's
    tokens. ``"assumed"`` gives half of it evenly and half in order, proportionally to position
    (the two schemes of arXiv 2408.04303, section 3). ``"learned"`` aligns the tokens inside the
    words: expectation maximisation of IBM model 1 (Brown et al. 1993) over all words at once, in
    which the assumed shares are each token's prior, so that tokens which say nothing keep them.
    A word of one source token gives it the whole count either way.

    Args:
        words: Counts by (source tokens, target tokens) of the two words.
        shape: (V_target, V_source).
        split: How a word's target tokens share themselves.

    Returns:
        A table of that shape.

    Raises:
        InputError: There is no such split.
    """
    if split not in get_args(Split):
        raise InputError(
            expected=f"a split of {', '.join(get_args(Split))}", got=repr(split), where="split"
        )
    entries = _entries_of_words(words)
    shares = entries.shares if split == "assumed" else _learned_shares(entries, shape[1])
    return TranslationTable.from_entries(
        entries.target, entries.source, shares * entries.counts, shape=shape
    )


def linked_words(links: Links, pairs: Iterable[Pair], *, min_count: float = 2.0) -> list[Pair]:
    """Returns the words that are each other's most frequent translation: a dictionary from links.

    Words are compared without case. For methods that want word pairs where nobody gave any.

    Args:
        links: Word links of `pairs`, in their order.
        pairs: The pairs that were aligned.
        min_count: Expected number of links under which a pair of words is left out.

    Returns:
        Pairs of folded words, the most frequent first.

    Raises:
        InputError: The links are of another number of pairs.
    """
    counted: dict[tuple[str, str], float] = {}
    texts = list(pairs)
    _check_number(links, len(texts))
    columns = (links.pair, links.source_word, links.target_word, links.posterior)
    for number, s, t, posterior in zip(*(column.tolist() for column in columns), strict=True):
        begin, end = links.source_offsets[links.source_starts[number] + s].tolist()
        first, last = links.target_offsets[links.target_starts[number] + t].tolist()
        key = (folded(texts[number].source[begin:end]), folded(texts[number].target[first:last]))
        counted[key] = counted.get(key, 0.0) + posterior
    best_target, best_source = _best(counted, 0), _best(counted, 1)
    mutual = [
        (count, source, target)
        for (source, target), count in counted.items()
        if count >= min_count and best_target[source] == (source, target) == best_source[target]
    ]
    mutual.sort(key=lambda entry: (-entry[0], entry[1:]))
    return [Pair(source, target, str(rank)) for rank, (_, source, target) in enumerate(mutual)]


def _best(counted: Mapping[tuple[str, str], float], side: int) -> dict[str, tuple[str, str]]:
    """For each word of one side its most frequent pair; of equals, the first by spelling."""
    best: dict[str, tuple[str, str]] = {}
    for key in sorted(counted, key=lambda key: (-counted[key], key)):
        best.setdefault(key[side], key)
    return best


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


@dataclass(frozen=True)
class _Entries:
    """Every (target token, source token) inside words that translate, laid flat.

    Attributes:
        target: int64, target token.
        source: int64, source token.
        shares: float64, assumed share; shares of one `group` sum to 1.
        counts: float64, count of the two words.
        group: int64, number of the target token's place in its word.
    """

    target: NDArray[np.int64]
    source: NDArray[np.int64]
    shares: NDArray[np.float64]
    counts: NDArray[np.float64]
    group: NDArray[np.int64]


def _entries_of_words(words: TokenWords) -> _Entries:
    splits: dict[tuple[int, int], NDArray[np.float64]] = {}
    # Empty arrays first, so that no words at all are no special case.
    targets, sources, groups = ([np.zeros(0, dtype=np.int64)] for _ in range(3))
    shares, counts = ([np.zeros(0)] for _ in range(2))
    num_groups = 0
    for (source_tokens, target_tokens), count in words.items():
        size = (len(target_tokens), len(source_tokens))
        split = splits.get(size)
        if split is None:
            split = splits[size] = in_word_split(*size)
        targets.append(np.repeat(target_tokens, size[1]))
        sources.append(np.tile(source_tokens, size[0]))
        shares.append(split.ravel())
        counts.append(np.full(split.size, count))
        groups.append(np.repeat(np.arange(num_groups, num_groups + size[0]), size[1]))
        num_groups += size[0]
    return _Entries(
        target=np.concatenate(targets).astype(np.int64),
        source=np.concatenate(sources).astype(np.int64),
        shares=np.concatenate(shares),
        counts=np.concatenate(counts),
        group=np.concatenate(groups),
    )


def _learned_shares(entries: _Entries, num_source: int) -> NDArray[np.float64]:
    """Returns the posterior of each link, by EM from the assumed shares."""
    kinds, kind = np.unique(entries.target * num_source + entries.source, return_inverse=True)
    targets, sources = kinds // num_source, kinds % num_source
    shares = entries.shares
    for _ in range(_SPLIT_ROUNDS):
        counts = np.bincount(kind, weights=shares * entries.counts, minlength=len(kinds))
        of_target = np.bincount(targets, weights=counts)
        unigram = of_target[targets] / counts.sum()
        of_source = np.bincount(sources, weights=counts)[sources]
        probability = (counts + _SPLIT_SMOOTHING * unigram) / (of_source + _SPLIT_SMOOTHING)
        posterior = entries.shares * probability[kind]
        shares = posterior / np.bincount(entries.group, weights=posterior)[entries.group]
    return shares
