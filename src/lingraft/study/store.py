"""The artifact store: a folder of finished results, each known by its job's fingerprint.

::

    root/.lingraft-store                 marks the folder as ours
    root/name-<fingerprint>/             data files, manifest.json, run.json and, last, DONE
    root/partial/name-<fingerprint>/     being built, or interrupted
    root/damaged/name-<fingerprint>.<n>/ set aside: not what its manifest says
    root/roots/<plan>.json               what the last run of a plan needs; see `Store.prune`
    root/locks/                          one lock for each job

DONE holds the hash of the manifest and the manifest those of the data, so that a change of any byte
but those of run.json is seen.
"""

import contextlib
import hashlib
import logging
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock

from lingraft.errors import StoreError
from lingraft.files import read_json, sha256_file, sync_folder, write_json
from lingraft.study.jobs import Job
from lingraft.study.plans import Plan
from lingraft.study.progress import NullProgress, Progress

MARKER = ".lingraft-store"
PARTIAL_MARKER = ".lingraft-partial"
MANIFEST, RUN, DONE = "manifest.json", "run.json", "DONE"
STORE_FORMAT = 1
_FOLDER = re.compile(r".+-([0-9a-f]{16})(?:\.\d+)?")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Artifact:
    """A finished result.

    Attributes:
        path: The folder with the data files.
        fingerprint: The job's fingerprint, 64 hexadecimal digits.
        manifest: Function, version, arguments, inputs, runtime, libraries, hashes and result.
    """

    path: Path
    fingerprint: str
    manifest: dict[str, Any]

    @property
    def result(self) -> dict[str, Any]:
        """What the job's function returned."""
        return dict(self.manifest["result"])

    @property
    def timed(self) -> bool:
        """Whether a clock ended the job, so that a rerun may give other bytes."""
        return bool(self.manifest["timed"])

    @property
    def run(self) -> dict[str, Any]:
        """Clock readings and other facts of the run, which differ between reruns."""
        return dict(read_json(self.path / RUN))


class Store:
    """A folder that keeps artifacts.

    Args:
        root: The folder; it is made when the first job is run.

    Raises:
        StoreError: `root` is something else: a file, another store format, or a folder that has
            content and is not ours.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root).absolute()
        self._check_ours()

    def find(self, job: Job) -> Artifact | None:
        """Returns the finished artifact of a job, or None.

        Only a folder with a DONE marker counts, whose manifest is the one that DONE names and
        whose data files have their sizes; `verify` reads the data too. What is damaged is told in
        the log and counts as not done.
        """
        for folder in self.folders_of(job):
            if not (folder / DONE).is_file():
                continue
            try:
                artifact = _read_artifact(folder, job.fingerprint)
            except StoreError as error:
                logger.warning("%s: will be built again", error)
                continue
            return artifact
        return None

    def folders_of(self, job: Job) -> list[Path]:
        """Returns the folders of a job's artifact, done or not; the job's name may have changed."""
        return sorted(self.root.glob(f"*-{job.fingerprint[:16]}"))

    def verify(self, artifact: Artifact) -> tuple[str, ...]:
        """Reads every byte of an artifact again.

        Returns:
            One line for each file that is not as it was written; empty when all is well. A damaged
            artifact is set aside, so that the next run builds it again.
        """
        problems = []
        for name, known in sorted(artifact.manifest["files"].items()):
            path = artifact.path / name
            if not path.is_file():
                problems.append(f"{name}: missing")
            elif (found := sha256_file(path)) != known["sha256"]:
                problems.append(f"{name}: sha256 {found[:16]}, not {known['sha256'][:16]}")
        try:
            _read_artifact(artifact.path, artifact.fingerprint)
        except StoreError as error:
            problems.append(str(error))
        if problems:
            self.set_aside(artifact.path)
        return tuple(problems)

    def set_aside(self, folder: Path) -> Path:
        """Moves a folder of this store to ``damaged/`` and tells so in the log."""
        with writing(folder):
            place = self.root / "damaged"
            number = 1
            while (place / f"{folder.name}.{number}").exists():
                number += 1
            moved = folder.replace(place / f"{folder.name}.{number}")
            sync_folder(self.root)
            sync_folder(place)
        logger.warning("%s is damaged: moved to %s", folder.name, moved)
        return moved

    def prepare(self) -> None:
        """Makes the store's folders where they are missing.

        Raises:
            StoreError: They cannot be made, or somebody else uses the folder.
        """
        self._check_ours()
        with writing(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            if not (self.root / MARKER).exists():
                write_json(self.root / MARKER, {"format": STORE_FORMAT})
            for name in ("partial", "damaged", "roots", "locks"):
                (self.root / name).mkdir(exist_ok=True)

    @contextlib.contextmanager
    def lock(self, name: str, progress: Progress | None = None) -> Iterator[None]:
        """Holds one of the store's locks, waiting for other processes and threads."""
        lock = self._lock(name)
        with writing(self.root / "locks"):
            try:
                lock.acquire(timeout=0)
            except filelock.Timeout:
                (progress or NullProgress()).note(f"another process works on {name}; waiting")
                lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def is_locked(self, name: str) -> bool:
        """Whether some process holds one of the store's locks at this moment."""
        with self.claim(name) as free:
            return not free

    @contextlib.contextmanager
    def claim(self, name: str) -> Iterator[bool]:
        """Holds one of the store's locks if nobody else does, and says whether; never waits."""
        lock = self._lock(name)
        with writing(self.root / "locks"), contextlib.suppress(filelock.Timeout):
            lock.acquire(timeout=0)
        try:
            yield lock.is_locked
        finally:
            lock.release()

    def record_roots(self, plan: Plan) -> None:
        """Notes what a plan needs, in place of what the last run of its name needed."""
        value = {
            "targets": {name: job.folder for name, job in plan.targets.items()},
            "needed": sorted(job.fingerprint for job in plan.order),
        }
        with self.lock("roots"):
            write_json(self.root / "roots" / f"{plan.name}.json", value)

    def roots(self) -> dict[str, dict[str, str]]:
        """Returns, for each plan that was run, its targets: name and artifact folder."""
        files = sorted((self.root / "roots").glob("*.json"))
        return {path.stem: dict(read_json(path)["targets"]) for path in files}

    def forget(self, plan_name: str) -> None:
        """Lets go of what a plan needs, so that `prune` may remove it.

        Raises:
            StoreError: No plan of that name was run here.
        """
        path = self.root / "roots" / f"{plan_name}.json"
        if plan_name not in self.roots():
            raise StoreError(
                expected=f"one of the plans {', '.join(self.roots()) or '(none)'}",
                got=repr(plan_name),
                where=str(self.root / "roots"),
            )
        with self.lock("roots"), writing(path):
            path.unlink()

    def prune(self, keep: Sequence[Plan] = (), *, dry_run: bool = False) -> list[Path]:
        """Removes what neither the last run of any plan nor a plan in `keep` needs.

        Folders that lingraft did not make are left alone, and so is what a process is building.

        Args:
            keep: Plans to spare although they were not run.
            dry_run: Remove nothing.

        Returns:
            The removed folders.

        Raises:
            StoreError: A record of what is in use cannot be read (then nothing is removed), or a
                folder cannot be removed.
        """
        if not self.root.exists():
            return []
        self.prepare()
        removed = []
        with self.lock("roots"):
            needed = {job.fingerprint[:16] for plan in keep for job in plan.order}
            for path in (self.root / "roots").glob("*.json"):
                needed.update(fingerprint[:16] for fingerprint in read_json(path)["needed"])
            places = (self.root, self.root / "partial", self.root / "damaged")
            for folder in sorted(child for place in places for child in place.iterdir()):
                fingerprint = _fingerprint_of_ours(folder)
                used = folder.parent.name != "damaged" and fingerprint in needed
                if fingerprint is None or used:
                    continue
                with contextlib.suppress(filelock.Timeout), self._lock(fingerprint, timeout=0):
                    removed.append(folder)
                    if not dry_run:
                        _remove(folder)
        return removed

    def _lock(self, name: str, timeout: float = -1) -> filelock.BaseFileLock:
        return filelock.FileLock(self.root / "locks" / f"{name}.lock", timeout=timeout)

    def _check_ours(self) -> None:
        marker = self.root / MARKER
        if marker.is_file():
            form = read_json(marker)
            if form != {"format": STORE_FORMAT}:
                raise StoreError(
                    expected=f"a store of format {STORE_FORMAT}",
                    got=str(form),
                    where=str(marker),
                    hint="it was made by another version of lingraft; choose another folder",
                )
            return
        try:
            # Another process may be writing the marker at this moment, under a temporary name.
            names = [x.name for x in self.root.iterdir() if not x.name.startswith(f".{MARKER}.")]
        except FileNotFoundError:
            return
        except OSError as error:
            raise _unwritable(self.root, error) from error
        if names and not marker.is_file():
            raise StoreError(
                expected="a new or empty folder, or an artifact store",
                got=f"a folder that is not ours, with {sorted(names)[0]} in it",
                where=str(self.root),
                hint="choose another folder",
            )


@contextlib.contextmanager
def writing(place: Path) -> Iterator[None]:
    """Turns what the operating system refuses into one line that names the place."""
    try:
        yield
    except OSError as error:
        raise _unwritable(place, error) from error


def _unwritable(place: Path, error: OSError) -> StoreError:
    return StoreError(
        expected="a folder that can be written, with room on the disk",
        got=error.strerror or str(error),
        where=str(place),
        hint="free some space or choose another place, then run again; what was done is kept",
    )


def _read_artifact(folder: Path, fingerprint: str) -> Artifact:
    """Reads an artifact and compares all but the content of its data files."""
    manifest_path = folder / MANIFEST
    manifest = read_json(manifest_path)
    known = read_json(folder / DONE)
    found = hashlib.sha256(manifest_path.read_bytes()).hexdigest()
    if known != {MANIFEST: found} or manifest.get("fingerprint") != fingerprint:
        raise StoreError(
            expected=f"the manifest of {fingerprint[:16]} that DONE names",
            got=f"another one, with sha256 {found[:16]}",
            where=str(manifest_path),
        )
    for name, facts in manifest["files"].items():
        path = folder / name
        size = path.stat().st_size if path.is_file() else None
        if size != facts["num_bytes"]:
            raise StoreError(
                expected=f"a file of {facts['num_bytes']} bytes",
                got="no file" if size is None else f"{size} bytes",
                where=str(path),
            )
    return Artifact(folder, fingerprint, manifest)


def _fingerprint_of_ours(folder: Path) -> str | None:
    """Returns the 16 digits in the name of a folder that lingraft made, of any other None."""
    name = _FOLDER.fullmatch(folder.name)
    if name is None or folder.is_symlink():
        return None
    ours = (folder / PARTIAL_MARKER).is_file() or (folder / MANIFEST).is_file()
    return name[1] if ours else None


def _remove(folder: Path) -> None:
    """Removes a folder so that, stopped anywhere, it never looks done and always looks ours."""
    proofs = [folder / MANIFEST, folder / PARTIAL_MARKER]
    with writing(folder):
        (folder / DONE).unlink(missing_ok=True)
        for child in folder.iterdir():
            if child in proofs:
                continue
            if child.is_dir() and not child.is_symlink():
                shutil.rmtree(child)
            else:
                child.unlink()
        for proof in proofs:
            proof.unlink(missing_ok=True)
        folder.rmdir()
