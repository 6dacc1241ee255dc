"""Rows of a JSON Lines file, or of Python: each with its number, or the reason why it is none."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from lingraft.corpus.rejects import BLANK_LINE, TOO_LONG_LINE
from lingraft.corpus.streams import check_readable, read_lines

NumberedRow: TypeAlias = tuple[int, dict[str, Any] | str]
"""The 1-based number of a row, and the row or the reason."""


def numbered_rows(
    rows: str | Path | Iterable[Mapping[str, Any]],
) -> tuple[str, Iterator[NumberedRow]]:
    """Returns where rows are from, and the rows.

    Args:
        rows: A ``.jsonl`` (also ``.gz``, ``.xz``, ``.zst``), or the rows themselves.

    Raises:
        InputError: The file cannot be read.
    """
    if isinstance(rows, (str, Path)):
        check_readable(Path(rows))
        return str(rows), json_rows(Path(rows))
    return "rows", ((number, dict(row)) for number, row in enumerate(rows, start=1))


def json_rows(path: Path, *, keep_blank: bool = False) -> Iterator[NumberedRow]:
    """Yields an object a line, or why there is none.

    Args:
        path: A ``.jsonl``, plain or compressed.
        keep_blank: Whether blank lines count.
    """
    for line in read_lines(path):
        if line.text is None:
            yield line.number, TOO_LONG_LINE
        elif line.text.strip():
            yield line.number, _row(line.text)
        elif keep_blank:
            yield line.number, BLANK_LINE


def _row(text: str) -> dict[str, Any] | str:
    try:
        row = json.loads(text)
    except (ValueError, RecursionError):
        return "bad JSON"
    return row if isinstance(row, dict) else "no JSON object"
