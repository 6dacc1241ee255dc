"""The alignment error rate by hand."""

import pytest

from lingraft.alignment import AlignmentScore, align, alignment_error_rate
from lingraft.corpus.records import Pair
from lingraft.errors import InputError

SURE = [{(0, 0), (1, 1)}, {(0, 0)}]
POSSIBLE = [{(0, 0), (1, 1), (1, 2)}, {(0, 0), (0, 1)}]
FOUND = [{(0, 0), (1, 2), (2, 2)}, {(0, 1)}]


def test_worked_example() -> None:
    # |A ∩ S| = 1, |A ∩ P| = 3, |A| = 4, |S| = 3: AER = 1 - 4/7
    score = alignment_error_rate(FOUND, SURE, POSSIBLE)
    assert score == AlignmentScore(1, 3, 4, 3)
    assert score.value == pytest.approx(3 / 7)
    assert score.precision == 3 / 4
    assert score.recall == 1 / 3
    assert score.reason is None


def test_scores_of_parts_add_up() -> None:
    parts = [
        alignment_error_rate(FOUND[k : k + 1], SURE[k : k + 1], POSSIBLE[k : k + 1]) for k in (0, 1)
    ]
    assert parts[0] + parts[1] == alignment_error_rate(FOUND, SURE, POSSIBLE)


def test_without_possible_links_it_is_one_minus_f1() -> None:
    score = alignment_error_rate(FOUND, SURE)
    assert score.value == pytest.approx(1 - 2 * 1 / (4 + 3))


def test_undefined_rates_are_none_with_a_reason() -> None:
    score = alignment_error_rate([set()], [set()], [{(0, 0)}])
    assert (score.value, score.precision, score.recall) == (None, None, None)
    assert score.reason == "neither links nor sure links"


def test_links_of_an_aligner_are_scored() -> None:
    links = align([Pair("cat", "γάτα", "1"), Pair("", "", "2")], seed=0)
    assert alignment_error_rate(links, [{(0, 0)}, set()]).value == 0


def test_a_sure_link_that_is_not_possible_is_refused() -> None:
    with pytest.raises(InputError, match=r"pair 1: expected every sure .*, got \(0, 0\) among"):
        alignment_error_rate(FOUND, SURE, [POSSIBLE[0], {(0, 1)}])


def test_numbers_of_pairs_must_agree() -> None:
    with pytest.raises(InputError, match="expected gold links for 1 pairs, got 2 sure and 2 poss"):
        alignment_error_rate([set()], SURE, POSSIBLE)
