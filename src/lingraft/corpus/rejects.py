"""What readers leave out: counted by reason, written to a file, and limited."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from lingraft.corpus.records import Rejected
from lingraft.corpus.streams import MAX_LINE_BYTES
from lingraft.errors import InputError
from lingraft.files import atomic_writer
from lingraft.units import format_bytes

NOT_IN_LANGUAGE = "no text in the language asked for"
"""No defect: a file in many languages need not have all of them a row."""

BLANK_LINE = "blank line"
"""No defect either: aligners mark an empty pair so, and every file may end in one."""

TOO_LONG_LINE = f"line longer than {format_bytes(MAX_LINE_BYTES)}"

MAX_REJECTED_SHARE = 0.5
"""Of a file's rows; with more than that, the file is not what the user took it for."""


def summarize_rejected(rejected: Iterable[Rejected]) -> dict[str, int]:
    """Counts rejected rows by reason, the most frequent first.

    Example:
        >>> summarize_rejected([Rejected("a.tsv", 3, "empty source side")])
        {'empty source side': 1}
    """
    return dict(Counter(row.reason for row in rejected).most_common())


def write_rejected(rejected: Iterable[Rejected], path: Path) -> None:
    """Writes one JSON object a line with the keys `file`, `line` and `reason`, atomically.

    Raises:
        StoreError: The file cannot be written.
    """
    with atomic_writer(path) as stream:
        for row in rejected:
            fields = {"file": row.file, "line": row.line, "reason": row.reason}
            stream.write(json.dumps(fields).encode("ascii") + b"\n")


def check_rejected(path: str, num_kept: int, rejected: Sequence[Rejected], *, hint: str) -> None:
    """Refuses a file of which nothing or too little could be read.

    Args:
        path: The file as the user wrote it.
        num_kept: Rows of the file that were read.
        rejected: Rows of the file that were not.
        hint: What a row of this format looks like.

    Raises:
        InputError: No row is left, or more than `MAX_REJECTED_SHARE` of the rows have a defect;
            the message counts them by reason.
    """
    reasons = ", ".join(f"{n} x {reason}" for reason, n in summarize_rejected(rejected).items())
    if num_kept == 0:
        raise InputError(
            expected="at least one row of text",
            got=f"{len(rejected)} rows rejected ({reasons})" if rejected else "an empty file",
            where=path,
            hint=hint,
        )
    num_defects = sum(row.reason not in (NOT_IN_LANGUAGE, BLANK_LINE) for row in rejected)
    if num_defects > MAX_REJECTED_SHARE * (num_kept + num_defects):
        raise InputError(
            expected=f"at most {MAX_REJECTED_SHARE:.0%} of the rows with a defect",
            got=f"{num_defects} of {num_kept + num_defects} ({reasons})",
            where=path,
            hint=hint,
        )
