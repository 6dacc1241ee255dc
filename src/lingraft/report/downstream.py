"""A comparison on a task as one HTML file: arms beside the majority floor and random weights."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lingraft.files import write_text
from lingraft.report.formatting import figure, interval
from lingraft.report.page import render
from lingraft.report.records import whole

FORMAT = "lingraft-downstream-1"
SECTIONS = frozenset(
    ["question", "model", "score", "task", "num_seeds", "floor", "arms", "environment", "seed"]
)


def write_downstream_report(record: Mapping[str, Any], path: Path) -> None:
    """Writes the report of a comparison on a task as one self-contained HTML file.

    Like `write_report`: no script, no request, the same bytes for the same record.

    Args:
        record: A record of format ``"lingraft-downstream-1"``.
        path: The file to write, atomically.

    Raises:
        InputError: The record is of another format or incomplete.
        StoreError: The file cannot be written; what was there is as it was.
    """
    record = whole(record, format=FORMAT, sections=SECTIONS)
    write_text(path, render("downstream.html.jinja", record=record, answers=answers(record)))


def answers(record: Mapping[str, Any]) -> list[str]:
    """Returns what the figures say, a sentence each, whichever way they come out."""
    score = record["score"].replace("_", " ")
    floor = record["floor"][record["score"]]
    told = [f"Who only counts answers reaches {figure(floor['value'])} {score}."]
    told += [
        f"{arm['name']}: {_verdict(arm['against_floor'], 'the majority floor')}"
        + (
            ""
            if arm["against_random"] is None
            else f"; {_verdict(arm['against_random'], 'random weights')}"
        )
        + "."
        for arm in record["arms"]
    ]
    return told


def _verdict(change: Mapping[str, Any], other: str) -> str:
    if change["value"] is None or change["interval"] is None:
        return f"not compared with {other}"
    low, high = change["interval"]
    figures = f"{change['value']:+.3f}, {interval(change['interval'])}"
    if low > 0:
        return f"better than {other} ({figures})"
    return f"worse than {other} ({figures})" if high < 0 else f"no proof beside {other} ({figures})"
