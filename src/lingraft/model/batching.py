"""Sequences of like length side by side, so that little of a batch is padding."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

TOKENS_AT_ONCE = 2048
# So many tokens keep a processor busy. From there on a sequence much shorter than the batch's
# first, which would be mostly padding in it, opens the next batch.
ENOUGH_TOKENS = 256
MIN_LENGTH_SHARE = 0.75


class Sized(Protocol):
    """What stands in a batch."""

    @property
    def ids(self) -> list[int]:
        """Its tokens."""
        ...


Item = TypeVar("Item", bound=Sized)


def batches_by_length(items: Sequence[Item]) -> list[list[Item]]:
    """Groups sequences, the longest first, those of the same length in their order.

    Args:
        items: Of at least one token each.
    """
    batches: list[list[Item]] = []
    for item in sorted(items, key=lambda item: -len(item.ids)):
        if batches and _has_room(batches[-1], len(item.ids)):
            batches[-1].append(item)
        else:
            batches.append([item])
    return batches


def _has_room(batch: Sequence[Sized], length: int) -> bool:
    longest = len(batch[0].ids)
    area = len(batch) * longest
    is_like = length >= MIN_LENGTH_SHARE * longest
    return area + longest <= TOKENS_AT_ONCE and (is_like or area < ENOUGH_TOKENS)
