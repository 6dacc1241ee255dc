"""A comparison of interventions as one HTML file: what each changes, and what it buys."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lingraft.files import write_text
from lingraft.report.formatting import NO_VALUE, figure
from lingraft.report.page import render
from lingraft.report.records import whole

FORMAT = "lingraft-interventions-1"
SECTIONS = frozenset(
    [
        "question", "model", "num_seeds", "steps", "most_bits_per_fact", "layer", "bases", "arms",
        "orders", "influence", "environment", "seed",
    ]
)  # fmt: skip
ORDER_COLUMNS = {
    "same_0": "A’s facts in A",
    "same_1": "B’s facts in B",
    "from_0_to_1": "A’s facts in B",
    "from_1_to_0": "B’s facts in A",
    "forward": "forward, monolingual",
    "forward_parallel": "forward, parallel",
    "backward": "backward",
}


def write_intervention_report(record: Mapping[str, Any], path: Path) -> None:
    """Writes the report of a comparison of interventions as one self-contained HTML file.

    Like `write_report`: no script, no request, the same bytes for the same record.

    Args:
        record: A record of format ``"lingraft-interventions-1"``.
        path: The file to write, atomically.

    Raises:
        InputError: The record is of another format or incomplete.
        StoreError: The file cannot be written; what was there is as it was.
    """
    record = whole(record, format=FORMAT, sections=SECTIONS)
    page = render(
        "interventions.html.jinja",
        record=record,
        answers=[answer(arm) for arm in record["arms"]],
        order_columns=ORDER_COLUMNS,
        forces=forces,
    )
    write_text(path, page)


def answer(arm: Mapping[str, Any]) -> str:
    """Returns what an arm bought, in one sentence, whichever way it came out."""
    bought = arm["bought_bits_per_fact"]
    against = f"{arm['name']}, beside {arm['base']}"
    if bought["value"] is None:
        return f"{against}: not compared, {bought['reason']}."
    told = f"{bought['value']:+.3f} bits per fact"
    if bought["interval"] is None:
        return f"{against}: {told}, of one seed."
    low, high = bought["interval"]
    verdict = "buys transfer" if low > 0 else "costs transfer" if high < 0 else "no proof"
    return f"{against}: {verdict} ({told}, {low:+.3f} to {high:+.3f})."


def forces(arm: Mapping[str, Any], name: str) -> str:
    """Returns a force before and after a change, or its one value where nothing changes it."""
    before, after = arm["forces"][name]["before"], arm["forces"][name]["after"]
    if after is None or (before is None and arm["base"] is not None):
        return NO_VALUE
    if before is None or figure(before) == figure(after):
        return figure(after)
    return f"{figure(before)} → {figure(after)}"
