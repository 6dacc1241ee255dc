"""Rejected rows: counted, written, limited."""

import json

import pytest

from lingraft.corpus import Rejected, summarize_rejected, write_rejected
from lingraft.corpus.rejects import NOT_IN_LANGUAGE, check_rejected
from lingraft.errors import InputError, StoreError

ROWS = (
    Rejected("α.tsv", 1, "empty source side"),
    Rejected("α.tsv", 5, "NUL character"),
    Rejected("b.tsv", 2, "NUL character"),
)


def test_reasons_are_counted_the_most_frequent_first():
    assert list(summarize_rejected(ROWS).items()) == [
        ("NUL character", 2),
        ("empty source side", 1),
    ]
    assert summarize_rejected(()) == {}


def test_rejected_rows_are_written_one_a_line(tmp_path):
    path = tmp_path / "new" / "rejected.jsonl"
    write_rejected(ROWS, path)
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert [Rejected(**row) for row in rows] == list(ROWS)


def test_an_unwritable_place_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="expected a folder that can be written"):
        write_rejected(ROWS, tmp_path / "file" / "rejected.jsonl")


@pytest.mark.parametrize(
    ("num_kept", "num_bad", "num_other"), [(1, 1, 0), (5, 5, 100), (1, 0, 9), (1, 0, 0)]
)
def test_up_to_half_may_be_bad_and_other_languages_do_not_count(num_kept, num_bad, num_other):
    rows = [Rejected("a", 1, "bad JSON")] * num_bad + [
        Rejected("a", 1, NOT_IN_LANGUAGE)
    ] * num_other
    check_rejected("a", num_kept, rows, hint="")


def test_more_than_half_is_refused():
    rows = [Rejected("a", 1, "bad JSON")] * 6 + [Rejected("a", 1, NOT_IN_LANGUAGE)]
    with pytest.raises(InputError) as caught:
        check_rejected("a", 5, rows, hint="look")
    assert caught.value.expected == "at most 50% of the rows with a defect"
    assert caught.value.got == f"6 of 11 (6 x bad JSON, 1 x {NOT_IN_LANGUAGE})"
    assert (caught.value.where, caught.value.hint) == ("a", "look")
