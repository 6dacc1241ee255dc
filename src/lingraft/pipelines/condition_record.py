"""One record of the study of parallel data: every figure of its report."""

import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from lingraft.alignment import Links, alignment_error_rate
from lingraft.alignment.score import AlignmentScore
from lingraft.files import read_json, write_json
from lingraft.languages import Language
from lingraft.measurement import Score
from lingraft.measurement.score import bootstrap_interval
from lingraft.pipelines.condition_figures import SCORES, FigureSettings
from lingraft.pipelines.floors import ORDERS
from lingraft.report import write_factor_report
from lingraft.runtime import Runtime
from lingraft.study.store import MANIFEST

VERSION = 1
FORMAT = "lingraft-factors-1"
STAGES = ("before", "calibrated", "after")


def study_record(
    *,
    model: str,
    source_lang: str,
    factors: Sequence[Mapping[str, Any]],
    floors: Sequence[Mapping[str, Any]],
    settings: FigureSettings,
    num_test: int,
    seed: int,
    out: Path,
    runtime: Runtime,
) -> dict[str, Any]:
    """Gathers the study's figures into `record.json` and `report.html`.

    Args:
        model: What the source model is called.
        source_lang: Code of its language.
        factors: Name, question and levels; each level with the folders of its results.
        floors: Of each language, the folders of counts and of untrained models.
        settings: How conditions were trained.
        num_test: Rows that were asked for to measure on.
        seed: Of the study.
        out: Folder for the two files.
        runtime: What the run used.

    Returns:
        Number of factors, levels and levels that are no better than rows without pairs.
    """
    tables = [
        {
            "name": factor["name"],
            "question": factor["question"],
            "levels": [_level(level) for level in factor["levels"]],
        }
        for factor in factors
    ]
    record = {
        "format": FORMAT,
        "question": f"How do the rows of {model} depend on parallel data?",
        "model": model,
        "source_lang": Language.parse(source_lang).name,
        "trained_bytes": settings.num_bytes,
        "num_test": num_test,
        "seed": seed,
        "factors": tables,
        "floors": [_floors(entry) for entry in floors],
        "environment": _environment(runtime),
    }
    write_json(out / "record.json", record)
    write_factor_report(record, out / "report.html")
    levels = [level for table in tables for level in table["levels"]]
    return {
        "num_factors": len(tables),
        "num_levels": len(levels),
        "num_failing": sum(level["verdict"] != "better" for level in levels),
    }


def difference(one: Score, other: Score) -> dict[str, Any]:
    """Returns how much more one score is than another on the same texts, with a paired interval.

    Resampled by document, both models alike; None where either is undefined or the texts differ.
    """
    same = one.signature.get("data") == other.signature.get("data")
    if one.value is None or other.value is None or not same:
        return {"value": None, "interval": None}
    items = tuple((a - b, size) for (a, size), (b, _) in zip(one.items, other.items, strict=True))
    interval = bootstrap_interval(items, scale=one.scale, seed=0)
    return {
        "value": one.value - other.value,
        "interval": None if interval is None else list(interval),
    }


def verdict(change: Mapping[str, Any]) -> str | None:
    """Says whether a difference of bits per byte is ``"better"``, ``"worse"`` or ``"open"``."""
    if change["value"] is None:
        return None
    low, high = change["interval"] or (change["value"], change["value"])
    if high < 0:
        return "better"
    return "worse" if low > 0 else "open"


def _level(level: Mapping[str, Any]) -> dict[str, Any]:
    scores = _scores(level["measured"]) | _scores(level["trained"])
    compared = scores["after"] if "after" in scores else scores["before"]
    reference = _scores(level["reference"])
    pieces = difference(scores["before"], _scores(level["pieces"])["before"])
    rows = _result(level["rows"])
    measured = _result(level["measured"])
    corpora = [_result(folder) for folder in level["corpora"]]
    corpus = corpora[0] if corpora else {}
    return {
        "label": level["label"],
        "condition": level["condition"],
        "num_pairs": sum(each["num_pairs"] for each in corpora) if corpora else None,
        "cleaning": {key: corpus.get(key) for key in ("num_removed", "num_removed_spoilt")}
        | {"num_spoilt": corpus.get("num_spoilt")},
        "num_entries": corpus.get("num_entries"),
        "disagreement": _disagreement(level["links"], level["reference_links"]),
        "gold": _gold(_result(level["links"]).get("gold")),
        "row_coverage": measured["row_coverage"],
        "text_coverage": measured["text_coverage"],
        "by_rule": rows["by_rule"],
        "cosine": rows.get("cosine"),
        "cosine_of_others": rows.get("cosine_of_others"),
        **{stage: _without_items(scores.get(stage)) for stage in STAGES},
        "change": difference(compared, reference.get("after") or reference["before"]),
        "against_pieces": pieces,
        "verdict": verdict(pieces),
    }


def _disagreement(links: Path | None, reference: Path | None) -> dict[str, Any] | None:
    """1 − F1 between the condition's links of the probe and those of all clean pairs.

    With every reference link sure and no other possible, the alignment error rate is just that;
    the reference is no gold, so it is not called so.
    """
    if links is None or reference is None:
        return None
    found, wanted = (Links.load(path / "probe.safetensors") for path in (links, reference))
    score = alignment_error_rate(found, wanted.sets())
    return {
        "value": score.value,
        "num_hits": score.num_sure_hits,
        "num_links": score.num_links,
        "num_reference": score.num_sure,
    }


def _gold(sums: Mapping[str, int] | None) -> dict[str, Any] | None:
    if sums is None:
        return None
    hits = sums["num_hits"]
    score = AlignmentScore(hits, hits, sums["num_links"], sums["num_sure"])
    return {"value": score.value, **sums}


def _floors(entry: Mapping[str, Any]) -> dict[str, Any]:
    counts = read_json(entry["counts"] / "floors.json")
    rows = {
        f"{key} ({which})": _without_items(Score.from_record(counts[f"{key}_{which}"]))
        for key in ORDERS
        for which in ("a", "b")
    }
    rows["rows from source pieces, no pairs"] = _without_items(_scores(entry["pieces"])["before"])
    rows["the model with its own vocabulary"] = _without_items(_scores(entry["own"])["before"])
    return {
        "language": Language.parse(entry["target_lang"]).name,
        "model": "tiny causal model" if entry["is_tiny"] else "given model",
        "a_bytes": counts["a_bytes"],
        "b_bytes": counts["b_bytes"],
        "rows": rows,
    }


def _scores(folder: Path | None) -> dict[str, Score]:
    if folder is None:
        return {}
    return {name: Score.from_record(value) for name, value in read_json(folder / SCORES).items()}


def _result(folder: Path | None) -> dict[str, Any]:
    return {} if folder is None else dict(read_json(folder / MANIFEST)["result"])


def _without_items(score: Score | None) -> dict[str, Any] | None:
    """A score as JSON; the sums of each document stay in the condition's own artifact."""
    if score is None:
        return None
    return {key: value for key, value in score.to_record().items() if key != "items"}


def _environment(runtime: Runtime) -> dict[str, str]:
    names = ("lingraft", "torch", "transformers", "tokenizers", "numpy", "numba")
    versions = {name: metadata.version(name) for name in names}
    machine = f"{runtime.threads} threads, {platform.system()} {platform.machine()}"
    return {**versions, "python": platform.python_version(), "machine": machine}
