"""One record of a comparison of interventions: what each changes in the two forces, and buys."""

import platform
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from lingraft.files import read_json, write_json
from lingraft.measurement.score import COVERAGE
from lingraft.measurement.unification import middle_layer
from lingraft.pipelines.influence_runs import INFLUENCE_FILE
from lingraft.pipelines.lab_runs import CELLS
from lingraft.pipelines.language_order import ORDERS_FILE
from lingraft.report.interventions import FORMAT, write_intervention_report
from lingraft.runtime import Runtime

VERSION = 2
FORCES = ("value_bits", "subject_bits", "extractability")
CENTRING = "by language"

Figure = dict[str, Any]
"""A value with its interval over seeds, each seed's value, and why something is None."""


def intervention_record(
    *,
    arms: Sequence[Mapping[str, Any]],
    runs: Sequence[Path],
    orders: Path,
    influence: Path,
    settings: Any,
    scale: str,
    seed: int,
    out: Path,
    runtime: Runtime,
) -> dict[str, Any]:
    """Gathers all arms into `record.json` and `report.html`.

    Args:
        arms: Name, change and base of each.
        runs: Folder of each, from `train_arm`.
        orders: Folder of `teach_in_orders`.
        influence: Folder of `trace_influence`.
        settings: `InterventionSettings` of all arms.
        scale: Name of the scale.
        seed: Of the plan.
        out: Folder for the two files.
        runtime: What the run used.

    Returns:
        Bits per fact that each arm bought against its base.
    """
    files = [read_json(folder / CELLS) for folder in runs]
    seen = {arm["name"]: file["members"] for arm, file in zip(arms, files, strict=True)}
    layer = middle_layer(settings.lab.model.num_layers)
    rows = [arm_row(arm, seen, layer) for arm in arms]
    traced = read_json(influence / INFLUENCE_FILE)
    told = read_json(orders / ORDERS_FILE)["orders"]
    record = {
        "format": FORMAT,
        "question": "What makes facts cross languages?",
        "scale": scale,
        "seed": seed,
        "num_seeds": settings.num_seeds,
        "model": {**files[0]["model"], "num_parameters": files[0]["num_parameters"]},
        "steps": settings.lab.steps,
        "most_bits_per_fact": float(np.log2(seen[arms[0]["name"]][0]["world"]["values"])),
        "layer": layer,
        "centring": CENTRING,
        "bases": [row for row in rows if row["base"] is None],
        "arms": sorted((row for row in rows if row["base"] is not None), key=_by_bits),
        "orders": [order_row(order, axes) for axes in _axes(told) for order in told],
        "influence": traced,
        "environment": _environment(runtime),
    }
    write_json(out / "record.json", record)
    write_intervention_report(record, out / "report.html")
    return {row["name"]: row["bought_bits_per_fact"]["value"] for row in record["arms"]}


def arm_row(
    arm: Mapping[str, Any], seen: Mapping[str, Sequence[Mapping[str, Any]]], layer: int
) -> dict[str, Any]:
    """Returns what an arm changes in the two forces, and what it buys against its base.

    Args:
        arm: Its name, change and base.
        seen: Members of every arm, of the same seeds in the same order.
        layer: Whose U is told, from 0 for the embeddings.
    """
    members = seen[arm["name"]]
    before = None if arm["base"] is None else seen[arm["base"]]
    measures: dict[str, Callable[[Mapping[str, Any]], float | None]] = {
        "bits_per_fact": lambda member: _recalled(member, "bits_per_fact"),
        "clipped_bits_per_fact": _clipped,
        "transfer_ratio": lambda member: _recalled(member, "transfer_ratio"),
        "same_accuracy": lambda member: _recalled(member, "same_accuracy"),
        "cross_accuracy": lambda member: _recalled(member, "cross_accuracy"),
        "unification": lambda member: _unified(member, layer),
    }
    row: dict[str, Any] = {
        **arm,
        "world": {key: value for key, value in members[0]["world"].items() if key != "seed"},
        "forces": {
            name: {
                "before": None if before is None else _force(before, name),
                "after": _force(members, name),
            }
            for name in FORCES
        },
    }
    for name, measure in measures.items():
        row[name] = over_seeds([measure(member) for member in members])
        if before is not None:
            pairs = zip(members, before, strict=True)
            row[f"bought_{name}"] = over_seeds(
                [_minus(measure(member), measure(other)) for member, other in pairs]
            )
    return row


def order_row(order: Mapping[str, Any], axes: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what one order of languages brought in the worlds of one kind.

    Forward: facts of the second language asked in it before it is taught, less what random weights
    answer; monolingual facts can only be guessed then, parallel ones were told in the first
    language. Backward: facts of the first language asked in it after the second stage, less what
    was known after the first (Lopez-Paz and Ranzato, arXiv 1706.08840). Crossing: monolingual
    facts asked at the end in the language that never told them.

    Args:
        order: Of `teach_in_orders`.
        axes: Of the members that count.
    """
    marks = [member["after"] for member in order["members"] if member["axes"] == axes]
    first, second = order["languages"]
    row: dict[str, Any] = {"order": order["order"], "axes": dict(axes)}
    for name in ("accuracy", "bits_per_fact"):

        def known(kind: str, lang: int, stage: int, name: str = name) -> list[float | None]:
            return [after[stage][kind].get(str(lang), {}).get(name) for after in marks]

        ends = {lang: known(f"home_{lang}", lang, -1) for lang in (0, 1)}
        crossed = {lang: known(f"home_{lang}", 1 - lang, -1) for lang in (0, 1)}
        found = {
            "same_0": ends[0],
            "same_1": ends[1],
            "from_0_to_1": crossed[0],
            "from_1_to_0": crossed[1],
            "forward": None,
            "forward_parallel": None,
            "backward": None,
        }
        if first is not None and second is not None:
            home = f"home_{second}"
            found["forward"] = _changes(known(home, second, 1), known(home, second, 0))
            found["forward_parallel"] = _changes(
                known("parallel", second, 1), known("parallel", second, 0)
            )
            home = f"home_{first}"
            found["backward"] = _changes(known(home, first, 2), known(home, first, 1))
        row[name] = {
            key: _undefined("both languages are taught at once")
            if values is None
            else over_seeds(values)
            for key, values in found.items()
        }
    return row


def over_seeds(values: Sequence[float | None]) -> Figure:
    """Returns the mean of the seeds' values with its 95 % interval by Student's t.

    A handful of seeds tells how seeds scatter; of differences, give those of pairs.

    Args:
        values: One a seed; None where it is undefined, which the mean then is as well.

    Example:
        >>> over_seeds([1.0, 3.0])["value"], over_seeds([1.0])["interval"]
        (2.0, None)
    """
    defined = [value for value in values if value is not None]
    if len(defined) < len(values) or not defined:
        missing = f"undefined for {len(values) - len(defined)} of {len(values)} seeds"
        return {**_undefined(missing), "by_seed": list(values)}
    mean, num = float(np.mean(defined)), len(defined)
    if num < 2:
        return {
            "value": mean,
            "interval": None,
            "reason": "one seed has no interval",
            "by_seed": defined,
        }
    reach = float(stats.t.ppf((1 + COVERAGE) / 2, num - 1) * np.std(defined, ddof=1) / num**0.5)
    return {
        "value": mean,
        "interval": [mean - reach, mean + reach],
        "reason": "",
        "by_seed": defined,
    }


def _undefined(reason: str) -> Figure:
    return {"value": None, "interval": None, "reason": reason, "by_seed": []}


def _by_bits(row: Mapping[str, Any]) -> tuple[bool, float]:
    """The most bits bought first, what is undefined last."""
    value = row["bought_bits_per_fact"]["value"]
    return (value is None, 0.0 if value is None else -value)


def _recalled(member: Mapping[str, Any], name: str) -> float | None:
    value: float | None = member["recall"][name]["value"]
    return value


def _clipped(member: Mapping[str, Any]) -> float | None:
    """Bits per fact with 0 in place of what is worse than a guess."""
    statistics = member["recall"]["transferred_bits"]["statistics"]
    return float(statistics["clipped_bits"] / statistics["num_facts"])


def _unified(member: Mapping[str, Any], layer: int) -> float | None:
    value: float | None = member["curve"][-1]["layers"][CENTRING][layer]["unification"]
    return value


def _force(members: Sequence[Mapping[str, Any]], name: str) -> float | None:
    """The mean over seeds, whose worlds differ in rounding of quotas at most."""
    values = [member["information"][name] for member in members]
    return None if None in values else float(np.mean(values))


def _minus(ours: float | None, theirs: float | None) -> float | None:
    return None if ours is None or theirs is None else ours - theirs


def _changes(after: Sequence[float | None], before: Sequence[float | None]) -> list[float | None]:
    return [_minus(ours, theirs) for ours, theirs in zip(after, before, strict=True)]


def _axes(orders: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Every kind of world once, in its order."""
    found: list[dict[str, Any]] = []
    for member in orders[0]["members"]:
        if member["axes"] not in found:
            found.append(member["axes"])
    return found


def _environment(runtime: Runtime) -> dict[str, str]:
    versions = {name: metadata.version(name) for name in ("lingraft", "torch", "numpy", "scipy")}
    machine = f"{runtime.threads} threads, {platform.system()} {platform.machine()}"
    return {**versions, "python": platform.python_version(), "machine": machine}
