"""Worlds: quotas, overlaps, and one knob leaving the others' draws alone."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from scipy.stats import chisquare
from world_cases import SMALL, arguments

from lingraft.errors import InputError
from lingraft.lab import WorldSettings, build_world, make_world
from lingraft.lab.settings import quotas


def arrays(world) -> list[np.ndarray]:
    samples = world.sample(50, np.random.default_rng(1))
    return [
        world.home_S,
        world.value_SR,
        world.is_parallel_SR,
        world.shown_SRK,
        samples.tokens_BT,
        samples.predicted_BT,
    ]


@settings(max_examples=20)
@given(arguments())
def test_the_same_arguments_make_the_same_world_also_through_json(given_arguments) -> None:
    world = make_world(**given_arguments)
    stored = json.loads(json.dumps(dataclasses.asdict(world.settings)))
    again = build_world(WorldSettings(**stored))
    assert again.settings == world.settings
    assert again.vocabulary == world.vocabulary
    for one, other in zip(arrays(world), arrays(again), strict=True):
        np.testing.assert_array_equal(one, other)


def test_another_seed_makes_another_world() -> None:
    one, other = make_world(seed=0), make_world(seed=1)
    assert (one.value_SR != other.value_SR).mean() > 0.9
    assert (one.home_S != other.home_S).mean() > 0.4


def test_shares_are_exact_quotas() -> None:
    shares = (0.5, 0.3, 0.2)
    world = make_world(
        languages=3,
        subjects=200,
        values=30,
        parallel_share=0.1,
        home_language_share=shares,
        subject_overlap=0.35,
        relation_overlap=0.4,
        value_overlap=0.7,
        seed=3,
    )
    assert np.bincount(world.home_S).tolist() == [100, 60, 40]
    parallel = [int(world.is_parallel_SR[world.home_S == lang].sum()) for lang in range(3)]
    assert parallel == [50, 30, 20]
    lexicon = world.grammar.lexicon
    for entries, num in (
        (lexicon.subject_AKN[:200, :, 0], 70),
        (lexicon.relation_RK, 2),
        *((lexicon.value_RVK[relation], 21) for relation in range(5)),
    ):
        is_one = (entries == entries[:, :1]).all(axis=1)
        has_three = np.array([len(set(row)) == 3 for row in entries.tolist()])
        assert is_one.sum() == num
        np.testing.assert_array_equal(has_three, ~is_one)


def test_parallel_subjects_are_told_in_all_languages_whole() -> None:
    world = make_world(parallel_share=0.25, parallel_by="subject", seed=0)
    assert world.is_parallel_SR.any(axis=1).sum() == 100
    assert world.is_parallel_SR.all(axis=1).sum() == 100
    monolingual = ~world.is_parallel_SR[:, 0]
    assert np.bincount(world.home_S[monolingual]).tolist() == [150, 150]


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
@pytest.mark.parametrize(("languages", "subjects"), [(2, 12), (3, 10), (4, 4)])
def test_quotas_of_homes_hold_whatever_subjects_are_parallel(languages, subjects, share) -> None:
    given = {"languages": languages, "subjects": subjects, "values": 12, "seed": 0}
    world = make_world(**given, parallel_share=share, parallel_by="subject")
    np.testing.assert_array_equal(world.home_S, make_world(**given).home_S)
    homes = np.bincount(world.home_S, minlength=languages)
    assert homes.tolist() == quotas(subjects, (1 / languages,) * languages)
    is_parallel_S = world.is_parallel_SR.all(axis=1)
    assert is_parallel_S.sum() == round(share * subjects)
    parallel = np.bincount(world.home_S[is_parallel_S], minlength=languages)
    assert (abs(parallel - is_parallel_S.sum() * homes / subjects) < 1).all()


def test_facts_are_shown_at_home_and_parallel_ones_everywhere() -> None:
    world = make_world(languages=4, parallel_share=0.3, seed=0)
    for subject in range(400):
        for relation in range(5):
            langs = np.flatnonzero(world.shown_SRK[subject, relation]).tolist()
            home = int(world.home_S[subject])
            assert langs == ([0, 1, 2, 3] if world.is_parallel_SR[subject, relation] else [home])


def test_informativeness_decides_whose_part_a_value_is_of() -> None:
    world = make_world(languages=4, subjects=4000, informativeness=0.4, seed=0)
    assert np.bincount(world.half_V).tolist() == [10, 10, 10, 10]
    part_SR = world.half_V[world.value_SR]
    ahead = np.bincount(((part_SR - world.home_S[:, None]) % 4).ravel()) / part_SR.size
    np.testing.assert_allclose(ahead, [0.55, 0.15, 0.15, 0.15], atol=0.01)
    counts = np.bincount(world.value_SR.ravel(), minlength=40)
    assert chisquare(counts).pvalue > 1e-3


def test_values_of_parallel_facts_come_from_anywhere() -> None:
    world = make_world(subjects=4000, parallel_share=1.0, informativeness=1.0, seed=0)
    own = world.half_V[world.value_SR] == world.home_S[:, None]
    assert own.mean() == pytest.approx(0.5, abs=0.02)


def test_a_knob_leaves_the_draws_of_the_others_alone() -> None:
    plain = make_world(seed=0)
    cues = make_world(template_cues=0.3, tag_share=0.5, cue_flips=0.2, style="biographies", seed=0)
    for name in ("home_S", "value_SR", "is_parallel_SR", "shown_SRK"):
        np.testing.assert_array_equal(getattr(plain, name), getattr(cues, name))
    more = make_world(parallel_share=0.2, seed=0)
    np.testing.assert_array_equal(plain.home_S, more.home_S)
    kept = ~more.is_parallel_SR
    np.testing.assert_array_equal(plain.value_SR[kept], more.value_SR[kept])


def test_a_higher_share_marks_all_that_a_lower_one_does() -> None:
    few, many = (make_world(parallel_share=share, seed=0) for share in (0.1, 0.3))
    assert (many.is_parallel_SR | ~few.is_parallel_SR).all()
    low, high = (
        make_world(subject_overlap=share, seed=0).grammar.lexicon.is_shared_A
        for share in (0.2, 0.6)
    )
    assert (high | ~low).all()


def test_quotas_go_to_the_largest_remainders() -> None:
    assert quotas(10, (0.25, 0.25, 0.5)) == [3, 2, 5]
    assert quotas(7, (0.5, 0.3, 0.2)) == [4, 2, 1]
    assert quotas(400, (0.35, 0.65)) == [140, 260]


def test_documents_of_a_language_tell_what_it_is_shown() -> None:
    world = make_world(**SMALL, parallel_share=0.25, seed=0)
    shown = world.shown_SRK[:, :, 1]
    for text in world.documents(200, np.random.default_rng(0), 1):
        first, second, subject, relation, value = text.split()
        assert first.endswith("/1")
        assert second.endswith("/1")
        fact = int(subject[1:]), int(relation[1:])
        assert shown[fact]
        assert value == f"{relation}v{world.value_SR[fact]}"


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (
            lambda world, rng: world.documents(1, rng, 2),
            "lang: expected a whole number from 0 to 1, got 2",
        ),
        (
            lambda world, rng: world.sample(1, rng, "a"),
            "lang: expected a whole number from 0 to 1, got 'a'",
        ),
        (
            lambda world, rng: world.sample(-1, rng),
            "num: expected a whole number of 0 or more, got -1",
        ),
        (
            lambda world, rng: world.documents(2.5, rng),
            "num: expected a whole number of 0 or more, got 2.5",
        ),
    ],
)
def test_samples_of_no_language_or_number_are_refused(ask, message) -> None:
    with pytest.raises(InputError) as refused:
        ask(make_world(**SMALL, seed=0), np.random.default_rng(0))
    assert str(refused.value) == message
