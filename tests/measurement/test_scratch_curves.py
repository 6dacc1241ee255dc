"""Curves from scratch: many at once as one at a time by scipy, and how far draws may stray."""

import math

import numpy as np
import pytest
from scipy.interpolate import PchipInterpolator
from scipy.optimize import isotonic_regression, least_squares

from lingraft.measurement.curve_fits import (
    Array,
    Fit,
    linear_pieces,
    log_log_pieces,
    log_log_smooth,
    power_law,
)
from lingraft.measurement.scratch_curves import ScratchCurves, pooled

SIZES = np.array([3e4, 1e5, 3e5, 1e6, 3e6, 1e7])
ONES = np.ones(len(SIZES))


def falling(num_curves: int, num_sizes: int = len(SIZES)) -> Array:
    """Log losses of random curves that fall."""
    nats = np.random.default_rng(0).uniform(0.8, 4.0, (num_curves, num_sizes))
    return np.log(np.sort(nats, axis=1)[:, ::-1])


def losses_within(log_nats: Array) -> Array:
    shares = np.random.default_rng(1).uniform(size=len(log_nats))
    return np.asarray(log_nats[:, -1] + shares * (log_nats[:, 0] - log_nats[:, -1]))


def test_many_curves_are_pooled_as_scipy_pools_one() -> None:
    generator = np.random.default_rng(3)
    curves, weights = generator.normal(size=(200, 6)), generator.integers(1, 4, 6).astype(float)
    expected = [isotonic_regression(curve, weights=weights, increasing=False).x for curve in curves]
    assert pooled(curves, weights) == pytest.approx(np.array(expected), abs=1e-12)
    assert (np.diff(pooled(curves, weights)) <= 0).all()


@pytest.mark.parametrize("num_sizes", [2, 3, 6])
def test_fits_of_many_curves_are_those_of_scipy(num_sizes: int) -> None:
    x, curves = np.log(SIZES[:num_sizes]), falling(100, num_sizes)
    losses = losses_within(curves)
    expected = {
        log_log_smooth: [
            PchipInterpolator(y[::-1], x[::-1])(q) for y, q in zip(curves, losses, strict=True)
        ],
        log_log_pieces: [
            np.interp(q, y[::-1], x[::-1]) for y, q in zip(curves, losses, strict=True)
        ],
        linear_pieces: [
            math.log(np.interp(np.exp(np.exp(q)), np.exp(np.exp(y))[::-1], np.exp(x)[::-1]))
            for y, q in zip(curves, losses, strict=True)
        ],
    }
    for fit, values in expected.items():
        assert fit(x, curves)(losses) == pytest.approx(np.array(values), abs=1e-9), fit.__name__


def test_the_power_law_is_the_best_of_its_family() -> None:
    """Against scipy's least squares from two starts, on curves that are no power law."""
    x, curves = np.log(SIZES), falling(20)
    centred = x - x.mean()

    def by_scipy(y: Array, loss: float) -> float:
        def misfit(p: Array) -> Array:
            return np.asarray(np.logaddexp(p[0], p[1] - np.exp(p[2]) * centred) - y)

        mean, best = math.exp(y.mean()), math.exp(y[-1])
        starts = [
            (math.log(s * best), math.log(mean - s * best), math.log(0.3)) for s in (0.8, 0.3)
        ]
        fits = [least_squares(misfit, start, max_nfev=500) for start in starts]
        log_c, log_a, log_b = min(fits, key=lambda fit: float(fit.cost)).x
        above = math.exp(loss) - math.exp(log_c)
        if above <= 0:
            return math.inf
        return float(x.mean() + (log_a - math.log(above)) / math.exp(log_b))

    losses = losses_within(curves)
    expected = [by_scipy(y, q) for y, q in zip(curves, losses, strict=True)]
    assert power_law(x, curves)(losses) == pytest.approx(np.array(expected), abs=1e-3)


@pytest.mark.parametrize("fit", [log_log_pieces, log_log_smooth, linear_pieces, power_law])
def test_a_single_curve_is_read_at_many_losses(fit: Fit) -> None:
    [curve] = falling(1)
    levels = np.linspace(curve[0], curve[-1], 20)
    at_once = ScratchCurves(SIZES, curve[None], ONES, [fit]).invert(levels)
    for level, found in zip(levels, at_once, strict=True):
        assert ScratchCurves(SIZES, curve[None], ONES, [fit]).invert(np.array([level])) == [found]
    sizes = [found.num_bytes for found in at_once]
    assert sizes == sorted(sizes)


def test_fits_take_turns() -> None:
    curves = np.repeat(falling(1), 4, axis=0)
    losses = np.full(4, curves[0, :2].mean())
    found = ScratchCurves(SIZES, curves, ONES, [log_log_pieces, linear_pieces]).invert(losses)
    [one] = ScratchCurves(SIZES, curves[:1], ONES, [log_log_pieces]).invert(losses[:1])
    [other] = ScratchCurves(SIZES, curves[:1], ONES, [linear_pieces]).invert(losses[:1])
    assert found == [one, other, one, other]
    assert one != other


def test_the_furthest_misfit_is_told() -> None:
    [curve] = np.log([[2.5, 2.4, 1.5, 1.42, 1.41, 1.40]])
    size, read = ScratchCurves(SIZES, curve[None], ONES, [power_law]).misfit()
    factors = []
    for knot, level in zip(SIZES, curve, strict=True):
        found = power_law(np.log(SIZES), curve[None])(np.array([level]))[0]
        factors.append(abs(found - math.log(knot)))
        if knot == size:
            assert math.exp(min(found, 700)) == pytest.approx(min(read, 1e304))
    assert max(factors) == factors[list(SIZES).index(size)]
    size, read = ScratchCurves(SIZES, curve[None], ONES, [log_log_pieces]).misfit()
    assert read == pytest.approx(size)


def strayed(sizes: Array, share: float, num_draws: int = 4000) -> Array:
    """Log sizes that draws of a straight curve read, a share of the way through the first gap."""
    curve = -np.log(sizes)[None] * 0.1
    ranks = np.random.default_rng(5).random((num_draws, len(sizes) - 1))
    curves = ScratchCurves(
        sizes, np.repeat(curve, num_draws, 0), np.ones(len(sizes)), [log_log_pieces], ranks
    )
    loss = curve[0, 0] + share * (curve[0, 1] - curve[0, 0])
    return np.log([found.num_bytes for found in curves.invert(np.full(num_draws, loss))])


def test_draws_stray_within_their_gap_and_the_further_the_wider_it_is() -> None:
    factors = np.array([2.0, 3.3, 10.0, 100.0, 1000.0])
    deviations = []
    for factor in factors:
        found = strayed(np.array([1e4, 1e4 * factor, 1e4 * factor**2]), 0.5)
        assert (found >= math.log(1e4)).all()
        assert (found <= math.log(1e4 * factor) + 1e-9).all()
        assert found.mean() == pytest.approx(math.log(1e4 * factor**0.5), rel=0.02)
        deviations.append(found.std() / math.log(factor))
    assert deviations == sorted(deviations)
    # As far off as a line is from a curve whose slope changes by e^0.75 in each unit: βw²/8.
    assert deviations[0] == pytest.approx(0.75 * math.log(2) / 8, rel=0.1)
    assert deviations[-1] > 0.45, "half of the draws at each end"


def test_draws_pass_through_the_points_and_fall() -> None:
    sizes = np.array([1e4, 1e5, 1e6])
    for share, size in ((0.0, 1e4), (1.0, 1e5)):
        assert strayed(sizes, share, 50) == pytest.approx(math.log(size))
    steps = np.array([strayed(sizes, share, 200) for share in np.linspace(0, 1, 30)])
    assert (np.diff(steps, axis=0) >= -1e-9).all()


def test_sizes_with_neighbours_on_both_sides_bound_the_curve_better() -> None:
    alone = strayed(np.array([1e4, 3e4, 9e4]), 0.5).std()
    before = np.array([3e2, 1e3, 3e3, 9e3, 2.7e4, 8.1e4])
    curve = -np.log(before)[None] * 0.1
    ranks = np.random.default_rng(5).random((4000, 5))
    curves = ScratchCurves(before, np.repeat(curve, 4000, 0), ONES, [log_log_pieces], ranks)
    inner = curves.invert(np.full(4000, curve[0, 2:4].mean()))
    assert np.log([found.num_bytes for found in inner]).std() < 0.3 * alone
