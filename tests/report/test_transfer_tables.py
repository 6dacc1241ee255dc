"""Tables of a data transfer study: every number, every bound marked, a reason for every dash."""

import math
import re

import numpy as np
import pytest
from transfer_records import loss_of, make_record

from lingraft.report.transfer import transfer_rows
from lingraft.report.transfer_tables import build_tables


@pytest.fixture
def record():
    return make_record()


def test_rows_show_every_number_and_mark_every_bound(record):
    headers, *rows = transfer_rows(record)
    assert headers[:6] == ["target", "source", "D_F", "D_T", "95 % interval", "D_E"]
    assert rows[1] == [
        *("Dutch", "English", "30 kB", "120 kB", "90 kB to 165 kB", "150 kB", "80 %", "5.00", ""),
    ]
    assert rows[4][3:8] == ["≥ 0 B", "−200 kB to …", "≥ 1 MB", "≥ 0 %", "≥ 1.00"]
    assert rows[4][8] == "a bound: the loss is better than the curve’s best"
    assert rows[5][3:8] == ["≤ 30 kB", "… to 39 kB", "≤ 30 kB", "≤ 100 %", "–"]
    assert rows[16][4] == "–"
    assert rows[16][8] == "no kind of run has several seeds"
    for row, cell in zip(rows, record["transfers"], strict=True):
        mark = {None: "", "at_least": "≥", "at_most": "≤"}[cell["censored"]]
        assert re.match("[≥≤]?", row[3])[0] == mark


def test_units_of_content_and_characters(record):
    rows = build_tables(record)["content"].rows
    assert rows[1][3:] == ("120 kB", "120,000", "96 kB", "")
    assert rows[9][3:] == ("−10 kB", "−10,000", "−8 kB", "")
    assert rows[10][3:] == ("≤ 30 kB", "≤ 17,143", "–", "no parallel text, so no byte premium")
    del record["units"]["nl"]
    row = build_tables(record)["content"].rows[1]
    assert row[4:] == ("–", "–", "the target’s bytes per character are not recorded")


def test_losses_by_byte_and_by_character(record):
    row = build_tables(record)["means"].rows[4]
    nats = math.exp(np.mean(np.log(loss_of("el", 30_000) * np.array([0.99, 1.0, 1.01]))))
    expected = [
        nats / math.log(2),
        1.75 * nats / math.log(2),
        math.exp(nats),
        math.exp(1.75 * nats),
    ]
    assert row[:4] == ("Greek", "scratch", "30 kB", "3")
    assert row[4:] == tuple(f"{value:.3f}" for value in expected)


def test_the_share_is_the_one_that_is_described(record):
    rows = build_tables(record)["contamination"].rows
    assert [row[2] for row in rows] == ["0.5 %", "< 0.3 %", "–"]
    assert all(row[4].startswith(row[2]) for row in rows[:2])


def test_texts_tell_what_was_taken_out_or_repaired(record):
    record["texts"].append(record["texts"][1] | {"name": "code", "enciphered_share": 0.975})
    assert build_tables(record)["texts"].rows == (
        (
            *("English", "source", "40,000", "39,000", "500"),
            "test: 12 rows (3.4 kB) that stand in held-out text too removed; "
            "train: 5 byte order marks removed",
        ),
        ("Dutch", "target", "40,000", "39,000", "500", "nothing"),
        ("code", "target", "40,000", "39,000", "500", "97.5% of the letters enciphered"),
    )


def test_runs_tell_their_text_and_what_ended_them(record):
    table = build_tables(record)["runs"]
    run = dict(zip(table.headers, table.rows[0], strict=True))
    assert (run["bytes"], run["characters"], run["documents"]) == ("30,000", "15,000", "300")
    assert run["ended by"] == "patience"
    assert not table.is_number(table.headers.index("ended by"))


def test_unknown_covariates_have_their_reason(record):
    tables = build_tables(record)
    assert tables["similarity"].headers[-1] == "unknown"
    assert tables["similarity"].rows[0][-1] == "divergence: no text; syntactic: no lang2vec"
    assert tables["untested"].rows == (("syntactic", "unknown in 4 of 4 cells (4: no lang2vec)"),)


def test_a_pooled_test_is_called_no_evidence(record):
    rows = build_tables(record)["associations"].rows
    assert rows[0][1:] == ("30 kB", "0.80", "0.034", "4", "")
    assert rows[1][2:] == ("–", "–", "3", "3 cells of 2 targets")
    record["associations"][2]["reason"] = "two cells"
    assert build_tables(record)["associations"].rows[2][5] == "two cells"
    assert rows[2][1:] == (
        *("pooled", "0.41", "0.0021", "16"),
        "all sizes; no evidence, for both grow with the size",
    )


def test_parts_without_a_number_are_dashes_with_their_reason(record):
    tables = build_tables(record)
    assert tables["variance"].rows == (
        *(("target", "62 %"), ("source", "–"), ("num cells", "4"), ("reason", "one source")),
    )
    assert tables["prediction"].rows[2] == ("wins", "no")
    assert tables["commutativity"].rows == (("Dutch", "Greek", "−4 kB", "12 kB", "–"),)
    record["variance"]["reason"] = ""
    assert len(build_tables(record)["variance"].rows) == 3
