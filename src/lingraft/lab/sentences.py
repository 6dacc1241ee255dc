"""Facts as sentences: template words, flips, and the order of words.

Axes: M sentences, F template words of a sentence, N names of a subject, X entries of a sentence
(F template words, N names, relation, value), R relations, Q paraphrases, K languages.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lingraft.lab.lexicon import NOTHING, Lexicon
from lingraft.lab.settings import WorldSettings
from lingraft.seeds import derive

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Cues:
    """What a sentence shows of its language.

    Attributes:
        word_MF: Which template word stands at each place, 0 to W - 1.
        is_own_MF: Whether it comes from a language's own set.
        lang_MF: From which language's.
        relation_lang_M: In which language the relation stands.
        has_tag_M: Whether there is a tag.
        tag_lang_M: Of which language.
    """

    word_MF: Ints
    is_own_MF: Bools
    lang_MF: Ints
    relation_lang_M: Ints
    has_tag_M: Bools
    tag_lang_M: Ints


@dataclass(frozen=True, eq=False)
class Paraphrases:
    """Sentence templates of biographies; a language's one is the translation of another's.

    Word order and choice of words are the same in all languages, so that only the words' forms
    tell the language. Subject and relation come before the value, or it could not be predicted.

    Attributes:
        word_RQF: Template words.
        order_RQX: For each place of a sentence, which entry of the plain order stands there.
        question_RF: Template words of the question, a choice that no paraphrase has.
    """

    word_RQF: Ints
    order_RQX: Ints
    question_RF: Ints


def draw_cues(settings: WorldSettings, lang_M: Ints, rng: np.random.Generator) -> Cues:
    """Draws what sentences of given languages show of them."""
    num, shape = len(lang_M), (len(lang_M), settings.template_tokens)
    return Cues(
        word_MF=rng.integers(0, settings.template_types, shape),
        is_own_MF=rng.random(shape) < settings.template_cues,
        lang_MF=_flip(settings, np.broadcast_to(lang_M[:, None], shape), rng),
        relation_lang_M=_flip(settings, lang_M, rng),
        has_tag_M=rng.random(num) < settings.tag_share,
        tag_lang_M=_flip(settings, lang_M, rng),
    )


def full_cues(settings: WorldSettings, lang_M: Ints, word_MF: Ints) -> Cues:
    """Returns cues that hide nothing: own words, no flips, the tag where there are tags."""
    return Cues(
        word_MF=word_MF,
        is_own_MF=np.ones(word_MF.shape, dtype=bool),
        lang_MF=np.broadcast_to(lang_M[:, None], word_MF.shape),
        relation_lang_M=lang_M,
        has_tag_M=np.full(len(lang_M), settings.tag_share > 0),
        tag_lang_M=lang_M,
    )


def draw_paraphrases(settings: WorldSettings) -> Paraphrases:
    """Draws the sentence templates of every relation, and keeps one back for questions."""
    rng = np.random.default_rng(derive(settings.seed, "lab", "paraphrases"))
    num_names = 2 if settings.names == "multi" else 1
    words, orders = [], []
    for _ in range(settings.relations):
        words.append(_word_choices(settings, rng))
        orders.append(
            [
                _word_order(settings.template_tokens, num_names, rng)
                for _ in range(settings.paraphrases)
            ]
        )
    word_RQF = np.array(words, dtype=np.int64)
    return Paraphrases(word_RQF[:, :-1], np.array(orders), word_RQF[:, -1])


def sentence_entries(
    lexicon: Lexicon, cues: Cues, *, subject_M: Ints, relation_M: Ints, value_M: Ints, lang_M: Ints
) -> Ints:
    """Returns the entries (M, X) of sentences in the plain order."""
    words_MF = np.where(
        cues.is_own_MF,
        lexicon.own_WK[cues.word_MF, cues.lang_MF],
        lexicon.shared_WK[cues.word_MF, lang_M[:, None]],
    )
    relation_M1 = lexicon.relation_RK[relation_M, cues.relation_lang_M][:, None]
    value_M1 = lexicon.value_RVK[relation_M, value_M, lang_M][:, None]
    return np.concatenate(
        [words_MF, lexicon.subject_AKN[subject_M, lang_M], relation_M1, value_M1], axis=1
    )


def tag_entries(lexicon: Lexicon, cues: Cues) -> Ints:
    """Returns the tag of each sentence, or nothing."""
    return np.where(cues.has_tag_M, lexicon.tag_K[cues.tag_lang_M], NOTHING)


def _flip(settings: WorldSettings, langs: Ints, rng: np.random.Generator) -> Ints:
    """Replaces languages by others; with as many draws whether or not there are flips."""
    is_flipped = rng.random(langs.shape) < settings.cue_flips
    offset = rng.integers(1, settings.languages, langs.shape)
    return np.where(is_flipped, (langs + offset) % settings.languages, langs)


def _word_choices(settings: WorldSettings, rng: np.random.Generator) -> list[tuple[int, ...]]:
    """Draws words for each paraphrase and the question, no two of them the same in any order."""
    choices: dict[tuple[int, ...], None] = {}
    while len(choices) <= settings.paraphrases:
        drawn = rng.integers(0, settings.template_types, settings.template_tokens)
        choices[tuple(sorted(drawn.tolist()))] = None
    return list(choices)


def _word_order(num_fillers: int, num_names: int, rng: np.random.Generator) -> list[int]:
    """Shuffles a sentence; names stay together, and the value follows subject and relation."""
    relation, value = num_fillers + num_names, num_fillers + num_names + 1
    names = list(range(num_fillers, relation))
    blocks = [[word] for word in range(num_fillers)] + [names, [relation], [value]]
    order = [blocks[i] for i in rng.permutation(len(blocks))]
    known = [order.index(block) for block in (names, [relation], [value])]
    for place, block in zip(sorted(known), _value_last(known, names, relation, value), strict=True):
        order[place] = block
    return [entry for block in order for entry in block]


def _value_last(known: list[int], names: list[int], relation: int, value: int) -> list[list[int]]:
    first, second = (names, [relation]) if known[0] < known[1] else ([relation], names)
    return [first, second, [value]]
