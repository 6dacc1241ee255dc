"""Cleaning removes what is no translation, says why, and leaves the rest as it was."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lingraft.corpus import Pair, Pairs, clean_pairs, samples
from lingraft.corpus.cleaning import (
    POOR_LINKS,
    UNEQUAL_LENGTHS,
    WRONG_SOURCE,
    WRONG_TARGET,
)
from lingraft.errors import InputError
from lingraft.languages import Language

EN, NL, KO = (Language.parse(code) for code in ("en", "nl", "ko"))
ENGLISH = "The selected paragraphs are moved to the next page of the document."
DUTCH = "De geselecteerde alinea's worden naar de volgende pagina verplaatst."


def pairs_of(*sides: tuple[str, str], target: Language = NL) -> Pairs:
    return Pairs(tuple(Pair(a, b, str(n)) for n, (a, b) in enumerate(sides)), EN, target)


def test_a_side_in_another_language_is_removed_with_its_reason() -> None:
    pairs = pairs_of((ENGLISH, DUTCH), (ENGLISH, ENGLISH), (DUTCH, DUTCH), ("OK", "Cancel"))
    cleaned = clean_pairs(pairs, languages=True)
    assert [pair.id for pair in cleaned.kept] == ["0", "3"]
    assert cleaned.removed == pairs.records[1:3]
    assert cleaned.reasons == (WRONG_TARGET, WRONG_SOURCE)
    assert (cleaned.kept.source_lang, cleaned.kept.target_lang) == (EN, NL)


def test_a_language_that_the_identifier_does_not_know_passes() -> None:
    pairs = pairs_of((ENGLISH, ENGLISH), target=Language.parse("arn"))
    assert clean_pairs(pairs, languages=True).removed == ()


def test_lengths_are_judged_by_the_corpus_own_ratio() -> None:
    usual = [("a" * 90, "b" * 30)] * 20
    cleaned = clean_pairs(
        pairs_of(*usual, ("a" * 90, "b" * 90), ("a" * 9, "b" * 9), target=KO), max_length_ratio=2.0
    )
    # As long as the source is three times the usual; nine letters are too few to tell.
    assert [pair.id for pair in cleaned.removed] == ["20"]
    assert cleaned.reasons == (UNEQUAL_LENGTHS,)


def test_poor_links_are_removed_and_the_bound_itself_passes() -> None:
    cleaned = clean_pairs(
        pairs_of(*[("a", "b")] * 3), link_scores=[0.2, 0.3, 0.9], min_link_score=0.3
    )
    assert [pair.id for pair in cleaned.removed] == ["0"]
    assert cleaned.reasons == (POOR_LINKS,)


def test_shuffled_software_help_goes_and_true_pairs_stay() -> None:
    true = samples.load_pairs("valid", target_lang=NL)
    targets = [pair.target for pair in true]
    random.Random(0).shuffle(targets)
    wrong = replace(
        true,
        records=tuple(replace(pair, target=text) for pair, text in zip(true, targets, strict=True)),
    )
    kept_true = len(clean_pairs(true, max_length_ratio=1.5).kept) / len(true)
    kept_wrong = len(clean_pairs(wrong, max_length_ratio=1.5).kept) / len(true)
    assert kept_true > 0.97
    assert kept_wrong < 0.4


@given(
    st.lists(st.tuples(st.text(max_size=40), st.text(max_size=40)), max_size=8),
    st.floats(1.01, 5),
    st.data(),
)
def test_every_pair_is_kept_or_removed_in_order(
    sides: list[tuple[str, str]], ratio: float, data: st.DataObject
) -> None:
    pairs = pairs_of(*sides)
    scores = data.draw(st.lists(st.floats(0, 1), min_size=len(sides), max_size=len(sides)))
    cleaned = clean_pairs(pairs, max_length_ratio=ratio, link_scores=scores)
    ids = [pair.id for pair in pairs]
    kept, removed = ([pair.id for pair in part] for part in (cleaned.kept, cleaned.removed))
    assert sorted([*kept, *removed], key=int) == ids
    assert kept == sorted(kept, key=int)
    assert removed == sorted(removed, key=int)
    assert len(cleaned.reasons) == len(removed)
    assert clean_pairs(pairs).kept == pairs


@pytest.mark.parametrize(
    ("rules", "expected", "got", "where"),
    [
        ({"max_length_ratio": 1.0}, "a ratio above 1", "1.0", "max_length_ratio"),
        ({"max_length_ratio": float("nan")}, "a ratio above 1", "nan", "max_length_ratio"),
        ({"link_scores": [0.5]}, "2 scores, one for each pair", "1", "link_scores"),
    ],
)
def test_impossible_rules_are_refused(
    rules: dict[str, object], expected: str, got: str, where: str
) -> None:
    with pytest.raises(InputError) as caught:
        clean_pairs(pairs_of(("a", "b"), ("c", "d")), **rules)  # type: ignore[arg-type]
    error = caught.value
    assert (error.expected, error.got, error.where) == (expected, got, where)
