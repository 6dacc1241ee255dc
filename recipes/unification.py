"""Why does a fact learnt in one language not appear in another? (arXiv 2508.11017)

    lingraft plan recipes/unification.py --scale laptop
    lingraft run recipes/unification.py --scale laptop

Tiny decoders learn the facts of worlds with two languages (`lab.make_world`). The grid crosses how
much a fact tells of its language (rho, `informativeness`), how easily cues give the language away
(E, `extractability`) and the share of facts told in both languages (pi, `parallel_share`), each in
several seeds. The target `report` holds `record.json` and `report.html`: what was recalled, in
which phase states parted or united, and whether the claims of the paper hold. A run that was
stopped goes on with what is missing. `full` is the reference's grid of 450 members; `paper` has
larger worlds with four languages in symbols, bytes and byte pairs: recall is that of all pairs of
languages, U and patching compare the first two on facts at home in either.
"""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

from lingraft.errors import InputError
from lingraft.lab import TinyDecoder, WorldSettings, make_world, template_cues_for
from lingraft.lab.arguments import whole_number
from lingraft.pipelines.lab_questions import check_monolingual
from lingraft.pipelines.lab_runs import Cell, LabSettings, train_cells
from lingraft.pipelines.listed_numbers import check_once, listed_numbers
from lingraft.pipelines.unification_record import unification_record
from lingraft.study import Plan, job

SCALES = ("tiny", "pilot", "laptop", "full", "paper")
Axes = dict[str, tuple[float, ...]]
GRIDS: dict[str, Axes] = {
    "tiny": {"informativeness": (0, 1), "extractability": (0.5, 1), "parallel_share": (0.1,)},
    "laptop": {
        "informativeness": (0, 0.5, 1),
        "extractability": (0, 0.5, 0.8, 0.95, 1),
        "parallel_share": (0, 0.02, 0.1, 0.2),
    },
    "full": {
        "informativeness": (0, 0.25, 0.5, 0.75, 1),
        "extractability": (0, 0.5, 0.8, 0.95, 1),
        "parallel_share": (0, 0.01, 0.02, 0.05, 0.1, 0.2),
    },
    "paper": {
        "informativeness": (0, 0.5, 1),
        "extractability": (0, 0.8, 0.95, 1),
        "parallel_share": (0, 0.02, 0.1),
    },
}
# The rows of the reference's pilot (section 3.7): subject_overlap, parallel_share,
# informativeness, template_cues, and how many seeds it had.
PILOT = (
    (1, 0, 0, 1, 3),
    (1, 0, 0.5, 1, 3),
    (1, 0, 1, 1, 3),
    (1, 0, 1, 0.1, 3),
    (1, 0.02, 1, 1, 3),
    (1, 0.2, 1, 1, 1),
    (1, 0.2, 0.5, 1, 1),
    (1, 0.2, 1, 0.1, 1),
    (1, 0.2, 0, 1, 1),
    (0, 0.2, 0, 1, 3),
    (0, 0.2, 1, 1, 1),
    (0, 0.6, 0, 1, 1),
    (0, 0.6, 1, 1, 1),
    (0, 0.8, 0, 1, 1),
)
PILOT_AXES = ("subject_overlap", "parallel_share", "informativeness", "template_cues")
# Shared and separate tokens of subjects and of values, where facts are tied and where not.
OVERLAPS: Axes = {
    "informativeness": (0, 1),
    "subject_overlap": (0, 1),
    "value_overlap": (0, 1),
    "parallel_share": (0.2,),
}
WORLDS: dict[str, dict[str, Any]] = {
    "pilot": {},
    "tiny": {"subjects": 30, "relations": 3, "values": 8, "unseen_subjects": 4},
    "laptop": {},
    "full": {},
    "paper": {"subjects": 4_000, "languages": 4},
}
SETTINGS = {
    "tiny": LabSettings(
        TinyDecoder(width=32, num_layers=2, num_heads=4),
        steps=150,
        checkpoints=(0, 50, 100, 150),
        batch_size=32,
        warmup_steps=20,
        num_facts=20,
        num_resamples=50,
    ),
    "pilot": LabSettings(TinyDecoder(), steps=800, checkpoints=(0, 100, 200, 400, 800)),
    "laptop": LabSettings(
        TinyDecoder(),
        steps=800,
        checkpoints=(0, 25, 50, 75, 100, 150, 200, 250, 300, 400, 600, 800),
    ),
    "full": LabSettings(
        TinyDecoder(),
        steps=800,
        checkpoints=(0, 25, 50, 75, 100, 125, 150, 175, 200, 250, 300, 400, 500, 600, 800),
    ),
    "paper": LabSettings(
        TinyDecoder(width=256, num_layers=6, num_heads=8),
        steps=8_000,
        checkpoints=(0, 100, 200, 400, 600, 800, 1_000, 1_500, 2_000, 3_000, 4_000, 6_000, 8_000),
    ),
}
TOKENS = {"paper": ("symbols", "bytes", "bpe")}
NUM_SEEDS = {"tiny": 2, "pilot": 3, "laptop": 3, "full": 3, "paper": 3}
AXES = ("informativeness", "extractability", "parallel_share")
MOST_PICTURED = 6
MEMBERS_PER_JOB = 15
"""What a stop loses at most is a job."""


def plan(
    scale: str,
    *,
    seeds: int | None = None,
    informativeness: str | None = None,
    extractability: str | None = None,
    parallel_share: str | None = None,
    cells: str | None = None,
    overlaps: bool = True,
    steps: int | None = None,
    seed: int = 0,
) -> Plan:
    """Returns the jobs of the study.

    Args:
        scale: `tiny` is a smoke test; `pilot` the rows of the reference's table, half an hour of
            one core; `laptop` 204 members, an hour on two; `full` 474; `paper` larger worlds and
            models, for a GPU or a cluster.
        seeds: Members of each cell, each with a world of its own; of `pilot` at most as many as
            the reference had of a row.
        informativeness: Values of rho, with commas.
        extractability: Values of E, with commas.
        parallel_share: Values of pi, with commas.
        cells: Cells instead of a grid, each as rho:E:pi, such as 0:1:0,1:1:0,1:0.5:0.
        overlaps: Whether to cross shared and separate tokens of subjects and values as well;
            `pilot` does not.
        steps: Of training, instead of the scale's; checkpoints after them are left out.
        seed: Of worlds, training and intervals.

    Raises:
        InputError: A setting is out of range, stands there twice or does not count at the scale, or
            a world has too few monolingual facts.
    """
    settings = SETTINGS[scale] if steps is None else _shortened(SETTINGS[scale], steps)
    num_seeds = NUM_SEEDS[scale] if seeds is None else whole_number(seeds, "seeds", smallest=1)
    axes = {
        "informativeness": informativeness,
        "extractability": extractability,
        "parallel_share": parallel_share,
    }
    given = {name: text for name, text in axes.items() if text is not None}
    if scale == "pilot":
        _check_pilot({**given, "cells": cells}, num_seeds)
        return _study(_jobs(scale, list(_pilot_cells(num_seeds, seed)), settings), [], scale, seed)
    if cells is not None and given:
        raise InputError(
            expected="cells or values of axes, of which cells takes the place",
            got=f"both cells and {', '.join(given)}",
            where="cells",
        )
    grid = {
        name: _axis(name, given[name]) if name in given else GRIDS[scale][name] for name in AXES
    }
    chosen = list(product(*grid.values())) if cells is None else _parsed(cells)
    runs = _jobs(scale, list(_cells(scale, AXES, chosen, num_seeds, seed)), settings)
    crossed = list(product(*OVERLAPS.values()))[:: 3 if scale == "tiny" else 1]
    others = list(_cells(scale, list(OVERLAPS), crossed, num_seeds, seed)) if overlaps else []
    return _study(runs, _jobs(scale, others, settings), scale, seed)


def _check_pilot(given: dict[str, str | None], num_seeds: int) -> None:
    """The rows are the reference's: what would choose others must not be ignored."""
    named = [name for name, text in given.items() if text is not None]
    if named:
        raise InputError(
            expected="none at the scale pilot, whose rows are the reference's",
            got=f"{named[0]}={given[named[0]]}",
            where=named[0],
            hint="take the scale laptop",
        )
    if num_seeds > NUM_SEEDS["pilot"]:
        raise InputError(
            expected=f"at most {NUM_SEEDS['pilot']} at the scale pilot, as the reference had",
            got=str(num_seeds),
            where="seeds",
        )


def _axis(name: str, text: str) -> tuple[float, ...]:
    values = listed_numbers(text, name)
    if not values:
        raise InputError(expected="at least one number", got="none", where=name)
    return values


def _study(runs: Sequence[Any], subgrid_runs: Sequence[Any], scale: str, seed: int) -> Plan:
    report = job(
        unification_record,
        name="report",
        runs=list(runs),
        subgrid_runs=list(subgrid_runs),
        scale=scale,
        seed=seed,
    )
    return Plan({"report": report}, name="unification")


def _pilot_cells(num_seeds: int, seed: int) -> Iterator[Cell]:
    for row in PILOT:
        axes: dict[str, float | str] = dict(zip(PILOT_AXES, map(float, row[:4]), strict=True))
        for number in range(min(int(row[4]), num_seeds)):
            world = _world("pilot", axes, "symbols", seed * 1_000 + number)
            yield Cell(world, seed * 1_000 + number, axes)


def _parsed(cells: str) -> list[tuple[float, ...]]:
    found = []
    for text in str(cells).split(","):
        try:
            values = tuple(map(float, text.split(":")))
        except ValueError:
            values = ()
        if len(values) != len(AXES):
            raise InputError(
                expected="cells as rho:E:pi, such as 1:0.95:0.1", got=text, where="cells"
            )
        found.append(values)
    check_once(found, "cells")
    return found


def _cells(
    scale: str, names: Sequence[str], chosen: Sequence[Sequence[float]], num_seeds: int, seed: int
) -> Iterator[Cell]:
    """The chosen cells, seed after seed, so that members of one job are of one seed."""
    kinds = TOKENS.get(scale, ("symbols",))
    pictured = _pictured(chosen)
    for number, tokens in product(range(num_seeds), kinds):
        for place, values in enumerate(chosen):
            axes: dict[str, float | str] = dict(zip(names, map(float, values), strict=True))
            world = _world(scale, axes, tokens, seed * 1_000 + number)
            if len(kinds) > 1:
                axes["tokens"] = tokens
            is_pictured = number == 0 and place in pictured and tuple(names) == AXES
            yield Cell(world, seed * 1_000 + number, axes, is_pictured)


def _pictured(chosen: Sequence[Sequence[float]]) -> set[int]:
    """Where cells are that are kept in pictures: corners of rho and E with the fewest parallel
    facts, and the strongest forces with the most of them; all of few."""
    if len(chosen) <= MOST_PICTURED:
        return set(range(len(chosen)))
    ends = [(min(axis), max(axis)) for axis in zip(*chosen, strict=True)]
    corners = [(ties, cues, ends[2][0]) for ties in ends[0] for cues in ends[1]]
    corners.append((ends[0][1], ends[1][1], ends[2][1]))
    return {place for place, values in enumerate(chosen) if tuple(values[:3]) in corners}


def _world(scale: str, axes: dict[str, float | str], tokens: str, seed: int) -> WorldSettings:
    knobs: dict[str, Any] = {**WORLDS[scale], **axes, "tokens": tokens, "seed": seed}
    if "extractability" in knobs:
        num_tokens = knobs.setdefault("template_tokens", 2)
        knobs["template_cues"] = template_cues_for(
            knobs.pop("extractability"), template_tokens=num_tokens
        )
    return make_world(**knobs).settings


def _jobs(scale: str, cells: Sequence[Cell], settings: LabSettings) -> list[Any]:
    for cell in cells:
        check_monolingual(cell.world)
    kinds = len(TOKENS.get(scale, ("symbols",)))
    # A stack is as long as its longest samples: members of one job have one kind of tokens.
    per_job = max(MEMBERS_PER_JOB // kinds, 1)
    jobs = []
    for tokens in dict.fromkeys(cell.world.tokens for cell in cells):
        alike = [cell for cell in cells if cell.world.tokens == tokens]
        for first in range(0, len(alike), per_job):
            some = alike[first : first + per_job]
            jobs.append(
                job(
                    train_cells,
                    name=f"members-{tokens}",
                    cells=some,
                    settings=settings,
                    costs=_costs(some, settings),
                )
            )
    return jobs


def _costs(cells: Sequence[Cell], settings: LabSettings) -> dict[str, float]:
    flops = 0
    for cell in cells:
        world = cell.world
        num_tokens = 4 * world.subjects + world.relations * world.values * world.languages
        flops += settings.steps * settings.model.num_flops(
            num_tokens=num_tokens if world.tokens == "symbols" else 512,
            length=3 + world.template_tokens,
            batch_size=settings.batch_size,
        )
    return {"num_flops": float(flops)}


def _shortened(settings: LabSettings, steps: int) -> LabSettings:
    whole_number(steps, "steps", smallest=1)
    kept = [step for step in settings.checkpoints if step < steps]
    facts = {**vars(settings), "steps": steps, "checkpoints": (*kept, steps)}
    return LabSettings(**facts)
