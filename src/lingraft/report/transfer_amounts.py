"""Amounts of a data transfer record in words: bytes that may be negative, bounds, open ends."""

from collections.abc import Mapping, Sequence
from typing import Any

from lingraft.report.formatting import one_line
from lingraft.units import format_bytes

MARKS = {None: "", "at_least": "≥ ", "at_most": "≤ "}
OPEN_END = "…"

Transfer = Mapping[str, Any]
"""One of a record's ``transfers``."""


def signed_bytes(num_bytes: float) -> str:
    """Returns bytes, which may be negative, for a person: ``-2_500`` is −2.5 kB."""
    return f"{'−' if num_bytes < 0 else ''}{format_bytes(abs(num_bytes))}"


def span(interval: Sequence[float | None]) -> str:
    """Returns an interval in bytes; an end that left the curve is an ellipsis."""
    low, high = (OPEN_END if end is None else signed_bytes(end) for end in interval)
    return f"{low} to {high}"


def name_of(record: Mapping[str, Any], code: str) -> str:
    """Returns the English name of a language; of a control, which has none, its own."""
    return one_line(str(record["names"].get(code, code)))


def fine_tuned(record: Mapping[str, Any]) -> dict[tuple[str, str, int], Transfer]:
    """Returns the cells of models with fine-tuning text, by target, source and D_F."""
    return {
        (cell["target"], cell["source"], cell["data_finetuned_bytes"]): cell
        for cell in record["transfers"]
        if cell["data_finetuned_bytes"] > 0
    }


def worth(cell: Transfer) -> float | None:
    """Returns D_T in bytes, where it is defined."""
    value: float | None = cell["data_transferred_bytes"]
    return value
