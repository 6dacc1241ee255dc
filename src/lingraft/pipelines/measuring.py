"""Scores of models on a file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from lingraft.corpus import read_documents
from lingraft.errors import InputError
from lingraft.languages import Language
from lingraft.measurement import bits_per_byte
from lingraft.model import CausalScorer, load
from lingraft.pipelines.arms import start_candidates
from lingraft.runtime import Runtime

MEASURES = ("bits-per-byte",)


def measure_models(
    models: Sequence[str],
    *,
    on: Sequence[str],
    text: Path,
    lang: str,
    base: str | None,
    runtime: Runtime,
) -> list[dict[str, Any]]:
    """Returns one record for each model: its score, and its difference from the base model.

    Each text is read after the model's own start token, or the first of its end and unknown
    tokens where it has none.

    Raises:
        InputError: No such measure, model or file.
    """
    for name in on:
        if name not in MEASURES:
            raise InputError(
                expected=f"measures of {', '.join(MEASURES)}", got=repr(name), where="--on"
            )
    torch.set_num_threads(runtime.threads)
    documents = read_documents(text, lang=Language.parse(lang))
    records: list[dict[str, Any]] = []
    for name in [*([base] if base else []), *models]:
        loaded = load(name, dtype=torch.float32)
        start = start_candidates(loaded.tokenizer)[0]
        score = bits_per_byte(
            CausalScorer(loaded.model, loaded.tokenizer, start_token=start), documents
        )
        record = {"model": name, **score.to_record()}
        if records and base is not None and None not in (score.value, records[0]["value"]):
            record["difference_from_base"] = score.value - records[0]["value"]
        records.append(record)
    return records


def score_table(records: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Returns headers and rows for a terminal."""
    rows = [["model", "bits per byte", "95 % interval", "bytes", "tokens"]]
    for record in records:
        value, interval = record["value"], record["interval"]
        rows.append(
            [
                record["model"],
                f"{value:.4f}" if value is not None else f"– ({record['reason']})",
                f"{interval[0]:.3f} to {interval[1]:.3f}" if interval else "–",
                f"{record['denominator']:.0f}",
                f"{record['statistics']['num_tokens']:.0f}",
            ]
        )
    return rows
