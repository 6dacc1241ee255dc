"""Which words occur together, and how probable each is as the other's translation.

Inflected forms are too rare in small corpora to be learnt one by one, and too different to be
thrown together. So each pair of words is seen in several views: as it stands, and with both words
cut to their first letters. Each view has a translation table of its own, and a pair's probability
is the geometric mean over the views. Against whole words alone this lowers the alignment error
rate of all gold sets (docs/log.md, "aligner: views"); cognates, names and numbers get their prior
in every view in which their spellings agree.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lingraft.alignment import kernels
from lingraft.alignment.bitext import Bitext
from lingraft.corpus.records import Pair
from lingraft.tokenizer.words import folded

STEM_LETTERS = (3, 5)
# Pseudo-counts of the Dirichlet prior. Variational Bayes in place of this smoothing was tried and
# raised the error rate of all three gold sets by .01 to .16, at any concentration from .001 to .1.
PSEUDO_COUNT = 1e-5
IDENTICAL_COUNT = 1.0
DICTIONARY_COUNT = 1.0
_LEAST = 1e-9  # keeps a sentence's probability above zero whatever its words

_Ints = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class View:
    """The lexicon's pairs of words as pairs of stems.

    Attributes:
        slots: (num_slots,) int32, place of each pair of words among the view's pairs.
        rows: (num_view_slots,) int32, source stem of each, NULL = 0.
        columns: (num_view_slots,) int32, target stem of each.
        prior: (num_view_slots,) float32, pseudo-counts: larger for stems that are spelled alike
            and for dictionary entries.
        sources: The source stems by number, `""` for NULL.
        targets: The target stems.
    """

    slots: _Ints
    rows: _Ints
    columns: _Ints
    prior: npt.NDArray[np.float32]
    sources: list[str]
    targets: list[str]

    def given(self, *, of_targets: bool) -> tuple[_Ints, int]:
        """Returns the stem that each slot's probability is conditioned on, and their number."""
        return (self.rows, len(self.sources)) if of_targets else (self.columns, len(self.targets))


class Evidence(NamedTuple):
    """What one direction's probabilities in one view are made of.

    Attributes:
        counts: (num_view_slots,) float64, expected counts.
        totals: Expected counts of each given stem, in pairs of this corpus or of any other.
    """

    counts: npt.NDArray[np.float64]
    totals: npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Lexicon:
    """The pairs of words that meet in some pair, in rows by source word (CSR).

    Attributes:
        row_starts: (num_source_words + 1,) int64, where each source word's slots begin.
        columns: (num_slots,) int32, target word of each slot, rising within a row.
        views: The same pairs by words and by stems.
    """

    row_starts: npt.NDArray[np.int64]
    columns: _Ints
    views: tuple[View, ...]

    def __len__(self) -> int:
        return len(self.columns)

    def evidence(
        self, counts: npt.NDArray[np.float64], *, of_targets: bool
    ) -> tuple[Evidence, ...]:
        """Sums (num_slots,) expected counts of pairs of words into those of each view."""
        found = []
        for view in self.views:
            given, num_given = view.given(of_targets=of_targets)
            sums, totals = np.zeros(len(view.rows)), np.zeros(num_given)
            kernels.scatter(view.slots, counts, sums)
            kernels.scatter(given, sums, totals)
            found.append(Evidence(sums, totals))
        return tuple(found)

    def probabilities(
        self, evidence: Sequence[Evidence], *, of_targets: bool
    ) -> npt.NDArray[np.float32]:
        """Returns each slot's probability: of the target word given the source word, or reversed.

        Geometric mean over the views of the Dirichlet posterior's mean,
        (count + prior) / sum over the given stem's slots.
        """
        product = np.ones(len(self))
        for view, (counts, totals) in zip(self.views, evidence, strict=True):
            given, _ = view.given(of_targets=of_targets)
            sums = totals.copy()
            kernels.scatter(given, view.prior, sums)
            kernels.multiply_probabilities(
                view.slots, given, view.prior, counts.copy(), sums, _LEAST, product
            )
        return np.power(product, 1 / len(self.views), dtype=np.float32)


def build_lexicon(bitext: Bitext, dictionary: Iterable[Pair] = ()) -> Lexicon:
    """Collects the pairs of words, NULL included on either side, that meet in an alignable pair.

    Args:
        bitext: The corpus.
        dictionary: Words and translations, which get a pseudo-count of `DICTIONARY_COUNT`.
    """
    bounds = bitext.bounds()
    num_rows, num_columns = len(bitext.source.vocabulary), len(bitext.target.vocabulary)
    types = _words(bitext.source.types, bounds[:, 0], bounds[:, 1])
    pairs = np.repeat(np.arange(len(bounds)), bounds[:, 1] - bounds[:, 0])
    order = np.argsort(types, kind="stable")
    type_starts = np.searchsorted(types[order], np.arange(num_rows + 1))
    unpaired = np.unique(_words(bitext.target.types, bounds[:, 2], bounds[:, 3]))

    starts = np.zeros(num_rows + 1, dtype=np.int64)
    columns = np.empty(0, dtype=np.int32)
    for _ in ("count", "fill"):
        seen = np.full(num_columns, -1, dtype=np.int32)
        kernels.meet(pairs[order], type_starts, bitext.target.types, bounds, seen, starts, columns)
        if columns.size == 0:
            starts[1] = len(unpaired)
            np.cumsum(starts, out=starts)
            columns = np.empty(int(starts[-1]), dtype=np.int32)
    columns[: len(unpaired)] = unpaired
    rows = np.repeat(np.arange(num_rows, dtype=np.int32), np.diff(starts))
    keys = rows * np.int64(num_columns) + columns
    keys.sort()
    columns = (keys % num_columns).astype(np.int32)
    entries = {(folded(entry.source), folded(entry.target)) for entry in dictionary}
    views = tuple(
        _view(bitext, rows, columns, num_letters, entries) for num_letters in (None, *STEM_LETTERS)
    )
    return Lexicon(starts, columns, views)


def stem(word: str, num_letters: int | None) -> str:
    """Returns the first letters of a word; a number or a sign stays whole, and so does None."""
    return word[:num_letters] if num_letters is not None and word.isalpha() else word


def _view(
    bitext: Bitext,
    rows: _Ints,
    columns: _Ints,
    num_letters: int | None,
    entries: set[tuple[str, str]],
) -> View:
    sources, source_stems = _stems(bitext.source.vocabulary, num_letters)
    targets, target_stems = _stems(bitext.target.vocabulary, num_letters)
    num_columns = len(targets)
    keys = source_stems[rows] * np.int64(num_columns) + target_stems[columns]
    if num_letters is None:
        slots = np.arange(len(keys), dtype=np.int32)
    else:
        keys, inverse = np.unique(keys, return_inverse=True)
        slots = inverse.astype(np.int32)
    view_rows, view_columns = np.divmod(keys, num_columns)
    prior = np.full(len(keys), PSEUDO_COUNT, dtype=np.float32)
    twins = np.array([targets.get(word, -1) for word in sources], dtype=np.int64)
    prior[(twins[view_rows] == view_columns) & (view_rows != 0)] = IDENTICAL_COUNT
    known = {
        sources[a] * num_columns + targets[b]
        for a, b in ((stem(a, num_letters), stem(b, num_letters)) for a, b in entries)
        if a in sources and b in targets
    }
    wanted = np.array(sorted(known), dtype=np.int64)
    places = np.searchsorted(keys, wanted)
    places, wanted = places[places < len(keys)], wanted[places < len(keys)]
    prior[places[keys[places] == wanted]] += DICTIONARY_COUNT
    return View(
        slots,
        view_rows.astype(np.int32),
        view_columns.astype(np.int32),
        prior,
        list(sources),
        list(targets),
    )


def _stems(vocabulary: list[str], num_letters: int | None) -> tuple[dict[str, int], _Ints]:
    """Returns the stems' numbers, NULL first, and the number of each word's stem."""
    numbers: dict[str, int] = {}
    of_word = [numbers.setdefault(stem(word, num_letters), len(numbers)) for word in vocabulary]
    return numbers, np.array(of_word, dtype=np.int32)


def _words(types: _Ints, begins: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]) -> _Ints:
    chosen = np.zeros(len(types) + 1, dtype=np.int8)
    chosen[begins] += 1
    chosen[ends] -= 1
    return types[np.cumsum(chosen[:-1]) > 0]
