"""Training samples, drawn over the facts that a world shows.

Axes: B samples, T tokens, X entries of a sample, S subjects, R relations, K languages, Z pairs of a
fact (biographies: a subject) and a language in which it is shown.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lingraft.lab.facts import Facts
from lingraft.lab.lexicon import NOTHING, START, Lexicon
from lingraft.lab.sentences import (
    Cues,
    Paraphrases,
    draw_cues,
    sentence_entries,
    tag_entries,
)
from lingraft.lab.settings import WorldSettings
from lingraft.lab.vocabulary import PAD, TokenTable, compose

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Samples:
    """Some training samples.

    Attributes:
        tokens_BT: Token ids, the start of text first, `PAD` behind.
        predicted_BT: Tokens that the loss is about: those of values, or all but start and padding.
        fact_B: The fact, ``subject * R + relation``; of a biography the first one that it tells.
        lang_B: The language of each sample.
    """

    tokens_BT: Ints
    predicted_BT: Bools
    fact_B: Ints
    lang_B: Ints


@dataclass(frozen=True, eq=False)
class Grammar:
    """How facts become rows of words.

    Attributes:
        settings: Of the world.
        lexicon: Its words.
        paraphrases: Sentence templates; None where samples are triples.
    """

    settings: WorldSettings
    lexicon: Lexicon
    paraphrases: Paraphrases | None


@dataclass(frozen=True, eq=False)
class Pairs:
    """What can be drawn, sorted by language.

    Attributes:
        subject_Z: The subject.
        relation_Z: The relation; 0 of a biography, which tells them all.
        lang_Z: The language.
        start_K: The first pair of each language.
        num_K: The pairs of each language.
    """

    subject_Z: Ints
    relation_Z: Ints
    lang_Z: Ints
    start_K: Ints
    num_K: Ints


def shown_pairs(settings: WorldSettings, facts: Facts) -> Pairs:
    """Lists the (fact, language) pairs of a world, or of biographies (subject, language)."""
    shown_KSR = np.moveaxis(facts.shown_SRK, 2, 0)
    if settings.style == "biographies":
        lang_Z, subject_Z = np.nonzero(shown_KSR.any(axis=2))
        relation_Z = np.zeros_like(lang_Z)
    else:
        lang_Z, subject_Z, relation_Z = np.nonzero(shown_KSR)
    num_K = np.bincount(lang_Z, minlength=settings.languages)
    return Pairs(subject_Z, relation_Z, lang_Z, np.cumsum(num_K) - num_K, num_K)


def draw_samples(
    grammar: Grammar,
    facts: Facts,
    pairs: Pairs,
    table: TokenTable,
    num: int,
    rng: np.random.Generator,
    *,
    num_tokens: int,
    lang: int | None = None,
) -> Samples:
    """Draws samples, all pairs equally often unless exposures are given, padded to `num_tokens`."""
    chosen = draw_pairs(grammar.settings, pairs, num, rng, lang=lang)
    entries_BX, is_value_BX, fact_B = draw_entries(grammar, facts, pairs, chosen, rng)
    tokens_BT, predicted_BT, _ = compose(table, entries_BX, is_value_BX, num_tokens=num_tokens)
    if grammar.settings.predict == "all":
        predicted_BT = tokens_BT != PAD
        predicted_BT[:, 0] = False
    return Samples(tokens_BT, predicted_BT, fact_B, pairs.lang_Z[chosen])


def draw_pairs(
    settings: WorldSettings,
    pairs: Pairs,
    num: int,
    rng: np.random.Generator,
    *,
    lang: int | None = None,
) -> Ints:
    """Draws numbers of pairs, of one language or of all."""
    if lang is not None:
        return rng.integers(pairs.start_K[lang], pairs.start_K[lang] + pairs.num_K[lang], num)
    if settings.exposure_shares is None:
        return rng.integers(0, len(pairs.lang_Z), num)
    lang_B = rng.choice(settings.languages, size=num, p=settings.exposure_shares)
    return pairs.start_K[lang_B] + rng.integers(0, pairs.num_K[lang_B])


def draw_entries(
    grammar: Grammar, facts: Facts, pairs: Pairs, chosen: Ints, rng: np.random.Generator
) -> tuple[Ints, Bools, Ints]:
    """Returns the entries (B, X) of samples of chosen pairs, which are values, and the facts."""
    subject_B, lang_B = pairs.subject_Z[chosen], pairs.lang_Z[chosen]
    if grammar.paraphrases is None:
        relation_B = pairs.relation_Z[chosen]
        cues = draw_cues(grammar.settings, lang_B, rng)
        body_BX = _sentences(grammar, facts, cues, subject_B, relation_B, lang_B)
        is_value_BX = np.zeros(body_BX.shape, dtype=bool)
        is_value_BX[:, -1] = True
        head_B2 = _heads(grammar.lexicon, cues)
    else:
        biography = _biographies(grammar, grammar.paraphrases, facts, subject_B, lang_B, rng)
        body_BX, is_value_BX, relation_B, head_B2 = biography
    entries_BX = np.concatenate([head_B2, body_BX], axis=1)
    is_value_BX = np.concatenate([np.zeros(head_B2.shape, dtype=bool), is_value_BX], axis=1)
    return entries_BX, is_value_BX, subject_B * grammar.settings.relations + relation_B


def _heads(lexicon: Lexicon, cues: Cues) -> Ints:
    tag_B = tag_entries(lexicon, cues)
    return np.stack([np.full_like(tag_B, START), tag_B], axis=1)


def _sentences(
    grammar: Grammar, facts: Facts, cues: Cues, subject_M: Ints, relation_M: Ints, lang_M: Ints
) -> Ints:
    return sentence_entries(
        grammar.lexicon,
        cues,
        subject_M=subject_M,
        relation_M=relation_M,
        value_M=facts.value_AR[subject_M, relation_M],
        lang_M=lang_M,
    )


def _biographies(
    grammar: Grammar,
    paraphrases: Paraphrases,
    facts: Facts,
    subject_B: Ints,
    lang_B: Ints,
    rng: np.random.Generator,
) -> tuple[Ints, Bools, Ints, Ints]:
    """Tells all shown facts of each subject in any order, each by one of its paraphrases.

    Returns:
        Entries (B, X) without start and tag, which of them are values, the first relation of each,
        and the start and tag (B, 2).
    """
    settings, lexicon = grammar.settings, grammar.lexicon
    num, num_relations = len(subject_B), settings.relations
    is_shown_BR = facts.shown_SRK[subject_B, :, lang_B]
    # Facts that are not shown get the last places, which stay empty.
    order_BR = np.argsort(rng.random(is_shown_BR.shape) + ~is_shown_BR, axis=1)
    is_told_M = np.take_along_axis(is_shown_BR, order_BR, axis=1).ravel()
    relation_M = order_BR.ravel()
    subject_M, lang_M = np.repeat(subject_B, num_relations), np.repeat(lang_B, num_relations)
    which_M = rng.integers(0, settings.paraphrases, len(relation_M))
    cues = draw_cues(settings, lang_M, rng)
    cues = replace(cues, word_MF=paraphrases.word_RQF[relation_M, which_M])
    plain_MX = _sentences(grammar, facts, cues, subject_M, relation_M, lang_M)
    if not settings.repeat_names:
        is_later_M = np.arange(len(relation_M)) % num_relations > 0
        _name_by_pronoun(plain_MX, is_later_M, settings, lexicon.pronoun_K[lang_M])
    order_MX = paraphrases.order_RQX[relation_M, which_M]
    stop_M1 = lexicon.stop_K[lang_M][:, None]
    entries_MX = np.concatenate([np.take_along_axis(plain_MX, order_MX, axis=1), stop_M1], axis=1)
    entries_MX[~is_told_M] = NOTHING
    is_value_MX = np.zeros(entries_MX.shape, dtype=bool)
    is_value_MX[:, :-1] = order_MX == plain_MX.shape[1] - 1
    head_M2 = _heads(lexicon, cues)
    return (
        entries_MX.reshape(num, -1),
        is_value_MX.reshape(num, -1),
        order_BR[:, 0],
        head_M2[::num_relations],
    )


def _name_by_pronoun(
    plain_MX: Ints, is_later_M: Bools, settings: WorldSettings, pronoun_M: Ints
) -> None:
    """Writes a pronoun in place of the names of later sentences."""
    first, relation = settings.template_tokens, plain_MX.shape[1] - 2
    plain_MX[is_later_M, first] = pronoun_M[is_later_M]
    plain_MX[is_later_M, first + 1 : relation] = NOTHING
