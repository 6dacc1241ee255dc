"""How much facts and cues tell of the language: the two forces of arXiv 2508.11017, in bits.

All is exact arithmetic on the generator or on its corpus; no model is asked. Exposures weigh: a
fact counts as often as samples tell it.

Axes: S subjects, R relations, V values, K languages, E entropies of sentences.
"""

import itertools
from dataclasses import dataclass
from math import log2

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import comb, xlogy

from lingraft.errors import InputError
from lingraft.lab.facts import Facts, exposures
from lingraft.lab.lexicon import Lexicon
from lingraft.lab.sentences import Cues, draw_cues
from lingraft.lab.settings import WorldSettings

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

NO_MONOLINGUAL = "no monolingual fact is told"


@dataclass(frozen=True)
class Information:
    """What facts and cues of a world tell of the language.

    Attributes:
        language_bits: Entropy of the language of a told fact; log2 K where all are told as often.
        value_bits: I(value; language | relation) of monolingual facts by the generator's formula:
            1 - h((1 + rho) / 2) for two languages told equally often. None without such facts.
        value_plug_in_bits: The same of the facts that were drawn. It overestimates by about
            (V - 1)(K - 1) / (2 N ln 2) bits for N facts of a relation.
        subject_bits: I(subject; language) by the generator's formula, exact for R relations.
        subject_limit_bits: The same for endlessly many relations, as the reference has it:
            1 - h(pi / (1 + pi)) by fact and (1 - pi) / (1 + pi) by subject, for two languages
            told equally often.
        subject_plug_in_bits: The same of the facts that were drawn.
        extractability: E = I(cues; language) / log2 K of one sentence's cues, 0 to 1.
        reason: Why a value is None, or empty.
    """

    language_bits: float
    value_bits: float | None
    value_plug_in_bits: float | None
    subject_bits: float
    subject_limit_bits: float
    subject_plug_in_bits: float
    extractability: float
    reason: str = ""


def measure_information(
    settings: WorldSettings, facts: Facts, lexicon: Lexicon, *, told_SRK: Floats | None = None
) -> Information:
    """Works out what a world's facts and cues tell of the language.

    Args:
        settings: Of the world.
        facts: Its truth.
        lexicon: Its words.
        told_SRK: How often samples told each fact, for the plug-in estimates; None takes the shares
            that endlessly many samples would have.
    """
    weight_SRK = exposures(settings, facts)
    told_SRK = weight_SRK if told_SRK is None else told_SRK
    is_mono_SR1 = ~facts.is_parallel_SR[:, :, None]
    mono_K = (weight_SRK * is_mono_SR1).sum(axis=(0, 1))
    is_none = (told_SRK * is_mono_SR1).sum() == 0
    return Information(
        language_bits=entropy_bits(weight_SRK.sum(axis=(0, 1))),
        value_bits=value_bits(settings, mono_K) if mono_K.sum() else None,
        value_plug_in_bits=(
            None if is_none else value_plug_in_bits(settings, facts, told_SRK * is_mono_SR1)
        ),
        subject_bits=subject_bits(settings, facts, weight_SRK),
        subject_limit_bits=_subject_limit_bits(settings, facts),
        subject_plug_in_bits=mutual_information_bits(told_SRK.sum(axis=1)),
        extractability=extractability(settings, lexicon),
        reason=NO_MONOLINGUAL if is_none else "",
    )


def count_told(settings: WorldSettings, facts: Facts, fact_B: Ints, lang_B: Ints) -> Floats:
    """Counts (S, R, K) how often samples told each fact; a biography tells all of its subject."""
    told_SRK = np.zeros(facts.shown_SRK.shape)
    subject_B, relation_B = np.divmod(fact_B, settings.relations)
    if settings.style == "triples":
        np.add.at(told_SRK, (subject_B, relation_B, lang_B), 1)
        return told_SRK
    num_SK = np.zeros((settings.subjects, settings.languages))
    np.add.at(num_SK, (subject_B, lang_B), 1)
    return np.asarray(facts.shown_SRK * num_SK[:, None, :], dtype=np.float64)


def entropy_bits(weights: Floats) -> float:
    """Returns the entropy, in bits, of weights that need not sum to 1."""
    total = weights.sum()
    return float(np.log(total) - xlogy(weights, weights).sum() / total) / float(np.log(2))


def mutual_information_bits(joint: Floats) -> float:
    """Returns the mutual information, in bits, of a table of weights (rows, columns)."""
    columns, rows = entropy_bits(joint.sum(axis=0)), entropy_bits(joint.sum(axis=1))
    return columns + rows - entropy_bits(joint)


def value_bits(settings: WorldSettings, language_K: Floats) -> float:
    """Returns I(value; language) of monolingual facts from the joint of language and part.

    Values are uniform within a part, so that the part tells all that the value does. With equal
    languages and p = (1 + (K - 1) rho) / K that is log2 K - h(p) - (1 - p) log2(K - 1). With
    unequal ones it is H(language) at rho = 1, and otherwise no multiple of it: the reference's
    factor h(q) holds at rho = 1 only.

    Args:
        settings: Of the world.
        language_K: Weights of the languages among told monolingual facts.
    """
    num, own = settings.languages, settings.own_part_probability
    channel_KK = np.full((num, num), (1 - own) / (num - 1))
    np.fill_diagonal(channel_KK, own)
    return mutual_information_bits(language_K[:, None] * channel_KK)


def value_plug_in_bits(settings: WorldSettings, facts: Facts, weight_SRK: Floats) -> float:
    """Returns I(value; language | relation) of weighted facts, by counting."""
    total = 0.0
    for relation in range(settings.relations):
        weight_SK = weight_SRK[:, relation]
        joint_VK = np.zeros((settings.values, settings.languages))
        np.add.at(joint_VK, facts.value_AR[: settings.subjects, relation], weight_SK)
        if joint_VK.sum():
            total += float(joint_VK.sum()) * mutual_information_bits(joint_VK)
    return total / float(weight_SRK.sum())


def subject_bits(settings: WorldSettings, facts: Facts, weight_SRK: Floats) -> float:
    """Returns what I(subject; language) is on average over draws of the parallel facts.

    By fact, a subject of a home language with N facts of which M are parallel has m parallel ones
    with the hypergeometric probability; by subject, all or none.
    """
    num, num_relations = settings.languages, settings.relations
    weight_K = weight_SRK.max(axis=(0, 1))  # the same for every fact that a language tells
    home_S = facts.home_A[: settings.subjects]
    given = 0.0
    for home in range(num):
        parallel_SR = facts.is_parallel_SR[home_S == home]
        total, parallel = parallel_SR.size, int(parallel_SR.sum())
        nums = np.arange(num_relations + 1)
        chances = stats.hypergeom.pmf(nums, total, parallel, num_relations) if total else 0 * nums
        if settings.parallel_by == "subject" and total:
            chances = np.bincount([0, num_relations], [1 - parallel / total, parallel / total])
        for num_parallel, chance in enumerate(chances):
            told_K = np.where(np.arange(num) == home, num_relations, num_parallel) * weight_K
            given += len(parallel_SR) * chance * told_K.sum() * entropy_bits(told_K)
    return entropy_bits(weight_SRK.sum(axis=(0, 1))) - float(given / weight_SRK.sum())


def _subject_limit_bits(settings: WorldSettings, facts: Facts) -> float:
    """Lets the number of relations grow: every subject has the same share of parallel facts."""
    share, num = settings.parallel_share, settings.languages
    homes_K = np.bincount(facts.home_A[: settings.subjects], minlength=num) / settings.subjects
    told_KK = np.full((num, num), share)
    np.fill_diagonal(told_KK, 1)
    weight_K = np.ones(num)
    if settings.exposure_shares is not None:
        weight_K = np.asarray(settings.exposure_shares) / (homes_K @ told_KK)
    if settings.parallel_by == "fact":
        return mutual_information_bits(homes_K[:, None] * told_KK * weight_K)
    mono_KK = np.diag(homes_K * (1 - share))
    parallel_KK = np.repeat(homes_K[:, None] * share, num, axis=1)
    return mutual_information_bits(np.concatenate([mono_KK, parallel_KK]) * weight_K)


def extractability(settings: WorldSettings, lexicon: Lexicon) -> float:
    """Returns E = I(cues; language) / log2 K of one sentence: template words, tag and relation.

    Languages count as equally frequent, so that E is about the cues alone. Exact: what cues tell is
    in how many point to each language, and those counts are enumerated. With templates alone, no
    flips and languages that spell alike, E = 1 - (1 - epsilon)^T. Transliterated words show their
    language even where they are shared, and only what is flipped can mislead. Left out: the
    subject, which informativeness is about, and cuts of words by separate merges.
    """
    share = float(lexicon.is_shared_R.mean())
    shared = _expected_entropy_bits(settings, has_own_relation=False)
    own = _expected_entropy_bits(settings, has_own_relation=True)
    return 1 - (share * shared + (1 - share) * own) / log2(settings.languages)


def sampled_extractability(
    settings: WorldSettings, lexicon: Lexicon, num: int, rng: np.random.Generator
) -> float:
    """Returns E as the mean over posteriors of drawn cues."""
    lang_M = rng.integers(0, settings.languages, num)
    relation_M = rng.integers(0, settings.relations, num)
    cues = draw_cues(settings, lang_M, rng)
    count_MK, is_certain_M = _cue_counts(settings, lexicon, cues, relation_M)
    entropy_M = _posterior_entropy_bits(settings, count_MK)
    return 1 - float(np.where(is_certain_M, 0, entropy_M).mean()) / log2(settings.languages)


def template_cues_for(extractability: float, template_tokens: int) -> float:
    """Returns the epsilon at which template words alone give an E: 1 - (1 - E)^(1 / T).

    Raises:
        InputError: E is not from 0 to 1, or there are no template words.
    """
    if not 0 <= extractability <= 1:
        raise InputError(
            expected="a share from 0 to 1", got=repr(extractability), where="extractability"
        )
    if template_tokens < 1:
        raise InputError(
            expected="at least 1 template token", got=str(template_tokens), where="template_tokens"
        )
    return float(1 - (1 - extractability) ** (1 / template_tokens))


def _expected_entropy_bits(settings: WorldSettings, *, has_own_relation: bool) -> float:
    """The mean entropy of the posterior over languages, given a sentence's cues."""
    num_words = settings.template_tokens
    nums, epsilon = np.arange(num_words + 1), settings.template_cues
    # binom.pmf of scipy 1.17 raises OverflowError for the smallest floats above 0.
    chance_of_words = comb(num_words, nums) * epsilon**nums * (1 - epsilon) ** (num_words - nums)
    if settings.transliterated:
        # A shared word is spelled in its own language's script and never flipped.
        chance_of_words = chance_of_words * (nums == num_words) * has_own_relation
    total = 0.0
    for num_own, chance in enumerate(chance_of_words):
        for num_tags, tag_chance in ((0, 1 - settings.tag_share), (1, settings.tag_share)):
            if chance * tag_chance:
                num_cues = num_own + num_tags + has_own_relation
                total += chance * tag_chance * _entropy_after_bits(settings, num_cues)
    return float(total)


def _entropy_after_bits(settings: WorldSettings, num_cues: int) -> float:
    """The mean entropy after so many cues, each the language's own or flipped."""
    count_EK = _all_counts(num_cues, settings.languages)
    flip = settings.cue_flips / (settings.languages - 1)
    # By symmetry the true language may be the first.
    chances = [1 - settings.cue_flips] + [flip] * (settings.languages - 1)
    chance_E = stats.multinomial.pmf(count_EK, num_cues, chances)
    return float(chance_E @ _posterior_entropy_bits(settings, count_EK))


def _all_counts(num_cues: int, num_languages: int) -> Ints:
    """All ways to spread cues over languages."""
    counts = itertools.product(range(num_cues + 1), repeat=num_languages - 1)
    return np.array([(num_cues - sum(rest), *rest) for rest in counts if sum(rest) <= num_cues])


def _posterior_entropy_bits(settings: WorldSettings, count_EK: Ints) -> Floats:
    """Entropy of P(language | counts of cues), languages being equally frequent before."""
    num_E1 = count_EK.sum(axis=1, keepdims=True)
    flip = settings.cue_flips / (settings.languages - 1)
    own, other = xlogy(count_EK, 1 - settings.cue_flips), xlogy(num_E1 - count_EK, flip)
    log_EK = own + other
    top_E1 = log_EK.max(axis=1, keepdims=True)
    # Counts that cannot occur, as two languages without flips, have no posterior and no chance.
    weight_EK = np.exp(log_EK - np.where(np.isfinite(top_E1), top_E1, 0))
    total_E = np.maximum(weight_EK.sum(axis=1), np.finfo(np.float64).tiny)
    entropy_E = np.log(total_E) - xlogy(weight_EK, weight_EK).sum(axis=1) / total_E
    return np.where(np.isfinite(top_E1[:, 0]), entropy_E / np.log(2), 0)


def _cue_counts(
    settings: WorldSettings, lexicon: Lexicon, cues: Cues, relation_M: Ints
) -> tuple[Ints, NDArray[np.bool_]]:
    """How many cues point to each language, and whether a word that cannot be flipped tells it."""
    langs = np.arange(settings.languages)
    is_own_relation_M = ~lexicon.is_shared_R[relation_M]
    count_MK = ((cues.lang_MF[:, :, None] == langs) & cues.is_own_MF[:, :, None]).sum(axis=1)
    count_MK += (cues.relation_lang_M[:, None] == langs) & is_own_relation_M[:, None]
    count_MK += (cues.tag_lang_M[:, None] == langs) & cues.has_tag_M[:, None]
    has_shared_M = (~cues.is_own_MF).any(axis=1) | ~is_own_relation_M
    return count_MK, has_shared_M & settings.transliterated
