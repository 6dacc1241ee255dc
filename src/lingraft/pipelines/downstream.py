"""What a model has learnt that a task can use: fine-tuned, scored, beside who only counts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from lingraft.corpus.task_examples import TaskData, TaskKind
from lingraft.errors import InputError
from lingraft.files import read_json, write_json
from lingraft.languages import Language
from lingraft.measurement.tasks import majority_baseline, task_scores
from lingraft.model import byte_lm, load
from lingraft.pipelines.arms import start_candidates
from lingraft.pipelines.task_parts import TaskParts, part_task, read_parts, read_task
from lingraft.runtime import Runtime
from lingraft.seeds import derive
from lingraft.study import Progress, share_reporter
from lingraft.tokenizer import Tokenizer, byte_tokenizer
from lingraft.training.answers import (
    PAPER_SETTINGS,
    AnswerSettings,
    FineTuned,
    fine_tune,
    predict,
)

VERSION = 2
SCORES = "scores.json"

Start: TypeAlias = Callable[[], tuple[PreTrainedModel, Tokenizer]]


def downstream_task(
    *,
    model: Path,
    train: Path,
    test: Path,
    kind: TaskKind,
    lang: str,
    seed: int,
    out: Path,
    runtime: Runtime,
    progress: Progress,
    valid: Path | None = None,
    columns: Mapping[str, Any] | None = None,
    settings: AnswerSettings = PAPER_SETTINGS,
) -> dict[str, Any]:
    """Fine-tunes a model on a task and scores it on test, beside the majority floor.

    Examples of train whose prompt is in valid or test, and of valid whose prompt is in test, are
    taken out and counted.

    Args:
        model: Folder of a causal model.
        train: Examples to learn from.
        test: Examples to score, which nothing is chosen by.
        kind: Of the task; says which reader reads the files.
        lang: Code of the language of the answers.
        seed: Of the split, of the order, of dropout and of the bootstrap.
        out: Folder for `scores.json`.
        runtime: Threads and device.
        progress: Where to report to.
        valid: Examples to choose the epoch by; None for `VALID_SHARE` of train.
        columns: Keyword arguments of the reader, e.g. ``{"task": "assin2", "label": "gold"}``.
        settings: Of the training.

    Returns:
        The score, its interval and the floor's, the epoch, and what was cut or left out.

    Raises:
        InputError: As the readers and `fine_tune`, or a kind without a reader.
    """
    read = read_task({"train": train, "valid": valid, "test": test}, kind, columns or {})
    parts = part_task(read, seed=seed)
    rates = (settings.learning_rate,)
    return _tuned(
        lambda: _loaded(model), parts, lang, settings, rates, seed, out, runtime, progress
    )


def tune_arm(
    *,
    task: Path,
    lang: str,
    model: Path | None,
    size: str | None,
    is_random: bool,
    settings: AnswerSettings,
    learning_rates: Sequence[float],
    tuned: Path | None,
    seed: int,
    out: Path,
    runtime: Runtime,
    progress: Progress,
) -> dict[str, Any]:
    """Fine-tunes one arm of a comparison on a task that was prepared for all of them.

    Args:
        task: Folder of a task, see `task_parts`.
        lang: Code of the language of the answers.
        model: Folder of a causal model; None for a byte model with random weights.
        size: Of that byte model.
        is_random: Whether the folder's architecture starts from random weights.
        settings: Of the training; their rate is not used.
        learning_rates: To choose from on valid; the first of equal ones.
        tuned: Folder of a run of the same arm whose rate is taken; None chooses here.
        seed: Of random weights, of the order and of dropout.
        out: Folder for `scores.json`.
        runtime: Threads and device.
        progress: Where to report to.

    Returns:
        As `downstream_task`.
    """
    torch.set_num_threads(runtime.threads)
    rates = learning_rates if tuned is None else (read_json(tuned / SCORES)["learning_rate"],)

    def start() -> tuple[PreTrainedModel, Tokenizer]:
        if model is None:
            return byte_lm(size or "", seed=seed), byte_tokenizer()
        return _randomized(model, seed) if is_random else _loaded(model)

    return _tuned(start, read_parts(task), lang, settings, rates, seed, out, runtime, progress)


tune_arm.RESUMABLE = True  # type: ignore[attr-defined]


def _tuned(
    start: Start,
    parts: TaskParts,
    lang: str,
    settings: AnswerSettings,
    learning_rates: Sequence[float],
    seed: int,
    out: Path,
    runtime: Runtime,
    progress: Progress,
) -> dict[str, Any]:
    """Fine-tunes at each rate, takes the best on valid, and scores that on test."""
    language = Language.parse(lang)
    best: tuple[float, FineTuned, PreTrainedModel] | None = None
    reached: dict[str, float] = {}
    for rate in learning_rates:
        model, tokenizer = start()
        asked = {
            "start_token": start_candidates(tokenizer)[0],
            "max_answer_tokens": _longest_answer(parts.train, tokenizer),
        }
        tuned = fine_tune(
            model,
            tokenizer,
            parts.train.examples,
            valid=parts.valid,
            lang=language,
            settings=replace(settings, learning_rate=rate),
            end_token=_end_token(tokenizer),
            seed=seed,
            runtime=runtime,
            checkpoints=out / f"checkpoints-{rate:g}",
            advance=share_reporter(progress, f"fine-tuning at {rate:g}"),
            **asked,
        )
        reached[f"{rate:g}"] = tuned.best_value
        if best is None or tuned.best_value > best[1].best_value:
            best = rate, tuned, model
    assert best is not None
    predictions = predict(
        best[2],
        tokenizer,
        parts.test,
        labels=parts.train.labels,
        window_tokens=settings.window_tokens,
        **asked,
    )
    scores = task_scores(parts.test, predictions, lang=language, seed=seed)
    floors = majority_baseline(parts.train, parts.test, lang=language, seed=seed)
    write_json(
        out / SCORES,
        {
            "scores": {name: score.to_record() for name, score in scores.items()},
            "majority": {name: score.to_record() for name, score in floors.items()},
            "learning_rate": best[0],
            "learning_rates": reached,
            "curve": [point.values for point in best[1].run.curve],
            "answers": list(predictions.texts),
            "rejected": dict(parts.rejected),
        },
    )
    first = next(iter(scores.values()))
    return {
        "score": first.name,
        "value": first.value,
        "interval": None if first.interval is None else list(first.interval),
        "reason": first.reason,
        "majority_value": floors[first.name].value,
        "learning_rate": best[0],
        **_training_figures(best[1]),
        "num_overlapping": parts.num_overlapping,
        **{f"num_{name}": num for name, num in parts.counts().items()},
    }


def _training_figures(tuned: FineTuned) -> dict[str, int]:
    return {
        "best_epoch": tuned.best_epoch,
        "num_epochs": len(tuned.run.curve),
        "num_steps": tuned.run.step,
        "num_cut": tuned.num_cut,
        "num_left_out": tuned.num_left_out,
    }


def _loaded(folder: Path) -> tuple[PreTrainedModel, Tokenizer]:
    loaded = load(folder, dtype=torch.float32)
    return loaded.model, loaded.tokenizer


def _randomized(folder: Path, seed: int) -> tuple[PreTrainedModel, Tokenizer]:
    """The architecture and tokenizer of a model, with weights as transformers draws them."""
    loaded = load(folder, dtype=torch.float32)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "random weights"))
        fresh: PreTrainedModel = AutoModelForCausalLM.from_config(
            loaded.model.config, dtype=torch.float32, trust_remote_code=False
        )
    fresh.generation_config = loaded.model.generation_config
    return fresh.eval(), loaded.tokenizer


def _longest_answer(data: TaskData, tokenizer: Tokenizer) -> int:
    answers = [example.answers[0] for example in data.examples]
    return max(len(ids) for ids in tokenizer.encode_batch(answers))


def _end_token(tokenizer: Tokenizer) -> int:
    end = tokenizer.role_id("eos_token")
    if end is None:
        raise InputError(
            expected="a tokenizer with an end token, to stand after answers",
            got="none",
            where="tokenizer_config.json",
        )
    return end
