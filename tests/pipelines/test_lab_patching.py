"""Patched states answer as those that they came from, and strangers are strangers."""

import numpy as np
import pytest
import torch

from lingraft.lab import Member, TinyDecoder, World, make_world, matched_probes
from lingraft.lab.decoders import initial_weights
from lingraft.pipelines.lab_patching import NO_STRANGER, patch_states, strangers

MODEL = TinyDecoder(width=16, num_layers=2, num_heads=2)
WORLD = make_world(subjects=12, relations=3, values=4, unseen_subjects=2, seed=1)


def random_member(world: World) -> Member:
    drawn = initial_weights(
        MODEL,
        num_tokens=world.num_tokens,
        max_tokens=world.max_tokens,
        seed=0,
        dtype=torch.float32,
    )
    return Member(MODEL, {name: 5 * w for name, w in drawn.items()})


def test_strangers_are_of_another_subject_and_of_the_same_relation() -> None:
    probes = matched_probes(WORLD, np.arange(36))[0]
    found_P = strangers(probes, seed=3)
    assert np.all(probes.subject_P[found_P] != probes.subject_P)
    assert np.array_equal(probes.relation_P[found_P], probes.relation_P)
    assert len(set(found_P.tolist())) > 12
    assert not np.array_equal(strangers(probes, seed=4), found_P)


def test_where_a_relation_has_no_other_subject_any_fact_of_another_will_do() -> None:
    probes = matched_probes(WORLD, [0, 1, 3, 8])[0]  # relation 2 of subject 2 alone
    found_P = strangers(probes, seed=0)
    assert found_P[0] == 2
    assert probes.subject_P[found_P[3]] != 2


def test_a_patched_last_layer_answers_as_the_other_language_does() -> None:
    member, probes = random_member(WORLD), matched_probes(WORLD, np.arange(36))
    asked, other = probes[1], probes[0]
    found = patch_states(member, asked, member.states(other), seed=3)
    # Values have the same tokens in both languages here.
    assert np.array_equal(asked.candidates_PVC, other.candidates_PVC)
    rows, order_P = np.arange(36), strangers(asked, seed=3)
    plain_P = member.log_probs(asked)[rows, asked.answer_P]
    logs_PV = member.log_probs(other)
    assert len(found["patching"]) == MODEL.num_layers + 1
    last = found["patching"][-1]
    for name, from_P in (("same_fact_nats", rows), ("stranger_nats", order_P)):
        gain_P = logs_PV[from_P, asked.answer_P] - plain_P
        assert last[name]["value"] == pytest.approx(gain_P.mean(), abs=1e-5)
        low, high = last[name]["interval"]
        error = gain_P.std() / 6
        assert low == pytest.approx(gain_P.mean() - 1.96 * error, abs=0.5 * error)
        assert high == pytest.approx(gain_P.mean() + 1.96 * error, abs=0.5 * error)
    assert found["strangers"] == {"num_facts": 36, "num_same_relation": 36}


def test_facts_of_one_subject_have_no_stranger() -> None:
    member, probes = random_member(WORLD), matched_probes(WORLD, [0, 1, 2])
    assert strangers(probes[1], seed=0).tolist() == [NO_STRANGER] * 3
    found = patch_states(member, probes[1], member.states(probes[0]), seed=3)
    assert found["patching"][1]["stranger_nats"] == {
        "value": None, "interval": None, "reason": "all facts are of one subject"
    }  # fmt: skip
    assert found["patching"][1]["same_fact_nats"]["value"] is not None
    assert found["strangers"] == {"num_facts": 0, "num_same_relation": 0}
