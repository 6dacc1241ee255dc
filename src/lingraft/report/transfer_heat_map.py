"""The heat map of a data transfer study: D_T of every pair and size, bounds hatched."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from lingraft.report.figures import drawable
from lingraft.report.formatting import NO_VALUE
from lingraft.report.transfer_amounts import (
    MARKS,
    Transfer,
    fine_tuned,
    name_of,
    signed_bytes,
    span,
    worth,
)
from lingraft.report.transfer_figures import GREY, INK, dark_style, svg
from lingraft.units import format_bytes

_NOT_RUN, _GAIN, _LOSS = "#eeeeee", "#3d8fd1", "#e08214"
_CELL_WIDTH, _CELL_HEIGHT, _BAND_HEAD, _BAND_LABELS = 0.78, 0.56, 0.72, 1.15  # inches
_CELLS_IN_BAND = 8


def draw_heat_map(record: Mapping[str, Any]) -> str | None:
    """Draws D_T of every target (rows), source and D_F (columns), with intervals and marks.

    Args:
        record: A checked record of a data transfer study.

    Returns:
        SVG text; None where no model was fine-tuned.
    """
    cells = fine_tuned(record)
    if not cells:
        return None
    sizes = sorted({at[2] for at in cells})
    sources = [source for source in record["sources"] if any(at[1] == source for at in cells)]
    step = max(1, _CELLS_IN_BAND // len(sizes))
    bands = [sources[start : start + step] for start in range(0, len(sources), step)]
    largest = max((abs(worth(cell) or 0.0) for cell in cells.values()), default=0.0)
    width = max(4.6, _BAND_LABELS + _CELL_WIDTH * len(bands[0]) * len(sizes) + 0.1)
    band_height = _BAND_HEAD + _CELL_HEIGHT * len(record["targets"])
    height = band_height * len(bands) + 0.5
    with dark_style():
        chart = Figure(figsize=(width, height))
        for number, band in enumerate(bands):
            bottom = height - band_height * (number + 1)
            share = _CELL_WIDTH * len(band) * len(sizes) / width
            tall = (band_height - _BAND_HEAD) / height
            axes = chart.add_axes((_BAND_LABELS / width, bottom / height, share, tall))
            _draw_band(axes, record, cells, [(s, size) for s in band for size in sizes], largest)
        _explain_colours(chart)
        return svg(chart)


def _draw_band(
    axes: Any,
    record: Mapping[str, Any],
    cells: Mapping[tuple[str, str, int], Transfer],
    columns: Sequence[tuple[str, int]],
    largest: float,
) -> None:
    targets, num_sizes = record["targets"], len({size for _, size in columns})
    for row, target in enumerate(targets):
        for column, (source, size) in enumerate(columns):
            _draw_cell(axes, row, column, cells.get((target, source, size)), largest)
    for start in range(0, len(columns), num_sizes):
        name = drawable(name_of(record, columns[start][0]))
        label = textwrap.wrap(name, 11 * num_sizes, max_lines=2, placeholder="…")
        middle = (start + num_sizes / 2, 0)
        axes.annotate(
            "\n".join(label), middle, (0, 17), textcoords="offset points", ha="center",
            va="bottom", weight="bold", parse_math=False,
        )  # fmt: skip
        axes.axvline(start, color=INK, lw=1.0)
    axes.set_xlim(0, len(columns))
    axes.set_ylim(len(targets), 0)
    axes.xaxis.tick_top()
    middles = [column + 0.5 for column in range(len(columns))]
    axes.set_xticks(middles, [format_bytes(size) for _, size in columns], fontsize=8)
    names = [
        "\n".join(textwrap.wrap(drawable(name_of(record, t)), 15, max_lines=2, placeholder="…"))
        for t in targets
    ]
    axes.set_yticks([row + 0.5 for row in range(len(targets))], names, parse_math=False)
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)


def _draw_cell(axes: Any, row: int, column: int, cell: Transfer | None, largest: float) -> None:
    value = None if cell is None else worth(cell)
    face = _NOT_RUN if value is None else _shade(value, largest)
    axes.add_patch(Rectangle((column, row), 1, 1, facecolor=face, edgecolor="white", lw=1.5))
    text = NO_VALUE
    if cell is not None and value is not None:
        text = MARKS[cell["censored"]] + signed_bytes(value)
        edges = "no interval" if cell["interval"] is None else span(cell["interval"])
        text += "\n" + edges.replace(" to ", "\nto ")
    box = None
    if cell is not None and cell["censored"] is not None:
        hatched = Rectangle((column, row), 1, 1, fill=False, hatch="////", edgecolor=GREY, lw=0)
        axes.add_patch(hatched)
        box = {"facecolor": face, "edgecolor": "none", "pad": 1.5}
    axes.text(
        column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=7.5, color=INK,
        linespacing=1.15, bbox=box, parse_math=False,
    )  # fmt: skip


def _shade(value: float, largest: float) -> tuple[float, ...]:
    # The root keeps small transfers visible beside those of much larger texts.
    depth = 0.06 + 0.74 * math.sqrt(abs(value) / largest) if value else 0.0
    return tuple(1 - depth * (1 - part) for part in to_rgb(_GAIN if value > 0 else _LOSS))


def _explain_colours(chart: Figure) -> None:
    handles = [
        Patch(facecolor=_shade(0.5, 1), label="worth text"),
        Patch(facecolor=_shade(-0.5, 1), label="cost text"),
        Patch(facecolor="white", edgecolor=GREY, hatch="////", label="a bound"),
        Patch(facecolor=_NOT_RUN, label="no figure"),
    ]
    chart.legend(handles=handles, loc="lower center", ncols=4, frameon=False, fontsize=8)
