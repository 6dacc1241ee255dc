"""One language after the other: what samples tell, and what is known after each stage."""

import json
from pathlib import Path

import numpy as np
import pytest

from lingraft.errors import InputError
from lingraft.lab import TinyDecoder, make_world
from lingraft.pipelines.lab_runs import Cell, LabSettings
from lingraft.pipelines.language_order import ORDERS, ORDERS_FILE, teach_in_orders
from lingraft.runtime import Runtime
from lingraft.study.progress import NullProgress

SMALL = {"subjects": 12, "relations": 2, "values": 4, "unseen_subjects": 0, "seed": 3}


@pytest.mark.parametrize("exposure_shares", [None, (0.9, 0.1)])
@pytest.mark.parametrize("lang", [0, 1, None])
def test_samples_of_one_language_are_all_of_it(
    lang: int | None, exposure_shares: tuple[float, float] | None
) -> None:
    world = make_world(**SMALL, parallel_share=0.5, exposure_shares=exposure_shares)
    samples = world.sample(300, np.random.default_rng(0), lang=lang)
    assert set(samples.lang_B.tolist()) == ({0, 1} if lang is None else {lang})
    if lang is not None:
        shown_F = world.shown_SRK[:, :, lang].ravel()
        assert set(samples.fact_B.tolist()) == set(np.flatnonzero(shown_F).tolist())


def test_a_language_that_there_is_not_is_refused() -> None:
    with pytest.raises(InputError) as error:
        make_world(**SMALL).sample(3, np.random.default_rng(0), lang=2)
    assert (error.value.where, error.value.got) == ("lang", "2")
    assert error.value.expected == "a whole number from 0 to 1"


def test_a_language_is_known_after_its_stage_and_not_before(tmp_path: Path) -> None:
    # Half of the facts are parallel: what the first language told of them is asked in the second.
    world = make_world(**SMALL, parallel_share=0.5, informativeness=0.0).settings
    settings = LabSettings(
        TinyDecoder(width=32, num_layers=1, num_heads=2),
        steps=240,
        checkpoints=(240,),
        batch_size=16,
        learning_rate=5e-3,
        warmup_steps=10,
        num_facts=12,
    )
    cells = [Cell(world, 1, {"which": 1})]
    told = teach_in_orders(
        cells=cells, settings=settings, out=tmp_path, runtime=Runtime(1), progress=NullProgress()
    )
    assert told == {"num_members": 3}
    orders = json.loads((tmp_path / ORDERS_FILE).read_text("utf-8"))["orders"]
    assert [order["order"] for order in orders] == list(ORDERS)
    for order in orders:
        for member in order["members"]:
            before, first, second = member["after"]
            for lang in (0, 1):
                kind, asked = f"home_{lang}", str(lang)
                assert before[kind][asked]["accuracy"] < 0.7
                is_told = order["languages"][0] in (lang, None)
                reached = first[kind][asked]["accuracy"]
                assert reached > 0.95 if is_told else reached < 0.8
                if order["languages"][1] in (lang, None):
                    assert second[kind][asked]["accuracy"] > 0.95
                    assert second[kind][asked]["bits_per_fact"] > 1.5
                assert before[kind][asked]["num_facts"] == 6
    assert [m["axes"]["which"] for m in orders[0]["members"]] == [1]


def test_without_parallel_facts_none_are_asked(tmp_path: Path) -> None:
    world = make_world(**SMALL).settings
    settings = LabSettings(TinyDecoder(8, 1, 1), steps=2, checkpoints=(2,), batch_size=2)
    teach_in_orders(
        cells=[Cell(world, 0)], settings=settings, out=tmp_path, runtime=Runtime(1),
        progress=NullProgress(),
    )  # fmt: skip
    orders = json.loads((tmp_path / ORDERS_FILE).read_text("utf-8"))["orders"]
    assert orders[0]["members"][0]["after"][0]["parallel"] == {}
    assert set(orders[0]["members"][0]["after"][0]["home_0"]) == {"0", "1"}
