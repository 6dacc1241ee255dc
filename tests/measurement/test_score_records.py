"""Scores: sums first, addition, records and intervals."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lingraft.corpus.records import data_hash
from lingraft.errors import InputError
from lingraft.measurement import Score, bootstrap_interval

sums = st.floats(0, 1e6).filter(lambda value: value == 0 or value > 1e-6)
items = st.lists(st.tuples(sums, sums), max_size=5).map(tuple)
names = st.text(max_size=5)


@st.composite
def scores(draw: st.DrawFn, **fixed: object) -> Score:
    parts = draw(items)
    return Score(
        **{
            "name": draw(names),
            "unit": draw(names),
            "numerator": sum(part[0] for part in parts),
            "denominator": sum(part[1] for part in parts),
            "scale": draw(st.floats(0.1, 10)),
            "items": parts,
            "signature": {"data": draw(names), "seed": draw(st.integers(0, 9))},
            "interval": draw(st.none() | st.tuples(sums, sums)),
            "reason": draw(st.sampled_from(["", "lossy"])),
            "statistics": {"num_tokens": draw(st.integers(0, 99))},
        }
        | fixed
    )


parts_of_one = scores(name="n", unit="u", scale=2.0, signature={"data": "d", "seed": 0})


@given(scores())
def test_a_record_gives_the_score_back(score: Score) -> None:
    assert Score.from_record(json.loads(json.dumps(score.to_record()))) == score


@given(scores())
def test_a_value_is_missing_exactly_when_there_is_a_reason(score: Score) -> None:
    assert (score.value is None) == bool(score.reason)
    if score.value is not None:
        assert score.value == score.scale * score.numerator / score.denominator


@given(st.lists(parts_of_one, min_size=3, max_size=3), st.permutations(range(3)))
def test_addition_depends_neither_on_order_nor_on_brackets(
    parts: list[Score], order: list[int]
) -> None:
    parts = [
        replace(part, signature={**part.signature, "data": name})
        for part, name in zip(parts, "bca", strict=True)
    ]
    left = (parts[0] + parts[1]) + parts[2]
    right = parts[order[0]] + (parts[order[1]] + parts[order[2]])
    assert right.numerator == pytest.approx(left.numerator)
    assert right.denominator == pytest.approx(left.denominator)
    assert right.signature == left.signature
    assert right.signature["data"] == "a+b+c"
    assert (right.value is None) == (left.value is None)
    assert sorted(right.items) == sorted(left.items)


def test_a_sum_is_undefined_when_a_part_of_it_is() -> None:
    good = Score("n", "u", 3.0, 4.0)
    lossy = Score("n", "u", 1.0, 1.0, reason="lossy")
    assert (good + good).value == 0.75
    assert ((good + lossy).value, (good + lossy).reason) == (None, "lossy")
    assert ((lossy + good).value, (lossy + good).reason) == (None, "lossy")


@pytest.mark.parametrize(
    "change",
    [{"name": "other"}, {"unit": "nats"}, {"scale": 3.0}, {"signature": {"data": "d", "seed": 1}}],
)
def test_different_measurements_do_not_add(change: dict[str, object]) -> None:
    score = Score("name", "bits", 1.0, 2.0, scale=2.0, signature={"data": "d", "seed": 0})
    other = replace(score, **change)
    with pytest.raises(InputError, match=r"^Score: expected two parts of one measurement, ") as e:
        score + other
    assert e.value.got == str(other._settings())


def test_the_sum_has_no_interval_of_a_part() -> None:
    score = Score("n", "u", 1.0, 2.0, interval=(0.4, 0.6))
    assert (score + score).interval is None


def test_the_interval_is_seeded_and_holds_the_ratio() -> None:
    generator = np.random.default_rng(0)
    pairs = [(float(a), 100.0) for a in generator.normal(200, 20, size=50)]
    first, again, other = (bootstrap_interval(pairs, scale=0.5, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert first is not None
    low, high = first
    assert low < 0.5 * sum(a for a, _ in pairs) / 5000 < high
    # The standard error of the mean is 20 / √50 ≈ 2.83 of 200; the interval spans 2 · 1.96 of it.
    assert high - low == pytest.approx(2 * 1.96 * 0.5 * 2.83 / 100, rel=0.25)


def test_resampling_is_paired_between_models() -> None:
    pairs = [(1.0, 2.0), (5.0, 3.0), (2.0, 7.0)]
    worse = [(2 * a, b) for a, b in pairs]
    ours, theirs = (bootstrap_interval(p, scale=1, seed=3) for p in (pairs, worse))
    assert ours is not None
    assert theirs == pytest.approx([2 * edge for edge in ours])


@pytest.mark.parametrize("pairs", [[], [(1.0, 2.0)], [(1.0, 0.0), (1.0, 0.0)]])
def test_no_interval_without_two_documents_of_text(pairs: list[tuple[float, float]]) -> None:
    assert bootstrap_interval(pairs, scale=1.0, seed=0) is None


@given(st.lists(st.text(max_size=4), max_size=4), st.lists(st.text(max_size=4), max_size=4))
def test_texts_with_one_hash_are_equal(first: list[str], second: list[str]) -> None:
    assert (data_hash(first) == data_hash(second)) == (first == second)
