"""The tables of a unification record: every number behind its figures, in plain text."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lingraft.report.formatting import NO_VALUE, figure, one_line
from lingraft.report.transfer_tables import NumberTable
from lingraft.report.unification_cells import (
    Cell,
    axis_symbol,
    axis_value,
    cell_name,
    members_of,
    value_of,
)

RECALL = {
    "same_accuracy": "same language",
    "cross_accuracy": "other language",
    "transfer_ratio": "transfer ratio",
    "wrong_half_rate": "wrong half",
    "floor_same_accuracy": "unseen, same",
    "floor_cross_accuracy": "unseen, other",
    "chance_accuracy": "chance",
    "onset_step": "onset, step",
}
RANKS = {
    "same_mrr": "same language",
    "cross_mrr": "other language",
    "floor_same_mrr": "unseen, same",
    "floor_cross_mrr": "unseen, other",
    "chance_mrr": "chance",
}
STATES = {
    "unification_early": "U at onset",
    "unification": "U at the end",
    "last_layer_unification": "U, last layer",
    "subject_unification": "U at the subject",
    "language_probe": "language probe",
    "subject_language_probe": "probe at the subject",
    "patched_same_fact_nats": "nats, state of the same fact",
    "patched_stranger_nats": "nats, another fact’s",
}
KNOWLEDGE = {
    "bits_per_fact": "bits a fact",
    "num_asked": "facts asked",
    "estimated_bits": "bits of all monolingual facts, estimated",
    "effective_exposures": "effective exposures",
}
_DIGITS = {
    "onset_step": 0, "num_asked": 0, "estimated_bits": 0, "effective_exposures": 1,
    "floor_same_accuracy": 3, "floor_cross_accuracy": 3, "chance_accuracy": 3,
    "floor_same_mrr": 3, "floor_cross_mrr": 3, "chance_mrr": 3,
}  # fmt: skip
_EXACT = ("num_asked", "chance_accuracy", "chance_mrr")  # facts of the design, without intervals
_PHASES = {
    "statistics_end": "statistics end",
    "plateau_start": "plateau from",
    "plateau_end": "plateau to",
    "recall_onset": "recall sets in",
    "full_recall": "recall is full",
    "unification_change": "change of U",
    "repair": "late repair",
}
_SHARES = ("unification_change", "repair")  # the others are steps
_MAX_NAMED = 4
_HOLDS = {True: "holds", False: "does not hold", None: "undecided"}
_INFORMATION = (
    ("value_bits", "value_plug_in_bits", "values"),
    ("subject_bits", "subject_plug_in_bits", "subjects"),
)


@dataclass(frozen=True)
class NotedTable:
    """A table, and a line for each reason why something in it is undefined."""

    table: NumberTable
    notes: tuple[str, ...] = ()

    @property
    def rows(self) -> tuple[tuple[str, ...], ...]:
        """Those of the table."""
        return self.table.rows


def build_tables(record: Mapping[str, Any]) -> dict[str, NotedTable]:
    """Returns the tables of a checked record by name; those of missing parts have no rows."""
    cells, axes = record["cells"], record["axes"]
    others = list(dict.fromkeys(name for cell in record["subgrid"] for name in cell["axes"]))
    return {
        "acceptance": _acceptance(record["acceptance"]),
        "subgrid_acceptance": _acceptance(record["subgrid_acceptance"]),
        "recall": _values(cells, axes, RECALL),
        "ranks": _values(cells, axes, RANKS),
        "states": _values(cells, axes, STATES),
        "knowledge": _knowledge(record),
        "information": _information(record),
        "phases": _phases(record["phases"], axes),
        "subgrid": _values(record["subgrid"], others, RECALL),
        "subgrid_states": _values(record["subgrid"], others, STATES),
    }


def _acceptance(rows: Sequence[Mapping[str, Any]]) -> NotedTable:
    headers = (
        *("", "claim", "verdict", "over cells", "95 % interval", "p", "cells"),
        *("over models", "95 % interval", "models"),
    )
    found = [
        (
            one_line(row["name"]),
            f"{one_line(row['claim'])}; wanted: {one_line(row['wanted'])}",
            _HOLDS[row["holds"]],
            _signed(row["found"]["rho"]),
            _span(row["found"]["interval"], 2, signed=True),
            figure(row["found"]["p"], 4),
            str(row["found"]["num_cells"]),
            _signed(row["over_members"]["rho"]),
            _span(row["over_members"]["interval"], 2, signed=True),
            str(row["over_members"]["num_members"]),
        )
        for row in rows
    ]
    notes = [
        f"{one_line(row['name'])}: {one_line(row['found']['reason'])}"
        for row in rows
        if row["found"]["reason"]
    ]
    return NotedTable(NumberTable(headers, tuple(found), num_labels=3), tuple(notes))


def _values(cells: Sequence[Cell], axes: Sequence[str], columns: Mapping[str, str]) -> NotedTable:
    headers = (*map(axis_symbol, axes), "seeds", *columns.values())
    rows = tuple(
        (
            *_places(cell, axes),
            str(cell["num_seeds"]),
            *(_shown(value_of(cell, name), name) for name in columns),
        )
        for cell in cells
    )
    reasons = (
        (cell, label, value_of(cell, name)["reason"])
        for name, label in columns.items()
        for cell in cells
    )
    return NotedTable(NumberTable(headers, rows, num_labels=len(axes)), _notes(reasons, len(cells)))


def _knowledge(record: Mapping[str, Any]) -> NotedTable:
    found = _values(record["cells"], record["axes"], KNOWLEDGE)
    label = KNOWLEDGE["effective_exposures"]
    bounds = []
    for cell in record["cells"]:
        members = members_of(record, cell["axes"])
        num_bounds = sum(
            member["effective_exposures"].get("censored") is not None for member in members
        )
        if num_bounds:
            bounds.append((cell, label, f"bounds in {num_bounds} of {len(members)} runs"))
    return NotedTable(found.table, (*found.notes, *_notes(bounds, len(record["cells"]))))


def _information(record: Mapping[str, Any]) -> NotedTable:
    """Returns what the language tells, by the formula and counted in the corpora (section 3.2)."""
    axes, cells = record["axes"], record["cells"]
    headers = [*map(axis_symbol, axes), "worlds"]
    for _, _, label in _INFORMATION:
        headers += [f"{label}, formula", f"{label}, counted"]
    rows, reasons = [], []
    for cell in cells:
        found = [member["information"] for member in members_of(record, cell["axes"])]
        figures = [
            _average([one.get(name) for one in found])
            for formula, counted, _ in _INFORMATION
            for name in (formula, counted)
        ]
        cues = _average([one.get("extractability") for one in found])
        rows.append((*_places(cell, axes), str(len(found)), *figures, cues))
        reasons += [(cell, "formula", one.get("reason", "")) for one in found]
    table = NumberTable((*headers, "cues, E"), tuple(rows), num_labels=len(axes))
    return NotedTable(table, _notes(reasons, len(cells)))


def _phases(phases: Sequence[Mapping[str, Any]], axes: Sequence[str]) -> NotedTable:
    headers = (*map(axis_symbol, axes), *_PHASES.values(), "models repaired", "outcome")
    rows = []
    for row in phases:
        cells = [_estimate(row[name], signed=name in _SHARES) for name in _PHASES]
        outcome = one_line(row["outcome"]) if row["outcome"] else NO_VALUE
        repaired = NO_VALUE
        if row["num_repaired"] is not None:
            repaired = f"{row['num_repaired']} of {row['num_seeds']}"
        rows.append((*_places(row, axes), *cells, repaired, outcome))
    reasons = (
        (row, label, row[name]["reason"]) for name, label in _PHASES.items() for row in phases
    )
    table = NumberTable(headers, tuple(rows), num_labels=len(axes), num_remarks=1)
    return NotedTable(table, _notes(reasons, len(phases)))


def _notes(
    reasons: Iterable[tuple[Mapping[str, Any], str, str]], num_cells: int
) -> tuple[str, ...]:
    """Returns each reason once a column, with the cells that it is about."""
    found: dict[tuple[str, str], dict[str, None]] = {}
    for cell, label, reason in reasons:
        if reason:
            found.setdefault((label, one_line(reason)), {})[cell_name(cell["axes"])] = None
    return tuple(
        f"{label}, {_which(list(names), num_cells)}: {reason}"
        for (label, reason), names in found.items()
    )


def _which(names: Sequence[str], num_cells: int) -> str:
    if len(names) == num_cells:
        return "every cell"
    few = len(names) <= _MAX_NAMED
    return f"in {'; '.join(names)}" if few else f"in {len(names)} of {num_cells} cells"


def _places(cell: Mapping[str, Any], axes: Sequence[str]) -> tuple[str, ...]:
    return tuple(axis_value(cell["axes"].get(name)) or NO_VALUE for name in axes)


def _shown(value: Mapping[str, Any], name: str) -> str:
    digits = _DIGITS.get(name, 2)
    return figure(value["mean"], digits) if name in _EXACT else _mean(value, digits)


def _mean(value: Mapping[str, Any], digits: int) -> str:
    if value["low"] is None or value["high"] is None or value["mean"] is None:
        return figure(value["mean"], digits)
    edges = _span((value["low"], value["high"]), digits)
    return f"{figure(value['mean'], digits)} ({edges})"


def _estimate(found: Mapping[str, Any], *, signed: bool) -> str:
    text = _signed(found["value"]) if signed else figure(found["value"], 0)
    if found["value"] is None or found["interval"] is None:
        return text
    return f"{text} ({_span(found['interval'], 2 if signed else 0, signed=signed)})"


def _span(edges: Sequence[float] | None, digits: int, *, signed: bool = False) -> str:
    if edges is None:
        return NO_VALUE
    low, high = (_signed(edge) if signed else figure(edge, digits) for edge in edges)
    return f"{low} to {high}"


def _signed(value: float | None) -> str:
    return NO_VALUE if value is None else f"{value:+.2f}".replace("-", "−")


def _average(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return figure(sum(known) / len(known) if known else None)
