"""A corpus of pairs as numbered words: the form that the aligner's kernels read."""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import regex

from lingraft.corpus.records import Pair
from lingraft.tokenizer.words import SEGMENTATION, folded, word_spans

# The HMM takes time and memory in proportion to the square of a side, so a whole book in one pair
# would stop everything; such a pair keeps its place and gets no links.
MAX_WORDS = 400
STEM_LETTERS = (3, 5)
_BATCH_PAIRS = 4096  # what is done for many words at once costs less for each
_TOKENS = "spaces-1"
_TOKEN = regex.compile(r"\S+")
_Ints = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Side:
    """One language's side of all pairs.

    Attributes:
        types: (num_words,) int32, number of each word's type, from 1; 0 is NULL.
        starts: (num_pairs + 1,) int64, where each pair's words begin.
        offsets: (num_words, 2) int32, begin and end of each word in its text.
        vocabulary: The types by number: words without case, composed (NFC); `""` for NULL.
    """

    types: npt.NDArray[np.int32]
    starts: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int32]
    vocabulary: list[str]


@dataclass(frozen=True, eq=False)
class Bitext:
    """Both sides of all pairs and the signature of the rule that cut their words."""

    source: Side
    target: Side
    segmentation: str

    def bounds(self) -> npt.NDArray[np.int64]:
        """Returns (num_alignable, 4): begin and end in source and target, of alignable pairs."""
        sides = (self.source.starts, self.target.starts)
        columns = [part for starts in sides for part in (starts[:-1], starts[1:])]
        return np.stack(columns, axis=1)[self.alignable()]

    def alignable(self) -> npt.NDArray[np.int64]:
        """Returns the places of the pairs with 1 to `MAX_WORDS` words on each side."""
        lengths = np.stack([np.diff(self.source.starts), np.diff(self.target.starts)])
        return np.flatnonzero((lengths.min(axis=0) > 0) & (lengths.max(axis=0) <= MAX_WORDS))


def number_words(pairs: Iterable[Pair], *, tokenized: bool) -> Bitext:
    """Cuts all pairs into words and numbers their types, which are compared without case.

    Args:
        pairs: Read once.
        tokenized: Whether the words stand apart by white space already and shall stay so.
    """
    source, target = _Numbering(tokenized), _Numbering(tokenized)
    remaining = iter(pairs)
    while batch := list(itertools.islice(remaining, _BATCH_PAIRS)):
        source.add([pair.source for pair in batch])
        target.add([pair.target for pair in batch])
    return Bitext(source.side(), target.side(), _TOKENS if tokenized else SEGMENTATION)


class _Numbering:
    """One side in the making."""

    def __init__(self, tokenized: bool) -> None:
        self.cut = _tokens if tokenized else _words
        self.numbers: dict[str, int] = {"": 0}
        self.spellings: dict[str, int] = {}  # as written: saves folding a word twice
        self.num_words = 0
        self.types: list[_Ints] = []
        self.starts: list[npt.NDArray[np.int64]] = [np.zeros(1, dtype=np.int64)]
        self.offsets: list[_Ints] = []

    def add(self, texts: list[str]) -> None:
        words, counts, offsets = self.cut(texts)
        numbers = list(map(self.spellings.get, words))
        if None in numbers:
            for word in words:
                if word not in self.spellings:
                    number = self.numbers.setdefault(folded(word), len(self.numbers))
                    self.spellings[word] = number
            numbers = list(map(self.spellings.get, words))
        self.types.append(np.array(numbers, dtype=np.int32))
        self.starts.append(self.num_words + np.cumsum(counts, dtype=np.int64))
        self.offsets.append(offsets)
        self.num_words += len(words)

    def side(self) -> Side:
        """Returns what was added, and forgets it: of millions of pairs two copies are too many."""
        types = np.concatenate([np.empty(0, np.int32), *self.types])
        self.types.clear()
        offsets = np.concatenate([np.empty((0, 2), np.int32), *self.offsets])
        self.offsets.clear()
        return Side(types, np.concatenate(self.starts), offsets, list(self.numbers))


def _words(texts: list[str]) -> tuple[list[str], _Ints, _Ints]:
    """Returns all words, how many each text has, and (num_words, 2) where they stand in it."""
    return _cut(texts, [word_spans(text) for text in texts])


def _tokens(texts: list[str]) -> tuple[list[str], _Ints, _Ints]:
    """As `_words`, for what stands apart by white space."""
    full = [text for text in texts if text]
    joined = " ".join(full)
    words = joined.split()
    if " ".join(words) != joined:  # other space than one blank between words
        spans = [[match.span() for match in _TOKEN.finditer(text)] for text in texts]
        return _cut(texts, spans)
    counts = np.array([text.count(" ") + 1 if text else 0 for text in texts], dtype=np.int32)
    lengths = np.fromiter(map(len, words), dtype=np.int32, count=len(words))
    ends = np.cumsum(lengths + 1, dtype=np.int64) - 1
    first = np.cumsum(counts) - counts  # of each text's words
    begins = np.repeat((ends - lengths)[first[counts > 0]], counts[counts > 0])
    ends -= begins
    return words, counts, np.stack([ends - lengths, ends], axis=1).astype(np.int32)


def _cut(texts: list[str], spans: list[list[tuple[int, int]]]) -> tuple[list[str], _Ints, _Ints]:
    words = [
        text[begin:end] for text, cuts in zip(texts, spans, strict=True) for begin, end in cuts
    ]
    counts = np.array([len(cuts) for cuts in spans], dtype=np.int32)
    flat = np.array(list(itertools.chain.from_iterable(spans)), dtype=np.int32)
    return words, counts, flat.reshape(-1, 2)
