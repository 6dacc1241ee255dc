"""Figures of a unification record as SVG text, dark on white, the same for the same record."""

import textwrap
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator

from lingraft.report.figures import drawable
from lingraft.report.formatting import NO_VALUE
from lingraft.report.transfer_figures import GREY, INK, dark_style, svg
from lingraft.report.unification_cells import (
    Cell,
    Member,
    axis_label,
    axis_value,
    axis_values,
    cell_name,
    chosen_members,
    early_unification,
    members_of,
    placed,
    unification_at,
    value_of,
)

# From failure over the middle to wholeness, as in the heat map of data transfer.
SHADES = LinearSegmentedColormap.from_list("transfer", ["#e08214", "#f7f7f7", "#3d8fd1"])
NOT_RUN = "#dddddd"
# Okabe and Ito 2008, told apart by the colour-blind; yellow, too pale on white, is left out.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS = ("o", "s", "D", "^", "v", "P", "X")
_LINES = (
    ("same language", COLOURS[0], "-"),
    ("other language", COLOURS[1], "-"),
    ("U, centred by language", COLOURS[2], "-"),
    ("U, centred together", COLOURS[2], ":"),
    ("language probe", COLOURS[3], "-"),
)
_MARKS = {"statistics_end": "S", "recall_onset": "R", "full_recall": "F"}
_LETTER_ROOM = 0.05
"""Of a panel's width; marks nearer than that share a label."""
_PANEL_WIDTH, _PANEL_HEIGHT = 3.55, 2.75  # inches; one panel fills a phone
_CELL_WIDTH, _CELL_HEIGHT = 0.66, 0.46


def draw_phase_diagram(record: Mapping[str, Any]) -> str | None:
    """Draws the transfer ratio by informativeness and extractability, a panel a parallel share.

    Rows and columns are the first two axes that cells have, the record's own before others; a
    missing one has one place. Every setting of the rest that was run has a panel, so that no cell
    is drawn over another.

    Returns:
        SVG text; None where there are no cells.
    """
    cells: Sequence[Cell] = record["cells"]
    if not cells:
        return None
    known = list(dict.fromkeys(name for cell in cells for name in cell["axes"]))
    own = [name for name in record["axes"] if name in known]
    ordered = [*own, *(name for name in known if name not in own)]
    names, others = [*ordered, None, None][:2], ordered[2:]
    rows, columns = (axis_values(cells, name) for name in names)
    order = [axis_values(cells, name) for name in others]
    at = {}
    for cell in cells:
        panel = tuple(cell["axes"].get(name) for name in others)
        at[tuple(cell["axes"].get(name) for name in names), panel] = cell
    panels = [panel for panel in product(*order) if any(panel == run for _, run in at)]
    with dark_style():
        width = 0.9 + _CELL_WIDTH * max(2, len(columns))
        height = 0.95 + _CELL_HEIGHT * max(2, len(rows))
        chart, drawn = _panels(len(panels), width, height, max_columns=int(9 // width) or 1)
        for panel, axes in zip(panels, drawn, strict=True):
            for y, row in enumerate(rows):
                for x, column in enumerate(columns):
                    _draw_cell(axes, x, y, at.get(((row, column), panel)))
            _finish_diagram(axes, rows, columns, names)
            told = [placed(name, value) for name, value in zip(others, panel, strict=True)]
            if told:
                axes.set_title(_title(", ".join(told)), parse_math=False)
        return svg(chart)


def draw_curves(record: Mapping[str, Any]) -> str | None:
    """Draws recall, U and the language probe of the middle layer over steps, a panel a model.

    Returns:
        SVG text; None where no model was looked at.
    """
    members = [member for member in chosen_members(record) if member["curve"]]
    if not members:
        return None
    phases = {cell_name(row["axes"]): row for row in record["phases"]}
    with dark_style():
        chart, panels = _panels(len(members), _PANEL_WIDTH, _PANEL_HEIGHT)
        for number, (member, axes) in enumerate(zip(members, panels, strict=True)):
            _draw_member(axes, record, member)
            if (row := phases.get(cell_name(member["axes"]))) is not None:
                _draw_phases(axes, row)
            axes.set_title(
                _title(cell_name(member["axes"])), parse_math=False, pad=12
            )  # over marks
            if number >= len(members) - 2:
                axes.set_xlabel("step")
            axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        lines = [Line2D([], [], color=c, ls=line, label=name) for name, c, line in _LINES]
        _legend(chart, [*lines, Patch(facecolor=GREY, alpha=0.18, label="plateau")])
        return svg(chart)


def early_points(record: Mapping[str, Any]) -> list[tuple[Member, float, float]]:
    """Returns each model of the grid with its early U and final ratio, where it has both."""
    grid = [cell["axes"] for cell in record["cells"]]
    found = []
    for member in record["members"]:
        early = early_unification(record, member)
        ratio = member["recall"]["transfer_ratio"]["value"]
        if early is not None and ratio is not None and member["axes"] in grid:
            found.append((member, early, ratio))
    return found


def draw_early(record: Mapping[str, Any]) -> str | None:
    """Draws U where recall sets in against the final transfer ratio, a dot a model.

    Returns:
        SVG text; None where no model has both.
    """
    points = early_points(record)
    if not points:
        return None
    name = record["axes"][2] if len(record["axes"]) > 2 else None
    panels = axis_values([member for member, _, _ in points], name)
    with dark_style():
        chart, [axes] = _panels(1, 4.6, 3.3)
        for number, place in enumerate(panels):
            here = [(u, ratio) for member, u, ratio in points if member["axes"].get(name) == place]
            colour, marker = _look(number)
            axes.plot(
                *zip(*here, strict=True), marker, color=colour, markersize=5, alpha=0.75,
                mec="white", mew=0.5, label=_title(placed(name, place)) if name else "model",
            )  # fmt: skip
        axes.set_xlabel("U at the onset of recall, middle layer")
        axes.set_ylabel("final transfer ratio")
        axes.margins(x=0.06)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        low, high = axes.get_ylim()
        axes.set_ylim(min(low, -0.04), max(high, 1.04))
        if name is not None:
            _legend(chart, axes.get_legend_handles_labels()[0], num_columns=4)
        return svg(chart)


def draw_patching(record: Mapping[str, Any]) -> str | None:
    """Draws what another language's state does to the right answer, by layer, a panel a cell.

    Returns:
        SVG text; None where no model was patched.
    """
    chosen = [member for member in chosen_members(record) if member["patching"]]
    if not chosen:
        return None
    looks = {"same_fact_nats": ("the same fact", COLOURS[0]), "stranger_nats": (
        "another fact", COLOURS[1])}  # fmt: skip
    with dark_style():
        chart, panels = _panels(len(chosen), _PANEL_WIDTH, _PANEL_HEIGHT)
        for number, (one, axes) in enumerate(zip(chosen, panels, strict=True)):
            axes.axhline(0, color=GREY, lw=0.9)
            runs = [member["patching"] for member in members_of(record, one["axes"])]
            runs = [run for run in runs if len(run) == len(one["patching"])]
            for key, (_, colour) in looks.items():
                _draw_gains(axes, [[layer[key] for layer in run] for run in runs], colour)
            axes.set_title(_title(cell_name(one["axes"])), parse_math=False)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.set_ylabel("nats gained")
            if number >= len(chosen) - 2:
                axes.set_xlabel("layer after which the state is put in")
        _legend(chart, [Line2D([], [], color=c, marker="o", label=n) for n, c in looks.values()])
        return svg(chart)


def _draw_gains(axes: Any, runs: Sequence[Sequence[Mapping[str, Any]]], colour: str) -> None:
    """Draws the mean over models by layer, and each model with its interval over facts."""
    means = []
    for layer, gains in enumerate(zip(*runs, strict=True)):
        known = [gain for gain in gains if gain["value"] is not None]
        values = [gain["value"] for gain in known]
        means.append(sum(values) / len(values) if values else float("nan"))
        axes.plot([layer] * len(values), values, ".", color=colour, ms=3, alpha=0.5)
        for gain in known:
            if gain["interval"] is not None:
                axes.plot([layer, layer], gain["interval"], "-", color=colour, lw=1, alpha=0.4)
    axes.plot(range(len(means)), means, "o-", color=colour, ms=4)


def _draw_cell(axes: Any, x: int, y: int, cell: Cell | None) -> None:
    ratio = None if cell is None else value_of(cell, "transfer_ratio")
    mean = None if ratio is None else ratio["mean"]
    face = NOT_RUN if mean is None else SHADES(min(max(mean, 0.0), 1.0))
    axes.add_patch(Rectangle((x, y), 1, 1, facecolor=face, edgecolor="white", lw=1.5))
    text = NO_VALUE if mean is None else f"{mean:.2f}"
    if ratio is not None and mean is not None and ratio["low"] is not None:
        edges = f"{ratio['low']:.2f}–{ratio['high']:.2f}"
        axes.text(x + 0.5, y + 0.27, edges, ha="center", va="center", fontsize=6.5, color=INK)
        y += 0.14  # type: ignore[assignment]
    axes.text(x + 0.5, y + 0.5, text, ha="center", va="center", fontsize=8.5, color=INK)


def _finish_diagram(
    axes: Any, rows: Sequence[Any], columns: Sequence[Any], names: Sequence[str | None]
) -> None:
    axes.set_xlim(0, len(columns))
    axes.set_ylim(0, len(rows))
    for axis, places, name in ((axes.xaxis, columns, names[1]), (axes.yaxis, rows, names[0])):
        middles = [number + 0.5 for number in range(len(places))]
        labels = [_title(axis_value(place), width=10) for place in places]
        axis.set_ticks(middles, labels, parse_math=False)
        if name is not None:
            axis.set_label_text(_title(axis_label(name)), parse_math=False)
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)


def _draw_member(axes: Any, record: Mapping[str, Any], member: Member) -> None:
    curve = member["curve"]
    layer = record["middle_layer"]
    lines = [
        [point["same_accuracy"] for point in curve],
        [point["cross_accuracy"] for point in curve],
        [unification_at(record, point, "by language") for point in curve],
        [unification_at(record, point, "together") for point in curve],
        [point["language_probe"][layer] for point in curve],
    ]
    steps = [point["step"] for point in curve]
    for values, (_, colour, line) in zip(lines, _LINES, strict=True):
        # A step without a value breaks the line.
        known = [float("nan") if value is None else value for value in values]
        axes.plot(steps, known, ls=line, color=colour, marker=".", ms=4, lw=1.4)
    axes.axhline(0, color=GREY, lw=0.6)
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, -0.05), max(high, 1.05))


def _draw_phases(axes: Any, row: Mapping[str, Any]) -> None:
    start, end = row["plateau_start"]["value"], row["plateau_end"]["value"]
    if start is not None and end is not None:
        axes.axvspan(start, end, color=GREY, alpha=0.18, lw=0)
    first, last = axes.get_xlim()
    room = _LETTER_ROOM * (last - first)
    marks = [(row[name]["value"], letter) for name, letter in _MARKS.items()]
    labels: list[tuple[float, str]] = []
    for step, letter in sorted(
        (mark for mark in marks if mark[0] is not None), key=lambda mark: mark[0]
    ):
        axes.axvline(step, color=INK, lw=0.8, ls=(0, (3, 2)))
        if labels and step - labels[-1][0] < room:
            labels[-1] = (labels[-1][0], labels[-1][1] + letter)
        else:
            labels.append((step, letter))
    for step, letters in labels:
        axes.annotate(
            letters, (step, 1), (0, 1.5), xycoords=("data", "axes fraction"),
            textcoords="offset points", fontsize=7.5, weight="bold", ha="center",
        )  # fmt: skip


def _title(text: str, width: int = 28) -> str:
    lines = textwrap.wrap(text, width, max_lines=2, placeholder="…")
    return "\n".join(map(drawable, lines))


def _look(number: int) -> tuple[str, str]:
    return COLOURS[number % len(COLOURS)], _MARKERS[number % len(_MARKERS)]


def _legend(chart: Figure, handles: Sequence[Any], num_columns: int = 3) -> None:
    legend = chart.legend(
        handles=handles, loc="outside lower center", ncols=num_columns, frameon=False
    )
    for text in legend.get_texts():
        text.set_parse_math(False)


def _panels(
    num_panels: int, width: float, height: float, max_columns: int = 2
) -> tuple[Figure, list[Any]]:
    num_columns = min(max_columns, num_panels)
    num_rows = -(-num_panels // num_columns)
    chart = Figure(figsize=(width * num_columns, height * num_rows + 0.4))
    chart.set_layout_engine("constrained", w_pad=0.1, h_pad=0.1)  # inches
    return chart, [
        chart.add_subplot(num_rows, num_columns, number + 1) for number in range(num_panels)
    ]
