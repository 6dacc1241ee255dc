"""Do two quantities go together when others are held? Spearman's correlation, plain and partial.

`associations` asks within one design, targets by sources; here the cells are any settings of an
experiment, and what is held is ranked like the rest.

Axes: C cells, K covariates, P permutations.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from lingraft.errors import InputError
from lingraft.measurement.associations import NUM_PERMUTATIONS
from lingraft.measurement.score import COVERAGE, NUM_RESAMPLES
from lingraft.seeds import derive

MIN_DETERMINED = 0.9
"""Least share of the resamples in which rho has to be defined to have an interval."""

MIN_CLUSTERS = 5
"""Fewer have no interval: chance puts four in one perfect order, or its reverse, 1 time in 12."""

Floats = NDArray[np.float64]

_UNEXPLAINED = 1e-10  # a smaller share of a variance is rounding


@dataclass(frozen=True)
class RankCorrelation:
    """A rank correlation over cells.

    Attributes:
        rho: -1 to 1; None where `reason` says why.
        p: Two-sided permutation p-value; None too where there is nothing to exchange.
        interval: 95 % percentile interval over resampled clusters; None of fewer than
            `MIN_CLUSTERS`, or where fewer than `MIN_DETERMINED` of the resamples determine rho.
        num_cells: Cells.
        num_clusters: Clusters of cells that were resampled and exchanged as one.
        num_covariates: What was held.
        num_permutations: How many were drawn, 0 where p is None.
        reason: Why rho is None, or why p or the interval is, or empty.
    """

    rho: float | None
    p: float | None
    interval: tuple[float, float] | None
    num_cells: int
    num_clusters: int
    num_covariates: int
    num_permutations: int
    reason: str = ""


def spearman(
    x: ArrayLike, y: ArrayLike, *, clusters: Sequence[str] | None = None, seed: int
) -> RankCorrelation:
    """Returns Spearman's correlation of two quantities, with nothing held.

    Arguments and errors are those of `partial_spearman`.
    """
    return partial_spearman(x, y, [], clusters=clusters, seed=seed)


def partial_spearman(
    x: ArrayLike,
    y: ArrayLike,
    covariates: Sequence[ArrayLike],
    *,
    clusters: Sequence[str] | None = None,
    counted: str = "cells",
    seed: int,
) -> RankCorrelation:
    """Returns the rank correlation of two quantities with the covariates held.

    All are ranked (midranks), the covariates' ranks are regressed out of both, and what is left is
    correlated. The p-value permutes what is left of y, adds what the covariates explain, and
    regresses anew (Freedman and Lane 1983; Winkler et al. 2014, NeuroImage 92). It is
    (k + 1) / (n + 1), with k of n permutations as extreme (Phipson and Smyth 2010).

    Cells of one cluster, such as the seeds of one setting, are no independent draws: clusters are
    resampled whole, and exchanged whole with clusters of the same size, the order within kept.

    Args:
        x: One number a cell, (C,).
        y: The same.
        covariates: K lists of one number a cell; what x and y owe to these does not count.
        clusters: For each cell what it shares with others; None makes each cell its own.
        counted: What the cells are, for the reason that there are too few.
        seed: Of the permutations and the resampling.

    Returns:
        The correlation; None with a reason where there are too few cells, where a quantity is
        constant (as a transfer ratio is where all transfers), or where the covariates explain it.

    Raises:
        InputError: The lists differ in length, or a number is not finite.
    """
    x_C, y_C, covariates_CK = _checked(x, y, covariates)
    names = list(map(str, range(len(x_C)))) if clusters is None else list(clusters)
    if len(names) != len(x_C):
        raise InputError(
            expected=f"a cluster for each of {len(x_C)} cells",
            got=str(len(names)),
            where="clusters",
        )
    members = [np.flatnonzero([name == n for name in names]) for n in dict.fromkeys(names)]
    num_covariates = covariates_CK.shape[1]
    rho, reason = _rho(x_C, y_C, covariates_CK, counted)
    p = interval = None
    if rho is not None:
        interval = _interval(x_C, y_C, covariates_CK, members, seed=derive(seed, "bootstrap"))
        p = _p_value(x_C, y_C, covariates_CK, members, seed=derive(seed, "permutations"))
        if p is None:
            reason = "no two clusters of one size to exchange"
        elif len(members) < MIN_CLUSTERS:
            reason = f"{len(members)} {counted}, an interval needs {MIN_CLUSTERS}"
    return RankCorrelation(
        rho=rho,
        p=p,
        interval=interval,
        num_cells=len(x_C),
        num_clusters=len(members),
        num_covariates=num_covariates,
        num_permutations=0 if p is None else NUM_PERMUTATIONS,
        reason=reason,
    )


def _rho(
    x_C: Floats, y_C: Floats, covariates_CK: Floats, counted: str = "cells"
) -> tuple[float | None, str]:
    least = covariates_CK.shape[1] + 3
    if len(x_C) < least:
        return None, f"{len(x_C)} {counted}, at least {least} are needed"
    for name, values_C in (("x", x_C), ("y", y_C)):
        if np.ptp(values_C) == 0:
            return None, f"{name} is constant"
    basis_CB = _basis(covariates_CK)
    left = []
    for name, values_C in (("x", x_C), ("y", y_C)):
        ranks_C = stats.rankdata(values_C)
        rest_C = _residual(ranks_C, basis_CB)
        if rest_C @ rest_C <= _UNEXPLAINED * np.sum((ranks_C - ranks_C.mean()) ** 2):
            return None, f"the covariates explain {name} wholly"
        left.append(rest_C / np.linalg.norm(rest_C))
    return float(np.clip(left[0] @ left[1], -1.0, 1.0)), ""


def _p_value(
    x_C: Floats,
    y_C: Floats,
    covariates_CK: Floats,
    members: Sequence[NDArray[np.intp]],
    *,
    seed: int,
) -> float | None:
    orders_PC = _orders(len(x_C), members, np.random.default_rng(seed))
    if orders_PC is None:
        return None
    basis_CB = _basis(covariates_CK)
    x_left_C = _residual(stats.rankdata(x_C), basis_CB)
    y_left_C = _residual(stats.rankdata(y_C), basis_CB)
    # What the covariates explain of y is taken out again by the second regression: only the
    # permuted rest has to go through it.
    permuted_CP = _residual(y_left_C[orders_PC].T, basis_CB)
    sizes_P = np.linalg.norm(permuted_CP, axis=0) * np.linalg.norm(x_left_C)
    products_P = np.abs(x_left_C @ permuted_CP)
    observed = abs(x_left_C @ y_left_C) / (np.linalg.norm(x_left_C) * np.linalg.norm(y_left_C))
    # A tie is missed by rounding only. A rest without size correlates with nothing.
    extreme = int(np.count_nonzero(products_P >= (observed - 1e-9) * sizes_P))
    return (extreme + 1) / (len(orders_PC) + 1)


def _orders(
    num_cells: int, members: Sequence[NDArray[np.intp]], generator: np.random.Generator
) -> NDArray[np.intp] | None:
    """Draws where each cell's rest comes from, (P, C); None where no clusters can be exchanged."""
    orders_PC = np.tile(np.arange(num_cells), (NUM_PERMUTATIONS, 1))
    exchanged = False
    for size in sorted({len(cells) for cells in members}):
        blocks = np.stack([cells for cells in members if len(cells) == size])
        if len(blocks) < 2:
            continue
        exchanged = True
        drawn = np.tile(np.arange(len(blocks)), (NUM_PERMUTATIONS, 1))
        drawn = generator.permuted(drawn, axis=1)
        orders_PC[:, blocks.ravel()] = blocks[drawn].reshape(NUM_PERMUTATIONS, -1)
    return orders_PC if exchanged else None


def _interval(
    x_C: Floats,
    y_C: Floats,
    covariates_CK: Floats,
    members: Sequence[NDArray[np.intp]],
    *,
    seed: int,
) -> tuple[float, float] | None:
    if len(members) < MIN_CLUSTERS:
        return None
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(NUM_RESAMPLES):
        drawn = generator.integers(len(members), size=len(members))
        at = np.concatenate([members[i] for i in drawn])
        rho, _ = _rho(x_C[at], y_C[at], covariates_CK[at])
        if rho is not None:
            found.append(rho)
    if len(found) < MIN_DETERMINED * NUM_RESAMPLES:
        return None
    low, high = np.quantile(found, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2])
    return float(low), float(high)


def _basis(covariates_CK: Floats) -> Floats:
    """Returns orthonormal columns that span 1 and the covariates' ranks; repeats add none."""
    columns = [np.ones(len(covariates_CK)), *map(stats.rankdata, covariates_CK.T)]
    left, sizes, _ = np.linalg.svd(np.stack(columns, axis=1), full_matrices=False)
    return np.asarray(left[:, sizes > _UNEXPLAINED * sizes[0]])


def _residual(values: Floats, basis_CB: Floats) -> Floats:
    return np.asarray(values - basis_CB @ (basis_CB.T @ values))


def _checked(
    x: ArrayLike, y: ArrayLike, covariates: Sequence[ArrayLike]
) -> tuple[Floats, Floats, Floats]:
    named = {"x": x, "y": y, **{f"covariates, {i}": z for i, z in enumerate(covariates)}}
    arrays = {name: np.asarray(values, dtype=np.float64) for name, values in named.items()}
    shape = (arrays["x"].size,)
    for name, array in arrays.items():
        if array.shape != shape:
            raise InputError(
                expected=f"one number for each of {shape[0]} cells",
                got=str(array.shape),
                where=name,
            )
        if not np.all(np.isfinite(array)):
            raise InputError(
                expected="finite numbers",
                got=str(array[~np.isfinite(array)][0]),
                where=name,
                hint="leave out cells that have none",
            )
    x_C, y_C, *rest = arrays.values()
    return x_C, y_C, np.stack(rest, axis=1) if rest else np.zeros((len(x_C), 0))
