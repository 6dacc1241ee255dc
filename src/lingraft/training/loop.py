"""Continued pretraining: one loop for every arm of every study.

Our own loop rather than `transformers.Trainer`, because a stopped run has to end with the same
bytes on disk as an unbroken one, and batches are counted in bytes of text.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from accelerate import Accelerator
from transformers import PreTrainedModel

from lingraft.corpus.records import Document
from lingraft.errors import InputError
from lingraft.runtime import Runtime
from lingraft.tokenizer.tokenizer import Tokenizer
from lingraft.training.batches import IGNORED, Batch, Packing, pack, text_of_steps
from lingraft.training.checkpoints import (
    Checkpoint,
    drop_checkpoints,
    read_checkpoint,
    write_checkpoint,
)
from lingraft.training.stages import (
    Schedule,
    Stage,
    check_stages,
    stage_at,
    trainable_parameters,
)
from lingraft.units import Budget

_BETAS = (0.9, 0.95)
_MAX_GRADIENT_NORM = 1.0


class Advance(Protocol):
    """What the loop tells of its progress."""

    def __call__(self, done: float, note: str) -> None:
        """`done` is the share of the budget that is used."""


@dataclass(frozen=True)
class CurvePoint:
    """What an evaluation found after some training; clock readings are kept apart."""

    step: int
    num_bytes: int
    num_tokens: int
    values: dict[str, float | None]


@dataclass
class TrainingRun:
    """What a training did.

    Attributes:
        step: Optimiser steps made.
        num_bytes: Bytes of text trained on.
        num_tokens: Tokens predicted.
        train_nats: Mean training loss of each step, in nats per token.
        curve: Evaluations, the first before any training.
        curve_seconds: Training seconds at each evaluation, evaluations themselves left out.
        seconds: Training seconds in all, those before an interruption included.
    """

    step: int = 0
    num_bytes: int = 0
    num_tokens: int = 0
    train_nats: list[float] = field(default_factory=list)
    curve: list[CurvePoint] = field(default_factory=list)
    curve_seconds: list[float] = field(default_factory=list)
    seconds: float = 0.0


def continue_pretraining(
    model: PreTrainedModel,
    tokenizer: Tokenizer,
    documents: Sequence[Document],
    *,
    budget: Budget,
    packing: Packing,
    schedule: Schedule,
    stages: tuple[Stage, ...],
    seed: int,
    weight_decay: float = 0.0,
    runtime: Runtime | None = None,
    evaluate: Callable[[PreTrainedModel], dict[str, float | None]] | None = None,
    num_evaluations: int = 0,
    checkpoints: Path | None = None,
    checkpoint_seconds: float = 120.0,
    advance: Advance | None = None,
) -> TrainingRun:
    """Trains a model on documents, in place.

    Weights and AdamW moments are float32; the forward pass runs in bfloat16 where the device
    computes it in hardware. With a budget in bytes or steps the result depends on the arguments
    alone, also when the run was stopped and gone on with; a budget in seconds depends on the
    machine.

    Args:
        model: In float32.
        tokenizer: The model's tokenizer.
        documents: Training text; repeated in a new order when the budget is larger.
        budget: Bytes of text, optimiser steps, or seconds.
        packing: How text becomes batches.
        schedule: Learning rate.
        stages: What is trained when.
        seed: Of the order of documents.
        weight_decay: AdamW's, on matrices only.
        runtime: Threads, device and precision.
        evaluate: Called with the model at evaluation points; its values go into the curve.
        num_evaluations: Evenly spaced points in bytes or steps, beside the one before training.
        checkpoints: Folder for checkpoints; a run found there goes on.
        checkpoint_seconds: Time between checkpoints.
        advance: Told after every step.

    Returns:
        Steps, bytes, losses and the curve.

    Raises:
        InputError: A budget under one batch, no text, or stages that do not fill the budget.
    """
    check_stages(stages)
    runtime = runtime or Runtime()
    _check_budget(budget, packing, documents)
    torch.set_num_threads(runtime.threads)
    accelerator = Accelerator(cpu=runtime.device == "cpu")
    model.to(accelerator.device)
    loop = _Loop(
        model, tokenizer, packing, schedule, stages, budget, weight_decay, runtime, accelerator
    )
    plan = list(_plan(documents, budget, packing, seed)) if not budget.timed else None
    marks = _evaluation_steps(len(plan), num_evaluations) if plan is not None else set()
    if checkpoints is not None:
        loop.resume(checkpoints)
    if evaluate is not None and not loop.run.curve:
        loop.note_point(evaluate)
    steps = iter(plan[loop.run.step :]) if plan is not None else _timed(documents, packing, seed, loop)
    saved = time.monotonic()
    for texts in steps:
        total = len(plan) if plan is not None else None
        loop.step(pack(texts, tokenizer=tokenizer, packing=packing), total)
        if evaluate is not None and loop.run.step in marks:
            loop.note_point(evaluate)
        if advance is not None:
            advance(loop.done(total), f"{loop.run.train_nats[-1]:.2f} nats/token")
        if checkpoints is not None and time.monotonic() - saved > checkpoint_seconds:
            write_checkpoint(checkpoints, loop.checkpoint())
            saved = time.monotonic()
    if evaluate is not None and plan is None:
        loop.note_point(evaluate)
    if checkpoints is not None:
        drop_checkpoints(checkpoints)
    model.eval()
    return loop.run


class _Loop:
    """The state of one training run."""

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: Tokenizer,
        packing: Packing,
        schedule: Schedule,
        stages: tuple[Stage, ...],
        budget: Budget,
        weight_decay: float,
        runtime: Runtime,
        accelerator: Accelerator,
    ) -> None:
        self.model, self.run = model, TrainingRun()
        self._schedule, self._stages, self._budget = schedule, stages, budget
        self._accelerator = accelerator
        self._precision = autocast_dtype(accelerator.device, runtime)
        self._names = {id(p): name for name, p in model.named_parameters()}
        self._optimizer = torch.optim.AdamW(
            [
                {"params": [p for p in model.parameters() if p.dim() > 1]},
                {"params": [p for p in model.parameters() if p.dim() <= 1], "weight_decay": 0.0},
            ],
            lr=schedule.learning_rate,
            betas=_BETAS,
            weight_decay=weight_decay,
            fused=True,
        )
        self._part: str | None = None

    def done(self, total: int | None) -> float:
        """Share of the budget that is used."""
        if total is not None:
            return self.run.step / total
        return min(self.run.seconds / (self._budget.num_seconds or math.inf), 1.0)

    def step(self, batch: Batch, total: int | None) -> None:
        """Makes one optimiser step."""
        started = time.monotonic()
        done = self.done(total)
        self._open(stage_at(self._stages, done))
        share = 1 / total if total is not None else self._mean_share()
        for group in self._optimizer.param_groups:
            group["lr"] = self._schedule.at(done, share)
        self.model.train()
        nats = self._loss(batch)
        self._accelerator.backward(nats)
        torch.nn.utils.clip_grad_norm_(
            [p for p in self.model.parameters() if p.grad is not None], _MAX_GRADIENT_NORM
        )
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self.run.step += 1
        self.run.num_bytes += batch.num_bytes
        self.run.num_tokens += batch.num_tokens
        self.run.train_nats.append(float(nats.detach()))
        self.run.seconds += time.monotonic() - started

    def note_point(
        self, evaluate: Callable[[PreTrainedModel], dict[str, float | None]]
    ) -> None:
        """Adds an evaluation to the curve."""
        self.model.eval()
        run = self.run
        run.curve.append(
            CurvePoint(run.step, run.num_bytes, run.num_tokens, evaluate(self.model))
        )
        run.curve_seconds.append(run.seconds)

    def checkpoint(self) -> Checkpoint:
        """Returns everything that the rest of the run depends on."""
        tensors = {f"model.{n}": p.detach().cpu() for n, p in self.model.named_parameters()}
        steps = {}
        for parameter, moments in self._optimizer.state.items():
            name = self._names[id(parameter)]
            tensors[f"exp_avg.{name}"] = moments["exp_avg"].cpu()
            tensors[f"exp_avg_sq.{name}"] = moments["exp_avg_sq"].cpu()
            steps[name] = float(moments["step"])
        return Checkpoint(tensors, {**asdict(self.run), "optimizer_steps": steps})

    def resume(self, folder: Path) -> None:
        """Takes up the newest whole checkpoint, if there is one."""
        found = read_checkpoint(folder)
        if found is None:
            return
        state: dict[str, Any] = dict(found.state)
        steps = state.pop("optimizer_steps")
        curve = [CurvePoint(**point) for point in state.pop("curve")]
        self.run = TrainingRun(**state, curve=curve)
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                parameter.copy_(found.tensors[f"model.{name}"])
                if name in steps:
                    self._optimizer.state[parameter] = {
                        "step": torch.tensor(steps[name], dtype=torch.float32),
                        "exp_avg": found.tensors[f"exp_avg.{name}"].to(parameter.device),
                        "exp_avg_sq": found.tensors[f"exp_avg_sq.{name}"].to(parameter.device),
                    }

    def _open(self, stage: Stage) -> None:
        """Lets the stage's parts receive gradients; AdamW passes over parameters without."""
        if stage.part == self._part:
            return
        chosen = trainable_parameters(self.model, stage.part)
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(name in chosen)
        self._part = stage.part

    def _mean_share(self) -> float:
        """The share of a budget in seconds that a step has used so far."""
        seconds = self._budget.num_seconds or math.inf
        return self.run.seconds / max(self.run.step, 1) / seconds

    def _loss(self, batch: Batch) -> torch.Tensor:
        device = self._accelerator.device
        dtype = self._precision or torch.float32
        with torch.autocast(device.type, dtype=dtype, enabled=self._precision is not None):
            logits_RTV = self.model(
                input_ids=batch.x_RT.to(device),
                attention_mask=batch.blocked_mask(dtype).to(device),
                position_ids=batch.position_RT.to(device),
                use_cache=False,
            ).logits
        loss: torch.Tensor = torch.nn.functional.cross_entropy(
            logits_RTV.float().flatten(0, 1),
            batch.labels_RT.to(device).flatten(),
            ignore_index=IGNORED,
        )
        return loss


def autocast_dtype(device: torch.device, runtime: Runtime) -> torch.dtype | None:
    """Returns bfloat16 where the device computes it in hardware or the user insists, else None."""
    if runtime.precision == "float32":
        return None
    if runtime.precision == "bfloat16":
        return torch.bfloat16
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else None
    if device.type == "cpu":
        has = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
        return torch.bfloat16 if has() else None
    return None


def _plan(
    documents: Sequence[Document], budget: Budget, packing: Packing, seed: int
) -> list[list[Document]]:
    """The documents of every step of a budget in bytes or steps."""
    stream = text_of_steps(
        documents, batch_bytes=packing.batch_bytes, seed=seed, max_bytes=budget.num_bytes
    )
    if budget.num_steps is None:
        return list(stream)
    return [texts for _, texts in zip(range(budget.num_steps), stream, strict=False)]


def _timed(
    documents: Sequence[Document], packing: Packing, seed: int, loop: _Loop
) -> "Any":
    """Yields steps until the loop's clock has used the budget up; steps already made are skipped."""
    stream = text_of_steps(
        documents, batch_bytes=packing.batch_bytes, seed=seed, max_bytes=None
    )
    for number, texts in enumerate(stream):
        if loop.done(None) >= 1.0:
            return
        if number >= loop.run.step:
            yield texts


def _evaluation_steps(num_steps: int, num_evaluations: int) -> set[int]:
    """Evenly spaced steps, the last one always among them."""
    if num_evaluations <= 0:
        return set()
    return {math.ceil(num_steps * k / num_evaluations) for k in range(1, num_evaluations + 1)}


def _check_budget(budget: Budget, packing: Packing, documents: Sequence[Document]) -> None:
    if not any(document.text for document in documents):
        raise InputError(expected="text to train on", got="no documents", where="documents")
    if budget.num_bytes is not None and budget.num_bytes < packing.batch_bytes:
        raise InputError(
            expected=f"a budget of at least one batch, {packing.batch_bytes} bytes",
            got=f"{budget.num_bytes} bytes",
            where="budget",
            hint="raise the budget or lower the batch size",
        )
