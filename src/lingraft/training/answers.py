"""Fine-tuning on prompts with answers: only answers are learnt, valid chooses the epoch."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from transformers import PreTrainedModel

from lingraft.corpus.records import data_hash
from lingraft.corpus.task_examples import Example, TaskData
from lingraft.errors import InputError, StoreError
from lingraft.languages import Language
from lingraft.measurement.tasks import (
    Predictions,
    choose_labels,
    cut_prompts,
    generate_answers,
    task_scores,
)
from lingraft.model.scoring import CausalScorer
from lingraft.runtime import Runtime
from lingraft.seeds import derive
from lingraft.tokenizer.tokenizer import Tokenizer
from lingraft.training.answer_rows import AnswerRow, answer_batch, answer_rows
from lingraft.training.checkpoints import (
    Checkpoint,
    drop_checkpoints,
    read_checkpoint,
    write_checkpoint,
)
from lingraft.training.dropout import dropout
from lingraft.training.runs import Advance, TrainingRun
from lingraft.training.trainer import Evaluate, Trainer


@dataclass(frozen=True)
class AnswerSettings:
    """How a model is fine-tuned on a task.

    Attributes:
        batch_size: Examples of one optimiser step.
        num_epochs: At most; the best one on valid is kept.
        learning_rate: Constant.
        window_tokens: Longest example, start and end token included; also in evaluation.
        dropout: Share of the activations dropped after the embeddings and after each attention
            and each MLP.
        weight_decay: AdamW's, on matrices only.
        patience: Epochs without a better one after which training stops; None for never.
    """

    batch_size: int
    num_epochs: int
    learning_rate: float
    window_tokens: int
    dropout: float
    weight_decay: float
    patience: int | None

    def __post_init__(self) -> None:
        counts = (self.batch_size, self.num_epochs, 1 if self.patience is None else self.patience)
        if min(counts) < 1 or self.window_tokens < 4 or not 0 <= self.dropout < 1:
            raise InputError(
                expected="counts of at least 1, 4 window_tokens or more and dropout in [0, 1)",
                got=str(asdict(self)),
                where="settings",
            )


PAPER_SETTINGS = AnswerSettings(
    batch_size=128,
    num_epochs=10,
    learning_rate=2e-5,
    window_tokens=1024,
    dropout=0.1,
    weight_decay=0.1,
    patience=None,
)
"""arXiv 2404.08191's configuration for ASSIN 2 in its repository: 510 steps are ten epochs."""


@dataclass(frozen=True)
class FineTuned:
    """What a fine-tuning did; the model has the best epoch's weights.

    Attributes:
        run: Steps, losses and a curve with a point after every epoch: the scores on valid by
            name, the one that chooses first.
        best_epoch: From 1; the first of equal ones.
        best_value: Its score on valid.
        num_cut: Training prompts that lost their beginning to fit in the window.
        num_left_out: Training examples whose answer does not fit in the room left for answers.
    """

    run: TrainingRun
    best_epoch: int
    best_value: float
    num_cut: int
    num_left_out: int


def fine_tune(
    model: PreTrainedModel,
    tokenizer: Tokenizer,
    examples: Sequence[Example],
    *,
    valid: TaskData,
    lang: Language,
    settings: AnswerSettings,
    start_token: int,
    end_token: int,
    max_answer_tokens: int,
    seed: int,
    runtime: Runtime,
    checkpoints: Path | None = None,
    advance: Advance | None = None,
) -> FineTuned:
    """Teaches a causal model to answer the prompts of a task, in place.

    A row is the start token, the prompt, `ANSWER_MARK`, the first right answer and the end token;
    the loss is the mean nats of the answers' tokens and the end tokens. From then on the model's
    generation stops at the end token.

    Args:
        model: In float32.
        tokenizer: The model's tokenizer.
        examples: To learn from.
        valid: Chooses the epoch by the task's first score (exact match for labels).
        lang: Language of the answers.
        settings: Of the training, e.g. `PAPER_SETTINGS`.
        start_token: Id before every prompt.
        end_token: Id after every answer.
        max_answer_tokens: Room that prompts leave for an answer, in training as in evaluation.
        seed: Of the order of examples and of dropout.
        runtime: Threads, device and precision.
        checkpoints: Folder for a checkpoint after every epoch; a run found there goes on.
        advance: Told after every step.

    Raises:
        InputError: Nothing to learn from or to choose by, a window that answers fill or that the
            model cannot see, or a score on valid that is undefined.
        ModelError: The loss stops being finite, or dropout finds no blocks.
        StoreError: The checkpoints are another run's.
    """
    torch.set_num_threads(runtime.threads)
    _check(model, examples, valid, settings)
    prompts, num_cut = cut_prompts(
        examples,
        tokenizer,
        window_tokens=settings.window_tokens,
        max_answer_tokens=max_answer_tokens,
    )
    rows = answer_rows(prompts, tokenizer, start_token, end_token, settings.window_tokens)
    device = Accelerator().device if runtime.device == "auto" else torch.device(runtime.device)
    model.to(device)
    model.generation_config.eos_token_id = end_token
    trainer = Trainer(
        model, device=device, runtime=runtime, weight_decay=settings.weight_decay, seed=seed
    )
    judge = partial(
        _judge,
        tokenizer=tokenizer,
        valid=valid,
        labels=sorted({example.answers[0] for example in examples}),
        lang=lang,
        start_token=start_token,
        window_tokens=settings.window_tokens,
        max_answer_tokens=max_answer_tokens,
    )
    best = _Best(model, checkpoints, _identity(rows, valid, settings, seed))
    best.resume(trainer)
    with dropout(model, settings.dropout):
        _train(trainer, rows, settings, seed, judge, best, advance)
    trainer.close()
    best.restore()
    number, value = best_epoch(trainer.run)
    return FineTuned(trainer.run, number, value, num_cut, len(examples) - len(rows))


def predict(
    model: PreTrainedModel,
    tokenizer: Tokenizer,
    data: TaskData,
    *,
    labels: Sequence[str],
    start_token: int,
    window_tokens: int,
    max_answer_tokens: int,
) -> Predictions:
    """Answers a task as `fine_tune` taught it: the cheapest label, or what the model writes.

    Args:
        model: A causal model.
        tokenizer: Its tokenizer.
        data: What is asked; labels are chosen, all else is generated.
        labels: All that may be answered where labels are chosen.
        start_token: Id before every prompt.
        window_tokens: Longest prompt with its answer, start and end token.
        max_answer_tokens: Room that prompts leave for an answer.

    Raises:
        InputError: The window has no room for a prompt, or the labels are no choice.
    """
    prompts, _ = cut_prompts(
        data.examples, tokenizer, window_tokens=window_tokens, max_answer_tokens=max_answer_tokens
    )
    scorer = CausalScorer(model, tokenizer, start_token=start_token, window=window_tokens)
    if data.kind == "entailment":
        return choose_labels(prompts, labels, scorer)
    made = generate_answers(prompts, scorer, max_new_tokens=max_answer_tokens + 1)
    return replace(made, signature={**made.signature, **scorer.signature})


def best_epoch(run: TrainingRun) -> tuple[int, float]:
    """Returns the first epoch with the highest first score on valid, from 1, and that score."""
    values = [_first_score(point.values) for point in run.curve]
    best = max(values)
    return values.index(best) + 1, best


class _Best:
    """The weights of the best epoch so far, in memory and beside the checkpoints."""

    def __init__(
        self, model: PreTrainedModel, folder: Path | None, identity: dict[str, Any]
    ) -> None:
        self._model, self._folder, self._identity = model, folder, identity
        self._weights: dict[str, torch.Tensor] = {}

    def keep(self, trainer: Trainer) -> None:
        """Takes the weights of an epoch that has just been judged if none before was as good."""
        if best_epoch(trainer.run)[0] == len(trainer.run.curve):
            self._weights = {
                name: parameter.detach().cpu().clone()
                for name, parameter in self._model.named_parameters()
            }
            if self._folder is not None:
                state = {"step": trainer.run.step}
                write_checkpoint(self._folder / "best", Checkpoint(self._weights, state))
        if self._folder is not None:
            # Second: after a crash in between, the epoch is made and judged again, and is the same.
            write_checkpoint(self._folder / "last", trainer.checkpoint(self._identity))

    def resume(self, trainer: Trainer) -> None:
        """Takes up the run whose checkpoints are there."""
        if self._folder is None:
            return
        last, best = (read_checkpoint(self._folder / name) for name in ("last", "best"))
        if last is None or best is None:
            return
        if last.state["settings"] != self._identity:
            raise StoreError(
                expected=f"checkpoints of a fine-tuning with {self._identity}",
                got=str(last.state["settings"]),
                where=str(self._folder),
                hint="name another folder, or remove this one to begin anew",
            )
        trainer.resume(last)
        self._weights = best.tensors

    def restore(self) -> None:
        """Puts the best weights into the model and drops the checkpoints."""
        with torch.no_grad():
            for name, parameter in self._model.named_parameters():
                parameter.copy_(self._weights[name])
        if self._folder is not None:
            for folder in (self._folder / "best", self._folder / "last", self._folder):
                drop_checkpoints(folder)


def _train(
    trainer: Trainer,
    rows: Sequence[AnswerRow],
    settings: AnswerSettings,
    seed: int,
    judge: Evaluate,
    best: _Best,
    advance: Advance | None,
) -> None:
    num_steps = math.ceil(len(rows) / settings.batch_size) * settings.num_epochs
    run = trainer.run
    while not _is_over(run, settings):
        generator = np.random.default_rng(derive(seed, "order", len(run.curve)))
        order = generator.permutation(len(rows)).tolist()
        for at in range(0, len(order), settings.batch_size):
            chosen = [rows[number] for number in order[at : at + settings.batch_size]]
            trainer.step(
                partial(answer_batch, chosen), part="all", learning_rate=settings.learning_rate
            )
            if advance is not None:
                advance(run.step / num_steps, f"{run.train_nats[-1]:.2f} nats/token")
        trainer.note_point(judge)
        best.keep(trainer)


def _is_over(run: TrainingRun, settings: AnswerSettings) -> bool:
    made = len(run.curve)
    if made == 0 or settings.patience is None:
        return made >= settings.num_epochs
    return made >= min(settings.num_epochs, best_epoch(run)[0] + settings.patience)


def _judge(
    model: PreTrainedModel, *, tokenizer: Tokenizer, valid: TaskData, lang: Language, **asked: Any
) -> dict[str, Any]:
    predictions = predict(model, tokenizer, valid, **asked)
    # Intervals are not asked for here, so their seed does not matter.
    scores = task_scores(valid, predictions, lang=lang, seed=0)
    first = next(iter(scores.values()))
    if first.value is None:
        raise InputError(
            expected=f"a {first.name} on valid to choose the epoch by",
            got=first.reason,
            where="valid",
        )
    return {name: score.value for name, score in scores.items()}


def _first_score(values: dict[str, Any]) -> float:
    return float(next(iter(values.values())))


def _identity(
    rows: Sequence[AnswerRow], valid: TaskData, settings: AnswerSettings, seed: int
) -> dict[str, Any]:
    """What tells one fine-tuning's checkpoints from another's."""
    return {
        **asdict(settings),
        "seed": seed,
        "train": data_hash([str(row) for row in rows]),
        "valid": data_hash([f"{e.prompt}\n{e.answers}" for e in valid.examples]),
    }


def _check(
    model: PreTrainedModel,
    examples: Sequence[Example],
    valid: TaskData,
    settings: AnswerSettings,
) -> None:
    if not examples or not valid.examples:
        raise InputError(
            expected="examples to learn from, and valid ones to choose the epoch by",
            got=f"{len(examples)} and {len(valid)}",
            where="examples",
        )
    longest = getattr(model.config, "max_position_embeddings", settings.window_tokens)
    if settings.window_tokens > longest:
        raise InputError(
            expected=f"a window of at most {longest} tokens, which is what the model can see",
            got=str(settings.window_tokens),
            where="window_tokens",
        )
