"""Which words occur together, and how probable each is as the other's translation.

Inflected forms are too rare in small corpora to be learnt one by one, and too different to be
thrown together. So each pair of words is seen in several views: as it stands, and with both words
cut to their first letters. Each view has a translation table of its own, and a pair's probability
is the geometric mean over the views. Against whole words alone this lowers the alignment error
rate of all gold sets (docs/log.md, "aligner: views"); cognates, names and numbers get their prior
in every view in which their spellings agree.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lingraft.alignment import lexicon_kernels as kernels
from lingraft.alignment.bitext import STEM_LETTERS, Bitext
from lingraft.corpus.records import Pair
from lingraft.tokenizer.words import folded

# Pseudo-counts of the Dirichlet prior. Variational Bayes in place of this smoothing was tried and
# raised the error rate of all three gold sets by .01 to .16, at any concentration from .001 to .1.
PSEUDO_COUNT = 1e-5
IDENTICAL_COUNT = 1.0
DICTIONARY_COUNT = 1.0
LEAST = 1e-9  # keeps a sentence's probability above zero whatever its words
# Some 60 bytes each while probabilities are computed: about a gigabyte.
MAX_SLOTS = 16_000_000
_SCORES = 1 << 14  # steps in which that is counted

_Ints = npt.NDArray[np.int32]
_Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class View:
    """The lexicon's pairs of words as pairs of stems, in rows by source stem (CSR).

    Attributes:
        slots: (num_slots,) int32, place of each pair of words among the view's pairs; none where
            stems are whole words and the places the same.
        row_starts: (num_source_stems + 1,) int64, where each source stem's pairs begin.
        columns: (num_view_slots,) int32, target stem of each.
        source_stems: (num_source_words,) int32, stem of each word, NULL = 0.
        target_stems: (num_target_words,) int32.
        known: Pairs of stems that are spelled alike or that a dictionary translates, rising.
        known_counts: float32, the pseudo-count that each has beyond `PSEUDO_COUNT`.
        sources: The source stems by number, `""` for NULL.
        targets: The target stems.
    """

    slots: _Ints
    row_starts: npt.NDArray[np.int64]
    columns: _Ints
    source_stems: _Ints
    target_stems: _Ints
    known: npt.NDArray[np.int64]
    known_counts: _Floats
    sources: list[str]
    targets: list[str]

    def rows(self) -> _Ints:
        """Returns the source stem of each pair of stems."""
        return np.repeat(np.arange(len(self.sources), dtype=np.int32), np.diff(self.row_starts))

    def prior(self) -> _Floats:
        """Returns the pseudo-count of each pair of stems."""
        prior = np.full(len(self.columns), PSEUDO_COUNT, dtype=np.float32)
        prior[self.known] += self.known_counts
        return prior

    def totals(self, counts: _Floats, *, of_targets: bool) -> npt.NDArray[np.float64]:
        """Sums counts of pairs of stems by the stem that is given."""
        totals = np.zeros(len(self.sources if of_targets else self.targets))
        if of_targets:
            kernels.sum_by_row(self.row_starts, counts, totals)
        else:
            kernels.sum_by_place(self.columns, counts, totals)
        return totals


class Evidence(NamedTuple):
    """What one direction's probabilities in one view are made of.

    Attributes:
        counts: (num_view_slots,) float32, expected counts.
        totals: Expected counts of each given stem, in pairs of this corpus or of any other.
    """

    counts: _Floats
    totals: npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Lexicon:
    """The pairs of words that meet in some pair, in rows by source word (CSR).

    Attributes:
        row_starts: (num_source_words + 1,) int64, where each source word's slots begin.
        columns: (num_slots,) int32, target word of each slot.
        views: The same pairs by words and by stems.
        num_met: How many pairs of words meet, with those that were left out.
    """

    row_starts: npt.NDArray[np.int64]
    columns: _Ints
    views: tuple[View, ...]
    num_met: int

    def __len__(self) -> int:
        return len(self.columns)

    def evidence(self, counts: _Floats, *, of_targets: bool) -> Iterator[Evidence]:
        """Sums one direction's expected counts of pairs of words, view by view.

        Args:
            counts: (num_slots + 1, 2) as in `expectation.Parameters`.
            of_targets: Whether the target word's, given the source word.
        """
        own = np.ascontiguousarray(counts[: len(self), 0 if of_targets else 1])
        for view in self.views:
            sums = own
            if len(view.slots):
                sums = np.zeros(len(view.columns), dtype=np.float32)
                kernels.sum_by_place(view.slots, own, sums)
            yield Evidence(sums, view.totals(sums, of_targets=of_targets))

    def probabilities(self, evidence: Iterable[Evidence], *, of_targets: bool) -> _Floats:
        """Returns each slot's probability: of the target word given the source word, or reversed.

        Geometric mean over the views of the Dirichlet posterior's mean,
        (count + prior) / sum over the given stem's slots.
        """
        product = np.ones(len(self), dtype=np.float32)
        for view, (counts, totals) in zip(self.views, evidence, strict=True):
            prior = view.prior()
            given = totals + view.totals(prior, of_targets=of_targets)
            prior += counts
            stems = view.source_stems if of_targets else view.target_stems
            shares = (1 / np.maximum(given, LEAST))[stems].astype(np.float32)
            kernels.multiply_probabilities(
                self.row_starts, self.columns, view.slots, prior, shares, of_targets, LEAST, product
            )
        np.power(product, np.float32(1 / len(self.views)), out=product)
        return product


def build_lexicon(
    bitext: Bitext, dictionary: Iterable[Pair] = (), stems: Sequence[int] = STEM_LETTERS
) -> Lexicon:
    """Collects the pairs of words, NULL included on either side, that meet in an alignable pair.

    Of more than `MAX_SLOTS` pairs of words those are left out which meet least often for how often
    the two occur (`lexicon_kernels.meet`): words that hardly ever meet do not translate each other.

    Args:
        bitext: The corpus.
        dictionary: Words and translations, which get a pseudo-count of `DICTIONARY_COUNT`.
        stems: Numbers of first letters, a view for each beside that of whole words.
    """
    starts, columns, num_met = _meeting(bitext)
    entries = {(folded(entry.source), folded(entry.target)) for entry in dictionary}
    views = tuple(
        _view(bitext, starts, columns, num_letters, entries) for num_letters in (None, *stems)
    )
    return Lexicon(starts, columns, views, num_met)


def _meeting(bitext: Bitext) -> tuple[npt.NDArray[np.int64], _Ints, int]:
    """Returns `row_starts`, `columns` and `num_met` of the lexicon."""
    bounds = bitext.bounds()
    begins = np.zeros(len(bitext.source.vocabulary) + 1, dtype=np.int64)
    pairs = np.empty(int((bounds[:, 1] - bounds[:, 0]).sum()), dtype=np.int32)
    kernels.group_words(bitext.source.types, bounds[:, :2], begins, pairs)
    frequencies = np.zeros(len(bitext.target.vocabulary), dtype=np.int64)
    kernels.count_words(bitext.target.types, bounds[:, 2:], frequencies)
    unpaired = np.flatnonzero(frequencies)
    starts = np.zeros_like(begins)
    starts[1] = len(unpaired)
    text = begins, pairs, bitext.target.types, bounds[:, 2:], frequencies

    histogram = np.zeros(_SCORES + 1, dtype=np.int64)
    kernels.meet(*text, 0, starts, np.empty(0, dtype=np.int32), histogram)
    num_nulls = len(unpaired) + int(np.count_nonzero(np.diff(begins)))
    reaching = np.append(histogram[::-1].cumsum()[::-1], 0)  # how many have at least each score
    least = int(np.searchsorted(-reaching, num_nulls - MAX_SLOTS))

    columns = np.empty(num_nulls + int(reaching[least]), dtype=np.int32)
    columns[: len(unpaired)] = unpaired
    kernels.meet(*text, least, starts, columns, histogram)
    return starts, columns, num_nulls + int(reaching[0])


def stem(word: str, num_letters: int | None) -> str:
    """Returns the first letters of a word; a number or a sign stays whole, and so does None."""
    return word[:num_letters] if num_letters is not None and word.isalpha() else word


def _view(
    bitext: Bitext,
    row_starts: npt.NDArray[np.int64],
    columns: _Ints,
    num_letters: int | None,
    entries: set[tuple[str, str]],
) -> View:
    sources, source_stems = _stems(bitext.source.vocabulary, num_letters)
    targets, target_stems = _stems(bitext.target.vocabulary, num_letters)
    slots = np.empty(0, dtype=np.int32)
    if num_letters is not None:
        words = np.argsort(source_stems, kind="stable")
        begins = np.searchsorted(source_stems[words], np.arange(len(sources) + 1))
        slots, stem_columns = np.empty_like(columns), np.empty_like(columns)
        stem_starts = np.empty(len(sources) + 1, dtype=np.int64)
        num_found = kernels.group_stems(
            row_starts,
            columns,
            words,
            begins,
            target_stems,
            len(targets),
            slots,
            stem_starts,
            stem_columns,
        )
        row_starts, columns = stem_starts, stem_columns[:num_found].copy()
    known: dict[int, float] = {}
    alike = [(number, targets[word]) for word, number in sources.items() if word in targets]
    pairs = [(a, b, IDENTICAL_COUNT) for a, b in alike if a]
    stemmed = {(stem(a, num_letters), stem(b, num_letters)) for a, b in entries}
    pairs += [
        (sources[a], targets[b], DICTIONARY_COUNT)
        for a, b in stemmed
        if a in sources and b in targets
    ]
    for a, b, count in pairs:
        for slot in np.flatnonzero(columns[row_starts[a] : row_starts[a + 1]] == b).tolist():
            place = int(row_starts[a]) + slot
            known[place] = known.get(place, 0.0) + count
    places = sorted(known)
    return View(
        slots,
        row_starts,
        columns,
        source_stems,
        target_stems,
        np.array(places, dtype=np.int64),
        np.array([known[place] for place in places], dtype=np.float32),
        list(sources),
        list(targets),
    )


def _stems(vocabulary: list[str], num_letters: int | None) -> tuple[dict[str, int], _Ints]:
    """Returns the stems' numbers, NULL first, and the number of each word's stem."""
    numbers: dict[str, int] = {}
    of_word = [numbers.setdefault(stem(word, num_letters), len(numbers)) for word in vocabulary]
    return numbers, np.array(of_word, dtype=np.int32)
