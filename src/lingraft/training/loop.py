"""Continued pretraining: one loop for every arm of every study.

Our own loop rather than `transformers.Trainer`, because a stopped run has to end with the same
bytes on disk as an unbroken one, and batches are counted in bytes of text.
"""

import itertools
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import PreTrainedModel

from lingraft.corpus.records import Document, data_hash
from lingraft.errors import InputError, ModelError, StoreError
from lingraft.model.precision import computing_device
from lingraft.runtime import Runtime
from lingraft.tokenizer.tokenizer import Tokenizer
from lingraft.training.batches import Packing, pack, text_of_steps
from lingraft.training.checkpoints import (
    drop_checkpoints,
    read_checkpoint,
    write_checkpoint,
)
from lingraft.training.masked import MaskedTrainer
from lingraft.training.runs import Advance, TrainingRun
from lingraft.training.stages import Schedule, Stage, check_stages, stage_at
from lingraft.training.trainer import Evaluate, Trainer
from lingraft.units import Budget

Objective = Literal["causal", "masked"]
# How long a step takes is not known before the first one.
_FIRST_STEP_SHARE = 0.01


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
    objective: Objective = "causal",
    weight_decay: float = 0.0,
    runtime: Runtime | None = None,
    evaluate: Evaluate | None = None,
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
        seed: Of the order of documents, of dropout, of masks and of adapters.
        objective: ``"causal"``, the next token; ``"masked"``, hidden ones, for encoders.
        weight_decay: AdamW's, on matrices only.
        runtime: Threads, device and precision.
        evaluate: Called with the model at evaluation points; its values go into the curve.
        num_evaluations: Evenly spaced points in bytes or steps, beside the one before training.
            A budget in seconds has one at its end.
        checkpoints: Folder for checkpoints; a run found there goes on.
        checkpoint_seconds: Time between checkpoints.
        advance: Told after every step, when the step's checkpoint is written.

    Returns:
        Steps, bytes, losses and the curve.

    Raises:
        InputError: A budget under one batch, no text, stages that do not fill the budget, a
            window that the model cannot see at once, or no mask token for ``"masked"``.
        ModelError: The model is not in float32, or its loss stops being finite.
        StoreError: The checkpoints are another run's, or cannot be written.
    """
    check_stages(stages)
    _check(model, documents, budget, packing)
    runtime = runtime or Runtime()
    torch.set_num_threads(runtime.threads)
    device = computing_device(runtime)
    model.to(device)
    make_trainer = (
        Trainer
        if objective == "causal"
        else partial(MaskedTrainer, mask_token=_mask_token(tokenizer))
    )
    trainer = make_trainer(
        model,
        device=device,
        runtime=runtime,
        weight_decay=weight_decay,
        seed=seed,
        adapters=any(stage.part == "adapters" for stage in stages),
    )
    settings: dict[str, Any] = {
        "budget": asdict(budget),
        "packing": asdict(packing),
        "schedule": asdict(schedule),
        "stages": [asdict(stage) for stage in stages],
        "seed": seed,
        "weight_decay": weight_decay,
        "num_evaluations": num_evaluations if evaluate else 0,
        **identity(model, tokenizer, documents),
    }
    if checkpoints is not None:
        _resume(trainer, checkpoints, settings)
    plan = None if budget.timed else _plan(documents, budget, packing, seed)
    marks = evaluation_steps(len(plan), num_evaluations) if plan is not None else set()
    if evaluate is not None and not trainer.run.curve:
        trainer.note_point(evaluate)
    clock = _Clock(budget, None if plan is None else len(plan), trainer.run)
    remaining = (
        _timed(documents, packing, seed, trainer.run, clock)
        if plan is None
        else iter(plan[trainer.run.step :])
    )
    saved = time.monotonic()
    for texts in remaining:
        trainer.step(
            partial(pack, texts, tokenizer=tokenizer, packing=packing),
            part=stage_at(stages, clock.done).part,
            learning_rate=schedule.at(clock.done, clock.step_share),
        )
        if evaluate is not None and trainer.run.step in marks:
            trainer.note_point(evaluate)
        if checkpoints is not None and time.monotonic() - saved >= checkpoint_seconds:
            write_checkpoint(checkpoints, trainer.checkpoint(settings))
            saved = time.monotonic()
        if advance is not None:
            advance(clock.done, f"{trainer.run.train_nats[-1]:.2f} nats/token")
    if evaluate is not None and plan is None:
        trainer.note_point(evaluate)
    if checkpoints is not None:
        drop_checkpoints(checkpoints)
    trainer.close()
    return trainer.run


def evaluation_steps(num_steps: int, num_evaluations: int) -> set[int]:
    """Returns evenly spaced steps, the last one always among them."""
    return {-(-num_steps * k // num_evaluations) for k in range(1, num_evaluations + 1)}


class _Clock:
    """How much of the budget a run has used."""

    def __init__(self, budget: Budget, num_steps: int | None, run: TrainingRun) -> None:
        self._num_steps, self._run = num_steps, run
        self._num_seconds = budget.num_seconds or math.inf

    @property
    def done(self) -> float:
        """Share of the budget that is used."""
        if self._num_steps is not None:
            return self._run.step / self._num_steps
        return min(self._run.seconds / self._num_seconds, 1.0)

    @property
    def step_share(self) -> float:
        """Share that one step uses; with a budget in seconds, the mean of the steps so far."""
        if self._num_steps is not None:
            return 1 / self._num_steps
        return self.done / self._run.step if self._run.step else _FIRST_STEP_SHARE


def _plan(
    documents: Sequence[Document], budget: Budget, packing: Packing, seed: int
) -> list[list[Document]]:
    """The documents of every step of a budget in bytes or steps."""
    stream = text_of_steps(
        documents, batch_bytes=packing.batch_bytes, seed=seed, max_bytes=budget.num_bytes
    )
    plan = list(itertools.islice(stream, budget.num_steps))
    if not plan:
        raise InputError(
            expected="a budget that holds at least the first document",
            got=f"{budget.num_bytes} bytes",
            where="budget",
            hint="raise the budget or cut the documents into shorter ones",
        )
    return plan


def _timed(
    documents: Sequence[Document], packing: Packing, seed: int, run: TrainingRun, clock: _Clock
) -> Iterator[list[Document]]:
    """Yields steps until the clock has used the budget up; a resumed run skips those it made."""
    stream = text_of_steps(documents, batch_bytes=packing.batch_bytes, seed=seed, max_bytes=None)
    for texts in itertools.islice(stream, run.step, None):
        if clock.done >= 1.0:
            return
        yield texts


def _resume(trainer: Trainer, folder: Path, settings: dict[str, Any]) -> None:
    """Takes up the newest whole checkpoint, if there is one and it is of this very run."""
    found = read_checkpoint(folder)
    if found is None:
        return
    theirs = found.state["settings"]
    for name, ours in settings.items():
        if theirs.get(name) != ours:
            raise StoreError(
                expected=f"checkpoints of a run with {name} {ours}",
                got=str(theirs.get(name)),
                where=str(folder),
                hint="name another folder, or remove this one to begin anew",
            )
    trainer.resume(found)


def _mask_token(tokenizer: Tokenizer) -> int:
    found = tokenizer.role_id("mask_token")
    if found is None:
        raise InputError(
            expected="a tokenizer with a mask token for the masked objective",
            got="none",
            where="tokenizer_config.json",
        )
    return found


def identity(
    model: PreTrainedModel, tokenizer: Tokenizer, documents: Sequence[Document]
) -> dict[str, str]:
    """Returns hashes that tell one run's data from another's; the weights are what changes."""
    shapes = [f"{name} {tuple(p.shape)}" for name, p in model.named_parameters()]
    return {
        "documents": data_hash([document.text for document in documents]),
        "tokenizer": data_hash([tokenizer.backend.to_str()]),
        "parameters": data_hash(shapes),
    }


def _check(
    model: PreTrainedModel, documents: Sequence[Document], budget: Budget, packing: Packing
) -> None:
    if not any(document.text for document in documents):
        raise InputError(
            expected="text to train on",
            got=f"{len(documents)} documents without any",
            where="documents",
        )
    if budget.num_bytes is not None and budget.num_bytes < packing.batch_bytes:
        raise InputError(
            expected=f"a budget of at least one batch, {packing.batch_bytes} bytes",
            got=f"{budget.num_bytes} bytes",
            where="budget",
            hint="raise the budget or lower the batch size",
        )
    longest = getattr(model.config, "max_position_embeddings", packing.window_tokens)
    if packing.window_tokens > longest:
        raise InputError(
            expected=f"a window of at most {longest} tokens, which is what the model can see",
            got=str(packing.window_tokens),
            where="window_tokens",
        )
    low = next((n for n, p in model.named_parameters() if p.dtype != torch.float32), None)
    if low is not None:
        raise ModelError(
            expected="float32 weights, so that small updates are not lost",
            got=f"{model.get_parameter(low).dtype} in {low}",
            where=str(model.config.model_type),
            hint="load the model with dtype=torch.float32; precision is the runtime's matter",
        )
