"""What a condition's rows are worth: right after the swap, after training, and beside counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from transformers import PreTrainedModel

from lingraft.corpus import Document
from lingraft.files import write_json
from lingraft.languages import Language
from lingraft.measurement import Scorer, bits_per_byte
from lingraft.model import CausalScorer, MaskedScorer, load, swap_vocabulary
from lingraft.model.calibration import calibrate, fit_calibration
from lingraft.pipelines.arms import start_candidates
from lingraft.pipelines.corpora import all_target_text, corpus_documents
from lingraft.pipelines.floors import trained_text, write_floors
from lingraft.pipelines.vocabularies import load_rows
from lingraft.runtime import Runtime
from lingraft.study import Progress, share_reporter
from lingraft.tokenizer import Tokenizer
from lingraft.training import Packing, Schedule, Stage, continue_pretraining
from lingraft.training.stages import Part
from lingraft.units import Budget

VERSION = 2
SCORES = "scores.json"


@dataclass(frozen=True)
class FigureSettings:
    """How every condition is trained.

    Attributes:
        num_bytes: Target text of a training.
        batch_bytes: Text of one optimiser step.
        window_tokens: Longest context in training.
        num_calibration_rows: Valid rows on which the rows' calibration is fitted.
        seed: Of the order of the text and of adapters.
    """

    num_bytes: int
    batch_bytes: int
    window_tokens: int = 256
    num_calibration_rows: int = 16
    seed: int = 0


class _Swapped(NamedTuple):
    model: PreTrainedModel
    tokenizer: Tokenizer
    start: int
    masked: bool

    def scorer(self) -> Scorer:
        kind = MaskedScorer if self.masked else CausalScorer
        return kind(self.model, self.tokenizer, start_token=self.start)


def measure_rows(
    *,
    model: Path,
    masked: bool,
    tokenizer: Path | None,
    rows: Path | None,
    corpus: Path,
    target_lang: str,
    out: Path,
    runtime: Runtime,
) -> dict[str, Any]:
    """Measures a condition right after the swap.

    Every condition is read after the tokenizer's first start token.

    Args:
        model: Folder of the source model.
        masked: Whether it is a masked one; its score is a pseudo-likelihood.
        tokenizer: Folder of the new tokenizer; None for the model as it is.
        rows: Folder of its rows; None with `tokenizer`.
        corpus: The prepared corpus, the same for all conditions of a language.
        target_lang: Code of the new language.
        out: Folder for `scores.json`.
        runtime: Threads and device.

    Returns:
        Bits per byte; the shares of the rows, and of the test text's tokens, whose rows have
        evidence of their own.
    """
    torch.set_num_threads(runtime.threads)
    test = corpus_documents(corpus, "test", Language.parse(target_lang)).records
    swapped = _build(model, tokenizer, rows, masked)
    before = bits_per_byte(swapped.scorer(), test)
    write_json(out / SCORES, {"before": before.to_record()})
    coverage = {} if rows is None else _coverage(rows, swapped.tokenizer, test)
    return {"before_bits_per_byte": before.value, **coverage}


def train_rows(
    *,
    model: Path,
    masked: bool,
    tokenizer: Path,
    rows: Path,
    corpus: Path,
    target_lang: str,
    part: Part,
    learning_rate: float,
    settings: FigureSettings,
    out: Path,
    runtime: Runtime,
    progress: Progress,
) -> dict[str, Any]:
    """Trains a condition from its calibrated rows and measures it before and after.

    Masked models are not calibrated: their head has a bias of its own for it.

    Args:
        model: Folder of the source model.
        masked: Whether it is a masked one.
        tokenizer: Folder of the new tokenizer.
        rows: Folder of its rows.
        corpus: The prepared corpus.
        target_lang: Code of the new language.
        part: What is trained.
        learning_rate: On the plateau of the schedule.
        settings: Of all conditions.
        out: Folder for `scores.json`.
        runtime: Threads and device.
        progress: Where to report to.

    Returns:
        Steps, bytes and bits per byte.
    """
    torch.set_num_threads(runtime.threads)
    lang = Language.parse(target_lang)
    train, valid, test = (
        corpus_documents(corpus, split, lang).records for split in ("train", "valid", "test")
    )
    swapped = _build(model, tokenizer, rows, masked)
    scores = {}
    if not masked:
        calibration = fit_calibration(
            swapped.model,
            swapped.tokenizer,
            train=train,
            valid=valid[: settings.num_calibration_rows],
            start_token=swapped.start,
        )
        calibrate(swapped.model, calibration)
        scores["calibrated"] = bits_per_byte(swapped.scorer(), test).to_record()
    run = continue_pretraining(
        swapped.model,
        swapped.tokenizer,
        train,
        budget=Budget(num_bytes=settings.num_bytes),
        packing=Packing(
            batch_bytes=settings.batch_bytes,
            window_tokens=settings.window_tokens,
            start_token=swapped.start,
            end_token=swapped.tokenizer.role_id("eos_token"),
        ),
        schedule=Schedule(learning_rate),
        stages=(Stage(part, 1.0),),
        seed=settings.seed,
        objective="masked" if masked else "causal",
        runtime=runtime,
        advance=share_reporter(progress, "training"),
    )
    after = bits_per_byte(swapped.scorer(), test)
    write_json(out / SCORES, {**scores, "after": after.to_record()})
    return {
        "num_steps": run.step,
        "trained_bytes": run.num_bytes,
        "after_bits_per_byte": after.value,
    }


def condition_floors(
    *,
    corpus: Path,
    tokenizer: Path,
    source_lang: str,
    target_lang: str,
    settings: FigureSettings,
    out: Path,
) -> dict[str, Any]:
    """Counts n-grams in the new vocabulary: (a) of the text of a training, (b) of all text.

    Args:
        corpus: The prepared corpus.
        tokenizer: Folder of the new tokenizer.
        source_lang: Code of the source language.
        target_lang: Code of the new language.
        settings: Of all conditions.
        out: Folder for `floors.json`.

    Returns:
        Bits per byte by name.
    """
    lang = Language.parse(target_lang)
    vocabulary = Tokenizer.load(tokenizer)
    test = corpus_documents(corpus, "test", lang).records
    train = corpus_documents(corpus, "train", lang).records
    counted = {
        "a": trained_text(train, settings.batch_bytes, settings.seed, settings.num_bytes),
        "b": all_target_text(corpus, lang, Language.parse(source_lang)),
    }
    return write_floors(out, counted, test, vocabulary)


def _build(model: Path, tokenizer: Path | None, rows: Path | None, masked: bool) -> _Swapped:
    loaded = load(model, dtype=torch.float32, masked=masked)
    if tokenizer is None or rows is None:
        start = start_candidates(loaded.tokenizer)[0]
        return _Swapped(loaded.model, loaded.tokenizer, start, masked)
    target = Tokenizer.load(tokenizer)
    matrix, head = load_rows(rows)
    grafted = swap_vocabulary(loaded.model, target, matrix, head, source_tokenizer=loaded.tokenizer)
    return _Swapped(grafted, target, start_candidates(target)[0], masked)


def _coverage(
    rows: Path, tokenizer: Tokenizer, test: Sequence[Document]
) -> dict[str, float | None]:
    """Shares of the rows, and of the tokens of a text, that have evidence of their own."""
    matrix, _ = load_rows(rows)
    made_of_nothing = [n for n, rule in enumerate(matrix.rules) if rule in ("random", "mean")]
    evident = (matrix.depth == 0) & ~np.isin(matrix.rule, made_of_nothing)
    ids = [token for ids in tokenizer.encode_batch(d.text for d in test) for token in ids]
    return {
        "row_coverage": float(evident.mean()),
        "text_coverage": float(evident[ids].mean()) if ids else None,
    }
