"""How many exposures in the other language is what crossed over worth?

The analogue, for single facts, of effective data (section 3.5 of the reference on unification;
compare `data_transfer`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import isotonic_regression

from lingraft.errors import InputError
from lingraft.measurement.score import Score
from lingraft.measurement.scratch_curves import Censored


@dataclass(frozen=True)
class Exposures:
    """How many exposures a value is worth.

    Attributes:
        num_exposures: Exposures in the language asked that give the same value; None where
            `reason` says why.
        censored: ``"at_least"`` where the value is above the curve's best, ``"at_most"`` where it
            is below its worst; `num_exposures` is the curve's end then.
        interval: The ends of the value's interval, read off in the same way; the curve is held.
        repaired: Whether the curve fell somewhere and was pooled to rise.
        reason: Why it is undefined, or empty.
    """

    num_exposures: float | None
    censored: Censored | None = None
    interval: tuple[float, float] | None = None
    repaired: bool = False
    reason: str = ""


def effective_exposures(bits: Score, curve: Sequence[tuple[float, float]]) -> Exposures:
    """Returns the number of exposures in the other language that would give the same value.

    The curve is made to rise (pool adjacent violators), drawn in straight lines of bits over
    log(1 + exposures), and read backwards; never beyond its ends. Of several sizes with the same
    value the smallest counts.

    Args:
        bits: A value with its interval, such as `Recall.bits_per_fact`.
        curve: (exposures, bits) of models that were taught in that language, in the same unit;
            several points of one size are averaged.

    Raises:
        InputError: Fewer than two sizes, or a point that is not finite or has negative exposures.
    """
    points = np.asarray(curve, dtype=np.float64).reshape(-1, 2)
    if not np.all(np.isfinite(points)) or np.any(points[:, 0] < 0):
        bad = points[~np.all(np.isfinite(points), axis=1) | (points[:, 0] < 0)][0]
        raise InputError(
            expected="finite bits of 0 or more exposures",
            got=str(tuple(bad.tolist())),
            where="curve",
        )
    sizes, where, counts = np.unique(points[:, 0], return_inverse=True, return_counts=True)
    if len(sizes) < 2:
        raise InputError(
            expected="points of at least 2 numbers of exposures", got=str(len(sizes)), where="curve"
        )
    means = np.bincount(where, weights=points[:, 1]) / counts
    rising = isotonic_regression(means, weights=counts.astype(np.float64)).x
    repaired = not np.allclose(rising, means, rtol=1e-12, atol=1e-12)
    if bits.value is None:
        return Exposures(None, repaired=repaired, reason=bits.reason)
    first = np.append(True, np.diff(rising) > 0)
    knots = (rising[first], np.log1p(sizes[first]))
    censored: Censored | None = None
    if bits.value > rising[-1]:
        censored = "at_least"
    elif bits.value < rising[0]:
        censored = "at_most"
    # A value above the best is not reached by the last size either, flat as the curve may be.
    ends = (float(sizes[0]), float(sizes[-1]))

    def invert(value: float) -> float:
        if value > rising[-1]:
            return ends[1]
        return min(max(float(np.expm1(np.interp(value, *knots))), ends[0]), ends[1])

    low_high = bits.interval and (invert(bits.interval[0]), invert(bits.interval[1]))
    return Exposures(invert(bits.value), censored, low_high, repaired)
