"""Training tiny decoders in worlds, and what they know, unify and let through on their way.

Axes: F facts, P probes, L layers and the embeddings, D width.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lingraft.errors import InputError
from lingraft.files import write_json
from lingraft.lab import World, WorldSettings, build_world
from lingraft.lab.decoders import TinyDecoder
from lingraft.lab.ensembles import ExtraLoss, train_ensemble
from lingraft.lab.members import Member
from lingraft.measurement.language_probe import linear_probe
from lingraft.measurement.score import Score
from lingraft.measurement.state_geometry import Centring, checkerboard, components
from lingraft.measurement.unification import unification
from lingraft.pipelines.lab_outcomes import (
    Answers,
    estimate_record,
    exposures_record,
    floor_record,
    recall_record,
    score_answers,
)
from lingraft.pipelines.lab_patching import patch_states
from lingraft.pipelines.lab_questions import COMPARED, choose_questions
from lingraft.pipelines.told_values import statistics_nats, tokens_per_value
from lingraft.runtime import Runtime
from lingraft.seeds import derive
from lingraft.study import Progress

VERSION = 2
CELLS = "cells.json"
CENTRINGS: tuple[Centring, ...] = ("together", "by language")
_SCORES = (
    "unification", "normalized", "same_fact", "stranger", "stranger_a", "stranger_b",
    "cross_stranger", "auc", "reciprocal_rank", "cka",
)  # fmt: skip

States = Mapping[int, NDArray[np.float32]]
"""States (L, F, D) of the same facts by the language asked in."""


@dataclass(frozen=True)
class Cell:
    """One member: a world and the seed of its training.

    Attributes:
        world: Settings of the world.
        seed: Of weights, samples and their order.
        axes: What tables and panels call the cell by, such as ``{"parallel_share": 0.02}``.
        is_pictured: Whether its states are kept for pictures.
    """

    world: WorldSettings
    seed: int
    axes: Mapping[str, float | str] = field(default_factory=dict)
    is_pictured: bool = False


@dataclass(frozen=True)
class LabSettings:
    """How members are trained and looked at.

    Attributes:
        model: Shape of all.
        steps: Of training.
        checkpoints: Steps after which a member is looked at; the last one is `steps`.
        batch_size: Samples of a step.
        learning_rate: After the warm-up.
        warmup_steps: Over which it rises.
        weight_decay: AdamW's.
        num_facts: Most monolingual facts whose states are compared; none of them counts for
            recall, for which as many others are asked. As many parallel ones at most, and of
            unseen subjects.
        num_pictured: Facts of a checkerboard.
        num_resamples: Of intervals at the last checkpoint.
    """

    model: TinyDecoder
    steps: int
    checkpoints: tuple[int, ...]
    batch_size: int = 256
    learning_rate: float = 1.5e-3
    warmup_steps: int = 200
    weight_decay: float = 0.1
    num_facts: int = 200
    num_pictured: int = 12
    num_resamples: int = 200

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise InputError(expected="at least 1 step", got=str(self.steps), where="steps")
        if not self.checkpoints or max(self.checkpoints) != self.steps:
            raise InputError(
                expected=f"checkpoints that end with {self.steps}",
                got=str(self.checkpoints),
                where="checkpoints",
            )


def train_cells(
    *, cells: Sequence[Cell], settings: LabSettings, out: Path, runtime: Runtime, progress: Progress
) -> dict[str, Any]:
    """Trains one member for each cell, side by side, and writes what was seen to `cells.json`.

    Args:
        cells: Worlds and seeds.
        settings: Of all members.
        out: Folder for the file.
        runtime: Threads, device and precision.
        progress: Told of members that reach a checkpoint.

    Returns:
        Number of cells and of parameters.
    """
    worlds = [build_world(cell.world) for cell in cells]
    found = train_worlds(cells, worlds, settings, runtime=runtime, progress=progress)
    write_json(out / CELLS, found)
    return {"num_cells": len(cells), "num_parameters": found["num_parameters"]}


def train_worlds(
    cells: Sequence[Cell],
    worlds: Sequence[World],
    settings: LabSettings,
    *,
    extra_loss: ExtraLoss | None = None,
    runtime: Runtime,
    progress: Progress,
) -> dict[str, Any]:
    """Returns what `train_cells` writes, of given worlds; see `train_ensemble` of extra losses."""
    seen = [_Observer(world, cell, settings) for world, cell in zip(worlds, cells, strict=True)]
    lock = Lock()
    progress.start("training", float(len(cells) * len(settings.checkpoints)), "checkpoints")

    def observe(member: int, step: int, found: Member) -> None:
        seen[member].look(step, found)
        with lock:
            progress.advance(1.0)

    run = train_ensemble(
        worlds,
        model=settings.model,
        steps=settings.steps,
        seeds=[cell.seed for cell in cells],
        checkpoints=settings.checkpoints,
        observe=observe,
        batch_size=settings.batch_size,
        learning_rates=settings.learning_rate,
        warmup_steps=settings.warmup_steps,
        weight_decay=settings.weight_decay,
        extra_loss=extra_loss,
        runtime=runtime,
    )
    members = [one.record(nats_S) for one, nats_S in zip(seen, run.nats_MS, strict=True)]
    model = asdict(settings.model)
    return {"model": model, "num_parameters": run.num_parameters, "members": members}


class _Observer:
    """Looks at one member at every checkpoint, by the questions of `choose_questions`."""

    def __init__(self, world: World, cell: Cell, settings: LabSettings) -> None:
        self._world, self._cell, self._settings = world, cell, settings
        self._seed = derive(cell.seed, "look")
        self._questions = choose_questions(world, num_facts=settings.num_facts, seed=self._seed)
        self._points: list[dict[str, Any]] = []
        self._pictures: list[dict[str, Any]] = []
        self._last: dict[str, Any] = {}

    def look(self, step: int, member: Member) -> None:
        """Adds a point to the curve; at the last step also what takes longer."""
        questions = self._questions
        states = {lang: member.states(probes) for lang, probes in questions.compared.items()}
        answers = {lang: member.log_probs(probes) for lang, probes in questions.asked.items()}
        self._points.append({"step": step, **self._known(member, answers), **self._unified(states)})
        if self._cell.is_pictured:
            self._pictures.append(self._picture(step, states))
        if step == self._settings.steps:
            self._last = self._final(member, states, answers)

    def record(self, nats_S: NDArray[np.float64]) -> dict[str, Any]:
        """Everything that was seen, as JSON values; losses in nats per value."""
        num_tokens = tokens_per_value(self._world)
        for point in self._points:
            before = nats_S[max(point["step"] - 10, 0) : max(point["step"], 1)]
            point["loss_nats"] = float(before.mean()) * num_tokens
        return {
            "axes": dict(self._cell.axes),
            "world": asdict(self._world.settings),
            "seed": self._cell.seed,
            "information": asdict(self._world.information()),
            "statistics_nats": statistics_nats(self._world),
            "tokens_per_value": num_tokens,
            "compared_languages": list(COMPARED),
            "num_compared": len(self._questions.compared[0].fact_P),
            "num_asked": len(self._questions.asked[0].fact_P),
            "num_monolingual": self._questions.num_monolingual,
            "curve": self._points,
            "pictures": self._pictures,
            **self._last,
        }

    def _known(self, member: Member, answers: Answers) -> dict[str, float | None]:
        same, cross, bits = [], [], []
        for lang, probes in self._questions.asked.items():
            hit_P = answers[lang].argmax(1) == probes.answer_P
            rows = np.arange(len(hit_P))
            values = answers[lang].shape[1]
            gain_P = np.log2(values) + answers[lang][rows, probes.answer_P] / np.log(2)
            is_home_P = probes.home_P == lang
            same += hit_P[is_home_P].tolist()
            cross += hit_P[~is_home_P].tolist()
            bits += gain_P[is_home_P].tolist()
        parallel = [
            hit
            for probes in self._questions.parallel.values()
            for hit in (member.log_probs(probes).argmax(1) == probes.answer_P).tolist()
        ]
        return {
            "same_accuracy": float(np.mean(same)),
            "cross_accuracy": float(np.mean(cross)),
            "parallel_accuracy": float(np.mean(parallel)) if parallel else None,
            "same_bits_per_fact": float(np.mean(bits)),
        }

    def _unified(self, states: States) -> dict[str, Any]:
        """U and the like of A and B, and how well a probe tells them apart."""
        return {
            "layers": {
                centring: [
                    {name: getattr(layer, name).value for name in _SCORES}
                    for layer in unification(
                        states[0], states[1], centring=centring, seed=self._seed, num_resamples=1
                    ).layers
                ]
                for centring in CENTRINGS
            },
            "language_probe": [found.value for found in self._told_apart(states)],
        }

    def _unified_with_intervals(self, states: States) -> dict[str, Any]:
        return {
            centring: [
                {name: estimate_record(getattr(layer, name)) for name in _SCORES}
                for layer in unification(
                    states[0],
                    states[1],
                    centring=centring,
                    seed=self._seed,
                    num_resamples=self._settings.num_resamples,
                ).layers
            ]
            for centring in CENTRINGS
        }

    def _told_apart(self, states: States) -> list[Score]:
        """Of each layer, how often a linear probe names the language of facts new to it."""
        return [self._probed(states, layer) for layer in range(len(states[0]))]

    def _probed(self, states: States, layer: int) -> Score:
        half = len(states[0][layer]) // 2
        langs = sorted(states)
        train = np.concatenate([states[lang][layer][:half] for lang in langs])
        test = np.concatenate([states[lang][layer][half:] for lang in langs])
        num_test = len(states[0][layer]) - half
        return linear_probe(
            train,
            np.repeat(langs, half),
            test,
            np.repeat(langs, num_test),
            facts_test=np.tile(np.arange(num_test), len(langs)),
            seed=self._seed,
        )

    def _picture(self, step: int, states: States) -> dict[str, Any]:
        chosen = slice(0, self._settings.num_pictured)
        layers = []
        for a_FD, b_FD in zip(states[0], states[1], strict=True):
            flat = components(a_FD[chosen], b_FD[chosen])
            layers.append(
                {
                    "checkerboard": checkerboard(a_FD[chosen], b_FD[chosen]).round(2).tolist(),
                    "components": {
                        "a": np.round(flat.points_a, 3).tolist(),
                        "b": np.round(flat.points_b, 3).tolist(),
                        "shares": None if flat.shares is None else list(flat.shares),
                    },
                }
            )
        return {"step": step, "layers": layers}

    def _final(self, member: Member, states: States, answers: Answers) -> dict[str, Any]:
        questions, world, seed = self._questions, self._world, self._seed
        found = score_answers(questions.asked, answers, world=world, seed=seed)
        subject = {
            lang: member.states(probes, subject=True) for lang, probes in questions.compared.items()
        }
        return {
            "recall": recall_record(found),
            "floor": floor_record(member, questions.unseen, world=world, seed=seed),
            "effective_exposures": exposures_record(
                found,
                self._points,
                asked=questions.asked,
                world=world,
                batch_size=self._settings.batch_size,
            ),
            "unification": self._unified_with_intervals(states),
            "subject_unification": self._unified_with_intervals(subject),
            "language_probe": list(map(estimate_record, self._told_apart(states))),
            "subject_language_probe": list(map(estimate_record, self._told_apart(subject))),
            **patch_states(member, questions.compared[1], states[0], seed=seed),
        }
