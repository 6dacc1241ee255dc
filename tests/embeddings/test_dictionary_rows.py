"""Rows from dictionary entries: which spellings count, and what they carry."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from transfer_cases import random_rows_of, words

from lingraft.corpus.records import Document, Pair
from lingraft.embeddings import dictionary_rows
from lingraft.embeddings.dictionary import dictionary_table
from lingraft.embeddings.vectors import count_words
from lingraft.errors import InputError
from lingraft.tokenizer import Tokenizer, train_bpe


def entries(*pairs: tuple[str, str]) -> list[Pair]:
    return [Pair(source, target, str(number)) for number, (source, target) in enumerate(pairs)]


@pytest.fixture(scope="module")
def english() -> Tokenizer:
    text = "bridge Bridge old river " * 5
    return train_bpe([Document(text, "1")], vocab_size=300)


@pytest.fixture(scope="module")
def greek() -> Tokenizer:
    text = "γεφύρι Γεφύρι παλιό ποτάμι " * 5
    return train_bpe([Document(text, "1")], vocab_size=340)


def test_every_spelling_of_an_entry_finds_its_own(english: Tokenizer, greek: Tokenizer) -> None:
    rows = random_rows_of(english)
    matrix = dictionary_rows(
        rows, dictionary=entries(("bridge", "γεφύρι")), source=english, target=greek
    )
    assert matrix.method == "dictionary"
    for theirs, ours in ((" bridge", " γεφύρι"), (" Bridge", " Γεφύρι")):
        [here], [there] = greek.encode(ours), english.encode(theirs)
        assert_array_equal(matrix.rows[here], rows[there])
        assert matrix.origin(here).support == 1.0


def test_entries_are_counted_as_often_as_they_are_there() -> None:
    source = words("old", "bridge", "span")
    target = words("γεφύρι", "παλιό", special=["[UNK]"])
    matrix = dictionary_rows(
        random_rows_of(source),
        dictionary=entries(("bridge", "γεφύρι"), ("span", "γεφύρι"), ("bridge", "γεφύρι")),
        source=source,
        target=target,
    )
    origin = matrix.origin(1)
    assert (origin.source, origin.support) == ((1, 2), 3.0)
    assert origin.weights == pytest.approx((2 / 3, 1 / 3))
    assert matrix.origin(2).rule == "mean"


def test_frequent_words_count_more() -> None:
    source = words("sea", "old", "see", special=["[UNK]"])
    target = words("sea", "γ", special=["[UNK]"])
    counts = count_words(["Γ γ, γ", "γ; δ"])
    assert counts == {"γ": 4, ",": 1, ";": 1, "δ": 1}
    given = entries(("sea", "Γ"), ("old", "γ"), ("see", "ж"))
    spelt = words("γ", "Γ", special=["[UNK]"])
    table = dictionary_table(given, source=source, target=spelt, word_counts=counts)
    assert_array_equal(table.support, [0, 5, 5])
    assert_array_equal(dictionary_table(given, source=source, target=spelt).support, [0, 1, 1])
    plain, weighed = (
        dictionary_rows(
            random_rows_of(source),
            dictionary=entries(("sea", "γ"), ("old", "γ")),
            source=source,
            target=target,
            word_counts=more,
        )
        for more in (None, counts)
    )
    assert_array_equal(plain.rows, weighed.rows)
    assert_allclose(weighed.support, plain.support * 5)


def test_phrases_share_themselves_out_in_order() -> None:
    source, target = words("old", "bridge"), words("παλιό", "γεφύρι")
    given = entries(("old bridge", "παλιό γεφύρι"))
    table = dictionary_table(given, source=source, target=target, split="assumed")
    assert_allclose(table.row(0)[1], [0.75, 0.25])
    assert_allclose(table.support, [1, 1])
    learned = dictionary_table(
        [*given, *entries(("old", "παλιό"), ("bridge", "γεφύρι"))],
        source=source,
        target=target,
        split="learned",
    )
    assert learned.row(0)[1][0] > 1.8


def test_words_that_a_vocabulary_cannot_spell_are_left_out() -> None:
    known = words("bridge", "γεφύρι", special=["[UNK]"])
    for entry in (("bridge", "ж"), ("ж", "γεφύρι"), ("", "γεφύρι"), ("bridge", "")):
        table = dictionary_table(entries(entry), source=known, target=known)
        assert_array_equal(table.support, np.zeros(3))


def test_an_unknown_split_is_refused() -> None:
    one = words("a")
    with pytest.raises(InputError, match="split: expected a split of assumed, learned") as caught:
        dictionary_rows(random_rows_of(one), dictionary=[], source=one, target=one, split="guessed")
    assert caught.value.got == "'guessed'"
