"""A row of JSON Lines is an object with its number, or the reason why it is none."""

from pathlib import Path

import pytest

from lingraft.corpus.json_rows import json_rows, numbered_rows
from lingraft.errors import InputError

LINES = ['{"a": 1}', "", '"bad"', "[1]", "{", "[" * 100_000, '{"b": 2}']
REASONS = ["no JSON object", "no JSON object", "bad JSON", "bad JSON"]


def test_rows_and_reasons_have_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(LINES), encoding="utf-8")
    rows = [(1, {"a": 1}), *zip((3, 4, 5, 6), REASONS, strict=True), (7, {"b": 2})]
    assert list(json_rows(path)) == rows
    assert list(json_rows(path, keep_blank=True)) == [rows[0], (2, "blank line"), *rows[1:]]
    place, numbered = numbered_rows(path)
    assert (place, list(numbered)) == (str(path), rows)


def test_rows_of_python_are_numbered_too() -> None:
    place, numbered = numbered_rows([{"a": 1}, {"b": 2}])
    assert (place, list(numbered)) == ("rows", [(1, {"a": 1}), (2, {"b": 2})])


def test_a_missing_file_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.jsonl"):
        numbered_rows(tmp_path / "gone.jsonl")
