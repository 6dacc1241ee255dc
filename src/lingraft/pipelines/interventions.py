"""What buys transfer: which jobs it takes to compare interventions on the two forces."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lingraft.errors import InputError
from lingraft.files import write_json
from lingraft.lab import WorldSettings, build_world
from lingraft.lab.contrast import Contrast, ContrastSettings
from lingraft.lab.settings import DEFAULT_BPE_SIZE
from lingraft.pipelines.influence_runs import trace_influence
from lingraft.pipelines.intervention_arms import Arm, Doses, intervention_arms
from lingraft.pipelines.intervention_record import intervention_record
from lingraft.pipelines.lab_questions import check_monolingual
from lingraft.pipelines.lab_runs import CELLS, Cell, LabSettings, train_worlds
from lingraft.pipelines.language_order import ORDERS, teach_in_orders
from lingraft.runtime import Runtime
from lingraft.study import Job, Plan, Progress, job

VERSION = 2
_TOKENS_PER_WORD = {"symbols": 1, "bpe": 2, "bytes": 5}
"""About, for costs alone."""


@dataclass(frozen=True)
class InterventionSettings:
    """How interventions are compared.

    Attributes:
        lab: How members are trained and looked at.
        num_seeds: Members of every arm; the same seeds in all of them.
        num_spelled_facts: Most facts that are asked where values have several tokens, for each of
            which the model is run.
        num_probes: Facts whose influences are traced, of each member.
        num_traced: Members of each world whose influences are traced.
    """

    lab: LabSettings
    num_seeds: int
    num_spelled_facts: int
    num_probes: int
    num_traced: int

    def __post_init__(self) -> None:
        counts = (self.num_seeds, self.num_spelled_facts, self.num_probes, self.num_traced)
        if min(counts) < 1:
            raise InputError(
                expected="at least 1 seed, fact, probe and traced member",
                got=", ".join(map(str, counts)),
                where="interventions",
            )


def intervention_plan(
    base: WorldSettings,
    *,
    doses: Doses,
    settings: InterventionSettings,
    scale: str,
    seed: int,
) -> Plan:
    """Returns the jobs of the comparison, without running any.

    One job trains the members of an arm. Orders of languages are compared in the base and with the
    most parallel facts, influences traced with the fewest ones, as they are and with the values of
    the base balanced.

    Args:
        base: The world that is changed; its seed is replaced.
        doses: Of the interventions.
        settings: Of all arms.
        scale: Name of the scale.
        seed: Of everything that is drawn.

    Raises:
        InputError: Doses do not go together, see `intervention_arms`, or an arm has too few
            monolingual facts.
    """
    arms = intervention_arms(base, doses)
    seeds = [seed * 1_000 + number for number in range(settings.num_seeds)]
    report = job(
        intervention_record,
        name="report",
        arms=[{"name": arm.name, "change": arm.change, "base": arm.base} for arm in arms],
        runs=[_arm_job(arm, seeds, settings) for arm in arms],
        orders=_order_job(base, doses, seeds, settings),
        influence=_influence_job(base, doses, seeds, settings),
        settings=settings,
        scale=scale,
        seed=seed,
    )
    return Plan({"report": report}, name="interventions")


def train_arm(
    *,
    cells: Sequence[Cell],
    contrast: ContrastSettings | None,
    settings: LabSettings,
    out: Path,
    runtime: Runtime,
    progress: Progress,
) -> dict[str, Any]:
    """Trains the members of an arm side by side, and writes what was seen to `cells.json`.

    Args:
        cells: Worlds and seeds.
        contrast: An auxiliary loss on parallel facts, or none.
        settings: Of all members.
        out: Folder for the file.
        runtime: Threads, device and precision.
        progress: Told of members that reach a checkpoint.

    Returns:
        Number of cells and of parameters.

    Raises:
        InputError: The auxiliary loss asks for more parallel facts than there are.
    """
    worlds = [build_world(cell.world) for cell in cells]
    extra_loss = None
    if contrast is not None:
        seeds = [cell.seed for cell in cells]
        extra_loss = Contrast(settings.model, worlds, seeds, contrast)
    found = train_worlds(
        cells, worlds, settings, extra_loss=extra_loss, runtime=runtime, progress=progress
    )
    write_json(out / CELLS, found)
    return {"num_cells": len(cells), "num_parameters": found["num_parameters"]}


def _arm_job(arm: Arm, seeds: Sequence[int], settings: InterventionSettings) -> Job:
    lab = settings.lab
    if arm.world.tokens != "symbols":
        lab = replace(lab, num_facts=min(settings.num_spelled_facts, lab.num_facts))
    cells = [_cell(arm.world, seed) for seed in seeds]
    for cell in cells:
        check_monolingual(cell.world)
    return job(
        train_arm,
        name="arm-" + re.sub("[^a-z0-9.]+", "-", arm.name.lower())[:70].strip("-."),
        cells=cells,
        contrast=arm.contrast,
        settings=lab,
        costs=_costs(cells, lab),
    )


def _order_job(
    base: WorldSettings, doses: Doses, seeds: Sequence[int], settings: InterventionSettings
) -> Job:
    shares = dict.fromkeys((base.parallel_share, *doses.parallel_shares[-1:]))
    cells = [
        _cell(replace(base, parallel_share=share), seed, {"parallel_share": share})
        for share in shares
        for seed in seeds
    ]
    costs = {name: len(ORDERS) * cost for name, cost in _costs(cells, settings.lab).items()}
    return job(teach_in_orders, name="orders", cells=cells, settings=settings.lab, costs=costs)


def _influence_job(
    base: WorldSettings, doses: Doses, seeds: Sequence[int], settings: InterventionSettings
) -> Job:
    share = doses.parallel_shares[0] if doses.parallel_shares else base.parallel_share
    levels = dict.fromkeys((base.informativeness, *doses.informativeness[-1:]))
    cells = [
        _cell(
            replace(base, parallel_share=share, informativeness=rho),
            seed,
            {"parallel_share": share, "informativeness": rho},
        )
        for rho in levels
        for seed in seeds[: settings.num_traced]
    ]
    return job(
        trace_influence,
        name="influence",
        cells=cells,
        settings=settings.lab,
        num_probes=settings.num_probes,
        costs=_costs(cells, settings.lab),
    )


def _cell(world: WorldSettings, seed: int, axes: Mapping[str, float] | None = None) -> Cell:
    return Cell(replace(world, seed=seed), seed, dict(axes or {}))


def _costs(cells: Sequence[Cell], settings: LabSettings) -> dict[str, float]:
    flops = 0
    for cell in cells:
        world = cell.world
        num_words = 4 * world.subjects + world.relations * world.values * world.languages
        flops += settings.steps * settings.model.num_flops(
            num_tokens=num_words if world.tokens == "symbols" else DEFAULT_BPE_SIZE,
            length=_TOKENS_PER_WORD[world.tokens] * (3 + world.template_tokens),
            batch_size=settings.batch_size,
        )
    return {"num_flops": float(flops)}
