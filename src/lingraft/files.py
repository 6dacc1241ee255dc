"""Files that are either the old ones or the new ones, never a mixture.

A file is written under a temporary name in the same folder, flushed to the disk, renamed, and the
folder flushed: a crash or a full disk at any point leaves what was there before.
"""

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from lingraft.errors import StoreError


@contextlib.contextmanager
def atomic_writer(path: Path) -> Iterator[BinaryIO]:
    """Opens a binary stream whose content becomes `path` when the block ends without an error.

    Raises:
        StoreError: The disk is full or the folder cannot be written; `path` is as it was.
    """
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        yield stream


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yields the name of a file, there and empty, that becomes `path` when the block ends.

    For libraries that write files by name; use `atomic_writer` where a stream will do.

    Raises:
        StoreError: The disk is full or the folder cannot be written; `path` is as it was.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    except OSError as error:
        raise _unwritable(path, error) from error
    temporary = Path(name)
    os.close(descriptor)
    try:
        yield temporary
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        # mkstemp makes files of mode 0600, which the group on a shared cluster cannot read.
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise _unwritable(path, error) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_bytes(path: Path, data: bytes) -> None:
    """Writes a whole file atomically."""
    with atomic_writer(path) as stream:
        stream.write(data)


def write_text(path: Path, text: str) -> None:
    """Writes a whole UTF-8 file atomically, newlines as they are."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Writes a JSON file atomically: sorted keys, so that equal values are equal bytes."""
    text = json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True, allow_nan=False)
    write_text(path, text + "\n")


def read_json(path: Path) -> Any:
    """Reads a JSON file that lingraft wrote.

    Raises:
        StoreError: The file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise StoreError(
            expected="a readable JSON file", got=str(error), where=str(path)
        ) from error


def sha256_file(path: Path) -> str:
    """Returns the SHA-256 of a file's bytes as hexadecimal text."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sync_folder(folder: Path) -> None:
    """Flushes a folder's entries, without which a rename may be lost in a crash."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _unwritable(path: Path, error: OSError) -> StoreError:
    return StoreError(
        expected="a folder that can be written, with room on the disk",
        got=error.strerror or str(error),
        where=str(path),
        hint="free some space or choose another place; nothing that was there is lost",
    )
