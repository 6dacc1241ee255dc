"""The map of transfer: each cell printed, bounds hatched, many sources in bands."""

import pytest
from transfer_records import cell_of, make_record

from lingraft.report import transfer_heat_map


@pytest.fixture
def record():
    return make_record()


@pytest.mark.usefixtures("charts")
def test_the_map_prints_each_cell_and_hatches_bounds(record):
    record["transfers"].remove(cell_of(record, "el", "code", 100_000))
    (axes,) = transfer_heat_map.draw_heat_map(record).axes
    shown = {text.get_position(): text.get_text() for text in axes.texts}
    assert shown[0.5, 0.5] == "120 kB\n90 kB\nto 165 kB"
    assert shown[3.5, 0.5] == "≥ 0 B\n−200 kB\nto …"
    assert shown[4.5, 1.5] == "0 B\nno interval"
    assert shown[5.5, 1.5] == "–"
    hatched = {patch.get_xy() for patch in axes.patches if patch.get_hatch()}
    assert hatched == {(3, 0), (3, 1)}
    faces = {patch.get_xy(): patch.get_facecolor() for patch in axes.patches if patch.get_fill()}
    (gain_red, _, gain_blue, _), (loss_red, _, loss_blue, _) = faces[2, 0], faces[7, 1]
    assert gain_blue > gain_red
    assert loss_red > loss_blue
    assert [label.get_text() for label in axes.get_yticklabels()] == ["Dutch", "Greek"]
    sizes = [label.get_text() for label in axes.get_xticklabels()]
    assert sizes == ["30 kB", "100 kB", "300 kB", "1 MB"] * 2


@pytest.mark.usefixtures("charts")
def test_many_sources_stand_in_bands(record):
    record["sources"] = [f"s{number}" for number in range(5)]
    first = [cell for cell in record["transfers"] if cell["source"] == "en"]
    record["transfers"] = [cell | {"source": s} for s in record["sources"] for cell in first]
    bands = transfer_heat_map.draw_heat_map(record).axes
    assert [len(axes.get_xticks()) for axes in bands] == [8, 8, 4]
    record["sources"] = ["s0"]
    record["transfers"] = [cell | {"source": "s0"} for cell in first[:2]]
    chart = transfer_heat_map.draw_heat_map(record)
    assert chart.get_figwidth() < 5, "no empty columns"
