"""Figures as SVG text, drawn without pyplot and the same to the byte for the same record."""

import base64
import io
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from lingraft.report.records import graft
from lingraft.units import format_bytes

GRAFT_COLOUR = "#1391a7"
# Mid-tones, told apart by the colour-blind, which hold on white and on black alike.
_COLOURS = ("#868e99", "#d08a2e", "#9271c9", "#4f9d5d", "#cc6680", "#5b84d6")
_AXES = "#858b93"
_STYLE = {
    "svg.hashsalt": "lingraft",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["system-ui", "DejaVu Sans"],
    "font.size": 10,
    "text.color": _AXES,
    "axes.labelcolor": _AXES,
    "axes.edgecolor": _AXES,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": _AXES,
    "grid.alpha": 0.18,
    "grid.linewidth": 0.8,
    "xtick.color": _AXES,
    "ytick.color": _AXES,
    "lines.solid_capstyle": "round",
}
_LABEL_GAP = 0.062  # of the axes' height, what one line of small type needs


def arm_colours(record: Mapping[str, Any]) -> dict[str, str]:
    """Returns the colour of each arm's curve, in the order of the table."""
    main = graft(record)
    arms = [row["arm"] for row in record["table"]]
    others = [arm for arm in arms if main is None or arm != main["arm"]]
    colours = {arm: _COLOURS[number % len(_COLOURS)] for number, arm in enumerate(others)}
    return {arm: colours.get(arm, GRAFT_COLOUR) for arm in arms}


def draw_curves(record: Mapping[str, Any], axis: str) -> str | None:
    """Draws bits per byte during training, with the floors as dashed lines.

    Args:
        record: A checked record.
        axis: ``"num_bytes"`` of target text or ``"seconds"`` of training.

    Returns:
        SVG text; None where no curve has a point.
    """
    colours = arm_colours(record)
    lines = [(curve["arm"], _points(curve, axis)) for curve in record["curves"]]
    if not any(points for _, points in lines):
        return None
    with figure_style():
        chart = Figure(figsize=(5.2, 3.7))
        axes = chart.add_axes((0.105, 0.14, 0.69, 0.83))
        for arm, points in lines:
            colour = colours.get(arm, _COLOURS[0])
            width = 2.6 if colour == GRAFT_COLOUR else 1.6
            axes.plot(*zip(*points, strict=True) if points else ((), ()), color=colour, lw=width)
            if points:
                axes.plot(*points[-1], "o", color=colour, markersize=2.2 * width)
        _draw_floors(axes, record)
        axes.set_xlim(left=0)
        axes.set_ylabel("bits per byte")
        axes.xaxis.set_major_locator(MaxNLocator(5))
        if axis == "num_bytes":
            axes.set_xlabel("bytes of target text trained on")
            axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: format_bytes(x)))
        else:
            axes.set_xlabel("seconds of training")
        return _svg(chart)


def draw_bars(counts: Sequence[tuple[str, int]], axis_label: str) -> str | None:
    """Draws one horizontal bar for each count, the count written at its end.

    Returns:
        SVG text; None where there is nothing to draw.
    """
    if not counts:
        return None
    with figure_style():
        chart = Figure(figsize=(5.2, 0.75 + 0.32 * len(counts)))
        axes = chart.add_subplot()
        names, values = zip(*counts, strict=True)
        places = range(len(counts))
        axes.barh(places, values, height=0.62, color=GRAFT_COLOUR)
        for place, value in zip(places, values, strict=True):
            axes.annotate(
                f"{value:,}", (value, place), (4, 0), textcoords="offset points", va="center"
            )
        axes.set_yticks(places, [drawable(name) for name in names], parse_math=False)
        axes.set_xlim(0, 1.14 * max(*values, 1))
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.tick_params(left=False)
        axes.spines["left"].set_visible(False)
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
        axes.set_xlabel(axis_label)
        chart.set_layout_engine("tight")
        return _svg(chart)


def data_uri(svg: str) -> str:
    """Returns an SVG as an address that holds it, so that a page asks nobody for it."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode("utf-8")).decode("ascii")


def _points(curve: Mapping[str, Any], axis: str) -> list[tuple[float, float]]:
    return [(at[axis], at["value"]) for at in curve["points"] if at["value"] is not None]


def _draw_floors(axes: Any, record: Mapping[str, Any]) -> None:
    floors = sorted(_floor_lines(record))
    for value, _ in floors:
        axes.axhline(value, color=_AXES, lw=0.9, ls=(0, (4, 3)))
    low, high = axes.get_ylim()
    heights = [(value - low) / (high - low) for value, _ in floors]
    for (_, label), at, height in zip(floors, heights, _spread(heights), strict=True):
        axes.annotate(
            drawable(label),
            (1, at),
            (1.055, height),
            xycoords="axes fraction",
            textcoords="axes fraction",
            va="center",
            fontsize=8.5,
            parse_math=False,
            arrowprops={"arrowstyle": "-", "color": _AXES, "lw": 0.6, "shrinkA": 0, "shrinkB": 0},
        )


def _spread(heights: Sequence[float]) -> list[float]:
    """Returns rising heights at least one line apart, each crowd centred on where it was."""
    crowds: list[list[float]] = []
    for height in heights:
        crowds.append([height])
        while len(crowds) > 1 and _line_heights(crowds[-1])[0] < (
            _line_heights(crowds[-2])[-1] + _LABEL_GAP
        ):
            crowds[-2:] = [crowds[-2] + crowds[-1]]
    return [line for crowd in crowds for line in _line_heights(crowd)]


def _line_heights(crowd: Sequence[float]) -> list[float]:
    middle, half = sum(crowd) / len(crowd), (len(crowd) - 1) / 2
    return [middle + _LABEL_GAP * (number - half) for number in range(len(crowd))]


def _floor_lines(record: Mapping[str, Any]) -> Iterator[tuple[float, str]]:
    for row in record["floors"]["rows"]:
        a, b = (score["value"] if score else None for score in (row["a"], row["b"]))
        if row["key"] == "uniform":
            if (value := a if a is not None else b) is not None:
                yield value, row["key"]
            continue
        yield from ((v, f"{row['key']} ({w})") for w, v in (("a", a), ("b", b)) if v is not None)


def drawable(text: str) -> str:
    # A control character makes the whole SVG malformed, and a browser then shows none of it.
    kept = "".join(c for c in text if not unicodedata.category(c).startswith("C"))
    return kept if len(kept) <= 28 else kept[:27] + "…"


@contextmanager
def figure_style() -> Iterator[None]:
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # whatever a user's matplotlibrc says
        matplotlib.rcParams.update(_STYLE)
        yield


def _svg(chart: Figure) -> str:
    buffer = io.BytesIO()
    chart.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    # matplotlib quotes every family, and a quoted system-ui is no longer the system's font.
    return buffer.getvalue().decode("utf-8").replace("'system-ui'", "system-ui")
