"""Ways to draw a falling curve of log loss over log bytes, each fitted to many curves at once.

A fit takes log bytes (K,), rising, and log losses (B, K), each row strictly falling, with K of 2
or more. It returns the inverse of its B curves: one log loss each (B,) to log bytes (B,), or for
a single curve any number of losses.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Inverse = Callable[[Array], Array]
Fit = Callable[[Array, Array], Inverse]

_LEAST_COST_FALL = 1e-13  # of the largest term, where a fit of the power law stops
_MAX_STEPS = 300


def log_log_pieces(log_bytes: Array, log_nats: Array) -> Inverse:
    """Straight lines in (log bytes, log loss), where curves are near straight."""

    def inverse(losses: Array) -> Array:
        place, share = _place(log_nats, losses)
        left = log_bytes[place]
        return np.asarray(left + share * (log_bytes[place + 1] - left))

    return inverse


def linear_pieces(log_bytes: Array, log_nats: Array) -> Inverse:
    """Straight lines in (bytes, perplexity): the published space without its wrap-around."""
    nats = np.exp(log_nats)
    # As multiples of the worst: a draw far off must not overflow.
    num_bytes, perplexities = np.exp(log_bytes), np.exp(nats - nats[:, :1])

    def inverse(losses: Array) -> Array:
        place, share = _place(perplexities, np.exp(np.exp(losses) - nats[:, 0]))
        left = num_bytes[place]
        return np.asarray(np.log(left + share * (num_bytes[place + 1] - left)))

    return inverse


def log_log_smooth(log_bytes: Array, log_nats: Array) -> Inverse:
    """Monotone cubics through the points in (log loss, log bytes) (Fritsch and Carlson 1980)."""
    steps = np.diff(log_nats)  # below 0
    secants = np.diff(log_bytes) / steps
    slopes = _monotone_slopes(steps, secants)

    def inverse(losses: Array) -> Array:
        place, t = _place(log_nats, losses)
        rises = (1 - t) ** 2 * _at(slopes, place) - t * (1 - t) * _at(slopes, place + 1)
        left, right = log_bytes[place], log_bytes[place + 1]
        bent = t * _at(steps, place) * rises
        return np.asarray(left + t * t * (3 - 2 * t) * (right - left) + bent)

    return inverse


def power_law(log_bytes: Array, log_nats: Array) -> Inverse:
    """L(D) = c + a · D^-b, fitted by least squares of log loss with c, a, b ≥ 0.

    A loss at or below c has no size: infinitely much.
    """
    centred = log_bytes - log_bytes.mean()
    middle, best = np.exp(log_nats).mean(axis=1), np.exp(log_nats[:, -1])
    # Starts with most of the best loss out of reach, and with almost none: the better fit wins.
    found = [
        _least_squares(
            centred,
            log_nats,
            np.stack(
                [
                    np.log(share * best),
                    np.log(middle - share * best),
                    np.full(len(best), np.log(0.3)),
                ],
                axis=1,
            ),
        )
        for share in (0.8, 0.3)
    ]
    (first, first_cost), (second, second_cost) = found
    log_c, log_a, log_b = np.where((first_cost <= second_cost)[:, None], first, second).T

    def inverse(losses: Array) -> Array:
        above = np.exp(losses) - np.exp(log_c)
        with np.errstate(over="ignore"):
            size = log_bytes.mean() + (log_a - np.log(np.maximum(above, 1e-300))) / np.exp(log_b)
        return np.where(above > 0, size, np.inf)

    return inverse


FITS: Mapping[str, tuple[Fit, ...]] = {
    # The first fit gives the value. The others take turns with it in the interval's draws: no
    # family is known to hold the truth, and how a curve runs between its points is as unknown
    # as where they lie.
    "log-log": (log_log_pieces, log_log_smooth),
    "power": (power_law, log_log_pieces, log_log_smooth),
    "linear": (linear_pieces, log_log_pieces, log_log_smooth),
    "published": (linear_pieces,),  # its space; the wrap-around is `published_inverse`'s
}


def _place(levels: Array, wanted: Array) -> tuple[NDArray[np.intp], Array]:
    """Returns each row's piece of falling levels (B, K), and the share of it passed, (B,)."""
    place = np.clip((levels > wanted[:, None]).sum(axis=1) - 1, 0, levels.shape[1] - 2)
    high, low = _at(levels, place), _at(levels, place + 1)
    return place, (high - wanted) / (high - low)


def _at(values: Array, place: NDArray[np.intp]) -> Array:
    """One value of each row, or many of a single one."""
    row = np.arange(len(place)) if len(values) > 1 else 0
    return np.asarray(values[row, place])


def _monotone_slopes(steps: Array, secants: Array) -> Array:
    """Slopes at the points (B, K): weighted harmonic means of the secants, all of one sign."""
    if steps.shape[1] == 1:
        return np.repeat(secants, 2, axis=1)
    before, after = steps[:, :-1], steps[:, 1:]
    weights = 2 * after + before, after + 2 * before
    inner = sum(weights) / (weights[0] / secants[:, :-1] + weights[1] / secants[:, 1:])
    ends = [
        _end_slope(steps[:, at], steps[:, beside], secants[:, at], secants[:, beside])
        for at, beside in ((0, 1), (-1, -2))
    ]
    return np.concatenate([ends[0][:, None], inner, ends[1][:, None]], axis=1)


def _end_slope(step: Array, beside: Array, secant: Array, beside_secant: Array) -> Array:
    """The slope of the parabola through the last three points, kept from turning (Moler 2004)."""
    slope = ((2 * step + beside) * secant - step * beside_secant) / (step + beside)
    return np.where(slope * secant <= 0, 0.0, slope)


def _least_squares(centred: Array, log_nats: Array, parameters: Array) -> tuple[Array, Array]:
    """Levenberg and Marquardt on every row at once; returns log c, log a, log b and the costs."""
    damping = np.full(len(parameters), 1e-3)
    residuals, slopes = _power_residuals(centred, log_nats, parameters)
    costs = (residuals**2).sum(axis=1)
    active = np.ones(len(parameters), dtype=bool)
    for _ in range(_MAX_STEPS):
        normal = np.einsum("bki,bkj->bij", slopes, slopes)
        gradient = np.einsum("bki,bk->bi", slopes, residuals)
        # A parameter without any influence must not make the system singular.
        scale = np.maximum(np.einsum("bii->bi", normal), 1e-12)
        damped = normal + (damping[:, None] * scale)[:, :, None] * np.eye(3)
        moved = parameters - np.linalg.solve(damped, gradient[:, :, None])[:, :, 0]
        tried, tried_slopes = _power_residuals(centred, log_nats, moved)
        tried_costs = (tried**2).sum(axis=1)
        better = active & (tried_costs < costs)
        active &= ~(better & (costs - tried_costs <= _LEAST_COST_FALL * costs)) & (damping < 1e10)
        parameters = np.where(better[:, None], moved, parameters)
        residuals = np.where(better[:, None], tried, residuals)
        slopes = np.where(better[:, None, None], tried_slopes, slopes)
        costs = np.where(better, tried_costs, costs)
        damping = np.clip(np.where(better, damping / 5, damping * 3), 1e-12, 1e11)
        if not active.any():
            break
    return parameters, costs


def _power_residuals(centred: Array, log_nats: Array, parameters: Array) -> tuple[Array, Array]:
    """Misfit of log loss (B, K), and its slopes in log c, log a and log b, (B, K, 3)."""
    # Wider bounds than any curve needs keep steps from overflowing.
    log_c, log_a, log_b = np.clip(parameters, -50.0, [50.0, 50.0, 5.0]).T[:, :, None]
    falls = np.exp(log_b) * centred
    fitted = np.logaddexp(log_c, log_a - falls)
    share = np.exp(log_a - falls - fitted)
    return fitted - log_nats, np.stack([1 - share, share, -share * falls], axis=2)
