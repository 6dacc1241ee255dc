"""Where the jobs of a plan run."""

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from lingraft.errors import InputError
from lingraft.runtime import Runtime
from lingraft.study.building import build
from lingraft.study.jobs import Job
from lingraft.study.plans import Plan
from lingraft.study.progress import NullProgress, Progress
from lingraft.study.store import Artifact, Store


class BuildOne(Protocol):
    """Builds a job, or finds its artifact; to those that use it in this process it is known then.

    A quiet call is for an artifact that is there: it neither reports nor verifies.
    """

    def __call__(self, job: Job, *, quiet: bool = False) -> None:
        """Builds or finds one job, whose inputs are known already."""


# An executor sees to it that the given function is called for each job, inputs before their users.
Executor = Callable[[Sequence[Job], BuildOne, Store, int], None]
DEFAULT_RUNTIME = Runtime()
_POLL_SECONDS = 0.5


def run(
    plan: Plan,
    *,
    store: Store,
    on: str = "local",
    workers: int = 1,
    runtime: Runtime = DEFAULT_RUNTIME,
    progress: Progress | None = None,
    verify: bool = False,
) -> dict[str, Artifact]:
    """Returns the artifacts that a plan asks for, by name, and builds those that are missing.

    Each job runs once, whatever number of processes run plans on the same store. An interruption
    keeps all finished artifacts and the partial folder of the running job.

    Args:
        plan: What is wanted.
        store: Where artifacts are found and kept.
        on: One of `EXECUTORS`.
        workers: How many jobs may run at the same time; 1 for the executors that there are.
        runtime: Device and threads of each job.
        progress: Where to report to.
        verify: Whether to read every byte of the artifacts that are there before trusting them.

    Raises:
        InputError: No such executor, or what `build` refuses.
        StoreError: The disk is full or fails, or the store is not ours.
    """
    if on not in EXECUTORS:
        raise InputError(
            expected=f"one of the executors {', '.join(EXECUTORS)}", got=repr(on), where="on"
        )
    watched = progress or NullProgress()
    store.prepare()
    store.record_roots(plan)
    artifacts: dict[Job, Artifact] = {}

    def build_one(job: Job, *, quiet: bool = False) -> None:
        if job not in artifacts:
            artifacts[job] = build(
                job,
                store,
                artifacts,
                runtime=runtime,
                progress=NullProgress() if quiet else watched,
                verify=verify and not quiet,
            )

    EXECUTORS[on](plan.order, build_one, store, workers)
    return {name: artifacts[job] for name, job in plan.targets.items()}


def run_local(jobs: Sequence[Job], build_one: BuildOne, store: Store, workers: int) -> None:
    """Runs the jobs in this process, one after the other.

    Raises:
        InputError: More than one worker is asked for.
    """
    if workers != 1:
        raise InputError(
            expected="1 worker on 'local', which is this process",
            got=str(workers),
            where="workers",
            hint="start as many processes on 'shared', as `lingraft run --workers` does",
        )
    for job in jobs:
        build_one(job)


def run_shared(jobs: Sequence[Job], build_one: BuildOne, store: Store, workers: int) -> None:
    """Runs the jobs in this process beside others that run the same plan on the same store.

    Each takes what is ready and not taken; the store's locks are all that they share, so that the
    others may be on other machines. What fails here is passed over until nothing else is left,
    and tried again then, so that the error is told.

    Raises:
        InputError: More than one worker is asked for.
    """
    if workers != 1:
        raise InputError(
            expected="1 worker for each process on 'shared'", got=str(workers), where="workers"
        )
    _walk(jobs, build_one, store)
    for job in jobs:
        build_one(job, quiet=store.find(job) is not None)


def _walk(jobs: Sequence[Job], build_one: BuildOne, store: Store) -> None:
    """Builds what is ready and nobody else builds, until there is nothing to wait for."""
    done: set[Job] = set()
    lost: set[Job] = set()
    while len(done) + len(lost) < len(jobs):
        moved = False
        for job in jobs:
            if job in done or job in lost:
                continue
            if not lost.isdisjoint(job.inputs):
                lost.add(job)
            elif done.issuperset(job.inputs):
                taken = _take(job, build_one, store)
                if taken is None:
                    continue
                (done if taken else lost).add(job)
            else:
                continue
            moved = True
        if not moved:
            time.sleep(_POLL_SECONDS)


def _take(job: Job, build_one: BuildOne, store: Store) -> bool | None:
    """Builds or finds a job; None while somebody is at it, False when it failed."""
    name = job.fingerprint[:16]
    # A claim of its own: to ask for the job's lock would make its owner wait for the answer.
    with store.claim(f"{name}-worker") as free:
        found = store.find(job) is not None
        if not found and (not free or store.is_locked(name)):
            return None
        try:
            build_one(job, quiet=found)
        except Exception:  # told when the job is tried again
            return False
    return True


EXECUTORS: dict[str, Executor] = {"local": run_local, "shared": run_shared}
