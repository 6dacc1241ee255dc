"""Figures: floors that stay readable, and curves that show what was measured and nothing else."""

import itertools

import matplotlib
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_records import make_record

from lingraft.report import figures
from lingraft.report.formatting import quantity, seconds, visible


@given(st.lists(st.floats(-1, 2), min_size=1, max_size=8).map(sorted))
def test_labels_are_a_line_apart_and_centred_on_their_floors(heights):
    placed = figures._spread(heights)
    gaps = [later - earlier for earlier, later in itertools.pairwise(placed)]
    assert all(gap >= figures._LABEL_GAP - 1e-9 for gap in gaps)
    assert sum(placed) == pytest.approx(sum(heights), abs=1e-9)


def test_labels_with_room_stay_where_they_are():
    assert figures._spread([0.1, 0.5, 0.9]) == [0.1, 0.5, 0.9]


def test_curves_name_each_floor_once():
    drawn = figures.draw_curves(make_record(), "num_bytes")
    for label in ("uniform", "unigram (a)", "unigram (b)", "trigram (a)", "trigram (b)"):
        assert drawn.count(f">{label}<") == 1


def test_points_without_a_value_are_left_out():
    record = make_record()
    for curve in record["curves"]:
        for point in curve["points"]:
            point["value"] = None
    assert figures.draw_curves(record, "seconds") is None


def test_drawing_leaves_the_settings_of_matplotlib_alone():
    matplotlib.rcParams["font.size"] = 31.0
    try:
        plain = figures.draw_bars([("table", 3)], "rows")
        assert matplotlib.rcParams["font.size"] == 31.0
    finally:
        matplotlib.rcParams["font.size"] = matplotlib.rcParamsDefault["font.size"]
    assert figures.draw_bars([("table", 3)], "rows") == plain


def test_the_graft_has_a_colour_of_its_own():
    colours = figures.arm_colours(make_record())
    assert colours["trans_tokenize"] == figures.GRAFT_COLOUR
    assert len(set(colours.values())) == 4


@pytest.mark.parametrize(
    ("token", "shown"),
    [
        (" file\n", "␣file↵"),
        ("a\tb", "a⇥b"),
        ("\u202egnp", "⟨202E⟩gnp"),
        ("می‌خواهم", "می‌خواهم"),
        ("\x00", "⟨0000⟩"),
    ],
)
def test_white_space_and_controls_can_be_seen(token, shown):
    assert visible(token) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        (True, "yes"),
        (12874, "12,874"),
        (27612.25, "27,612.2"),
        (0.97412, "0.9741"),
        (0.0003, "0.0003"),
        (2000.0, "2,000"),
        ({"a": 1, "b": None}, "a: 1, b: –"),
        ([], "–"),
        ("text", "text"),
    ],
)
def test_quantities_read_well(value, shown):
    assert quantity(value) == shown


def test_durations_read_well():
    shown = [seconds(value) for value in (0.04, 88.1, 341.0, 9000.0, None)]
    assert shown == ["0.0 s", "88.1 s", "5.7 min", "2.5 h", "–"]
