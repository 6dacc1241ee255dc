"""Plans: the jobs that somebody wants, and all that those need."""

import graphlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lingraft.errors import InputError
from lingraft.study.arguments import digest
from lingraft.study.jobs import Job
from lingraft.units import format_bytes

if TYPE_CHECKING:
    from lingraft.study.store import Store

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


@dataclass(frozen=True)
class Row:
    """One job of a plan, as ``lingraft plan`` tells it.

    Attributes:
        name: The job's name.
        fingerprint: The 16 digits that its folder ends with.
        done: Whether the store holds the artifact.
        depth: The longest way down to a job without inputs, which has depth 0.
        inputs: Fingerprints (16 digits) of the jobs that it reads.
        costs: Expected costs as the job was given them.
        targets: The names under which the plan asks for it; empty for a mere input.
    """

    name: str
    fingerprint: str
    done: bool
    depth: int
    inputs: tuple[str, ...]
    costs: Mapping[str, float]
    targets: tuple[str, ...]


class Plan:
    """Jobs by name, together with everything they read.

    Args:
        jobs: The wanted jobs by name, or a sequence of them, each then under its job's name.
        name: The plan's name in the store, where the next run of the same name replaces its
            record of what is in use; by default made from the names of the wanted jobs.

    Raises:
        InputError: No jobs, something that is no job, or two jobs under one name.
    """

    def __init__(self, jobs: Mapping[str, Job] | Sequence[Job], *, name: str | None = None) -> None:
        self.targets = _targets(jobs)
        self.name = name or f"plan-{digest(sorted(self.targets))[:8]}"
        if not _NAME.fullmatch(self.name):
            raise InputError(
                expected="a name of at most 100 letters, digits, '_', '.' and '-'",
                got=repr(self.name),
                where="name of a plan",
            )
        self.order = _closure(list(self.targets.values()))

    def describe(self, store: "Store") -> list[Row]:
        """Returns one row for every job in the order in which they run."""
        depths: dict[Job, int] = {}
        rows = []
        for job in self.order:
            depths[job] = max((depths[needed] + 1 for needed in job.inputs), default=0)
            rows.append(
                Row(
                    name=job.name,
                    fingerprint=job.fingerprint[:16],
                    done=store.find(job) is not None,
                    depth=depths[job],
                    inputs=tuple(needed.fingerprint[:16] for needed in job.inputs),
                    costs=job.costs,
                    targets=tuple(key for key, target in self.targets.items() if target == job),
                )
            )
        return rows

    def tree(self, store: "Store") -> str:
        """Returns the plan as text: each wanted job with its inputs below it.

        A job that stands at several places shows its inputs at the first one only.
        """
        rows = {row.fingerprint: row for row in self.describe(store)}
        lines: list[str] = []
        shown: set[str] = set()

        def add(fingerprint: str, first: str, rest: str) -> None:
            row = rows[fingerprint]
            again = fingerprint in shown and bool(row.inputs)
            lines.append(first + _line(row) + ("  (inputs above)" if again else ""))
            shown.add(fingerprint)
            for index, needed in enumerate(() if again else row.inputs):
                last = index == len(row.inputs) - 1
                add(
                    needed, rest + ("└── " if last else "├── "), rest + ("    " if last else "│   ")
                )

        for target in self.targets.values():
            add(target.fingerprint[:16], "", "")
        return "\n".join(lines)


def _targets(jobs: Mapping[str, Job] | Sequence[Job]) -> dict[str, Job]:
    pairs = (
        list(jobs.items())
        if isinstance(jobs, Mapping)
        else [(getattr(job, "name", ""), job) for job in jobs]
    )
    for name, job in pairs:
        if not isinstance(job, Job):
            raise InputError(
                expected="jobs made by study.job",
                got=type(job).__name__,
                where=f"plan, job {name!r}" if name else "plan",
            )
    names = [name for name, _ in pairs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or not pairs:
        raise InputError(
            expected="one or more jobs, each under a name of its own",
            got=f"{', '.join(twice)} twice" if twice else "none",
            where="plan",
            hint="give a dictionary of names and jobs" if twice else "",
        )
    return dict(pairs)


def _closure(targets: list[Job]) -> tuple[Job, ...]:
    """Returns the targets and all they need, inputs first; jobs are made before their users."""
    graph: dict[Job, tuple[Job, ...]] = {}
    waiting = list(reversed(targets))
    while waiting:
        job = waiting.pop()
        if job not in graph:
            graph[job] = job.inputs
            waiting.extend(reversed(job.inputs))
    return tuple(graphlib.TopologicalSorter(graph).static_order())


def _line(row: Row) -> str:
    costs = [format_cost(key, value) for key, value in sorted(row.costs.items())]
    return "  ".join([row.name, row.fingerprint, "done" if row.done else "to do", *costs])


def format_cost(key: str, value: float) -> str:
    """Returns a cost for a person: ``num_bytes`` as 2 MB, ``num_flops`` as 1.5e+12 flops."""
    if key == "num_bytes":
        return format_bytes(value)
    return f"{value:.3g} {key.removeprefix('num_')}"
