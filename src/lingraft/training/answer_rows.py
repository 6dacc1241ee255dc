"""Prompts with answers as rows of tokens, of which only the answers are to be predicted.

Axes: R rows, T tokens of a row.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from lingraft.corpus.task_examples import Example
from lingraft.errors import InputError
from lingraft.measurement.requests import tokenize_requests
from lingraft.tokenizer.tokenizer import Tokenizer
from lingraft.training.batches import IGNORED, Batch


class AnswerRow(NamedTuple):
    """One example as tokens.

    Attributes:
        ids: Start token, prompt, answer, end token.
        first: Where the answer begins.
        num_bytes: UTF-8 bytes of prompt and answer.
    """

    ids: list[int]
    first: int
    num_bytes: int


def answer_rows(
    prompts: Sequence[Example],
    tokenizer: Tokenizer,
    start_token: int,
    end_token: int,
    window_tokens: int,
) -> list[AnswerRow]:
    """Tokenizes prompts with their first answers, as a scorer does; drops those over the window."""
    requests = [(example.marked_prompt, example.answers[0]) for example in prompts]
    rows = [
        AnswerRow(
            [start_token, *tokenized.ids, end_token],
            tokenized.first + 1,
            len((prompt + answer).encode("utf-8")),
        )
        for tokenized, (prompt, answer) in zip(
            tokenize_requests(requests, tokenizer), requests, strict=True
        )
    ]
    fitting = [row for row in rows if len(row.ids) <= window_tokens]
    if not fitting:
        raise InputError(
            expected=f"answers that fit in a window of {window_tokens} tokens",
            got=f"none in {len(rows)} examples",
            where="examples",
        )
    return fitting


def answer_batch(rows: Sequence[AnswerRow]) -> Batch:
    """Puts each example in a row of its own; only answer and end are to be predicted."""
    shape = (len(rows), max(len(row.ids) for row in rows))
    x_RT = torch.zeros(shape, dtype=torch.long)
    labels_RT = torch.full(shape, IGNORED, dtype=torch.long)
    segment_RT = torch.full(shape, -1, dtype=torch.long)
    for at, (ids, first, _) in enumerate(rows):
        x_RT[at, : len(ids)] = torch.tensor(ids)
        labels_RT[at, first - 1 : len(ids) - 1] = torch.tensor(ids[first:])
        segment_RT[at, : len(ids)] = 0
    return Batch(
        x_RT=x_RT,
        labels_RT=labels_RT,
        position_RT=torch.arange(shape[1]).expand(shape).contiguous(),
        segment_RT=segment_RT,
        num_bytes=sum(row.num_bytes for row in rows),
        num_tokens=sum(len(row.ids) - row.first for row in rows),
    )
