"""Training to the best loss that a text allows: a plateau while valid text gets cheaper, a decay.

A from-scratch curve says what a loss costs in *text* only where every point is trained as far as
its text goes. arXiv 2404.08191 gave its smallest point 120 steps, so that its curve is one of
steps there. Here the rule is the same for every size and for random and pretrained weights.
"""

import itertools
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import PreTrainedModel

from lingraft.corpus.records import Document
from lingraft.errors import InputError, ModelError, StoreError
from lingraft.model.precision import computing_device
from lingraft.runtime import Runtime
from lingraft.tokenizer.tokenizer import Tokenizer
from lingraft.training.batches import Packing, pack, text_of_steps
from lingraft.training.checkpoints import (
    Checkpoint,
    drop_checkpoints,
    read_checkpoint,
    write_checkpoint,
)
from lingraft.training.loop import identity
from lingraft.training.runs import Advance, TrainingRun
from lingraft.training.trainer import Trainer

Evaluate = Callable[[PreTrainedModel], float]
"""Loss on valid text, in nats per byte."""


@dataclass(frozen=True)
class BestLossSettings:
    """How far a run goes.

    Attributes:
        warmup_bytes: Text over which the learning rate rises.
        evaluation_bytes: Text between two evaluations, at least.
        evaluations_per_epoch: Where that is more than `evaluation_bytes`, evaluations are this
            part of an epoch apart.
        patience: Evaluations without a gain after which the plateau ends.
        min_gain: Share of the best loss that counts as a gain.
        max_epochs: The plateau ends here at the latest.
        decay_share: Length of the decay, as a share of the text up to the best evaluation.
        weight_decay: AdamW's, on matrices.
    """

    warmup_bytes: int = 20_000
    evaluation_bytes: int = 50_000
    evaluations_per_epoch: int = 3
    patience: int = 2
    min_gain: float = 0.002
    max_epochs: float = 30.0
    decay_share: float = 0.25
    weight_decay: float = 0.1


class Evaluation(NamedTuple):
    """A point of the valid curve.

    Attributes:
        step: Optimiser steps made.
        num_bytes: Text trained on, with repetition.
        nats_per_byte: Loss on valid text.
    """

    step: int
    num_bytes: int
    nats_per_byte: float


@dataclass(frozen=True)
class BestLoss:
    """What a run reached; the model holds the weights of the best evaluation.

    Attributes:
        points: The plateau's evaluations, the first before any training.
        decayed: The one after the decay; None where nothing was gained on the plateau.
        processed_bytes: Text trained on in all, past the best evaluation and in the decay too.
        processed_tokens: Tokens predicted over it.
        stopped: ``"patience"``, ``"epochs"`` or ``"tokens"``.
        best: The evaluation whose weights were kept. A point that is lower than it by less than
            `min_gain` is not.
    """

    points: tuple[Evaluation, ...]
    decayed: Evaluation | None
    processed_bytes: int
    processed_tokens: int
    stopped: str
    best: Evaluation


@dataclass(frozen=True)
class BestRate:
    """The best of several runs that differ in their learning rate.

    Attributes:
        learning_rate: Its rate.
        model: Its model, with the weights of its best evaluation.
        run: What it reached.
        valid_nats: Best loss on valid text of every rate; None where training diverged.
        processed_bytes: Text trained on in all runs.
        processed_tokens: Tokens predicted over it.
    """

    learning_rate: float
    model: PreTrainedModel
    run: BestLoss
    valid_nats: Mapping[float, float | None]
    processed_bytes: int
    processed_tokens: int


def train_at_best_rate(
    make_model: Callable[[], PreTrainedModel],
    rates: Sequence[float],
    train: Callable[[PreTrainedModel, float], BestLoss],
) -> BestRate:
    """Trains a fresh model at each rate and keeps the one that is best on valid text.

    Args:
        make_model: Returns the same weights at each call.
        rates: To choose from; of equally good ones the smallest is taken.
        train: Runs `train_to_best` on the model at the rate.

    Raises:
        ModelError: Training diverged at every rate.
    """
    kept: tuple[PreTrainedModel, BestLoss] | None = None
    diverged: ModelError | None = None
    chosen, processed, num_tokens = 0.0, 0, 0
    reached: dict[float, float | None] = {}
    for rate in sorted(rates):
        model = make_model()
        try:
            run = train(model, rate)
        except ModelError as error:
            reached[rate], diverged = None, error
            continue
        reached[rate] = run.best.nats_per_byte
        processed += run.processed_bytes
        num_tokens += run.processed_tokens
        if kept is None or run.best.nats_per_byte < kept[1].best.nats_per_byte:
            kept, chosen = (model, run), rate
    if diverged is not None and kept is None:
        raise diverged
    assert kept is not None, "at least one rate"
    return BestRate(chosen, *kept, reached, processed, num_tokens)


def train_to_best(
    model: PreTrainedModel,
    tokenizer: Tokenizer,
    documents: Sequence[Document],
    *,
    evaluate: Evaluate,
    packing: Packing,
    learning_rate: float,
    settings: BestLossSettings,
    seed: int,
    frozen: Collection[str] = (),
    max_tokens: float | None = None,
    runtime: Runtime | None = None,
    checkpoints: Path | None = None,
    checkpoint_seconds: float = 60.0,
    advance: Advance | None = None,
) -> BestLoss:
    """Trains until valid text gets no cheaper, then decays from the best point; in place.

    Args:
        model: In float32, with random or pretrained weights.
        tokenizer: Its tokenizer.
        documents: Training text, repeated in a new order each epoch.
        evaluate: Measures the model on valid text.
        packing: How text becomes batches.
        learning_rate: Of the plateau.
        settings: How far to go.
        seed: Of the order of the text.
        frozen: Names of parameters that stay as they are.
        max_tokens: Tokens to train on in all, a decay from the last evaluation included, up to
            two steps more. None leaves it to patience and epochs, which it else replaces: the
            cost of a run is then known beforehand, and its best evaluation is kept all the same.
        runtime: Threads, device and precision.
        checkpoints: Folder for the state at evaluations; a run found there goes on, and of one
            that has ended the end is taken, until `drop_runs`.
        checkpoint_seconds: Time between two checkpoints, at least.
        advance: Told the share of `max_epochs` after each step.

    Raises:
        InputError: No text.
        StoreError: The checkpoints are of another run.
    """
    text_bytes = sum(len(document.text.encode("utf-8")) for document in documents)
    if not text_bytes:
        raise InputError(
            expected="text to train on",
            got=f"{len(documents)} documents without any",
            where="documents",
        )
    runtime = runtime or Runtime()
    torch.set_num_threads(runtime.threads)
    device = computing_device(runtime)
    model.to(device)
    trainer = Trainer(
        model,
        device=device,
        runtime=runtime,
        weight_decay=settings.weight_decay,
        seed=seed,
        frozen=frozen,
    )
    facts = {
        "settings": asdict(settings),
        "frozen": sorted(frozen),
        "max_tokens": max_tokens,
        "packing": asdict(packing),
        "learning_rate": learning_rate,
        "seed": seed,
        **identity(model, tokenizer, documents),
    }
    store = _Store(checkpoints, facts, checkpoint_seconds)
    ended = store.read("ended")
    if ended is not None:
        trainer.resume(ended)
        trainer.close()
        return _of_record(ended.state["settings"]["reached"])
    climb = _Climb(trainer, evaluate, store)
    stream = partial(_stream, documents, packing, seed)
    limit = _Limit.of(settings, text_bytes, max_tokens)
    gap = max(settings.evaluation_bytes, text_bytes // settings.evaluations_per_epoch)

    def step(texts: list[Document], share: float) -> None:
        rise = (trainer.run.num_bytes + packing.batch_bytes) / max(settings.warmup_bytes, 1)
        batch = partial(pack, texts, tokenizer=tokenizer, packing=packing)
        trainer.step(batch, part="all", learning_rate=learning_rate * min(rise, 1.0) * share)
        if advance is not None:
            advance(limit.share(trainer.run), f"{trainer.run.train_nats[-1]:.2f} nats/token")

    for texts in stream(trainer.run.step) if not climb.is_over(limit) else ():
        step(texts, 1.0)
        is_due = trainer.run.num_bytes >= climb.points[-1].num_bytes + gap
        if is_due or limit.share(trainer.run) >= 1.0:
            climb.note(settings.min_gain)
            if climb.is_over(limit):
                break
    stopped = climb.stopped(limit)
    processed, processed_tokens = trainer.run.num_bytes, trainer.run.num_tokens
    best, decayed = climb.best_point, None
    trainer.resume(climb.best)
    if trainer.run.step:
        first, length = trainer.run.num_bytes, settings.decay_share * trainer.run.num_bytes
        first_tokens = trainer.run.num_tokens
        for texts in stream(trainer.run.step):
            # The middle of the step: a decay of one step is half of one.
            middle = trainer.run.num_bytes + packing.batch_bytes / 2
            step(texts, max(1.0 - (middle - first) / length, 0.0))
            if trainer.run.num_bytes >= first + length:
                break
        decayed = climb.evaluated()
        processed += trainer.run.num_bytes - first
        processed_tokens += trainer.run.num_tokens - first_tokens
        if decayed.nats_per_byte < best.nats_per_byte:
            best = decayed
        else:
            trainer.resume(climb.best)
    reached = BestLoss(tuple(climb.points), decayed, processed, processed_tokens, stopped, best)
    store.end(trainer, reached)
    trainer.close()
    return reached


def drop_runs(folder: Path) -> None:
    """Removes what runs left in folders within this one, when what came of them is kept.

    Args:
        folder: Whose folders were given to `train_to_best` as its checkpoints.
    """
    for run in sorted(folder.glob("*/")):
        for name in _FOLDERS:
            drop_checkpoints(run / name)
        if not any(run.iterdir()):
            run.rmdir()
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


_FOLDERS = ("last", "best", "ended")


def _of_record(record: Mapping[str, Any]) -> BestLoss:
    """The inverse of `asdict`, through JSON."""
    points = {
        name: None if record[name] is None else Evaluation(*record[name])
        for name in ("decayed", "best")
    }
    return BestLoss(
        **{**record, **points, "points": tuple(Evaluation(*p) for p in record["points"])}
    )


class _Limit(NamedTuple):
    """Where the plateau ends.

    Attributes:
        max_bytes: Of text.
        max_tokens: The same in tokens, which then is all that counts.
        patience: Evaluations without a gain, where text counts.
    """

    max_bytes: float
    max_tokens: float | None
    patience: int

    @classmethod
    def of(cls, settings: BestLossSettings, text_bytes: int, max_tokens: float | None) -> "_Limit":
        plateau = None if max_tokens is None else max_tokens / (1.0 + settings.decay_share)
        return cls(settings.max_epochs * text_bytes, plateau, settings.patience)

    def share(self, run: TrainingRun) -> float:
        """What is used of it, up to 1."""
        if self.max_tokens is None:
            return min(run.num_bytes / self.max_bytes, 1.0)
        return min(run.num_tokens / self.max_tokens, 1.0)


class _Store:
    """Checkpoints of the best evaluation, of a later one and of the end, if they are wanted."""

    def __init__(self, folder: Path | None, facts: dict[str, Any], seconds: float) -> None:
        self._folder, self._facts, self._seconds = folder, facts, seconds
        self._begun = self._written = time.monotonic()
        self._best_step = -1

    def read(self, name: str) -> Checkpoint | None:
        if self._folder is None:
            return None
        found = read_checkpoint(self._folder / name)
        theirs = {} if found is None else found.state["settings"]["facts"]
        for fact, ours in self._facts.items() if found is not None else ():
            if theirs.get(fact) != ours:
                raise StoreError(
                    expected=f"checkpoints of a run with {fact} {ours}",
                    got=str(theirs.get(fact)),
                    where=str(self._folder),
                    hint="name another folder, or remove this one to begin anew",
                )
        return found

    def state(self, points: Sequence[Evaluation]) -> dict[str, Any]:
        """What a checkpoint says of its run."""
        return {"facts": self._facts, "points": [list(point) for point in points]}

    def write(self, best: Checkpoint, trainer: Trainer, points: Sequence[Evaluation]) -> None:
        """Writes what is new, when it is time: the best first, then the last if it is another."""
        if self._folder is None or time.monotonic() - self._written < self._seconds:
            return
        if best.state["step"] != self._best_step:
            write_checkpoint(self._folder / "best", best)
            self._best_step = best.state["step"]
        if trainer.run.step != self._best_step:
            write_checkpoint(self._folder / "last", trainer.checkpoint(self.state(points)))
        self._written = time.monotonic()

    def end(self, trainer: Trainer, reached: BestLoss) -> None:
        """Keeps the end of a run that took long in place of the way there.

        Others may follow it, at other rates, before the caller keeps what came of all.
        """
        if self._folder is None:
            return
        if time.monotonic() - self._begun >= self._seconds:
            settings = {"facts": self._facts, "reached": asdict(reached)}
            write_checkpoint(self._folder / "ended", trainer.checkpoint(settings))
        for name in ("last", "best"):
            drop_checkpoints(self._folder / name)


class _Climb:
    """The plateau: its evaluations, and the state at the best of them."""

    def __init__(self, trainer: Trainer, evaluate: Evaluate, store: _Store) -> None:
        self._trainer, self._evaluate, self._store = trainer, evaluate, store
        self.points: list[Evaluation] = []
        last, best = store.read("last"), store.read("best")
        if best is None:
            self.note(0.0)
            return
        # A best state that is later than the last one is both.
        if last is None or last.state["step"] < best.state["step"]:
            last = best
        self.points = [Evaluation(*point) for point in last.state["settings"]["points"]]
        self.best = best.clone()
        trainer.resume(last)

    @property
    def num_misses(self) -> int:
        """Evaluations since the last gain."""
        return len(self.points) - 1 - self._best_at

    @property
    def best_point(self) -> Evaluation:
        """The evaluation of the state that is kept."""
        return self.points[self._best_at]

    @property
    def _best_at(self) -> int:
        steps = [point.step for point in self.points]
        return steps.index(self.best.state["step"])

    def note(self, min_gain: float) -> None:
        """Evaluates, and keeps the state where that is a gain."""
        point = self.evaluated()
        gained = not self.points or (
            point.nats_per_byte < self.best_point.nats_per_byte * (1 - min_gain)
        )
        self.points.append(point)
        if gained:
            self.best = self._trainer.checkpoint(self._store.state(self.points)).clone()
        self._store.write(self.best, self._trainer, self.points)

    def evaluated(self) -> Evaluation:
        """The trainer's place and its loss on valid text."""
        run = self._trainer.run
        return Evaluation(run.step, run.num_bytes, self._trainer.evaluated(self._evaluate))

    def is_over(self, limit: _Limit) -> bool:
        """Whether the plateau has ended."""
        return self.stopped(limit) == "patience" or limit.share(self._trainer.run) >= 1.0

    def stopped(self, limit: _Limit) -> str:
        """What ends it, or would."""
        if limit.max_tokens is not None:
            return "tokens"
        return "patience" if self.num_misses >= limit.patience else "epochs"


def _stream(
    documents: Sequence[Document], packing: Packing, seed: int, first_step: int
) -> Iterator[list[Document]]:
    stream = text_of_steps(documents, batch_bytes=packing.batch_bytes, seed=seed, max_bytes=None)
    return itertools.islice(stream, first_step, None)
