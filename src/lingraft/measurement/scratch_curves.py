"""From-scratch loss against size of the training text: fitted, then read backwards.

A rule is a function from the points of a curve to its inverse. All but the published one repair
a curve that does not fall (pool adjacent violators), say so, and never read beyond the points.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.optimize import isotonic_regression, least_squares

Array = NDArray[np.float64]
Censored = Literal["at_least", "at_most"]
Inverse = Callable[[float], float]
"""Nats per byte to bytes, between the curve's worst and best loss."""

# Strictly falling knots for interpolation; nats per byte are measured to four digits.
_SMALLEST_STEP = 1e-9


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


class ScratchCurve:
    """A from-scratch curve, made to fall, with an inverse.

    Args:
        num_bytes: Sizes, rising, (K,).
        nats: Mean loss at each size, (K,), nats per byte.
        weights: Number of runs behind each mean, (K,).
        fit: A value of `FITS`.
    """

    def __init__(self, num_bytes: Array, nats: Array, weights: Array, fit: "Fit") -> None:
        self.num_bytes = num_bytes
        # Pooling in log loss, where runs scatter alike at every size.
        log_nats = isotonic_regression(np.log(nats), weights=weights, increasing=False).x
        self.nats: Array = np.exp(log_nats)
        self.repaired: tuple[int, ...] = tuple(
            np.flatnonzero(~np.isclose(self.nats, nats, rtol=1e-12)).tolist()
        )
        # Of sizes with the same loss the smallest: more text that does not help is not needed.
        first = np.append(True, -np.diff(self.nats) > _SMALLEST_STEP)
        self._inverse = fit(num_bytes[first], self.nats[first]) if first.sum() > 1 else None

    def invert(self, nats: float) -> Inverted:
        """Returns the size at which the curve has a loss; its ends where it never has.

        A best loss that several sizes share is beaten only by more than the largest of them.
        """
        if nats < self.nats[-1]:
            return Inverted(float(self.num_bytes[-1]), "at_least")
        if nats > self.nats[0]:
            return Inverted(float(self.num_bytes[0]), "at_most")
        if self._inverse is None:
            return Inverted(float(self.num_bytes[0]))
        low, high = float(self.num_bytes[0]), float(self.num_bytes[-1])
        return Inverted(min(max(self._inverse(nats), low), high))


Fit = Callable[[Array, Array], Inverse]
"""Rising sizes and strictly falling losses to the inverse."""


def log_log_pieces(num_bytes: Array, nats: Array) -> Inverse:
    """Straight lines in (log bytes, log loss), where curves are near straight."""
    x, y = np.log(num_bytes), np.log(nats)
    return lambda loss: float(np.exp(np.interp(np.log(loss), y[::-1], x[::-1])))


def log_log_smooth(num_bytes: Array, nats: Array) -> Inverse:
    """Monotone cubics through the points in (log loss, log bytes) (Fritsch and Carlson 1980)."""
    spline = PchipInterpolator(np.log(nats)[::-1], np.log(num_bytes)[::-1])
    return lambda loss: float(np.exp(spline(np.log(loss))))


def linear_pieces(num_bytes: Array, nats: Array) -> Inverse:
    """Straight lines in (bytes, perplexity): the published space without its wrap-around."""
    x, y = num_bytes, np.exp(nats)
    return lambda loss: float(np.interp(np.exp(loss), y[::-1], x[::-1]))


def power_law(num_bytes: Array, nats: Array) -> Inverse:
    """L(D) = c + a · D^-b, fitted by least squares of log loss with c, a, b ≥ 0."""
    x, y = np.log(num_bytes), np.log(nats)
    centre = x.mean()

    def predicted(parameters: Array) -> Array:
        log_c, log_a, log_b = parameters
        return np.asarray(np.logaddexp(log_c, log_a - np.exp(log_b) * (x - centre)))

    # Starts with most of the best loss out of reach, and with almost none: the better fit wins.
    starts = [
        np.array([np.log(share * nats[-1]), np.log(nats.mean() - share * nats[-1]), np.log(0.3)])
        for share in (0.8, 0.3)
    ]
    fits = [least_squares(lambda p: predicted(p) - y, start, max_nfev=200) for start in starts]
    log_c, log_a, log_b = min(fits, key=lambda fit: float(fit.cost)).x

    def inverse(loss: float) -> float:
        above = loss - np.exp(log_c)
        if above <= 0.0:
            return float(num_bytes[-1])
        return float(np.exp(centre + (log_a - np.log(above)) / np.exp(log_b)))

    return inverse


FITS: Mapping[str, tuple[Fit, ...]] = {
    # The first fit gives the value. The others take turns with it in the interval's draws: how
    # the curve runs between the points is as unknown as where the points lie.
    "log-log": (log_log_pieces, log_log_smooth),
    "power": (power_law,),
    "linear": (linear_pieces,),
}


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
