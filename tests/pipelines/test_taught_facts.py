"""Teaching invented facts: they are learnt, and the record says what the measures say."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lingraft.corpus import samples
from lingraft.corpus.fact_records import read_facts
from lingraft.pipelines.fact_measuring import FactSettings
from lingraft.pipelines.invented_facts import LANGUAGES, invent_facts
from lingraft.pipelines.taught_facts import (
    TeachingSettings,
    make_byte_model,
    question_row,
    teach_facts,
)
from lingraft.runtime import Runtime
from lingraft.study import NullProgress, load_recipe, plan_recipe

RECIPE = Path(__file__).parents[2] / "recipes" / "taught_facts.py"
SETTINGS = TeachingSettings(
    num_subjects=3,
    parallel_share=0.34,
    untaught_share=0.34,
    num_exposures=60,
    ordinary_bytes=500,
    batch_bytes=200,
    window_tokens=64,
    learning_rate=1e-2,
    facts=FactSettings(num_patched_facts=2, num_patched_layers=2, num_resamples=20),
)


@pytest.fixture(scope="module")
def taught(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A tiny model that was taught English facts, often enough to know them."""
    out = tmp_path_factory.mktemp("taught")
    summary = teach_facts(
        model=tiny_model,
        text=[samples.path("libreoffice-help.valid.jsonl.xz")],
        taught_lang="en",
        asked_lang="nl",
        settings=SETTINGS,
        seed=0,
        out=out,
        runtime=Runtime(1, "cpu", "float32"),
        progress=NullProgress(),
    )
    return out, summary


def test_what_is_taught_is_learnt_and_the_rest_is_not(taught):
    _, summary = taught
    before, after = summary["before"], summary["after"]
    assert before["recall_taught_taught_lang"]["value"] <= 0.6
    assert after["recall_taught_taught_lang"]["value"] == 1.0
    assert after["recall_parallel_asked_lang"]["value"] == 1.0
    assert after["recall_untaught_taught_lang"]["value"] <= 0.75
    assert after["transfer"]["value"] == after["recall_taught_asked_lang"]["value"]
    assert summary["last_nats_per_token"] < summary["first_nats_per_token"]


def test_the_record_holds_every_score_before_and_after(taught):
    out, summary = taught
    record = json.loads((out / "record.json").read_text("utf-8"))
    assert record["summary"] == json.loads(json.dumps(summary))
    names = {(r["when"], r["group"], r["name"]) for r in record["scores"]}
    every = {"recall", "transfer", "unification", "patching", "logit_lens", "unification_transfer"}
    for when in ("before", "after"):
        for group in ("taught", "parallel"):
            assert {name for w, g, name in names if (w, g) == (when, group)} == every
        assert (when, "untaught", "recall") in names
    directions = {
        r["source_lang"]
        for r in record["scores"]
        if r["name"] == "transfer" and r["group"] == "taught"
    }
    assert directions == {"en"}
    u = next(
        r
        for r in record["scores"]
        if (r["when"], r["group"], r["name"], r.get("at"))
        == ("after", "taught", "unification", "last")
    )
    assert summary["after"]["unification_taught"]["value"] == u["value"]


def test_questions_and_statements_are_files_to_go_on_with(taught):
    out, summary = taught
    data = read_facts(out / "questions.jsonl")
    assert (len(data), data.rejected) == (24, ())
    statements = (out / "statements.jsonl").read_text("utf-8").splitlines()
    # One subject in English, one in both languages.
    assert len(statements) == summary["num_statements"] == (1 + 2) * 4 * 60


@pytest.mark.parametrize("shared_names", [True, False])
def test_a_question_comes_back_from_its_row(shared_names):
    facts = invent_facts(
        taught_lang=LANGUAGES[2],
        asked_lang=LANGUAGES[1],
        num_subjects=6,
        parallel_share=0.5,
        untaught_share=0.0,
        num_exposures=1,
        shared_names=shared_names,
        seed=5,
    ).questions
    facts = replace(facts, facts=tuple(replace(f, frequency=2.0) for f in facts.facts))
    assert read_facts([question_row(fact) for fact in facts.facts]) == facts


def test_a_byte_model_is_made_in_a_folder(tmp_path):
    result = make_byte_model(size="1m", seed=0, out=tmp_path / "m")
    assert result["num_parameters"] > 1_000_000
    assert (tmp_path / "m" / "model.safetensors").exists()


def test_the_recipe_plans_both_directions():
    assert load_recipe(RECIPE).SCALES == ("tiny", "laptop", "paper")
    plan = plan_recipe(RECIPE, "tiny", {"to": "Greek", "num_subjects": 7, "parallel_share": 0.5})
    assert sorted(plan.targets) == ["taught-el", "taught-en"]
    settings = plan.targets["taught-el"].arguments["settings"]
    assert (settings.num_subjects, settings.parallel_share) == (7, 0.5)
    assert plan.targets["taught-el"].arguments["asked_lang"] == "en"
