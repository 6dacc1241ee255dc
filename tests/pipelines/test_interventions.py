"""Interventions: arms that change one thing, figures paired by seed, a report of small worlds."""

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lingraft import study
from lingraft.errors import InputError
from lingraft.lab import WorldSettings, make_world
from lingraft.lab.contrast import ContrastSettings
from lingraft.pipelines.intervention_arms import Arm, Doses, intervention_arms
from lingraft.pipelines.intervention_record import arm_row, order_row, over_seeds
from lingraft.pipelines.interventions import InterventionSettings
from lingraft.pipelines.lab_runs import LabSettings
from lingraft.runtime import Runtime

RECIPE = Path(__file__).parents[2] / "recipes" / "interventions.py"
FEW = {
    "steps": 3, "informativeness": "0", "extractability": "0.5", "cue_flips": "", "tag_shares": "",
    "parallel_shares": "0.3", "contrast_weights": "1", "subjects": 16, "relations": 2,
}  # fmt: skip
CONTRAST = ContrastSettings(weight=0.5, temperature=0.1, num_pairs=4, layer=1)
DOSES = Doses(
    informativeness=(0.5, 0.0),
    extractability=(0.95, 0.5),
    parallel_shares=(0.02, 0.1),
    cue_flips=(0.2,),
    tag_shares=(1.0,),
    contrasts=(CONTRAST,),
    spellings=("bytes", "bpe"),
    spelled_informativeness=(1.0, 0.5),
)


def base(**changes: Any) -> WorldSettings:
    return make_world(
        **{"subjects": 20, "relations": 2, "values": 4, "seed": 1, **changes}
    ).settings


def changed(arm: Arm, other: Arm) -> set[str]:
    names = {
        field.name
        for field in fields(WorldSettings)
        if getattr(arm.world, field.name) != getattr(other.world, field.name)
    }
    return names | ({"contrast"} if arm.contrast != other.contrast else set())


def test_every_arm_differs_from_its_base_in_one_thing() -> None:
    arms = intervention_arms(base(), DOSES)
    by_name = {arm.name: arm for arm in arms}
    assert len(by_name) == len(arms) == 1 + 2 + 2 + 2 + 1 + 2 + 1 + 2 * (2 + 3)
    kinds = set()
    for arm in arms:
        if arm.base is not None:
            [kind] = changed(arm, by_name[arm.base])
            kinds.add(kind)
    assert kinds == {
        "informativeness", "template_cues", "parallel_share", "cue_flips", "tag_share", "contrast",
        "transliterated", "bpe_merges",
    }  # fmt: skip
    assert {arm.name for arm in arms if arm.base is None} == {
        "base", "spelled in bytes", "spelled in bytes, informativeness 0.5",
        "spelled in byte pairs", "spelled in byte pairs, informativeness 0.5",
    }  # fmt: skip
    assert by_name["contrastive loss, 0.5"].base == "parallel facts, 0.02"
    assert by_name["language tags, 1, on hidden cues, 0.5"].base == "hidden cues, 0.5"


@pytest.mark.parametrize(
    ("world", "change", "where", "got"),
    [
        (base(tokens="bytes"), {}, "tokens", "bytes"),
        (base(), {"parallel_shares": ()}, "parallel_shares", "none"),
        (base(), {"spellings": ("runes",)}, "spellings", "runes"),
        (base(), {"cue_flips": (0.1, 0.1)}, "doses", "code-mixed text, 0.1 twice"),
    ],
)
def test_doses_that_do_not_fit_are_refused(
    world: WorldSettings, change: dict[str, Any], where: str, got: str
) -> None:
    with pytest.raises(InputError) as error:
        intervention_arms(world, replace(DOSES, **change))
    assert (error.value.where, error.value.got) == (where, got)


@pytest.mark.parametrize(
    ("given", "where", "got"),
    [
        ({"cue_flips": "x"}, "cue_flips", "'x'"),
        ({"informativeness": "0.5,0.5"}, "informativeness", "0.5 twice"),
        ({"parallel_shares": "1"}, "parallel_share", "0"),
        ({"seeds": 0}, "seeds", "0"),
        ({"steps": -5}, "steps", "-5"),
    ],
)
def test_settings_that_cannot_be_are_refused_before_anything_runs(
    given: dict[str, Any], where: str, got: str
) -> None:
    with pytest.raises(InputError) as error:
        study.plan_recipe(RECIPE, "laptop", given)
    assert (error.value.where, error.value.got) == (where, got)


def test_one_dose_may_come_as_a_number() -> None:
    given = {"informativeness": 0, "cue_flips": 0.1, "spellings": ""}
    names = {one.name for one in study.plan_recipe(RECIPE, "laptop", given).order}
    assert {"arm-balanced-attributes-0", "arm-code-mixed-text-0.1"} <= names


@pytest.mark.parametrize("name", ["num_seeds", "num_spelled_facts", "num_probes", "num_traced"])
def test_settings_of_nothing_are_refused(name: str) -> None:
    counts = {"num_seeds": 2, "num_spelled_facts": 3, "num_probes": 4, "num_traced": 1, name: 0}
    lab = LabSettings(model=study.plan_recipe(RECIPE, "tiny", FEW).targets["report"].arguments[
        "settings"
    ].lab.model, steps=1, checkpoints=(1,))  # fmt: skip
    with pytest.raises(InputError) as error:
        InterventionSettings(lab=lab, **counts)
    assert error.value.where == "interventions"
    assert "0" in error.value.got.split(", ")


@given(st.lists(st.floats(-10, 10), min_size=2, max_size=6))
def test_intervals_over_seeds_are_those_of_students_t(values: list[float]) -> None:
    found = over_seeds(values)
    assert found["value"] == pytest.approx(np.mean(values))
    if np.ptp(values) > 1e-6:
        wanted = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
        assert found["interval"] == pytest.approx([wanted.low, wanted.high])


def test_what_seeds_cannot_tell_is_none_with_a_reason() -> None:
    assert over_seeds([2.5])["reason"] == "one seed has no interval"
    assert over_seeds([2.5])["value"] == 2.5
    missing = over_seeds([1.0, None, 2.0])
    assert missing["value"] is None
    assert missing["interval"] is None
    assert missing["reason"] == "undefined for 1 of 3 seeds"
    assert missing["by_seed"] == [1.0, None, 2.0]


def seen(bits: float, unification: float, *, value_bits: float | None) -> dict[str, Any]:
    scores = {
        name: {"value": bits}
        for name in ("bits_per_fact", "transfer_ratio", "same_accuracy", "cross_accuracy")
    }
    clipped = {"statistics": {"clipped_bits": 10 * bits, "num_facts": 4}}
    layers = [{"unification": 9.0}, {"unification": unification}]
    force = {"value_bits": value_bits, "subject_bits": 1.0, "extractability": 0.5}
    return {
        "recall": {**scores, "transferred_bits": clipped},
        "curve": [{"layers": {"by language": layers}}],
        "information": force,
        "world": {"values": 4, "seed": 3},
    }


def test_what_is_bought_is_paired_by_seed() -> None:
    members = {
        "base": [seen(1.0, 0.2, value_bits=1.0), seen(3.0, 0.4, value_bits=1.0)],
        "more": [seen(2.0, 0.1, value_bits=None), seen(5.0, 0.4, value_bits=0.5)],
    }
    row = arm_row({"name": "more", "change": "x", "base": "base"}, members, 1)
    assert row["bits_per_fact"]["by_seed"] == [2.0, 5.0]
    assert row["clipped_bits_per_fact"]["by_seed"] == [5.0, 12.5]
    assert row["bought_bits_per_fact"]["by_seed"] == [1.0, 2.0]
    assert row["bought_unification"]["by_seed"] == pytest.approx([-0.1, 0.0])
    assert row["forces"]["extractability"] == {"before": 0.5, "after": 0.5}
    assert row["forces"]["value_bits"] == {"before": 1.0, "after": None}
    assert row["world"] == {"values": 4}
    plain = arm_row({"name": "base", "change": "", "base": None}, members, 0)
    assert plain["unification"]["value"] == 9.0
    assert "bought_bits_per_fact" not in plain
    assert plain["forces"]["value_bits"] == {"before": None, "after": 1.0}


def test_forward_is_before_the_second_language_and_backward_after_it() -> None:
    def mark(value: float) -> dict[str, float]:
        return {"accuracy": value, "bits_per_fact": 10 * value}

    def stage(first: float) -> dict[str, Any]:
        return {
            "home_0": {"0": mark(first), "1": mark(first + 0.01)},
            "home_1": {"0": mark(first + 0.02), "1": mark(first + 0.04)},
            "parallel": {"0": mark(first + 0.08), "1": mark(2 * first)},
        }

    after = [stage(0.1), stage(0.5), stage(0.25)]
    order: dict[str, Any] = {
        "order": "B then A",
        "languages": [1, 0],
        "members": [
            {"axes": {"x": 1}, "after": after},
            {"axes": {"x": 2}, "after": [stage(0.9)] * 3},
        ],
    }
    row = order_row(order, {"x": 1})
    found = {key: figure["value"] for key, figure in row["accuracy"].items()}
    wanted = {
        "same_0": 0.25, "same_1": 0.29, "from_0_to_1": 0.26, "from_1_to_0": 0.27,
        "forward": 0.4, "forward_parallel": 0.4, "backward": -0.25,
    }  # fmt: skip
    assert found == pytest.approx(wanted)
    assert row["bits_per_fact"]["backward"]["value"] == pytest.approx(-2.5)
    swapped = order_row({**order, "languages": [0, 1]}, {"x": 1})["accuracy"]
    assert swapped["forward_parallel"]["value"] == pytest.approx(0.8)
    mixed = order_row({**order, "languages": [None, None]}, {"x": 2})["accuracy"]
    assert mixed["same_0"]["value"] == pytest.approx(0.9)
    assert mixed["backward"]["reason"] == "both languages are taught at once"


def test_small_worlds_make_a_whole_report(tmp_path: Path) -> None:
    plan = study.plan_recipe(RECIPE, "tiny", FEW)
    done = study.run(plan, store=study.Store(tmp_path / "store"), runtime=Runtime(1))["report"]
    record = json.loads((done.path / "record.json").read_text("utf-8"))
    bought = [arm["bought_bits_per_fact"]["value"] for arm in record["arms"]]
    assert len(bought) == 1 + 1 + 1 + 1 + 2
    assert bought == sorted(bought, reverse=True)
    arms = {arm["name"]: arm for arm in (*record["arms"], *record["bases"])}
    for arm in record["arms"]:
        pairs = zip(arm["bits_per_fact"]["by_seed"], arms[arm["base"]]["bits_per_fact"]["by_seed"],
                    strict=True)  # fmt: skip
        wanted = [ours - theirs for ours, theirs in pairs]
        assert arm["bought_bits_per_fact"]["by_seed"] == pytest.approx(wanted)
    assert arms["balanced attributes, 0"]["forces"]["value_bits"] == {
        "before": pytest.approx(1), "after": pytest.approx(0),
    }  # fmt: skip
    hidden = arms["hidden cues, 0.5"]["forces"]["extractability"]
    assert hidden == {"before": pytest.approx(1), "after": pytest.approx(0.5)}
    told = arms["parallel facts, 0.3"]["forces"]["subject_bits"]
    assert told["before"] == pytest.approx(1)
    assert told["after"] < 0.9
    assert {row["order"] for row in record["orders"]} == {"A then B", "B then A", "mixed"}
    assert len(record["orders"]) == 3 * 2
    assert [m["axes"]["informativeness"] for m in record["influence"]["members"]] == [1.0, 0.0]
    page = (done.path / "report.html").read_text("utf-8")
    assert all(name in page for name in arms)
    assert "<script" not in page


def test_the_same_seeds_stand_in_every_arm() -> None:
    plan = study.plan_recipe(RECIPE, "laptop", {"spellings": "", "seed": 2})
    runs = [job for job in plan.order if job.name.startswith("arm-")]
    assert "arm-language-tags-1-on-hidden-cues-0.5" in {job.name for job in runs}
    for run in runs:
        assert [cell.seed for cell in run.arguments["cells"]] == [2_000, 2_001, 2_002]
        assert all(cell.world.seed == cell.seed for cell in run.arguments["cells"])
    for_spelled = study.plan_recipe(RECIPE, "laptop").order
    facts = {
        job.arguments["cells"][0].world.tokens: job.arguments["settings"].num_facts
        for job in for_spelled
        if job.name.startswith("arm-")
    }
    assert facts == {"symbols": 200, "bpe": 40}
