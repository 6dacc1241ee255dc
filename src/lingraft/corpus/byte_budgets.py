"""Training sets of an exact size in bytes, each a prefix of the next, and what may go into them.

Budgets are counted in UTF-8 bytes of the texts themselves; nothing is counted between documents.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

from lingraft.corpus.records import Documents, data_hash
from lingraft.corpus.splits import matching_key, take_bytes
from lingraft.corpus.streams import read_chunks
from lingraft.errors import InputError
from lingraft.seeds import derive

MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"
"""U+FEFF: a byte order mark, wherever it stands; as a character it is deprecated."""

SWAPPED_MARK = "\ufffe"
"""No character: what a byte order mark becomes when its bytes are swapped."""

_ENCODING_MARKS = {
    b"\xff\xfe\x00\x00": "UTF-32LE",  # before UTF-16LE, whose mark it begins with
    b"\x00\x00\xfe\xff": "UTF-32BE",
    b"\xff\xfe": "UTF-16LE",
    b"\xfe\xff": "UTF-16BE",
}
# In UTF-16 without a mark every other byte of ASCII is NUL; other scripts still have spaces.
_MIN_WIDE_SHARE = 0.05
# UTF-32 alone has NULs in two bytes side by side, in any script.
_MIN_ALWAYS_NUL_SHARE = 0.5


@dataclass(frozen=True)
class BytePrefix:
    """The first bytes of a corpus.

    Attributes:
        documents: The texts, the last one cut at a character; in the order of the prefix.
        asked_bytes: The size that was asked for.
        num_bytes: UTF-8 bytes that there are: at most three less, for the character that was cut.
        num_characters: Code points.
        data_hash: 12 hexadecimal digits that name the texts, as `measurement.score.data_hash`.
    """

    documents: Documents
    asked_bytes: int
    num_bytes: int
    num_characters: int
    data_hash: str

    @property
    def manifest(self) -> dict[str, Any]:
        """A JSON object of the sizes and the hash."""
        return {
            "asked_bytes": self.asked_bytes,
            "num_bytes": self.num_bytes,
            "num_characters": self.num_characters,
            "num_documents": len(self.documents),
            "data_hash": self.data_hash,
        }


@dataclass(frozen=True)
class CheckedText:
    """Text in one encoding, and what was found in it.

    Attributes:
        text: The text, without byte order marks.
        num_marks_removed: Byte order marks (U+FEFF), where files were joined for instance.
        num_replaced: Characters U+FFFD, which some earlier conversion left for what it could not
            read; they are left in place.
    """

    text: str
    num_marks_removed: int
    num_replaced: int


@dataclass(frozen=True)
class UnmarkedDocuments:
    """Documents without byte order marks, and what was repaired or found.

    Attributes:
        documents: The texts; those without marks are the same objects.
        num_marks_removed: Byte order marks (U+FEFF) that were removed.
        num_emptied: Documents that held nothing else and were left out.
        num_replaced: Characters U+FFFD, which are left in place.
    """

    documents: Documents
    num_marks_removed: int
    num_emptied: int
    num_replaced: int


def byte_prefixes(documents: Documents, sizes: Sequence[int], *, seed: int) -> list[BytePrefix]:
    """Returns nested training sets of exact sizes: each is the beginning of the next.

    The documents come in an order that depends on the seed alone, whatever the sizes, so that
    another seed draws other documents. Documents without text are left out.

    Args:
        documents: The text to take from.
        sizes: UTF-8 bytes, rising.
        seed: Of the order.

    Raises:
        InputError: No sizes, sizes that do not rise from 1 on, or more bytes than there are.
    """
    _check_sizes(sizes, documents)
    full = [document for document in documents if document.text]
    random.Random(derive(seed, "byte_prefixes")).shuffle(full)
    ordered = replace(documents, records=tuple(full), rejected=())
    return [_prefix(ordered, size) for size in sizes]


def check_disjoint(*, match_ids: bool = True, **parts: Documents) -> None:
    """Refuses parts of a corpus that share a document.

    Two documents are the same when their texts match (`matching_key`: case, digits, punctuation
    and spacing aside) or when their ids are equal.

    Args:
        match_ids: Whether equal ids count; False for ids that are unique within a part only, as
            those of files of one name are.
        parts: Any number, by name: ``train=..., valid=..., test=...``.

    Raises:
        InputError: Two parts overlap; says in how many documents and names one.
    """
    for first, second in combinations(parts, 2):
        ids = {document.id for document in parts[first]} if match_ids else set()
        keys = {matching_key(document.text) for document in parts[first]}
        shared = [
            document
            for document in parts[second]
            if document.id in ids or matching_key(document.text) in keys
        ]
        if shared:
            by_id = shared[0].id in ids
            raise InputError(
                expected=f"{second} to share no document with {first}",
                got=f"{len(shared)} of its {len(parts[second])} documents, one of them "
                f"{shared[0].id}, with the {'id' if by_id else 'text'} of one there",
                where=f"{first} and {second}",
                hint=f"remove them from {first} with corpus.hold_out"
                + (", or pass match_ids=False if ids are not unique" if by_id else ""),
            )


def check_text(data: bytes | Path) -> CheckedText:
    """Reads text that has to be UTF-8 throughout; another encoding or byte order is refused.

    `read_documents` refuses what is not UTF-8 and rejects rows with NUL. This check looks at a
    file as a whole and finds what is valid UTF-8 and still wrong: UTF-16 of ASCII without a mark,
    marks where files were joined, swapped marks, and the traces of earlier conversions.

    Args:
        data: The bytes, or a file, also .gz, .xz or .zst; it is held in memory.

    Returns:
        The text and what was repaired or found.

    Raises:
        InputError: The bytes are of another encoding, or of several; says at which byte.
    """
    where = str(data) if isinstance(data, Path) else "text"
    raw = b"".join(read_chunks(data)) if isinstance(data, Path) else data
    for mark, encoding in _ENCODING_MARKS.items():
        if raw.startswith(mark):
            raise _other_encoding(f"the byte order mark of {encoding}", where, encoding)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _not_utf8(raw, error.start, where) from error
    if num_nuls := raw.count(0):
        raise _with_nuls(raw, num_nuls, where)
    if SWAPPED_MARK in text:
        raise _swapped(text, where)
    return CheckedText(text.replace(MARK, ""), text.count(MARK), text.count("\ufffd"))


def remove_marks(documents: Documents) -> UnmarkedDocuments:
    """Removes byte order marks from documents, where JSON escapes may have hidden them from a file.

    Args:
        documents: The texts; they stay as they are.

    Raises:
        InputError: A text has a swapped mark; says which.
    """
    kept = []
    num_marks = num_replaced = num_emptied = 0
    for document in documents:
        if SWAPPED_MARK in document.text:
            raise _swapped(document.text, f"{documents.lang}, {document.id}")
        text = document.text.replace(MARK, "")
        num_marks += len(document.text) - len(text)
        num_replaced += text.count("\ufffd")
        num_emptied += not text.strip()
        if text.strip():
            kept.append(document if text == document.text else replace(document, text=text))
    unmarked = replace(documents, records=tuple(kept))
    return UnmarkedDocuments(unmarked, num_marks, num_emptied, num_replaced)


def _check_sizes(sizes: Sequence[int], documents: Documents) -> None:
    if not sizes or sizes[0] < 1 or any(low >= high for low, high in pairwise(sizes)):
        raise InputError(
            expected="one or more sizes in bytes, positive and rising",
            got=", ".join(map(str, sizes)) or "none",
            where="sizes",
        )
    available = documents.num_bytes
    if sizes[-1] > available:
        fitting = [size for size in sizes if size <= available]
        raise InputError(
            expected=f"at most {available} bytes, which is all the text there is",
            got=f"{sizes[-1]} bytes",
            where=f"sizes, {documents.lang}",
            hint=f"the largest of the sizes that fits is {fitting[-1]}"
            if fitting
            else "none of the sizes fits; bring more text",
        )


def _prefix(ordered: Documents, size: int) -> BytePrefix:
    taken = take_bytes(ordered, size)
    return BytePrefix(
        documents=taken,
        asked_bytes=size,
        num_bytes=taken.num_bytes,
        num_characters=sum(len(document.text) for document in taken),
        data_hash=data_hash([document.text for document in taken]),
    )


def _swapped(text: str, where: str) -> InputError:
    at = len(text[: text.index(SWAPPED_MARK)].encode("utf-8")) + 1
    return InputError(
        expected="text in one byte order",
        got=f"U+FFFE, a byte order mark with its bytes swapped, at byte {at}",
        where=where,
        hint="convert it again from the original, in its own byte order",
    )


def _not_utf8(raw: bytes, start: int, where: str) -> InputError:
    rest = raw[start : start + 4]
    found = next((name for mark, name in _ENCODING_MARKS.items() if rest.startswith(mark)), None)
    if found is None:
        got = f"byte 0x{raw[start]:02x} at byte {start + 1}"
        return _other_encoding(got, where, _wide_encoding(raw) or "ENCODING")
    return InputError(
        expected="UTF-8 text throughout",
        got=f"the byte order mark of {found} at byte {start + 1}",
        where=where,
        hint="files of two encodings were joined: convert each to UTF-8, then join them",
    )


def _with_nuls(raw: bytes, num_nuls: int, where: str) -> InputError:
    got = f"{num_nuls} NUL bytes, the first at byte {raw.index(0) + 1}"
    if encoding := _wide_encoding(raw):
        return _other_encoding(got, where, encoding)
    return InputError(
        expected="text without NUL", got=got, where=where, hint="remove them: tr -d '\\000'"
    )


def _wide_encoding(raw: bytes) -> str | None:
    """Names the encoding that the places of NUL bytes speak for, as ASCII in it would have them."""
    shares = [lane.count(0) / max(len(lane), 1) for lane in (raw[at::4] for at in range(4))]
    if sum(shares) / 4 < _MIN_WIDE_SHARE:
        return None
    if min(shares[2:]) > _MIN_ALWAYS_NUL_SHARE:
        return "UTF-32LE"
    if min(shares[:2]) > _MIN_ALWAYS_NUL_SHARE:
        return "UTF-32BE"
    return "UTF-16LE" if shares[1] + shares[3] > shares[0] + shares[2] else "UTF-16BE"


def _other_encoding(got: str, where: str, encoding: str) -> InputError:
    return InputError(
        expected="UTF-8 text",
        got=got,
        where=where,
        hint=f"convert it: iconv -f {encoding} -t UTF-8",
    )
