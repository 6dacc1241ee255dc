"""Similarity of languages by bytes: closed forms, bounds, and optional typology."""

import math
import sys
from collections import Counter
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lingraft.corpus import Document, Documents, Pair, Pairs, samples
from lingraft.corpus.similarity import (
    TYPOLOGICAL_DISTANCES,
    byte_divergence,
    byte_premium,
    bytes_per_character,
    script_overlap,
    similarity,
    typological_distances,
)
from lingraft.errors import InputError
from lingraft.languages import Language

EN, RU, EL = map(Language.parse, ("en", "ru", "el"))
NAME = "a text"

texts = st.lists(st.text(alphabet="abждω1 \n", max_size=12), max_size=4)


def corpus(*parts: str, lang: Language = EN) -> Documents:
    return Documents(tuple(Document(x, str(i)) for i, x in enumerate(parts)), lang)


def parallel(*rows: tuple[str, str, str]) -> Pairs:
    return Pairs(tuple(Pair(*row) for row in rows), EN, RU)


def slow_divergence(one: Documents, other: Documents, order: int) -> float | None:
    """Entropy of the mixture less the mean entropy, with dictionaries."""
    shares = []
    for documents in (one, other):
        data = [record.text.encode("utf-8") for record in documents]
        grams = Counter(x[i : i + order] for x in data for i in range(len(x) - order + 1))
        if not grams:
            return None
        shares.append({gram: n / grams.total() for gram, n in grams.items()})
    first, second = shares
    middle = {x: (first.get(x, 0) + second.get(x, 0)) / 2 for x in {*first, *second}}
    entropies = [-sum(p * math.log2(p) for p in x.values()) for x in (middle, first, second)]
    return entropies[0] - (entropies[1] + entropies[2]) / 2


@given(texts, texts, st.sampled_from([1, 2]))
def test_divergence_is_jensen_and_shannons(one, other, order) -> None:
    first, second = corpus(*one), corpus(*other)
    found = byte_divergence(first, second, order=order)
    expected = slow_divergence(first, second, order)
    assert found == (None if expected is None else pytest.approx(expected, abs=1e-12))
    assert found == byte_divergence(second, first, order=order)
    if found is not None:
        assert 0 <= found <= 1
        assert byte_divergence(first, first, order=order) == 0


def test_divergence_of_known_texts() -> None:
    assert byte_divergence(corpus("aabb"), corpus("ab"), order=1) == 0
    assert byte_divergence(corpus("ab"), corpus("cd"), order=1) == 1
    # Order 2 sees the order of letters, and no pair across two documents.
    assert byte_divergence(corpus("abab"), corpus("baba"), order=2) > 0
    assert byte_divergence(corpus("ab", "ab"), corpus("ab"), order=2) == 0
    with pytest.raises(InputError, match=r"order: expected an order of 1 or 2, got 3"):
        byte_divergence(corpus("ab"), corpus("ab"), order=3)


def test_scripts_overlap_by_their_shares() -> None:
    assert script_overlap(corpus("abc д"), corpus("ab дж")) == pytest.approx(0.5 + 0.25)
    assert script_overlap(corpus("abc"), corpus("дж")) == 0
    assert script_overlap(corpus("abc 123"), corpus("xyz", "! w")) == 1
    assert script_overlap(corpus("123"), corpus("abc")) is None
    assert script_overlap(corpus("abc"), corpus()) is None


@given(texts, texts)
def test_script_overlap_is_symmetric_and_bounded(one, other) -> None:
    found = script_overlap(corpus(*one), corpus(*other))
    assert found == script_overlap(corpus(*other), corpus(*one))
    assert found is None or 0 <= found <= 1


def test_bytes_per_character() -> None:
    assert bytes_per_character(corpus("ab", "жд")) == 6 / 4
    assert bytes_per_character(corpus("", "")) is None


def test_the_premium_is_a_ratio_of_sums() -> None:
    pairs = parallel(("a", "жж", "1"), ("abcdefgh", "ж", "2"))
    found = byte_premium(pairs, text=NAME, seed=0)
    assert (found.num_bytes, found.reference_bytes, found.value) == (6, 9, 6 / 9)
    assert (found.lang, found.reference_lang, found.text) == (RU, EN, NAME)
    low, high = found.interval
    assert low == pytest.approx(2 / 8)
    assert high == pytest.approx(4)
    assert found.describe() == (
        "rus_Cyrl against eng_Latn, a text: 0.667 bytes a byte (0.250 to 4.000; 2 documents)"
    )


def test_rows_of_a_page_are_resampled_together() -> None:
    rows = [
        ("ab" * (i % 7 + 1), "ж" * (1 + 5 * (i // 10 % 2)), f"p{i // 10}#{i}") for i in range(90)
    ]
    together = byte_premium(parallel(*rows), text=NAME, seed=0)
    alone = byte_premium(
        parallel(*((a, b, str(i)) for i, (a, b, _) in enumerate(rows))), text=NAME, seed=0
    )
    assert (together.num_documents, alone.num_documents) == (9, 90)
    assert together.value == alone.value
    assert np.diff(together.interval) > 1.5 * np.diff(alone.interval)


def test_premiums_without_interval_or_value() -> None:
    one = byte_premium(parallel(("ab", "ж", "1#1"), ("ab", "ж", "1#2")), text=NAME, seed=0)
    assert (one.num_documents, one.interval) == (1, None)
    assert one.describe().endswith("1.000 bytes a byte (no interval; 1 documents)")
    none = byte_premium(parallel(("", "ж", "1"), ("", "ж", "2")), text=NAME, seed=0)
    assert (none.value, none.interval) == (None, None)
    assert none.describe().endswith("undefined, the reference has no bytes")
    assert byte_premium(parallel(), text=NAME, seed=0).value is None
    with pytest.raises(
        InputError, match=r"text: expected the name of the parallel text, got nothing; premiums of"
    ):
        byte_premium(parallel(("a", "b", "1")), text="", seed=0)


def test_real_texts_compare_as_they_should() -> None:
    english = samples.load_documents("valid", lang=EN)
    russian, dutch = (samples.load_documents("valid", lang=Language.parse(x)) for x in ("ru", "nl"))
    pairs = samples.load_pairs("valid", target_lang=RU)
    far = similarity(english, russian, pairs=pairs, text="help, valid", seed=0)
    near = similarity(english, dutch, seed=0)
    assert near.script_overlap > 0.99 > 0.1 > far.script_overlap
    assert near.unigram_divergence_bits < near.bigram_divergence_bits < far.unigram_divergence_bits
    assert far.source_bytes_per_character < 1.01
    assert 1.7 < far.target_bytes_per_character < 1.9
    assert far.byte_premium == byte_premium(pairs, text="help, valid", seed=0)
    assert far.byte_premium.interval[0] < far.byte_premium.value < far.byte_premium.interval[1]
    assert (near.byte_premium, near.source_lang) == (None, EN)


def test_pairs_have_to_be_of_the_two_languages() -> None:
    with pytest.raises(
        InputError, match=r"pairs: expected pairs of eng_Latn and ell_Grek, got eng_Latn and rus_"
    ):
        similarity(corpus("a"), corpus("b", lang=EL), pairs=parallel(), text=NAME, seed=0)


def test_typology_is_optional(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "lang2vec", None)
    monkeypatch.setitem(sys.modules, "lang2vec.lang2vec", None)
    distances, reason = typological_distances(EN, RU)
    assert distances is None
    assert reason.startswith("the package lang2vec cannot be imported: ")
    found = similarity(corpus("a"), corpus("b", lang=RU), seed=0)
    assert (found.typology, found.typology_reason) == (None, reason)


def test_typology_comes_from_lang2vec(monkeypatch) -> None:
    known = {"eng": 0.25, "rus": 0.75}

    def distance(name: str, one: str, other: str) -> np.float64:
        if other not in known:
            raise Exception(f"unknown language {other}")
        return np.float64(len(name) / 100 + known[other] - known[one])

    package, module = ModuleType("lang2vec"), ModuleType("lang2vec.lang2vec")
    module.distance = distance
    monkeypatch.setitem(sys.modules, "lang2vec", package)
    monkeypatch.setitem(sys.modules, "lang2vec.lang2vec", module)
    found = similarity(corpus("a"), corpus("b", lang=RU), seed=0)
    assert found.typology == {x: len(x) / 100 + 0.5 for x in TYPOLOGICAL_DISTANCES}
    assert found.typology_reason == ""
    assert typological_distances(EN, EL) == (
        None,
        "lang2vec has no distance of eng and ell: unknown language ell",
    )
