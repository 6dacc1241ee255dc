"""A corpus of pairs as numbered words: the form that the aligner's kernels read."""

import itertools
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import regex

from lingraft.corpus.records import Pair
from lingraft.tokenizer.words import SEGMENTATION, folded, word_spans

# The HMM takes time and memory in proportion to the square of a side, so a whole book in one pair
# would stop everything; such a pair keeps its place and gets no links.
MAX_WORDS = 400
_TOKENS = "spaces-1"
_TOKEN = regex.compile(r"\S+")


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
    cut = _token_spans if tokenized else word_spans
    source, target = _Numbering(), _Numbering()
    for pair in pairs:
        source.add(pair.source, cut(pair.source))
        target.add(pair.target, cut(pair.target))
    return Bitext(source.side(), target.side(), _TOKENS if tokenized else SEGMENTATION)


class _Numbering:
    """One side in the making."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {"": 0}
        self.spellings: dict[str, int] = {}  # as written: saves folding a word twice
        self.words, self.starts, self.offsets = array("i"), array("q", [0]), array("i")

    def add(self, text: str, spans: list[tuple[int, int]]) -> None:
        words = [text[begin:end] for begin, end in spans]
        numbers = list(map(self.spellings.get, words))
        if None in numbers:
            for word in words:
                if word not in self.spellings:
                    number = self.numbers.setdefault(folded(word), len(self.numbers))
                    self.spellings[word] = number
            numbers = list(map(self.spellings.get, words))
        self.words.extend(cast("list[int]", numbers))
        self.offsets.extend(itertools.chain.from_iterable(spans))
        self.starts.append(len(self.words))

    def side(self) -> Side:
        return Side(
            types=np.array(self.words, dtype=np.int32),
            starts=np.array(self.starts, dtype=np.int64),
            offsets=np.array(self.offsets, dtype=np.int32).reshape(-1, 2),
            vocabulary=list(self.numbers),
        )


def _token_spans(text: str) -> list[tuple[int, int]]:
    return [match.span() for match in _TOKEN.finditer(text)]
