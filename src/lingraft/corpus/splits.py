"""What trains and what tests, kept apart: held-out text never comes back in another dress."""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Generic, TypeVar
from unicodedata import normalize

import regex

from lingraft.corpus.records import Document, Documents, Pair, Pairs
from lingraft.errors import InputError
from lingraft.seeds import derive

Records = TypeVar("Records", Documents, Pairs)

_INVISIBLE = regex.compile(r"\p{Cf}+")
_NUMBER = regex.compile(r"\p{N}+")
_OTHER = regex.compile(r"[^\p{L}\p{M}\p{N}]+")


@dataclass(frozen=True)
class HeldOut(Generic[Records]):
    """Training rows without those that match a held-out row.

    Attributes:
        kept: The rows to train on, in their order.
        removed: The other rows, in their order.
        num_removed_source: Removed rows whose source text matches; all of them for documents.
        num_removed_target: Removed rows whose target text matches; 0 for documents. A row that
            matches on both sides is counted in both.
    """

    kept: Records
    removed: tuple[Document | Pair, ...]
    num_removed_source: int
    num_removed_target: int


@dataclass(frozen=True)
class Split:
    """One corpus in three, no text of which occurs in two of them.

    Attributes:
        train: What is left.
        valid: For choices made during a study.
        test: For the figure at its end.
        num_removed: Further copies of valid and test documents, which are in none of the three.
    """

    train: Documents
    valid: Documents
    test: Documents
    num_removed: int


def hold_out(records: Records, held_out: Iterable[Documents | Pairs]) -> HeldOut[Records]:
    """Removes every training row that matches a held-out row on either side.

    Two texts match when their `matching_key` is the same. Languages are not told apart: a
    held-out text is removed wherever it is found, also as its own "translation".

    Args:
        records: Rows meant for the tokenizer, the alignment or the training.
        held_out: Everything that will be measured on, with all of its languages.

    Returns:
        The rows that may be used, the others, and how many matched on which side.
    """
    keys = {matching_key(text) for rows in held_out for row in rows for text in _texts(row)}
    kept: list[Document | Pair] = []
    removed: list[Document | Pair] = []
    num_removed = [0, 0]
    for row in records:
        matches = [matching_key(text) in keys for text in _texts(row)]
        (removed if any(matches) else kept).append(row)
        for side, matched in enumerate(matches):
            num_removed[side] += matched
    return HeldOut(
        kept=replace(records, records=tuple(kept)),  # type: ignore[arg-type]
        removed=tuple(removed),
        num_removed_source=num_removed[0],
        num_removed_target=num_removed[1],
    )


def matching_key(text: str) -> str:
    """Returns what two texts share that differ in case, digits, punctuation or spacing only.

    Compatibility forms, invisible format characters (ZWNJ, soft hyphen, direction marks) and
    the kind of apostrophe make no difference either; marks such as vowel signs do.

    Example:
        >>> matching_key("See  Chapter 12!") == matching_key("see chapter 3")
        True
    """
    folded = normalize("NFKC", normalize("NFKC", _INVISIBLE.sub("", text)).casefold())
    return str(_OTHER.sub(" ", _NUMBER.sub("0", folded)).strip())


def random_split(
    documents: Documents,
    *,
    num_test: int,
    seed: int,
    num_valid: int | None = None,
    valid_share: float | None = None,
) -> Split:
    """Draws valid and test documents at random and leaves the rest for training.

    Documents that match (see `matching_key`) are drawn together: the first of them is held out
    and the others are removed. All three parts keep the order of `documents`.

    Args:
        documents: The corpus.
        num_test: Number of test documents.
        seed: The same seed gives the same split on every platform.
        num_valid: Number of valid documents; give either this or `valid_share`.
        valid_share: Valid documents as a share of all documents, between 0 and 1.

    Raises:
        InputError: Both or none of `num_valid` and `valid_share` are given, an amount is out of
            range, or no document would be left for training.
    """
    num_valid = _num_valid(num_valid, valid_share, len(documents))
    groups: dict[str, list[int]] = {}
    for i, document in enumerate(documents):
        groups.setdefault(matching_key(document.text), []).append(i)
    if min(num_valid, num_test) < 0 or num_valid + num_test >= len(groups):
        raise InputError(
            expected=f"valid and test documents that leave some of the {len(groups)} different "
            "documents for training",
            got=f"{num_valid} valid and {num_test} test documents",
            where="split",
            hint="hold out fewer or bring more text",
        )
    drawn = list(groups.values())
    random.Random(derive(seed, "random_split")).shuffle(drawn)
    test, valid = drawn[:num_test], drawn[num_test : num_test + num_valid]
    train = drawn[num_test + num_valid :]
    return Split(
        train=_select(documents, [i for group in train for i in group]),
        valid=_select(documents, [group[0] for group in valid]),
        test=_select(documents, [group[0] for group in test]),
        num_removed=sum(len(group) - 1 for group in valid + test),
    )


def take_bytes(documents: Documents, num_bytes: int) -> Documents:
    """Returns the first `num_bytes` bytes of UTF-8 of the texts, in the order of the documents.

    The last text is cut before the code point that would pass the limit, so that at most three
    bytes are missing; ask the result's `num_bytes` for what was taken. Smaller takes are prefixes
    of larger ones. A corpus that has less is returned whole.

    Raises:
        InputError: `num_bytes` is not positive.
    """
    if num_bytes <= 0:
        raise InputError(
            expected="a positive number of bytes", got=str(num_bytes), where="num_bytes"
        )
    return replace(documents, records=tuple(_prefix(documents, num_bytes)))


def _prefix(documents: Documents, num_bytes: int) -> Iterator[Document]:
    left = num_bytes
    for document in documents:
        data = document.text.encode("utf-8")
        if len(data) > left:
            # Only the end can be incomplete here: what is ignored is the cut code point.
            if text := data[:left].decode("utf-8", errors="ignore"):
                yield replace(document, text=text)
            return
        left -= len(data)
        yield document


def _num_valid(num_valid: int | None, valid_share: float | None, num_documents: int) -> int:
    if (num_valid is None) == (valid_share is None):
        raise InputError(
            expected="either num_valid or valid_share",
            got=f"num_valid={num_valid}, valid_share={valid_share}",
            where="split",
        )
    if valid_share is None:
        assert num_valid is not None
        return num_valid
    if not 0 <= valid_share < 1:
        raise InputError(
            expected="a share of at least 0 and below 1", got=str(valid_share), where="valid_share"
        )
    return round(valid_share * num_documents)


def _select(documents: Documents, indices: list[int]) -> Documents:
    return replace(
        documents, records=tuple(documents.records[i] for i in sorted(indices)), rejected=()
    )


def _texts(row: Document | Pair) -> tuple[str, ...]:
    return (row.text,) if isinstance(row, Document) else (row.source, row.target)
