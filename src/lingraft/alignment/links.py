"""Word links of a corpus of pairs, and the two forms in which they are stored."""

import dataclasses
import itertools
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as serialize

from lingraft.corpus.records import Pair
from lingraft.errors import InputError, StoreError
from lingraft.files import atomic_writer, write_bytes

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
    rows = _rows(links) if isinstance(links, Links) else map(sorted, links)
    with atomic_writer(path) as stream:
        for row in rows:
            stream.write((" ".join(f"{i}-{j}" for i, j in row) + "\n").encode("ascii"))


def _rows(links: Links) -> Iterator[Iterable[tuple[int, int]]]:
    """The links of one pair after the other; sets of all at once would take gigabytes."""
    bounds = np.searchsorted(links.pair, np.arange(links.num_pairs + 1)).tolist()
    for begin, end in itertools.pairwise(bounds):
        span = slice(begin, end)
        yield zip(links.source_word[span].tolist(), links.target_word[span].tolist(), strict=True)


def write_links(links: Links, pairs: Iterable[Pair], path: Path) -> None:
    """Writes links in the form that the name of the file asks for, one line a pair.

    A `.tsv` has source text, target text and the links as in Pharaoh files, so that it is a file
    of pairs again; a `.jsonl` has objects with `source`, `target`, `source_words` and
    `target_words` (begin and end in code points) and `links` (source word, target word,
    posterior); any other name is a Pharaoh file.

    Args:
        links: What `align` returned.
        pairs: The pairs that were aligned, in their order.
        path: The file.

    Raises:
        InputError: There are fewer or more pairs than were aligned.
    """
    if path.suffix not in (".tsv", ".jsonl"):
        write_pharaoh(links, path)
        return
    num_pairs = 0
    bounds = np.searchsorted(links.pair, np.arange(links.num_pairs + 1))
    with atomic_writer(path) as stream:
        for pair in pairs:
            if num_pairs < links.num_pairs:
                span = slice(*bounds[num_pairs : num_pairs + 2].tolist())
                row = _table_row if path.suffix == ".tsv" else _json_row
                stream.write(row(links, pair, num_pairs, span).encode("utf-8"))
            num_pairs += 1
    if num_pairs != links.num_pairs:
        raise InputError(
            expected=f"the {links.num_pairs} pairs that were aligned",
            got=str(num_pairs),
            where=str(path),
        )


def _table_row(links: Links, pair: Pair, number: int, span: slice) -> str:
    found = zip(links.source_word[span].tolist(), links.target_word[span].tolist(), strict=True)
    texts = (" ".join(text.split()) for text in (pair.source, pair.target))
    return "\t".join([*texts, " ".join(f"{i}-{j}" for i, j in found)]) + "\n"


def _json_row(links: Links, pair: Pair, number: int, span: slice) -> str:
    source = slice(*links.source_starts[number : number + 2].tolist())
    target = slice(*links.target_starts[number : number + 2].tolist())
    columns = (links.source_word, links.target_word, links.posterior)
    found = zip(*(column[span].tolist() for column in columns), strict=True)
    row = {
        "source": pair.source,
        "target": pair.target,
        "source_words": links.source_offsets[source].tolist(),
        "target_words": links.target_offsets[target].tolist(),
        "links": [[i, j, round(posterior, 4)] for i, j, posterior in found],
    }
    return json.dumps(row, ensure_ascii=False) + "\n"


def read_links(path: Path) -> list[set[tuple[int, int]]]:
    """Reads what `write_links` wrote: one set of links (source word, target word) for each pair.

    Raises:
        InputError: The file cannot be read, or a line holds something else.
    """
    if path.suffix not in (".tsv", ".jsonl"):
        return read_pharaoh(path)
    sets = []
    for number, line in enumerate(_lines(path), start=1):
        where = f"{path}:{number}"
        try:
            if path.suffix == ".jsonl":
                sets.append({(int(i), int(j)) for i, j, *_ in json.loads(line)["links"]})
            else:
                items = line.split("\t")[2].split()
                sets.append({_parse_link(item, where) for item in items})
        except (IndexError, KeyError, TypeError, ValueError) as error:
            raise InputError(
                expected="a pair and its links, as lingraft align writes them",
                got=repr(line[:80]),
                where=where,
            ) from error
    return sets


def read_pharaoh(path: Path) -> list[set[tuple[int, int]]]:
    """Reads one set of links (source word, target word), counted from 0, for each line.

    Raises:
        InputError: The file cannot be read or an item is not ``i-j``.
    """
    return [
        {_parse_link(item, f"{path}:{number}") for item in line.split()}
        for number, line in enumerate(_lines(path), start=1)
    ]


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            expected="a readable file of links", got=str(error), where=str(path)
        ) from error
    # Not splitlines(), which also cuts at separators that no writer of links means as a line end.
    return text.removesuffix("\n").split("\n") if text else []


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
