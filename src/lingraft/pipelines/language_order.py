"""One language after the other, or both at once: what is known of each before and after.

Axes: P probes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import torch

from lingraft.files import write_json
from lingraft.lab import Probes, Samples, World, build_world, matched_probes
from lingraft.lab.ensembles import train_ensemble
from lingraft.lab.members import Member
from lingraft.pipelines.lab_runs import Cell, LabSettings
from lingraft.runtime import Runtime
from lingraft.seeds import derive
from lingraft.study import Progress

VERSION = 1
ORDERS_FILE = "orders.json"
ORDERS: dict[str, tuple[int | None, int | None]] = {
    "A then B": (0, 1),
    "B then A": (1, 0),
    "mixed": (None, None),
}
"""Languages of the two stages; None is all of them."""

Weights = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class _Told:
    """What a world tells in one language, or in all."""

    world: World
    lang: int | None

    @property
    def num_tokens(self) -> int:
        """Size of the vocabulary."""
        return self.world.num_tokens

    @property
    def max_tokens(self) -> int:
        """Longest sample of the world."""
        return self.world.max_tokens

    def sample(self, num: int, rng: np.random.Generator) -> Samples:
        """Draws samples."""
        return self.world.sample(num, rng, lang=self.lang)


def teach_in_orders(
    *, cells: Sequence[Cell], settings: LabSettings, out: Path, runtime: Runtime, progress: Progress
) -> dict[str, Any]:
    """Teaches every world in two stages, in each of `ORDERS`, and writes what was known when.

    Each stage takes half of the steps, with an optimiser and a warm-up of its own in every order,
    so that orders differ in nothing but their samples. Facts are asked before the first stage and
    after each: monolingual ones of the first two languages, and parallel ones, in both.

    Args:
        cells: Worlds and seeds.
        settings: Of all members; checkpoints are those of stages.
        out: Folder for `orders.json`.
        runtime: Threads and device.
        progress: Told of orders.

    Returns:
        Number of members trained.
    """
    worlds = [build_world(cell.world) for cell in cells]
    exams = [_Exam(world, cell, settings) for world, cell in zip(worlds, cells, strict=True)]
    progress.start("orders", float(len(ORDERS)), "orders")
    found = []
    for name, order in ORDERS.items():
        marks = _taught(order, cells, worlds, exams, settings, runtime)
        found.append(
            {
                "order": name,
                "languages": list(order),
                "members": [
                    {"axes": dict(cell.axes), "seed": cell.seed, "after": after}
                    for cell, after in zip(cells, marks, strict=True)
                ],
            }
        )
        progress.advance(1.0)
    write_json(out / ORDERS_FILE, {"orders": found})
    return {"num_members": len(cells) * len(ORDERS)}


def _taught(
    order: Sequence[int | None],
    cells: Sequence[Cell],
    worlds: Sequence[World],
    exams: Sequence["_Exam"],
    settings: LabSettings,
    runtime: Runtime,
) -> list[list[dict[str, Any]]]:
    """What each member knew before the first stage and after every stage."""
    marks: list[list[dict[str, Any]]] = [[] for _ in cells]
    left: list[Weights] = [{} for _ in cells]
    lock = Lock()
    steps = max(settings.steps // len(order), 1)

    def observe(member: int, step: int, found: Member) -> None:
        known = exams[member].known(found)
        with lock:
            marks[member].append(known)
            left[member] = {name: weights.clone() for name, weights in found.weights.items()}

    for stage, lang in enumerate(order):
        train_ensemble(
            [_Told(world, lang) for world in worlds],
            model=settings.model,
            steps=steps,
            seeds=[
                cell.seed if stage == 0 else derive(cell.seed, "stage", stage) for cell in cells
            ],
            checkpoints=[0, steps] if stage == 0 else [steps],
            observe=observe,
            batch_size=settings.batch_size,
            learning_rates=settings.learning_rate,
            warmup_steps=settings.warmup_steps,
            weight_decay=settings.weight_decay,
            start=list(left) if stage else None,
            runtime=runtime,
        )
    return marks


class _Exam:
    """The questions of one member, the same ones after every stage of every order."""

    def __init__(self, world: World, cell: Cell, settings: LabSettings) -> None:
        rng = np.random.default_rng(derive(cell.seed, "exam"))
        home_F = np.repeat(world.home_S, world.settings.relations)
        is_parallel_F = world.is_parallel_SR.ravel()
        self._probes: dict[str, dict[int, Probes]] = {}
        for name, is_asked_F in (
            ("home_0", ~is_parallel_F & (home_F == 0)),
            ("home_1", ~is_parallel_F & (home_F == 1)),
            ("parallel", is_parallel_F),
        ):
            fact_F = rng.permutation(np.flatnonzero(is_asked_F))[: settings.num_facts]
            self._probes[name] = matched_probes(world, np.sort(fact_F)) if len(fact_F) else {}

    def known(self, member: Member) -> dict[str, Any]:
        """Accuracy and bits by kind of fact and by the language in which it is asked."""
        return {
            name: {
                str(lang): _mark(member, probes) for lang, probes in asked.items() if lang in (0, 1)
            }
            for name, asked in self._probes.items()
        }


def _mark(member: Member, probes: Probes) -> dict[str, float]:
    """Accuracy and mean log2(V · p) of the right values."""
    logs_PV = member.log_probs(probes)
    right_P = logs_PV[np.arange(len(probes.answer_P)), probes.answer_P]
    return {
        "accuracy": float((logs_PV.argmax(1) == probes.answer_P).mean()),
        "bits_per_fact": float((right_P / np.log(2) + np.log2(logs_PV.shape[1])).mean()),
        "num_facts": len(probes.answer_P),
    }
