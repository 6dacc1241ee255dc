"""What a model has learnt that a task can use: fine-tuned, scored, beside who only counts."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lingraft.corpus import summarize_rejected
from lingraft.corpus.task_records import (
    TaskData,
    TaskKind,
    read_conll_ner,
    read_conllu,
    read_sentence_pairs,
    read_squad,
)
from lingraft.errors import InputError
from lingraft.files import write_json
from lingraft.languages import Language
from lingraft.measurement.tasks import majority_baseline, task_scores
from lingraft.model import load
from lingraft.pipelines.arms import start_candidates
from lingraft.runtime import Runtime
from lingraft.seeds import derive
from lingraft.study import Progress, share_reporter
from lingraft.tokenizer import Tokenizer
from lingraft.training.answers import PAPER_SETTINGS, AnswerSettings, fine_tune, predict

VERSION = 1
SCORES = "scores.json"
VALID_SHARE = 0.1

READERS: dict[TaskKind, Any] = {
    "entailment": read_sentence_pairs,
    "tagging": read_conllu,
    "ner": read_conll_ner,
    "qa": read_squad,
}


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
    read = _read({"train": train, "valid": valid, "test": test}, kind, columns or {})
    data, num_overlapping = _disjoint(read, seed)
    loaded = load(model, dtype=torch.float32)
    asked: dict[str, Any] = {
        "start_token": start_candidates(loaded.tokenizer)[0],
        "max_answer_tokens": _longest_answer(data["train"], loaded.tokenizer),
    }
    language = Language.parse(lang)
    tuned = fine_tune(
        loaded.model,
        loaded.tokenizer,
        data["train"].examples,
        valid=data["valid"],
        lang=language,
        settings=settings,
        end_token=_end_token(loaded.tokenizer),
        seed=seed,
        runtime=runtime,
        checkpoints=out / "checkpoints",
        advance=share_reporter(progress, "fine-tuning"),
        **asked,
    )
    predictions = predict(
        loaded.model,
        loaded.tokenizer,
        data["test"],
        labels=data["train"].labels,
        window_tokens=settings.window_tokens,
        **asked,
    )
    scores = task_scores(data["test"], predictions, lang=language, seed=seed)
    floors = majority_baseline(data["train"], data["test"], lang=language, seed=seed)
    write_json(
        out / SCORES,
        {
            "scores": {name: score.to_record() for name, score in scores.items()},
            "majority": {name: score.to_record() for name, score in floors.items()},
            "curve": [point.values for point in tuned.run.curve],
            "answers": list(predictions.texts),
            "rejected": {name: summarize_rejected(part.rejected) for name, part in read.items()},
        },
    )
    first = next(iter(scores.values()))
    return {
        "score": first.name,
        "value": first.value,
        "interval": None if first.interval is None else list(first.interval),
        "reason": first.reason,
        "majority_value": floors[first.name].value,
        "best_epoch": tuned.best_epoch,
        "num_epochs": len(tuned.run.curve),
        "num_steps": tuned.run.step,
        "num_cut": tuned.num_cut,
        "num_left_out": tuned.num_left_out,
        "num_overlapping": num_overlapping,
        **{f"num_{name}": len(part) for name, part in data.items()},
    }


def _read(
    paths: Mapping[str, Path | None], kind: TaskKind, columns: Mapping[str, Any]
) -> dict[str, TaskData]:
    if kind not in READERS:
        raise InputError(expected=f"a task of {', '.join(READERS)}", got=repr(kind), where="kind")
    return {
        name: READERS[kind](path, **columns) for name, path in paths.items() if path is not None
    }


def _disjoint(read: Mapping[str, TaskData], seed: int) -> tuple[dict[str, TaskData], int]:
    """Returns train, valid and test of which none shares a prompt, and how many were taken out."""
    test = read["test"]
    asked = {example.prompt for example in test.examples}
    valid = _without(read["valid"], asked) if "valid" in read else None
    if valid is not None:
        asked |= {example.prompt for example in valid.examples}
    train = _without(read["train"], asked)
    num_read = sum(len(part) for part in read.values())
    num_left = len(train) + len(test) + (0 if valid is None else len(valid))
    if valid is None:
        order = np.random.default_rng(derive(seed, "valid")).permutation(len(train)).tolist()
        num_valid = math.ceil(VALID_SHARE * len(train))
        valid = _chosen(train, order[:num_valid])
        train = _chosen(train, order[num_valid:])
    return {"train": train, "valid": valid, "test": test}, num_read - num_left


def _without(data: TaskData, prompts: set[str]) -> TaskData:
    kept = [at for at, example in enumerate(data.examples) if example.prompt not in prompts]
    return _chosen(data, kept)


def _chosen(data: TaskData, places: Sequence[int]) -> TaskData:
    return replace(data, examples=tuple(data.examples[at] for at in sorted(places)))


def _longest_answer(data: TaskData, tokenizer: Tokenizer) -> int:
    if not data.examples:
        raise InputError(
            expected="training examples that are neither in valid nor in test",
            got="none",
            where="train",
        )
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
