"""Where the jobs of a plan run."""

import multiprocessing
import time
from collections.abc import Callable, MutableSequence, Sequence
from contextlib import suppress
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
        workers: How many jobs may run at the same time.
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
    """Runs the jobs on this machine: in this process, or beforehand in several of its copies.

    Several workers each walk the plan and take what is ready and not taken; the store's locks, and
    who failed, are all that they share. What a worker fails at no other worker begins, and all that
    does not need it is built; this process tries it again in the end, so that the error is told
    once.

    Raises:
        InputError: Fewer than one worker, or several where processes cannot be forked.
    """
    if workers < 1:
        raise InputError(expected="at least 1 worker", got=str(workers), where="workers")
    if workers == 1:
        for job in jobs:
            build_one(job)
        return
    if "fork" not in multiprocessing.get_all_start_methods():
        raise InputError(
            expected="1 worker on a system without fork", got=str(workers), where="workers"
        )
    known = _find_done(jobs, build_one, store)
    _walk_together(jobs, known, build_one, store, workers)
    for job in jobs:
        build_one(job, quiet=store.find(job) is not None)


def _find_done(jobs: Sequence[Job], build_one: BuildOne, store: Store) -> set[Job]:
    """Makes known what was done before, and reports it once: workers start with it."""
    known: set[Job] = set()
    for job in jobs:
        if known.issuperset(job.inputs) and store.find(job) is not None:
            build_one(job)
            known.add(job)
    return known


def _walk_together(
    jobs: Sequence[Job], known: set[Job], build_one: BuildOne, store: Store, workers: int
) -> None:
    # Forked, so that nothing has to be written down to be sent; nothing here runs threads yet.
    context = multiprocessing.get_context("fork")
    failed = context.Array("b", len(jobs))
    walkers = [
        context.Process(target=_walk, args=(jobs, set(known), build_one, store, failed))
        for _ in range(workers)
    ]
    for walker in walkers:
        walker.start()
    try:
        for walker in walkers:
            walker.join()
    except BaseException:
        for walker in walkers:
            walker.terminate()
        for walker in walkers:
            walker.join()
        raise


def _walk(
    jobs: Sequence[Job],
    done: set[Job],
    build_one: BuildOne,
    store: Store,
    failed: MutableSequence[int],
) -> None:
    """Builds every job that is ready and that nobody else builds, until none is left to wait for.

    Args:
        jobs: All jobs, inputs before their users.
        done: Those whose artifacts are known to this process; others are added.
        build_one: See `Executor`.
        store: Where artifacts and locks are.
        failed: Shared by all workers, for each job whether it failed.
    """
    lost: set[Job] = set()
    with suppress(KeyboardInterrupt):  # told by the process that waits for this one
        while len(done) + len(lost) < len(jobs):
            moved = False
            for number, job in enumerate(jobs):
                if job in done or job in lost:
                    continue
                if failed[number] or not lost.isdisjoint(job.inputs):
                    lost.add(job)
                elif done.issuperset(job.inputs) and _take(job, number, build_one, store, failed):
                    done.add(job)
                else:
                    continue
                moved = True
            if not moved:
                time.sleep(_POLL_SECONDS)


def _take(
    job: Job, number: int, build_one: BuildOne, store: Store, failed: MutableSequence[int]
) -> bool:
    """Builds or finds a job unless somebody is at it; True when its artifact is known."""
    name = job.fingerprint[:16]
    # A claim of its own: to ask for the job's lock would make its owner wait for the answer.
    with store.claim(f"{name}-worker") as free:
        found = store.find(job) is not None
        if not found and (not free or failed[number] or store.is_locked(name)):
            return False
        try:
            build_one(job, quiet=found)
        except Exception:  # told when the job is tried again
            failed[number] = True
            return False
    return True


EXECUTORS: dict[str, Executor] = {"local": run_local}
