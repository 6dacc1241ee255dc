"""One record of an adaptation: every number of the report, the card and the printed table."""

import platform
from collections.abc import Mapping
from importlib import metadata
from typing import Any

from lingraft.files import read_json
from lingraft.languages import Language
from lingraft.pipelines.corpora import corpus_facts
from lingraft.pipelines.planning import TRAINED_CONTROL, UNTRAINED_CONTROL
from lingraft.runtime import Runtime
from lingraft.study import Artifact
from lingraft.units import format_bytes

FORMAT = "lingraft-adaptation-1"
LABELS = {
    "source": "source model, its own vocabulary",
    "random": "new vocabulary, random rows",
    "mean": "new vocabulary, mean rows (= uniform)",
    "pieces": "new vocabulary, rows from source pieces",
    "trans_tokenize": "new vocabulary, trans-tokenized rows",
}


def assemble(
    artifacts: Mapping[str, Artifact],
    *,
    method: str,
    model_name: str,
    source_lang: Language,
    target_lang: Language,
    inputs: list[dict[str, str]],
    runtime: Runtime,
    model_path: str,
) -> dict[str, Any]:
    """Gathers the artifacts of an adaptation into one JSON record.

    Args:
        artifacts: Of an `adaptation_plan`, by name.
        method: The graft's transfer method.
        model_name: What the user called the source model.
        source_lang: The source model's main language.
        target_lang: The new language.
        inputs: Name, licence and origin of everything that went in.
        runtime: What the run used.
        model_path: Where the adapted model lies.

    Returns:
        A record in `FORMAT`.
    """
    table = _table(artifacts, method)
    floors = _floors(read_json(artifacts["floors"].path / "floors.json"))
    inspection = read_json(artifacts["inspection"].path / "inspection.json")
    corpus = corpus_facts(artifacts["corpus"].path)
    rows = artifacts[f"rows-{method}"].result
    graft = artifacts[f"arm-{method}"]
    return {
        "format": FORMAT,
        "question": f"What does it take to make {model_name} work in {target_lang.name}?",
        "source_model": model_name,
        "source_lang": _language(source_lang),
        "target_lang": _language(target_lang),
        "budget_bytes": graft.result["trained_bytes"],
        "budget_seconds": _graft_seconds(table, method),
        "timed": graft.timed,
        "table": table,
        "floors": floors,
        "verdicts": verdicts(table, floors, method),
        "curves": [_curve(artifacts, row) for row in table if row["num_steps"]],
        "vocabulary": {**inspection["vocabulary"], "rule": artifacts["tokenizer"].result["rule"]},
        "rows": inspection["rows"],
        "coverage": rows,
        "stages": _stages(artifacts, corpus),
        "weight": read_json(artifacts["weight"].path / "weight.json")
        if "weight" in artifacts
        else None,
        "forgetting": inspection["forgetting"],
        "continuations": inspection["continuations"],
        "corpus": corpus,
        "inputs": inputs,
        "warnings": corpus["warnings"],
        "choices": {
            name.removeprefix("choice-"): artifact.result
            for name, artifact in artifacts.items()
            if name.startswith("choice-")
        },
        "lineage": [
            {
                "name": name,
                "fingerprint": artifact.fingerprint,
                "function": artifact.manifest["function"],
                "timed": artifact.timed,
            }
            for name, artifact in sorted(artifacts.items())
        ],
        "environment": _environment(runtime),
        "model_path": model_path,
    }


def verdicts(
    table: list[dict[str, Any]], floors: Mapping[str, Any], method: str
) -> list[dict[str, Any]]:
    """Returns what the figures say about the graft, claim by claim, whichever way it comes out."""
    rows = {row["arm"]: row for row in table}
    graft = rows[method]
    trigram = next(row for row in floors["rows"] if row["key"] == "trigram")
    unigram = next(row for row in floors["rows"] if row["key"] == "unigram")
    claims = [
        (
            f"Before training, the graft beats {LABELS[other]}",
            graft["before"],
            rows[other]["before"],
        )
        for other in ("source", TRAINED_CONTROL, UNTRAINED_CONTROL)
        if other in rows
    ]
    claims += [
        (
            "Before training and with one fitted unigram bias, the graft beats unigram counts of "
            "all target text seen",
            graft["before_biased"],
            unigram["b"],
        ),
        (
            "Before training, with these frequencies written into its rows, the graft beats "
            "unigram counts of all target text seen",
            graft["before_calibrated"],
            unigram["b"],
        ),
        (
            "After training, the graft beats trigram counts of the bytes it was trained on (a)",
            graft["after_bytes"],
            trigram["a"],
        ),
        (
            "After training, the graft beats trigram counts of all target text that any stage "
            "saw (b)",
            graft["after_bytes"],
            trigram["b"],
        ),
    ]
    if "source" in rows:
        claims += [
            (
                "At equal bytes, the graft beats the source model with its own vocabulary",
                graft["after_bytes"],
                rows["source"]["after_bytes"],
            ),
            (
                "At equal seconds, the graft beats the source model with its own vocabulary",
                graft["after_seconds"],
                rows["source"]["after_seconds"],
            ),
        ]
    return [_verdict(*claim) for claim in claims]


def _verdict(
    claim: str, ours: Mapping[str, Any] | None, theirs: Mapping[str, Any] | None
) -> dict[str, Any]:
    a = None if ours is None else ours["value"]
    b = None if theirs is None else theirs["value"]
    if a is None or b is None:
        return {"claim": claim, "holds": None, "detail": "one of the two was not measured"}
    return {
        "claim": claim,
        "holds": bool(a < b),
        "detail": f"{a:.3f} against {b:.3f} bits per byte",
    }


def _table(artifacts: Mapping[str, Artifact], method: str) -> list[dict[str, Any]]:
    order = ("source", TRAINED_CONTROL, UNTRAINED_CONTROL, method)
    rows = []
    for arm in order:
        artifact = artifacts.get(f"arm-{arm}")
        if artifact is not None:
            rows.append(_row(arm, artifact, artifacts))
    seconds = _graft_seconds(rows, method)
    for row in rows:
        if row["num_steps"]:
            row["after_seconds"] = _at_seconds(artifacts, row, seconds)
    return rows


def _row(arm: str, artifact: Artifact, artifacts: Mapping[str, Artifact]) -> dict[str, Any]:
    scores = read_json(artifact.path / "scores.json")
    choice = artifacts.get(f"choice-{arm}")
    trained = "after" in scores
    return {
        "arm": arm,
        "label": LABELS[arm],
        "start_token": choice.result["start_token_text"] if choice else None,
        "learning_rate": choice.result["learning_rate"] if choice and trained else None,
        "before": scores["before"],
        "before_biased": scores.get("before_biased"),
        "before_calibrated": scores.get("before_calibrated"),
        "after_bytes": scores.get("after"),
        "after_seconds": None,
        "num_steps": artifact.result.get("num_steps", 0),
        "preparation_seconds": _preparation_seconds(arm, artifacts),
        "training_seconds": artifact.run.get("training_seconds", 0.0),
        "trained_bytes": artifact.result.get("trained_bytes", 0),
    }


def _preparation_seconds(arm: str, artifacts: Mapping[str, Artifact]) -> float:
    """Seconds before the first step: tokenizer and, for the graft, alignment and rows."""
    needed = [] if arm == "source" else ["tokenizer"]
    if f"rows-{arm}" in artifacts:
        needed += ["links", f"rows-{arm}"]
    return sum(float(artifacts[name].run["wall_seconds"]) for name in needed if name in artifacts)


def _graft_seconds(table: list[dict[str, Any]], method: str) -> float:
    """The moment when the graft is done, preparation included: S of the table.

    An arm that had used up its bytes by then stands in that column with its last point.
    """
    graft = next(row for row in table if row["arm"] == method)
    return float(graft["preparation_seconds"] + graft["training_seconds"])


def _at_seconds(
    artifacts: Mapping[str, Artifact], row: Mapping[str, Any], seconds: float
) -> dict[str, Any] | None:
    """The last point of an arm's curve at or before a moment, preparation included."""
    points = _curve(artifacts, row)["points"]
    reached = [point for point in points if point["seconds"] <= seconds + 1e-6]
    score: dict[str, Any] | None = reached[-1]["score"] if reached else None
    return score


def _curve(artifacts: Mapping[str, Artifact], row: Mapping[str, Any]) -> dict[str, Any]:
    artifact = artifacts[f"arm-{row['arm']}"]
    curve = read_json(artifact.path / "scores.json")["curve"]
    points = [
        {
            "num_bytes": point["num_bytes"],
            "num_tokens": point["num_tokens"],
            "seconds": row["preparation_seconds"] + spent,
            "value": point["values"]["score"]["value"],
            "score": point["values"]["score"],
        }
        for point, spent in zip(curve, artifact.run["curve_seconds"], strict=True)
    ]
    num_rows = int(points[0]["score"]["statistics"]["num_documents"])
    return {"arm": row["arm"], "label": row["label"], "num_rows": num_rows, "points": points}


def _floors(floors: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "a_bytes": floors["a_bytes"],
        "b_bytes": floors["b_bytes"],
        "rows": [
            {
                "label": "uniform over the new vocabulary",
                "key": "uniform",
                "a": floors["uniform_a"],
                "b": floors["uniform_b"],
            },
            {
                "label": "unigram counts",
                "key": "unigram",
                "a": floors["unigram_a"],
                "b": floors["unigram_b"],
            },
            {
                "label": "Kneser-Ney trigram counts",
                "key": "trigram",
                "a": floors["trigram_a"],
                "b": floors["trigram_b"],
            },
        ],
    }


def _stages(artifacts: Mapping[str, Artifact], corpus: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Seconds and bytes of every job; of trainings, the bytes trained on."""
    return [
        {
            "name": name,
            "seconds": float(artifact.run["wall_seconds"]),
            "num_bytes": int(artifact.result.get("trained_bytes", corpus["train_bytes"]))
            if not name.startswith(("choice", "inspection", "floors"))
            else None,
            "peak_memory_bytes": artifact.run.get("process_peak_rss_bytes"),
        }
        for name, artifact in artifacts.items()
    ]


def _language(lang: Language) -> dict[str, Any]:
    return {
        "code": str(lang),
        "name": lang.name,
        "tag": lang.tag,
        "right_to_left": lang.is_right_to_left,
    }


def _environment(runtime: Runtime) -> dict[str, str]:
    names = ("lingraft", "torch", "transformers", "tokenizers", "numpy", "numba")
    versions = {name: metadata.version(name) for name in names}
    machine = f"{runtime.threads} threads, {platform.system()} {platform.machine()}"
    return {**versions, "python": platform.python_version(), "machine": machine}


def summary(record: Mapping[str, Any]) -> str:
    """Returns two lines for a terminal: what the graft reached, and against what."""
    held = [verdict for verdict in record["verdicts"] if verdict["holds"]]
    failed = [verdict for verdict in record["verdicts"] if verdict["holds"] is False]
    lines = [f"{len(held)} of {len(held) + len(failed)} claims hold; those that do not:"]
    lines += [f"  {verdict['claim']}: {verdict['detail']}" for verdict in failed] or ["  none"]
    trained = format_bytes(record["budget_bytes"])
    seen = format_bytes(record["floors"]["b_bytes"])
    lines.append(f"Target text seen: {trained} in training, {seen} by all stages together.")
    return "\n".join(lines)
