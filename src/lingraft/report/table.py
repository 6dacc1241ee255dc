"""The table of an adaptation, built once for the page, the model card and the terminal."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from lingraft.report.formatting import NO_VALUE, figure, interval, one_line
from lingraft.report.records import checked, graft, ngram_floor, same_text
from lingraft.units import format_bytes

FLOORS = ("a", "b")
_COLUMNS = ("before", "after_bytes", "after_seconds")
_CHANGES = {"before_biased": "with unigram bias", "before_calibrated": "calibrated rows"}


@dataclass(frozen=True)
class Cell:
    """One figure of the table.

    Attributes:
        figure: The value, a dash where there is none, or nothing where none is due.
        interval: ``low–high``, or nothing.
        below: The floors, ``"a"`` and ``"b"``, that the value lies under.
        reason: Why there is a dash.
        remark: What sets this figure apart from those beside it.
        also: The same measurement of the model with a change, by what was changed.
    """

    figure: str = ""
    interval: str = ""
    below: tuple[str, ...] = ()
    reason: str = ""
    remark: str = ""
    also: "tuple[tuple[str, Cell], ...]" = ()

    @property
    def text(self) -> str:
        """The cell as one line of plain text; ``↓a`` marks a value below floor (a)."""
        parts = [self.figure, f"({self.interval})" if self.interval else ""]
        parts += [f"↓{name}" for name in self.below]
        own = " ".join(part for part in parts if part)
        return "; ".join([own, *(f"{change} {cell.text}" for change, cell in self.also)])


@dataclass(frozen=True)
class Row:
    """One line of the table: an arm or a floor."""

    label: str
    cells: tuple[Cell, ...]
    is_floor: bool = False
    is_graft: bool = False


@dataclass(frozen=True)
class Table:
    """Headers and rows, arms first and floors after them."""

    headers: tuple[str, ...]
    rows: tuple[Row, ...]

    @property
    def notes(self) -> list[str]:
        """One line for each reason or remark, with the columns or single cells that it is about."""
        found: dict[tuple[str, str], list[str]] = {}
        for row in self.rows:
            for header, cell in zip(self.headers[1:], row.cells, strict=True):
                cells = (cell, *(other for _, other in cell.also))
                for note in sorted({text for c in cells for text in (c.reason, c.remark)} - {""}):
                    found.setdefault((header, note), []).append(row.label)
        num_arms = sum(not row.is_floor for row in self.rows)
        lines = []
        for (header, note), labels in found.items():
            rows = "" if len(labels) == num_arms > 1 else f"{'; '.join(labels)}, "
            lines.append(f"{rows}{header}: {note}")
        return lines


def render_table(record: Mapping[str, Any]) -> list[list[str]]:
    """Returns the table as plain text: headers first, then arms, then floors.

    A figure is followed by its 95 % interval and by ``↓a`` or ``↓b`` where it lies below what
    counting n-grams reaches on (a) the training bytes, (b) all target text that any stage saw.

    Args:
        record: An adaptation record, as in ``record.json``.

    Raises:
        InputError: The record is of another format or incomplete.
    """
    table = build_table(checked(record))
    body = [[row.label, *(cell.text for cell in row.cells)] for row in table.rows]
    return [list(table.headers), *body]


def build_table(record: Mapping[str, Any]) -> Table:
    """Returns the table of a checked record, in bits per byte."""
    headers = (
        "",
        "before training",
        f"after {format_bytes(record['budget_bytes'])}",
        f"after {record['budget_seconds']:.0f} s",
    )
    main = graft(record)
    arms = [_arm_row(record, arm, is_graft=arm is main) for arm in record["table"]]
    floors = [row for floor in record["floors"]["rows"] for row in _floor_rows(record, floor)]
    return Table(headers=headers, rows=(*arms, *floors))


def _arm_row(record: Mapping[str, Any], arm: Mapping[str, Any], *, is_graft: bool) -> Row:
    cells = [_measured(record, arm[column]) for column in _COLUMNS]
    also = tuple(
        (change, _measured(record, arm[key]))
        for key, change in _CHANGES.items()
        if arm[key] is not None
    )
    cells[0] = replace(cells[0], also=also)
    return Row(label=one_line(arm["label"]), cells=tuple(cells), is_graft=is_graft)


def _floor_rows(record: Mapping[str, Any], floor: Mapping[str, Any]) -> list[Row]:
    label = one_line(floor["label"])
    if floor["key"] == "uniform":  # counts nothing: one figure, the same before and after
        cells = (_plain(floor["a"] or floor["b"]), Cell(), Cell())
        return [Row(label=label, cells=cells, is_floor=True)]
    rows = []
    for which in FLOORS:
        amount = format_bytes(record["floors"][f"{which}_bytes"])
        cells = (Cell(), _plain(floor[which]), Cell())
        rows.append(Row(label=f"{label}, ({which}) of {amount}", cells=cells, is_floor=True))
    return rows


def _measured(record: Mapping[str, Any], score: Mapping[str, Any] | None) -> Cell:
    cell = _plain(score)
    if score is None or score["value"] is None:
        return cell
    floors = {which: ngram_floor(record, which) for which in FLOORS}
    known = {which: floor for which, floor in floors.items() if floor is not None}
    comparable = {which: floor for which, floor in known.items() if same_text(score, floor)}
    below = tuple(which for which in comparable if score["value"] < comparable[which]["value"])
    remark = "" if len(comparable) == len(known) else _other_text(score)
    return Cell(figure=cell.figure, interval=cell.interval, below=below, remark=remark)


def _plain(score: Mapping[str, Any] | None) -> Cell:
    if score is None:
        return Cell(figure=NO_VALUE, reason="not measured")
    if score["value"] is None:
        return Cell(figure=NO_VALUE, reason=one_line(score["reason"]) or "no reason recorded")
    return Cell(figure=figure(score["value"]), interval=interval(score["interval"]))


def _other_text(score: Mapping[str, Any]) -> str:
    num_rows = score["statistics"].get("num_documents")
    rows = "other rows than the floors" if num_rows is None else f"{num_rows:.0f} rows, not all"
    return f"measured on {rows}, so not marked against the floors"
