"""Can transfer be foretold from bytes alone, how much is the target's, and does it go both ways?"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray

from lingraft.errors import InputError
from lingraft.measurement.transfer_cells import (
    Cell,
    check_one_size,
    check_unique,
    has_logarithm,
    is_measured,
)

MIN_CELLS = 10
MIN_TARGETS = 3
MIN_CELLS_PER_FEATURE = 3

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Comparison:
    """Errors on cells that were left out, of a regression and of a baseline.

    Attributes:
        squares: Sum of the regression's squared errors.
        baseline_squares: Sum of the baseline's.
        num_predicted: Cells that both could predict.
        num_targets: Their targets.
        num_targets_won: Targets whose squared errors the regression made smaller: where that is
            near one half, the winner of the sums is chance.
    """

    squares: float
    baseline_squares: float
    num_predicted: int
    num_targets: int
    num_targets_won: int

    @property
    def rmse(self) -> float | None:
        """Root of the regression's mean squared error; None where nothing was predicted."""
        return math.sqrt(self.squares / self.num_predicted) if self.num_predicted else None

    @property
    def baseline_rmse(self) -> float | None:
        """The same of the baseline."""
        return math.sqrt(self.baseline_squares / self.num_predicted) if self.num_predicted else None

    @property
    def r_squared(self) -> float | None:
        """Share of the baseline's squares that the regression saves, negative when it adds."""
        return 1 - self.squares / self.baseline_squares if self.baseline_squares else None

    @property
    def wins(self) -> bool:
        """Whether the regression's sum of squares is the smaller one."""
        return self.squares < self.baseline_squares


@dataclass(frozen=True)
class Prediction:
    """How well features of the pair foretell transfer.

    Attributes:
        names: The features.
        unit: ``"log"`` for natural logarithms of the values, else ``"value"``.
        ridge: Penalty on standardized coefficients.
        num_cells: Cells used.
        num_left_out: Cells left out: censored, or without a logarithm where one is needed.
        new_target: Each target predicted from the others; against their grand mean.
        new_cell: Each cell predicted from all others; against target + source means.
        new_cell_with_means: The same with those means inside the regression: do the features add
            to them?
    """

    names: tuple[str, ...]
    unit: str
    ridge: float
    num_cells: int
    num_left_out: int
    new_target: Comparison
    new_cell: Comparison
    new_cell_with_means: Comparison


@dataclass(frozen=True)
class VarianceShares:
    """Shares of the variance of log D_T that identities explain, each by itself (η²).

    Attributes:
        target: Of the target; None where `reason` says why.
        source: Of the source.
        num_cells: Cells used.
        num_left_out: Cells left out: censored or not positive.
        reason: Why the shares are undefined, or empty.
    """

    target: float | None
    source: float | None
    num_cells: int
    num_left_out: int
    reason: str = ""


@dataclass(frozen=True)
class BothWays:
    """One pair of languages measured in both directions; `first` sorts before `second`.

    Attributes:
        first: One language.
        second: The other.
        to_second: Transfer from `first` to `second`.
        to_first: Transfer from `second` to `first`.
        fold: The larger by the smaller; None when one is not positive.
    """

    first: str
    second: str
    to_second: float
    to_first: float
    fold: float | None


@dataclass(frozen=True)
class Commutativity:
    """Whether transfer is the same in both directions, and the same from all sources.

    Attributes:
        pairs: The pairs measured in both directions.
        median_fold: Median of the folds; None without any.
        log_correlation: Correlation of the logarithms of the two directions, each pair entered in
            both orders, since none of the two comes first; None where `reason` says why.
        spread_by_target: Largest by smallest value over sources, for targets of two or more.
        num_left_out: Cells left out: censored.
        reason: Why the correlation is undefined, or empty.
    """

    pairs: tuple[BothWays, ...]
    median_fold: float | None
    log_correlation: float | None
    spread_by_target: Mapping[str, float]
    num_left_out: int
    reason: str = ""


def predict(
    cells: Sequence[Cell],
    features: Sequence[Sequence[float]],
    *,
    names: Sequence[str],
    ridge: float = 1.0,
    log: bool = True,
) -> Prediction:
    """Predicts transfer from features of the pair of languages, on cells left out.

    A ridge regression on features standardized by the cells that it is fitted to, intercept
    (and means) free. Cells of one size only: over sizes, D_F alone would predict.

    Args:
        cells: The table, one size and model.
        features: For each cell the features, (num_cells, num_features); from bytes alone, such as
            `corpus.similarity` gives, they exist for any language.
        names: The features' names.
        ridge: Penalty, in units of squared standardized coefficients; 0 for least squares.
        log: Whether to predict ln(value); then values must be positive.

    Raises:
        InputError: Shapes do not fit, cells repeat or are of several sizes, a feature is not
            finite, the penalty is negative, or cells or targets are too few.
    """
    matrix = _feature_matrix(cells, features, names, ridge)
    keep = [has_logarithm(cell) if log else is_measured(cell) for cell in cells]
    used = [cell for cell, kept in zip(cells, keep, strict=True) if kept]
    matrix = matrix[np.array(keep, dtype=bool)]
    targets = sorted({cell.target for cell in used})
    _check_numbers(len(used), len(targets), len(names))
    values = np.array([math.log(c.value) if log else c.value for c in used])
    ones, means = np.ones((len(used), 1)), _indicators(used)
    by_target = [np.array([c.target == t for c in used]) for t in targets]
    by_cell = list(np.eye(len(used), dtype=bool))
    none = np.zeros((len(used), 0))

    def compare(folds: list[NDArray[np.bool_]], free: Floats, baseline: Floats) -> Comparison:
        ours = _left_out(folds, values, free, matrix, ridge)
        theirs = _left_out(folds, values, baseline, none, ridge)
        return _compare(used, values, ours, theirs)

    return Prediction(
        names=tuple(names),
        unit="log" if log else "value",
        ridge=ridge,
        num_cells=len(used),
        num_left_out=len(cells) - len(used),
        new_target=compare(by_target, ones, ones),
        new_cell=compare(by_cell, ones, means),
        new_cell_with_means=compare(by_cell, means, means),
    )


def variance_shares(cells: Sequence[Cell]) -> VarianceShares:
    """Says how much of log D_T's variance is the target's and how much is the source's.

    Between-group by total sum of squares of ln(value), for each factor alone: in unbalanced tables
    the two overlap and need not add up.

    Raises:
        InputError: Cells repeat or are of several sizes.
    """
    check_unique(cells)
    check_one_size(cells)
    used = [cell for cell in cells if has_logarithm(cell)]
    left_out = len(cells) - len(used)
    values = np.log([cell.value for cell in used])
    total = float(np.sum((values - values.mean()) ** 2)) if len(used) > 1 else 0.0
    if total == 0:
        reason = "fewer than two cells" if len(used) < 2 else "all values are equal"
        return VarianceShares(None, None, len(used), left_out, reason)
    target = _between([cell.target for cell in used], values) / total
    source = _between([cell.source for cell in used], values) / total
    return VarianceShares(target, source, len(used), left_out)


def commutativity(cells: Sequence[Cell]) -> Commutativity:
    """Compares the two directions of each pair, and the sources of each target.

    Raises:
        InputError: Cells repeat or are of several sizes.
    """
    check_unique(cells)
    check_one_size(cells)
    used = {(c.source, c.target): c.value for c in cells if is_measured(c)}
    pairs = tuple(
        BothWays(a, b, used[a, b], used[b, a], _fold([used[a, b], used[b, a]]))
        for a, b in sorted(used)
        if a < b and (b, a) in used
    )
    folds = [pair.fold for pair in pairs if pair.fold is not None]
    by_target: dict[str, list[float]] = defaultdict(list)
    for (_, target), value in sorted(used.items()):
        by_target[target].append(value)
    spreads = {t: _fold(x) for t, x in sorted(by_target.items()) if len(x) > 1}
    correlation, reason = _both_ways_correlation([p for p in pairs if p.fold is not None])
    return Commutativity(
        pairs=pairs,
        median_fold=median(folds) if folds else None,
        log_correlation=correlation,
        spread_by_target={t: x for t, x in spreads.items() if x is not None},
        num_left_out=len(cells) - len(used),
        reason=reason,
    )


def _feature_matrix(
    cells: Sequence[Cell],
    features: Sequence[Sequence[float]],
    names: Sequence[str],
    ridge: float,
) -> Floats:
    check_unique(cells)
    check_one_size(cells)
    shapes = {len(row) for row in features} or {len(names)}
    if len(features) != len(cells) or shapes != {len(names)} or not names:
        raise InputError(
            expected=f"{len(cells)} rows of {len(names)} features, at least one",
            got=f"{len(features)} rows of {sorted(shapes)}",
            where="features",
        )
    matrix = np.array(features, dtype=np.float64).reshape(len(cells), len(names))
    wrong = np.argwhere(~np.isfinite(matrix))
    if len(wrong):
        row, column = wrong[0].tolist()
        raise InputError(
            expected="finite features",
            got=f"{names[column]} {matrix[row, column]}",
            where=f"{cells[row].target} from {cells[row].source}",
        )
    if not (math.isfinite(ridge) and ridge >= 0):
        raise InputError(expected="a penalty of 0 or more", got=str(ridge), where="ridge")
    return matrix


def _check_numbers(num_cells: int, num_targets: int, num_features: int) -> None:
    least = max(MIN_CELLS, MIN_CELLS_PER_FEATURE * num_features + 1)
    if num_cells < least or num_targets < MIN_TARGETS:
        raise InputError(
            expected=f"at least {least} measured cells of {MIN_TARGETS} targets for "
            f"{num_features} features",
            got=f"{num_cells} cells of {num_targets} targets",
            where="cells",
            hint="measure more pairs or give fewer features",
        )


def _indicators(cells: Sequence[Cell]) -> Floats:
    """Returns indicators of target and source, (num_cells, num_targets + num_sources)."""
    targets, sources = ({getattr(c, side) for c in cells} for side in ("target", "source"))
    columns = [[c.target == t for c in cells] for t in sorted(targets)]
    columns += [[c.source == s for c in cells] for s in sorted(sources)]
    return np.array(columns, dtype=np.float64).T


def _left_out(
    folds: Sequence[NDArray[np.bool_]],
    values: Floats,
    free: Floats,
    features: Floats,
    ridge: float,
) -> Floats:
    """Predicts each fold from the others, (num_cells,); NaN where these do not tell."""
    predicted = np.full(len(values), np.nan)
    for out in folds:
        kept = ~out
        centre, width = features[kept].mean(axis=0), features[kept].std(axis=0)
        scaled = (features - centre) / np.where(width > 0, width, 1.0)
        design = np.hstack([free, scaled])
        penalty = np.hstack(
            [np.zeros((features.shape[1], free.shape[1])), np.eye(features.shape[1])]
        )
        rows = np.vstack([design[kept], math.sqrt(ridge) * penalty])
        answers = np.concatenate([values[kept], np.zeros(features.shape[1])])
        inverse = np.linalg.pinv(rows)
        # A target or source of which nothing is left has no mean to predict from.
        fixed = np.allclose(design[out] @ inverse @ rows, design[out], atol=1e-6)
        if fixed:
            predicted[out] = design[out] @ inverse @ answers
    return predicted


def _compare(cells: Sequence[Cell], values: Floats, ours: Floats, theirs: Floats) -> Comparison:
    both = np.isfinite(ours) & np.isfinite(theirs)
    squares, baseline = (ours - values) ** 2, (theirs - values) ** 2
    targets = sorted({cell.target for cell, here in zip(cells, both, strict=True) if here})
    masks = [both & np.array([cell.target == t for cell in cells]) for t in targets]
    return Comparison(
        squares=float(squares[both].sum()),
        baseline_squares=float(baseline[both].sum()),
        num_predicted=int(both.sum()),
        num_targets=len(targets),
        num_targets_won=sum(bool(squares[m].sum() < baseline[m].sum()) for m in masks),
    )


def _between(names: Sequence[str], values: Floats) -> float:
    groups = [values[np.array([x == name for x in names])] for name in sorted(set(names))]
    return float(sum(len(x) * (x.mean() - values.mean()) ** 2 for x in groups))


def _fold(values: Sequence[float]) -> float | None:
    return max(values) / min(values) if min(values) > 0 else None


def _both_ways_correlation(pairs: Sequence[BothWays]) -> tuple[float | None, str]:
    if len(pairs) < 3:
        return None, f"{len(pairs)} pairs in both directions, at least 3 are needed"
    one = np.log([x for p in pairs for x in (p.to_second, p.to_first)])
    other = np.log([x for p in pairs for x in (p.to_first, p.to_second)])
    if np.ptp(one) == 0:
        return None, "all values are equal"
    return float(np.corrcoef(one, other)[0, 1]), ""
