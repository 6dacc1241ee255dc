"""Which facts of a world a member is asked, and of which its states are compared.

Axes: F facts.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lingraft.errors import InputError
from lingraft.lab import Probes, World, WorldSettings, matched_probes
from lingraft.lab.facts import Facts, draw_facts
from lingraft.seeds import derive

COMPARED = (0, 1)
"""The languages A and B, of any number of them, whose states are compared."""
MIN_FACTS = 4
"""Monolingual facts of A and B: two to compare and two to ask."""

Asked = Mapping[int, Probes]
"""The same facts by the language in which they are asked."""


@dataclass(frozen=True)
class Questions:
    """The questions of one member.

    Attributes:
        compared: Monolingual facts at home in A or B, in these two languages.
        asked: Other monolingual facts, of any home, in every language.
        parallel: Parallel facts in every language; empty where there are none.
        unseen: Facts of subjects that no sample names, in every language; empty likewise.
        num_monolingual: All monolingual facts of the world.
    """

    compared: Asked
    asked: Asked
    parallel: Asked
    unseen: Asked
    num_monolingual: int


def choose_questions(world: World, *, num_facts: int, seed: int) -> Questions:
    """Draws the questions about a world.

    Monolingual facts are parted: states are compared of one part, recall is asked of the other, so
    that a correlation of the two is none of a fact with itself.

    Args:
        world: Asked about.
        num_facts: Most facts of each kind.
        seed: Of the draw.

    Raises:
        InputError: There are fewer than `MIN_FACTS` monolingual facts of A and B.
    """
    check_monolingual(world.settings, world.facts)
    rng = np.random.default_rng(derive(seed, "facts"))
    mono_F = rng.permutation(np.flatnonzero(~world.is_parallel_SR.ravel()))
    near_F = mono_F[np.isin(world.home_S[mono_F // world.settings.relations], COMPARED)]
    compared_F = near_F[: min(len(near_F) // 2, num_facts)]
    # Drawn anew: what comes first after the compared ones is of the other languages' homes.
    asked_F = rng.permutation(mono_F[~np.isin(mono_F, compared_F)])[: len(compared_F)]
    num_seen, num_all = world.is_parallel_SR.size, world.facts.value_AR.size
    compared = matched_probes(world, np.sort(compared_F))
    return Questions(
        compared={lang: compared[lang] for lang in COMPARED},
        asked=matched_probes(world, np.sort(asked_F)),
        parallel=_all_of(world, np.flatnonzero(world.is_parallel_SR.ravel())[:num_facts]),
        unseen=_all_of(world, rng.permutation(np.arange(num_seen, num_all))[:num_facts]),
        num_monolingual=len(mono_F),
    )


def check_monolingual(settings: WorldSettings, facts: Facts | None = None) -> None:
    """Refuses worlds with too few monolingual facts to look at a member.

    Args:
        settings: Of the world.
        facts: Its truth; None draws it.

    Raises:
        InputError: There are fewer than `MIN_FACTS` monolingual facts of A and B.
    """
    facts = draw_facts(settings) if facts is None else facts
    is_near_S = np.isin(facts.home_A[: settings.subjects], COMPARED)
    num = int((~facts.is_parallel_SR[is_near_S]).sum())
    if num < MIN_FACTS:
        raise InputError(
            expected=f"at least {MIN_FACTS} monolingual facts, told in one language only, of the "
            "first two languages",
            got=str(num),
            where="parallel_share",
            hint="tell fewer facts in all languages, or take more subjects or relations",
        )


def _all_of(world: World, fact_F: NDArray[np.int64]) -> Asked:
    return matched_probes(world, np.sort(fact_F)) if len(fact_F) else {}
