"""What is let through is worth what it would have cost in the same language, and has a floor."""

from typing import Any

import numpy as np
import pytest
import torch

from lingraft.lab import Member, TinyDecoder, World, make_world, matched_probes
from lingraft.lab.decoders import initial_weights
from lingraft.pipelines.lab_outcomes import (
    FLOORS,
    exposures_record,
    floor_record,
    recall_record,
    score_answers,
)
from lingraft.pipelines.lab_questions import Asked, choose_questions

MODEL = TinyDecoder(width=16, num_layers=2, num_heads=2)


def world_of(**changes: Any) -> World:
    knobs = {"subjects": 24, "relations": 2, "values": 8, "unseen_subjects": 6, "seed": 1}
    return make_world(**{**knobs, **changes})


def answers_with(probes: Asked, share: float) -> dict[int, Any]:
    """The right value has a share of all probability, the others the rest."""
    found = {}
    for lang, asked in probes.items():
        num, values = len(asked.fact_P), asked.candidates_PVC.shape[1]
        logs_PV = np.full((num, values), np.log((1 - share) / (values - 1)))
        logs_PV[np.arange(num), asked.answer_P] = np.log(share)
        found[lang] = logs_PV
    return found


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"languages": 4},
        {"exposure_shares": (0.8, 0.2)},
        {"style": "biographies"},
        {"parallel_share": 0.5},
    ],
)
def test_bits_of_one_language_are_worth_exposures_in_one_language(changes: dict[str, Any]) -> None:
    world = world_of(**changes)
    asked = choose_questions(world, num_facts=10, seed=0).asked
    found = score_answers(asked, answers_with(asked, 0.5), world=world, seed=0)
    bits = np.log2(8 * 0.5)
    points = [
        {"step": step, "same_bits_per_fact": value}
        for step, value in ((0, 0.0), (50, bits), (100, 3.0))
    ]
    worth = exposures_record(found, points, asked=asked, world=world, batch_size=16)
    # Counted in samples: how often each of the asked facts is told at home.
    samples = world.sample(20_000, np.random.default_rng(0))
    subject_P, relation_P, home_P = asked[0].subject_P, asked[0].relation_P, asked[0].home_P
    told = np.zeros(len(subject_P))
    for place, (subject, relation, home) in enumerate(
        zip(subject_P, relation_P, home_P, strict=True)
    ):
        is_home_B = samples.lang_B == home
        if world.settings.style == "biographies":
            told[place] = (is_home_B & (samples.fact_B // 2 == subject)).sum()
        else:
            told[place] = (is_home_B & (samples.fact_B == 2 * subject + relation)).sum()
    assert worth["num_exposures"] == pytest.approx(50 * 16 * told.mean() / 20_000, rel=0.05)
    assert worth["censored"] is None
    assert worth["interval"] == pytest.approx((worth["num_exposures"],) * 2, rel=1e-6)


def test_the_floor_is_what_is_right_of_unseen_subjects() -> None:
    world = world_of()
    drawn = initial_weights(
        MODEL,
        num_tokens=world.num_tokens,
        max_tokens=world.max_tokens,
        seed=0,
        dtype=torch.float32,
    )
    member = Member(MODEL, {name: 5 * w for name, w in drawn.items()})
    unseen = matched_probes(world, np.arange(48, 60))
    found = floor_record(member, unseen, world=world, seed=0)
    assert found["num_facts"] == 12
    hits: dict[str, list[bool]] = {"same_accuracy": [], "cross_accuracy": []}
    for lang, probes in unseen.items():
        hit_P = member.log_probs(probes).argmax(1) == probes.answer_P
        hits["same_accuracy"] += hit_P[probes.home_P == lang].tolist()
        hits["cross_accuracy"] += hit_P[probes.home_P != lang].tolist()
    for name, values in hits.items():
        assert found[name]["value"] == pytest.approx(np.mean(values))
        assert found[name]["interval"][0] <= np.mean(values) <= found[name]["interval"][1]
    assert 0 < found["cross_mrr"]["value"] < 1


def test_a_world_without_unseen_subjects_has_no_floor() -> None:
    world = world_of(unseen_subjects=0)
    member = Member(MODEL, {})
    found = floor_record(member, {}, world=world, seed=0)
    assert found["num_facts"] == 0
    assert {found[name]["reason"] for name in FLOORS} == {"the world has no unseen subjects"}


def test_recall_is_recorded_with_its_chances() -> None:
    world = world_of()
    asked = matched_probes(world, np.arange(10))
    found = recall_record(score_answers(asked, answers_with(asked, 0.5), world=world, seed=0))
    assert found["chance_accuracy"] == 0.125
    assert found["cross_accuracy"]["value"] == 1.0
    assert found["transferred_bits"]["statistics"]["clipped_bits"] == pytest.approx(20.0)
