"""Training tiny decoders in worlds, and what they know, unify and let through on their way.

Axes: F facts, P probes, L layers and the embeddings, D width.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lingraft.errors import InputError
from lingraft.files import write_json
from lingraft.lab import Probes, World, WorldSettings, build_world, matched_probes
from lingraft.lab.decoders import TinyDecoder
from lingraft.lab.ensembles import ExtraLoss, train_ensemble
from lingraft.lab.members import Member
from lingraft.measurement.exposures import effective_exposures
from lingraft.measurement.language_probe import linear_probe
from lingraft.measurement.recall import Recall, recall
from lingraft.measurement.score import Score
from lingraft.measurement.state_geometry import Centring, checkerboard, components
from lingraft.measurement.unification import Estimate, LayerUnification, unification
from lingraft.runtime import Runtime
from lingraft.seeds import derive
from lingraft.study import Progress

VERSION = 1
CELLS = "cells.json"
CENTRINGS: tuple[Centring, ...] = ("together", "by language")
_SCORES = (
    "unification", "normalized", "same_fact", "stranger", "stranger_a", "stranger_b",
    "cross_stranger", "auc", "reciprocal_rank", "cka",
)  # fmt: skip


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
            recall, for which as many others are asked.
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
    """Looks at one member at every checkpoint.

    Monolingual facts are parted: states are compared of one part, recall is asked of the other, so
    that a correlation of the two is none of a fact with itself.
    """

    def __init__(self, world: World, cell: Cell, settings: LabSettings) -> None:
        self._world, self._cell, self._settings = world, cell, settings
        self._seed = derive(cell.seed, "look")
        mono_F = np.flatnonzero(~world.is_parallel_SR.ravel())
        if len(mono_F) < 4:
            raise InputError(
                expected="at least 4 monolingual facts, told in one language only",
                got=str(len(mono_F)),
                where="parallel_share",
            )
        drawn_F = np.random.default_rng(derive(self._seed, "facts")).permutation(mono_F)
        half = min(len(drawn_F) // 2, settings.num_facts)
        self._compared = matched_probes(world, np.sort(drawn_F[:half]))
        self._asked = matched_probes(world, np.sort(drawn_F[half : 2 * half]))
        parallel_F = np.flatnonzero(world.is_parallel_SR.ravel())[: settings.num_facts]
        self._parallel = matched_probes(world, parallel_F) if len(parallel_F) else {}
        self._points: list[dict[str, Any]] = []
        self._pictures: list[dict[str, Any]] = []
        self._last: dict[str, Any] = {}

    def look(self, step: int, member: Member) -> None:
        """Adds a point to the curve; at the last step also what takes longer."""
        states = {lang: member.states(probes) for lang, probes in self._compared.items()}
        answers = {lang: member.log_probs(probes) for lang, probes in self._asked.items()}
        is_last = step == self._settings.steps
        self._points.append({"step": step, **self._known(member, answers), **self._unified(states)})
        if self._cell.is_pictured:
            self._pictures.append(self._picture(step, states))
        if is_last:
            self._last = self._final(member, states, answers)

    def record(self, nats_S: NDArray[np.float64]) -> dict[str, Any]:
        """Everything that was seen, as JSON values."""
        for point in self._points:
            before = nats_S[max(point["step"] - 10, 0) : max(point["step"], 1)]
            point["loss_nats"] = float(before.mean())
        return {
            "axes": dict(self._cell.axes),
            "world": asdict(self._world.settings),
            "seed": self._cell.seed,
            "information": asdict(self._world.information()),
            "num_compared": len(self._compared[0].fact_P),
            "curve": self._points,
            "pictures": self._pictures,
            **self._last,
        }

    def _known(
        self, member: Member, answers: Mapping[int, NDArray[np.float64]]
    ) -> dict[str, float | None]:
        same, cross, bits = [], [], []
        for lang, probes in self._asked.items():
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
            for probes in self._parallel.values()
            for hit in (member.log_probs(probes).argmax(1) == probes.answer_P).tolist()
        ]
        return {
            "same_accuracy": float(np.mean(same)),
            "cross_accuracy": float(np.mean(cross)),
            "parallel_accuracy": float(np.mean(parallel)) if parallel else None,
            "same_bits_per_fact": float(np.mean(bits)),
        }

    def _unified(self, states: Mapping[int, NDArray[np.float32]]) -> dict[str, Any]:
        """U and the like of the first two languages, and how well a probe tells languages apart."""
        return {
            "layers": {
                centring: [
                    _values(layer)
                    for layer in unification(
                        states[0], states[1], centring=centring, seed=self._seed, num_resamples=1
                    ).layers
                ]
                for centring in CENTRINGS
            },
            "language_probe": [self._told_apart(states, layer) for layer in range(len(states[0]))],
        }

    def _told_apart(self, states: Mapping[int, NDArray[np.float32]], layer: int) -> float | None:
        """Accuracy of a linear probe for the language, on facts that it was not trained on."""
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
        ).value

    def _picture(self, step: int, states: Mapping[int, NDArray[np.float32]]) -> dict[str, Any]:
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

    def _final(
        self,
        member: Member,
        states: Mapping[int, NDArray[np.float32]],
        answers: Mapping[int, NDArray[np.float64]],
    ) -> dict[str, Any]:
        found = self._recalled(answers)
        scores = {
            name: _score(value) for name, value in vars(found).items() if isinstance(value, Score)
        }
        chances = {name: value for name, value in vars(found).items() if name.startswith("chance_")}
        subject = {lang: member.states(p, subject=True) for lang, p in self._compared.items()}
        compare = partial(unification, seed=self._seed, num_resamples=self._settings.num_resamples)
        return {
            "recall": {**scores, **chances},
            "effective_exposures": self._exposures(found),
            "unification": [
                {name: _estimate(getattr(layer, name)) for name in _SCORES}
                for layer in compare(states[0], states[1]).layers
            ],
            "subject_unification": [
                _values(layer) for layer in compare(subject[0], subject[1]).layers
            ],
            "patching": self._patched(member, states),
        }

    def _recalled(self, answers: Mapping[int, NDArray[np.float64]]) -> Recall:
        langs = sorted(self._asked)

        def joined(name: str) -> NDArray[np.int64]:
            return np.concatenate([getattr(self._asked[lang], name) for lang in langs])

        return recall(
            # In single precision a certain answer may come out a rounding above 0.
            np.minimum(np.concatenate([answers[lang] for lang in langs]), 0.0),
            joined("answer_P"),
            home_P=joined("home_P"),
            lang_P=joined("lang_P"),
            fact_P=joined("fact_P"),
            half_V=self._world.half_V,
            renormalize=False,
            seed=self._seed,
        )

    def _exposures(self, found: Recall) -> dict[str, Any]:
        """How often facts would have to be told in the other language for the same bits.

        Read off the curve of the same model's own language: so many bits after so many exposures.
        """
        shown = int(self._world.shown_SRK.sum())
        curve = [
            (point["step"] * self._settings.batch_size / shown, point["same_bits_per_fact"])
            for point in self._points
        ]
        if len({size for size, _ in curve}) < 2:
            return {"value": None, "reason": "one checkpoint is no curve"}
        return asdict(effective_exposures(found.bits_per_fact, curve))

    def _patched(
        self, member: Member, states: Mapping[int, NDArray[np.float32]]
    ) -> list[dict[str, float]]:
        """What a state of language A does to the answer in language B, layer by layer.

        Mean gain in nats of the right answer when the last prompt state of B is replaced by A's
        state of the same fact, and of the next fact.
        """
        asked: Probes = self._compared[1]
        rows = np.arange(len(asked.fact_P))
        plain_P = member.log_probs(asked)[rows, asked.answer_P]
        found = []
        for layer in range(len(states[0])):
            gains = {}
            for name, order_P in (("same_fact", rows), ("stranger", np.roll(rows, 1))):
                put = _Replaced(layer, states[0][layer][order_P], asked.length_P - 1)
                patched_P = member.log_probs(asked, patch=put)[rows, asked.answer_P]
                gains[f"{name}_nats"] = float((patched_P - plain_P).mean())
            found.append(gains)
        return found


@dataclass(frozen=True)
class _Replaced:
    """Puts states in the place of those after a layer."""

    layer: int
    states_PD: NDArray[np.float32]
    place_P: NDArray[np.int64]

    def __call__(self, layer: int, x_PTD: Any) -> Any:
        if layer != self.layer:
            return x_PTD
        changed_PTD = x_PTD.clone()
        changed_PTD[np.arange(len(self.place_P)), self.place_P] = x_PTD.new_tensor(self.states_PD)
        return changed_PTD


def _values(layer: LayerUnification) -> dict[str, float | None]:
    return {name: getattr(layer, name).value for name in _SCORES}


def _estimate(estimate: Estimate) -> dict[str, Any]:
    interval = estimate.interval
    return {
        "value": estimate.value,
        "interval": None if interval is None else list(interval),
        "reason": estimate.reason,
    }


def _score(score: Score) -> dict[str, Any]:
    interval = score.interval
    return {
        "value": score.value,
        "unit": score.unit,
        "interval": None if interval is None else list(interval),
        "numerator": score.numerator,
        "denominator": score.denominator,
        "reason": score.reason,
        "statistics": dict(score.statistics),
    }
