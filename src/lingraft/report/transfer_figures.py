"""Figures of a data transfer study as SVG text, dark on white, the same for the same record."""

import io
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from lingraft.measurement.curve_fits import FITS
from lingraft.measurement.scratch_curves import ScratchCurves
from lingraft.report.figures import drawable, figure_style
from lingraft.report.transfer_amounts import Transfer, fine_tuned, name_of, signed_bytes, worth
from lingraft.units import format_bytes

SCRATCH = "scratch"
# Okabe and Ito 2008, told apart by the colour-blind; yellow, too pale on white, is left out.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS = ("o", "s", "D", "^", "v", "P", "X", "*", "<", ">")
INK, GREY = "#1e2327", "#6b737b"
_DARK = dict.fromkeys(
    ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK
) | {"font.size": 9, "hatch.linewidth": 0.7}
_PANEL_WIDTH, _PANEL_HEIGHT = 3.55, 2.75  # inches; one panel fills a phone


def draw_scratch_curves(record: Mapping[str, Any], target: str) -> str | None:
    """Draws one target's curve from scratch and, for each source, the inversion that gives D_E.

    Args:
        record: A checked record.
        target: Whose curve.

    Returns:
        SVG text, a panel for each source; None where the target has no runs from scratch.
    """
    runs = [loss for loss in record["losses"] if loss["target"] == target]
    scratch = _by_size(runs, SCRATCH)
    scratch.pop(0, None)
    if not scratch:
        return None
    sources = [s for s in record["sources"] if any(run["init"] == s for run in runs)]
    with dark_style():
        chart, panels = _panels(max(1, len(sources)))
        for number, axes in enumerate(panels):
            source = sources[number] if sources else None
            _draw_scratch(axes, scratch, record["rule"])
            if source is not None:
                axes.set_title(drawable(name_of(record, source)), parse_math=False)
                _draw_inversions(axes, record, target, source, scratch, _by_size(runs, source))
            _bytes_axis(axes.xaxis)
            axes.set_xlabel(f"bytes of {drawable(name_of(record, target))}", parse_math=False)
            axes.set_ylabel("bits per byte")
        return svg(chart)


def draw_transfer_lines(record: Mapping[str, Any]) -> str | None:
    """Draws D_T against D_F, a panel for each target and a line for each source.

    Returns:
        SVG text; None where no cell has a value.
    """
    cells = {at: c for at, c in fine_tuned(record).items() if worth(c) is not None}
    targets = [target for target in record["targets"] if any(at[0] == target for at in cells)]
    if not targets:
        return None
    threshold = 10.0 ** math.floor(math.log10(max(1, min(at[2] for at in cells))))
    with dark_style():
        chart, panels = _panels(len(targets))
        for target, axes in zip(targets, panels, strict=True):
            axes.axhline(0, color=GREY, lw=0.9)
            axes.set_xscale("log")
            # Not a plain logarithm: transfer may be negative, and near 0 it is not proven.
            axes.set_yscale("symlog", linthresh=threshold)
            for number, source in enumerate(record["sources"]):
                line = [c for at, c in sorted(cells.items()) if at[:2] == (target, source)]
                shift = 1.07 ** (number - (len(record["sources"]) - 1) / 2)
                _draw_line(axes, line, shift, *_look(number))
            axes.margins(x=0.12, y=0.16)
            _bytes_axis(axes.xaxis)
            axes.yaxis.set_major_locator(FixedLocator(_ticks_about_zero(cells.values(), threshold)))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: signed_bytes(y)))
            axes.yaxis.set_minor_locator(NullLocator())
            axes.set_title(drawable(name_of(record, target)), parse_math=False)
            axes.set_xlabel("D_F, bytes of fine-tuning text", parse_math=False)
            axes.set_ylabel("D_T, bytes", parse_math=False)
        _legend(
            chart,
            [(drawable(name_of(record, s)), *_look(n)) for n, s in enumerate(record["sources"])],
        )
        return svg(chart)


def draw_correlations(record: Mapping[str, Any], covariate: str) -> str | None:
    """Draws D_T against one covariate, a panel for each D_F, rho and p in its title.

    Returns:
        SVG text; None where no pair has both.
    """
    known = {
        (row["target"], row["source"]): row[covariate]
        for row in record["similarity"]
        if row.get(covariate) is not None
    }
    points: dict[int, list[tuple[float, Transfer]]] = {}
    for at, cell in sorted(fine_tuned(record).items()):
        if at[:2] in known and worth(cell) is not None:
            points.setdefault(at[2], []).append((known[at[:2]], cell))
    if not points:
        return None
    with dark_style():
        chart, panels = _panels(len(points))
        for size, axes in zip(sorted(points), panels, strict=True):
            axes.axhline(0, color=GREY, lw=0.9)
            for value, cell in points[size]:
                _draw_point(axes, record, value, cell)
            axes.margins(x=0.1, y=0.16)
            axes.xaxis.set_major_locator(MaxNLocator(5))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: signed_bytes(y)))
            axes.set_title(_correlation_title(record, covariate, size), parse_math=False)
            axes.set_xlabel(drawable(covariate.replace("_", " ")), parse_math=False)
            axes.set_ylabel("D_T, bytes", parse_math=False)
        looks = [
            *(
                (f"from {drawable(name_of(record, s))}", _look(n)[0], "o")
                for n, s in enumerate(record["sources"])
            ),
            *(
                (f"to {drawable(name_of(record, t))}", GREY, _look(n)[1])
                for n, t in enumerate(record["targets"])
            ),
        ]
        _legend(chart, looks, line="")
        return svg(chart)


def _by_size(runs: Sequence[Mapping[str, Any]], init: str) -> dict[int, list[float]]:
    """Returns bits per byte of every run of an init, by size."""
    found: dict[int, list[float]] = {}
    for run in sorted(runs, key=lambda run: int(run["dataset_bytes"])):
        if run["init"] == init:
            found.setdefault(run["dataset_bytes"], []).append(run["nats_per_byte"] / math.log(2))
    return found


def _mean(values: Sequence[float]) -> float:
    return math.exp(sum(map(math.log, values)) / len(values))  # as the curve is read: in log loss


def _draw_scratch(axes: Any, scratch: Mapping[int, Sequence[float]], rule: str) -> None:
    axes.set_xscale("log")
    axes.plot(*zip(*_read_curve(scratch, rule), strict=True), color=INK, lw=1.4)
    points = [(size, value) for size, values in scratch.items() for value in values]
    axes.plot(*zip(*points, strict=True), "o", color=INK, markersize=3.2, alpha=0.75)


def _read_curve(scratch: Mapping[int, Sequence[float]], rule: str) -> Iterator[tuple[float, float]]:
    """Sizes and bits per byte, from worst to best, of the curve that the rule reads D_E off."""
    sizes = np.array(list(scratch), dtype=float)
    log_nats = np.log([[_mean(values) * math.log(2) for values in scratch.values()]])
    weights = np.array([len(values) for values in scratch.values()], dtype=float)
    curve = ScratchCurves(sizes, log_nats, weights, FITS[rule][:1])
    knots = curve.log_nats[0]
    levels = np.union1d(np.linspace(knots[-1], knots[0], 60), knots)[::-1]
    bits = np.exp(levels) / math.log(2)
    for level, found in zip(bits, curve.invert(levels), strict=True):
        yield found.num_bytes, float(level)
    yield float(sizes[-1]), float(bits[-1])  # more text may not better the best loss


def _draw_inversions(
    axes: Any,
    record: Mapping[str, Any],
    target: str,
    source: str,
    scratch: Mapping[int, Sequence[float]],
    tuned: Mapping[int, Sequence[float]],
) -> None:
    number = record["sources"].index(source)
    colour, marker = _look(number)
    effective = {
        cell["data_finetuned_bytes"]: cell
        for cell in record["transfers"]
        if (cell["target"], cell["source"]) == (target, source)
    }
    known = [size for size in (*scratch, *tuned) if size]
    left = min(known) / 2.2  # where a size of 0, which has no logarithm, is drawn
    axes.set_xlim(left / 1.5 if 0 in tuned else min(known) / 1.4, 1.5 * max(known))
    for size, values in tuned.items():
        at = size or left
        axes.plot([at] * len(values), values, marker, color=colour, markersize=3.4, alpha=0.8)
        if not size:
            axes.annotate("no text", (at, max(values)), (2, 5), textcoords="offset points",
                          fontsize=7.5, color=colour)  # fmt: skip
    axes.margins(y=0.12)
    bottom = axes.get_ylim()[0]
    axes.set_ylim(bottom=bottom)
    for size, values in tuned.items():
        cell, loss = effective.get(size), _mean(values)
        if cell is None or cell["data_effective_bytes"] is None:
            continue
        end = cell["data_effective_bytes"]
        axes.plot([size or left, end], [loss, loss], color=colour, lw=1.2)
        axes.plot([end, end], [loss, bottom], color=colour, lw=1.0, ls=(0, (2, 2)))
        if cell["censored"] is not None:
            _arrow(axes, (end, bottom), "→" if cell["censored"] == "at_least" else "←", colour)


def _draw_line(axes: Any, line: Sequence[Transfer], shift: float, colour: str, marker: str) -> None:
    if not line:
        return
    places = [(cell["data_finetuned_bytes"] * shift, worth(cell)) for cell in line]
    axes.plot(*zip(*places, strict=True), color=colour, lw=1.3)
    for (x, value), cell in zip(places, line, strict=True):
        hollow = cell["censored"] is not None
        axes.plot(x, value, marker, color=colour, mfc="white" if hollow else colour, markersize=5)
        low, high = cell["interval"] or (value, value)
        ends = [end for end in (low, high, value) if end is not None]
        axes.plot([x, x], [min(ends), max(ends)], color=colour, lw=1.0, solid_capstyle="butt")
        if low is None or cell["censored"] == "at_most":
            _arrow(axes, (x, min(ends)), "↓", colour)
        if high is None or cell["censored"] == "at_least":
            _arrow(axes, (x, max(ends)), "↑", colour)


def _ticks_about_zero(cells: Iterable[Transfer], threshold: float) -> list[float]:
    # The library's own locator adds a decade below the threshold, whose label falls on that of 0.
    ends = [abs(x) for c in cells for x in (worth(c), *(c["interval"] or ())) if x is not None]
    num_decades = math.ceil(math.log10(max([*ends, threshold]) / threshold)) + 1
    powers = [threshold * 10**number for number in range(num_decades)]
    return [*(-power for power in reversed(powers)), 0.0, *powers]


def _draw_point(axes: Any, record: Mapping[str, Any], value: float, cell: Transfer) -> None:
    colour = _look(record["sources"].index(cell["source"]))[0]
    marker = _look(record["targets"].index(cell["target"]))[1]
    hollow = cell["censored"] is not None
    at = (value, worth(cell))
    axes.plot(*at, marker, color=colour, mfc="white" if hollow else colour, markersize=5.5)
    if hollow:
        _arrow(axes, at, "↑" if cell["censored"] == "at_least" else "↓", colour)


def _correlation_title(record: Mapping[str, Any], covariate: str, size: int) -> str:
    found = [
        row
        for row in record["associations"]
        if (row["covariate"], row["data_finetuned_bytes"]) == (covariate, size)
    ]
    at = f"D_F = {format_bytes(size)}"
    if not found:
        return f"{at}: not tested"
    if found[0]["rho"] is None or found[0]["p"] is None:
        return f"{at}: no test, see the table"
    return f"{at}: ρ = {found[0]['rho']:.2f}, p = {found[0]['p']:.2g}"


_OFFSETS = {
    "→": ((1, 6), "left", "center"),
    "←": ((-1, 6), "right", "center"),
    "↑": ((0, 2), "center", "bottom"),
    "↓": ((0, -2), "center", "top"),
}


def _arrow(axes: Any, at: tuple[Any, Any], arrow: str, colour: str) -> None:
    offset, across, along = _OFFSETS[arrow]
    axes.annotate(
        arrow,
        at,
        offset,
        textcoords="offset points",
        ha=across,
        va=along,
        color=colour,
        weight="bold",
    )


def _look(number: int) -> tuple[str, str]:
    return _COLOURS[number % len(_COLOURS)], _MARKERS[number % len(_MARKERS)]


def _bytes_axis(axis: Any) -> None:
    axis.set_major_locator(LogLocator(subs=(1, 3)))
    axis.set_major_formatter(FuncFormatter(lambda x, _: format_bytes(x)))
    axis.set_minor_locator(NullLocator())


def _legend(chart: Figure, entries: Sequence[Sequence[str]], line: str = "-") -> None:
    handles = [
        Line2D([], [], color=colour, marker=marker, ls=line, label=name)
        for name, colour, marker in entries
    ]
    legend = chart.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
    for text in legend.get_texts():
        text.set_parse_math(False)


def _panels(num_panels: int) -> tuple[Figure, list[Any]]:
    num_columns = min(2, num_panels)
    num_rows = -(-num_panels // num_columns)
    chart = Figure(figsize=(_PANEL_WIDTH * num_columns, _PANEL_HEIGHT * num_rows + 0.4))
    chart.set_layout_engine("constrained", w_pad=0.1, h_pad=0.1)  # inches
    return chart, [
        chart.add_subplot(num_rows, num_columns, number + 1) for number in range(num_panels)
    ]


@contextmanager
def dark_style() -> Iterator[None]:
    """Sets dark ink, to be drawn on white, and whatever else `figures` sets."""
    with figure_style():
        matplotlib.rcParams.update(_DARK)
        yield


def svg(chart: Figure) -> str:
    """Returns a chart on white as SVG text."""
    buffer = io.BytesIO()
    chart.savefig(buffer, format="svg", facecolor="white", metadata={"Date": None})
    # matplotlib quotes every family, and a quoted system-ui is no longer the system's font.
    return buffer.getvalue().decode("utf-8").replace("'system-ui'", "system-ui")
