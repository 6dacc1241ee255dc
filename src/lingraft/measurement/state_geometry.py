"""States of the same facts in two languages: checked, centred, and as pictures.

Section 3.6 of the reference on unification describes the two pictures.

Axes: L layers, F facts, D dimensions, C = 2F states.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lingraft.errors import InputError

Centring = Literal["together", "by language", "none"]
Floats = NDArray[np.float64]


def checkerboard(
    states_a: ArrayLike, states_b: ArrayLike, *, centring: Centring = "together"
) -> Floats:
    """Returns the cosines of all states of one layer, in the order fact 1 A, fact 1 B, fact 2 A…

    Alternating cells show states that follow the language, 2 × 2 blocks on the diagonal states
    that follow the fact. A state without a direction has cosine 0 with all, itself included.

    Args:
        states_a: (F, D), language A.
        states_b: (F, D), language B, the same facts in the same order.
        centring: As for `unification`.

    Returns:
        (2F, 2F).

    Raises:
        InputError: The shapes differ or are no (F, D), a number is not finite, or `centring` is
            unknown.
    """
    a_FD, b_FD = _one_layer(states_a, states_b)
    check_centring(centring)
    (a_FD, _), (b_FD, _) = directions(a_FD, b_FD, centring)
    states_CD = np.stack([a_FD, b_FD], axis=1).reshape(-1, a_FD.shape[1])
    return np.clip(states_CD @ states_CD.T, -1.0, 1.0)


@dataclass(frozen=True)
class Components:
    """States in the two directions in which they differ most.

    Attributes:
        points_a: (F, 2), language A.
        points_b: (F, 2), language B.
        shares: What share of the variance each direction explains; None where `reason` says why.
        reason: Why the shares are undefined, or empty.
    """

    points_a: Floats
    points_b: Floats
    shares: tuple[float, float] | None
    reason: str = ""


def components(states_a: ArrayLike, states_b: ArrayLike) -> Components:
    """Returns the first two principal components of the states of one layer, both languages.

    Centred together, so that the languages stay where they are. Of the two signs of a component
    that one is taken whose largest coordinate is positive.

    Args:
        states_a: (F, D), language A.
        states_b: (F, D), language B.

    Raises:
        InputError: The shapes differ or are no (F, D), or a number is not finite.
    """
    a_FD, b_FD = _one_layer(states_a, states_b)
    states_CD = np.vstack(centred(a_FD, b_FD, "together"))
    left, sizes, right = np.linalg.svd(states_CD, full_matrices=False)
    signs = np.sign(right[np.arange(len(right)), np.abs(right).argmax(axis=1)])
    points = np.zeros((len(states_CD), 2))
    num = min(2, len(sizes))
    points[:, :num] = (left * (sizes * signs))[:, :num]
    variances = np.append(sizes**2, 0.0)
    alike = sizes[0] <= rounding_norm(np.vstack([a_FD, b_FD]))
    return Components(
        points[: len(a_FD)],
        points[len(a_FD) :],
        None
        if alike
        else (
            float(variances[0] / variances.sum()),
            float(variances[1] / variances.sum()),
        ),
        "all states are alike" if alike else "",
    )


def directions(
    a_FD: Floats, b_FD: Floats, centring: Centring
) -> tuple[tuple[Floats, list[int]], tuple[Floats, list[int]]]:
    """Returns unit vectors of A and of B, each with the facts that have none (zero there)."""
    a, b = centred(a_FD, b_FD, centring)
    # What centring together leaves of one language is rounding as large as the other allows.
    both = max(rounding_norm(a_FD), rounding_norm(b_FD))
    small = (both, both) if centring == "together" else (rounding_norm(a_FD), rounding_norm(b_FD))
    units = []
    for states_FD, smallest in zip((a, b), small, strict=True):
        norms_F = np.linalg.norm(states_FD, axis=1)
        zero_F = norms_F <= smallest
        units_FD = states_FD / np.where(zero_F, 1.0, norms_F)[:, None]
        units_FD[zero_F] = 0.0
        units.append((units_FD, [int(i) for i in np.flatnonzero(zero_F)]))
    return units[0], units[1]


def centred(a_FD: Floats, b_FD: Floats, centring: Centring) -> tuple[Floats, Floats]:
    """Returns the states of A and of B without the mean of both, of their own language, or none."""
    if centring == "none" or not len(a_FD):
        return a_FD, b_FD
    mean_a_D, mean_b_D = a_FD.mean(axis=0), b_FD.mean(axis=0)
    if centring == "together":
        mean_a_D = mean_b_D = (mean_a_D + mean_b_D) / 2
    return a_FD - mean_a_D, b_FD - mean_b_D


def rounding_norm(states_FD: Floats) -> float:
    """Returns the norm up to which a centred state is the rounding of what was subtracted."""
    return 1e-12 * float(np.linalg.norm(states_FD, axis=1).max(initial=0.0))


def checked_states(states_a: ArrayLike, states_b: ArrayLike) -> tuple[Floats, Floats]:
    """Returns the states of both languages as (L, F, D).

    Raises:
        InputError: The shapes differ or are no (L, F, D) or (F, D), or a number is not finite.
    """
    a, b = np.asarray(states_a, dtype=np.float64), np.asarray(states_b, dtype=np.float64)
    if a.ndim not in (2, 3) or a.shape != b.shape or a.shape[-1] == 0:
        raise InputError(
            expected="two arrays of one shape, (layers, facts, dimensions) or (facts, dimensions)",
            got=f"{a.shape} and {b.shape}",
            where="states_a, states_b",
        )
    for name, states in (("states_a", a), ("states_b", b)):
        if not np.all(np.isfinite(states)):
            at = tuple(np.argwhere(~np.isfinite(states))[0].tolist())
            raise InputError(expected="finite numbers", got=str(states[at]), where=f"{name}{at}")
    return (a[None], b[None]) if a.ndim == 2 else (a, b)


def _one_layer(states_a: ArrayLike, states_b: ArrayLike) -> tuple[Floats, Floats]:
    a_LFD, b_LFD = checked_states(states_a, states_b)
    if len(a_LFD) != 1 or a_LFD.shape[1] == 0:
        raise InputError(
            expected="states of one layer and at least one fact, (facts, dimensions)",
            got=str(a_LFD.shape),
            where="states_a",
        )
    return a_LFD[0], b_LFD[0]


def check_centring(centring: str) -> None:
    """Refuses a centring that there is not.

    Raises:
        InputError: It is none of the three.
    """
    if centring not in ("together", "by language", "none"):
        raise InputError(
            expected='"together", "by language" or "none"', got=repr(centring), where="centring"
        )
