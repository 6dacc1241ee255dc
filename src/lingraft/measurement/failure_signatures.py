"""Known ways in which a study of data transfer goes wrong, and what each looks like.

From the discussion of arXiv 2404.08191 and the defects of its published figures.
"""

import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from lingraft.measurement.data_transfer import DataTransfer, Transfer
from lingraft.measurement.transfer_losses import SCRATCH, Loss

# A byte of text in any script costs less than this once a model has learnt its letters.
_POOR_BITS_PER_BYTE = 3.5


@dataclass(frozen=True)
class FailureSignature:
    """One sign of trouble.

    Attributes:
        name: Of the signature.
        evidence: The figures that it rests on.
        cause: The likely cause.
    """

    name: str
    evidence: str
    cause: str

    def to_record(self) -> dict[str, str]:
        """Returns a JSON object."""
        return asdict(self)


def failure_signatures(
    losses: Sequence[Loss],
    weighed: DataTransfer,
    *,
    ended_by_epochs: Sequence[Loss],
    languages: Collection[str],
) -> tuple[FailureSignature, ...]:
    """Returns the signatures that fire; none of them stops a study.

    Args:
        losses: The table of losses.
        weighed: What `data_transfer` made of it.
        ended_by_epochs: Those of the losses whose runs the last epoch ended (`BestLoss.stopped`).
        languages: The sources that are plain languages. Controls are made to differ, so that
            their differences are no signature, as a target's from itself is none.
    """
    return (
        *_poor_everywhere(losses),
        *_cut_short(ended_by_epochs),
        *_unfalling(weighed),
        *_differing_sources(
            [x for x in weighed.transfers if x.source in languages and x.source != x.target]
        ),
        *_ossified(weighed.transfers),
        *_beyond_the_curve(weighed.transfers),
    )


def _poor_everywhere(losses: Sequence[Loss]) -> Iterator[FailureSignature]:
    best: dict[str, float] = {}
    for loss in losses:
        bits = loss.nats_per_byte / math.log(2)
        best[loss.target] = min(best.get(loss.target, math.inf), bits)
    if best and min(best.values()) > _POOR_BITS_PER_BYTE:
        yield FailureSignature(
            "high loss in all languages",
            f"best {min(best.values()):.2f} bits per byte",
            "tokenization or capacity: too small a model, too few steps, or text that is no text",
        )


def _cut_short(ended_by_epochs: Sequence[Loss]) -> Iterator[FailureSignature]:
    """From-scratch runs that might have gone on: their losses cost steps, not text."""
    counts = Counter(
        (loss.target, loss.dataset_bytes) for loss in ended_by_epochs if loss.init == SCRATCH
    )
    if counts:
        yield FailureSignature(
            "a starved from-scratch curve",
            "; ".join(
                f"{count} {'run' if count == 1 else 'runs'} on {size:,} bytes of {target} ended by "
                "the number of epochs"
                for (target, size), count in sorted(counts.items())
            ),
            "too few epochs for so little text, so that D_T comes out too large: raise max_epochs "
            "until patience ends these runs",
        )


def _unfalling(weighed: DataTransfer) -> Iterator[FailureSignature]:
    for repair in weighed.repairs:
        yield FailureSignature(
            "a from-scratch curve that does not fall",
            repair.describe(),
            "runs that were not trained to their best, or too few seeds for the scatter",
        )


def _differing_sources(transfers: Sequence[Transfer]) -> Iterator[FailureSignature]:
    """Two sources whose intervals at one size do not touch."""
    cells: dict[tuple[str, int], list[Transfer]] = {}
    for transfer in transfers:
        cells.setdefault((transfer.target, transfer.data_finetuned_bytes), []).append(transfer)
    apart = [
        f"{target} at {size:,} bytes: {low.source} under {high.source}"
        for (target, size), found in cells.items()
        for low in found
        for high in found
        if _end(low, 1) < _end(high, 0)
    ]
    if apart:
        yield FailureSignature(
            "transfer that differs between sources",
            "; ".join(apart),
            "language-specific rather than language-agnostic transfer: shared script or vocabulary",
        )


def _end(transfer: Transfer, which: int) -> float:
    """An end of the interval; an open or missing one lies infinitely far out."""
    end = None if transfer.interval is None else transfer.interval[which]
    return (-math.inf, math.inf)[which] if end is None else end


def _ossified(transfers: Sequence[Transfer]) -> Iterator[FailureSignature]:
    worse = [
        f"{x.source} for {x.target} at {x.data_finetuned_bytes:,} bytes"
        for x in transfers
        if x.data_transferred_bytes < 0 and _end(x, 1) <= 0 and x.interval is not None
    ]
    if worse:
        yield FailureSignature(
            "pretraining that costs bytes",
            "; ".join(worse),
            "ossification, or rates and steps that are not tuned alike for both kinds of weights",
        )


_SIDES: Mapping[str, str] = {"at_least": "better than every", "at_most": "worse than every"}


def _beyond_the_curve(transfers: Sequence[Transfer]) -> Iterator[FailureSignature]:
    beyond = [
        f"{x.source} for {x.target} at {x.data_finetuned_bytes:,} bytes is "
        f"{_SIDES[x.censored]} model from {SCRATCH}"
        for x in transfers
        if x.censored is not None and x.data_finetuned_bytes
    ]
    if beyond:
        yield FailureSignature(
            "cells that are bounds",
            "; ".join(beyond),
            "from-scratch sizes that do not reach from below the worst to above the best model",
        )
