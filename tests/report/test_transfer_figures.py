"""Figures of a data transfer study: curves, lines and correlations drawn from its cells."""

import math

import numpy as np
import pytest
from page_reading import texts
from transfer_records import SIZES, cell_of, loss_of, make_record

from lingraft.measurement import Loss, data_transfer
from lingraft.measurement.data_transfer import RULES
from lingraft.report import transfer_figures


@pytest.fixture
def record():
    return make_record()


def lines(axes):
    return [np.array(line.get_xydata(), dtype=float) for line in axes.lines]


def joined(line):
    return line.get_linestyle() != "None"


@pytest.mark.usefixtures("charts")
def test_inversions_run_to_the_curve_and_drop_to_the_effective_size(record):
    panels = transfer_figures.draw_scratch_curves(record, "nl").axes
    assert [axes.get_title() for axes in panels] == ["English", "code"]
    for source, axes in zip(("en", "code"), panels, strict=True):
        curve, points = lines(axes)[:2]
        expected = {(s, loss_of("nl", s) * f / math.log(2)) for s in SIZES for f in (0.99, 1, 1.01)}
        assert points[np.lexsort(points.T[::-1])] == pytest.approx(np.array(sorted(expected)))
        drawn = [xy for xy, line in zip(lines(axes), axes.lines, strict=True) if joined(line)][1:]
        assert len(drawn) == 2 * len((0, *SIZES))
        for size, level, drop in zip((0, *SIZES), drawn[::2], drawn[1::2], strict=True):
            cell = cell_of(record, "nl", source, size)
            end, loss = level[1]
            assert size == 0 or level[0, 0] == size
            assert level[0, 1] == loss
            assert end == cell["data_effective_bytes"]
            assert drop.tolist() == [[end, loss], [end, axes.get_ylim()[0]]]
            on_curve = math.exp(np.interp(math.log(end), np.log(curve[:, 0]), np.log(curve[:, 1])))
            side = {None: 0, "at_least": -1, "at_most": 1}[cell["censored"]]
            assert np.sign(round(math.log(loss / on_curve), 2)) == side
    assert [texts(axes).count("→") for axes in panels] == [1, 0]
    assert [texts(axes).count("←") for axes in panels] == [0, 1]
    assert all("no text" in texts(axes) for axes in panels)


@pytest.mark.usefixtures("charts")
def test_a_curve_that_rises_is_drawn_as_it_was_repaired(record):
    for run in record["losses"]:
        if run["init"] == "scratch" and run["dataset_bytes"] == 300_000:
            run["nats_per_byte"] *= 1.5
    axes = transfer_figures.draw_scratch_curves(record, "nl").axes[0]
    assert (np.diff(lines(axes)[0][:, 1]) <= 1e-12).all()


@pytest.mark.usefixtures("charts")
@pytest.mark.parametrize("rule", RULES)
def test_inversions_end_on_the_curve_of_the_rule_of_the_record(record, rule):
    record["rule"] = rule
    bends = {30_000: 2.6, 100_000: 2.5, 300_000: 1.9, 1_000_000: 1.8}  # of no family that is fitted
    runs = [run for run in record["losses"] if (run["target"], run["init"]) == ("nl", "scratch")]
    for run in runs:
        run["nats_per_byte"] = bends[run["dataset_bytes"]]
    runs += [{**runs[0], "init": "en", "dataset_bytes": 30_000, "nats_per_byte": 2.2}]
    record |= {"losses": runs, "sources": ["en"]}
    losses = [Loss("nl", "scratch", size, nats) for size, nats in bends.items()]
    [found] = data_transfer([*losses, Loss("nl", "en", 30_000, 2.2)], rule=rule, seed=0).transfers
    record["transfers"] = [found.to_record()]
    axes = transfer_figures.draw_scratch_curves(record, "nl").axes[0]
    size, bits = lines(axes)[0].T
    assert size[-1] == 1_000_000
    assert (np.diff(size) >= 0).all()
    drawn = np.interp(math.log(found.data_effective_bytes), np.log(size), bits)
    assert drawn == pytest.approx(2.2 / math.log(2), rel=0.002)


@pytest.mark.usefixtures("charts")
def test_a_flat_curve_is_drawn_over_all_sizes(record):
    for run in record["losses"]:
        if run["init"] == "scratch":
            run["nats_per_byte"] = 2.0
    axes = transfer_figures.draw_scratch_curves(record, "nl").axes[0]
    size, bits = lines(axes)[0].T
    assert (min(size), max(size)) == (30_000, 1_000_000)
    assert bits == pytest.approx(2.0 / math.log(2))


@pytest.mark.usefixtures("charts")
def test_a_curve_without_fine_tuned_models_is_drawn_alone(record):
    record["losses"] = [run for run in record["losses"] if run["init"] == "scratch"]
    (axes,) = transfer_figures.draw_scratch_curves(record, "nl").axes
    assert len(lines(axes)) == 2


@pytest.mark.usefixtures("charts")
def test_lines_show_values_intervals_and_open_ends(record):
    dutch, greek = transfer_figures.draw_transfer_lines(record).axes
    values = [cell_of(record, "nl", "en", size)["data_transferred_bytes"] for size in SIZES]
    drawn = next(xy for xy in lines(dutch) if len(xy) == 4)
    assert drawn[:, 1].tolist() == values
    bars = {tuple(xy[:, 1]) for xy in lines(dutch) if len(xy) == 2 and xy[0, 0] == xy[1, 0]}
    assert (90_000, 165_000) in bars
    assert (500_000, 700_000) in bars, "from the low end to the value, then an arrow"
    decades = [10_000 * 10**number for number in range(3)]
    assert dutch.get_yticks().tolist() == [*(-x for x in reversed(decades)), 0, *decades]
    assert texts(dutch) == ["↑", "↑", "↑"], "300 kB and 1 MB of English, 1 MB of code"
    assert texts(greek) == ["↑"]
    cell_of(record, "el", "code", 300_000).update(interval=[None, -40_000], censored="at_most")
    assert sorted(texts(transfer_figures.draw_transfer_lines(record).axes[1])) == ["↑", "↓"]
    hollow = [line for line in dutch.lines if line.get_markerfacecolor() == "white"]
    assert len(hollow) == 1


@pytest.mark.usefixtures("charts")
def test_correlations_stand_within_each_size(record):
    panels = transfer_figures.draw_correlations(record, "script_overlap").axes
    assert [axes.get_title() for axes in panels] == [
        "D_F = 30 kB: ρ = 0.80, p = 0.034",
        "D_F = 100 kB: no test, see the table",
        "D_F = 300 kB: not tested",
        "D_F = 1 MB: not tested",
    ]
    points = sorted(tuple(xy[0]) for xy in lines(panels[0])[1:])
    assert points == [(0.2, 0.0), (0.21, 3_000.0), (0.8, 8_000.0), (0.97, 120_000.0)]
    assert texts(panels[3]) == ["↑", "↑"]
    assert transfer_figures.draw_correlations(record, "divergence") is None
