"""Where the jobs of a plan run."""

from collections.abc import Callable, Sequence

from lingraft.errors import InputError
from lingraft.runtime import Runtime
from lingraft.study.building import build
from lingraft.study.jobs import Job
from lingraft.study.plans import Plan
from lingraft.study.progress import NullProgress, Progress
from lingraft.study.store import Artifact, Store

# An executor calls the given function once for each job, inputs before their users.
Executor = Callable[[Sequence[Job], Callable[[Job], None], int], None]
DEFAULT_RUNTIME = Runtime()


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

    def build_one(job: Job) -> None:
        artifacts[job] = build(
            job, store, artifacts, runtime=runtime, progress=watched, verify=verify
        )

    EXECUTORS[on](plan.order, build_one, workers)
    return {name: artifacts[job] for name, job in plan.targets.items()}


def run_local(jobs: Sequence[Job], build_one: Callable[[Job], None], workers: int) -> None:
    """Runs the jobs in this process, one after the other.

    Raises:
        InputError: More than one worker is asked for.
    """
    if workers != 1:
        raise InputError(
            expected="1 worker on 'local', which is this process", got=str(workers), where="workers"
        )
    for job in jobs:
        build_one(job)


EXECUTORS: dict[str, Executor] = {"local": run_local}
