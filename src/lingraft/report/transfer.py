"""A study of data transfer as one HTML file: what pretraining was worth, in bytes of text."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lingraft.errors import InputError
from lingraft.files import write_text
from lingraft.report.figures import data_uri
from lingraft.report.formatting import one_line
from lingraft.report.page import render
from lingraft.report.records import whole
from lingraft.report.transfer_amounts import Transfer, fine_tuned, name_of, signed_bytes, span
from lingraft.report.transfer_figures import (
    draw_correlations,
    draw_scratch_curves,
    draw_transfer_lines,
)
from lingraft.report.transfer_heat_map import draw_heat_map
from lingraft.report.transfer_tables import build_tables, covariates, transfer_table
from lingraft.units import format_bytes

FORMAT = "lingraft-transfer-1"
SECTIONS = frozenset(
    [
        *("question", "scale", "rule", "model", "names", "targets", "sources", "sizes", "losses"),
        *("transfers", "repairs", "texts", "units", "similarity", "contamination"),
        *("tested_sources", "associations", "untested", "variance", "commutativity"),
        *("prediction", "prediction_from_all", "failures", "cost"),
    ]
)
ENTRIES = {
    "losses": "target init dataset_bytes seed nats_per_byte valid_nats_per_byte processed_bytes "
    "learning_rate stopped num_bytes num_characters num_documents trunk",
    "transfers": "target source data_finetuned_bytes data_effective_bytes data_transferred_bytes "
    "censored interval rule fraction multiplier reason signature",
    "texts": "name side train_bytes train_characters train_documents removed repairs",
    "similarity": "target source reasons",
    "contamination": "target source described amount limit identifier",
    "associations": "covariate data_finetuned_bytes rho p num_cells reason",
    "commutativity": "one other there back fold",
    "failures": "name evidence cause",
}
_BOUNDS = {None: "", "at_least": "at least ", "at_most": "at most "}


def write_transfer_report(record: Mapping[str, Any], path: Path) -> None:
    """Writes the report of a data transfer study (arXiv 2404.08191) as one HTML file.

    Like `write_report`: no script, no request, the same bytes for the same record.

    Args:
        record: A record of format ``"lingraft-transfer-1"``.
        path: The file to write, atomically.

    Raises:
        InputError: The record is of another format or incomplete.
        StoreError: The file cannot be written; what was there is as it was.
    """
    record = _checked(record)
    page = render(
        "transfer.html.jinja",
        record=record,
        name=lambda code: name_of(record, code),
        answers=answers(record),
        pairs=pair_sentences(record),
        classifiers=sorted({row["identifier"] for row in record["contamination"]}),
        tables=build_tables(record),
        figures=_figures(record),
    )
    write_text(path, page)


def transfer_rows(record: Mapping[str, Any]) -> list[list[str]]:
    """Returns D_T of every target, source and size as plain text, headers first.

    Raises:
        InputError: The record is of another format or incomplete.
    """
    table = transfer_table(_checked(record))
    return [list(table.headers), *(list(row) for row in table.rows)]


def answers(record: Mapping[str, Any]) -> list[str]:
    """Returns what the figures show in up to four sentences, whichever way they come out."""
    cells = list(fine_tuned(record).values())
    if not cells:
        return ["No model was fine-tuned, so this record says nothing about transfer."]
    found = {verdict: [c for c in cells if _verdict(c) == verdict] for verdict in _VERDICTS}
    told = []
    if found["gain"]:
        best = max(found["gain"], key=lambda cell: float(cell["data_transferred_bytes"]))
        told.append(f"{_told(record, best)}, the most that was seen.")
    else:
        told.append("In no cell does the whole interval of D_T lie above 0.")
    if found["loss"]:
        worst = min(found["loss"], key=lambda cell: float(cell["data_transferred_bytes"]))
        told.append(f"The most harmful: {_told(record, worst, start='pretraining')}.")
    counts = "; ".join(f"{words}: {len(found[verdict])}" for verdict, words in _VERDICTS.items())
    num_bounds = sum(cell["censored"] is not None for cell in cells)
    told.append(f"Cells: {len(cells)}, of which {counts}. Bounds instead of values: {num_bounds}.")
    pairs = dict.fromkeys((cell["target"], cell["source"]) for cell in cells)
    shown = {(c["target"], c["source"]) for c in cells if _verdict(c) != "open"}
    nothing = [
        f"{name_of(record, source)} → {name_of(record, target)}"
        for target, source in pairs
        if (target, source) not in shown
    ]
    if nothing:
        told.append(
            f"Nothing that this study can show (every interval contains 0): {', '.join(nothing)}."
        )
    return told


def pair_sentences(record: Mapping[str, Any]) -> list[str]:
    """Returns a line for each target and source with D_T at every size, zero-shot included."""
    pairs: dict[tuple[str, str], list[str]] = {}
    for cell in sorted(record["transfers"], key=lambda cell: int(cell["data_finetuned_bytes"])):
        size = cell["data_finetuned_bytes"]
        beside = f"beside {format_bytes(size)}" if size else "without text of the target"
        nothing = ", not told from 0," if _verdict(cell) == "open" else ""
        told = f"{_amount(cell)}{nothing} {beside}"
        pairs.setdefault((cell["target"], cell["source"]), []).append(told)
    order = {code: place for place, code in enumerate([*record["targets"], *record["sources"]])}
    return [
        f"{name_of(record, source)} → {name_of(record, target)}: {'; '.join(told)}."
        for (target, source), told in sorted(
            pairs.items(), key=lambda item: [order.get(code, len(order)) for code in item[0]]
        )
    ]


_VERDICTS = {
    "gain": "gains, their whole interval above 0",
    "loss": "losses, below 0",
    "open": "not told from 0, which their interval contains",
    "unknown": "without an interval",
}


def _verdict(cell: Transfer) -> str:
    if cell["interval"] is None or cell["data_transferred_bytes"] is None:
        return "unknown"
    low, high = cell["interval"]
    if low is not None and low > 0:
        return "gain"
    return "loss" if high is not None and high < 0 else "open"


def _told(record: Mapping[str, Any], cell: Transfer, start: str = "Pretraining") -> str:
    source, target = (name_of(record, cell[key]) for key in ("source", "target"))
    beside = format_bytes(cell["data_finetuned_bytes"])
    worth = f"was worth {_amount(cell)} of {target} beside {beside} of fine-tuning text"
    return f"{start} on {source} {worth}"


def _amount(cell: Transfer) -> str:
    value = cell["data_transferred_bytes"]
    reason = one_line(cell["reason"]) or "no reason recorded"
    if value is None:
        return f"undefined ({reason})"
    edges = f"no interval: {reason}" if cell["interval"] is None else span(cell["interval"])
    return f"{_BOUNDS[cell['censored']]}{signed_bytes(value)} ({edges})"


def _figures(record: Mapping[str, Any]) -> dict[str, Any]:
    def drawn(svg: str | None) -> str | None:
        return svg and data_uri(svg)

    names = covariates(record)
    return {
        "heat_map": drawn(draw_heat_map(record)),
        "curves": {t: drawn(draw_scratch_curves(record, t)) for t in record["targets"]},
        "lines": drawn(draw_transfer_lines(record)),
        "correlations": {name: drawn(draw_correlations(record, name)) for name in names},
    }


def _checked(record: Mapping[str, Any]) -> dict[str, Any]:
    found = whole(record, format=FORMAT, sections=SECTIONS, entries=ENTRIES)
    for number, cell in enumerate(found["transfers"]):
        for key in ("target", "source"):
            if cell[key] not in found[f"{key}s"]:
                raise InputError(
                    expected=f"a {key} that the record lists: {', '.join(found[f'{key}s'])}",
                    got=repr(cell[key]),
                    where=f"record, transfers[{number}]",
                )
    return found
