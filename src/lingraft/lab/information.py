"""How much facts and cues tell of the language: the two forces of arXiv 2508.11017, in bits.

All is exact arithmetic on the generator or on its corpus; no model is asked. Exposures weigh: a
fact counts as often as samples tell it.

Axes: S subjects, R relations, V values, K languages, B samples.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import xlogy

from lingraft.errors import InputError
from lingraft.lab.extractability import extractability
from lingraft.lab.facts import Facts, exposures
from lingraft.lab.samples import Grammar, Samples
from lingraft.lab.settings import WorldSettings
from lingraft.lab.vocabulary import TokenTable

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
        subject_bits: I(subject; language) by the generator's formula, exact for R relations; of
            biographies with exposures given, for as many samples of each language as were drawn.
        subject_limit_bits: The same for endlessly many relations, as the reference has it:
            1 - h(pi / (1 + pi)) by fact and (1 - pi) / (1 + pi) by subject, for two languages
            told equally often.
        subject_plug_in_bits: The same of the facts that were drawn.
        extractability: E = I(cues; language) / log2 K of the tokens of one sentence's cues, 0 to 1.
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
    grammar: Grammar, facts: Facts, table: TokenTable, *, told_SRK: Floats | None = None
) -> Information:
    """Works out what a world's facts and cues tell of the language.

    Args:
        grammar: How the world makes sentences.
        facts: Its truth.
        table: The tokens of its words.
        told_SRK: How often samples told each fact, for the plug-in estimates; None takes the shares
            that endlessly many samples would have.
    """
    settings = grammar.settings
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
        extractability=extractability(grammar, table),
        reason=NO_MONOLINGUAL if is_none else "",
    )


def count_told(settings: WorldSettings, facts: Facts, samples: Samples) -> Floats:
    """Counts (S, R, K) how often samples told each fact; a biography tells all of its subject.

    Raises:
        InputError: There is no sample, or one tells what the world never does.
    """
    told_SRK = np.zeros(facts.shown_SRK.shape)
    fact_B, lang_B = samples.fact_B, samples.lang_B
    subject_B, relation_B = np.divmod(fact_B, settings.relations)
    if len(lang_B) == 0:
        raise InputError(expected="at least one sample", got="none", where="samples")
    is_known_B = (subject_B < settings.subjects) & (lang_B < settings.languages)
    is_known_B[is_known_B] = facts.shown_SRK[
        subject_B[is_known_B], relation_B[is_known_B], lang_B[is_known_B]
    ]
    if not is_known_B.all():
        first = int(np.flatnonzero(~is_known_B)[0])
        raise InputError(
            expected="samples of this world",
            got=f"fact {fact_B[first]} in language {lang_B[first]}, which it never tells",
            where="samples",
        )
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
        # A biography is a sample however few of the facts it tells.
        is_whole = settings.style == "biographies" and settings.parallel_by == "fact"
        share_KK = np.sign(told_KK) if is_whole else told_KK
        weight_K = np.asarray(settings.exposure_shares) / (homes_K @ share_KK)
    if settings.parallel_by == "fact":
        return mutual_information_bits(homes_K[:, None] * told_KK * weight_K)
    mono_KK = np.diag(homes_K * (1 - share))
    parallel_KK = np.repeat(homes_K[:, None] * share, num, axis=1)
    return mutual_information_bits(np.concatenate([mono_KK, parallel_KK]) * weight_K)
