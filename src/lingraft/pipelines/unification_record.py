"""One record of a study of unification: members, cells, phases, and whether the claims hold."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from lingraft.errors import InputError
from lingraft.files import read_json, write_json
from lingraft.measurement.phases import Curves, Phases, SeedEstimate, phases
from lingraft.measurement.unification import middle_layer
from lingraft.pipelines.lab_outcomes import FLOORS
from lingraft.pipelines.lab_runs import CELLS
from lingraft.pipelines.unification_claims import (
    AXES,
    Member,
    Value,
    acceptance,
    cell_name,
    onset,
    unification_at,
    unification_at_onset,
    unification_of,
)
from lingraft.report.unification import FORMAT, write_unification_report
from lingraft.seeds import derive

VERSION = 6
RECORD, REPORT = "record.json", "report.html"


def unification_record(
    *,
    runs: Sequence[Path],
    subgrid_runs: Sequence[Path],
    scale: str,
    seed: int,
    out: Path,
) -> dict[str, Any]:
    """Gathers the members of a study into `record.json` and `report.html`.

    Args:
        runs: Folders of `train_cells`, the grid.
        subgrid_runs: Folders of the grid over overlaps; may be none.
        scale: Of the study.
        seed: Of intervals and tests.
        out: Folder for the files.

    Returns:
        Number of members, and which claims hold.

    Raises:
        InputError: There is no member.
    """
    read = [read_json(run / CELLS) for run in runs]
    members = [member for one in read for member in one["members"]]
    if not members:
        raise InputError(expected="at least one member", got="none", where="runs")
    others = [m for run in subgrid_runs for m in read_json(run / CELLS)["members"]]
    last = read[0]["model"]["num_layers"]
    middle = middle_layer(last)
    values = _values(middle, last)
    claims = acceptance(members, middle=middle, last=last, seed=seed)
    claims += acceptance(members, middle=middle, last=last, seed=seed, at_full_recall=True)
    record = {
        "format": FORMAT,
        "scale": scale,
        "question": "Why does a fact learnt in one language not appear in the other?",
        "model": read[0]["model"],
        "num_parameters": read[0]["num_parameters"],
        "steps": members[0]["curve"][-1]["step"],
        "middle_layer": middle,
        "last_layer": last,
        "compared_languages": members[0]["compared_languages"],
        "axes": list(AXES),
        "members": members,
        "cells": _cells(members, values, seed),
        "acceptance": claims,
        "phases": _phases(members, middle, seed),
        "subgrid": _cells(others, values, seed),
        "subgrid_acceptance": _subgrid_claims(others, middle, last, seed),
    }
    write_json(out / RECORD, record)
    write_unification_report(record, out / REPORT)
    return {
        "num_members": len(members) + len(others),
        "holds": {claim["name"]: claim["holds"] for claim in claims},
    }


def _values(middle: int, last: int) -> dict[str, Value]:
    """What tables tell of a cell."""

    names = (
        "same_accuracy", "cross_accuracy", "transfer_ratio", "overall", "transfer",
        "bits_per_fact", "wrong_half_rate", "same_mrr", "cross_mrr",
    )  # fmt: skip
    return {
        **{name: _estimate("recall", name) for name in names},
        "num_asked": lambda member: member["num_asked"],
        "estimated_bits": _estimated_bits,
        **{f"floor_{name}": _estimate("floor", name) for name in FLOORS},
        **{name: _chance(name) for name in ("chance_accuracy", "chance_mrr")},
        "effective_exposures": lambda member: member["effective_exposures"].get("num_exposures"),
        "unification": unification_of(middle),
        "last_layer_unification": unification_of(last),
        "unification_early": lambda member: unification_at_onset(member, middle),
        "onset_step": lambda member: onset(member),
        "language_probe": _estimate("language_probe", middle),
        "subject_unification": _estimate(
            "subject_unification", "by language", middle, "unification"
        ),
        "subject_language_probe": _estimate("subject_language_probe", middle),
        "patched_same_fact_nats": _estimate("patching", middle, "same_fact_nats"),
        "patched_stranger_nats": _estimate("patching", middle, "stranger_nats"),
        "value_bits": lambda member: member["information"]["value_bits"],
        "subject_bits": lambda member: member["information"]["subject_bits"],
        "extractability": lambda member: member["information"]["extractability"],
    }


def _estimate(*path: str | int) -> Value:
    """Reads the value of an estimate that stands in a member's record."""

    def found(member: Member) -> float | None:
        place: Any = member
        for key in path:
            place = place[key]
        value: float | None = place["value"]
        return value

    return found


def _chance(name: str) -> Value:
    return lambda member: member["recall"][name]


def _estimated_bits(member: Member) -> float | None:
    """Bits of all monolingual facts, taken for as well known as those that were asked."""
    value = member["recall"]["bits_per_fact"]["value"]
    return None if value is None else float(value * member["num_monolingual"])


def _cells(
    members: Sequence[Member], values: Mapping[str, Value], seed: int
) -> list[dict[str, Any]]:
    groups: dict[str, list[Member]] = {}
    for member in members:
        groups.setdefault(cell_name(member), []).append(member)
    return [
        {
            "axes": dict(group[0]["axes"]),
            "num_seeds": len(group),
            "values": {
                name: _mean([value(member) for member in group], derive(seed, "cells", cell, name))
                for name, value in values.items()
            },
        }
        for cell, group in groups.items()
    ]


def _mean(found: Sequence[float | None], seed: int) -> dict[str, Any]:
    """Mean over seeds and its 95 % bootstrap interval."""
    there = [value for value in found if value is not None]
    if not there:
        return {"mean": None, "low": None, "high": None, "reason": "defined for no seed"}
    reason = "" if len(there) == len(found) else f"defined for {len(there)} of {len(found)} seeds"
    if len(there) == 1:
        return {"mean": there[0], "low": None, "high": None, "reason": reason or "one seed"}
    drawn = np.random.default_rng(seed).choice(there, size=(1000, len(there))).mean(axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975]).tolist()
    return {"mean": fmean(there), "low": low, "high": high, "reason": reason}


def _subgrid_claims(
    members: Sequence[Member], middle: int, last: int, seed: int
) -> list[dict[str, Any]]:
    """The claims over shared and separate tokens, with the overlaps held among the other axes."""
    if not members:
        return []
    axes = list(members[0]["axes"])
    return acceptance(members, middle=middle, last=last, seed=seed, axes=axes)


def _phases(members: Sequence[Member], middle: int, seed: int) -> list[dict[str, Any]]:
    groups: dict[str, list[Member]] = {}
    for member in members:
        groups.setdefault(cell_name(member), []).append(member)
    found = []
    for name, group in groups.items():
        floor_nats = fmean(member["statistics_nats"] for member in group)
        one = phases(
            [_curves(member, middle) for member in group],
            floor_nats=floor_nats,
            seed=derive(seed, "phases", name),
        )
        found.append({"axes": dict(group[0]["axes"]), "floor_nats": floor_nats, **_told(one)})
    return found


def _curves(member: Member, layer: int) -> Curves:
    points = [point for point in member["curve"] if point["step"]]
    return Curves(
        steps=[point["step"] for point in points],
        loss_nats=[point["loss_nats"] for point in points],
        same_accuracy=[point["same_accuracy"] for point in points],
        cross_accuracy=[point["cross_accuracy"] for point in points],
        unification=[unification_at(point, layer) for point in points],
        probe_accuracy=[point["language_probe"][layer] for point in points],
    )


def _told(found: Phases) -> dict[str, Any]:
    told: dict[str, Any] = {
        name: {
            "value": value.value,
            "interval": None if value.interval is None else list(value.interval),
            "by_seed": list(value.by_seed),
            "num_defined": value.num_defined,
            "reason": value.reason,
        }
        for name, value in vars(found).items()
        if isinstance(value, SeedEstimate)
    }
    return {
        **told,
        "outcome": found.outcome,
        "num_repaired": found.num_repaired,
        "num_seeds": len(found.runs),
    }
