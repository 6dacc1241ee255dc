"""Facts that are compared, asked and controlled by are what they are said to be."""

from typing import Any

import numpy as np
import pytest

from lingraft.errors import InputError
from lingraft.lab import World, make_world
from lingraft.pipelines.lab_questions import check_monolingual, choose_questions


def world_of(**changes: Any) -> World:
    knobs = {"subjects": 20, "relations": 2, "values": 4, "unseen_subjects": 2, "seed": 1}
    return make_world(**{"parallel_share": 0.2, **knobs, **changes})


def facts_of(asked: Any) -> set[int]:
    return set(asked[0].fact_P.tolist())


@pytest.mark.parametrize("languages", [2, 4])
def test_states_and_recall_are_of_different_facts(languages: int) -> None:
    world = world_of(languages=languages)
    found = choose_questions(world, num_facts=7, seed=3)
    compared, asked = facts_of(found.compared), facts_of(found.asked)
    assert len(compared) == len(asked) == 7
    assert not compared & asked
    mono = set(np.flatnonzero(~world.is_parallel_SR.ravel()).tolist())
    assert compared | asked <= mono
    assert found.num_monolingual == len(mono)
    assert facts_of(found.parallel) == set(
        np.flatnonzero(world.is_parallel_SR.ravel())[:7].tolist()
    )
    assert facts_of(found.unseen) == {40, 41, 42, 43}
    assert facts_of(choose_questions(world, num_facts=7, seed=4).asked) != asked


def test_of_many_languages_those_two_are_compared_that_told_the_facts() -> None:
    found = choose_questions(world_of(languages=4), num_facts=7, seed=3)
    assert set(found.compared) == {0, 1}
    assert set(found.compared[0].home_P.tolist()) == {0, 1}
    assert set(found.asked) == {0, 1, 2, 3}


def test_of_many_languages_facts_of_all_homes_are_asked_alike() -> None:
    world = world_of(languages=4, subjects=400, relations=5)
    home_P = choose_questions(world, num_facts=200, seed=3).asked[0].home_P
    counts = np.bincount(home_P, minlength=4)
    assert counts.min() > 30  # of 50 each


def test_controls_may_be_missing() -> None:
    found = choose_questions(world_of(unseen_subjects=0, parallel_share=0), num_facts=7, seed=3)
    assert (found.parallel, found.unseen) == ({}, {})


@pytest.mark.parametrize(
    ("changes", "num"),
    [
        ({"parallel_share": 1.0}, 0),
        ({"subjects": 4, "relations": 1, "parallel_share": 0.5}, 2),
        # Four monolingual facts, but one of each home.
        ({"subjects": 4, "languages": 4, "parallel_share": 0.5, "relations": 2}, 2),
        ({"subjects": 4, "languages": 4, "parallel_share": 0.5, "relations": 4}, 4),
    ],
)
def test_too_few_monolingual_facts_are_refused(changes: dict[str, Any], num: int) -> None:
    world = world_of(**changes)
    if num >= 4:
        check_monolingual(world.settings)
        return
    for check in (
        lambda: check_monolingual(world.settings),
        lambda: choose_questions(world, num_facts=7, seed=3),
    ):
        with pytest.raises(InputError) as error:
            check()
        assert (error.value.where, error.value.got) == ("parallel_share", str(num))
