"""Which training examples made a fact likelier in a language that never told it.

Axes: P probes, E training examples, F facts.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lingraft.errors import InputError
from lingraft.files import write_json
from lingraft.lab import Probes, World, build_world
from lingraft.lab.ensembles import train_ensemble
from lingraft.lab.influence import gradient_products
from lingraft.lab.members import Member
from lingraft.lab.probes import build_probes, question_cues
from lingraft.measurement.score import bootstrap_interval
from lingraft.pipelines.lab_runs import Cell, LabSettings
from lingraft.runtime import Runtime
from lingraft.seeds import derive
from lingraft.study import Progress

VERSION = 1
INFLUENCE_FILE = "influence.json"
KINDS = ("same fact", "same value", "same subject", "parallel fact", "stranger")
SIDES = ("home", "asked")
"""The language in which an example is told: that of the fact's home, or that of the question."""

Bools = NDArray[np.bool_]


def trace_influence(
    *,
    cells: Sequence[Cell],
    settings: LabSettings,
    num_probes: int,
    out: Path,
    runtime: Runtime,
    progress: Progress,
) -> dict[str, Any]:
    """Sums learning rate times dot product of gradients over checkpoints, for every example.

    Cross-language probes ask monolingual facts in the other one of the first two languages. Every
    (fact, language) pair that a world shows is one training example, with cues drawn once.

    Args:
        cells: Worlds and seeds.
        settings: Of all members; of its checkpoints those after step 0 count.
        num_probes: Facts that are asked, of each member.
        out: Folder for `influence.json`.
        runtime: Threads and device.
        progress: Told of checkpoints.

    Returns:
        Number of members.

    Raises:
        InputError: A world has no monolingual facts.
    """
    checkpoints = [step for step in settings.checkpoints if step > 0]
    traces = [_Trace(build_world(cell.world), cell, num_probes) for cell in cells]
    lock = Lock()
    progress.start("influence", float(len(cells) * len(checkpoints)), "checkpoints")

    def observe(member: int, step: int, found: Member) -> None:
        rate = settings.learning_rate * min(step / max(settings.warmup_steps, 1), 1.0)
        traces[member].add(rate, found)
        with lock:
            progress.advance(1.0)

    train_ensemble(
        [trace.world for trace in traces],
        model=settings.model,
        steps=settings.steps,
        seeds=[cell.seed for cell in cells],
        checkpoints=checkpoints,
        observe=observe,
        batch_size=settings.batch_size,
        learning_rates=settings.learning_rate,
        warmup_steps=settings.warmup_steps,
        weight_decay=settings.weight_decay,
        runtime=runtime,
    )
    members = [trace.record() for trace in traces]
    write_json(out / INFLUENCE_FILE, {"checkpoints": checkpoints, "members": members})
    return {"num_members": len(cells)}


def example_groups(world: World, trained: Probes, asked: Probes) -> dict[tuple[str, str], Bools]:
    """Sorts training examples by what they have in common with each probe, (E, P) marks.

    Kinds exclude each other, in the order of `KINDS`: an example of a parallel fact with the
    probe's value counts as of the same value.

    Args:
        world: Both are about.
        trained: Training examples.
        asked: Probes, in another language than their fact's home.
    """

    def equal(name: str) -> Bools:
        trained_E1 = getattr(trained, name)[:, None]
        return np.asarray(trained_E1 == getattr(asked, name)[None, :])

    is_parallel_E1 = world.is_parallel_SR.ravel()[trained.fact_P][:, None]
    everything = np.ones((len(trained.fact_P), len(asked.fact_P)), dtype=bool)
    tests = (
        equal("fact_P"),
        equal("relation_P") & equal("answer_P"),
        equal("subject_P"),
        is_parallel_E1 & everything,
        everything,
    )
    side_EP = {
        "home": trained.lang_P[:, None] == asked.home_P[None, :],
        "asked": equal("lang_P"),
    }
    groups, left_EP = {}, everything
    for kind, test_EP in zip(KINDS, tests, strict=True):
        for side in SIDES:
            groups[kind, side] = left_EP & test_EP & side_EP[side]
        left_EP = left_EP & ~test_EP
    return groups


class _Trace:
    """One member's probes, its training examples, and their influence so far."""

    def __init__(self, world: World, cell: Cell, num_probes: int) -> None:
        self.world, self._cell = world, cell
        rng = np.random.default_rng(derive(cell.seed, "influence"))
        home_F = np.repeat(world.home_S, world.settings.relations)
        is_mono_F = ~world.is_parallel_SR.ravel() & (home_F < 2)
        if not is_mono_F.any():
            raise InputError(
                expected="monolingual facts, told in one language only",
                got="none",
                where="parallel_share",
            )
        fact_P = np.sort(rng.permutation(np.flatnonzero(is_mono_F))[:num_probes])
        self._asked = self._prompts(fact_P, 1 - home_F[fact_P], rng, is_full=True)
        shown_FK = world.shown_SRK.reshape(-1, world.settings.languages)
        fact_E, lang_E = np.nonzero(shown_FK)
        self._trained = self._prompts(fact_E, lang_E, rng, is_full=False)
        self._sum_EP = np.zeros((len(self._trained.fact_P), len(fact_P)))

    def add(self, rate: float, member: Member) -> None:
        """Adds a checkpoint's influence."""
        self._sum_EP += rate * gradient_products(member, self._trained, self._asked)

    def record(self) -> dict[str, Any]:
        """Mean influence of each group of examples, as JSON values."""
        groups = example_groups(self.world, self._trained, self._asked)
        return {
            "axes": dict(self._cell.axes),
            "seed": self._cell.seed,
            "num_probes": len(self._asked.fact_P),
            "groups": [
                {"kind": kind, "side": side, **self._mean(marks_EP)}
                for (kind, side), marks_EP in groups.items()
            ],
        }

    def _mean(self, marks_EP: Bools) -> Mapping[str, Any]:
        """The mean over (example, probe) pairs, with an interval over probes."""
        sum_P, num_P = (self._sum_EP * marks_EP).sum(axis=0), marks_EP.sum(axis=0)
        items = [(float(s), float(n)) for s, n in zip(sum_P, num_P, strict=True) if n]
        if not items:
            return {"value": None, "interval": None, "num_pairs": 0, "reason": "no such example"}
        interval = bootstrap_interval(items, scale=1.0, seed=self._cell.seed)
        return {
            "value": float(sum_P.sum() / num_P.sum()),
            "interval": None if interval is None else list(interval),
            "num_pairs": int(num_P.sum()),
            "reason": "",
        }

    def _prompts(
        self,
        fact_P: NDArray[np.int64],
        lang_P: NDArray[np.int64],
        rng: np.random.Generator,
        *,
        is_full: bool,
    ) -> Probes:
        world = self.world
        cues = question_cues(world.grammar, fact_P, lang_P, is_full=is_full, rng=rng)
        return build_probes(world.grammar, world.facts, world.table, fact_P, lang_P, cues)
