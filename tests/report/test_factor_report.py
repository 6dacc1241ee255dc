"""The report of a study of factors: what it says, what it escapes, what it refuses."""

import copy
from pathlib import Path
from typing import Any

import pytest

from lingraft.errors import InputError
from lingraft.report import write_factor_report
from lingraft.report.factors import answer


def score(value: float | None) -> dict[str, Any]:
    return {"value": value, "interval": None, "reason": "" if value else "no documents"}


def level(label: str, before: float, verdict: str, **more: Any) -> dict[str, Any]:
    return {
        "label": label,
        "num_pairs": 1234,
        "num_entries": 0,
        "cleaning": {"num_removed": None, "num_removed_spoilt": None, "num_spoilt": 0},
        "disagreement": {"value": 0.125},
        "gold": None,
        "row_coverage": 0.5,
        "text_coverage": 0.75,
        "cosine": None,
        "cosine_of_others": None,
        "before": score(before),
        "calibrated": None,
        "after": None,
        "change": {"value": -0.25, "interval": [-0.3, -0.2]},
        "against_pieces": {"value": None, "interval": None},
        "verdict": verdict,
    } | more


@pytest.fixture
def record() -> dict[str, Any]:
    return {
        "format": "lingraft-factors-1",
        "question": "How do the rows of <b>m</b> depend on parallel data?",
        "model": "m",
        "source_lang": "English",
        "trained_bytes": 20_000,
        "num_test": 40,
        "seed": 0,
        "factors": [
            {
                "name": "size",
                "question": "How many pairs?",
                "levels": [level("few <i>", 2.5, "open"), level("all", 2.0, "better")],
            }
        ],
        "floors": [
            {
                "language": "Dutch",
                "model": "given model",
                "a_bytes": 20_000,
                "b_bytes": 3_000_000,
                "rows": {"unigram (b)": score(2.034)},
            }
        ],
        "environment": {"python": "3.11"},
    }


def test_every_figure_is_there_and_text_is_no_markup(
    record: dict[str, Any], tmp_path: Path
) -> None:
    write_factor_report(record, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text("utf-8")
    for text in (
        "1,234",
        "0.125",
        "50.0&nbsp;%",
        "75.0&nbsp;%",
        "2.500",
        "-0.250",
        "-0.300–-0.200",
    ):
        assert text in page
    assert "few &lt;i&gt;" in page
    assert "&lt;b&gt;m&lt;/b&gt;" in page
    assert "<i>" not in page
    assert "no proof that it beats rows without pairs" in page
    assert "2.034" in page
    assert "AER, gold" not in page
    again = tmp_path / "again.html"
    write_factor_report(copy.deepcopy(record), again)
    assert again.read_bytes() == (tmp_path / "report.html").read_bytes()


def test_a_gold_set_adds_its_column(record: dict[str, Any], tmp_path: Path) -> None:
    record["factors"][0]["levels"][1]["gold"] = {"value": 0.333}
    write_factor_report(record, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "AER, gold" in page
    assert "0.333" in page


def test_answers_name_the_ends_and_what_fails(record: dict[str, Any]) -> None:
    factor = record["factors"][0]
    assert answer(factor) == (
        "Right after the swap: from 2.000 (all) to 2.500 (few <i>). No proof right after the swap"
        " that these beat rows without pairs: few <i>."
    )
    factor["levels"][0] |= {"verdict": "better", "after": score(1.5)}
    factor["levels"][1] |= {"after": score(1.75)}
    assert answer(factor) == (
        "After training: from 1.500 (few <i>) to 1.750 (all). All levels beat rows without pairs"
        " right after the swap."
    )
    for one in factor["levels"]:
        one |= {"before": score(None), "after": None}
    assert answer(factor) == "Nothing was measured."


def test_other_records_are_refused(record: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a whole record of format 'lingraft-factors-1'") as caught:
        write_factor_report(record | {"format": "lingraft-adaptation-1"}, tmp_path / "x.html")
    assert caught.value.got == "'lingraft-adaptation-1', without nothing"
    del record["floors"]
    with pytest.raises(InputError) as caught:
        write_factor_report(record, tmp_path / "x.html")
    assert caught.value.got == "'lingraft-factors-1', without floors"
    assert not (tmp_path / "x.html").exists()
