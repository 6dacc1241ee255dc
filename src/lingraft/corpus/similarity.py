"""How alike are two languages, by the bytes of their texts and, where installed, by typology?

All but the typological distances need nothing but text, so that they exist for any language.
"""

import importlib
import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lingraft.corpus.records import Documents, Pairs
from lingraft.corpus.scripts import letter_script
from lingraft.errors import InputError
from lingraft.languages import Language
from lingraft.seeds import derive

COVERAGE = 0.95
NUM_RESAMPLES = 1000

TYPOLOGICAL_DISTANCES = (
    "syntactic",
    "phonological",
    "inventory",
    "featural",
    "genetic",
    "geographic",
)
"""URIEL's pre-computed distances (Littell et al. 2017), 0 to 1."""


@dataclass(frozen=True)
class BytePremium:
    """UTF-8 bytes of the same content against a reference language.

    Attributes:
        reference_lang: The language below the fraction line.
        lang: The language above it.
        reference_bytes: Bytes of the text in the reference language.
        num_bytes: Bytes of the same text in the other.
        num_documents: Documents that were resampled; a page's rows are one document.
        interval: 95 % interval over documents, or None with fewer than two.
        text: Which text: the premium of one genre is not that of another.
    """

    reference_lang: Language
    lang: Language
    reference_bytes: int
    num_bytes: int
    num_documents: int
    interval: tuple[float, float] | None
    text: str

    @property
    def value(self) -> float | None:
        """Bytes by reference bytes; None where the reference has none."""
        return self.num_bytes / self.reference_bytes if self.reference_bytes else None

    def describe(self) -> str:
        """Returns one line with the interval and the text's name."""
        head = f"{self.lang} against {self.reference_lang}, {self.text}: "
        if self.value is None:
            return f"{head}undefined, the reference has no bytes"
        ends = "no interval" if self.interval is None else "{:.3f} to {:.3f}".format(*self.interval)
        return f"{head}{self.value:.3f} bytes a byte ({ends}; {self.num_documents} documents)"


@dataclass(frozen=True)
class Similarity:
    """What text and databases say about two languages.

    Attributes:
        source_lang: One language.
        target_lang: The other.
        script_overlap: Share of letters in common scripts: Σ over scripts of the smaller of the
            two shares, 0 to 1; None where one side has no letters.
        unigram_divergence_bits: Jensen-Shannon divergence of the byte distributions, 0 to 1.
        bigram_divergence_bits: The same of pairs of neighbouring bytes. Small samples look
            farther apart than they are: compare only values from texts of like size.
        source_bytes_per_character: UTF-8 bytes by code points.
        target_bytes_per_character: The same of the target's text.
        byte_premium: Of the target against the source; None without parallel text.
        typology: Distances by name; None where `typology_reason` says why.
        typology_reason: Why there are none, or empty.
    """

    source_lang: Language
    target_lang: Language
    script_overlap: float | None
    unigram_divergence_bits: float | None
    bigram_divergence_bits: float | None
    source_bytes_per_character: float | None
    target_bytes_per_character: float | None
    byte_premium: BytePremium | None
    typology: Mapping[str, float] | None
    typology_reason: str


def similarity(
    source_docs: Documents,
    target_docs: Documents,
    *,
    pairs: Pairs | None = None,
    text: str = "",
    seed: int,
) -> Similarity:
    """Compares two languages by their texts.

    Args:
        source_docs: Text of the source language.
        target_docs: Text of the target language.
        pairs: Parallel text of the two, source first, for the byte premium.
        text: The parallel text's name; needed with `pairs`.
        seed: Of the byte premium's interval.

    Raises:
        InputError: `pairs` are of other languages, or have no name.
    """
    languages = (source_docs.lang, target_docs.lang)
    if pairs is not None and (pairs.source_lang, pairs.target_lang) != languages:
        raise InputError(
            expected=f"pairs of {languages[0]} and {languages[1]}",
            got=f"{pairs.source_lang} and {pairs.target_lang}",
            where="pairs",
        )
    typology, reason = typological_distances(*languages)
    return Similarity(
        source_lang=languages[0],
        target_lang=languages[1],
        script_overlap=script_overlap(source_docs, target_docs),
        unigram_divergence_bits=byte_divergence(source_docs, target_docs, order=1),
        bigram_divergence_bits=byte_divergence(source_docs, target_docs, order=2),
        source_bytes_per_character=bytes_per_character(source_docs),
        target_bytes_per_character=bytes_per_character(target_docs),
        byte_premium=None if pairs is None else byte_premium(pairs, text=text, seed=seed),
        typology=typology,
        typology_reason=reason,
    )


def byte_premium(pairs: Pairs, *, text: str, seed: int) -> BytePremium:
    """Measures how many bytes the target language takes for a byte of the source language.

    A ratio of sums (Arnett et al. 2024 average over sentences instead); the interval resamples
    documents, and rows whose ids differ after ``#`` only are one document.

    Args:
        pairs: Parallel text; its source language is the reference.
        text: Name of the text, e.g. ``"LibreOffice help, valid"``.
        seed: Of the resampling; the same documents are drawn for every language of one text.

    Raises:
        InputError: The text has no name.
    """
    if not text:
        raise InputError(
            expected="the name of the parallel text",
            got="nothing",
            where="text",
            hint="premiums of different texts are not comparable",
        )
    sums: dict[str, NDArray[np.int64]] = defaultdict(lambda: np.zeros(2, dtype=np.int64))
    for pair in pairs:
        sizes = [len(pair.target.encode("utf-8")), len(pair.source.encode("utf-8"))]
        sums[pair.id.partition("#")[0]] += np.array(sizes, dtype=np.int64)
    documents = np.array(list(sums.values()), dtype=np.int64).reshape(-1, 2)
    num_bytes, reference_bytes = documents.sum(axis=0).tolist()
    return BytePremium(
        reference_lang=pairs.source_lang,
        lang=pairs.target_lang,
        reference_bytes=reference_bytes,
        num_bytes=num_bytes,
        num_documents=len(documents),
        interval=_interval(documents, seed=seed),
        text=text,
    )


def script_overlap(one: Documents, other: Documents) -> float | None:
    """Returns Σ over scripts of min(share in one, share in the other); None without letters.

    Letters that scripts share (`lingraft.corpus.scripts`) do not count.
    """
    shares = []
    for documents in (one, other):
        characters = Counter(char for record in documents for char in record.text)
        scripts: Counter[str] = Counter()
        for char, count in characters.items():
            if script := letter_script(char):
                scripts[script] += count
        if not scripts:
            return None
        shares.append({name: n / scripts.total() for name, n in scripts.items()})
    first, second = shares
    # fsum: the same to the bit whichever text comes first.
    return min(math.fsum(min(share, second.get(x, 0.0)) for x, share in first.items()), 1.0)


def byte_divergence(one: Documents, other: Documents, *, order: int) -> float | None:
    """Returns the Jensen-Shannon divergence of two byte distributions, in bits (Lin 1991).

    Args:
        one: A text; n-grams do not cross its documents.
        other: The other text.
        order: 1 for single bytes, 2 for pairs of neighbours.

    Returns:
        0 for equal distributions to 1 for disjoint ones; None where a side has no n-grams.

    Raises:
        InputError: The order is neither 1 nor 2.
    """
    if order not in (1, 2):
        raise InputError(expected="an order of 1 or 2", got=str(order), where="order")
    counts = [_ngram_counts(documents, order) for documents in (one, other)]
    if not all(count.sum() for count in counts):
        return None
    first, second = (count / count.sum() for count in counts)
    middle = (first + second) / 2
    bits = (_relative_entropy(first, middle) + _relative_entropy(second, middle)) / 2
    return min(max(bits, 0.0), 1.0)


def bytes_per_character(documents: Documents) -> float | None:
    """Returns UTF-8 bytes by Unicode code points; None without text."""
    num_characters = sum(len(record.text) for record in documents)
    return documents.num_bytes / num_characters if num_characters else None


def typological_distances(one: Language, other: Language) -> tuple[Mapping[str, float] | None, str]:
    """Looks up URIEL's distances with the package lang2vec, where it is installed.

    Returns:
        Distances by name of `TYPOLOGICAL_DISTANCES`, or None; and why there are none, or "".
    """
    try:
        uriel = importlib.import_module("lang2vec.lang2vec")
    except ImportError as error:  # also its own dependencies, such as pkg_resources
        return None, f"the package lang2vec cannot be imported: {error}"
    codes = (one.iso639_3, other.iso639_3)
    try:
        found = {name: float(uriel.distance(name, *codes)) for name in TYPOLOGICAL_DISTANCES}
    except Exception as error:  # lang2vec raises nothing narrower for a language it lacks
        return None, f"lang2vec has no distance of {codes[0]} and {codes[1]}: {error}"
    return found, ""


def _interval(documents: NDArray[np.int64], *, seed: int) -> tuple[float, float] | None:
    if len(documents) < 2:
        return None
    generator = np.random.default_rng(derive(seed, "byte_premium", len(documents)))
    sums = np.stack(
        [
            documents[generator.integers(len(documents), size=len(documents))].sum(axis=0)
            for _ in range(NUM_RESAMPLES)
        ]
    )
    if not np.all(sums[:, 1] > 0):
        return None
    low, high = np.quantile(sums[:, 0] / sums[:, 1], [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2])
    return float(low), float(high)


def _ngram_counts(documents: Documents, order: int) -> NDArray[np.float64]:
    """Counts byte n-grams, (256**order,)."""
    counts = np.zeros(256**order, dtype=np.int64)
    for record in documents:
        data = np.frombuffer(record.text.encode("utf-8"), dtype=np.uint8).astype(np.int64)
        grams = data if order == 1 else 256 * data[:-1] + data[1:]
        # np.add.at, for a bincount over 65,536 bins costs more than a short text's bytes.
        np.add.at(counts, grams, 1)
    return counts.astype(np.float64)


def _relative_entropy(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    here = one > 0
    return float(np.sum(one[here] * np.log2(one[here] / other[here])))
