"""One record of a data transfer study: losses, transfers, what goes with them, what went wrong."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from lingraft.corpus import read_pairs
from lingraft.corpus.contamination import contamination
from lingraft.corpus.line_languages import LineLabels, label_lines
from lingraft.corpus.similarity import byte_premium, similarity
from lingraft.errors import InputError
from lingraft.files import read_json, write_json, write_text
from lingraft.languages import Language
from lingraft.measurement import Cell, Loss, associations, commutativity, data_transfer, predict
from lingraft.measurement.data_transfer import DataTransfer, Rule, Transfer
from lingraft.measurement.failure_signatures import failure_signatures
from lingraft.measurement.parts_carried import parts_carried
from lingraft.measurement.prediction import variance_shares
from lingraft.measurement.transfer_losses import COLUMNS
from lingraft.model.byte_lm import ladder_lm
from lingraft.pipelines.transfer_arms import Arm
from lingraft.pipelines.transfer_inputs import Source
from lingraft.pipelines.transfer_runs import RESULT, RunSettings
from lingraft.pipelines.transfer_texts import read_part
from lingraft.report.transfer import write_transfer_report
from lingraft.runtime import Runtime
from lingraft.tokenizer import Tokenizer, byte_tokenizer

VERSION = 3
FORMAT = "lingraft-transfer-1"
_MAX_LINES = 1_000
_HELD_OUT = ("valid", "test")
_COSTS = ("processed_bytes", "processed_flops")
_FEATURES = ("script_overlap", "unigram_divergence_bits", "bigram_divergence_bits")


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
        runs: Target, init, size, seed and trunk of each run, and its folder.
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
    alike = _similarities(sources, targets, source_texts, target_texts, seed)
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
        "units": {
            code: _units(target_texts[code], code, pairs, reference_lang, seed) for code in targets
        },
        "similarity": alike,
        "contamination": _contaminations(sources, targets, source_texts, target_texts, seed),
        **_tests(weighed, alike, seed),
        "failures": [found.to_record() for found in failure_signatures(losses, weighed)],
        "cost": _cost(rows, settings, arm),
        "threads": runtime.threads,
    }
    write_text(out / "losses.csv", losses_csv(losses))
    write_json(out / "record.json", record)
    write_transfer_report(record, out / "report.html")
    cells = weighed.transfers
    return {
        "num_runs": len(rows),
        "num_cells": len(cells),
        "num_censored": sum(cell.censored is not None for cell in cells),
    }


def losses_csv(losses: Sequence[Loss]) -> str:
    """Returns the table that ``lingraft data-transfer`` reads."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*COLUMNS, "seed", "trunk"])
    for loss in losses:
        writer.writerow(
            [
                loss.target,
                loss.init,
                loss.dataset_bytes,
                repr(loss.perplexity_per_byte),
                loss.seed,
                loss.trunk,
            ]
        )
    return stream.getvalue()


def _row(run: Mapping[str, Any]) -> dict[str, Any]:
    result = read_json(run["run"] / RESULT)
    if "sizes" in result:  # a trunk: its text is told once, with its largest size
        largest = run["dataset_bytes"] == max(map(int, result["sizes"]))
        costs = {key: result[key] if largest else 0 for key in _COSTS}
        result = {**result, **result["sizes"][str(run["dataset_bytes"])], **costs}
    kept = ("nats_per_byte", "valid_nats_per_byte", "learning_rate", *_COSTS)
    described = {key: value for key, value in run.items() if key != "run"}
    return {**described, **{key: result[key] for key in kept}}


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


def _units(
    text: Path, code: str, pairs: Mapping[str, Path], reference_lang: str, seed: int
) -> dict[str, Any]:
    facts = read_json(text / "facts.json")
    found = None
    if code in pairs:
        parallel = read_pairs(
            pairs[code],
            source_lang=Language.parse(reference_lang),
            target_lang=Language.parse(code),
        )
        premium = byte_premium(parallel, text=pairs[code].name, seed=seed)
        interval = premium.interval
        found = {
            "value": premium.value,
            "interval": None if interval is None else list(interval),
            "text": premium.text,
        }
    return {
        "bytes_per_character": facts["train_bytes"] / facts["train_characters"],
        "byte_premium": found,
    }


def _similarities(
    sources: Sequence[Source],
    targets: Sequence[str],
    source_texts: Mapping[str, Path],
    target_texts: Mapping[str, Path],
    seed: int,
) -> list[dict[str, Any]]:
    """From equal amounts of text: divergences of small samples are larger."""
    found = []
    for code in targets:
        target = read_part(target_texts[code], "test", Language.parse(code))
        for source in sources:
            text = read_part(source_texts[source.name], "test", Language.parse(source.lang))
            alike = similarity(text, target, seed=seed)
            row = {name: getattr(alike, name) for name in _FEATURES}
            row.update(alike.typology or {})
            found.append({"target": code, "source": source.name, **row})
    return found


def _contaminations(
    sources: Sequence[Source],
    targets: Sequence[str],
    source_texts: Mapping[str, Path],
    target_texts: Mapping[str, Path],
    seed: int,
) -> list[dict[str, Any]]:
    """The share of each source's lines in each target language; held-out text is the clean one."""
    found = []
    clean_targets = {code: _labels(target_texts[code], _HELD_OUT, code, seed) for code in targets}
    for source in sources:
        if source.control is not None:
            continue
        lines = _labels(source_texts[source.name], ("train",), source.lang, seed)
        clean = _labels(source_texts[source.name], _HELD_OUT, source.lang, seed)
        for code in targets:
            if code == source.lang:
                continue
            share = contamination(
                lines,
                Language.parse(code),
                clean=clean,
                clean_target=clean_targets[code],
                seed=seed,
            )
            found.append(
                {
                    "target": code,
                    "source": source.name,
                    "described": share.describe(),
                    "share": share.share,
                    "limit": share.detection_limit,
                }
            )
    return found


def _labels(text: Path, parts: Sequence[str], code: str, seed: int) -> LineLabels:
    read = [read_part(text, part, Language.parse(code)) for part in parts]
    # `study_text` has seen to it that parts share no text; users' ids may be unique in a file only.
    named = tuple(
        replace(document, id=f"{part}/{document.id}")
        for part, documents in zip(parts, read, strict=True)
        for document in documents
    )
    return label_lines(replace(read[0], records=named), seed=seed, max_lines=_MAX_LINES)


def _tests(weighed: DataTransfer, alike: Sequence[Mapping[str, Any]], seed: int) -> dict[str, Any]:
    """What goes with transfer; for sizes above 0, since a zero-shot point has no D_F."""
    cells = [_cell(transfer) for transfer in weighed.transfers if transfer.data_finetuned_bytes]
    if not cells:
        return {"associations": [], "variance": None, "commutativity": [], "prediction": None}
    by_pair = {(row["target"], row["source"]): row for row in alike}
    smallest = min(cell.data_finetuned_bytes for cell in cells)
    at_smallest = [cell for cell in cells if cell.data_finetuned_bytes == smallest]
    shares = variance_shares(at_smallest)
    return {
        "associations": [
            row
            for name in _FEATURES
            for row in _associated(
                cells, [by_pair[cell.target, cell.source][name] for cell in cells], name, seed
            )
        ],
        "variance": {
            "target": shares.target,
            "source": shares.source,
            "num_cells": shares.num_cells,
            "data_finetuned_bytes": smallest,
            "reason": shares.reason,
        },
        "commutativity": [
            {
                "one": both.first,
                "other": both.second,
                "there": both.to_second,
                "back": both.to_first,
                "fold": both.fold,
            }
            for both in commutativity(at_smallest).pairs
        ],
        "prediction": _predicted(at_smallest, by_pair),
    }


def _cell(transfer: Transfer) -> Cell:
    return Cell(
        transfer.target,
        transfer.source,
        transfer.data_finetuned_bytes,
        transfer.data_transferred_bytes,
        censored=transfer.censored,
    )


def _associated(
    cells: Sequence[Cell], values: Sequence[float | None], name: str, seed: int
) -> list[dict[str, Any]]:
    found = associations(cells, values, seed=seed)
    rows = [
        {
            "covariate": name,
            "data_finetuned_bytes": one.data_finetuned_bytes,
            "rho": one.rho,
            "p": one.p,
            "num_cells": one.num_cells,
            "reason": one.reason,
        }
        for one in found.by_size
    ]
    pooled = found.pooled
    rows.append(
        {
            "covariate": name,
            "data_finetuned_bytes": None,
            "rho": pooled.rho,
            "p": pooled.p,
            "num_cells": pooled.num_cells,
            "reason": pooled.reason or pooled.warning,
        }
    )
    return rows


def _predicted(
    cells: Sequence[Cell], by_pair: Mapping[tuple[str, str], Mapping[str, Any]]
) -> dict[str, Any]:
    """How well bytes alone predict transfer; where there are too few cells, why not."""
    features = [[by_pair[cell.target, cell.source][name] for name in _FEATURES] for cell in cells]
    if any(value is None for row in features for value in row):
        return {"reason": "a similarity is undefined"}
    try:
        found = predict(cells, features, names=_FEATURES)
    except InputError as error:
        return {"reason": str(error)}
    return {
        "features": ", ".join(_FEATURES),
        "num_cells": found.num_cells,
        "new target: squared error": found.new_target.squares,
        "new target: squared error of the grand mean": found.new_target.baseline_squares,
        "new cell: squared error": found.new_cell.squares,
        "new cell: squared error of target + source means": found.new_cell.baseline_squares,
    }


def _cost(rows: Sequence[Mapping[str, Any]], settings: RunSettings, arm: Arm) -> dict[str, Any]:
    """Bytes and FLOPs, against every rate for every run to the last epoch and a decay."""
    best_loss = settings.best_loss
    most = best_loss.max_epochs * (1 + best_loss.decay_share) * len(settings.learning_rates)
    naive = math.ceil(sum(row["dataset_bytes"] for row in rows) * most)
    return {
        **{key: sum(row[key] for row in rows) for key in _COSTS},
        # At equal FLOPs no run has a last epoch.
        "naive_bytes": naive if arm.equal == "bytes" else None,
    }
