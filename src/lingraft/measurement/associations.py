"""Does transfer go with a property of the pair of languages? Asked within each size.

Transfer grows with the fine-tuning size D_F, and so does, for instance, a contamination counted
over the fine-tuning text: over pooled sizes the two correlate whatever the languages do (defect 6
of arXiv 2404.08191 in its tests of contamination and of similarity). Targets differ by more than
sources do, so that cells of one target are no independent draws either.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from lingraft.errors import InputError
from lingraft.measurement.transfer_cells import Cell, check_unique, is_measured
from lingraft.seeds import derive

MAX_EXACT = 20_000
"""Up to so many permutations are all enumerated."""

NUM_PERMUTATIONS = 9_999
"""Else so many are drawn."""

MIN_CELLS = 4

POOLED_WARNING = (
    "pooled over sizes: both quantities grow with the size and cells share their targets, so this "
    "p-value is no evidence; use the tests within each size"
)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Association:
    """The test within one fine-tuning size.

    Attributes:
        data_finetuned_bytes: The size.
        rho: Correlation of the ranks after each target's mean rank is taken out, -1 to 1.
        p: Two-sided permutation p-value.
        plain_rho: Spearman's correlation of the same cells with the targets left in, to compare
            with publications; it has no p-value, since its cells are not exchangeable.
        num_cells: Cells that tell anything: measured ones of targets with two such cells or more.
        num_targets: Their targets.
        num_left_out: Cells left out: censored, without a covariate, or alone in their target.
        num_permutations: All there are when `is_exact`, else the number drawn.
        is_exact: Whether all permutations were enumerated.
        reason: Why rho and p are None, or empty.
    """

    data_finetuned_bytes: int
    rho: float | None
    p: float | None
    plain_rho: float | None
    num_cells: int
    num_targets: int
    num_left_out: int
    num_permutations: int
    is_exact: bool
    reason: str = ""


@dataclass(frozen=True)
class PooledAssociation:
    """What the paper printed: one correlation over all sizes. It misleads; `warning` says why.

    Attributes:
        rho: Spearman's correlation, or None.
        p_greater: One-sided p-value as if cells were independent; the paper's alternative.
        p: The two-sided one.
        num_cells: Cells of all sizes.
        reason: Why the correlation is None, or empty.
        warning: Why it is no evidence.
    """

    rho: float | None
    p_greater: float | None
    p: float | None
    num_cells: int
    reason: str = ""
    warning: str = POOLED_WARNING


@dataclass(frozen=True)
class Associations:
    """The tests of all sizes, the smallest first, and the number that is not one."""

    by_size: tuple[Association, ...]
    pooled: PooledAssociation


def associations(
    cells: Sequence[Cell], covariates: Sequence[float | None], *, seed: int
) -> Associations:
    """Tests, within each fine-tuning size, whether transfer goes with a covariate.

    Values and covariates are ranked among the cells of a size (midranks), and each target's mean
    rank is taken out of both: what is left asks whether, for one target, the sources with a higher
    covariate transfer more. The null distribution shuffles the covariates among the sources of
    each target. That is exact where the sources of a target are exchangeable when the covariate
    tells nothing, whatever the targets themselves do: their levels may differ and may go with
    the covariate (target as a random effect).

    Two limits. A source that is better for every target counts as association when the covariate
    sets that source apart: with few sources, "near" and "a good source" are one thing. And the
    tests of several sizes share targets and sources; they are no independent confirmations.

    Args:
        cells: The table, one model size.
        covariates: One number a cell, such as the distance of its two languages; None where it is
            unknown. It may differ between sizes.
        seed: Of the permutations, where there are more than `MAX_EXACT`.

    Raises:
        InputError: The two lists differ in length, cells repeat, or there are several models.
    """
    _check(cells, covariates)
    known = [
        (cell, x)
        for cell, x in zip(cells, covariates, strict=True)
        if x is not None and math.isfinite(x) and is_measured(cell)
    ]
    sizes = sorted({cell.data_finetuned_bytes for cell in cells})
    tests = []
    for size in sizes:
        rows = [row for row in known if row[0].data_finetuned_bytes == size]
        num_all = sum(cell.data_finetuned_bytes == size for cell in cells)
        tests.append(_within(size, rows, num_all, seed=derive(seed, "associations", size)))
    return Associations(tuple(tests), _pooled(known))


def _check(cells: Sequence[Cell], covariates: Sequence[float | None]) -> None:
    if len(cells) != len(covariates):
        raise InputError(
            expected=f"one covariate for each of {len(cells)} cells",
            got=str(len(covariates)),
            where="covariates",
        )
    check_unique(cells)
    models = {cell.num_parameters for cell in cells}
    if len(models) > 1:
        raise InputError(
            expected="cells of one num_parameters",
            got=", ".join(sorted(map(str, models))),
            where="cells",
            hint="test each model by itself",
        )


def _within(
    size: int, rows: Sequence[tuple[Cell, float]], num_all: int, *, seed: int
) -> Association:
    counts = dict.fromkeys(sorted({cell.target for cell, _ in rows}), 0)
    for cell, _ in rows:
        counts[cell.target] += 1
    used = [row for row in rows if counts[row[0].target] > 1]
    targets = [cell.target for cell, _ in used]
    groups = [np.flatnonzero([x == t for x in targets]) for t in counts if counts[t] > 1]
    values = stats.rankdata([cell.value for cell, _ in used])
    covariates = stats.rankdata([x for _, x in used])
    centred = [(_centred(values, at), _centred(covariates, at)) for at in groups]
    squares = math.prod(sum(float(side[i] @ side[i]) for side in centred) for i in (0, 1))
    reason = ""
    if len(used) < MIN_CELLS:
        reason = f"{len(used)} cells in targets of two or more, at least {MIN_CELLS} are needed"
    elif squares == 0:
        reason = "values or covariates are all tied within targets"
    rho = p = None
    num, exact = 0, False
    if not reason:
        observed = sum(float(x @ v) for v, x in centred)
        sums, exact = _permuted(centred, seed=seed)
        rho, p, num = observed / math.sqrt(squares), _p_value(observed, sums, exact), len(sums)
    return Association(
        data_finetuned_bytes=size,
        rho=rho,
        p=p,
        plain_rho=_correlation(values, covariates),
        num_cells=len(used),
        num_targets=len(groups),
        num_left_out=num_all - len(used),
        num_permutations=num,
        is_exact=exact,
        reason=reason,
    )


def _centred(ranks: Floats, at: NDArray[np.intp]) -> Floats:
    return np.asarray(ranks[at] - ranks[at].mean(), dtype=np.float64)


def _permuted(centred: Sequence[tuple[Floats, Floats]], *, seed: int) -> tuple[Floats, bool]:
    """Returns the statistic under permutations within targets, and whether these are all."""
    if math.prod(math.factorial(len(v)) for v, _ in centred) <= MAX_EXACT:
        sums = np.zeros(1)
        for values, covariates in centred:
            orders = np.array(list(itertools.permutations(range(len(values)))))
            sums = np.add.outer(sums, covariates[orders] @ values).ravel()
        return sums, True
    generator = np.random.default_rng(seed)
    sums = np.zeros(NUM_PERMUTATIONS)
    for values, covariates in centred:
        rows = np.tile(covariates, (NUM_PERMUTATIONS, 1))
        sums += generator.permuted(rows, axis=1) @ values
    return sums, False


def _p_value(observed: float, sums: Floats, exact: bool) -> float:
    # Ranks are multiples of ½ and means of few: a tie is missed by rounding only.
    extreme = int(np.count_nonzero(np.abs(sums) >= abs(observed) - 1e-9))
    if exact:  # the observed order is among them
        return extreme / len(sums)
    return (extreme + 1) / (len(sums) + 1)  # Phipson and Smyth 2010


def _correlation(one: Floats, other: Floats) -> float | None:
    if len(one) < 2 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return None
    return float(np.corrcoef(one, other)[0, 1])


def _pooled(rows: Sequence[tuple[Cell, float]]) -> PooledAssociation:
    values, covariates = [cell.value for cell, _ in rows], [x for _, x in rows]
    reason = ""
    if len(rows) < MIN_CELLS:
        reason = f"{len(rows)} cells, at least {MIN_CELLS} are needed"
    elif len(set(values)) == 1 or len(set(covariates)) == 1:
        reason = "values or covariates are all tied"
    if reason:
        return PooledAssociation(None, None, None, len(rows), reason)
    both = stats.spearmanr(covariates, values)
    greater = stats.spearmanr(covariates, values, alternative="greater")
    return PooledAssociation(
        float(both.statistic), float(greater.pvalue), float(both.pvalue), len(rows)
    )
