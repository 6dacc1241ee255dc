"""A study of factors as one HTML file: a table for each factor, with the floors beside them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lingraft.files import write_text
from lingraft.report.page import render
from lingraft.report.records import whole

FORMAT = "lingraft-factors-1"
SECTIONS = frozenset(
    ["question", "model", "source_lang", "trained_bytes", "num_test", "factors", "floors"]
)
VERDICTS = {
    "better": "better than rows without pairs",
    "open": "no proof that it beats rows without pairs",
    "worse": "worse than rows without pairs",
    None: "not compared",
}


def write_factor_report(record: Mapping[str, Any], path: Path) -> None:
    """Writes the report of a study of factors as one self-contained HTML file.

    Like `write_report`: no script, no request, the same bytes for the same record.

    Args:
        record: A record of format ``"lingraft-factors-1"``.
        path: The file to write, atomically.

    Raises:
        InputError: The record is of another format or incomplete.
        StoreError: The file cannot be written; what was there is as it was.
    """
    record = whole(record, format=FORMAT, sections=SECTIONS)
    page = render(
        "factors.html.jinja",
        record=record,
        answers=[answer(factor) for factor in record["factors"]],
        verdicts=VERDICTS,
        has_gold=any(level["gold"] for factor in record["factors"] for level in factor["levels"]),
    )
    write_text(path, page)


def answer(factor: Mapping[str, Any]) -> str:
    """Returns what a factor's figures say, in two sentences, whichever way they come out."""
    stage = "after" if any(level["after"] for level in factor["levels"]) else "before"
    measured = [
        (level[stage]["value"], level["label"])
        for level in factor["levels"]
        if level[stage] is not None and level[stage]["value"] is not None
    ]
    if not measured:
        return "Nothing was measured."
    when = "after training" if stage == "after" else "right after the swap"
    (low, best), (high, worst) = min(measured), max(measured)
    failing = [level["label"] for level in factor["levels"] if level["verdict"] != "better"]
    told = (
        f"No proof right after the swap that these beat rows without pairs: {'; '.join(failing)}."
        if failing
        else "All levels beat rows without pairs right after the swap."
    )
    return f"{when.capitalize()}: from {low:.3f} ({best}) to {high:.3f} ({worst}). {told}"
