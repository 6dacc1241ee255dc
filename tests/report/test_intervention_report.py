"""The report of interventions: what it says either way, what it escapes, what it refuses."""

from pathlib import Path
from typing import Any

import pytest

from lingraft.errors import InputError
from lingraft.report.interventions import answer, forces, write_intervention_report


def score(value: float | None, *interval: float, reason: str = "") -> dict[str, Any]:
    return {
        "value": value, "interval": list(interval) or None, "reason": reason, "by_seed": []
    }  # fmt: skip


def arm(name: str, base: str | None, bought: dict[str, Any] | None = None) -> dict[str, Any]:
    force = {"before": None if base is None else 1.0, "after": 0.25}
    same = {"before": None if base is None else 0.5, "after": 0.5}
    row = {
        "name": name,
        "change": "some <b>change</b>",
        "base": base,
        "forces": {"value_bits": force, "subject_bits": same, "extractability": same},
        **{
            key: score(0.125, 0.1, 0.15)
            for key in (
                "bits_per_fact",
                "clipped_bits_per_fact",
                "transfer_ratio",
                "same_accuracy",
                "unification",
            )
        },
    }
    if bought is not None:
        row |= {"bought_bits_per_fact": bought, "bought_unification": score(-0.0625)}
    return row


@pytest.fixture
def record() -> dict[str, Any]:
    orders = {
        key: score(None, reason="both languages are taught at once")
        for key in ("forward", "forward_parallel", "backward")
    }
    ends = {key: score(0.375) for key in ("same_0", "same_1", "from_0_to_1", "from_1_to_0")}
    group = {"kind": "same fact", "side": "home", "num_pairs": 1234, **score(0.002, 0.001, 0.003)}
    return {
        "format": "lingraft-interventions-1",
        "question": "What makes facts <i>cross</i>?",
        "seed": 7,
        "num_seeds": 2,
        "model": {"num_layers": 3, "num_parameters": 1000},
        "steps": 800,
        "most_bits_per_fact": 5.25,
        "layer": 2,
        "bases": [arm("base", None)],
        "arms": [arm("more", "base", score(1.5, 1.0, 2.0)), arm("less", "base", score(-0.5))],
        "orders": [
            {
                "order": "mixed",
                "axes": {"parallel_share": 0.5},
                "accuracy": ends | orders,
                "bits_per_fact": ends | orders,
            }
        ],
        "influence": {
            "members": [
                {"axes": {"informativeness": 1.0}, "seed": 3, "groups": [group]},
            ]
        },
        "environment": {"lingraft": "1"},
    }


@pytest.mark.parametrize(
    ("bought", "told"),
    [
        (score(1.5, 1.0, 2.0), "buys transfer (+1.500 bits per fact, +1.000 to +2.000)."),
        (score(-1.5, -2.0, -1.0), "costs transfer (-1.500 bits per fact, -2.000 to -1.000)."),
        (score(0.5, -1.0, 2.0), "no proof (+0.500 bits per fact, -1.000 to +2.000)."),
        (score(0.5), "+0.500 bits per fact, of one seed."),
        (score(None, reason="undefined"), "not compared, undefined."),
    ],
)  # fmt: skip
def test_every_outcome_has_its_words(bought: dict[str, Any], told: str) -> None:
    assert answer(arm("tags", "base", bought)) == f"tags, beside base: {told}"


def test_forces_show_what_changed_and_one_figure_where_nothing_did() -> None:
    row = arm("tags", "base", score(1.0))
    assert forces(row, "value_bits") == "1.000 → 0.250"
    assert forces(row, "subject_bits") == "0.500"
    assert forces(arm("base", None), "value_bits") == "0.250"
    row["forces"]["value_bits"]["after"] = None
    assert forces(row, "value_bits") == "–"
    row["forces"]["subject_bits"]["before"] = None
    assert forces(row, "subject_bits") == "–"


def test_the_page_holds_every_figure_and_escapes_names(
    record: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "report.html"
    write_intervention_report(record, path)
    page = path.read_text("utf-8")
    assert "What makes facts &lt;i&gt;cross&lt;/i&gt;?" in page
    assert "some &lt;b&gt;change&lt;/b&gt;" in page
    for text in ("+1.500", "+1.000 to +2.000", "-0.500", "1.000 → 0.250", "0.375", "+0.002",
                 "1,234", "parallel share 0.5", "both languages are taught at once",
                 "informativeness 1, seed 3"):  # fmt: skip
        assert text in page, text
    assert "<script" not in page
    assert "default-src &#39;none&#39;" in page
    assert page.index(">more<") < page.index(">less<")


@pytest.mark.parametrize(
    ("change", "got"),
    [
        ({"format": "lingraft-factors-1"}, "'lingraft-factors-1', without nothing"),
        ({"arms": None}, "'lingraft-interventions-1', without arms"),
    ],
)
def test_other_records_are_refused(
    record: dict[str, Any], change: dict[str, Any], got: str, tmp_path: Path
) -> None:
    given = {key: value for key, value in {**record, **change}.items() if value is not None}
    with pytest.raises(InputError) as error:
        write_intervention_report(given, tmp_path / "report.html")
    assert (error.value.where, error.value.got) == ("record", got)
    assert not (tmp_path / "report.html").exists()
