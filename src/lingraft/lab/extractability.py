"""How easily a sentence's cues give its language away: E of arXiv 2508.11017.

Cues are what the model is shown of them: tokens. A word that languages share is a cue as well where
they write or cut it in different ways. Words begin with a space, or are one token each, so that the
tokens tell where one word ends and the next begins.

Axes: K languages, N equally likely words, F forms (rows of tokens that words can have), Y things
that sentences show, W template words, M sentences.
"""

from collections import Counter
from dataclasses import replace
from math import log2

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from lingraft.lab.arguments import share, whole_number
from lingraft.lab.lexicon import NOTHING
from lingraft.lab.samples import Grammar
from lingraft.lab.sentences import draw_cues, sentence_entries, tag_entries
from lingraft.lab.settings import WorldSettings
from lingraft.lab.vocabulary import TokenTable

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def extractability(grammar: Grammar, table: TokenTable) -> float:
    """Returns E = I(cues; language) / log2 K of one sentence: template words, tag and relation.

    Languages count as equally frequent, so that E is about the cues alone. Exact: what a sentence
    shows is summed up, word by word, by the posterior over languages that it leaves. With templates
    alone, no flips and languages that write alike, E = 1 - (1 - epsilon)^T. Left out: the subject,
    which informativeness is about, also where its form tells the language.

    Args:
        grammar: How the world makes sentences.
        table: The tokens of its words.
    """
    left = [_bits_left(places) * part for places, part in _sentences(grammar, table)]
    return 1 - sum(left) / log2(grammar.settings.languages)


def sampled_extractability(
    grammar: Grammar, table: TokenTable, num: int, rng: np.random.Generator
) -> float:
    """Returns E as the mean over posteriors of drawn sentences' cues.

    Args:
        grammar: How the world makes sentences.
        table: The tokens of its words.
        num: Sentences.
        rng: Draws them.
    """
    settings = grammar.settings
    lang_M = rng.integers(0, settings.languages, num)
    relation_M = rng.integers(0, settings.relations, num)
    cues = draw_cues(settings, lang_M, rng)
    if grammar.paraphrases is not None:
        which_M = rng.integers(0, settings.paraphrases, num)
        cues = replace(cues, word_MF=grammar.paraphrases.word_RQF[relation_M, which_M])
    nobody_M = np.zeros(num, dtype=np.int64)
    told_MX = sentence_entries(
        grammar.lexicon,
        cues,
        subject_M=nobody_M,
        relation_M=relation_M,
        value_M=nobody_M,
        lang_M=lang_M,
    )
    signals = _Signals(grammar, table)
    words_FK = signals.words(np.arange(settings.template_types))
    relations_FK = signals.relations(np.arange(settings.relations))
    chance_MK = signals.tag()[signals.form_I[tag_entries(grammar.lexicon, cues)]]
    chance_MK = chance_MK * relations_FK[signals.form_I[told_MX[:, -2]]]
    for place in range(settings.template_tokens):
        chance_MK = chance_MK * words_FK[signals.form_I[told_MX[:, place]]]
    posterior_MK = chance_MK / chance_MK.sum(axis=1, keepdims=True)
    left = -float(xlogy(posterior_MK, posterior_MK).sum(axis=1).mean()) / np.log(2)
    return float(1 - left / log2(settings.languages))


def template_cues_for(extractability: float, template_tokens: int) -> float:
    """Returns the epsilon at which template words alone give an E: 1 - (1 - E)^(1 / T).

    Raises:
        InputError: E is not from 0 to 1, or there are no template words.
    """
    wanted = share(extractability, "extractability")
    num_words = whole_number(template_tokens, "template_tokens", smallest=1)
    return float(1 - (1 - wanted) ** (1 / num_words))


class _Signals:
    """With what chance (F, K) each language shows each form at one place of a sentence."""

    def __init__(self, grammar: Grammar, table: TokenTable) -> None:
        self._settings, self._lexicon = grammar.settings, grammar.lexicon
        _, form_I = np.unique(table.tokens_IL, axis=0, return_inverse=True)
        self.form_I: Ints = form_I.ravel()

    def words(self, words_N: Ints) -> Floats:
        """A template word, one of some."""
        epsilon = self._settings.template_cues
        return self._signal(
            (self._lexicon.own_WK[words_N], epsilon * _flips(self._settings)),
            (self._lexicon.shared_WK[words_N], (1 - epsilon) * np.eye(self._settings.languages)),
        )

    def relations(self, relations_N: Ints) -> Floats:
        """A relation, one of some."""
        return self._signal((self._lexicon.relation_RK[relations_N], _flips(self._settings)))

    def tag(self) -> Floats:
        """A tag, or nothing."""
        tag_1K = self._lexicon.tag_K[None]
        tau = self._settings.tag_share
        return self._signal(
            (tag_1K, tau * _flips(self._settings)),
            (np.full_like(tag_1K, NOTHING), (1 - tau) * np.eye(self._settings.languages)),
        )

    def _signal(self, *parts: tuple[Ints, Floats]) -> Floats:
        """Adds up words (N, K) and the chance (K, K) of a language to write as another does.

        The chance is the same both ways.
        """
        chance_FK = np.zeros((int(self.form_I.max()) + 1, self._settings.languages))
        for entry_NK, chance_KK in parts:
            np.add.at(chance_FK, self.form_I[entry_NK], chance_KK / len(entry_NK))
        return chance_FK


def _flips(settings: WorldSettings) -> Floats:
    """The chance (K, K) of a cue of each language (rows) to be written in each (columns)."""
    flips_KK = np.full((settings.languages,) * 2, settings.cue_flips / (settings.languages - 1))
    np.fill_diagonal(flips_KK, 1 - settings.cue_flips)
    return flips_KK


def _sentences(grammar: Grammar, table: TokenTable) -> list[tuple[list[Floats], float]]:
    """Lists the kinds of sentences, each as what its places show (Y, K), with their shares.

    A triple's words are any ones, and its kinds are one. Those of a biography go together.
    """
    settings, signals = grammar.settings, _Signals(grammar, table)
    tag_YK = _summed(signals.tag())
    if grammar.paraphrases is None:
        word_YK = _summed(signals.words(np.arange(settings.template_types)))
        relation_YK = _summed(signals.relations(np.arange(settings.relations)))
        return [([tag_YK, relation_YK, *[word_YK] * settings.template_tokens], 1.0)]
    words = [_summed(signals.words(np.array([word]))) for word in range(settings.template_types)]
    relations = [_summed(signals.relations(np.array([r]))) for r in range(settings.relations)]
    # Most words show the same: sentences of equal signals are worked out once.
    by_bytes = {one.tobytes(): one for one in (*words, *relations)}
    kinds = Counter(
        (relations[relation].tobytes(), *sorted(words[word].tobytes() for word in words_F))
        for relation, words_QF in enumerate(grammar.paraphrases.word_RQF.tolist())
        for words_F in words_QF
    )
    return [
        ([tag_YK, *(by_bytes[one] for one in kind)], num / kinds.total())
        for kind, num in kinds.items()
    ]


def _bits_left(places: list[Floats]) -> float:
    """Returns the mean entropy, in bits, of the language when all places have been seen."""
    num_langs = places[0].shape[1]
    chance_YK = np.ones((1, num_langs))
    for place_YK in places:
        both_YYK = chance_YK[:, None] * place_YK
        chance_YK = _summed(both_YYK.reshape(-1, num_langs))
    total_Y = chance_YK.sum(axis=1)
    nats = (xlogy(total_Y, total_Y) - xlogy(chance_YK, chance_YK).sum(axis=1)).sum() / num_langs
    return float(nats / np.log(2))


def _summed(chance_YK: Floats) -> Floats:
    """Adds up the chances of things that leave the same posterior: they tell the same.

    Posteriors that differ by less than 1e-12 count as the same; no more than about as many bits
    are lost by it.
    """
    chance_YK = chance_YK[chance_YK.sum(axis=1) > 0]
    posterior_YK = chance_YK / chance_YK.sum(axis=1, keepdims=True)
    _, group_Y = np.unique(posterior_YK.round(12), axis=0, return_inverse=True)
    summed_YK = np.zeros((int(group_Y.max()) + 1, chance_YK.shape[1]))
    np.add.at(summed_YK, group_Y.ravel(), chance_YK)
    return summed_YK
