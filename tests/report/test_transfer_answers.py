"""What a data transfer study says in words: gain, loss and nothing told apart, bounds as bounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transfer_records import cell_of, make_record

from lingraft.report.transfer import answers, pair_sentences


@pytest.fixture
def record():
    return make_record()


def test_answers_tell_gain_loss_and_nothing(record):
    assert answers(record) == [
        "Pretraining on English was worth 700 kB (500 kB to …) of Dutch beside 300 kB of "
        "fine-tuning text, the most that was seen.",
        "The most harmful: pretraining on code was worth −300 kB (−440 kB to −90 kB) of Greek "
        "beside 1 MB of fine-tuning text.",
        "Cells: 16, of which gains, their whole interval above 0: 4; losses, below 0: 2; not told "
        "from 0, which their interval contains: 9; without an interval: 1. Bounds instead of "
        "values: 2.",
        "Nothing that this study can show (every interval contains 0): English → Greek.",
    ]
    for cell in record["transfers"]:
        cell |= {"interval": None, "reason": "one seed"}
    told = answers(record)
    assert told[0] == "In no cell does the whole interval of D_T lie above 0."
    assert len(told) == 2
    assert "without an interval: 16" in told[1]


@given(
    st.none() | st.integers(-(10**6), 10**6),
    st.none() | st.integers(-(10**6), 10**6),
)
def test_only_an_interval_off_zero_tells_anything(low, high):
    if low is not None and high is not None and low > high:
        low, high = high, low
    record = make_record()
    cell = cell_of(record, "nl", "en", 30_000)
    record["transfers"] = [cell | {"interval": [low, high]}]
    told = " ".join(answers(record))
    assert ("was worth 120 kB" in told and "the most that" in told) == (low is not None and low > 0)
    assert ("most harmful" in told) == (high is not None and high < 0)
    assert ("Nothing that this study can show" in told) == (
        (low is None or low <= 0) and (high is None or high >= 0)
    )


def test_every_pair_is_told_in_words_bounds_as_bounds(record):
    cell_of(record, "el", "code", 1_000_000)["data_transferred_bytes"] = None
    cell_of(record, "el", "code", 1_000_000)["reason"] = "it diverged"
    told = pair_sentences(record)
    assert told[0] == (
        "English → Dutch: 45 kB (36 kB to 58.5 kB) without text of the target; "
        "120 kB (90 kB to 165 kB) beside 30 kB; 320 kB (236 kB to 446 kB) beside 100 kB; "
        "700 kB (500 kB to …) beside 300 kB; "
        "at least 0 B (−200 kB to …), not told from 0, beside 1 MB."
    )
    assert told[3].startswith(
        "code → Greek: at most 30 kB (… to 39 kB), not told from 0, without text of the target; "
        "0 B (no interval: no kind of run has several seeds) beside 30 kB; "
    )
    assert told[3].endswith("; undefined (it diverged) beside 1 MB.")
