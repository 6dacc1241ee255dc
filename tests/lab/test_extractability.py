"""Extractability: what the tokens of cues tell, in closed form, by listing all, and by drawing."""

import itertools
from collections import defaultdict
from math import log2

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from world_cases import SMALL, SPELLED

from lingraft.errors import InputError
from lingraft.lab import make_world, sampled_extractability, template_cues_for
from lingraft.lab.lexicon import NOTHING

Drawn = list[tuple[int, float]]
SEPARATE = {"tokens": "bpe", "vocab_size": 300, "bpe_merges": "separate"}
TRANSLITERATED = {"tokens": "bytes", "transliterated": True}


def flips(world, lang: int) -> list[tuple[int, float]]:
    eta, num = world.settings.cue_flips, world.settings.languages
    return [(m, 1 - eta if m == lang else eta / (num - 1)) for m in range(num)]


def words(world, lang: int, some) -> Drawn:
    """Entries of a template place and their chances, from the definitions."""
    lexicon, eps = world.grammar.lexicon, world.settings.template_cues
    shared = [(lexicon.shared_WK[w, lang], (1 - eps) / len(some)) for w in some]
    return shared + [
        (lexicon.own_WK[w, m], eps * p / len(some)) for w in some for m, p in flips(world, lang)
    ]


def sentences(world, lang: int):
    """Yields the places of every kind of sentence, and its share."""
    kind, lexicon = world.settings, world.grammar.lexicon
    tag = [(NOTHING, 1 - kind.tag_share)]
    tag += [(lexicon.tag_K[m], kind.tag_share * p) for m, p in flips(world, lang)]
    for r in range(kind.relations):
        relation = [(lexicon.relation_RK[r, m], p) for m, p in flips(world, lang)]
        if kind.style == "triples":
            told = [words(world, lang, range(kind.template_types))] * kind.template_tokens
            yield [tag, *told, relation], 1 / kind.relations
            continue
        for choice in world.grammar.paraphrases.word_RQF[r]:
            told = [words(world, lang, [w]) for w in choice]
            yield [tag, *told, relation], 1 / kind.relations / kind.paraphrases


def brute_force(world) -> float:
    """I(tokens; language) / log2 K by listing every sentence's tokens in every language."""
    num = world.settings.languages
    joint: dict[tuple[int, ...], np.ndarray] = defaultdict(lambda: np.zeros(num))
    for lang in range(num):
        for places, share in sentences(world, lang):
            for drawn in itertools.product(*places):
                entries = [entry for entry, _ in drawn]
                tokens = world.table.tokens_IL[entries]
                shown = tokens[np.arange(tokens.shape[1]) < world.table.length_I[entries][:, None]]
                joint[tuple(shown.tolist())][lang] += share * np.prod([p for _, p in drawn])
    left = 0.0
    for chances in joint.values():
        if chances.sum():
            posterior = chances[chances > 0] / chances.sum()
            left -= chances.sum() / num * float(posterior @ np.log2(posterior))
    return 1 - left / log2(num)


@settings(max_examples=40)
@given(
    st.sampled_from(SPELLED),
    st.sampled_from(["triples", "biographies"]),
    st.sampled_from([2, 3]),
    st.integers(1, 2),
    st.sampled_from([0.0, 0.3, 1.0]),
    st.sampled_from([0.0, 0.2, 0.9, 1.0]),
    st.sampled_from([0.0, 0.6, 1.0]),
    st.sampled_from([0.0, 0.5, 1.0]),
)
def test_extractability_is_that_of_all_token_rows(
    spelled, style, langs, num_words, eps, eta, tau, overlap
) -> None:
    world = make_world(
        **spelled,
        style=style,
        languages=langs,
        subjects=6,
        relations=2,
        values=6,
        unseen_subjects=0,
        template_tokens=num_words,
        template_types=3,
        paraphrases=2,
        template_cues=eps,
        cue_flips=eta,
        tag_share=tau,
        relation_overlap=overlap,
        seed=0,
    )
    assert world.information().extractability == pytest.approx(brute_force(world), abs=1e-9)


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


@pytest.mark.parametrize("style", ["triples", "biographies"])
@pytest.mark.parametrize(
    "changed",
    [
        {"template_cues": 0.3},
        {"template_cues": 0.5, "cue_flips": 0.2, "tag_share": 0.3, "relation_overlap": 0.6},
        {"template_cues": 0.5, "cue_flips": 0.3, "languages": 4},
        {"template_cues": 0.8, "cue_flips": 0.3, "template_tokens": 0, **TRANSLITERATED},
        {"template_cues": 0.3, "cue_flips": 0.3, "languages": 4, **SEPARATE},
    ],
)
def test_drawn_cues_tell_what_the_formula_says(changed, style) -> None:
    several = {"template_tokens": 2} if style == "biographies" else {}
    world = make_world(**SMALL | changed | several, style=style, paraphrases=3, seed=0)
    exact = world.information().extractability
    drawn = sampled_extractability(world.grammar, world.table, 50_000, np.random.default_rng(0))
    assert 0.1 < exact <= 1
    assert drawn == pytest.approx(exact, abs=0.01)


def test_a_script_of_its_own_tells_the_language_even_in_shared_words() -> None:
    plain = make_world(**SMALL, template_cues=0.0, tokens="bytes", seed=0)
    spelled = make_world(**SMALL, template_cues=0.0, **TRANSLITERATED, seed=0)
    assert plain.information().extractability == 0
    assert spelled.information().extractability == 1


def test_a_shared_relation_in_the_script_of_a_language_can_mislead_as_it_is_flipped() -> None:
    world = make_world(**SMALL, template_tokens=0, cue_flips=0.25, **TRANSLITERATED, seed=0)
    expected = 1 + 0.25 * log2(0.25) + 0.75 * log2(0.75)
    assert world.information().extractability == pytest.approx(expected)


@pytest.mark.parametrize("overlap", [0.0, 1.0])
def test_separate_merges_tell_the_language_where_they_cut_a_shared_word_apart(overlap) -> None:
    hidden = SMALL | {"template_cues": 0.0, "relation_overlap": overlap}
    shared = make_world(**hidden, tokens="bpe", vocab_size=300, seed=0)
    separate = make_world(**hidden, **SEPARATE, seed=0)
    assert shared.information().extractability == pytest.approx(1 - overlap)
    lexicon, cuts = separate.grammar.lexicon, separate.table.tokens_IL
    telling = [
        float((cuts[entries[:, 0]] != cuts[entries[:, 1]]).any(axis=1).mean())
        for entries in (lexicon.shared_WK, lexicon.relation_RK)
    ]
    assert telling[0] > 0
    # What does not tell is a sentence with no word that is cut apart.
    expected = 1 - (1 - telling[0]) ** 2 * (1 - telling[1])
    assert separate.information().extractability == pytest.approx(expected)


@given(st.floats(0, 1), st.integers(1, 6))
def test_template_cues_for_an_extractability_give_it(wanted, num_words) -> None:
    epsilon = template_cues_for(wanted, num_words)
    assert 0 <= epsilon <= 1
    assert 1 - (1 - epsilon) ** num_words == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize(
    ("wanted", "num_words", "message"),
    [
        (1.2, 2, "extractability: expected a share from 0 to 1, got 1.2"),
        ("x", 2, "extractability: expected a share from 0 to 1, got 'x'"),
        (0.5, 0, "template_tokens: expected a whole number of 1 or more, got 0"),
        (0.5, 1.5, "template_tokens: expected a whole number of 1 or more, got 1.5"),
    ],
)
def test_impossible_extractabilities_are_refused(wanted, num_words, message) -> None:
    with pytest.raises(InputError) as refused:
        template_cues_for(wanted, num_words)
    assert str(refused.value) == message
