"""Building one artifact: call the function in a partial folder, describe, rename, mark DONE."""

import contextvars
import errno
import functools
import hashlib
import inspect
import json
import os
import platform
import resource
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from lingraft.errors import InputError
from lingraft.files import read_json, sha256_file, sync_folder, write_json
from lingraft.runtime import Runtime, release_memory
from lingraft.study.arguments import File, Input, digest, encode, replace_inputs
from lingraft.study.jobs import Job, find_function
from lingraft.study.progress import JobProgress, Progress
from lingraft.study.store import (
    DONE,
    MANIFEST,
    PARTIAL_MARKER,
    RUN,
    Artifact,
    Store,
    writing,
)

LIBRARIES = ("lingraft", "torch", "transformers", "tokenizers", "numpy", "numba")
# What a full, failing or read-only disk answers; any other OSError is the function's own affair.
DISK_ERRORS = frozenset({errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS})
_run_facts: contextvars.ContextVar[dict[str, Any] | None] = contextvars.ContextVar(
    "run_facts", default=None
)


def build(
    job: Job,
    store: Store,
    inputs: Mapping[Job, Artifact],
    *,
    runtime: Runtime,
    progress: Progress,
    verify: bool = False,
) -> Artifact:
    """Returns a job's artifact, made now unless the store has it.

    The function works in ``partial/``, which stays when it is interrupted. If the function has
    ``RESUMABLE = True`` it finds there what it left; otherwise it starts from an empty folder.

    Args:
        job: The job.
        store: Where the artifact goes; its folders are there.
        inputs: The artifact of each job that this one reads.
        runtime: Device and threads, unless the job has its own.
        progress: Where the job reports to.
        verify: Whether to read every byte of an artifact that is there before trusting it.

    Raises:
        InputError: An argument, a file or the function's code is no longer what it was, or the
            function wrote or returned what an artifact cannot hold.
        StoreError: The disk is full or fails; what was done before is kept.
    """
    used = job.runtime or runtime
    with store.lock(job.fingerprint[:16], progress):
        found = store.find(job)
        if found is not None and not (verify and store.verify(found)):
            progress.note(f"{job.folder}: done before")
            return found
        _check_unchanged(job)
        function = find_function(job.function)
        resumable = getattr(function, "RESUMABLE", False)
        with writing(store.root / "partial" / job.folder):
            out = _open_partial(job, store, keep=resumable)
        progress.note(f"{job.folder}: building")
        started, start = datetime.now(UTC), time.monotonic()
        facts: dict[str, Any] = {}
        token = _run_facts.set(facts)
        try:
            result = _call(function, job, out, inputs, used, progress)
        finally:
            _run_facts.reset(token)
            release_memory()
        _check_unchanged(job)
        run = {
            "started_at": started.isoformat(),
            "wall_seconds": time.monotonic() - start,
            "process_peak_rss_bytes": _peak_rss_bytes(),
            "input_files": [str(file.path) for file in job.files],
            **facts,
        }
        with writing(out):
            return _finish(job, store, out, result=result, run=run, runtime=used)


def record_run(**facts: Any) -> None:
    """Keeps clock readings and the like in the running job's ``run.json``, outside every hash.

    Outside of a job it does nothing, so that a notebook may call stage functions as they are.

    Args:
        facts: JSON values.
    """
    current = _run_facts.get()
    if current is not None:
        current.update(facts)


def _call(
    function: Callable[..., Any],
    job: Job,
    out: Path,
    inputs: Mapping[Job, Artifact],
    runtime: Runtime,
    progress: Progress,
) -> dict[str, Any]:
    def path_of(needed: Input) -> Path:
        if isinstance(needed, Job):
            return inputs[needed].path
        assert isinstance(needed, File)
        return needed.path

    arguments = {key: replace_inputs(value, path_of) for key, value in job.arguments.items()}
    given = {"out": out, "runtime": runtime, "progress": JobProgress(progress, job.name)}
    parameters = inspect.signature(function).parameters
    arguments.update({key: value for key, value in given.items() if key in parameters})
    try:
        result = function(**arguments)
    except OSError as error:
        if error.errno in DISK_ERRORS:
            with writing(out):
                raise
        error.add_note(f"while building {job.folder}")
        raise
    except Exception as error:
        error.add_note(f"while building {job.folder}")
        raise
    return _checked_result(result, job)


def _checked_result(result: Any, job: Job) -> dict[str, Any]:
    try:
        text = json.dumps({} if result is None else result, allow_nan=False)
        value = json.loads(text)
    except (TypeError, ValueError) as error:
        raise InputError(
            expected="a result of JSON values", got=str(error), where=job.function
        ) from error
    if not isinstance(value, dict):
        raise InputError(
            expected="a dictionary or None as result", got=type(result).__name__, where=job.function
        )
    return value


def _check_unchanged(job: Job) -> None:
    for file in job.files:
        file.check_unchanged()
    for key, value in job.arguments.items():
        where = f"{job.function}({key})"
        if digest(encode(value, where)) != digest(job.encoded[key]):
            raise InputError(
                expected="the value that was planned",
                got=f"{value!r}"[:80],
                where=where,
                hint="it was changed after study.job was called; make the job again",
            )


def _open_partial(job: Job, store: Store, *, keep: bool) -> Path:
    """Returns the folder to work in: as the job left it if `keep`, else empty."""
    partial = store.root / "partial" / job.folder
    for folder in store.folders_of(job):
        if not (folder / DONE).exists() and not partial.exists():
            folder.replace(partial)  # a crash came between the rename and DONE
        else:
            store.set_aside(folder)
    if partial.exists() and not keep:
        shutil.rmtree(partial)
    partial.mkdir(exist_ok=True)
    # A killed process leaves the temporary files of its atomic writes.
    for leftover in [*partial.rglob(".*.????????.tmp"), partial / MANIFEST, partial / RUN]:
        leftover.unlink(missing_ok=True)
    write_json(partial / PARTIAL_MARKER, {"function": job.function, "fingerprint": job.fingerprint})
    return partial


def _finish(
    job: Job,
    store: Store,
    out: Path,
    *,
    result: dict[str, Any],
    run: dict[str, Any],
    runtime: Runtime,
) -> Artifact:
    """Describes the data and makes it an artifact; the marker DONE comes last of all."""
    files = _data_files(job, out)
    _sync_tree(out)
    manifest = {
        "fingerprint": job.fingerprint,
        "name": job.name,
        "function": job.function,
        "version": job.version,
        "arguments": job.encoded,
        "inputs": {needed.folder: needed.fingerprint for needed in job.inputs},
        "runtime": asdict(runtime) | {"threads": runtime.threads},
        "libraries": dict(_libraries()),
        "files": files,
        "result": result,
        "timed": job.timed,
    }
    write_json(out / RUN, run)
    write_json(out / MANIFEST, manifest)
    (out / PARTIAL_MARKER).unlink(missing_ok=True)
    final = store.root / job.folder
    out.replace(final)
    sync_folder(out.parent)
    sync_folder(store.root)
    text = (final / MANIFEST).read_bytes()
    write_json(final / DONE, {MANIFEST: hashlib.sha256(text).hexdigest()})
    return Artifact(final, job.fingerprint, read_json(final / MANIFEST))


def _data_files(job: Job, out: Path) -> dict[str, dict[str, Any]]:
    files = {}
    for path in sorted(out.rglob("*")):
        name = path.relative_to(out).as_posix()
        if name == PARTIAL_MARKER or (path.is_dir() and not path.is_symlink()):
            continue
        if path.is_symlink() or not path.is_file() or name in (MANIFEST, RUN, DONE):
            raise InputError(
                expected=f"plain files, none of them called {MANIFEST}, {RUN} or {DONE}",
                got="a link" if path.is_symlink() else name,
                where=f"{job.function}, {path}",
            )
        files[name] = {"sha256": sha256_file(path), "num_bytes": path.stat().st_size}
    return files


def _sync_tree(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as stream:
                os.fsync(stream.fileno())
        else:
            sync_folder(path)
    sync_folder(folder)


@functools.cache
def _libraries() -> dict[str, str | None]:
    versions: dict[str, str | None] = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = None
    return versions


def _peak_rss_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # macOS counts bytes, Linux KiB
