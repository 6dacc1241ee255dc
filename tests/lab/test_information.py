"""Information: formulas in closed form, counts that converge to them, extractability."""

import itertools
from math import log2

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from world_cases import SMALL

from lingraft.errors import InputError
from lingraft.lab import make_world, sampled_extractability, template_cues_for
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


@settings(max_examples=30)
@given(st.floats(0, 1), st.integers(0, 6), st.integers(2, 5))
def test_template_words_alone_tell_one_less_the_chance_of_none(epsilon, num_words, langs) -> None:
    world = make_world(
        **SMALL | {"values": 60, "unseen_subjects": 0},
        languages=langs,
        template_cues=epsilon,
        template_tokens=num_words,
        seed=0,
    )
    expected = 1 - (1 - epsilon) ** num_words
    assert world.information().extractability == pytest.approx(expected, abs=1e-9)


def brute_force(settings, *, has_own_relation: bool) -> float:
    """I(cues; language) / log2 K by listing every sequence of cue tokens, None being shared."""
    langs = range(settings.languages)
    eta = settings.cue_flips

    def spread(lang: int, chance: float) -> dict[int | None, float]:
        flipped = eta / (settings.languages - 1)
        cues = {other: chance * (1 - eta if other == lang else flipped) for other in langs}
        return {None: 1 - chance, **cues}

    chances = [settings.template_cues] * settings.template_tokens
    chances += [settings.tag_share, float(has_own_relation)]
    total = 0.0
    for cues in itertools.product([None, *langs], repeat=len(chances)):
        joint = [
            np.prod([spread(lang, p)[cue] for cue, p in zip(cues, chances, strict=True)])
            for lang in langs
        ]
        if sum(joint):
            total += sum(joint) / len(joint) * h(*(p / sum(joint) for p in joint))
    return 1 - total / log2(settings.languages)


@settings(max_examples=25)
@given(
    st.sampled_from([2, 3]),
    st.sampled_from([0.0, 0.3, 1.0]),
    st.sampled_from([0.0, 0.2, 0.9, 1.0]),
    st.sampled_from([0.0, 0.6, 1.0]),
    st.sampled_from([0.0, 0.4, 1.0]),
)
def test_extractability_is_that_of_all_cue_sequences(langs, eps, eta, tau, overlap) -> None:
    world = make_world(
        languages=langs,
        subjects=10,
        values=6,
        template_cues=eps,
        cue_flips=eta,
        tag_share=tau,
        relation_overlap=overlap,
        seed=0,
    )
    expected = overlap * brute_force(world.settings, has_own_relation=False)
    expected += (1 - overlap) * brute_force(world.settings, has_own_relation=True)
    assert world.information().extractability == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    "changed",
    [
        {"template_cues": 0.3},
        {"template_cues": 0.5, "cue_flips": 0.2, "tag_share": 0.3, "relation_overlap": 0.6},
        {"template_cues": 0.5, "cue_flips": 0.3, "languages": 4},
        {
            "template_cues": 0.8,
            "cue_flips": 0.3,
            "relation_overlap": 0.4,
            "tokens": "bytes",
            "transliterated": True,
        },
    ],
)
def test_drawn_cues_tell_what_the_formula_says(changed) -> None:
    world = make_world(**changed, seed=0)
    exact = world.information().extractability
    drawn = sampled_extractability(
        world.settings, world.grammar.lexicon, 100_000, np.random.default_rng(0)
    )
    assert 0.1 < exact < 0.99
    assert drawn == pytest.approx(exact, abs=0.01)


def test_a_script_of_its_own_tells_the_language_even_in_shared_words() -> None:
    plain = make_world(**SMALL, template_cues=0.0, tokens="bytes", seed=0)
    spelled = make_world(**SMALL, template_cues=0.0, tokens="bytes", transliterated=True, seed=0)
    assert plain.information().extractability == 0
    assert spelled.information().extractability == 1


@given(st.floats(0, 1), st.integers(1, 6))
def test_template_cues_for_an_extractability_give_it(wanted, num_words) -> None:
    epsilon = template_cues_for(wanted, num_words)
    assert 0 <= epsilon <= 1
    assert 1 - (1 - epsilon) ** num_words == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize(
    ("wanted", "num_words", "message"),
    [
        (1.2, 2, "extractability: expected a share from 0 to 1, got 1.2"),
        (0.5, 0, "template_tokens: expected at least 1 template token, got 0"),
    ],
)
def test_impossible_extractabilities_are_refused(wanted, num_words, message) -> None:
    with pytest.raises(InputError) as refused:
        template_cues_for(wanted, num_words)
    assert str(refused.value) == message
