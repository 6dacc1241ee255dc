"""What is seen of members in training is what they do."""

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from lingraft.errors import InputError
from lingraft.files import read_json
from lingraft.lab import Member, TinyDecoder, World, build_world, make_world, train_ensemble
from lingraft.lab.decoders import initial_weights
from lingraft.measurement.unification import unification
from lingraft.pipelines.lab_runs import CELLS, Cell, LabSettings, _Observer, train_cells
from lingraft.runtime import Runtime
from lingraft.study.progress import NullProgress

MODEL = TinyDecoder(width=16, num_layers=2, num_heads=2)
SETTINGS = LabSettings(
    MODEL,
    steps=60,
    checkpoints=(0, 30, 60),
    batch_size=16,
    warmup_steps=10,
    learning_rate=5e-3,
    num_facts=15,
    num_resamples=20,
)
ONE = Runtime(num_threads=1, device="cpu", precision="float32")


@cache
def small_world(**changes: Any) -> World:
    knobs = {"subjects": 20, "relations": 2, "values": 4, "unseen_subjects": 2, "seed": 1}
    return make_world(**{"parallel_share": 0.2, **knobs, **changes})


def random_member(world: World, seed: int = 0) -> Member:
    drawn = initial_weights(
        MODEL,
        num_tokens=world.num_tokens,
        max_tokens=world.max_tokens,
        seeds=[seed],
        dtype=torch.float32,
    )
    return Member(MODEL, {name: 5 * w[0] for name, w in drawn.items()})


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Records of two members."""
    out = tmp_path_factory.mktemp("cells")
    cells = [
        Cell(small_world().settings, 5, {"informativeness": 1.0}, is_pictured=True),
        Cell(small_world(informativeness=0.0).settings, 6, {"informativeness": 0.0}),
    ]
    told = train_cells(
        cells=cells, settings=SETTINGS, out=out, runtime=ONE, progress=NullProgress()
    )
    record = read_json(out / CELLS)
    num_tokens = small_world().num_tokens
    wanted = MODEL.num_parameters(num_tokens=num_tokens, max_tokens=small_world().max_tokens)
    assert told == {"num_cells": 2, "num_parameters": wanted}
    assert record["model"] == {"width": 16, "num_layers": 2, "num_heads": 2, "feed_forward": 4}
    found: list[dict[str, Any]] = record["members"]
    return found


def test_curves_are_those_of_the_same_training_alone(members: list[dict[str, Any]]) -> None:
    for record, world, seed in zip(
        members, (small_world(), small_world(informativeness=0.0)), (5, 6), strict=True
    ):
        observer = _Observer(world, Cell(world.settings, seed), SETTINGS)
        run = train_ensemble(
            [world],
            model=MODEL,
            steps=60,
            seeds=[seed],
            checkpoints=SETTINGS.checkpoints,
            observe=lambda _, step, member, seen=observer: seen.look(step, member),
            batch_size=16,
            learning_rates=5e-3,
            warmup_steps=10,
            runtime=ONE,
        )
        assert [point["step"] for point in record["curve"]] == [0, 30, 60]
        assert record["curve"][1]["loss_nats"] == pytest.approx(run.nats_MS[0, 20:30].mean())
        alone = observer.record(run.nats_MS[0])
        assert record["curve"][2]["same_accuracy"] == alone["curve"][2]["same_accuracy"]
        assert record["world"] == alone["world"]
        assert record["recall"]["bits_per_fact"]["value"] == pytest.approx(
            alone["recall"]["bits_per_fact"]["value"], abs=1e-3
        )


def test_states_and_recall_are_of_different_facts() -> None:
    world = small_world()
    observer = _Observer(world, Cell(world.settings, 3), SETTINGS)
    compared = set(observer._compared[0].fact_P.tolist())
    asked = set(observer._asked[0].fact_P.tolist())
    parallel = set(observer._parallel[0].fact_P.tolist())
    assert len(compared) == len(asked) == 15
    assert not compared & asked
    assert not (compared | asked) & parallel
    mono = set(np.flatnonzero(~world.is_parallel_SR.ravel()).tolist())
    assert compared | asked <= mono
    other = _Observer(world, Cell(world.settings, 4), SETTINGS)
    assert set(other._asked[0].fact_P.tolist()) != asked


def test_accuracies_and_unification_are_counted_by_hand() -> None:
    world = small_world()
    observer = _Observer(world, Cell(world.settings, 3), SETTINGS)
    member = random_member(world)
    observer.look(30, member)
    (point,) = observer._points
    same, cross, bits = [], [], []
    for lang, probes in observer._asked.items():
        logs_PV = member.log_probs(probes)
        for row in range(len(logs_PV)):
            hit = logs_PV[row].argmax() == probes.answer_P[row]
            if probes.home_P[row] == lang:
                same.append(hit)
                bits.append(np.log2(4) + logs_PV[row, probes.answer_P[row]] / np.log(2))
            else:
                cross.append(hit)
    assert len(same) == len(cross) == 15
    assert point["same_accuracy"] == pytest.approx(np.mean(same))
    assert point["cross_accuracy"] == pytest.approx(np.mean(cross))
    assert point["same_bits_per_fact"] == pytest.approx(np.mean(bits))
    states = [member.states(observer._compared[lang]) for lang in (0, 1)]
    for centring in ("together", "by language"):
        wanted = unification(*states, centring=centring, seed=0, num_resamples=1)
        found = [layer["unification"] for layer in point["layers"][centring]]
        assert found == pytest.approx([layer.unification.value for layer in wanted.layers])


def test_a_patched_last_layer_answers_as_the_other_language_does() -> None:
    world = small_world()
    observer = _Observer(world, Cell(world.settings, 3), SETTINGS)
    member = random_member(world)
    states = {lang: member.states(observer._compared[lang]) for lang in (0, 1)}
    patched = observer._patched(member, states)
    asked, other = observer._compared[1], observer._compared[0]
    # Values have the same tokens in both languages here.
    assert np.array_equal(asked.candidates_PVC, other.candidates_PVC)
    rows = np.arange(len(asked.fact_P))
    plain_P = member.log_probs(asked)[rows, asked.answer_P]
    logs_PV = member.log_probs(other)
    own_P = logs_PV[rows, asked.answer_P]
    assert patched[-1]["same_fact_nats"] == pytest.approx((own_P - plain_P).mean(), abs=1e-5)
    assert patched[-1]["stranger_nats"] != pytest.approx(patched[-1]["same_fact_nats"], abs=1e-4)
    assert len(patched) == MODEL.num_layers + 1


def test_records_hold_what_the_report_needs(members: list[dict[str, Any]]) -> None:
    tied, free = members
    assert tied["information"]["value_bits"] == pytest.approx(1.0)
    assert free["information"]["value_bits"] == pytest.approx(0.0)
    assert [picture["step"] for picture in tied["pictures"]] == [0, 30, 60]
    assert free["pictures"] == []
    layer = tied["pictures"][2]["layers"][2]
    assert np.shape(layer["checkerboard"]) == (24, 24)
    assert np.shape(layer["components"]["a"]) == (12, 2)
    for member in members:
        assert len(member["unification"]) == len(member["subject_unification"]) == 3
        assert len(member["patching"]) == 3
        assert member["recall"]["chance_accuracy"] == 0.25
        assert len(member["curve"][0]["language_probe"]) == 3
    assert free["curve"][-1]["same_accuracy"] > 0.5


def test_one_checkpoint_is_no_curve_of_exposures() -> None:
    world = build_world(small_world().settings)
    settings = LabSettings(MODEL, steps=60, checkpoints=(60,), num_facts=15, num_resamples=20)
    observer = _Observer(world, Cell(world.settings, 3), settings)
    observer.look(60, random_member(world))
    record = observer.record(np.ones(60))
    assert record["effective_exposures"] == {"value": None, "reason": "one checkpoint is no curve"}


def test_worlds_without_monolingual_facts_are_refused() -> None:
    world = small_world(parallel_share=1.0)
    with pytest.raises(InputError) as error:
        _Observer(world, Cell(world.settings, 3), SETTINGS)
    assert (error.value.where, error.value.got) == ("parallel_share", "0")


@pytest.mark.parametrize("checkpoints", [(), (10, 50), (10, 70)])
def test_checkpoints_end_with_the_training(checkpoints: tuple[int, ...]) -> None:
    with pytest.raises(InputError) as error:
        LabSettings(MODEL, steps=60, checkpoints=checkpoints)
    assert error.value.where == "checkpoints"
