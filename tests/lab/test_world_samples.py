"""Samples: they show what is to be shown, as often as it should be, and spell it right."""

import numpy as np
import pytest
from hypothesis import given, settings
from scipy.stats import chisquare
from world_cases import SMALL, arguments

from lingraft.lab import BOS, PAD, make_world


def spelled(world, tokens) -> str:
    """The text of tokens, by their names alone."""
    names = world.vocabulary
    if world.settings.tokens == "bytes":
        return bytes(int(token) - 2 for token in tokens if token > BOS).decode("utf-8")
    glue = " " if world.settings.tokens == "symbols" else ""
    return glue.join(names[token] for token in tokens if token > BOS)


def word(world, entry: int) -> str:
    return world.grammar.lexicon.spellings[entry]


def entries_of(world, subject: int, lang: int) -> str:
    glue = " " if world.settings.tokens == "symbols" else ""
    return glue.join(word(world, e) for e in world.grammar.lexicon.subject_AKN[subject, lang])


@settings(max_examples=30)
@given(arguments())
def test_samples_tell_true_facts_that_are_shown(given_arguments) -> None:
    world = make_world(**given_arguments)
    samples = world.sample(30, np.random.default_rng(0))
    lexicon, kind = world.grammar.lexicon, world.settings
    assert samples.tokens_BT.shape == (30, world.max_tokens)
    assert samples.tokens_BT.dtype == np.int64
    assert samples.predicted_BT.dtype == bool
    assert (samples.tokens_BT[:, 0] == BOS).all()
    assert samples.tokens_BT.max() < world.num_tokens
    assert not samples.predicted_BT[samples.tokens_BT == PAD].any()
    for tokens, predicted, fact, lang in zip(
        samples.tokens_BT, samples.predicted_BT, samples.fact_B, samples.lang_B, strict=True
    ):
        subject, relation = divmod(int(fact), kind.relations)
        assert world.shown_SRK[subject, relation, lang]
        text = spelled(world, tokens)
        assert entries_of(world, subject, lang) in text
        told = np.flatnonzero(world.shown_SRK[subject, :, lang])
        told = told if kind.style == "biographies" else [relation]
        values = [word(world, lexicon.value_RVK[r, world.value_SR[subject, r], lang]) for r in told]
        assert all(value in text for value in values)
        if kind.predict == "all":
            np.testing.assert_array_equal(predicted, tokens > BOS)
        elif kind.tokens != "symbols":
            marked = sorted(spelled(world, tokens[predicted]).split())
            assert marked == sorted(value.strip() for value in values)
        else:
            assert sorted(spelled(world, tokens[predicted]).split()) == sorted(values)
        if kind.style == "triples":
            assert text.endswith(values[0])


def test_all_shown_pairs_come_equally_often() -> None:
    world = make_world(subjects=20, parallel_share=0.25, seed=0)
    samples = world.sample(20_000, np.random.default_rng(0))
    counts = np.zeros(world.shown_SRK.shape)
    np.add.at(counts, (*np.divmod(samples.fact_B, 5), samples.lang_B), 1)
    assert (counts[~world.shown_SRK] == 0).all()
    assert chisquare(counts[world.shown_SRK]).pvalue > 1e-3


def test_languages_are_exposed_as_asked_and_their_facts_equally() -> None:
    world = make_world(subjects=20, exposure_shares=(0.9, 0.1), seed=0)
    samples = world.sample(20_000, np.random.default_rng(0))
    assert (samples.lang_B == 1).mean() == pytest.approx(0.1, abs=0.01)
    of_first = samples.fact_B[samples.lang_B == 0]
    counts = np.unique(of_first, return_counts=True)[1]
    assert len(counts) == 50
    assert chisquare(counts).pvalue > 1e-3


def test_first_facts_of_biographies_are_any_shown_ones() -> None:
    world = make_world(**SMALL, style="biographies", parallel_share=0.5, seed=0)
    samples = world.sample(30_000, np.random.default_rng(0))
    counts = np.zeros(world.shown_SRK.shape)
    np.add.at(counts, (*np.divmod(samples.fact_B, 3), samples.lang_B), 1)
    assert (counts[~world.shown_SRK] == 0).all()
    for subject, lang in zip(*np.nonzero(world.shown_SRK.any(axis=1)), strict=True):
        shown = counts[subject, world.shown_SRK[subject, :, lang], lang]
        assert len(shown) == 1 or chisquare(shown).pvalue > 1e-6


def template(sentence: str) -> tuple[str, ...]:
    """The words of a sentence, with S, R and V for its subject, relation and value."""
    kinds = {"s": "S", "r": "R"}
    return tuple("V" if "v" in found else kinds.get(found[0], found) for found in sentence.split())


def test_biographies_use_all_paraphrases_and_keep_the_question_back() -> None:
    world = make_world(**SMALL, style="biographies", paraphrases=4, seed=0)
    told: dict[str, set[tuple[str, ...]]] = {"r0": set(), "r1": set(), "r2": set()}
    for text in world.documents(2000, np.random.default_rng(0), 0):
        for sentence in text.split(" .")[:-1]:
            relation = next(name for name in told if name in sentence.split())
            told[relation].add(template(sentence))
    asked = world.probes("same")
    for relation, templates in told.items():
        assert len(templates) == 4
        assert all(t.index("V") > max(t.index("S"), t.index("R")) for t in templates)
        which = (asked.relation_P == int(relation[1:])) & (asked.lang_P == 0)
        questions = {template(spelled(world, tokens)) for tokens in asked.tokens_PT[which]}
        (question,) = questions
        assert question[-2:] == ("S", "R")
        fillers = {tuple(sorted(w for w in t if w[0] == "w")) for t in templates}
        assert tuple(sorted(question[:-2])) not in fillers
        assert len(fillers) == 4
    assert len({tuple(w[0] for w in t) for templates in told.values() for t in templates}) > 4


@pytest.mark.parametrize("repeat_names", [True, False])
def test_biographies_name_the_subject_in_each_sentence_or_once(repeat_names) -> None:
    world = make_world(
        **SMALL, style="biographies", names="multi", repeat_names=repeat_names, seed=0
    )
    for text in world.documents(50, np.random.default_rng(0)):
        assert text.count("first") == text.count("last") == (3 if repeat_names else 1)
        assert text.count("they") == (0 if repeat_names else 2)
        assert text.count(" .") == 3
        assert "they" not in text.split(" .")[0]


def test_cues_come_as_often_as_asked() -> None:
    world = make_world(
        template_cues=0.3, tag_share=0.6, cue_flips=0.2, relation_overlap=0.0, seed=0
    )
    samples = world.sample(20_000, np.random.default_rng(0))
    names = np.array(world.vocabulary)
    text_BT = names[samples.tokens_BT]
    is_tag_BT = np.char.startswith(text_BT, "lang/")
    is_word_BT = np.char.startswith(text_BT, "w")
    is_own_BT = is_word_BT & (np.char.find(text_BT, "/") > 0)
    assert is_tag_BT.sum() / 20_000 == pytest.approx(0.6, abs=0.02)
    assert is_own_BT.sum() / is_word_BT.sum() == pytest.approx(0.3, abs=0.01)
    own = np.char.add("/", samples.lang_B.astype(str))[:, None]
    is_relation_BT = np.char.startswith(text_BT, "r") & (np.char.find(text_BT, "v") < 0)
    for cue_BT in (is_tag_BT, is_own_BT, is_relation_BT):
        is_flipped = ~np.char.endswith(text_BT, own)[cue_BT]
        assert is_flipped.mean() == pytest.approx(0.2, abs=0.02)
    assert (np.flatnonzero(is_tag_BT.any(axis=0)) == [1]).all()
