"""The arms of an adaptation: the same text and the same rules for every vocabulary and row method.

An arm is the source model as it is, or with a new vocabulary and rows of some method. Each takes
its best start token and learning rate from one short list on the valid split, then trains once.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import PreTrainedModel

from lingraft.corpus import Document
from lingraft.errors import InputError, ModelError
from lingraft.files import read_json, write_json
from lingraft.languages import Language
from lingraft.measurement import Score, bits_per_byte
from lingraft.model import CausalScorer, load, save, swap_vocabulary
from lingraft.model.calibration import Calibration, calibrate, fit_calibration
from lingraft.pipelines.corpora import corpus_documents
from lingraft.pipelines.settings import ArmSettings
from lingraft.pipelines.vocabularies import load_rows
from lingraft.runtime import Runtime
from lingraft.study import Progress, record_run, share_reporter
from lingraft.tokenizer import Tokenizer
from lingraft.training import Packing, Schedule, TrainingRun, continue_pretraining
from lingraft.units import Budget

VERSION = 5
CHECKPOINT_SECONDS = 240.0
CALIBRATION = "calibration.safetensors"
# A short trial's loss differs by that much from one order of the text to the next, and a rate that
# is too high costs more than one that is too low (docs/log.md, "rates of a short run").
TRIAL_SCATTER = 0.02


class _Arm(NamedTuple):
    model: PreTrainedModel
    tokenizer: Tokenizer


def choose_settings(
    *,
    model: Path,
    tokenizer: Path | None,
    rows: Path | None,
    corpus: Path,
    target_lang: str,
    settings: ArmSettings,
    out: Path,
    runtime: Runtime,
    progress: Progress,
) -> dict[str, Any]:
    """Chooses an arm's start token and learning rate on the valid split.

    The start token is the one with the fewest bits per byte before training. Then the calibration
    of rows that were carried over is fitted, and each learning rate has a trial on the first
    `trial_bytes` of the training text, with the whole schedule. Of those that are as good as the
    best the smallest is taken.

    Args:
        model: Folder of the source model.
        tokenizer: Folder of the new tokenizer; None for the source model's own.
        rows: Folder of its rows; None with `tokenizer`.
        corpus: A prepared corpus.
        target_lang: Code of the target language.
        settings: The list to choose from.
        out: Folder for `choice.json` and `calibration.safetensors`.
        runtime: Threads and device.
        progress: Where to report to.

    Returns:
        The choice and the figures that it rests on.
    """
    torch.set_num_threads(runtime.threads)
    lang = Language.parse(target_lang)
    held_out = corpus_documents(corpus, "valid", lang).records
    valid = held_out[: settings.num_choice_rows]
    train = corpus_documents(corpus, "train", lang).records
    arm = _build(model, tokenizer, rows)
    starts = {start: _value(arm, valid, start) for start in start_candidates(arm.tokenizer)}
    start = min(starts, key=lambda token: (starts[token], token))
    calibration = None
    if settings.calibrated and rows is not None:
        calibration = fit_calibration(
            arm.model,
            arm.tokenizer,
            train=train,
            valid=held_out[: settings.num_calibration_rows],
            start_token=start,
        )
        calibration.save(out / CALIBRATION)
    rates: dict[float, float | None] = {}
    if len(settings.learning_rates) > 1:
        budget = Budget(num_bytes=max(settings.trial_bytes, settings.batch_bytes))
        for rate in settings.learning_rates:
            # Nothing has changed the first weights yet.
            trial = _build(model, tokenizer, rows) if rates else arm
            if calibration is not None:
                calibrate(trial.model, calibration)
            advance = share_reporter(progress, f"trial at {rate:g}")
            try:
                _train(trial, train, settings, budget, start, rate, runtime, advance)
                reached = _value(trial, valid, start)
            except ModelError:
                reached = math.inf
            rates[rate] = reached if math.isfinite(reached) else None
    else:
        rates[settings.learning_rates[0]] = 0.0
    choice = {
        "start_token": start,
        "start_token_text": arm.tokenizer.vocabulary.describe(start),
        "learning_rate": chosen_rate(rates),
        "calibration_strength": calibration.strength if calibration else None,
        "start_tokens_bits_per_byte": {
            arm.tokenizer.vocabulary.describe(token): value for token, value in starts.items()
        },
        "learning_rates_bits_per_byte": {f"{rate:g}": value for rate, value in rates.items()},
    }
    write_json(out / "choice.json", choice)
    return choice


def chosen_rate(bits_per_byte: Mapping[float, float | None]) -> float:
    """Returns the smallest rate that is within `TRIAL_SCATTER` of the best.

    Args:
        bits_per_byte: On valid text, after a trial of each rate; None where training diverged.

    Raises:
        ModelError: It diverged at every rate.
    """
    reached = {rate: value for rate, value in bits_per_byte.items() if value is not None}
    if not reached:
        raise ModelError(
            expected="a finite loss after a trial of some learning rate",
            got="none",
            where=", ".join(f"{rate:g}" for rate in bits_per_byte),
            hint="lower the learning rates",
        )
    limit = min(reached.values()) * (1 + TRIAL_SCATTER)
    return min(rate for rate, value in reached.items() if value <= limit)


def run_arm(
    *,
    model: Path,
    tokenizer: Path | None,
    rows: Path | None,
    corpus: Path,
    choice: Path,
    target_lang: str,
    settings: ArmSettings,
    keep_model: bool,
    fit_bias: bool,
    out: Path,
    runtime: Runtime,
    progress: Progress,
) -> dict[str, Any]:
    """Measures an arm on the held-out rows, trains it, and measures it again.

    Args:
        model: Folder of the source model.
        tokenizer: Folder of the new tokenizer; None for the source model's own.
        rows: Folder of its rows; None with `tokenizer`.
        corpus: A prepared corpus.
        choice: Folder of the arm's choice.
        target_lang: Code of the target language.
        settings: Budget and the like.
        keep_model: Whether to write the trained model into `model/`.
        fit_bias: Whether to measure also with the unigram output bias that the calibration writes
            into the rows, and with the calibrated rows, before training.
        out: Folder for `scores.json` and the model.
        runtime: Threads and device.
        progress: Where to report to.

    Returns:
        Steps and bytes; the seconds of the curve go to `run.json`.
    """
    torch.set_num_threads(runtime.threads)
    lang = Language.parse(target_lang)
    test = corpus_documents(corpus, "test", lang).records
    train = corpus_documents(corpus, "train", lang).records
    chosen = read_json(choice / "choice.json")
    start, rate = int(chosen["start_token"]), float(chosen["learning_rate"])
    arm = _build(model, tokenizer, rows)
    calibrated = settings.calibrated and rows is not None
    calibration = Calibration.load(choice / CALIBRATION) if calibrated else None
    before_path = out / "before.json"
    measured = before_path.exists()  # a resumed run has measured this already
    scores = {}
    if not measured:
        progress.note("measuring before training")
        scores = _before(arm, test, start, calibration if fit_bias else None)
    if calibration is not None:
        calibrate(arm.model, calibration)
    if not measured:
        if calibration is not None and fit_bias:
            scores["before_calibrated"] = _score(arm, test, start).to_record()
        write_json(before_path, scores)
    curve_rows = test[: settings.num_curve_rows]
    run = _train(
        arm,
        train,
        settings,
        settings.budget,
        start,
        rate,
        runtime,
        share_reporter(progress, "training"),
        evaluate=lambda trained: {
            "score": _score(_Arm(trained, arm.tokenizer), curve_rows, start).to_record()
        },
        checkpoints=out / "checkpoints",
    )
    progress.note("measuring after training")
    after = _score(arm, test, start)
    write_json(
        out / "scores.json",
        {
            **read_json(before_path),
            "after": after.to_record(),
            "trained_bytes": run.num_bytes,
            "curve": [asdict(point) for point in run.curve],
            "train_nats": run.train_nats,
        },
    )
    if keep_model:
        save(arm.model, arm.tokenizer, out / "model")
    record_run(curve_seconds=run.curve_seconds, training_seconds=run.seconds)
    return {
        "num_steps": run.step,
        "trained_bytes": run.num_bytes,
        "trained_tokens": run.num_tokens,
        "after_bits_per_byte": after.value,
    }


run_arm.RESUMABLE = True  # type: ignore[attr-defined]


def measure_untrained(
    *,
    model: Path,
    tokenizer: Path,
    rows: Path,
    corpus: Path,
    target_lang: str,
    out: Path,
    runtime: Runtime,
) -> dict[str, Any]:
    """Measures rows that are not trained, with the tokenizer's first start token."""
    torch.set_num_threads(runtime.threads)
    arm = _build(model, tokenizer, rows)
    start = start_candidates(arm.tokenizer)[0]
    test = corpus_documents(corpus, "test", Language.parse(target_lang)).records
    score = _score(arm, test, start)
    write_json(out / "scores.json", {"before": score.to_record()})
    return {"before_bits_per_byte": score.value}


def start_candidates(tokenizer: Tokenizer) -> list[int]:
    """Returns the tokens that may stand before a text: the roles that models use for it.

    Raises:
        InputError: The tokenizer has none of them.
    """
    ids = [tokenizer.role_id(role) for role in ("bos_token", "eos_token", "unk_token", "cls_token")]
    distinct = list(dict.fromkeys(number for number in ids if number is not None))
    if not distinct:
        raise InputError(
            expected="a tokenizer with a start, end or unknown token",
            got="none of them",
            where="tokenizer_config.json",
        )
    return distinct


def _before(
    arm: _Arm, test: Sequence[Document], start: int, calibration: Calibration | None
) -> dict[str, Any]:
    scores = {"before": _score(arm, test, start).to_record()}
    if calibration is not None:
        bias_V = calibration.bias
        biased = CausalScorer(arm.model, arm.tokenizer, start_token=start, bias_V=bias_V)
        scores["before_biased"] = bits_per_byte(biased, test).to_record()
    return scores


def _build(model: Path, tokenizer: Path | None, rows: Path | None) -> _Arm:
    loaded = load(model, dtype=torch.float32)
    if tokenizer is None or rows is None:
        return _Arm(loaded.model, loaded.tokenizer)
    target = Tokenizer.load(tokenizer)
    matrix, head = load_rows(rows)
    grafted = swap_vocabulary(loaded.model, target, matrix, head, source_tokenizer=loaded.tokenizer)
    return _Arm(grafted, target)


def _score(arm: _Arm, documents: Sequence[Document], start: int) -> Score:
    return bits_per_byte(CausalScorer(arm.model, arm.tokenizer, start_token=start), documents)


def _value(arm: _Arm, documents: Sequence[Document], start: int) -> float:
    value = _score(arm, documents, start).value
    return float("inf") if value is None else value


def _train(
    arm: _Arm,
    train: Sequence[Document],
    settings: ArmSettings,
    budget: Budget,
    start: int,
    rate: float,
    runtime: Runtime,
    advance: Callable[[float, str], None],
    *,
    evaluate: Callable[[PreTrainedModel], dict[str, Any]] | None = None,
    checkpoints: Path | None = None,
) -> TrainingRun:
    return continue_pretraining(
        arm.model,
        arm.tokenizer,
        train,
        budget=budget,
        packing=Packing(
            batch_bytes=settings.batch_bytes,
            window_tokens=settings.window_tokens,
            start_token=start,
            end_token=arm.tokenizer.role_id("eos_token"),
        ),
        schedule=Schedule(rate),
        stages=settings.stages,
        seed=settings.seed,
        runtime=runtime,
        evaluate=evaluate,
        num_evaluations=settings.num_evaluations if evaluate else 0,
        checkpoints=checkpoints,
        checkpoint_seconds=CHECKPOINT_SECONDS,
        advance=advance,
    )
