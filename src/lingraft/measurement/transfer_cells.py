"""The table of measured transfers that the studies of it share."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from lingraft.errors import InputError


@dataclass(frozen=True)
class Cell:
    """One measured transfer, means over seeds: a pair of languages has one cell a size.

    Attributes:
        target: The language fine-tuned on, by any name.
        source: The language pretrained on.
        data_finetuned_bytes: D_F.
        value: D_T or another measure of transfer, in one unit throughout a table.
        num_parameters: N of the model, where a table holds several sizes.
        censored: Whether the truth is at least or at most `value`; None for a measured one.
    """

    target: str
    source: str
    data_finetuned_bytes: int
    value: float
    num_parameters: int | None = None
    censored: Literal["at_least", "at_most"] | None = None


def check_unique(cells: Sequence[Cell]) -> None:
    """Refuses tables with two cells for one pair, size and model.

    Raises:
        InputError: There are such cells: counted twice, one measurement would pass for two.
    """
    keys = [(c.target, c.source, c.data_finetuned_bytes, c.num_parameters) for c in cells]
    for key, count in Counter(keys).most_common(1):
        if count == 1:
            break
        raise InputError(
            expected="one cell for each target, source, size and model",
            got=f"{count} of {key[0]} from {key[1]} at {key[2]} bytes",
            where="cells",
            hint="average over seeds first",
        )


def check_one_size(cells: Sequence[Cell]) -> None:
    """Refuses tables of several fine-tuning sizes or models, whose growth would pass for signal.

    Raises:
        InputError: There are several sizes or models.
    """
    sizes = sorted({c.data_finetuned_bytes for c in cells})
    if len(sizes) > 1:
        raise InputError(
            expected="cells of one data_finetuned_bytes",
            got=", ".join(map(str, sizes)),
            where="cells",
            hint="study each size by itself",
        )
    models = {c.num_parameters for c in cells}
    if len(models) > 1:
        raise InputError(
            expected="cells of one num_parameters",
            got=", ".join(sorted(map(str, models))),
            where="cells",
            hint="study each model by itself",
        )


def is_measured(cell: Cell) -> bool:
    """Whether a cell's value was measured, not only bounded."""
    return cell.censored is None and math.isfinite(cell.value)


def has_logarithm(cell: Cell) -> bool:
    """Whether a cell's value was measured and has a logarithm."""
    return is_measured(cell) and cell.value > 0
