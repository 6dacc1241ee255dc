"""The comparison of starts on a task: which jobs it takes to say what pretraining is worth."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch

from lingraft.corpus import random_split, read_documents
from lingraft.errors import InputError
from lingraft.files import write_json
from lingraft.languages import Language
from lingraft.measurement import bits_per_byte
from lingraft.model import CausalScorer, load, save
from lingraft.model.byte_lm import byte_config, num_flops_per_token
from lingraft.pipelines.arms import start_candidates
from lingraft.pipelines.corpora import write_documents
from lingraft.pipelines.downstream import tune_arm
from lingraft.pipelines.downstream_record import downstream_record
from lingraft.pipelines.transfer_runs import RESULT, RunSettings, pretrain
from lingraft.pipelines.transfer_texts import read_part, training_prefix
from lingraft.runtime import Runtime
from lingraft.study import File, Job, Plan, Progress, job, share_reporter
from lingraft.training import AnswerSettings, Packing
from lingraft.training.best_loss import drop_runs, train_at_best_rate, train_to_best
from lingraft.units import format_bytes

VERSION = 1
# Rows that a text of one file gives to each of valid and test.
_MAX_HELD_OUT_ROWS = 100


@dataclass(frozen=True)
class DownstreamSettings:
    """How every arm is trained, whatever it starts from.

    Attributes:
        texts: Of pretraining, and of training on target text.
        source_bytes: Text of a pretraining.
        source_epochs: Most often that a pretraining reads it.
        target_bytes: Target text, for the arms that are trained on it.
        answers: Of fine-tuning on the task.
        learning_rates: Of fine-tuning; each arm's first seed chooses on valid.
        num_seeds: Runs of each arm: weights where they are random, order and dropout.
    """

    texts: RunSettings
    source_bytes: int
    source_epochs: float
    target_bytes: int
    answers: AnswerSettings
    learning_rates: tuple[float, ...]
    num_seeds: int


def downstream_plan(
    *,
    task: Job,
    task_name: str,
    lang: str,
    model: Path | None,
    size: str,
    source_texts: Mapping[str, Job],
    target_text: Job | None,
    settings: DownstreamSettings,
    scale: str,
    seed: int,
) -> Plan:
    """Returns the jobs of the comparison, without running any.

    The arms of a model in a folder: random weights of its architecture, the model as it is, and
    the model after some target text. Those of a byte model: random weights, and for each source a
    model pretrained on it, as it is and after some target text.

    Args:
        task: A job of `task_parts`.
        task_name: How the report calls the task.
        lang: Code of the task's language.
        model: Folder of a causal model, or None for a byte model.
        size: Of the byte model.
        source_texts: A prepared text for each code of a source language; only for byte models.
        target_text: Prepared target text, or None for no arms with it.
        settings: Of all arms.
        scale: Name of the scale.
        seed: Of everything that is drawn.

    Raises:
        InputError: A byte model without any source, or no seeds.
    """
    if (model is None and not source_texts) or settings.num_seeds < 1:
        raise InputError(
            expected="a source for the byte model, and at least one seed",
            got=f"{len(source_texts)} sources and {settings.num_seeds} seeds",
            where="downstream",
        )
    starts = _Starts(lang, size, source_texts, target_text, settings, seed)
    arms = starts.of_folder(model) if model is not None else starts.of_sources()
    report = job(
        downstream_record,
        name="report",
        task=task,
        task_name=task_name,
        lang=lang,
        model=f"a byte model of {size}" if model is None else model.name,
        arms=[{"name": arm.name, "runs": _runs(arm, task, lang, size, settings)} for arm in arms],
        settings=settings,
        scale=scale,
        seed=seed,
    )
    return Plan({"report": report}, name="downstream")


def continue_on_text(
    *,
    model: Path,
    text: Path,
    lang: str,
    num_bytes: int,
    settings: RunSettings,
    seed: int,
    out: Path,
    runtime: Runtime,
    progress: Progress,
) -> dict[str, Any]:
    """Trains a model on target text to its best, as `pretrain` does; the folder is loadable.

    Args:
        model: Folder of a causal model.
        text: A text of `study_text` or `split_text`.
        lang: Code of its language.
        num_bytes: Text, the first of the seed's order.
        settings: Of the training.
        seed: Of the choice and order of the text.
        out: Folder of the model.
        runtime: Threads and device.
        progress: Where to report to.

    Returns:
        Bits per byte of valid text before and after, bytes, and the rate.
    """
    torch.set_num_threads(runtime.threads)
    language = Language.parse(lang)
    loaded = load(model, dtype=torch.float32)
    tokenizer = loaded.tokenizer
    documents = training_prefix(text, language, num_bytes, seed).records
    valid = read_part(text, "valid", language).records
    start = start_candidates(tokenizer)[0]
    packing = Packing(
        settings.batch_bytes, settings.window_tokens, start, tokenizer.role_id("eos_token")
    )

    def nats_per_byte(trained: Any) -> float:
        scorer = CausalScorer(trained, tokenizer, start_token=start, window=settings.window_tokens)
        score = bits_per_byte(scorer, valid)
        if score.value is None:
            raise InputError(expected="valid text that can be scored", got=score.reason, where=lang)
        return score.numerator / score.denominator

    before = nats_per_byte(loaded.model)
    best = train_at_best_rate(
        lambda: load(model, dtype=torch.float32).model,
        settings.learning_rates,
        lambda fresh, rate: train_to_best(
            fresh,
            tokenizer,
            documents,
            evaluate=nats_per_byte,
            packing=packing,
            learning_rate=rate,
            settings=settings.best_loss,
            seed=seed,
            runtime=runtime,
            checkpoints=out / "checkpoints" / f"{rate:g}",
            advance=share_reporter(progress, f"{num_bytes:,} bytes at {rate:g}"),
        ),
    )
    save(best.model, tokenizer, out)
    result = {
        "before_bits_per_byte": before / math.log(2),
        "valid_bits_per_byte": best.run.best.nats_per_byte / math.log(2),
        "learning_rate": best.learning_rate,
        "num_bytes": sum(len(document.text.encode("utf-8")) for document in documents),
    }
    write_json(out / RESULT, result)
    drop_runs(out / "checkpoints")
    return result


continue_on_text.RESUMABLE = True  # type: ignore[attr-defined]


def split_text(*, text: Sequence[Path], lang: str, seed: int, out: Path) -> dict[str, Any]:
    """Splits a user's text into train, valid and test documents, of which none match.

    Args:
        text: Files of documents.
        lang: Code of their language.
        seed: Of the draw.
        out: Folder for ``train.jsonl``, ``valid.jsonl`` and ``test.jsonl``.

    Returns:
        Documents of each.
    """
    documents = read_documents(list(text), lang=Language.parse(lang))
    num_rows = min(_MAX_HELD_OUT_ROWS, max(len(documents) // 10, 1))
    split = random_split(documents, num_test=num_rows, num_valid=num_rows, seed=seed)
    parts = {"train": split.train, "valid": split.valid, "test": split.test}
    for name, rows in parts.items():
        write_documents(out / f"{name}.jsonl", rows)
    return {f"num_{name}": len(rows) for name, rows in parts.items()}


class _Arm(NamedTuple):
    """What fine-tuning starts from: a folder or job of one; None for random byte models."""

    name: str
    model: Job | File | None
    is_random: bool


@dataclass(frozen=True)
class _Starts:
    """Makes the arms; equal jobs are one by their fingerprints."""

    lang: str
    size: str
    source_texts: Mapping[str, Job]
    target_text: Job | None
    settings: DownstreamSettings
    seed: int

    def of_folder(self, model: Path) -> list[_Arm]:
        given = File(model)
        return [
            _Arm("random weights", given, is_random=True),
            _Arm("the model as it is", given, is_random=False),
            *self._after_target(given, "the model"),
        ]

    def of_sources(self) -> list[_Arm]:
        arms = [_Arm("random weights", None, is_random=True)]
        for code, text in self.source_texts.items():
            name = f"{format_bytes(self.settings.source_bytes)} of {Language.parse(code).name}"
            pretrained = self._pretrained(code, text)
            arms.append(_Arm(name, pretrained, is_random=False))
            if code != self.lang:
                arms += self._after_target(pretrained, name)
        return arms

    def _pretrained(self, code: str, text: Job) -> Job:
        texts, num_bytes = self.settings.texts, self.settings.source_bytes
        best_loss = replace(texts.best_loss, max_epochs=self.settings.source_epochs)
        most_bytes = num_bytes * self.settings.source_epochs
        return job(
            pretrain,
            name=f"pretrained-{code}",
            text=text,
            lang=code,
            size=self.size,
            tokenizer=None,
            num_bytes=num_bytes,
            settings=replace(texts, best_loss=best_loss),
            rate=max(texts.learning_rates),
            budget=None,
            seed=self.seed,
            costs={"num_bytes": most_bytes, "num_flops": most_bytes * self._flops_per_byte()},
        )

    def _after_target(self, model: Job | File, name: str) -> list[_Arm]:
        if self.target_text is None:
            return []
        texts, num_bytes = self.settings.texts, self.settings.target_bytes
        trained = job(
            continue_on_text,
            name=f"trained-{self.lang}",
            model=model,
            text=self.target_text,
            lang=self.lang,
            num_bytes=num_bytes,
            settings=texts,
            seed=self.seed,
            costs={"num_bytes": num_bytes * len(texts.learning_rates) * texts.best_loss.max_epochs},
        )
        target = f"{format_bytes(num_bytes)} of {Language.parse(self.lang).name}"
        return [_Arm(f"{name}, then {target}", trained, is_random=False)]

    def _flops_per_byte(self) -> float:
        window = self.settings.texts.window_tokens
        return num_flops_per_token(byte_config(self.size), window_tokens=window)


def _runs(arm: _Arm, task: Job, lang: str, size: str, settings: DownstreamSettings) -> list[Job]:
    runs: list[Job] = []
    for seed in range(settings.num_seeds):
        runs.append(
            job(
                tune_arm,
                name="tuned-random" if arm.is_random else "tuned",
                task=task,
                lang=lang,
                model=arm.model,
                size=size if arm.model is None else None,
                is_random=arm.is_random,
                settings=settings.answers,
                learning_rates=settings.learning_rates,
                tuned=runs[0] if runs else None,
                seed=seed,
            )
        )
    return runs
