"""Figures of a study of unification: what is drawn is what was measured."""

import numpy as np
import pytest
from page_reading import plain, texts
from unification_records import (
    GRID,
    NUM_LAYERS,
    STEPS,
    WORST,
    cell_at,
    make_gain,
    make_record,
    make_value,
    ratio_of,
)

from lingraft.report import unification_figures
from lingraft.report.formatting import NO_VALUE
from lingraft.report.unification_cells import chosen_members, early_unification


@pytest.fixture
def record():
    return make_record()


def test_the_diagram_puts_each_ratio_in_its_place(record, charts):
    cell_at(record, WORST)["values"]["transfer_ratio"] = make_value(None, reason="x")
    record["cells"].remove(cell_at(record, GRID[0]))
    chart = unification_figures.draw_phase_diagram(record)
    assert [plain(axes.get_title()) for axes in chart.axes] == ["π 0", "π 0.1"]
    for axes, share in zip(chart.axes, (0.0, 0.1), strict=True):
        assert [t.get_text() for t in axes.get_xticklabels()] == ["0", "0.8", "1"]
        assert [t.get_text() for t in axes.get_yticklabels()] == ["0", "0.5", "1"]
        assert axes.get_xlabel() == "E, extractability"
        assert axes.get_ylabel() == "ρ, informativeness"
        large = {
            (int(text.get_position()[0]), int(text.get_position()[1])): text.get_text()
            for text in axes.texts
            if "–" not in text.get_text()[1:]
        }
        for y, rho in enumerate((0.0, 0.5, 1.0)):
            for x, cues in enumerate((0.0, 0.8, 1.0)):
                at = {"informativeness": rho, "extractability": cues, "parallel_share": share}
                absent = at in (WORST, GRID[0])
                assert large[x, y] == (NO_VALUE if absent else f"{ratio_of(at):.2f}")
    assert "0.69–0.71" in texts(chart.axes[0])


def test_the_diagram_of_fewer_axes_has_one_place_on_the_others(charts):
    record = make_record(grid=[WORST, WORST | {"informativeness": 0.0}])
    for cell in record["cells"]:
        cell["axes"] = {"informativeness": cell["axes"]["informativeness"]}
    [axes] = unification_figures.draw_phase_diagram(record | {"axes": ["informativeness"]}).axes
    assert [text for text in texts(axes) if "–" not in text] == ["0.95", "0.12"]
    assert axes.get_title() == ""


def test_no_cell_of_the_diagram_is_drawn_over_another(charts):
    """Axes that the record does not name have panels too, and one that no cell has no place."""
    grid = [GRID[0], GRID[0] | {"informativeness": 1.0}]
    record = make_record(grid=grid)
    cells = []
    for overlap in (0.0, 1.0):
        for cell in record["cells"]:
            axes = {"subject_overlap": overlap, **cell["axes"]}
            del axes["extractability"]
            ratio = make_value(overlap / 2 + axes["informativeness"] / 4)
            cells.append(cell | {"axes": axes, "values": {"transfer_ratio": ratio}})
    chart = unification_figures.draw_phase_diagram(record | {"cells": cells[:3]})
    first, second = chart.axes
    assert [text for text in texts(first) if "–" not in text] == ["0.00", "0.25"]
    assert [text for text in texts(second) if "–" not in text] == ["0.50"]
    assert [axes.get_ylabel() for axes in chart.axes] == ["ρ, informativeness"] * 2
    assert first.get_title() != second.get_title()


def test_curves_show_every_quantity_and_the_phases(record, charts):
    member = chosen_members(record)[0]
    member["curve"][1]["layers"]["together"] = [{"unification": None}] * NUM_LAYERS
    axes = unification_figures.draw_curves(record).axes[0]
    drawn = [np.array(line.get_ydata(), dtype=float) for line in axes.lines[:5]]
    curve = member["curve"]
    expected = [
        [point["same_accuracy"] for point in curve],
        [point["cross_accuracy"] for point in curve],
        [point["layers"]["by language"][1]["unification"] for point in curve],
        [point["layers"]["together"][1]["unification"] for point in curve],
        [point["language_probe"][1] for point in curve],
    ]
    np.testing.assert_array_equal(drawn, np.array(expected, dtype=float))
    assert list(axes.lines[0].get_xdata()) == list(STEPS)
    assert texts(axes) == ["S", "R", "F"]
    assert [line.get_xdata()[0] for line in axes.lines[-3:]] == [50.0, 150.0, 400.0]
    assert sum(type(patch).__name__ == "Rectangle" for patch in axes.patches) == 1
    record["phases"] = []
    axes = unification_figures.draw_curves(record).axes[0]
    assert texts(axes) == []
    assert not axes.patches


@pytest.mark.parametrize(
    ("steps", "labels"),
    [((250, 150, 260), ["R", "SF"]), ((155, 150, 400), ["RS", "F"]), ((150, 150, 150), ["SRF"])],
)
def test_marks_that_are_as_good_as_one_share_a_label(record, charts, steps, labels):
    """In their order in time; of one step in the order of the phases."""
    for row in record["phases"]:
        for name, step in zip(
            ("statistics_end", "recall_onset", "full_recall"), steps, strict=True
        ):
            row[name] = {"value": float(step), "interval": None, "reason": ""}
    assert texts(unification_figures.draw_curves(record).axes[0]) == labels


def test_early_unification_stands_against_the_ratio(record, charts):
    record["members"][0]["recall"]["transfer_ratio"]["value"] = None
    record["members"][1]["axes"] = {"value_overlap": 1.0}
    [axes] = unification_figures.draw_early(record).axes
    drawn = {tuple(map(float, point)) for line in axes.lines for point in line.get_xydata()}
    assert drawn == {
        (early_unification(record, member), member["recall"]["transfer_ratio"]["value"])
        for member in record["members"][2:]
    }
    assert [plain(line.get_label()) for line in axes.lines] == ["π 0", "π 0.1"]
    assert sum(len(line.get_xdata()) for line in axes.lines) == len(record["members"]) - 2


def test_patching_is_the_mean_over_the_models_of_a_cell(record, charts):
    for seed, member in enumerate(record["members"][:3]):
        member["patching"][1] = {
            "same_fact_nats": make_gain(float(seed)),
            "stranger_nats": make_gain(-3.0 * seed),
        }
    axes = unification_figures.draw_patching(record).axes[0]
    lines = [line for line in axes.lines if line.get_marker() == "o"]
    np.testing.assert_allclose(
        [line.get_ydata() for line in lines], [[0.0, 1.0, -0.2], [0.0, -3.0, -4.0]]
    )
    spans = {tuple(line.get_ydata()) for line in axes.lines if line.get_alpha() == 0.4}
    assert {(0.5, 1.5), (-3.5, -2.5)} <= spans


def test_a_layer_without_a_stranger_is_a_gap(record, charts):
    nothing = {"value": None, "interval": None, "reason": "all facts are of one subject"}
    for member in record["members"][:3]:
        for layer in member["patching"]:
            layer["stranger_nats"] = nothing
    axes = unification_figures.draw_patching(record).axes[0]
    _, stranger = [line for line in axes.lines if line.get_marker() == "o"]
    assert np.isnan(stranger.get_ydata()).all()
