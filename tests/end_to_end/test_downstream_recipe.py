"""The comparison on a task: bundled text is enough for a report, a user's files for a plan."""

import json
from pathlib import Path
from typing import Any

import pytest

from lingraft import study
from lingraft.errors import InputError
from lingraft.runtime import Runtime

RECIPE = Path(__file__).parents[2] / "recipes" / "downstream.py"
FEW = {"num_train": 24, "num_epochs": 1, "source_bytes": 4_000, "target_bytes": 2_000}


def functions(plan: study.Plan) -> set[str]:
    return {job.function.partition(":")[2] for job in plan.order}


def test_bundled_text_is_enough_for_a_report(tmp_path: Path) -> None:
    plan = study.plan_recipe(RECIPE, "tiny", FEW)
    done = study.run(plan, store=study.Store(tmp_path / "store"), runtime=Runtime(1))["report"]
    record: dict[str, Any] = json.loads((done.path / "record.json").read_text("utf-8"))
    assert [arm["name"] for arm in record["arms"]] == [
        "random weights",
        "4 kB of English",
        "4 kB of English, then 2 kB of Basque",
    ]
    task = record["task"]
    assert task["num_train"] + task["num_valid"] + task["num_test"] == 24
    assert record["floor"]["exact_match"]["value"] is not None
    for arm in record["arms"]:
        assert len(arm["runs"]) == 2
        values = [run["value"] for run in arm["runs"]]
        assert arm["scores"]["exact_match"]["value"] == pytest.approx(sum(values) / 2)
        change = arm["against_floor"]["value"]
        assert change == pytest.approx(sum(values) / 2 - record["floor"]["exact_match"]["value"])
    assert record["arms"][0]["against_random"] is None
    page = (done.path / "report.html").read_text("utf-8")
    assert "What is pretraining worth on continuation in Basque?" in page
    assert "<script" not in page


def test_a_users_files_take_the_place_of_the_made_task(tmp_path: Path) -> None:
    path = tmp_path / "nli.jsonl"
    path.write_text('{"premise": "a", "hypothesis": "b", "label": 1}\n', encoding="utf-8")
    given = {"lang": "br", "train": str(path), "columns": {"task": "nli"}, "sources": "en,el"}
    plan = study.plan_recipe(RECIPE, "tiny", given)
    assert "prepare_task" in functions(plan)
    # There is no bundled Breton: without a text of the user's, no arm is trained on it.
    assert "continue_on_text" not in functions(plan)
    with_text = study.plan_recipe(RECIPE, "tiny", given | {"text": str(path)})
    assert {"split_text", "continue_on_text"} <= functions(with_text)
    report = with_text.targets["report"]
    assert len(report.arguments["arms"]) == 1 + 2 * 2
    rates = study.plan_recipe(RECIPE, "tiny", given | {"learning_rates": "1e-4,3e-4"})
    assert rates.targets["report"].arguments["settings"].learning_rates == (1e-4, 3e-4)


def test_the_paper_scale_takes_a_hubs_task_and_text() -> None:
    plan = study.plan_recipe(RECIPE, "paper")
    assert {"fetch_task", "hub_text", "continue_on_text"} <= functions(plan)
    [task] = [job for job in plan.order if job.function.endswith(":fetch_task")]
    assert task.arguments["dataset"] == "nilc-nlp/assin2"
    assert task.arguments["splits"] == {"train": "train", "valid": "validation", "test": "test"}
    other = study.plan_recipe(
        RECIPE, "laptop",
        {"hub": "a/b", "hub_valid": None, "lang": "nl", "columns": {"task": "t"}},
    )  # fmt: skip
    [task] = [job for job in other.order if job.function.endswith(":fetch_task")]
    assert task.arguments["splits"] == {"train": "train", "test": "test"}


@pytest.mark.parametrize(
    ("settings", "expected", "got"),
    [
        ({"test": "a.jsonl"}, "a file to learn from", "test"),
        ({"lang": "br"}, "one of en, ", "bre_Latn"),
        ({"sources": "br"}, "one of en, ", "bre_Latn"),
        ({"hub": "a/b"}, "task, premise, hypothesis, label, labels of entailment", "no task"),
    ],
)
def test_what_cannot_be_planned_is_refused(
    settings: dict[str, Any], expected: str, got: str
) -> None:
    with pytest.raises(InputError) as caught:
        study.plan_recipe(RECIPE, "tiny", settings)
    assert caught.value.expected.startswith(expected)
    assert caught.value.got == got


@pytest.mark.parametrize("name", sorted({*FEW, "num_seeds"}))
def test_nothing_of_something_is_no_default(name: str) -> None:
    with pytest.raises(InputError) as caught:
        study.plan_recipe(RECIPE, "tiny", {name: 0})
    assert (caught.value.where, caught.value.got) == (name, "0")
