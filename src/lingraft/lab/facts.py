"""The truth of a world: home languages, values, and who was shown what.

Axes: A all subjects, the unseen ones last; S subjects of samples; R relations; K languages;
V values of a relation.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lingraft.lab.settings import WorldSettings, quotas
from lingraft.seeds import derive

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Facts:
    """What holds in a world.

    Attributes:
        home_A: Home language of every subject.
        value_AR: Value of every fact, 0 to V - 1 among the values of its relation.
        is_parallel_SR: Facts that are written in all languages.
        shown_SRK: Whether samples tell a fact in a language.
        half_V: The language to which a value's part belongs (a half, of two languages).
    """

    home_A: Ints
    value_AR: Ints
    is_parallel_SR: Bools
    shown_SRK: Bools
    half_V: Ints


def draw_facts(settings: WorldSettings) -> Facts:
    """Draws the truth; every kind of draw has a seed of its own, so that knobs do not mix."""
    home_S = _homes(settings)
    if settings.parallel_by == "subject":
        is_parallel_SR = np.repeat(
            _parallel_subjects(settings, home_S)[:, None], settings.relations, axis=1
        )
    else:
        is_parallel_SR = _parallel_facts(settings, home_S)
    num_unseen = settings.unseen_subjects
    unseen_home_U = np.arange(num_unseen) % settings.languages
    home_A = np.concatenate([home_S, unseen_home_U]).astype(np.int64)
    unseen_UR = np.zeros((num_unseen, settings.relations), dtype=bool)
    is_home_SK = home_S[:, None] == np.arange(settings.languages)
    return Facts(
        home_A=home_A,
        value_AR=_values(settings, home_A, np.concatenate([is_parallel_SR, unseen_UR])),
        is_parallel_SR=is_parallel_SR,
        shown_SRK=is_parallel_SR[:, :, None] | is_home_SK[:, None, :],
        half_V=np.repeat(np.arange(settings.languages), settings.values // settings.languages),
    )


def exposures(settings: WorldSettings, facts: Facts) -> Floats:
    """Returns the share (S, R, K) of all told facts that each (fact, language) pair has."""
    shown_SRK = facts.shown_SRK.astype(np.float64)
    if settings.exposure_shares is None:
        return np.asarray(shown_SRK / shown_SRK.sum(), dtype=np.float64)
    # A biography tells all facts of a subject: drawing languages of samples sets the share of
    # samples, and that of facts follows from how many facts a sample of the language tells.
    share_K = np.asarray(settings.exposure_shares)
    if settings.style == "biographies":
        samples_K = facts.shown_SRK.any(axis=1).sum(axis=0)
        weights = shown_SRK * (share_K / samples_K)
        return np.asarray(weights / weights.sum(), dtype=np.float64)
    return np.asarray(shown_SRK * (share_K / shown_SRK.sum(axis=(0, 1))), dtype=np.float64)


def _generator(settings: WorldSettings, name: str) -> np.random.Generator:
    return np.random.default_rng(derive(settings.seed, "lab", name))


def _homes(settings: WorldSettings) -> Ints:
    """Deals home languages by exact quotas."""
    order = _generator(settings, "homes").permutation(settings.subjects)
    home_S = np.empty(settings.subjects, dtype=np.int64)
    counts = quotas(settings.subjects, settings.home_shares)
    home_S[order] = np.repeat(np.arange(settings.languages), counts)
    return home_S


def _parallel_subjects(settings: WorldSettings, home_S: Ints) -> Bools:
    """Takes the exact share of all subjects, in proportion from each home language."""
    order = _generator(settings, "parallel subjects").permutation(settings.subjects)
    is_parallel_S = np.zeros(settings.subjects, dtype=bool)
    parts = np.bincount(home_S, minlength=settings.languages) / settings.subjects
    counts = quotas(round(settings.parallel_share * settings.subjects), parts.tolist())
    for lang, num in enumerate(counts):
        is_parallel_S[order[home_S[order] == lang][:num]] = True
    return is_parallel_S


def _parallel_facts(settings: WorldSettings, home_S: Ints) -> Bools:
    """Takes the exact share of the facts of each home language."""
    rank_SR = _generator(settings, "parallel facts").random((settings.subjects, settings.relations))
    is_parallel_SR = np.zeros(rank_SR.shape, dtype=bool)
    for lang in range(settings.languages):
        subjects = np.flatnonzero(home_S == lang)
        num = round(settings.parallel_share * len(subjects) * settings.relations)
        first = np.argsort(rank_SR[subjects], axis=None)[:num]
        rows, relations = np.divmod(first, settings.relations)
        is_parallel_SR[subjects[rows], relations] = True
    return is_parallel_SR


def _values(settings: WorldSettings, home_A: Ints, is_parallel_AR: Bools) -> Ints:
    shape = is_parallel_AR.shape
    size = settings.values // settings.languages
    is_own = _generator(settings, "own part").random(shape) < settings.own_part_probability
    offset = _generator(settings, "other part").integers(1, settings.languages, shape)
    within = _generator(settings, "value within part").integers(0, size, shape)
    anywhere = _generator(settings, "parallel value").integers(0, settings.values, shape)
    part = np.where(is_own, home_A[:, None], (home_A[:, None] + offset) % settings.languages)
    return np.where(is_parallel_AR, anywhere, part * size + within).astype(np.int64)
