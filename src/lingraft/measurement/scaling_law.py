"""How does transfer grow with the fine-tuning data and the model? D_T = k · D_F^α · N^β.

Hernandez et al. 2021 (arXiv 2102.01293): α is read as a directed distance of two languages, β as
how general the model's knowledge is. The law is for little data, where D_T is positive.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lingraft.errors import InputError
from lingraft.measurement.transfer_cells import Cell, check_unique, has_logarithm
from lingraft.seeds import derive

COVERAGE = 0.95
NUM_RESAMPLES = 1000
MIN_DETERMINED = 0.9
"""Least share of the resamples that have to determine the law for an interval to be shown."""

Floats = NDArray[np.float64]
Interval = tuple[float, float]


@dataclass(frozen=True)
class ScalingLaw:
    """The law's three numbers with 95 % bootstrap intervals.

    Attributes:
        k: Factor, in the unit of the values by bytes^α (and parameters^β); None where `reason`
            says why. It is extrapolated to one byte: its interval spans decades.
        alpha: Exponent of D_F.
        beta: Exponent of N; None where `beta_reason` says why, and then it is part of k.
        k_interval: None where under `MIN_DETERMINED` of the resamples determine the law, as with
            one group or very few cells.
        alpha_interval: The same of alpha.
        beta_interval: The same of beta.
        residual: Root of the mean squared residual of ln D_T, by degrees of freedom; None when
            there are none left.
        num_used: Cells fitted.
        num_left_out: Cells with D_F = 0, without positive D_T, or without a wanted model size.
        num_censored: Cells left out because D_T was only bounded. Where "at least" cells lie at
            the large sizes, alpha without them is too small.
        num_groups: Groups that were resampled.
        reason: Why the law is undefined, or empty.
        beta_reason: Why beta is None, or empty.
    """

    k: float | None
    alpha: float | None
    beta: float | None
    k_interval: Interval | None
    alpha_interval: Interval | None
    beta_interval: Interval | None
    residual: float | None
    num_used: int
    num_left_out: int
    num_censored: int
    num_groups: int
    reason: str = ""
    beta_reason: str = ""

    def predict(self, data_finetuned_bytes: float, *, num_parameters: int | None = None) -> float:
        """Returns the law's D_T.

        Args:
            data_finetuned_bytes: D_F, positive.
            num_parameters: N; needed where beta was fitted.

        Raises:
            InputError: The law is undefined, D_F is not positive, or N is missing.
        """
        if self.k is None or self.alpha is None:
            raise InputError(expected="a law that was fitted", got=self.reason, where="ScalingLaw")
        if data_finetuned_bytes <= 0:
            raise InputError(
                expected="bytes above 0",
                got=str(data_finetuned_bytes),
                where="data_finetuned_bytes",
            )
        value = float(self.k * data_finetuned_bytes**self.alpha)
        if self.beta is None:
            return value
        if num_parameters is None or num_parameters <= 0:
            raise InputError(
                expected="a number of parameters", got=str(num_parameters), where="num_parameters"
            )
        return float(value * num_parameters**self.beta)


def fit_scaling_law(
    cells: Sequence[Cell], *, groups: Sequence[str] | None = None, seed: int
) -> ScalingLaw:
    """Fits the law by least squares in logarithms.

    Censored cells are left out and counted, not modelled: see `ScalingLaw.num_censored`. One law
    is fitted to all cells given: pass one pair of languages, or pairs that may share α and β.

    Args:
        cells: The table, of one or several models.
        groups: For each cell what it shares with others, such as its target (whose from-scratch
            curve all its cells are read off) or its trunk: such cells are resampled as one. None
            resamples single cells and then pretends that they are independent.
        seed: Of the resampling.

    Raises:
        InputError: Cells repeat, or there is not one group for each.
    """
    check_unique(cells)
    if groups is not None and len(groups) != len(cells):
        raise InputError(
            expected=f"one group for each of {len(cells)} cells",
            got=str(len(groups)),
            where="groups",
        )
    names = [str(i) for i in range(len(cells))] if groups is None else list(groups)
    used, beta_reason = _used(cells)
    design, values = _logarithms([cells[i] for i in used], with_model=not beta_reason)
    num_censored = sum(cell.censored is not None for cell in cells)
    empty = ScalingLaw(
        k=None,
        alpha=None,
        beta=None,
        k_interval=None,
        alpha_interval=None,
        beta_interval=None,
        residual=None,
        num_used=len(used),
        num_left_out=len(cells) - len(used) - num_censored,
        num_censored=num_censored,
        num_groups=len({names[i] for i in used}),
        reason=_undetermined(design),
        beta_reason=beta_reason,
    )
    return empty if empty.reason else _fitted(empty, design, values, [names[i] for i in used], seed)


def _used(cells: Sequence[Cell]) -> tuple[list[int], str]:
    """Returns which cells are fitted, and why their models are left out of the law, or ""."""
    measured = [i for i, c in enumerate(cells) if has_logarithm(c) and c.data_finetuned_bytes > 0]
    sizes = {cells[i].num_parameters for i in measured}
    if sizes <= {None}:
        return measured, "no cell names its number of parameters"
    used = [i for i in measured if cells[i].num_parameters]
    if len({cells[i].num_parameters for i in used}) < 2:
        return used, "all cells are of one model size"
    return used, ""


def _logarithms(cells: Sequence[Cell], *, with_model: bool) -> tuple[Floats, Floats]:
    """Returns (1, ln D_F[, ln N]) of each cell, (num_cells, 2 or 3), and ln D_T."""
    columns = [[1.0] * len(cells), [math.log(c.data_finetuned_bytes) for c in cells]]
    if with_model:
        columns.append([math.log(c.num_parameters or 1) for c in cells])
    return np.array(columns).T, np.array([math.log(c.value) for c in cells])


def _undetermined(design: Floats) -> str:
    num, width = design.shape
    if num < width:
        return f"{num} cells with positive D_T and D_F, at least {width} are needed"
    if np.ptp(design[:, 1]) == 0:
        return "all cells are of one fine-tuning size"
    if np.linalg.matrix_rank(design - design.mean(axis=0)) < width - 1:
        return "fine-tuning and model sizes grow in step, so alpha and beta cannot be told apart"
    return ""


def _fitted(
    empty: ScalingLaw, design: Floats, values: Floats, groups: Sequence[str], seed: int
) -> ScalingLaw:
    weights = np.vstack([np.ones(len(values)), _resampled_weights(groups, seed=seed)])
    laws = _solve(design, values, weights)
    # One group drawn again and again is always itself, which would pass for certainty.
    resampled = laws[1:] if empty.num_groups > 1 else np.full_like(laws, np.nan)
    intervals = [_interval(column) for column in resampled.T]
    log_k, alpha, *rest = laws[0].tolist()
    k_interval = intervals[0]
    freedom = len(values) - design.shape[1]
    squares = float(np.sum((values - design @ laws[0]) ** 2))
    return replace(
        empty,
        k=math.exp(log_k),
        alpha=alpha,
        beta=rest[0] if rest else None,
        k_interval=k_interval and (math.exp(k_interval[0]), math.exp(k_interval[1])),
        alpha_interval=intervals[1],
        beta_interval=intervals[2] if rest else None,
        residual=math.sqrt(squares / freedom) if freedom else None,
    )


def _resampled_weights(groups: Sequence[str], *, seed: int) -> Floats:
    """Draws how often each cell stands in each resample of the groups, (NUM_RESAMPLES, num)."""
    names = sorted(set(groups))
    generator = np.random.default_rng(derive(seed, "scaling_law", len(names)))
    shares = np.full(len(names), 1 / len(names))
    times = generator.multinomial(len(names), shares, size=NUM_RESAMPLES)
    return times[:, [names.index(group) for group in groups]].astype(np.float64)


def _solve(design: Floats, values: Floats, weights: Floats) -> Floats:
    """Solves weighted least squares, (num, 2 or 3); NaN where the weighted cells do not tell."""
    # Centred columns: the logarithms of bytes are far from zero, where k is extrapolated to.
    centre = design.mean(axis=0)
    centre[0] = 0.0
    width = np.maximum(design.std(axis=0), np.finfo(np.float64).tiny)
    width[0] = 1.0
    scaled = (design - centre) / width
    crossed = (scaled[:, :, None] * scaled[:, None, :]).reshape(len(values), -1)
    squares = (weights @ crossed).reshape(len(weights), scaled.shape[1], -1)
    products = weights @ (scaled * values[:, None])
    laws = np.full((len(weights), design.shape[1]), np.nan)
    spectrum = np.linalg.eigvalsh(squares)
    good = spectrum[:, 0] > 1e-10 * spectrum[:, -1]
    laws[good] = np.linalg.solve(squares[good], products[good][..., None])[..., 0] / width
    laws[:, 0] -= laws[:, 1:] @ centre[1:]
    return laws


def _interval(values: Floats) -> Interval | None:
    finite = values[np.isfinite(values)]
    if len(finite) < MIN_DETERMINED * len(values):
        return None
    low, high = np.quantile(finite, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2])
    return float(low), float(high)
