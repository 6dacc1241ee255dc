"""What pretraining on a source was worth, in bytes of target text.

"Measuring Cross-lingual Transfer in Bytes", arXiv 2404.08191, section 3.2:
D_E(s, D_F) = L_scratch⁻¹(L_ft(s, D_F)) and D_T = D_E − D_F.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lingraft.errors import InputError
from lingraft.measurement.curve_fits import FITS
from lingraft.measurement.run_scatter import RunScatter
from lingraft.measurement.score import COVERAGE
from lingraft.measurement.scratch_curves import (
    Censored,
    Inverted,
    ScratchCurves,
    published_inverse,
)
from lingraft.measurement.transfer_losses import SCRATCH, Loss, check_distinct
from lingraft.seeds import derive
from lingraft.units import format_bytes

Rule = Literal["log-log", "power", "linear", "published"]
RULES: tuple[Rule, ...] = ("log-log", "power", "linear", "published")
MIN_SCRATCH_SIZES = 3
NUM_DRAWS = 400
VERSION = 2

# Of bytes; a fit that reads a measured loss further off than this is told to.
_TOLD_MISFIT = 1.1


@dataclass(frozen=True)
class Transfer:
    """Data transfer of one target, source and size.

    Attributes:
        target: The new language.
        source: What the model was pretrained on.
        data_finetuned_bytes: D_F.
        data_effective_bytes: D_E; the end of the curve where `censored`.
        censored: Whether D_E and D_T are bounds, and of which side.
        interval: Of D_T in bytes, 95 %; an end is None where the draws leave the curve there.
        rule: How the from-scratch curve was read.
        signature: Version, seed, draws, scatter of the runs, and their numbers.
        reason: Why there is no interval, or empty.
        remark: What else has to be known of the curve that it was read from, or empty.
    """

    target: str
    source: str
    data_finetuned_bytes: int
    data_effective_bytes: float
    censored: Censored | None
    interval: tuple[float | None, float | None] | None
    rule: Rule
    signature: Mapping[str, Any]
    reason: str = ""
    remark: str = ""

    @property
    def data_transferred_bytes(self) -> float:
        """D_T = D_E − D_F."""
        return self.data_effective_bytes - self.data_finetuned_bytes

    @property
    def fraction(self) -> float:
        """Share of the effective data that came with the model: max(0, D_T / D_E)."""
        return max(0.0, self.data_transferred_bytes / self.data_effective_bytes)

    @property
    def multiplier(self) -> float | None:
        """D_E / D_F, the reading of Hernandez et al. 2021; None without target text."""
        if not self.data_finetuned_bytes:
            return None
        return self.data_effective_bytes / self.data_finetuned_bytes

    def to_record(self) -> dict[str, Any]:
        """Returns a JSON object."""
        return {
            "target": self.target,
            "source": self.source,
            "data_finetuned_bytes": self.data_finetuned_bytes,
            "data_effective_bytes": self.data_effective_bytes,
            "data_transferred_bytes": self.data_transferred_bytes,
            "censored": self.censored,
            "interval": None if self.interval is None else list(self.interval),
            "rule": self.rule,
            "fraction": self.fraction,
            "multiplier": self.multiplier,
            "reason": self.reason,
            "remark": self.remark,
            "signature": dict(self.signature),
        }


@dataclass(frozen=True)
class Repair:
    """A from-scratch curve that did not fall and was made to.

    Attributes:
        target: Whose curve.
        num_bytes: The sizes whose losses were pooled with a neighbour's.
    """

    target: str
    num_bytes: tuple[int, ...]

    def describe(self) -> str:
        """One line for a person."""
        sizes = ", ".join(f"{size:,}" for size in self.num_bytes)
        return (
            f"{self.target}: the loss from scratch does not fall with the size; "
            f"the points at {sizes} bytes were pooled"
        )


@dataclass(frozen=True)
class DataTransfer:
    """All transfers of a table, and what was repaired to get them."""

    transfers: tuple[Transfer, ...]
    repairs: tuple[Repair, ...]

    @property
    def remarks(self) -> tuple[str, ...]:
        """One line for a person on each curve that asks for one, without the repairs."""
        return tuple(dict.fromkeys(f"{x.target}: {x.remark}" for x in self.transfers if x.remark))


def data_transfer(
    losses: Sequence[Loss],
    *,
    rule: Rule = "log-log",
    seed: int,
    num_draws: int = NUM_DRAWS,
) -> DataTransfer:
    """Weighs transfer in bytes, for every target, source and size of a table.

    Several runs of a kind enter by their mean log loss. The interval comes from a parametric
    bootstrap: scatter of log loss is pooled over all kinds of a target that have several runs
    (see `RunScatter`), every draw moves all points by it, fits the curve anew (by turns with each
    of `FITS[rule]`, lines and cubics in log-log for every rule), lets it stray between the sizes
    (see `scratch_curves`) and inverts it. Runs of one trunk move together.

    What the interval cannot know: a curve with a sharper bend between two sizes than it allows
    for, such as sudden learning in a wide gap, which only a size in that gap shows; what all
    runs have in common, such as too few steps; and with two trunks or two seeds of one kind, one
    degree of freedom, it is twelve deviations wide to each side and mostly open.

    Args:
        losses: See `read_losses`.
        rule: ``"log-log"`` interpolates in (log bytes, log loss); ``"power"`` fits
            c + a · D^-b; ``"linear"`` interpolates in (bytes, perplexity); ``"published"`` is the
            paper's own, with its wrap-around and without bounds, to compare with.
        seed: Of the draws.
        num_draws: Bootstrap draws behind each interval.

    Returns:
        Transfers in the order of the table. The zero-shot point, D_F = 0, is among them.

    Raises:
        InputError: An unknown rule, a target with runs of a source and fewer than three sizes
            from scratch, no pretrained run at all, or two losses of one run.
    """
    if rule not in RULES:
        raise InputError(expected=f"one of {', '.join(RULES)}", got=repr(rule), where="rule")
    check_distinct(losses, where="losses")
    targets = dict.fromkeys(loss.target for loss in losses if loss.init != SCRATCH)
    if not targets:
        raise InputError(
            expected="at least one run of a pretrained model",
            got=f"{len(losses)} runs, all from scratch",
            where="init",
        )
    tables = [_Table([x for x in losses if x.target == t], rule, seed, num_draws) for t in targets]
    return DataTransfer(
        tuple(transfer for table in tables for transfer in table.transfers()),
        tuple(table.repair for table in tables if table.repair is not None),
    )


class _Table:
    """One target's runs, by init and size."""

    def __init__(self, losses: Sequence[Loss], rule: Rule, seed: int, num_draws: int) -> None:
        self.target, self._rule = losses[0].target, rule
        self._seed, self._num_draws = seed, num_draws
        groups: dict[tuple[str, int], list[Loss]] = {}
        for loss in losses:
            groups.setdefault((loss.init, loss.dataset_bytes), []).append(loss)
        self._groups = groups
        self._sizes = sorted(size for init, size in groups if init == SCRATCH and size > 0)
        if len(self._sizes) < MIN_SCRATCH_SIZES:
            raise InputError(
                expected=f"at least {MIN_SCRATCH_SIZES} sizes from scratch",
                got=f"{len(self._sizes)}: {', '.join(map(str, self._sizes)) or 'none'}",
                where=f"target {self.target}",
                hint="train from random weights on more sizes, from below to above what the "
                "pretrained models reach",
            )
        self._num_bytes = np.array(self._sizes, dtype=np.float64)
        self._weights = np.array([len(groups[SCRATCH, s]) for s in self._sizes], dtype=np.float64)

    @cached_property
    def _curve(self) -> ScratchCurves:
        log_nats = np.array([[_mean_log(self._groups[SCRATCH, size]) for size in self._sizes]])
        return ScratchCurves(self._num_bytes, log_nats, self._weights, FITS[self._rule][:1])

    @property
    def repair(self) -> Repair | None:
        if self._rule == "published" or not self._curve.repaired:
            return None
        return Repair(self.target, tuple(self._sizes[at] for at in self._curve.repaired))

    def transfers(self) -> Iterator[Transfer]:
        reason = self._why_no_interval()
        draws = None if reason else self.draws()
        for (init, size), runs in self._groups.items():
            if init == SCRATCH:
                continue
            effective, censored = self._effective(runs)
            yield Transfer(
                target=self.target,
                source=init,
                data_finetuned_bytes=size,
                data_effective_bytes=effective,
                censored=censored,
                interval=None if draws is None else draws.interval((init, size)),
                rule=self._rule,
                signature={
                    "version": VERSION,
                    "seed": self._seed,
                    "num_draws": 0 if draws is None else self._num_draws,
                    "num_scratch_sizes": len(self._sizes),
                    "num_scratch_runs": int(self._weights.sum()),
                    "num_runs": len(runs),
                    "log_loss_scatter": self._scatter.deviation,
                    "num_free": self._scatter.num_free,
                    "repaired": self.repair is not None,
                },
                reason=reason,
                remark=self._remark,
            )

    def _why_no_interval(self) -> str:
        if self._rule == "published":
            return "the published rule has no interval"
        return self._scatter.why_unknown()

    @cached_property
    def _remark(self) -> str:
        if self._rule == "published":
            return ""
        if self._curve.is_flat:
            return "the loss from scratch is the same at all sizes: no size can be read off"
        size, read = self._curve.misfit()
        if max(size / read, read / size) < _TOLD_MISFIT:
            return ""
        is_within = self._sizes[0] <= read <= self._sizes[-1]
        given = format_bytes(read) if is_within else "a size beyond those measured"
        return (
            f"the {self._rule} fit misses the runs from scratch: "
            f"at the loss of {format_bytes(size)} it gives {given}"
        )

    def _effective(self, runs: Sequence[Loss]) -> tuple[float, Censored | None]:
        if self._rule == "published":
            # Of several runs the best: the published script's choice.
            scratch = [
                min(x.perplexity_per_byte for x in self._groups[SCRATCH, size])
                for size in self._sizes
            ]
            best = min(x.perplexity_per_byte for x in runs)
            return published_inverse(self._sizes, scratch, best), None
        [found] = self._curve.invert(np.array([_mean_log(runs)]))
        return found.num_bytes, found.censored

    @cached_property
    def _scatter(self) -> RunScatter:
        return RunScatter(list(self._groups.values()))

    def draws(self) -> "Draws":
        """Curves and losses of the bootstrap."""
        generator = np.random.default_rng(derive(self._seed, "data transfer", self.target))
        drawn = self._scatter.draw(self._num_draws, generator)
        log_nats = dict(zip(self._groups, drawn.T, strict=True))
        curves = ScratchCurves(
            self._num_bytes,
            np.stack([log_nats[SCRATCH, size] for size in self._sizes], axis=1),
            self._weights,
            FITS[self._rule],
            wander=generator.random((self._num_draws, len(self._sizes) - 1)),
        )
        return Draws(curves, log_nats)


def target_draws(losses: Sequence[Loss], transfer: Transfer) -> "Draws":
    """Returns the draws behind a transfer's interval, the same as they were.

    Args:
        losses: All losses of its target, as `data_transfer` was given them.
        transfer: One that has an interval.
    """
    own = [loss for loss in losses if loss.target == transfer.target]
    signature = transfer.signature
    table = _Table(own, transfer.rule, signature["seed"], signature["num_draws"])
    return table.draws()


@dataclass(frozen=True)
class Draws:
    """The bootstrap of one target.

    Attributes:
        curves: Its from-scratch curves, one a draw.
        log_nats: In the same draws, the logarithm of the loss of each kind of run, which is its
            init and size.
    """

    curves: ScratchCurves
    log_nats: Mapping[tuple[str, int], NDArray[np.float64]]

    def invert(self, kind: tuple[str, int]) -> list[Inverted]:
        """Returns D_E of one kind of run, read off each draw's curve."""
        return self.curves.invert(self.log_nats[kind])

    def interval(self, kind: tuple[str, int]) -> tuple[float | None, float | None]:
        """The 95 % interval of D_T of one kind of run; an open end is None."""
        # Bounds sort to their own side of the curve, and an end that is a bound is open.
        in_order = sorted(self.invert(kind), key=lambda x: (_SIDE[x.censored], x.num_bytes))
        tail = (1 - COVERAGE) / 2
        low = in_order[math.floor(tail * len(in_order))]
        high = in_order[math.ceil((1 - tail) * len(in_order)) - 1]
        return (
            None if low.censored == "at_most" else low.num_bytes - kind[1],
            None if high.censored == "at_least" else high.num_bytes - kind[1],
        )


_SIDE: Mapping[Censored | None, int] = {"at_most": -1, None: 0, "at_least": 1}


def _mean_log(runs: Sequence[Loss]) -> float:
    return math.fsum(math.log(run.nats_per_byte) for run in runs) / len(runs)


def transfer_table(transfers: Sequence[Transfer]) -> list[list[str]]:
    """Returns headers and rows for a person: bounds as ≥ and ≤, open ends of intervals as …"""
    header = ["target", "source", "D_F", "D_E", "D_T", "95 % interval", "from the source"]
    return [header, *(_row(transfer) for transfer in transfers)]


def _row(transfer: Transfer) -> list[str]:
    mark = {"at_least": "≥ ", "at_most": "≤ ", None: ""}[transfer.censored]
    interval = "–"
    if transfer.interval is not None:
        low, high = ("…" if end is None else signed_bytes(end) for end in transfer.interval)
        interval = f"{low} to {high}"
    return [
        transfer.target,
        transfer.source,
        signed_bytes(transfer.data_finetuned_bytes),
        mark + signed_bytes(transfer.data_effective_bytes),
        mark + signed_bytes(transfer.data_transferred_bytes),
        interval,
        f"{mark}{transfer.fraction:.0%}",
    ]


def signed_bytes(num_bytes: float) -> str:
    """Returns bytes for a person, also less than none: −2.5 MB."""
    sign = "−" if num_bytes < 0 else ""
    return sign + format_bytes(abs(num_bytes))
