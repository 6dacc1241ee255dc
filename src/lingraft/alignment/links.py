"""Word links of a corpus of pairs, and the two forms in which they are stored."""

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as serialize

from lingraft.errors import InputError, StoreError
from lingraft.files import write_bytes, write_text

FORMAT = "lingraft-links-1"
_DTYPES = {
    "pair": np.int32,
    "source_word": np.int32,
    "target_word": np.int32,
    "posterior": np.float32,
    "source_starts": np.int64,
    "target_starts": np.int64,
    "source_offsets": np.int32,
    "target_offsets": np.int32,
}


@dataclass(frozen=True, eq=False)
class Links:
    """Which words of each pair translate each other.

    A pair in which a side has no words, or that was too long to align, keeps its place and has no
    links.

    Attributes:
        pair: (num_links,) int32, the pair's place in the input; links are sorted by `pair`,
            `source_word`, `target_word`.
        source_word: (num_links,) int32, the word's place in its pair.
        target_word: (num_links,) int32.
        posterior: (num_links,) float32, how probable the link is, in (0, 1].
        source_starts: (num_pairs + 1,) int64; pair p has the words from `source_starts[p]` to
            `source_starts[p + 1]` of `source_offsets`.
        target_starts: (num_pairs + 1,) int64.
        source_offsets: (num_source_words, 2) int32, begin and end of each word in its text, in
            code points.
        target_offsets: (num_target_words, 2) int32.
        segmentation: Signature of the rule that cut the words.
        method: Name of the aligner.
        seed: The seed that the aligner was given.
    """

    pair: npt.NDArray[np.int32]
    source_word: npt.NDArray[np.int32]
    target_word: npt.NDArray[np.int32]
    posterior: npt.NDArray[np.float32]
    source_starts: npt.NDArray[np.int64]
    target_starts: npt.NDArray[np.int64]
    source_offsets: npt.NDArray[np.int32]
    target_offsets: npt.NDArray[np.int32]
    segmentation: str
    method: str
    seed: int

    def __len__(self) -> int:
        return len(self.pair)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Links):
            return NotImplemented
        return all(
            np.array_equal(getattr(self, field.name), getattr(other, field.name))
            for field in dataclasses.fields(self)
        )

    __hash__ = None  # type: ignore[assignment]

    @property
    def num_pairs(self) -> int:
        """Pairs of the input, with or without links."""
        return len(self.source_starts) - 1

    def sets(self) -> list[set[tuple[int, int]]]:
        """Returns each pair's links as a set of (source word, target word)."""
        result: list[set[tuple[int, int]]] = [set() for _ in range(self.num_pairs)]
        columns = (self.pair.tolist(), self.source_word.tolist(), self.target_word.tolist())
        for pair, i, j in zip(*columns, strict=True):
            result[pair].add((i, j))
        return result

    def save(self, path: Path) -> None:
        """Writes one safetensors file, the texts in its metadata, atomically.

        Raises:
            StoreError: The file cannot be written.
        """
        arrays = {name: np.ascontiguousarray(getattr(self, name)) for name in _DTYPES}
        about = {
            "format": FORMAT,
            "segmentation": self.segmentation,
            "method": self.method,
            "seed": self.seed,
        }
        # One key alone: safetensors writes several in the random order of a hash map, and equal
        # links would not be equal bytes.
        metadata = {"links": json.dumps(about, sort_keys=True)}
        write_bytes(path, serialize(arrays, metadata=metadata))

    @classmethod
    def load(cls, path: Path) -> "Links":
        """Reads what `save` wrote.

        Raises:
            StoreError: The file is missing, damaged or holds something else.
        """
        try:
            with safe_open(path, framework="numpy") as stored:
                about: dict[str, Any] = json.loads((stored.metadata() or {}).get("links", "{}"))
                found = about.pop("format", None)
                if found != FORMAT:
                    raise _unreadable(path, f"format {found!r}")
                arrays = {name: stored.get_tensor(name) for name in _DTYPES}
            links = cls(**arrays, **about)
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise _unreadable(path, str(error)) from error
        for name, dtype in _DTYPES.items():
            if arrays[name].dtype != dtype:
                raise _unreadable(path, f"{name} of {arrays[name].dtype}")
        return links


def write_pharaoh(links: Links | Iterable[set[tuple[int, int]]], path: Path) -> None:
    """Writes one line per pair, ``i-j`` from 0 for each link in order, also for empty pairs."""
    sets = links.sets() if isinstance(links, Links) else links
    lines = [" ".join(f"{i}-{j}" for i, j in sorted(pairs)) + "\n" for pairs in sets]
    write_text(path, "".join(lines))


def read_pharaoh(path: Path) -> list[set[tuple[int, int]]]:
    """Reads one set of links (source word, target word), counted from 0, for each line.

    Raises:
        InputError: The file cannot be read or an item is not ``i-j``.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            expected="a readable Pharaoh file", got=str(error), where=str(path)
        ) from error
    # Not splitlines(), which also cuts at separators that no writer of links means as a line end.
    lines = text.removesuffix("\n").split("\n") if text else []
    return [
        {_parse_link(item, f"{path}:{number}") for item in line.split()}
        for number, line in enumerate(lines, start=1)
    ]


def _parse_link(item: str, where: str) -> tuple[int, int]:
    source, dash, target = item.partition("-")
    if not (dash and source.isascii() and source.isdigit() and target.isascii()):
        target = ""
    if not target.isdigit():
        raise InputError(
            expected="links such as 0-0 or 3-1",
            got=repr(item),
            where=where,
            hint="sure and possible links go to separate files",
        )
    return int(source), int(target)


def _unreadable(path: Path, got: str) -> StoreError:
    return StoreError(
        expected=f"links in the form {FORMAT}",
        got=got,
        where=str(path),
        hint="align the pairs anew",
    )
