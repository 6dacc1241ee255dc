"""The two kinds of record that text comes in, and what a reader says about the rest."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lingraft.languages import Language


@dataclass(frozen=True, slots=True)
class Document:
    """One text of one language; `id` names where it came from."""

    text: str
    id: str


@dataclass(frozen=True, slots=True)
class Pair:
    """A text in the source language and its translation; `id` names where it came from."""

    source: str
    target: str
    id: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """One row that a reader left out: the file, its 1-based line, and why."""

    file: str
    line: int
    reason: str


@dataclass(frozen=True)
class Documents:
    """Documents of one language in the order of the files, and what was rejected."""

    records: tuple[Document, ...]
    lang: Language
    rejected: tuple[Rejected, ...] = ()

    def __iter__(self) -> Iterator[Document]:
        return iter(self.records)

    def __len__(self) -> int:
        return len(self.records)

    @property
    def num_bytes(self) -> int:
        """UTF-8 bytes of all texts together."""
        return sum(len(record.text.encode("utf-8")) for record in self.records)


@dataclass(frozen=True)
class Pairs:
    """Pairs of two languages in the order of the files, and what was rejected."""

    records: tuple[Pair, ...]
    source_lang: Language
    target_lang: Language
    rejected: tuple[Rejected, ...] = ()

    def __iter__(self) -> Iterator[Pair]:
        return iter(self.records)

    def __len__(self) -> int:
        return len(self.records)


def data_hash(texts: Sequence[str]) -> str:
    """Returns 12 hexadecimal digits that name a list of texts, order and boundaries included."""
    digest = hashlib.sha256()
    for text in texts:
        data = text.encode("utf-8")
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
    return digest.hexdigest()[:12]
