"""A file of losses weighed in bytes, with what a reader of its figures has to be told."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lingraft.errors import InputError
from lingraft.measurement.data_transfer import Rule, Transfer, data_transfer
from lingraft.measurement.transfer_losses import (
    check_scratch,
    read_losses,
    targets_without_source,
)

_COMPARISON_ONLY = (
    "the published rule wraps around beyond the curve and knows no bounds: "
    "for comparison only; weigh with another rule"
)
_OPTIONS = ("rule",)


@dataclass(frozen=True)
class WeighedFile:
    """What a file of losses says about its sources.

    Attributes:
        transfers: In the order of the file.
        notes: One line each on what was left out, repaired, or is not to be relied on.
    """

    transfers: tuple[Transfer, ...]
    notes: tuple[str, ...]

    @property
    def footnotes(self) -> tuple[str, ...]:
        """One line each for below a table: why there is no interval, and of which targets."""
        targets: dict[str, dict[str, None]] = {}
        for transfer in self.transfers:
            if transfer.reason:
                targets.setdefault(transfer.reason, {})[transfer.target] = None
        lines = [f"– {', '.join(found)}: {reason}" for reason, found in targets.items()]
        if _for_comparison(self.transfers[0].rule):
            lines.append(_COMPARISON_ONLY)
        return tuple(lines)

    def to_records(self) -> list[dict[str, Any]]:
        """Returns a JSON object for each transfer."""
        return [
            {**transfer.to_record(), "comparison_only": _for_comparison(transfer.rule)}
            for transfer in self.transfers
        ]


def weigh_file(path: str | Path, *, rule: Rule, seed: int) -> WeighedFile:
    """Weighs in bytes what pretraining was worth in each line of a file of losses.

    Args:
        path: See `read_losses`.
        rule: See `data_transfer`.
        seed: Of the intervals' draws.

    Raises:
        InputError: See `read_losses`, `check_scratch` and `data_transfer`; the file is named.
    """
    losses = read_losses(path)
    check_scratch(losses, where=str(path))
    try:
        weighed = data_transfer(losses, rule=rule, seed=seed)
    except InputError as error:
        if error.where in _OPTIONS:
            raise
        raise InputError(
            expected=error.expected,
            got=error.got,
            where=f"{path}, {error.where}",
            hint=error.hint,
        ) from error
    notes = [
        f"left out: {target}: runs from scratch alone, nothing to weigh"
        for target in targets_without_source(losses)
    ]
    notes += [f"repaired: {repair.describe()}" for repair in weighed.repairs]
    notes += weighed.remarks
    if _for_comparison(rule):
        notes.append(_COMPARISON_ONLY)
    return WeighedFile(weighed.transfers, tuple(notes))


def _for_comparison(rule: Rule) -> bool:
    return rule == "published"
