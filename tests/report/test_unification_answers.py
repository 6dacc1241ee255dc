"""What a study of unification says in words: where transfer fails, what heals it, what is open."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from page_reading import plain
from unification_records import WORST, cell_at, make_cell, make_record, make_value

from lingraft.report.unification_answers import answers, verdict


@pytest.fixture
def record():
    return make_record()


def test_answers_name_where_transfer_fails_and_what_heals_it(record):
    told = [plain(line) for line in answers(record)]
    assert told == [
        "Each model was told facts in one language and asked in another it never saw them in: "
        "54 models in 18 cells of synthetic worlds that differ in informativeness ρ, "
        "extractability E and parallel share π.",
        "Transfer fails, with less than half of what is recalled in the told language, in "
        "1 of 18 cells: ρ 1, E 1, π 0 (0.12).",
        "It is whole, nine tenths or more, in 16 of 18 cells: ρ 0, E 1, π 0 (0.95); "
        "ρ 0, E 0, π 0 (0.96); ρ 0.5, E 0, π 0 (0.96); ρ 1, E 0, π 0 (0.96); "
        "ρ 0, E 0, π 0.1 (0.96); ρ 0.5, E 0, π 0.1 (0.96); and 10 more.",
        "Between these, or not told apart from them by its seeds: ρ 0.5, E 1, π 0 (0.70).",
        "From ρ 1, E 1, π 0 it heals with ρ 0, E 0.8 or π 0.1 alone, the rest as it was.",
        "Languages parted: while recall was formed, U fell in 1 of 18 cells: "
        "ρ 1, E 1, π 0 (-0.31).",
        "Late repair: after recall was full, accuracy in the other language still rose in "
        "1 of 18 cells: ρ 1, E 1, π 0 (+0.24).",
        "Of the 4 claims put to the test, (i) and (iv) hold; (ii) does not hold; "
        "(iii) is undecided.",
    ]


def test_a_few_answers_more_at_the_ceiling_are_no_repair(record):
    row = next(row for row in record["phases"] if row["repair"]["interval"] is not None)
    for value, is_told in ((0.04, False), (0.06, True)):
        repair = {"value": value, "interval": [0.01, 0.2], "reason": ""}
        only = {**record, "phases": [{**row, "repair": repair}]}
        assert any("Late repair" in line for line in answers(only)) == is_told


def test_answers_admit_what_cannot_be_said(record):
    for cell in record["cells"]:
        cell["values"]["transfer_ratio"] = make_value(None, reason="nothing is recalled")
    record["acceptance"] = record["acceptance"][:2]
    told = answers(record)
    assert told[1] == (
        "No cell has a transfer ratio (nothing is recalled), so nothing can be said."
    )
    assert told[2] == "Of the 2 claims put to the test, (i) holds; (ii) does not hold."
    assert len(told) == 3


def test_answers_of_one_seed_say_that_the_mean_decides():
    record = make_record(num_seeds=1)
    told = [plain(line) for line in answers(record)]
    assert "Where there is no interval over seeds, the mean alone decides." in told
    record["cells"] = [make_cell(WORST, 1), make_cell(WORST | {"extractability": 0.0}, ratio=0.6)]
    cell_at(record, WORST)["values"]["same_accuracy"] = make_value(0.75, 1)
    told = [plain(line) for line in answers(record)]
    assert "No change of one axis alone heals ρ 1, E 1, π 0 (0.12)." in told
    assert "In no cell is it whole, nine tenths or more." in told
    cell_at(record, WORST)["values"]["same_accuracy"] = make_value(0.25, 1)
    told = [plain(line) for line in answers(record)]
    assert told[1] == "In no cell does transfer fail: nowhere is the ratio told to be below 0.5."
    assert (
        "Less than half is recalled even in the told language, so that nothing can be said of "
        "transfer, in 1 of 2 cells: ρ 1, E 1, π 0 (0.12)."
    ) in told


@given(
    mean=st.floats(0, 1),
    below=st.floats(0, 0.3),
    above=st.floats(0, 0.3),
    has_interval=st.booleans(),
)
def test_a_verdict_is_that_of_every_ratio_in_the_interval(mean, below, above, has_interval):
    cell = make_cell(WORST)
    edges = (mean - below, mean + above) if has_interval else (None, None)
    cell["values"]["transfer_ratio"] |= {"mean": mean, "low": edges[0], "high": edges[1]}
    ratios = np.linspace(*edges, 7) if has_interval else [mean]
    single = {("fails" if r < 0.5 else "whole" if r >= 0.9 else "between") for r in ratios}
    ends = {"fails": {"fails"}, "whole": {"whole"}}
    assert verdict(cell) in ("fails", "whole", "between")
    for name, only in ends.items():
        assert (verdict(cell) == name) == (single == only)
