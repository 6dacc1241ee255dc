"""Held-out text stays out, budgets are kept to the byte, splits share nothing."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lingraft.corpus import hold_out, matching_key, random_split, take_bytes
from lingraft.corpus.records import Document, Documents, Pair, Pairs, Rejected
from lingraft.errors import InputError
from lingraft.languages import Language

EN, EL = Language.parse("en"), Language.parse("el")
TEXT = st.text(st.sampled_from("aAbéΣσ1 2.'’-\u200c"), max_size=5)


def _documents(texts):
    return Documents(tuple(Document(text, str(i)) for i, text in enumerate(texts)), EL)


def _pairs(sides):
    return Pairs(tuple(Pair(s, t, str(i)) for i, (s, t) in enumerate(sides)), EN, EL)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("See  Chapter 12!", "see chapter 3"),
        ("don't", "don’t"),
        ("STRASSE", "straße"),
        ("ΣΟΦΟΣ", "σοφος"),
        ("cafe\u0301", "café"),
        ("می\u200cشود", "میشود"),
        ("\uff21\uff22\uff23 x²", "abc x7"),
        ("co\u00adoperate\ufeff", "cooperate"),
        ("١٢", "3"),
        ("a\u2028b", "a b"),
    ],
)
def test_texts_that_differ_in_dress_only_match(a, b):
    assert matching_key(a) == matching_key(b)


@pytest.mark.parametrize(
    ("a", "b"), [("की", "का"), ("ab", "a b"), ("résumé", "resume"), ("x 1", "x")]
)
def test_texts_that_differ_in_letters_marks_or_words_do_not_match(a, b):
    assert matching_key(a) != matching_key(b)


def test_the_key_of_plain_text_is_that_of_the_samples_own_split():
    assert matching_key("Press Ctrl+F12_now (twice)!") == "press ctrl f0 now twice"


@given(text=st.text())
def test_keys_are_their_own_keys(text):
    assert matching_key(matching_key(text)) == matching_key(text)


@given(
    train=st.lists(st.tuples(TEXT, TEXT), max_size=12),
    pairs=st.lists(st.tuples(TEXT, TEXT), max_size=4),
    texts=st.lists(TEXT, max_size=4),
)
def test_nothing_kept_matches_and_everything_removed_does(train, pairs, texts):
    keys = {matching_key(text) for text in [*texts, *(side for pair in pairs for side in pair)]}
    rows = _pairs(train)
    result = hold_out(rows, [_pairs(pairs), _documents(texts)])
    sides = [(matching_key(p.source) in keys, matching_key(p.target) in keys) for p in rows]
    assert list(result.kept) == [p for p, side in zip(rows, sides, strict=True) if not any(side)]
    assert list(result.removed) == [p for p, side in zip(rows, sides, strict=True) if any(side)]
    assert result.num_removed_source == sum(source for source, _ in sides)
    assert result.num_removed_target == sum(target for _, target in sides)


def test_documents_are_held_out_from_either_side_of_pairs():
    train = Documents(
        _documents(["ένα", "Δύο!", "τρία"]).records, EL, (Rejected("f", 1, "NUL character"),)
    )
    result = hold_out(train, [_pairs([("two", "δύο"), ("Τρία", "three")])])
    assert [d.text for d in result.kept] == ["ένα"]
    assert [d.text for d in result.removed] == ["Δύο!", "τρία"]
    assert (result.num_removed_source, result.num_removed_target) == (2, 0)
    assert (result.kept.lang, result.kept.rejected) == (EL, train.rejected)


def test_without_held_out_text_all_is_kept():
    train = _pairs([("a", "b")])
    assert hold_out(train, []).kept == train


@given(texts=st.lists(st.text(max_size=6), max_size=8), num_bytes=st.integers(1, 60))
@example(texts=["αβγ"], num_bytes=3)
def test_takes_are_exact_prefixes_cut_between_characters(texts, num_bytes):
    taken = take_bytes(_documents(texts), num_bytes)
    whole = "".join(texts)
    got = "".join(document.text for document in taken)
    assert whole.startswith(got)
    assert taken.num_bytes == len(got.encode()) <= num_bytes
    if got != whole:
        following = whole[len(got)]
        assert taken.num_bytes + len(following.encode()) > num_bytes
    assert [d.text for d in taken][:-1] == texts[: max(0, len(taken) - 1)]


@given(texts=st.lists(st.text(max_size=6), max_size=8), a=st.integers(1, 40), b=st.integers(1, 40))
def test_a_smaller_take_is_a_take_of_the_larger(texts, a, b):
    small, large = sorted((a, b))
    documents = _documents(texts)
    assert take_bytes(take_bytes(documents, large), small) == take_bytes(documents, small)


def test_a_take_keeps_ids_and_the_documents_before_the_cut():
    documents = _documents(["αβ", "γδ", "ε"])
    assert take_bytes(documents, 7).records == (Document("αβ", "0"), Document("γ", "1"))
    assert take_bytes(documents, 4).records == (Document("αβ", "0"),)
    assert take_bytes(documents, 99) == documents


@pytest.mark.parametrize("num_bytes", [0, -5])
def test_takes_of_nothing_are_refused(num_bytes):
    with pytest.raises(InputError, match=f"expected a positive number of bytes, got {num_bytes}"):
        take_bytes(_documents(["a"]), num_bytes)


@given(
    texts=st.lists(st.sampled_from([f"text {c}" for c in "abcdefghij"]), min_size=1, max_size=20),
    num_valid=st.integers(0, 3),
    num_test=st.integers(0, 3),
    seed=st.integers(0, 5),
)
def test_splits_have_the_sizes_asked_for_and_share_no_text(texts, num_valid, num_test, seed):
    documents = _documents(texts)
    if num_valid + num_test >= len(set(texts)):
        with pytest.raises(
            InputError, match=f"got {num_valid} valid and {num_test} test documents"
        ):
            random_split(documents, num_valid=num_valid, num_test=num_test, seed=seed)
        return
    split = random_split(documents, num_valid=num_valid, num_test=num_test, seed=seed)
    assert split == random_split(documents, num_valid=num_valid, num_test=num_test, seed=seed)
    parts = (split.train, split.valid, split.test)
    assert (len(split.valid), len(split.test)) == (num_valid, num_test)
    keys = [{matching_key(d.text) for d in part} for part in parts]
    assert sum(map(len, keys)) == len(set.union(*keys))
    assert sum(map(len, parts)) + split.num_removed == len(texts)
    for part in parts:
        assert [int(d.id) for d in part] == sorted(int(d.id) for d in part)
        assert all(documents.records[int(d.id)] == d for d in part)


def test_other_seeds_give_other_splits_and_shares_are_of_all_documents():
    documents = _documents([f"text {'x' * i}" for i in range(100)])
    splits = {random_split(documents, valid_share=0.05, num_test=10, seed=s).test for s in range(3)}
    assert len(splits) == 3
    split = random_split(documents, valid_share=0.05, num_test=10, seed=0)
    assert tuple(map(len, (split.train, split.valid, split.test))) == (85, 5, 10)


@pytest.mark.parametrize(
    ("amounts", "got"),
    [
        ({}, "num_valid=None, valid_share=None"),
        ({"num_valid": 1, "valid_share": 0.1}, "num_valid=1, valid_share=0.1"),
        ({"valid_share": 1.0}, "1.0"),
        ({"valid_share": -0.1}, "-0.1"),
        ({"valid_share": float("nan")}, "nan"),
        ({"num_valid": -1}, "-1 valid and 1 test documents"),
    ],
)
def test_bad_amounts_are_refused(amounts, got):
    with pytest.raises(InputError) as caught:
        random_split(_documents(["a", "b", "c"]), num_test=1, seed=0, **amounts)
    assert caught.value.got == got
