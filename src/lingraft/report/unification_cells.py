"""Cells of a unification record: what they are called, what they hold, who was looked at.

`unification_record` of the pipelines writes the record; section 3 of the reference on unification
says what its quantities are.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from lingraft.report.formatting import one_line, words

SYMBOLS = {"informativeness": "ρ", "extractability": "E", "parallel_share": "π"}
MAX_CHOSEN = 6
RECALLED = 0.5
"""Same-language accuracy from which on recall has set in (section 3.5)."""

NOT_RECORDED = "not in the record"

Cell = Mapping[str, Any]
"""One of a record's ``cells``: its axes, number of seeds, and values."""

Member = Mapping[str, Any]
"""One of a record's ``members``: one model, its world, and what was seen of it."""


def axis_symbol(name: str) -> str:
    """Returns the letter of an axis, or its name as words."""
    return SYMBOLS.get(name, one_line(words(name)))


def axis_label(name: str) -> str:
    """Returns letter and name of an axis: "ρ, informativeness"."""
    plain = one_line(words(name))
    return f"{SYMBOLS[name]}, {plain}" if name in SYMBOLS else plain


def axis_words(name: str) -> str:
    """Returns name and letter of an axis within a sentence: "informativeness ρ"."""
    plain = one_line(words(name))
    return f"{plain}\u00a0{SYMBOLS[name]}" if name in SYMBOLS else plain


def axis_value(value: Any) -> str:
    """Returns the place of a cell on an axis; nothing where it has none there."""
    if value is None:
        return ""
    return f"{value:g}" if isinstance(value, int | float) else one_line(str(value))


def placed(name: str, value: Any) -> str:
    """Returns letter and place, such as "ρ 1", which no line break parts."""
    return f"{axis_symbol(name)}\u00a0{axis_value(value)}"


def axis_order(value: Any) -> tuple[int, float, str]:
    """Returns a key that sorts places on an axis: none, then numbers, then words."""
    if value is None:
        return (0, 0.0, "")
    return (1, float(value), "") if isinstance(value, int | float) else (2, 0.0, str(value))


def axis_values(cells: Sequence[Cell], name: str | None) -> list[Any]:
    """Returns the sorted places of cells on an axis."""
    places = {cell["axes"].get(name): None for cell in cells}
    return sorted(places, key=axis_order)


def cell_name(axes: Mapping[str, Any]) -> str:
    """Returns what a cell is called: "ρ 1, E 0.95, π 0"."""
    named = (placed(name, value) for name, value in axes.items())
    return ", ".join(named) or "the one setting"


def value_of(cell: Cell, name: str) -> Mapping[str, Any]:
    """Returns the mean of a quantity over a cell's seeds; undefined where nobody recorded it."""
    nothing = {"mean": None, "low": None, "high": None, "reason": NOT_RECORDED}
    found: Mapping[str, Any] = cell["values"].get(name, nothing)
    return found


def members_of(record: Mapping[str, Any], axes: Mapping[str, Any]) -> list[Member]:
    """Returns the models of a cell."""
    return [member for member in record["members"] if member["axes"] == axes]


def chosen_members(record: Mapping[str, Any]) -> list[Member]:
    """Returns at most six models of different cells: those pictured, or else the first ones."""
    pictured = [member for member in record["members"] if member["pictures"]]
    chosen: list[Member] = []
    for member in pictured or record["members"]:
        if all(member["axes"] != other["axes"] for other in chosen):
            chosen.append(member)
    return chosen[:MAX_CHOSEN]


def unification_at(record: Mapping[str, Any], point: Mapping[str, Any], centring: str) -> Any:
    """Returns U of the middle layer at a checkpoint, None where it is undefined."""
    return point["layers"][centring][record["middle_layer"]]["unification"]


def early_unification(record: Mapping[str, Any], member: Member) -> float | None:
    """Returns U of the middle layer, centred by language, where recall sets in."""
    for point in member["curve"]:
        if point["same_accuracy"] >= RECALLED:
            found: float | None = unification_at(record, point, "by language")
            return found
    return None
