"""Information: formulas in closed form, and counts that converge to them."""

import dataclasses
from math import log2

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from world_cases import SMALL

from lingraft.errors import InputError
from lingraft.lab import make_world
from lingraft.lab.information import NO_MONOLINGUAL, mutual_information_bits


def h(*chances: float) -> float:
    """Entropy in bits, from its definition."""
    return -sum(p * log2(p) for p in chances if p > 0)


rhos = st.floats(0, 1)


@settings(max_examples=25)
@given(rhos)
def test_values_tell_what_the_reference_says(rho) -> None:
    found = make_world(**SMALL, informativeness=rho, seed=0).information()
    assert found.value_bits == pytest.approx(1 - h((1 + rho) / 2, (1 - rho) / 2), abs=1e-9)


@settings(max_examples=25)
@given(rhos)
def test_values_of_more_languages_tell_log_k_less_the_entropy_of_the_part(rho) -> None:
    found = make_world(**SMALL, languages=4, informativeness=rho, seed=0).information()
    own, other = (1 + 3 * rho) / 4, (1 - rho) / 4
    assert found.value_bits == pytest.approx(2 - h(own, other, other, other), abs=1e-9)


def test_unequal_languages_scale_by_their_entropy_at_full_informativeness_alone() -> None:
    def bits(rho: float) -> float | None:
        world = make_world(subjects=100, home_language_share=0.8, informativeness=rho, seed=0)
        return world.information().value_bits

    assert bits(1.0) == pytest.approx(h(0.8, 0.2))
    # p(part 0) = .8 * .75 + .2 * .25 = .65 at rho = .5, and I = H(part) - H(part | language).
    assert bits(0.5) == pytest.approx(h(0.65, 0.35) - h(0.75, 0.25))
    assert bits(0.5) != pytest.approx(h(0.8, 0.2) * (1 - h(0.75, 0.25)), abs=0.005)


@pytest.mark.parametrize("languages", [2, 4])
@pytest.mark.parametrize("rho", [0.0, 0.5, 1.0])
def test_counted_values_converge_to_the_formula(languages, rho) -> None:
    gaps = []
    for subjects in (400, 20_000):
        found = make_world(
            languages=languages, subjects=subjects, informativeness=rho, seed=1
        ).information()
        gaps.append(abs(found.value_plug_in_bits - found.value_bits))
    assert gaps[1] < 0.01
    assert gaps[1] <= gaps[0] + 1e-9


def test_counts_overestimate_by_the_bias_that_is_stated() -> None:
    gaps = [
        make_world(informativeness=0.0, seed=seed).information().value_plug_in_bits
        for seed in range(30)
    ]
    assert np.mean(gaps) == pytest.approx(39 / (2 * 400 * np.log(2)), rel=0.1)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_subjects_tell_what_the_reference_says(share) -> None:
    by_subject = make_world(parallel_share=share, parallel_by="subject", seed=0).information()
    expected = (1 - share) / (1 + share)
    assert by_subject.subject_bits == pytest.approx(expected, abs=1e-9)
    assert by_subject.subject_limit_bits == pytest.approx(expected, abs=1e-9)
    assert by_subject.subject_plug_in_bits == pytest.approx(expected, abs=1e-9)
    by_fact = make_world(parallel_share=share, seed=0).information()
    limit = 1 - h(share / (1 + share), 1 / (1 + share))
    assert by_fact.subject_limit_bits == pytest.approx(limit, abs=1e-9)
    assert by_fact.subject_bits >= limit - 1e-9


def test_few_relations_make_subjects_tell_more() -> None:
    def told(relations: int):
        world = make_world(relations=relations, subjects=2000, parallel_share=0.3, seed=0)
        return world.information()

    few, many = told(2), told(100)
    assert few.subject_plug_in_bits == pytest.approx(few.subject_bits, abs=0.01)
    assert few.subject_bits > few.subject_limit_bits + 0.05
    assert many.subject_plug_in_bits == pytest.approx(many.subject_bits, abs=0.001)
    assert many.subject_bits == pytest.approx(many.subject_limit_bits, abs=0.005)


def test_subjects_tell_what_counts_say_on_average_over_worlds() -> None:
    worlds = [
        make_world(
            subjects=12,
            languages=3,
            values=30,
            parallel_share=0.3,
            home_language_share=(0.5, 0.25, 0.25),
            exposure_shares=(0.2, 0.2, 0.6),
            seed=seed,
        ).information()
        for seed in range(300)
    ]
    counted = [found.subject_plug_in_bits for found in worlds]
    assert len({round(found.subject_bits, 12) for found in worlds}) == 1
    assert np.mean(counted) == pytest.approx(worlds[0].subject_bits, abs=0.005)
    assert worlds[0].language_bits == pytest.approx(h(0.2, 0.2, 0.6))


@pytest.mark.parametrize("style", ["triples", "biographies"])
def test_counts_of_samples_converge_to_those_of_facts(style) -> None:
    world = make_world(subjects=40, informativeness=0.5, parallel_share=0.2, style=style, seed=0)
    exact = world.information()
    drawn = world.information(world.sample(200_000, np.random.default_rng(0)))
    assert drawn.subject_plug_in_bits == pytest.approx(exact.subject_plug_in_bits, abs=0.003)
    assert drawn.value_plug_in_bits == pytest.approx(exact.value_plug_in_bits, abs=0.003)
    assert drawn.value_bits == exact.value_bits
    few = world.information(world.sample(50, np.random.default_rng(0)))
    assert abs(few.subject_plug_in_bits - exact.subject_plug_in_bits) > 0.01


def test_exposures_of_biographies_are_shares_of_samples() -> None:
    world = make_world(
        **SMALL, style="biographies", parallel_share=0.25, exposure_shares=(0.9, 0.1), seed=0
    )
    drawn = world.information(world.sample(200_000, np.random.default_rng(0)))
    exact = world.information()
    assert drawn.subject_plug_in_bits == pytest.approx(exact.subject_plug_in_bits, abs=0.003)


def test_values_of_no_monolingual_fact_tell_nothing_that_is_defined() -> None:
    found = make_world(**SMALL, parallel_share=1.0, seed=0).information()
    assert (found.value_bits, found.value_plug_in_bits) == (None, None)
    assert found.reason == NO_MONOLINGUAL


def test_mutual_information_of_small_tables() -> None:
    assert mutual_information_bits(np.eye(8)) == pytest.approx(3)
    assert mutual_information_bits(np.outer([1, 2, 0], [3, 4])) == pytest.approx(0, abs=1e-12)
    assert mutual_information_bits(np.array([[3.0, 1], [1, 3]])) == pytest.approx(1 - h(0.25, 0.75))


@pytest.mark.parametrize("parallel_by", ["fact", "subject"])
@pytest.mark.parametrize("style", ["triples", "biographies"])
@pytest.mark.parametrize("share", [0.0, 0.2])
def test_subjects_of_many_relations_tell_the_limit_however_languages_are_exposed(
    parallel_by, style, share
) -> None:
    found = make_world(
        relations=150,
        values=4,
        subjects=200,
        style=style,
        parallel_share=share,
        parallel_by=parallel_by,
        home_language_share=0.4,
        exposure_shares=(0.8, 0.2),
        seed=0,
    ).information()
    assert found.subject_limit_bits == pytest.approx(found.subject_plug_in_bits, abs=0.005)
    assert found.subject_limit_bits == pytest.approx(found.subject_bits, abs=0.005)


def test_samples_that_tell_nothing_or_what_the_world_never_does_are_refused() -> None:
    world = make_world(**SMALL, seed=0)
    with pytest.raises(InputError) as refused:
        world.information(world.sample(0, np.random.default_rng(0)))
    assert str(refused.value) == "samples: expected at least one sample, got none"
    samples = world.sample(5, np.random.default_rng(0))
    other = make_world(**SMALL | {"subjects": 5}, seed=0)
    flipped = dataclasses.replace(samples, lang_B=1 - samples.lang_B)
    beyond = dataclasses.replace(samples, fact_B=np.full(5, 14), lang_B=np.full(5, 2))
    for its, asked in ((world, flipped), (other, beyond), (other, samples)):
        fact, lang = next(
            (fact, lang)
            for fact, lang in zip(asked.fact_B.tolist(), asked.lang_B.tolist(), strict=True)
            if fact >= its.value_SR.size
            or lang >= 2
            or not its.shown_SRK.reshape(-1, 2)[fact, lang]
        )
        with pytest.raises(InputError) as refused:
            its.information(asked)
        assert str(refused.value) == (
            f"samples: expected samples of this world, got fact {fact} in language {lang}, "
            "which it never tells"
        )
