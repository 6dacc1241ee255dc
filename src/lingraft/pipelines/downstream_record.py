"""One record of a comparison on a task: every arm beside the majority floor and random weights.

Axes: R runs, E examples, 2 the sums above and below the fraction line.
"""

import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lingraft.files import read_json, write_json
from lingraft.languages import Language
from lingraft.measurement import Score
from lingraft.measurement.score import COVERAGE, NUM_RESAMPLES
from lingraft.pipelines.downstream import SCORES
from lingraft.pipelines.task_parts import read_parts
from lingraft.report.downstream import FORMAT, write_downstream_report
from lingraft.runtime import Runtime
from lingraft.seeds import derive
from lingraft.study.store import MANIFEST

VERSION = 1
RUN_KEYS = ("learning_rate", "best_epoch", "num_epochs", "num_steps", "num_cut", "num_left_out")


class Interval(NamedTuple):
    """A figure with the interval that resampling gave it; both None where it is undefined."""

    value: float | None
    interval: list[float] | None


def downstream_record(
    *,
    task: Path,
    task_name: str,
    lang: str,
    model: str,
    arms: Sequence[Mapping[str, Any]],
    settings: Any,
    scale: str,
    seed: int,
    out: Path,
    runtime: Runtime,
) -> dict[str, Any]:
    """Gathers the runs of all arms into `record.json` and `report.html`.

    Args:
        task: Folder of the task.
        task_name: How the report calls it.
        lang: Code of its language.
        model: What the model is called.
        arms: Name and folders of the runs of each; the first has random weights.
        settings: `DownstreamSettings` of all arms.
        scale: Name of the scale.
        seed: Of the resampling.
        out: Folder for the two files.
        runtime: What the run used.

    Returns:
        The first score of each arm, and the floor's.
    """
    parts = read_parts(task)
    scores = [_scores(folders["runs"], "scores") for folders in arms]
    floor = _scores(arms[0]["runs"][:1], "majority")
    names = list(floor)
    first = names[0]
    record = {
        "format": FORMAT,
        "question": f"What is pretraining worth on {task_name} in {Language.parse(lang).name}?",
        "model": model,
        "scale": scale,
        "seed": seed,
        "score": first,
        "task": {
            "kind": parts.test.kind,
            "num_labels": len(parts.train.labels),
            **{f"num_{name}": num for name, num in parts.counts().items()},
            "num_overlapping": parts.num_overlapping,
            "rejected": {name: dict(counts) for name, counts in parts.rejected.items()},
        },
        "num_seeds": settings.num_seeds,
        "floor": {name: mean_of_runs(floor[name], seed=seed)._asdict() for name in names},
        "arms": [
            {
                "name": arm["name"],
                "scores": {name: mean_of_runs(found[name], seed=seed)._asdict() for name in names},
                "against_floor": difference_of_runs(
                    found[first], floor[first], seed=seed
                )._asdict(),
                "against_random": None
                if arm is arms[0]
                else difference_of_runs(found[first], scores[0][first], seed=seed)._asdict(),
                "runs": [
                    {"value": score.value, **_figures(folder)}
                    for folder, score in zip(arm["runs"], found[first], strict=True)
                ],
            }
            for arm, found in zip(arms, scores, strict=True)
        ],
        "environment": _environment(runtime),
    }
    write_json(out / "record.json", record)
    write_downstream_report(record, out / "report.html")
    values = {arm["name"]: arm["scores"][first]["value"] for arm in record["arms"]}
    return {"score": first, "majority": record["floor"][first]["value"], "arms": values}


def mean_of_runs(scores: Sequence[Score], *, seed: int) -> Interval:
    """Returns the score of several runs on the same examples, sums first, with its interval.

    Examples are resampled, and so are runs where there are several. A handful of runs tells
    little of how runs scatter, so the interval of few is rather too narrow.

    Args:
        scores: Of one test; at least one.
        seed: Of the resampling; the same seed draws the same examples for all arms.
    """
    return _resampled([scores], seed)


def difference_of_runs(ours: Sequence[Score], theirs: Sequence[Score], *, seed: int) -> Interval:
    """Returns how much more the runs of one arm reach than another's, paired by example.

    Args:
        ours: Runs of one arm.
        theirs: Runs of the other, on the same examples.
        seed: Of the resampling.
    """
    return _resampled([ours, theirs], seed)


def _resampled(sides: Sequence[Sequence[Score]], seed: int) -> Interval:
    """The first side, less the second one if there is one."""
    if any(score.value is None for side in sides for score in side):
        return Interval(None, None)
    sums = [np.asarray([score.items for score in side], dtype=np.float64) for side in sides]
    num_examples = sums[0].shape[1]
    value = _minus([_ratio(side_RE2.sum(axis=(0, 1))) for side_RE2 in sums])
    if num_examples < 2 or not np.isfinite(value):
        return Interval(None if not np.isfinite(value) else value, None)
    examples = np.random.default_rng(derive(seed, "bootstrap", num_examples))
    runs = np.random.default_rng(derive(seed, "bootstrap of runs", num_examples))
    drawn = np.empty(NUM_RESAMPLES)
    for at in range(NUM_RESAMPLES):
        chosen_E = examples.integers(num_examples, size=num_examples)
        ratios = []
        for side_RE2 in sums:
            num_runs = len(side_RE2)
            chosen_R = runs.integers(num_runs, size=num_runs) if num_runs > 1 else np.zeros(1, int)
            ratios.append(_ratio(side_RE2[chosen_R][:, chosen_E].sum(axis=(0, 1))))
        drawn[at] = _minus(ratios)
    if not np.all(np.isfinite(drawn)):
        return Interval(value, None)
    edges = np.quantile(drawn, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2])
    return Interval(value, [float(edge) for edge in edges])


def _ratio(sums_2: NDArray[np.float64]) -> float:
    return float(sums_2[0] / sums_2[1]) if sums_2[1] else float("nan")


def _minus(ratios: Sequence[float]) -> float:
    return ratios[0] - sum(ratios[1:])


def _scores(folders: Sequence[Path], key: str) -> dict[str, list[Score]]:
    """Scores by name, of each run."""
    records = [read_json(folder / SCORES)[key] for folder in folders]
    return {name: [Score.from_record(record[name]) for record in records] for name in records[0]}


def _figures(folder: Path) -> dict[str, Any]:
    result = read_json(folder / MANIFEST)["result"]
    return {key: result[key] for key in RUN_KEYS}


def _environment(runtime: Runtime) -> dict[str, str]:
    names = ("lingraft", "torch", "transformers", "tokenizers", "numpy")
    versions = {name: metadata.version(name) for name in names}
    machine = f"{runtime.threads} threads, {platform.system()} {platform.machine()}"
    return {**versions, "python": platform.python_version(), "machine": machine}
