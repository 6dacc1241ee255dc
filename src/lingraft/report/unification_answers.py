"""What a unification record says in plain words, whichever way it came out."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from lingraft.report.formatting import figure, one_line
from lingraft.report.unification_cells import (
    RECALLED,
    Cell,
    axis_value,
    axis_words,
    cell_name,
    placed,
    value_of,
)

FAILS_BELOW, WHOLE_FROM = 0.5, 0.9  # of the transfer ratio
_MAX_NAMED = 6
_MAX_HEALED = 3

Verdict = Literal["fails", "whole", "between", "unlearned", "unknown"]
_VERDICTS: tuple[Verdict, ...] = ("fails", "whole", "between", "unlearned", "unknown")

LEAST_REPAIR = 0.05
"""A smaller rise is a few answers more, at the ceiling."""


def answers(record: Mapping[str, Any]) -> list[str]:
    """Returns what was asked and what came out, a few sentences for a reader in a hurry."""
    told = [_asked(record)]
    cells = record["cells"]
    if not cells:
        told.append("No cell was measured, so nothing can be said about transfer.")
    elif all(verdict(cell) == "unknown" for cell in cells):
        reasons = "; ".join(dict.fromkeys(_reason(cell) for cell in cells))
        told.append(f"No cell has a transfer ratio ({reasons}), so nothing can be said.")
    else:
        told += [*_where(cells), *_healed(record), *_parted(record), *_repaired(record)]
    told.append(_claims(record["acceptance"]))
    return told


def verdict(cell: Cell) -> Verdict:
    """Returns whether facts of a cell cross languages.

    The whole interval over seeds decides; where there is none, the mean. Where facts are not
    recalled in their own language, there is nothing to cross.
    """
    ratio, same = value_of(cell, "transfer_ratio"), value_of(cell, "same_accuracy")["mean"]
    if ratio["mean"] is None:
        return "unknown"
    if same is not None and same < RECALLED:
        return "unlearned"
    low, high = _edges(ratio)
    if high < FAILS_BELOW:
        return "fails"
    return "whole" if low >= WHOLE_FROM else "between"


def _asked(record: Mapping[str, Any]) -> str:
    num_models, num_cells = len(record["members"]), len(record["cells"])
    varied = [
        axis_words(name)
        for name in record["axes"]
        if len({axis_value(cell["axes"].get(name)) for cell in record["cells"]}) > 1
    ]
    what = f"that differ in {_listed(varied, 'and')}" if varied else "that differ in no axis"
    models = f"{num_models} {'model' if num_models == 1 else 'models'}"
    worlds = f"{num_cells} {'cell' if num_cells == 1 else 'cells'}"
    return (
        f"Each model was told facts in one language and asked in another it never saw them in: "
        f"{models} in {worlds} of synthetic worlds {what}."
    )


def _where(cells: Sequence[Cell]) -> list[str]:
    by_verdict = {name: [cell for cell in cells if verdict(cell) == name] for name in _VERDICTS}
    told = []
    if by_verdict["fails"]:
        told.append(
            f"Transfer fails, with less than half of what is recalled in the told language, in "
            f"{_count(by_verdict['fails'], cells)}: {_named(by_verdict['fails'])}."
        )
    else:
        told.append("In no cell does transfer fail: nowhere is the ratio told to be below 0.5.")
    if by_verdict["whole"]:
        told.append(
            f"It is whole, nine tenths or more, in {_count(by_verdict['whole'], cells)}: "
            f"{_named(by_verdict['whole'])}."
        )
    else:
        told.append("In no cell is it whole, nine tenths or more.")
    if by_verdict["between"]:
        told.append(
            f"Between these, or not told apart from them by its seeds: "
            f"{_named(by_verdict['between'])}."
        )
    if by_verdict["unlearned"]:
        told.append(
            f"Less than half is recalled even in the told language, so that nothing can be said "
            f"of transfer, in {_count(by_verdict['unlearned'], cells)}: "
            f"{_named(by_verdict['unlearned'])}."
        )
    if by_verdict["unknown"]:
        told.append(
            f"Without a ratio: {_count(by_verdict['unknown'], cells)} "
            f"({'; '.join(dict.fromkeys(_reason(cell) for cell in by_verdict['unknown']))})."
        )
    ratios = [value_of(cell, "transfer_ratio") for cell in cells]
    if any(ratio["mean"] is not None and ratio["low"] is None for ratio in ratios):
        told.append("Where there is no interval over seeds, the mean alone decides.")
    return told


def _healed(record: Mapping[str, Any]) -> list[str]:
    """Which change of one axis alone makes transfer whole, for the cells where it fails most."""
    failing = [cell for cell in record["cells"] if verdict(cell) == "fails"]
    failing.sort(key=lambda cell: float(value_of(cell, "transfer_ratio")["mean"]))
    told: list[str] = []
    helpless: list[Cell] = []
    for cell in failing:
        levers = [lever for name in record["axes"] if (lever := _lever(record, cell, name))]
        if not levers:
            helpless.append(cell)
        elif len(told) < _MAX_HEALED:
            told.append(
                f"From {cell_name(cell['axes'])} it heals with {_listed(levers, 'or')} alone, "
                "the rest as it was."
            )
    if helpless:
        told.append(f"No change of one axis alone heals {_named(helpless)}.")
    return told


def _lever(record: Mapping[str, Any], cell: Cell, name: str) -> str | None:
    here = cell["axes"].get(name)
    rest = {key: value for key, value in cell["axes"].items() if key != name}
    places = [
        other["axes"].get(name)
        for other in record["cells"]
        if verdict(other) == "whole"
        and {key: value for key, value in other["axes"].items() if key != name} == rest
    ]
    if not places:
        return None
    if all(isinstance(place, int | float) for place in (*places, here)):
        nearest = min(places, key=lambda place: abs(place - here))
    else:
        nearest = places[0]
    return placed(name, nearest)


def _parted(record: Mapping[str, Any]) -> list[str]:
    found = [row for row in record["phases"] if row["outcome"] == "separation"]
    if not found:
        return []
    found.sort(key=lambda row: row["unification_change"]["value"])
    named = [
        f"{cell_name(row['axes'])} ({figure(row['unification_change']['value'], 2)})"
        for row in found
    ]
    return [
        f"Languages parted: while recall was formed, U fell in {len(found)} of "
        f"{len(record['phases'])} cells: {_short(named)}."
    ]


def _repaired(record: Mapping[str, Any]) -> list[str]:
    found = [
        row
        for row in record["phases"]
        if row["repair"]["interval"] is not None
        and row["repair"]["interval"][0] > 0
        and row["repair"]["value"] >= LEAST_REPAIR
    ]
    if not found:
        return []
    found.sort(key=lambda row: -row["repair"]["value"])
    named = [f"{cell_name(row['axes'])} (+{figure(row['repair']['value'], 2)})" for row in found]
    return [
        f"Late repair: after recall was full, accuracy in the other language still rose in "
        f"{len(found)} of {len(record['phases'])} cells: {_short(named)}."
    ]


def _claims(acceptance: Sequence[Mapping[str, Any]]) -> str:
    if not acceptance:
        return "No claim was put to the test."
    parts = []
    for holds, words in ((True, "holds"), (False, "does not hold"), (None, "is undecided")):
        names = [one_line(row["name"]) for row in acceptance if row["holds"] is holds]
        if names:
            parts.append(f"{_listed(names, 'and')} {words if len(names) == 1 else _PLURAL[words]}")
    return f"Of the {len(acceptance)} claims put to the test, {'; '.join(parts)}."


_PLURAL = {"holds": "hold", "does not hold": "do not hold", "is undecided": "are undecided"}


def _edges(ratio: Mapping[str, Any]) -> tuple[float, float]:
    low, high, mean = ratio["low"], ratio["high"], ratio["mean"]
    return (mean if low is None else low), (mean if high is None else high)


def _reason(cell: Cell) -> str:
    return one_line(value_of(cell, "transfer_ratio")["reason"]) or "no reason recorded"


def _count(found: Sequence[Cell], cells: Sequence[Cell]) -> str:
    return f"{len(found)} of {len(cells)} cells"


def _named(cells: Sequence[Cell]) -> str:
    def ratio(cell: Cell) -> float:
        return float(value_of(cell, "transfer_ratio")["mean"])

    ordered = sorted(cells, key=ratio)
    return _short([f"{cell_name(cell['axes'])} ({ratio(cell):.2f})" for cell in ordered])


def _short(names: Sequence[str]) -> str:
    more = len(names) - _MAX_NAMED
    return "; ".join(names[:_MAX_NAMED]) + (f"; and {more} more" if more > 0 else "")


def _listed(names: Sequence[str], last: str) -> str:
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} {last} {names[-1]}"
