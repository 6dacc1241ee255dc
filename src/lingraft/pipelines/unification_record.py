"""One record of a study of unification: members, cells, phases, and whether the claims hold.

The claims are the reference's acceptance tests for arXiv 2508.11017: informativeness and
extractability each hinder transfer where the other is high, and unification foretells it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from lingraft.errors import InputError
from lingraft.files import read_json, write_json
from lingraft.measurement.partial_ranks import RankCorrelation, partial_spearman, spearman
from lingraft.measurement.phases import Curves, Phases, SeedEstimate, onset_step, phases
from lingraft.pipelines.lab_runs import CELLS
from lingraft.report.unification import write_unification_report
from lingraft.seeds import derive

VERSION = 1
FORMAT = "lingraft-unification-1"
AXES = ("informativeness", "extractability", "parallel_share")
RECORD, REPORT = "record.json", "report.html"

STRONG_CUES, WEAK_CUES, STRONG_TIE = 0.95, 0.5, 0.5
WANTED_RHO = 0.8
"""Of U with transfer over cells, by the reference."""

Member = Mapping[str, Any]
Value = Callable[[Member], float | None]


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
    last = len(members[0]["curve"][-1]["layers"]["together"]) - 1
    middle = max(last - 1, 1)
    values = _values(middle, last)
    claims = acceptance(members, middle=middle, last=last, seed=seed)
    record = {
        "format": FORMAT,
        "scale": scale,
        "question": "Why does a fact learnt in one language not appear in the other?",
        "model": read[0]["model"],
        "num_parameters": read[0]["num_parameters"],
        "steps": members[0]["curve"][-1]["step"],
        "middle_layer": middle,
        "last_layer": last,
        "axes": list(AXES),
        "members": members,
        "cells": _cells(members, values, seed),
        "acceptance": claims,
        "phases": _phases(members, middle, seed),
        "subgrid": _cells(others, values, seed),
        "subgrid_acceptance": acceptance(others, middle=middle, last=last, seed=seed),
    }
    write_json(out / RECORD, record)
    write_unification_report(record, out / REPORT)
    return {
        "num_members": len(members) + len(others),
        "holds": {claim["name"]: claim["holds"] for claim in claims},
    }


@dataclass(frozen=True)
class _Claim:
    """One claim, and the members that it is about."""

    name: str
    claim: str
    wanted: str
    members: list[Member]
    x: Value
    y: Value
    held: tuple[Value, ...]
    judge: Callable[[RankCorrelation], bool]


def acceptance(
    members: Sequence[Member], *, middle: int, last: int, seed: int
) -> list[dict[str, Any]]:
    """Tests the claims by rank correlations over members, the seeds of one cell resampled as one.

    U is that of facts which are not among those asked for recall, centred by language.

    Args:
        members: As `train_cells` writes them.
        middle: Number of the middle layer.
        last: Number of the last layer.
        seed: Of intervals and permutations.
    """
    claims = [
        *_force_claims(members),
        *(
            _Claim(
                f"(iii) {name} layer",
                f"U of the {name} layer goes with transfer",
                f"rho at least {WANTED_RHO}",
                list(members),
                _unification(layer),
                _transfer,
                (),
                lambda found: found.rho is not None and found.rho >= WANTED_RHO,
            )
            for name, layer in (("middle", middle), ("last", last))
        ),
        _Claim(
            "(iv)",
            "U of the middle layer at the onset of recall foretells the final transfer",
            "rho above 0, with its interval",
            list(members),
            lambda member: _at_onset(member, middle),
            _transfer,
            (),
            _is_above_zero,
        ),
        _Claim(
            "(iv) held",
            "the same, with informativeness, extractability and parallel share held",
            "rho above 0, with its interval",
            list(members),
            lambda member: _at_onset(member, middle),
            _transfer,
            tuple(_axis(name) for name in AXES),
            _is_above_zero,
        ),
    ]
    return [_tested(claim, derive(seed, "acceptance", claim.name)) for claim in claims]


def _force_claims(members: Sequence[Member]) -> list[_Claim]:
    """Each force hinders transfer where the other is strong, and does not where it is weak."""
    ties, cues = _axis("informativeness"), _axis("extractability")
    parallel = _axis("parallel_share")

    def chosen(axis: Value, keep: Callable[[float], bool]) -> list[Member]:
        return [m for m in members if (value := axis(m)) is not None and keep(value)]

    low, none = "rho below 0, with its interval", "an interval that holds 0, or transfer constant"
    cases = [
        ("(i) strong cues", "informativeness hinders transfer where cues are strong", low,
         chosen(cues, lambda e: e >= STRONG_CUES), ties, (parallel, cues), _is_below_zero),
        ("(i) weak cues", "informativeness does not matter where cues are weak", none,
         chosen(cues, lambda e: e <= WEAK_CUES), ties, (parallel, cues), _is_nothing),
        ("(ii) tied facts", "cues hinder transfer where facts are tied to a language", low,
         chosen(ties, lambda rho: rho >= STRONG_TIE), cues, (parallel, ties), _is_below_zero),
        ("(ii) free facts", "cues do not matter where facts are not tied", none,
         chosen(ties, lambda rho: rho == 0.0), cues, (parallel,), _is_nothing),
    ]  # fmt: skip
    return [
        _Claim(name, claim, wanted, some, x, _transfer, held, judge)
        for name, claim, wanted, some, x, held, judge in cases
    ]


def _tested(claim: _Claim, seed: int) -> dict[str, Any]:
    whole = [row for m in claim.members if (row := _row(claim, m)) is not None]
    x, y = [row[0] for row in whole], [row[1] for row in whole]
    clusters = [row[3] for row in whole]
    columns = [[row[2][place] for row in whole] for place in range(len(claim.held))]
    # A covariate that is the same everywhere holds nothing.
    varying = [column for column in columns if len(set(column)) > 1]
    if not whole:
        found = RankCorrelation(None, None, None, 0, 0, len(claim.held), 0, "no such members")
    elif varying:
        found = partial_spearman(x, y, varying, clusters=clusters, seed=seed)
    else:
        found = spearman(x, y, clusters=clusters, seed=seed)
    is_constant = bool(whole) and len(set(y)) == 1
    holds: bool | None = None
    if is_constant:
        holds = claim.judge is _is_nothing
    elif found.interval is not None:
        holds = claim.judge(found)
    return {
        "name": claim.name,
        "claim": claim.claim,
        "wanted": claim.wanted,
        "found": asdict(found),
        "holds": holds,
    }


def _row(claim: _Claim, member: Member) -> tuple[float, float, list[float], str] | None:
    """x, y, what is held, and the cell; None where one of them is undefined."""
    x, y = claim.x(member), claim.y(member)
    held = [value for hold in claim.held if (value := hold(member)) is not None]
    if x is None or y is None or len(held) < len(claim.held):
        return None
    return x, y, held, _name(member)


def _is_below_zero(found: RankCorrelation) -> bool:
    return found.interval is not None and found.interval[1] < 0


def _is_above_zero(found: RankCorrelation) -> bool:
    return found.interval is not None and found.interval[0] > 0


def _is_nothing(found: RankCorrelation) -> bool:
    return found.interval is not None and found.interval[0] <= 0 <= found.interval[1]


def _values(middle: int, last: int) -> dict[str, Value]:
    """What tables tell of a cell."""

    def recalled(name: str) -> Value:
        return lambda member: member["recall"][name]["value"]

    names = (
        "same_accuracy", "cross_accuracy", "transfer_ratio", "overall", "transfer",
        "bits_per_fact", "transferred_bits", "wrong_half_rate",
    )  # fmt: skip
    return {
        **{name: recalled(name) for name in names},
        "effective_exposures": lambda member: member["effective_exposures"].get("num_exposures"),
        "unification": _unification(middle),
        "last_layer_unification": _unification(last),
        "unification_early": lambda member: _at_onset(member, middle),
        "onset_step": lambda member: _onset(member),
        "language_probe": lambda member: member["curve"][-1]["language_probe"][middle],
        "value_bits": lambda member: member["information"]["value_bits"],
        "subject_bits": lambda member: member["information"]["subject_bits"],
        "extractability": lambda member: member["information"]["extractability"],
    }


def _cells(
    members: Sequence[Member], values: Mapping[str, Value], seed: int
) -> list[dict[str, Any]]:
    groups: dict[str, list[Member]] = {}
    for member in members:
        groups.setdefault(_name(member), []).append(member)
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


def _phases(members: Sequence[Member], middle: int, seed: int) -> list[dict[str, Any]]:
    groups: dict[str, list[Member]] = {}
    for member in members:
        groups.setdefault(_name(member), []).append(member)
    found = []
    for name, group in groups.items():
        world = group[0]["world"]
        one = phases(
            [_curves(member, middle) for member in group],
            floor_nats=float(np.log(world["values"])),
            seed=derive(seed, "phases", name),
        )
        found.append({"axes": dict(group[0]["axes"]), **_told(one)})
    return found


def _curves(member: Member, layer: int) -> Curves:
    points = [point for point in member["curve"] if point["step"]]
    return Curves(
        steps=[point["step"] for point in points],
        loss_nats=[point["loss_nats"] for point in points],
        same_accuracy=[point["same_accuracy"] for point in points],
        cross_accuracy=[point["cross_accuracy"] for point in points],
        unification=[_of(point, layer) or 0.0 for point in points],
        probe_accuracy=[point["language_probe"][layer] or 0.0 for point in points],
    )


def _told(found: Phases) -> dict[str, Any]:
    told: dict[str, Any] = {
        name: {
            "value": value.value,
            "interval": None if value.interval is None else list(value.interval),
            "reason": value.reason,
        }
        for name, value in vars(found).items()
        if isinstance(value, SeedEstimate)
    }
    return {**told, "outcome": found.outcome, "num_repaired": found.num_repaired}


def _axis(name: str) -> Value:
    return lambda member: member["axes"].get(name)


def _transfer(member: Member) -> float | None:
    value: float | None = member["recall"]["transfer_ratio"]["value"]
    return value


def _unification(layer: int) -> Value:
    return lambda member: _of(member["curve"][-1], layer)


def _of(point: Mapping[str, Any], layer: int) -> float | None:
    value: float | None = point["layers"]["by language"][layer]["unification"]
    return value


def _onset(member: Member) -> int | None:
    curve = member["curve"]
    found = onset_step(
        [point["step"] for point in curve], [point["same_accuracy"] for point in curve]
    )
    return found.step


def _at_onset(member: Member, layer: int) -> float | None:
    onset = _onset(member)
    return next((_of(p, layer) for p in member["curve"] if p["step"] == onset), None)


def _name(member: Member) -> str:
    return ", ".join(f"{name} {value}" for name, value in sorted(member["axes"].items()))
