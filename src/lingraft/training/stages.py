"""What is trained when, and how fast: stages of trainable parts and the learning-rate schedule."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

import torch
from transformers import PreTrainedModel

from lingraft.errors import InputError, ModelError
from lingraft.training.adapters import MARK

Part = Literal["embeddings", "edges", "all", "adapters"]
PARTS: tuple[Part, ...] = ("embeddings", "edges", "all", "adapters")
_NUM_EDGE_LAYERS = 2


@dataclass(frozen=True)
class Stage:
    """A stretch of training.

    Attributes:
        part: ``"embeddings"`` trains input rows and head; ``"edges"`` also the first and last
            two layers (arXiv 2408.04303, section 4); ``"all"`` everything; ``"adapters"`` input
            rows, head, and low-rank adapters that are merged into the layers in the end.
        share: Part of the whole budget, in (0, 1].
    """

    part: Part
    share: float


@dataclass(frozen=True)
class Schedule:
    """Warm-up, stable, decay: linear rise, plateau, linear fall to zero.

    The plateau does not depend on the length of the run, so that runs of several lengths can
    share it (Hu et al. 2024, MiniCPM).

    Attributes:
        learning_rate: On the plateau.
        warmup_share: Part of the run that rises.
        decay_share: Part of the run that falls.
    """

    learning_rate: float
    warmup_share: float = 0.05
    decay_share: float = 0.3

    def at(self, done: float, step_share: float) -> float:
        """Returns the learning rate of the step that begins when `done` of the run is over.

        Args:
            done: Share of the budget used before the step, in [0, 1).
            step_share: Share of the budget that one step uses: the first step already moves, and
                the last one still does.
        """
        middle = done + step_share / 2
        rise = 1.0 if self.warmup_share <= 0 else (done + step_share) / self.warmup_share
        fall = 1.0 if self.decay_share <= 0 else (1.0 - middle) / self.decay_share
        return self.learning_rate * max(min(rise, fall, 1.0), 0.0)


def check_stages(stages: tuple[Stage, ...]) -> None:
    """Refuses stages that do not fill the budget exactly.

    Raises:
        InputError: No stages, an unknown part, or shares that do not sum to 1.
    """
    total = sum(stage.share for stage in stages)
    good = all(stage.part in PARTS and stage.share > 0 for stage in stages)
    if not stages or not good or abs(total - 1.0) > 1e-9:
        raise InputError(
            expected=f"stages of parts {', '.join(PARTS)} with positive shares that sum to 1",
            got=str([(stage.part, stage.share) for stage in stages]),
            where="stages",
        )


def stage_at(stages: tuple[Stage, ...], done: float) -> Stage:
    """Returns the stage of the step that begins when `done` of the budget is used."""
    edge = 0.0
    for stage in stages:
        edge += stage.share
        if done < edge - 1e-9:
            return stage
    return stages[-1]


def trainable_parameters(
    model: PreTrainedModel, part: Part, *, frozen: Collection[str] = ()
) -> dict[str, torch.nn.Parameter]:
    """Returns the parameters of a part by name; tied ones appear once.

    Args:
        model: Any model of transformers.
        part: See `Stage`.
        frozen: Names of parameters that no stage trains.

    Raises:
        ModelError: The model has no recognisable list of layers, for ``"edges"``.
    """
    named = {n: parameter for n, parameter in model.named_parameters() if n not in frozen}
    if part == "all":
        return named
    chosen = {id(model.get_input_embeddings().weight), id(model.get_output_embeddings().weight)}
    if part == "edges":
        layers = _layers(model)
        for layer in [*layers[:_NUM_EDGE_LAYERS], *layers[-_NUM_EDGE_LAYERS:]]:
            chosen.update(id(parameter) for parameter in layer.parameters())
    if part == "adapters":
        chosen.update(id(parameter) for name, parameter in named.items() if MARK in name)
    return {name: parameter for name, parameter in named.items() if id(parameter) in chosen}


def _layers(model: PreTrainedModel) -> list[torch.nn.Module]:
    wanted = getattr(model.config, "num_hidden_layers", None)
    for module in model.modules():
        if isinstance(module, torch.nn.ModuleList) and len(module) == wanted:
            return list(module)
    raise ModelError(
        expected="a list of num_hidden_layers layers",
        got="none",
        where=str(model.config.model_type),
        hint='train "embeddings" or "all" instead',
    )
