"""Influence across languages: groups of examples, and who helps whom."""

import json
from pathlib import Path

import numpy as np
import pytest

from lingraft.errors import InputError
from lingraft.lab import TinyDecoder, World, make_world
from lingraft.lab.probes import Probes, build_probes, question_cues
from lingraft.pipelines.influence_runs import (
    INFLUENCE_FILE,
    KINDS,
    SIDES,
    example_groups,
    trace_influence,
)
from lingraft.pipelines.lab_runs import Cell, LabSettings
from lingraft.runtime import Runtime
from lingraft.study.progress import NullProgress

SMALL = {"subjects": 16, "relations": 2, "values": 4, "unseen_subjects": 0}
LAB = LabSettings(
    TinyDecoder(width=32, num_layers=2, num_heads=2),
    steps=60,
    checkpoints=(0, 30, 60),
    batch_size=16,
    learning_rate=3e-3,
    warmup_steps=10,
)


def prompts(world: World, fact_P: np.ndarray, lang_P: np.ndarray) -> Probes:
    cues = question_cues(world.grammar, fact_P, lang_P, is_full=True, rng=np.random.default_rng(0))
    return build_probes(world.grammar, world.facts, world.table, fact_P, lang_P, cues)


@pytest.mark.parametrize("informativeness", [0.0, 1.0])
def test_every_example_is_in_one_group_of_each_probe(informativeness: float) -> None:
    world = make_world(**SMALL, parallel_share=0.3, informativeness=informativeness, seed=2)
    shown_FK = world.shown_SRK.reshape(-1, 2)
    trained = prompts(world, *np.nonzero(shown_FK))
    mono = np.flatnonzero(~world.is_parallel_SR.ravel())[:6]
    home = world.home_S[mono // 2]
    asked = prompts(world, mono, 1 - home)
    groups = example_groups(world, trained, asked)
    assert list(groups) == [(kind, side) for kind in KINDS for side in SIDES]
    assert (sum(marks.astype(int) for marks in groups.values()) == 1).all()
    value_F = world.value_SR.ravel()
    for (kind, side), marks_EP in groups.items():
        for e, p in zip(*np.nonzero(marks_EP), strict=True):
            fact, probe, lang = trained.fact_P[e], mono[p], trained.lang_P[e]
            assert lang == (home[p] if side == "home" else 1 - home[p])
            same_value = fact % 2 == probe % 2 and value_F[fact] == value_F[probe]
            same_subject = fact // 2 == probe // 2
            is_parallel = world.is_parallel_SR.ravel()[fact]
            wanted = (
                "same fact" if fact == probe
                else "same value" if same_value
                else "same subject" if same_subject
                else "parallel fact" if is_parallel
                else "stranger"
            )  # fmt: skip
            assert kind == wanted
    assert not groups["same fact", "asked"].any()
    assert groups["same fact", "home"].sum() == 6


def traced(tmp_path: Path, **changes: float) -> list[dict]:
    world = make_world(**SMALL, seed=4, **changes).settings  # type: ignore[arg-type]
    trace_influence(
        cells=[Cell(world, 0, {"n": 1}), Cell(world, 5)],
        settings=LAB,
        num_probes=8,
        out=tmp_path,
        runtime=Runtime(1),
        progress=NullProgress(),
    )
    found = json.loads((tmp_path / INFLUENCE_FILE).read_text("utf-8"))
    assert found["checkpoints"] == [30, 60]
    members: list[dict] = found["members"]
    return members


def test_the_fact_in_its_home_language_helps_more_than_strangers(tmp_path: Path) -> None:
    for member in traced(tmp_path, parallel_share=0.2, informativeness=0.0):
        groups = {(group["kind"], group["side"]): group for group in member["groups"]}
        own = groups["same fact", "home"]
        assert own["num_pairs"] == member["num_probes"] == 8
        assert own["interval"][0] < own["value"] < own["interval"][1]
        assert own["value"] > groups["stranger", "home"]["value"] + 0.01
        assert own["value"] > groups["stranger", "asked"]["value"] + 0.01
        nothing = groups["same fact", "asked"]
        assert (nothing["value"], nothing["reason"]) == (None, "no such example")


def test_worlds_that_tell_nothing_are_refused(tmp_path: Path) -> None:
    world = make_world(**SMALL, parallel_share=1.0, seed=4).settings
    given = {
        "num_probes": 8, "out": tmp_path, "runtime": Runtime(1), "progress": NullProgress()
    }  # fmt: skip
    with pytest.raises(InputError) as error:
        trace_influence(cells=[Cell(world, 0)], settings=LAB, **given)  # type: ignore[arg-type]
    assert (error.value.where, error.value.got) == ("parallel_share", "none")
