"""What a job may be given, and how each value enters the fingerprint.

Every value becomes JSON in which each object is a tag (``{"tuple": ...}``, ``{"file": ...}``), so
that two different values never share one encoding: JSON itself already tells ``1``, ``1.0``,
``true`` and ``"1"`` apart.
"""

import abc
import dataclasses
import hashlib
import importlib
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lingraft.errors import InputError
from lingraft.files import sha256_file

ALLOWED = "a JSON value, a frozen dataclass, File(path), another job, or a list of those"
COMPRESSED = frozenset({".gz", ".xz", ".zst"})


class Input(abc.ABC):
    """Something on the disk that a job reads; the job's function is handed its path."""

    @abc.abstractmethod
    def identity(self) -> dict[str, str]:
        """Returns what stands for the content in a fingerprint."""


@dataclasses.dataclass(frozen=True)
class File(Input):
    """A file or a folder of files, known by its content; the job's function gets its `Path`.

    The folder and the name do not enter the fingerprint, the format's suffix (``.tsv``,
    ``.jsonl.gz``) does, because readers choose the format by it.

    Attributes:
        path: Absolute path.
        sha256: Hash of the content; of a folder, that of all relative names and contents.

    Raises:
        InputError: There is no such file, or it cannot be read.
    """

    path: Path
    sha256: str = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        path = Path(self.path).absolute()
        object.__setattr__(self, "path", path)
        object.__setattr__(self, "sha256", _hash_content(path))

    @property
    def suffix(self) -> str:
        """The suffix that names the format, in lower case: ``.tsv``, ``.tsv.gz`` or nothing."""
        suffixes = [suffix.lower() for suffix in self.path.suffixes]
        return "".join(
            suffixes[-2:] if suffixes[-1:] and suffixes[-1] in COMPRESSED else suffixes[-1:]
        )

    def identity(self) -> dict[str, str]:
        """Returns the hash of the content and the suffix."""
        return {"file": self.sha256, "suffix": self.suffix}

    def check_unchanged(self) -> None:
        """Reads the content again.

        Raises:
            InputError: It is not what it was when this object was made.
        """
        now = _hash_content(self.path)
        if now != self.sha256:
            raise InputError(
                expected=f"the content with sha256 {self.sha256[:16]}",
                got=f"sha256 {now[:16]}",
                where=str(self.path),
                hint="the file changed after it was planned; plan again",
            )


def encode(value: Any, where: str, *, in_dataclass: bool = False) -> Any:
    """Returns the JSON value that stands for an argument in fingerprints and manifests.

    Args:
        value: An argument, or a part of one.
        where: The argument's name and place inside it, for messages.
        in_dataclass: Whether `value` lies inside a dataclass, where no path can replace an input.

    Raises:
        InputError: The value, or something inside it, is of no allowed kind.
    """
    # Exact types: a numpy float or an IntEnum would print like the plain value and be another one.
    kind = type(value)
    if value is None or kind in (bool, int):
        return value
    if kind is float:
        return _finite(value, where)
    if kind is str:
        return _encodable(value, where)
    if kind in (list, tuple):
        items = [
            encode(item, f"{where}[{index}]", in_dataclass=in_dataclass)
            for index, item in enumerate(value)
        ]
        return items if kind is list else {"tuple": items}
    if kind is dict:
        return {
            "dict": {
                _key(key, where): encode(item, f"{where}[{key!r}]", in_dataclass=in_dataclass)
                for key, item in value.items()
            }
        }
    if isinstance(value, Input):
        if in_dataclass:
            raise InputError(
                expected="a dataclass without files and jobs",
                got=kind.__name__,
                where=where,
                hint="pass it as an argument of its own",
            )
        return value.identity()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _encode_dataclass(value, where)
    hint = "wrap a path in File(path)" if isinstance(value, Path) else ""
    raise InputError(expected=ALLOWED, got=kind.__name__, where=where, hint=hint)


def digest(encoded: Any) -> str:
    """Returns the SHA-256, as hexadecimal text, of an encoded value's canonical JSON."""
    text = json.dumps(encoded, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def walk(value: Any) -> Iterator[Any]:
    """Yields a value and everything inside it, dataclass fields too; inputs are not opened."""
    yield value
    children: list[Any] = []
    if isinstance(value, list | tuple):
        children = list(value)
    elif isinstance(value, dict):
        children = list(value.values())
    elif dataclasses.is_dataclass(value) and not isinstance(value, type | Input):
        children = [getattr(value, field.name) for field in dataclasses.fields(value)]
    for child in children:
        yield from walk(child)


def replace_inputs(value: Any, path_of: Callable[[Input], Path]) -> Any:
    """Returns a copy of an argument with a path in place of every file and job.

    Dictionaries come sorted: their order is not in the fingerprint, so no function may see it.
    """
    if isinstance(value, Input):
        return path_of(value)
    if isinstance(value, list | tuple):
        return type(value)(replace_inputs(item, path_of) for item in value)
    if isinstance(value, dict):
        return {key: replace_inputs(value[key], path_of) for key in sorted(value)}
    return value


def module_attribute(module: str, name: str) -> Any:
    """Returns what installed code calls `name` at the top level of `module`, or None."""
    if module == "__main__":
        return None
    try:
        return getattr(importlib.import_module(module), name, None)
    except ImportError:
        return None


def _encode_dataclass(value: Any, where: str) -> dict[str, Any]:
    kind = type(value)
    if not kind.__dataclass_params__.frozen:
        raise InputError(
            expected="a frozen dataclass",
            got=f"{kind.__name__}, which can change",
            where=where,
            hint="declare it with @dataclass(frozen=True)",
        )
    if module_attribute(kind.__module__, kind.__qualname__) is not kind:
        raise InputError(
            expected="a dataclass at the top level of an installed module",
            got=f"{kind.__module__}:{kind.__qualname__}",
            where=where,
        )
    fields = {
        field.name: encode(getattr(value, field.name), f"{where}.{field.name}", in_dataclass=True)
        for field in dataclasses.fields(value)
    }
    return {"dataclass": f"{kind.__module__}:{kind.__qualname__}", "fields": fields}


def _finite(value: float, where: str) -> float:
    if not math.isfinite(value):
        raise InputError(expected="a finite number", got=repr(value), where=where)
    return value


def _encodable(text: str, where: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(
            expected="text that UTF-8 can hold", got=ascii(text), where=where
        ) from error
    return text


def _key(key: Any, where: str) -> str:
    if type(key) is not str:
        raise InputError(expected="a dictionary with text keys", got=repr(key), where=where)
    return _encodable(key, where)


def _hash_content(path: Path) -> str:
    try:
        if path.is_dir():
            files = sorted(item for item in path.rglob("*") if item.is_file())
            return digest(
                [[item.relative_to(path).as_posix(), sha256_file(item)] for item in files]
            )
        return sha256_file(path)
    except OSError as error:
        raise InputError(
            expected="a readable file or folder", got=error.strerror or str(error), where=str(path)
        ) from error
