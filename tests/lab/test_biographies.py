"""Biographies: the fact told first, the tokens of values, and questions, however words are cut."""

from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from world_cases import SHARES, SMALL, SPELLED

from lingraft.lab import BOS, PAD, World, make_world, matched_probes
from lingraft.lab.vocabulary import TokenTable

Found = list[tuple[int, int, list[int]]]
"""Sentences: the relation, the value and where the value's tokens are."""


@st.composite
def biographies(draw: st.DrawFn) -> dict[str, Any]:
    """Draws arguments of worlds of biographies with several paraphrases."""
    langs = draw(st.sampled_from([2, 4]))
    unequal = tuple(np.arange(1, langs + 1) / np.arange(1, langs + 1).sum())
    return {
        **SMALL,
        **draw(st.sampled_from(SPELLED)),
        "style": "biographies",
        "paraphrases": draw(st.integers(2, 4)),
        "languages": langs,
        "parallel_share": draw(st.sampled_from([0.0, 0.3, 0.5])),
        "parallel_by": draw(st.sampled_from(["fact", "subject"])),
        "exposure_shares": draw(st.sampled_from([None, unequal])),
        "home_language_share": draw(st.sampled_from([None, unequal])),
        "names": draw(st.sampled_from(["single", "multi"])),
        "repeat_names": draw(st.booleans()),
        "seed": draw(st.integers(0, 3)),
        **{
            name: draw(SHARES)
            for name in ("template_cues", "tag_share", "subject_overlap", "value_overlap")
        },
    }


def cut(world: World, entries: Any) -> list[int]:
    """Tokens of entries in a row."""
    table = world.table
    rows = [table.tokens_IL[e, : table.length_I[e]] for e in np.atleast_1d(entries)]
    return np.concatenate(rows).tolist()


def place(tokens: list[int], wanted: list[int]) -> int:
    """Where a row of tokens begins in another, -1 if nowhere."""
    starts = range(len(tokens) - len(wanted) + 1)
    return next((i for i in starts if tokens[i : i + len(wanted)] == wanted), -1)


def read(world: World, tokens: list[int], lang: int) -> Found:
    """Reads a biography back, sentence by sentence, by the tokens of its words alone."""
    lexicon, stop = world.grammar.lexicon, cut(world, world.grammar.lexicon.stop_K[lang])
    found, first = [], 0
    while first < len(tokens):
        length = place(tokens[first:], stop)
        assert length > 0
        sentence = tokens[first : first + length]
        (relation,) = [
            r
            for r in range(world.settings.relations)
            if place(sentence, cut(world, lexicon.relation_RK[r, lang])) >= 0
        ]
        (value,) = [
            v
            for v in range(world.settings.values)
            if place(sentence, cut(world, lexicon.value_RVK[relation, v, lang])) >= 0
        ]
        told = cut(world, lexicon.value_RVK[relation, value, lang])
        at = place(sentence, told)
        assert at > place(sentence, cut(world, lexicon.relation_RK[relation, lang]))
        found.append((relation, value, [first + at + i for i in range(len(told))]))
        first += length + len(stop)
    return found


@settings(max_examples=25)
@given(biographies())
def test_biographies_tell_the_fact_they_name_first_and_mark_all_values(arguments) -> None:
    world = make_world(**arguments)
    samples = world.sample(12, np.random.default_rng(0))
    assert samples.tokens_BT.shape[1] == world.max_tokens
    for row, marks, fact, lang in zip(
        samples.tokens_BT, samples.predicted_BT, samples.fact_B, samples.lang_B, strict=True
    ):
        tokens = row[row != PAD].tolist()
        assert tokens[0] == BOS
        subject, relation = divmod(int(fact), world.settings.relations)
        found = read(world, tokens, lang)
        assert found[0][0] == relation
        shown = np.flatnonzero(world.shown_SRK[subject, :, lang]).tolist()
        assert sorted(r for r, _, _ in found) == shown
        assert all(world.value_SR[subject, r] == value for r, value, _ in found)
        name = cut(world, world.grammar.lexicon.subject_AKN[subject, lang])
        assert 0 < place(tokens, name) < found[0][2][0]
        np.testing.assert_array_equal(
            np.flatnonzero(marks), sorted(at for _, _, places in found for at in places)
        )


@settings(max_examples=15)
@given(biographies())
def test_questions_of_biographies_say_the_template_that_is_kept_back(arguments) -> None:
    world = make_world(**arguments)
    lexicon, paraphrases = world.grammar.lexicon, world.grammar.paraphrases
    assert paraphrases is not None
    has_tag = world.settings.tag_share > 0
    for lang, probes in matched_probes(world, [0, 7, 22, 40]).items():
        for i, (subject, relation) in enumerate(
            zip(probes.subject_P, probes.relation_P, strict=True)
        ):
            words = paraphrases.question_RF[relation]
            kept = sorted(words.tolist())
            assert kept not in [sorted(row) for row in paraphrases.word_RQF[relation].tolist()]
            entries = [
                *([lexicon.tag_K[lang]] if has_tag else []),
                *lexicon.own_WK[words, lang],
                *lexicon.subject_AKN[subject, lang],
                lexicon.relation_RK[relation, lang],
            ]
            told = probes.tokens_PT[i, : probes.length_P[i]].tolist()
            assert told == [BOS, *cut(world, entries)]


def test_a_pronoun_longer_than_any_name_has_room() -> None:
    world = make_world(**SMALL, style="biographies", repeat_names=False, paraphrases=2, seed=0)
    length_I = world.table.length_I.copy()
    length_I[world.grammar.lexicon.pronoun_K] = 5
    tokens_IL = np.repeat(world.table.tokens_IL, 5, axis=1)
    longer = replace(world, table=TokenTable(tokens_IL, length_I, world.table.names))
    row_BT = longer.sample(40, np.random.default_rng(0)).tokens_BT
    plain_BT = world.sample(40, np.random.default_rng(0)).tokens_BT
    # Three facts are told, two of them by the pronoun.
    np.testing.assert_array_equal((row_BT != PAD).sum(axis=1), (plain_BT != PAD).sum(axis=1) + 8)
