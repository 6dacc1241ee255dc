"""Tables of a study of unification: every figure with its interval, and why one is missing."""

import pytest
from page_reading import plain
from unification_records import GRID, WORST, make_record, make_value

from lingraft.report.formatting import NO_VALUE
from lingraft.report.unification_tables import build_tables


@pytest.fixture
def record():
    return make_record()


def test_tables_show_every_figure_with_its_interval(record):
    tables = build_tables(record)
    worst = tables["recall"].rows[[*GRID].index(WORST)]
    assert worst == (
        *("1", "1", "0", "3", "0.98 (0.96 to 0.99)", "0.12 (0.12 to 0.12)"),
        *("0.12 (0.12 to 0.13)", NO_VALUE, "0.050 (0.049 to 0.051)", "0.010 (0.010 to 0.010)"),
        *("0.025", "150 (147 to 152)"),
    )
    assert tables["recall"].notes == ("wrong half, every cell: nothing is wrong",)
    assert tables["acceptance"].rows[1] == (
        *("(ii)", "claim (ii); wanted: wanted of (ii)", "does not hold"),
        *("−0.10", "−0.40 to +0.30", "0.0123", "17", "−0.05", "−0.40 to +0.30", "51"),
    )
    assert tables["acceptance"].rows[2][2:] == (
        *("undecided", *[NO_VALUE] * 3, "17"),
        *(*[NO_VALUE] * 2, "51"),
    )
    assert tables["acceptance"].table.headers[2:] == (
        *("verdict", "over cells", "95 % interval", "p", "cells"),
        *("over models", "95 % interval", "models"),
    )
    assert [row[0] for row in tables["subgrid_acceptance"].rows] == ["(iii) held"]
    assert tables["ranks"].rows[0][4:] == (
        *("0.99 (0.97 to 1.00)", "0.95 (0.93 to 0.96)"),
        *("0.150 (0.147 to 0.151)", "0.060 (0.059 to 0.061)", "0.107"),
    )
    assert tables["acceptance"].notes == ("(iii): y is constant",)
    assert tables["information"].rows[-1] == (
        *("1", "1", "0.1", "3", "1.000", "1.090", "1.000", "0.875", "1.000"),
    )
    assert tables["knowledge"].rows[-1][4:] == (
        *("4.85 (4.75 to 4.90)", "200", "970 (951 to 980)", "38.8 (38.0 to 39.2)"),
    )
    assert tables["states"].rows[0][4] == "0.77 (0.76 to 0.78)"
    assert tables["subgrid"].rows[1][:3] == ("0", "1", "3")
    assert len(tables["subgrid_states"].rows) == 4


def test_phases_are_steps_and_changes_and_the_outcome(record):
    table = build_tables(record)["phases"]
    assert table.rows[[*GRID].index(WORST)] == (
        *("1", "1", "0", "50 (40 to 60)", "60", "90", "150 (140 to 160)", "400"),
        *("−0.31 (−0.40 to −0.20)", "+0.24 (+0.10 to +0.40)", "2 of 3", "separation"),
    )
    assert table.notes == ("late repair, in 17 of 18 cells: recall is never full",)


def test_few_cells_are_named_in_notes_and_bounds_are_told(record):
    record["members"][0]["effective_exposures"]["censored"] = "at_least"
    record["cells"][1]["values"]["bits_per_fact"] = make_value(None, reason="no fact")
    notes = [plain(note) for note in build_tables(record)["knowledge"].notes]
    assert notes == [
        "bits a fact, in ρ 0, E 0.8, π 0: no fact",
        "effective exposures, in ρ 0, E 0, π 0: bounds in 1 of 3 runs",
    ]
