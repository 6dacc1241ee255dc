"""From-scratch loss against size of the training text: fitted, then read backwards.

All rules but the published one repair a curve that does not fall (pool adjacent violators), say
so, and never read beyond the points.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

from lingraft.measurement.curve_fits import Array, Fit, Inverse

Censored = Literal["at_least", "at_most"]

# Of log loss: strictly falling knots for interpolation, as losses are measured to four digits,
# and what is told as repaired rather than rounded.
_SMALLEST_STEP, _SMALLEST_CHANGE = 1e-9, 1e-12
# Of log bytes: a fitted curve ends at the last size where it comes this near.
_SMALLEST_EXCESS = 1e-6

# How fast the slope of a curve may change: by a factor of e to this, per unit of log bytes. In
# the first and last gap nothing tells how it does; in others the neighbours tell most of it.
# Set with benchmarks/interval_coverage.py, for curves that flatten as fast as D^-1.1: its table.
END_BEND, INNER_BEND = 0.75, 0.08
_LEAST_CONCENTRATION = 0.05  # nearly all of the way or none of it

_Family = tuple[NDArray[np.intp], NDArray[np.intp], Inverse | None]
"""Places of curves, of the sizes that are their knots, and their inverse."""


@dataclass(frozen=True)
class Inverted:
    """Bytes that a from-scratch model needs for a loss.

    Attributes:
        num_bytes: D_E, or the end of the curve where the loss is beyond it.
        censored: ``"at_least"`` where the loss is better than the curve's best, ``"at_most"``
            where it is worse than its worst.
    """

    num_bytes: float
    censored: Censored | None = None


_SIDES: tuple[Censored | None, ...] = (None, "at_least", "at_most")  # 0, 1 and −1


class ScratchCurves:
    """From-scratch curves of one target, made to fall, with their inverses.

    Args:
        num_bytes: Sizes, rising, (K,).
        log_nats: Mean log loss at each size of every curve, (B, K).
        weights: Number of runs behind each mean, (K,).
        fits: Each curve is drawn by one of them, by turns.
        wander: How far each curve strays from its fit between two sizes, as ranks in 0 to 1,
            (B, K − 1); None for not at all.

    Attributes:
        log_nats: What the curves were made to be, (B, K).
        repaired: Places of the sizes where some curve was changed.
        is_flat: Whether every curve has the same loss at all sizes.
    """

    def __init__(
        self,
        num_bytes: Array,
        log_nats: Array,
        weights: Array,
        fits: Sequence[Fit],
        wander: Array | None = None,
    ) -> None:
        self._num_bytes, self._log_bytes = num_bytes, np.log(num_bytes)
        # Pooling in log loss, where runs scatter alike at every size.
        self.log_nats = pooled(log_nats, weights)
        is_same = np.abs(self.log_nats - log_nats) < _SMALLEST_CHANGE
        self.repaired: tuple[int, ...] = tuple(np.flatnonzero(~is_same.all(axis=0)).tolist())
        self._wander = wander
        self._families = tuple(self._families_of(fits))
        self.is_flat = all(inverse is None for _, _, inverse in self._families)

    def _families_of(self, fits: Sequence[Fit]) -> Iterator[_Family]:
        """Curves with the same fit and knots are fitted at once."""
        # Of sizes with the same loss the smallest: more text that does not help is not needed.
        is_knot = np.ones(self.log_nats.shape, dtype=np.intp)
        is_knot[:, 1:] = -np.diff(self.log_nats, axis=1) > _SMALLEST_STEP
        turns = np.arange(len(is_knot)) % len(fits)
        kinds, kind_of = np.unique(np.column_stack([is_knot, turns]), axis=0, return_inverse=True)
        for number, kind in enumerate(kinds):
            curves = np.flatnonzero(kind_of.ravel() == number)
            knots = np.flatnonzero(kind[:-1])
            inverse = None
            if len(knots) > 1:
                points = self.log_nats[np.ix_(curves, knots)]
                inverse = fits[kind[-1]](self._log_bytes[knots], points)
            yield curves, knots, inverse

    def invert(self, log_nats: Array) -> list[Inverted]:
        """Returns the size at which each curve has a log loss; its ends where it never has.

        A best loss that several sizes share is beaten only by more than the largest of them. Any
        size of a flat curve has its loss, and perhaps less would do: at most the smallest.

        Args:
            log_nats: One for each curve, (B,), or any number for a single curve.
        """
        best, worst = self.log_nats[:, -1], self.log_nats[:, 0]
        sizes = self._read(np.clip(log_nats, best, worst))
        low, high = self._log_bytes[[0, -1]]
        sides = np.zeros(len(sizes), dtype=np.intp)
        # A fit need not pass through the points, and may reach a measured loss nowhere.
        sides[sizes > high + _SMALLEST_EXCESS] = 1
        sides[sizes < low - _SMALLEST_EXCESS] = -1
        sides[log_nats < best] = 1
        sides[log_nats > worst] = -1
        first, last = self._num_bytes[[0, -1]]
        inside = np.clip(np.exp(np.clip(sizes, low, high)), first, last)
        num_bytes = np.where(sides > 0, last, np.where(sides < 0, first, inside))
        return [
            Inverted(float(size), _SIDES[side]) for size, side in zip(num_bytes, sides, strict=True)
        ]

    def misfit(self) -> tuple[float, float]:
        """Returns a size of a single curve and what is read at its loss: the two furthest apart."""
        _, knots, _ = self._families[0]
        read = self._read(self.log_nats[0, knots])
        worst = int(np.argmax(np.abs(read - self._log_bytes[knots])))
        with np.errstate(over="ignore"):
            return float(self._num_bytes[knots[worst]]), float(np.exp(read[worst]))

    def _read(self, log_nats: Array) -> Array:
        """Log bytes at losses on the curves; of a fit that ends elsewhere also beyond them."""
        found = np.empty(len(log_nats))
        for curves, knots, inverse in self._families:
            at = curves if len(self.log_nats) > 1 else slice(None)
            if inverse is None:
                found[at] = -np.inf
                continue
            sizes = inverse(log_nats[at])
            if self._wander is not None:
                ranks = self._wander[np.ix_(curves, knots[:-1])]
                sizes = _stray(self._log_bytes[knots], sizes, ranks)
            found[at] = sizes
        return found


def _stray(knots: Array, sizes: Array, ranks: Array) -> Array:
    """Moves sizes (B,) about between the knots that they lie between, (K,); all in log bytes.

    The share of the way from knot to knot becomes a quantile of the Beta distribution about it:
    the curve stays within the box of its two knots, falls as before, and strays the further the
    wider the box. A line misses a curve whose slope changes by a factor of e^β in each unit of
    log bytes by βw²/8 in the middle of a gap w. That is made one standard deviation; in gaps of
    4/β and more, any way through the box is as good as another.
    """
    place = np.clip(np.searchsorted(knots, sizes, side="right") - 1, 0, len(knots) - 2)
    gap = knots[place + 1] - knots[place]
    share = (sizes - knots[place]) / gap
    is_end = (place == 0) | (place == len(knots) - 2)
    bend = np.where(is_end, END_BEND, INNER_BEND)
    concentration = np.maximum((4 / (bend * gap)) ** 2 - 1, _LEAST_CONCENTRATION)
    is_between = (share > 0) & (share < 1)
    middle = np.where(is_between, share, 0.5)
    rank = ranks[np.arange(len(sizes)), place]
    moved = betaincinv(concentration * middle, concentration * (1 - middle), rank)
    return np.where(is_between, knots[place] + moved * gap, sizes)


def pooled(log_nats: Array, weights: Array) -> Array:
    """Returns the nearest curves that do not rise, (B, K), in weighted least squares.

    Of all curves at once: the least, over first sizes, of the largest mean from there to a last
    size (Robertson, Wright and Dykstra 1988, theorem 1.4.4).
    """
    num = log_nats.shape[1]
    sums = np.concatenate([np.zeros((len(log_nats), 1)), np.cumsum(log_nats * weights, axis=1)], 1)
    totals = np.concatenate([[0.0], np.cumsum(weights)])
    result = np.full(log_nats.shape, np.inf)
    for first in range(num):
        averages = (sums[:, first + 1 :] - sums[:, [first]]) / (totals[first + 1 :] - totals[first])
        highest = np.maximum.accumulate(averages[:, ::-1], axis=1)[:, ::-1]
        result[:, first:] = np.minimum(result[:, first:], highest)
    return result


def published_inverse(
    num_bytes: Sequence[float], perplexities: Sequence[float], perplexity: float
) -> float:
    """Returns D_E by the rule of arXiv 2404.08191's script, defect included; to compare only.

    ``numpy.interp`` from perplexity to bytes with ``period=10``: perplexities are taken modulo
    10 and sorted, so that a bad from-scratch point of 14.8 stands among the good ones at 4.8,
    and a loss better than every point is read towards the worst.
    """
    found = np.interp(perplexity, np.array(perplexities), np.array(num_bytes), period=10)
    return float(found)
