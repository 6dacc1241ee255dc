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
from lingraft.pipelines.lab_runs import (
    CELLS,
    CENTRINGS,
    Cell,
    LabSettings,
    _Observer,
    train_cells,
)
from lingraft.pipelines.told_values import tokens_per_value
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
        seed=seed,
        dtype=torch.float32,
    )
    return Member(MODEL, {name: 5 * w for name, w in drawn.items()})


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


def test_accuracies_and_unification_are_counted_by_hand() -> None:
    world = small_world()
    observer = _Observer(world, Cell(world.settings, 3), SETTINGS)
    member = random_member(world)
    observer.look(30, member)
    (point,) = observer._points
    same, cross, bits = [], [], []
    for lang, probes in observer._questions.asked.items():
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
    states = [member.states(observer._questions.compared[lang]) for lang in (0, 1)]
    for centring in ("together", "by language"):
        wanted = unification(*states, centring=centring, seed=0, num_resamples=1)
        found = [layer["unification"] for layer in point["layers"][centring]]
        assert found == pytest.approx([layer.unification.value for layer in wanted.layers])


def test_the_end_has_intervals_of_both_centrings_and_places() -> None:
    world = small_world()
    observer = _Observer(world, Cell(world.settings, 3), SETTINGS)
    member = random_member(world)
    observer.look(60, member)
    record = observer.record(np.ones(60))
    for name, at_subject in (("unification", False), ("subject_unification", True)):
        compared = observer._questions.compared
        states = [member.states(compared[lang], subject=at_subject) for lang in (0, 1)]
        for centring in CENTRINGS:
            wanted = unification(*states, centring=centring, seed=0, num_resamples=1)
            for layer, found in zip(wanted.layers, record[name][centring], strict=True):
                value, interval = found["unification"]["value"], found["unification"]["interval"]
                assert value == pytest.approx(layer.unification.value)
                assert interval is None or interval[0] <= value <= interval[1]
        assert record[name]["by language"][2]["unification"]["interval"] is not None
    at_end = [layer["value"] for layer in record["language_probe"]]
    assert at_end == record["curve"][-1]["language_probe"]
    probed = record["subject_language_probe"][2]
    assert probed["value"] is not None
    # The subject's word is the same in both languages: its embedding tells none.
    assert record["subject_language_probe"][0]["value"] == 0.5


def test_losses_are_of_values_whatever_their_tokens() -> None:
    for tokens in ("symbols", "bytes"):
        world = small_world(tokens=tokens)
        observer = _Observer(world, Cell(world.settings, 3), SETTINGS)
        observer.look(30, random_member(world))
        record = observer.record(np.full(60, 2.0))
        num = tokens_per_value(world)
        assert num == pytest.approx(1) if tokens == "symbols" else num > 3
        assert record["curve"][0]["loss_nats"] == pytest.approx(2.0 * num)
        assert record["statistics_nats"] < np.log(4)


def test_states_of_four_languages_are_those_of_the_first_two() -> None:
    world = small_world(languages=4)
    observer = _Observer(world, Cell(world.settings, 3), SETTINGS)
    observer.look(60, random_member(world))
    record = observer.record(np.ones(60))
    assert record["compared_languages"] == [0, 1]
    assert record["recall"]["cross_accuracy"]["denominator"] == 3 * record["num_asked"]
    assert len(observer._questions.compared) == 2


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
        assert len(member["patching"]) == 3
        assert member["floor"]["num_facts"] == 4
        assert member["strangers"] == {"num_facts": 15, "num_same_relation": 15}
        assert member["num_asked"] == member["num_compared"] == 15
        assert member["num_monolingual"] == 32
        assert member["recall"]["chance_accuracy"] == 0.25
        assert len(member["curve"][0]["language_probe"]) == 3
    assert free["curve"][-1]["same_accuracy"] > 0.5


def test_one_checkpoint_is_no_curve_of_exposures() -> None:
    world = build_world(small_world().settings)
    settings = LabSettings(MODEL, steps=60, checkpoints=(60,), num_facts=15, num_resamples=20)
    observer = _Observer(world, Cell(world.settings, 3), settings)
    observer.look(60, random_member(world))
    record = observer.record(np.ones(60))
    assert record["effective_exposures"] == {
        "num_exposures": None, "reason": "one checkpoint is no curve"
    }  # fmt: skip


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


@pytest.mark.parametrize("steps", [0, -5])
def test_training_takes_steps(steps: int) -> None:
    with pytest.raises(InputError) as error:
        LabSettings(MODEL, steps=steps, checkpoints=(steps,))
    assert (error.value.where, error.value.got) == ("steps", str(steps))
