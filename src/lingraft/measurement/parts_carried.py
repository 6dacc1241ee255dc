"""What each part of a pretrained model carried, in bytes of target text.

D_T of the whole model less D_T of the same model without the part: drawn anew before the target,
or frozen while the rest is trained on it. The second open question of arXiv 2404.08191: is what
carries over of a language, as embeddings are, or of none?
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from lingraft.measurement.data_transfer import Draws, Transfer, target_draws
from lingraft.measurement.score import COVERAGE
from lingraft.measurement.scratch_curves import Censored, Inverted
from lingraft.measurement.transfer_losses import Loss

_BOTH_BEYOND = "both losses are beyond the curve on one side"


@dataclass(frozen=True)
class PartCarried:
    """The bytes that one part was worth.

    Attributes:
        target: The new language.
        source: Init of the whole model.
        without: Init of the model without the part.
        data_finetuned_bytes: D_F, the same for both.
        carried_bytes: D_T of the whole less D_T without; None where nothing is known of it.
        censored: Whether that is a bound, and of which side.
        interval: 95 %, in bytes; an end is None where draws leave the curve there.
        reason: Why there is no value or no interval, or empty.
    """

    target: str
    source: str
    without: str
    data_finetuned_bytes: int
    carried_bytes: float | None
    censored: Censored | None
    interval: tuple[float | None, float | None] | None
    reason: str = ""

    def to_record(self) -> dict[str, Any]:
        """Returns a JSON object."""
        return asdict(self) | {"interval": None if self.interval is None else list(self.interval)}


def parts_carried(
    losses: Sequence[Loss], transfers: Sequence[Transfer], wholes: Mapping[str, str]
) -> tuple[PartCarried, ...]:
    """Weighs what models lose with a part: D_T of the whole less D_T without, one D_F apart.

    In each draw of `data_transfer`'s bootstrap both are read off the same curve, so that what is
    uncertain about the curve widens the interval less than two intervals of their own would.

    Args:
        losses: Of all runs, those from scratch among them.
        transfers: What `data_transfer` made of them.
        wholes: Init of the whole model by the init of the model without a part.

    Returns:
        One for each target, model without a part and size, in the order of the transfers.
    """
    cells = {(x.target, x.source, x.data_finetuned_bytes): x for x in transfers}
    draws = {
        target: _draws([x for x in losses if x.target == target], whole)
        for target, whole in {x.target: x for x in transfers if x.source in wholes}.items()
    }
    found = []
    for (target, without, size), cell in cells.items():
        if without not in wholes:
            continue
        source = wholes[without]
        whole = cells.get((target, source, size))
        if whole is None:
            worth, interval = _Worth(), None
            reason = f"no run of {source} at this size"
        else:
            worth = _Worth.of(_effective(whole), _effective(cell))
            interval = _interval(draws[target], (source, size), (without, size))
            reason = _BOTH_BEYOND if worth.num_bytes is None else cell.reason
        found.append(
            PartCarried(
                target, source, without, size, worth.num_bytes, worth.censored, interval, reason
            )
        )
    return tuple(found)


class _Worth(NamedTuple):
    """D_E of the whole less D_E without, the same as of D_T; None where nothing is known."""

    num_bytes: float | None = None
    censored: Censored | None = None

    @classmethod
    def of(cls, whole: Inverted, without: Inverted) -> "_Worth":
        if whole.censored == without.censored and whole.censored is not None:
            return cls()
        # What the whole has at least, or the part's absence leaves at most, was lost at least.
        is_least = whole.censored == "at_least" or without.censored == "at_most"
        is_exact = whole.censored is None and without.censored is None
        side: Censored | None = None if is_exact else "at_least" if is_least else "at_most"
        return cls(whole.num_bytes - without.num_bytes, side)


def _effective(transfer: Transfer) -> Inverted:
    return Inverted(transfer.data_effective_bytes, transfer.censored)


def _draws(losses: Sequence[Loss], transfer: Transfer) -> Draws | None:
    """The draws behind a target's intervals, made again; None where it has none."""
    if transfer.interval is None:
        return None
    return target_draws(losses, transfer)


def _interval(
    draws: Draws | None, whole: tuple[str, int], without: tuple[str, int]
) -> tuple[float | None, float | None] | None:
    if draws is None:
        return None
    pairs = zip(draws.invert(whole), draws.invert(without), strict=True)
    found = [_Worth.of(one, other) for one, other in pairs]
    # A bound is as low, or as high, as it says; on its other side nothing is known.
    lows = sorted(_end(x, "at_least", -math.inf) for x in found)
    highs = sorted(_end(x, "at_most", math.inf) for x in found)
    tail = (1 - COVERAGE) / 2
    low = lows[math.floor(tail * len(lows))]
    high = highs[math.ceil((1 - tail) * len(highs)) - 1]
    return (low if math.isfinite(low) else None, high if math.isfinite(high) else None)


def _end(worth: _Worth, known: Censored, beyond: float) -> float:
    is_known = worth.num_bytes is not None and worth.censored in (None, known)
    return worth.num_bytes if is_known and worth.num_bytes is not None else beyond
