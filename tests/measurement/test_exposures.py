"""Effective exposures: the curve read backwards, censored at its ends."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lingraft.errors import InputError
from lingraft.measurement.exposures import effective_exposures
from lingraft.measurement.score import Score

CURVE = [(0, 0.0), (1, 1.0), (3, 2.0), (7, 3.0)]  # bits = log2(1 + exposures)


def bits(value: float, interval=None, reason: str = "") -> Score:
    return Score("bits_per_fact", "bits/fact", value, 1.0, interval=interval, reason=reason)


@given(st.floats(0, 3))
def test_a_logarithmic_curve_is_inverted_exactly(value) -> None:
    found = effective_exposures(bits(value, (value / 2, value)), CURVE)
    assert found.num_exposures == pytest.approx(2**value - 1, abs=1e-9)
    assert found.interval == pytest.approx((2 ** (value / 2) - 1, 2**value - 1), abs=1e-9)
    assert (found.censored, found.repaired, found.reason) == (None, False, "")


def test_beyond_the_curve_its_ends_bound_the_value() -> None:
    above = effective_exposures(bits(3.5, (2.0, 4.0)), CURVE)
    assert (above.num_exposures, above.censored) == (7, "at_least")
    assert above.interval == pytest.approx((3, 7))
    below = effective_exposures(bits(-0.5), CURVE)
    assert (below.num_exposures, below.censored, below.interval) == (0, "at_most", None)


def test_points_of_one_size_are_averaged_and_falls_are_pooled() -> None:
    points = [(7, 3.0), (1, 0.5), (1, 1.5), (0, 0.0), (3, 2.0)]
    assert effective_exposures(bits(1.0), points).num_exposures == pytest.approx(1)
    # Two points of 1 exposure against one of 3: pooled to 4/3, reached by 1 exposure.
    fallen = effective_exposures(bits(4 / 3), [(0, 0.0), (1, 2.0), (1, 2.0), (3, 0.0), (7, 3.0)])
    assert fallen.num_exposures == pytest.approx(1)
    assert fallen.repaired


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=6), st.floats(-6, 6), st.floats(-6, 6))
def test_more_bits_are_never_fewer_exposures(values, one, other) -> None:
    curve = list(enumerate(values))
    low, high = (effective_exposures(bits(x), curve).num_exposures for x in sorted((one, other)))
    assert low <= high


def test_a_flat_curve_is_reached_by_its_first_size() -> None:
    flat = [(1, 2.0), (5, 2.0)]
    found = [effective_exposures(bits(x), flat) for x in (1.0, 2.0, 3.0)]
    assert [(f.num_exposures, f.censored) for f in found] == [
        (1, "at_most"),
        (1, None),
        (5, "at_least"),
    ]


def test_undefined_bits_are_worth_nothing_known() -> None:
    found = effective_exposures(bits(1.0, reason="2 answers have no probability"), CURVE)
    assert (found.num_exposures, found.interval) == (None, None)
    assert found.reason == "2 answers have no probability"


@pytest.mark.parametrize(
    ("curve", "expected", "got"),
    [
        ([], "points of at least 2 numbers of exposures", "0"),
        ([(1, 0.0), (1, 1.0)], "points of at least 2 numbers of exposures", "1"),
        ([(-1, 0.0), (1, 1.0)], "finite bits of 0 or more exposures", "(-1.0, 0.0)"),
        ([(0, 0.0), (1, np.inf)], "finite bits of 0 or more exposures", "(1.0, inf)"),
    ],
)
def test_bad_curves_are_refused(curve, expected, got) -> None:
    with pytest.raises(InputError) as error:
        effective_exposures(bits(1.0), curve)
    assert (error.value.expected, error.value.got, error.value.where) == (expected, got, "curve")
