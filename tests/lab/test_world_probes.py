"""Probes: right answers, right languages, full cues, and the same questions in every language."""

import numpy as np
import pytest
from hypothesis import given, settings
from world_cases import SMALL, arguments

from lingraft.errors import InputError
from lingraft.lab import PAD, PROBE_KINDS, make_world, matched_probes


def prefix(tokens, length) -> list[int]:
    return tokens[:length].tolist()


def entry_tokens(world, entries) -> list[int]:
    table = world.table
    return [
        token
        for entry in np.atleast_1d(entries)
        for token in prefix(table.tokens_IL[entry], table.length_I[entry])
    ]


@settings(max_examples=20)
@given(arguments(monolingual=True))
def test_every_answer_is_the_truth_and_cross_questions_were_never_told(given_arguments) -> None:
    world = make_world(**given_arguments)
    lexicon, num_relations = world.grammar.lexicon, world.settings.relations
    for kind in PROBE_KINDS:
        if kind == "parallel" and not world.is_parallel_SR.any():
            continue
        probes = world.probes(kind)
        subjects, relations = np.divmod(probes.fact_P, num_relations)
        np.testing.assert_array_equal(subjects, probes.subject_P)
        np.testing.assert_array_equal(relations, probes.relation_P)
        np.testing.assert_array_equal(world.facts.home_A[subjects], probes.home_P)
        np.testing.assert_array_equal(world.facts.value_AR[subjects, relations], probes.answer_P)
        assert max(probes.tokens_PT.max(), probes.candidates_PVC.max()) < world.num_tokens
        np.testing.assert_array_equal(
            probes.tokens_PT == PAD,
            np.arange(probes.tokens_PT.shape[1]) >= probes.length_P[:, None],
        )
        if kind != "unseen":
            is_shown = world.shown_SRK[subjects, relations, probes.lang_P]
            assert (is_shown == (kind != "cross")).all()
            assert (world.is_parallel_SR[subjects, relations] == (kind == "parallel")).all()
        for i in range(0, len(probes.fact_P), 7):
            lang = probes.lang_P[i]
            prompt = prefix(probes.tokens_PT[i], probes.length_P[i])
            relation = entry_tokens(world, lexicon.relation_RK[relations[i], lang])
            subject = entry_tokens(world, lexicon.subject_AKN[subjects[i], lang])
            assert prompt[-len(relation) :] == relation
            end = int(probes.subject_at_P[i]) + 1
            assert prompt[end:] == relation
            assert prompt[end - len(subject) : end] == subject
            for value, candidate in enumerate(probes.candidates_PVC[i]):
                told = entry_tokens(world, lexicon.value_RVK[relations[i], value, lang])
                assert candidate[: len(told)].tolist() == told
                assert (candidate[len(told) :] == PAD).all()


@settings(max_examples=20)
@given(arguments(monolingual=True))
def test_kinds_of_probes_cover_all_their_facts(given_arguments) -> None:
    world = make_world(**given_arguments)
    num_langs = world.settings.languages
    num_mono = int((~world.is_parallel_SR).sum())
    nums = {"same": num_mono, "cross": num_mono * (num_langs - 1), "unseen": 9 * num_langs}
    for kind, num in nums.items():
        probes = world.probes(kind)
        assert len(set(zip(probes.fact_P, probes.lang_P, strict=True))) == num
        assert len(probes.fact_P) == num
    assert (world.probes("same").lang_P == world.probes("same").home_P).all()
    assert (world.probes("unseen").subject_P >= world.settings.subjects).all()


@settings(max_examples=20)
@given(arguments(monolingual=True))
def test_a_triple_begins_with_its_question(given_arguments) -> None:
    plain = {"style": "triples", "template_types": 1, "template_cues": 1.0}
    world = make_world(**given_arguments | plain | {"tag_share": 0.0, "cue_flips": 0.0})
    probes = world.probes("same")
    questions = {
        (fact, lang): (prefix(tokens, length), candidates[answer])
        for fact, lang, tokens, length, candidates, answer in zip(
            probes.fact_P,
            probes.lang_P,
            probes.tokens_PT,
            probes.length_P,
            probes.candidates_PVC,
            probes.answer_P,
            strict=True,
        )
    }
    samples = world.sample(50, np.random.default_rng(0))
    for tokens, fact, lang in zip(samples.tokens_BT, samples.fact_B, samples.lang_B, strict=True):
        if (fact, lang) in questions:
            question, answer = questions[fact, lang]
            told = question + answer[answer != PAD].tolist()
            assert tokens[tokens != PAD].tolist() == told


def test_unseen_subjects_occur_in_no_sample() -> None:
    world = make_world(**SMALL, seed=0)
    told = set(np.unique(world.sample(3000, np.random.default_rng(0)).tokens_BT).tolist())
    probes = world.probes("unseen")
    names = set(probes.tokens_PT[np.arange(len(probes.fact_P)), probes.subject_at_P].tolist())
    assert len(names) == 3
    assert not names & told


def test_unseen_pairs_of_names_are_no_seen_ones() -> None:
    world = make_world(**SMALL, names="multi", seed=0)
    names_AN = world.grammar.lexicon.subject_AKN[:, 0]
    assert len({tuple(row) for row in names_AN.tolist()}) == 15


def test_full_cues_show_the_language_everywhere_and_others_as_in_samples() -> None:
    world = make_world(
        template_cues=0.5, tag_share=0.3, cue_flips=0.4, relation_overlap=0.0, seed=0
    )
    names = np.array(world.vocabulary)
    full, drawn = world.probes("cross"), world.probes("cross", full_cues=False)
    own = np.char.add("/", full.lang_P.astype(str))[:, None]
    cues_PX = names[full.tokens_PT[:, [1, 2, 3, 5]]]
    assert np.char.endswith(cues_PX, own).all()
    assert (np.char.startswith(cues_PX[:, 0], "lang")).all()
    has_tag_P = np.char.startswith(names[drawn.tokens_PT[:, 1]], "lang")
    assert has_tag_P.mean() == pytest.approx(0.3, abs=0.05)
    relation_P = names[drawn.tokens_PT[np.arange(len(drawn.fact_P)), drawn.length_P - 1]]
    is_flipped = ~np.char.endswith(relation_P, own[:, 0])
    assert is_flipped.mean() == pytest.approx(0.4, abs=0.05)


def test_untagged_worlds_ask_without_tags() -> None:
    probes = make_world(**SMALL, seed=0).probes("same")
    assert (probes.length_P == 5).all()
    assert (probes.subject_at_P == 3).all()


def test_some_facts_are_drawn_whole_and_by_the_seed() -> None:
    world = make_world(languages=4, seed=0)
    some = world.probes("cross", max_facts=50, seed=1)
    assert len(set(some.fact_P.tolist())) == 50
    assert len(some.fact_P) == 150
    again, other = (world.probes("cross", max_facts=50, seed=seed) for seed in (1, 2))
    np.testing.assert_array_equal(some.tokens_PT, again.tokens_PT)
    assert set(some.fact_P.tolist()) != set(other.fact_P.tolist())
    assert len(world.probes("cross", max_facts=10**6).fact_P) == 6000


@settings(max_examples=20)
@given(arguments())
def test_matched_questions_differ_in_the_language_alone(given_arguments) -> None:
    world = make_world(**given_arguments)
    asked = [5, 0, 40, 7]
    probes = matched_probes(world, asked)
    assert list(probes) == list(range(world.settings.languages))
    for lang, of_lang in probes.items():
        assert of_lang.fact_P.tolist() == asked
        assert (of_lang.lang_P == lang).all()
        np.testing.assert_array_equal(of_lang.answer_P, probes[0].answer_P)


def test_matched_questions_use_the_same_template_words() -> None:
    world = make_world(subject_overlap=0.5, cue_flips=0.3, seed=0)
    one, other = matched_probes(world, range(100)).values()
    names = np.array(world.vocabulary)
    plain = [
        [[name.split("/")[0] for name in row] for row in names[p.tokens_PT]] for p in (one, other)
    ]
    assert plain[0] == plain[1]
    assert (one.tokens_PT[:, 1:3] != other.tokens_PT[:, 1:3]).all()
    hidden = matched_probes(make_world(template_cues=0.0, seed=0), range(9), full_cues=False)
    np.testing.assert_array_equal(hidden[0].tokens_PT, hidden[1].tokens_PT)


NONE_IN_WORLD = {
    "same": ({"parallel_share": 1.0}, "monolingual facts, parallel_share below 1"),
    "cross": ({"parallel_share": 1.0}, "monolingual facts, parallel_share below 1"),
    "parallel": ({}, "parallel facts, parallel_share above 0"),
    "unseen": ({"unseen_subjects": 0}, "subjects that no sample names, unseen_subjects above 0"),
}


@pytest.mark.parametrize("kind", PROBE_KINDS)
def test_questions_about_no_fact_are_refused(kind) -> None:
    changed, need = NONE_IN_WORLD[kind]
    world = make_world(**SMALL | changed, seed=0)
    with pytest.raises(InputError) as refused:
        world.probes(kind)
    assert str(refused.value) == f"probes '{kind}': expected {need}, got none in this world"


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (
            lambda world: world.probes("near"),
            "kind: expected one of same, cross, parallel, unseen, got 'near'",
        ),
        (
            lambda world: world.probes("same", max_facts=0),
            "max_facts: expected a whole number of 1 or more, got 0",
        ),
        (
            lambda world: world.probes("same", max_facts=2.5),
            "max_facts: expected a whole number of 1 or more, got 2.5",
        ),
        (
            lambda world: world.probes(["same"]),
            "kind: expected one of same, cross, parallel, unseen, got ['same']",
        ),
        (
            lambda world: world.probes("same", seed="x"),
            "seed: expected a whole number, got 'x'",
        ),
        (
            lambda world: world.probes("same", full_cues="no"),
            "full_cues: expected True or False, got 'no'",
        ),
        (
            lambda world: matched_probes(world, [0], full_cues=1),
            "full_cues: expected True or False, got 1",
        ),
        (
            lambda world: matched_probes(world, [0, 1.7]),
            "facts: expected a whole number from 0 to 44, got 1.7",
        ),
        (
            lambda world: matched_probes(world, np.array([0.0])),
            "facts: expected a whole number from 0 to 44, got 0.0",
        ),
        (
            lambda world: matched_probes(world, []),
            "facts: expected a list of at least one whole number, got shape (0,)",
        ),
        (
            lambda world: matched_probes(world, [0, 45]),
            "facts: expected a whole number from 0 to 44, got 45",
        ),
        (
            lambda world: matched_probes(world, [-1]),
            "facts: expected a whole number from 0 to 44, got -1",
        ),
    ],
)
def test_impossible_questions_are_refused(ask, message) -> None:
    with pytest.raises(InputError) as refused:
        ask(make_world(**SMALL, seed=0))
    assert str(refused.value) == message
