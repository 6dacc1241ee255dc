"""The report of a comparison on a task: what it says, what it escapes, what it refuses."""

from pathlib import Path
from typing import Any

import pytest

from lingraft.errors import InputError
from lingraft.report.downstream import answers, write_downstream_report

RUN = {
    "value": 0.5,
    "learning_rate": 0.001,
    "best_epoch": 2,
    "num_epochs": 3,
    "num_steps": 1234,
    "num_cut": 7,
    "num_left_out": 0,
}


def change(value: float | None, *interval: float) -> dict[str, Any]:
    return {"value": value, "interval": list(interval) or None}


def arm(name: str, floor: dict[str, Any], random: dict[str, Any] | None) -> dict[str, Any]:
    scores = {"exact_match": change(0.5, 0.4, 0.6), "other_score": change(None)}
    return {
        "name": name,
        "scores": scores,
        "against_floor": floor,
        "against_random": random,
        "runs": [RUN, RUN | {"value": 0.625}],
    }


@pytest.fixture
def record() -> dict[str, Any]:
    return {
        "format": "lingraft-downstream-1",
        "question": "What is pretraining worth on <b>nli</b> in Basque?",
        "model": "a byte model of 1m",
        "scale": "tiny",
        "seed": 0,
        "score": "exact_match",
        "task": {"kind": "entailment", "num_train": 81, "num_valid": 9, "num_test": 30},
        "num_seeds": 2,
        "floor": {"exact_match": change(0.475, 0.4, 0.55), "other_score": change(None)},
        "arms": [
            arm("random weights", change(0.02, -0.01, 0.05), None),
            arm("8 kB of <i>", change(0.1, 0.05, 0.15), change(-0.3, -0.4, -0.2)),
            arm("undefined", change(None), change(0.1)),
        ],
        "environment": {"lingraft": "1"},
    }


def test_every_verdict_has_its_words(record: dict[str, Any]) -> None:
    assert answers(record) == [
        "Who only counts answers reaches 0.475 exact match.",
        "random weights: no proof beside the majority floor (+0.020, -0.010–0.050).",
        "8 kB of <i>: better than the majority floor (+0.100, 0.050–0.150); "
        "worse than random weights (-0.300, -0.400–-0.200).",
        "undefined: not compared with the majority floor; not compared with random weights.",
    ]


def test_the_page_shows_every_arm_and_loads_nothing(record: dict[str, Any], tmp_path: Path) -> None:
    paths = tmp_path / "a.html", tmp_path / "b.html"
    for path in paths:
        write_downstream_report(record, path)
    page = paths[0].read_text("utf-8")
    assert page == paths[1].read_text("utf-8")
    assert "&lt;b&gt;nli" in page
    assert "<i>" not in page
    assert page.count('<th scope="row">') == 3 + 1 + 3 * 2
    assert "0.500 0.625" in page
    assert "1,234" in page
    assert "<script" not in page
    assert "default-src &#39;none&#39;" in page


def test_other_records_are_refused(record: dict[str, Any], tmp_path: Path) -> None:
    del record["floor"]
    for broken, got in (
        (record, "'lingraft-downstream-1', without floor"),
        ({**record, "floor": {}, "format": "x"}, "'x', without nothing"),
    ):
        with pytest.raises(InputError) as caught:
            write_downstream_report(broken, tmp_path / "a.html")
        assert caught.value.got == got
    assert not (tmp_path / "a.html").exists()
