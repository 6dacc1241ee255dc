"""One record of a data transfer study: losses, transfers, what goes with them, what went wrong."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from lingraft.files import read_json, write_json, write_text
from lingraft.languages import Language
from lingraft.measurement import Loss, data_transfer
from lingraft.measurement.data_transfer import DataTransfer, Rule
from lingraft.measurement.failure_signatures import failure_signatures
from lingraft.measurement.parts_carried import parts_carried
from lingraft.measurement.transfer_losses import COLUMNS, SCRATCH
from lingraft.model.byte_lm import ladder_lm
from lingraft.pipelines.transfer_arms import Arm
from lingraft.pipelines.transfer_inputs import Source
from lingraft.pipelines.transfer_likeness import language_units, likeness, target_shares
from lingraft.pipelines.transfer_runs import ONE_PASS, RESULT, RunSettings
from lingraft.pipelines.transfer_statistics import plain_languages, transfer_statistics
from lingraft.report.transfer import write_transfer_report
from lingraft.runtime import Runtime
from lingraft.tokenizer import Tokenizer, byte_tokenizer

VERSION = 5
FORMAT = "lingraft-transfer-1"
_COSTS = ("processed_bytes", "processed_flops")
_TEXT = ("num_bytes", "num_characters", "num_documents")


def transfer_record(
    *,
    runs: Sequence[Mapping[str, Any]],
    sources: Sequence[Source],
    targets: Sequence[str],
    source_texts: Mapping[str, Path],
    target_texts: Mapping[str, Path],
    pairs: Mapping[str, Path],
    reference_lang: str,
    size: str,
    arm: Arm,
    tokenizer: Path | None,
    settings: RunSettings,
    rule: str,
    scale: str,
    seed: int,
    out: Path,
    runtime: Runtime,
) -> dict[str, Any]:
    """Gathers the study into `losses.csv`, `record.json` and `report.html`.

    Args:
        runs: Target, init, size in bytes and as it was asked for, seed and trunk of each run, and
            its folder.
        sources: What models were pretrained on.
        targets: Codes of the target languages.
        source_texts: Folders of `study_text` by the source's name.
        target_texts: The same by the target's code.
        pairs: Parallel text by the target's code.
        reference_lang: Code of the pairs' other language.
        size: Of the model.
        arm: What text was cut into, and what runs might cost.
        tokenizer: Folder of the tokenizer; None for bytes.
        settings: Of all runs.
        rule: How curves are read.
        scale: Of the study.
        seed: Of intervals and tests.
        out: Folder for the files.
        runtime: Unused but for the record.

    Returns:
        Number of runs, cells and censored cells.
    """
    rows = [_row(run) for run in runs]
    losses = [
        Loss(
            row["target"],
            row["init"],
            row["dataset_bytes"],
            row["nats_per_byte"],
            row["seed"],
            row["trunk"],
        )
        for row in rows
    ]
    weighed = data_transfer(losses, rule=cast(Rule, rule), seed=seed)
    units = language_units(targets, target_texts, pairs, reference_lang, seed)
    contaminations = target_shares(sources, targets, source_texts, target_texts, seed)
    alike = likeness(
        sources,
        targets,
        source_texts,
        target_texts,
        pairs=pairs,
        reference_lang=reference_lang,
        units=units,
        contaminations=contaminations,
        seed=seed,
    )
    signatures = failure_signatures(
        losses,
        weighed,
        ended_by_epochs=[
            loss for loss, row in zip(losses, rows, strict=True) if row["stopped"] == "epochs"
        ],
        languages=plain_languages(sources),
    )
    record = {
        "format": FORMAT,
        "question": "What was pretraining worth, in bytes of target text?",
        "scale": scale,
        "rule": rule,
        "model": _model(size, arm, tokenizer),
        "names": _names(sources, targets),
        "targets": list(targets),
        "sources": [source.name for source in sources],
        "sizes": sorted({row["dataset_bytes"] for row in rows if row["dataset_bytes"]}),
        "losses": rows,
        "transfers": [transfer.to_record() for transfer in weighed.transfers],
        "parts": _parts(losses, weighed, sources),
        "repairs": [repair.describe() for repair in weighed.repairs],
        "texts": [
            *(_text(source.name, "source", source_texts[source.name]) for source in sources),
            *(_text(code, "target", target_texts[code]) for code in targets),
        ],
        "units": units,
        "similarity": alike,
        "contamination": contaminations,
        **transfer_statistics(
            weighed.transfers,
            sources,
            alike,
            seed,
            nominal={
                (row["target"], row["dataset_bytes"]): row["nominal_bytes"]
                for row in rows
                if row["init"] != SCRATCH
            },
        ),
        "failures": [found.to_record() for found in signatures],
        "cost": _cost(rows, settings, arm),
        "threads": runtime.threads,
    }
    write_text(out / "losses.csv", losses_csv(rows))
    write_json(out / "record.json", record)
    write_transfer_report(record, out / "report.html")
    cells = weighed.transfers
    return {
        "num_runs": len(rows),
        "num_cells": len(cells),
        "num_censored": sum(cell.censored is not None for cell in cells),
    }


def losses_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Returns the table that ``lingraft data-transfer`` reads.

    Args:
        rows: The record's ``losses``.
    """
    kept = ("seed", "trunk", "stopped", *_TEXT)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*COLUMNS, *kept])
    for row in rows:
        kind = (row["target"], row["init"], row["dataset_bytes"])
        perplexity = repr(math.exp(row["nats_per_byte"]))
        writer.writerow([*kind, perplexity, *(row[key] for key in kept)])
    return stream.getvalue()


def _row(run: Mapping[str, Any]) -> dict[str, Any]:
    result = read_json(run["run"] / RESULT)
    if "sizes" in result:  # a trunk: its text is told once, with its largest size
        largest = run["dataset_bytes"] == max(map(int, result["sizes"]))
        costs = {key: result[key] if largest else 0 for key in _COSTS}
        result = {**result, **result["sizes"][str(run["dataset_bytes"])], **costs}
    kept = ("nats_per_byte", "valid_nats_per_byte", "learning_rate", "stopped", *_TEXT, *_COSTS)
    described = {key: value for key, value in run.items() if key != "run"}
    return {**described, **{key: result[key] for key in kept}}


def _text(name: str, side: str, folder: Path) -> dict[str, Any]:
    """What a text has, and what was taken out of it or repaired."""
    return {"name": name, "side": side, **read_json(folder / "facts.json")}


def _model(size: str, arm: Arm, folder: Path | None) -> dict[str, Any]:
    tokenizer = byte_tokenizer() if folder is None else Tokenizer.load(folder)
    model = ladder_lm(size, tokenizer, seed=0)
    return {
        "size": size,
        "num_parameters": sum(p.numel() for p in model.parameters()),
        "arm": arm.name,
        "num_ids": len(tokenizer),
    }


def _parts(
    losses: Sequence[Loss], weighed: DataTransfer, sources: Sequence[Source]
) -> list[dict[str, Any]]:
    """What each part carried, for sources without a part whose whole was weighed too."""
    whole = {s.whole: s.name for s in sources if s.reset is None and s.frozen is None}
    parted = {s.name: s for s in sources if (s.reset or s.frozen) is not None and s.whole in whole}
    wholes = {name: whole[source.whole] for name, source in parted.items()}
    return [
        {
            **found.to_record(),
            "part": parted[found.without].reset or parted[found.without].frozen,
            "treatment": "frozen" if parted[found.without].reset is None else "drawn anew",
        }
        for found in parts_carried(losses, weighed.transfers, wholes)
        # Before any training a frozen model is the whole one.
        if found.data_finetuned_bytes or parted[found.without].reset is not None
    ]


def _names(sources: Sequence[Source], targets: Sequence[str]) -> dict[str, str]:
    names = {code: Language.parse(code).name for code in targets}
    for source in sources:
        plain = source.name == source.lang
        names[source.name] = Language.parse(source.lang).name if plain else source.name
    return names


def _cost(rows: Sequence[Mapping[str, Any]], settings: RunSettings, arm: Arm) -> dict[str, Any]:
    """Bytes and FLOPs of the runs on target text, against every rate for every run to its end.

    The end is the last epoch and a decay, or the text's own where it is read once.
    """
    best_loss = settings.best_loss
    epochs = best_loss.max_epochs * (1 + best_loss.decay_share)
    naive = sum(
        row["dataset_bytes"] * (1 if row["stopped"] == ONE_PASS else epochs) for row in rows
    )
    return {
        **{key: sum(row[key] for row in rows) for key in _COSTS},
        # At equal FLOPs no run has a last epoch.
        "naive_bytes": math.ceil(naive * len(settings.learning_rates))
        if arm.equal == "bytes"
        else None,
    }
