"""Every sequence in one batch, little padding, and not too many tokens at once."""

from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from lingraft.model.batching import (
    ENOUGH_TOKENS,
    MIN_LENGTH_SHARE,
    TOKENS_AT_ONCE,
    batches_by_length,
)


class Item(NamedTuple):
    number: int
    ids: list[int]


@given(st.lists(st.integers(1, 3_000), max_size=40) | st.lists(st.integers(1, 60), max_size=200))
def test_every_sequence_stands_in_one_batch_that_is_full_of_tokens(lengths: list[int]) -> None:
    items = [Item(number, [0] * length) for number, length in enumerate(lengths)]
    batches = batches_by_length(items)
    assert sorted(item.number for batch in batches for item in batch) == list(range(len(items)))
    for batch in batches:
        longest = len(batch[0].ids)
        assert len(batch) == 1 or len(batch) * longest <= TOKENS_AT_ONCE
        padded = sum(longest - len(item.ids) for item in batch)
        allowed = (1 - MIN_LENGTH_SHARE) * len(batch) * longest
        assert padded <= max(allowed, 0) + ENOUGH_TOKENS + longest


def test_sequences_of_the_same_length_keep_their_order() -> None:
    items = [Item(number, [0] * (3 + number % 2)) for number in range(6)]
    [batch] = batches_by_length(items)
    assert [item.number for item in batch] == [1, 3, 5, 0, 2, 4]


def test_a_short_sequence_beside_enough_long_ones_opens_a_batch() -> None:
    long, short = Item(0, [0] * ENOUGH_TOKENS), Item(1, [0] * 9)
    assert batches_by_length([short, long]) == [[long], [short]]
    few = Item(0, [0] * (ENOUGH_TOKENS - 1))
    assert batches_by_length([short, few]) == [[few, short]]
