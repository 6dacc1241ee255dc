"""Causal attention over a few tokens.

A sample that tells one fact has five tokens. As products of matrices its attention is thousands of
5 × 5 ones, which cost by the call. On processors, samples are therefore the innermost axis: every
number of the computation is then a row over them, which is what vector instructions are for
(docs/log.md, "tiny decoders side by side, on idle cores"). bfloat16 is computed in float32.
Axes: M models, B samples, Q queries of a sample, T tokens, H heads, C channels of a head, D = H C,
E = 2 D, keys and then values, K = 3 D, queries before them.
"""

import math
from typing import Any

import numpy as np
import torch

from lingraft.bfloat16 import array_of, narrowed, widened
from lingraft.compilation import reordered

MOST_TOKENS = 16
"""Longer samples are left to products of matrices, which win as these grow."""

SAMPLES_AT_ONCE = 256
"""Of a head, so that its rows stay in a core's own cache."""


def attention(parts_MKTB: torch.Tensor, last_MTB: torch.Tensor, *, num_heads: int) -> torch.Tensor:
    """Returns softmax(Q Kᵀ / √C) V of every token over those up to its last one, (M, D, T, B).

    Args:
        parts_MKTB: Queries, keys and values of all tokens.
        last_MTB: int64, the last token that a token sees.
        num_heads: H.
    """
    width = parts_MKTB.shape[1] // 3
    if not _is_for_rows(parts_MKTB):
        return products(parts_MKTB[:, :width], parts_MKTB[:, width:], last_MTB, num_heads=num_heads)
    mixed_MDTB: torch.Tensor = _Rows.apply(  # type: ignore[no-untyped-call]
        None, parts_MKTB, last_MTB, num_heads
    )
    return mixed_MDTB


def attention_of(
    query_MDQB: torch.Tensor, pairs_METB: torch.Tensor, last_MQB: torch.Tensor, *, num_heads: int
) -> torch.Tensor:
    """Returns what `attention` does for queries that are not those of all tokens, (M, D, Q, B).

    Args:
        query_MDQB: Queries.
        pairs_METB: Keys and values of all tokens.
        last_MQB: int64, the last token that a query sees.
        num_heads: H.
    """
    if not _is_for_rows(pairs_METB):
        return products(query_MDQB, pairs_METB, last_MQB, num_heads=num_heads)
    mixed_MDQB: torch.Tensor = _Rows.apply(  # type: ignore[no-untyped-call]
        query_MDQB, pairs_METB, last_MQB, num_heads
    )
    return mixed_MDQB


def _is_for_rows(parts_MKTB: torch.Tensor) -> bool:
    return (
        parts_MKTB.shape[2] <= MOST_TOKENS
        and parts_MKTB.device.type == "cpu"
        and not torch.compiler.is_compiling()
    )


def products(
    query_MDQB: torch.Tensor, pairs_METB: torch.Tensor, last_MQB: torch.Tensor, *, num_heads: int
) -> torch.Tensor:
    """Returns what `attention_of` does, by torch's products of matrices: any device, any length."""
    models, width, num_queries, samples = query_MDQB.shape
    length, channels = pairs_METB.shape[2], width // num_heads
    query_MHCQB = query_MDQB.reshape(models, num_heads, channels, num_queries, samples)
    pairs_MPHCTB = pairs_METB.reshape(models, 2, num_heads, channels, length, samples)
    query_MBHQC = query_MHCQB.permute(0, 4, 1, 3, 2)
    pairs_PMBHTC = pairs_MPHCTB.permute(1, 0, 5, 2, 4, 3)
    scores_MBHQT = query_MBHQC @ pairs_PMBHTC[0].transpose(-1, -2) * channels**-0.5
    tokens_T = torch.arange(length, device=last_MQB.device)
    later_MBQT = tokens_T > last_MQB.transpose(1, 2)[..., None]
    weights_MBHQT = scores_MBHQT.masked_fill(later_MBQT[:, :, None], float("-inf")).softmax(-1)
    mixed_MBHQC: torch.Tensor = weights_MBHQT @ pairs_PMBHTC[1]
    return mixed_MBHQC.permute(0, 2, 4, 3, 1).reshape(query_MDQB.shape)


class _Rows(torch.autograd.Function):
    """There and back in rows over samples.

    Without queries of their own they are the first D rows beside keys and values: cut out, both
    would be copied.
    """

    @staticmethod
    def forward(
        ctx: Any,
        query_MDQB: torch.Tensor | None,
        parts_MKTB: torch.Tensor,
        last_MQB: torch.Tensor,
        num_heads: int,
    ) -> torch.Tensor:
        parts_MKTB, last_MQB = parts_MKTB.contiguous(), last_MQB.contiguous()
        query_MKQB = parts_MKTB if query_MDQB is None else query_MDQB.contiguous()
        models, num_queries, samples = last_MQB.shape
        width = parts_MKTB.shape[1] // (3 if query_MDQB is None else 2)
        weights_MHQTB = torch.empty(
            (models, num_heads, num_queries, parts_MKTB.shape[2], samples),
            dtype=torch.promote_types(parts_MKTB.dtype, torch.float32),
        )
        mixed_MDQB = parts_MKTB.new_empty(models, width, num_queries, samples)
        given = (query_MKQB, parts_MKTB, last_MQB, weights_MHQTB)
        _mix(SAMPLES_AT_ONCE, *map(array_of, (*given, mixed_MDQB)))
        ctx.save_for_backward(*given)
        ctx.has_queries = query_MDQB is not None
        return mixed_MDQB

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        query_MKQB, parts_MKTB, _, _ = ctx.saved_tensors
        by_parts_MKTB = torch.empty_like(parts_MKTB)
        by_query_MKQB = torch.empty_like(query_MKQB) if ctx.has_queries else by_parts_MKTB
        found = (gradients[0].contiguous(), by_query_MKQB, by_parts_MKTB)
        _unmix(SAMPLES_AT_ONCE, *map(array_of, (*ctx.saved_tensors, *found)))
        return by_query_MKQB if ctx.has_queries else None, by_parts_MKTB, None, None


@reordered
def _read(flat_MKTB: Any, m: int, first: int, start: int, wide_CTB: Any) -> None:
    """Copies a head's rows, some samples of them, into what is computed with."""
    channels, length, num = wide_CTB.shape
    for c in range(channels):
        for t in range(length):
            flat_B = flat_MKTB[m, first + c, t, start : start + num]
            for b in range(num):
                wide_CTB[c, t, b] = widened(flat_B[b])


@reordered
def _write(wide_CTB: Any, flat_MKTB: Any, m: int, first: int, start: int) -> None:
    """Copies them back."""
    channels, length, num = wide_CTB.shape
    for c in range(channels):
        for t in range(length):
            flat_B = flat_MKTB[m, first + c, t, start : start + num]
            for b in range(num):
                flat_B[b] = narrowed(wide_CTB[c, t, b], flat_B[b])


@reordered
def _mix(
    at_once: int,
    query_MKQB: Any,
    parts_MKTB: Any,
    last_MQB: Any,
    weights_MHQTB: Any,
    mixed_MDQB: Any,
) -> None:
    """Forwards: writes the probabilities, 0 behind the last token, and the mixed values."""
    models, num_heads, num_queries, num_tokens, samples = weights_MHQTB.shape
    width = mixed_MDQB.shape[1]
    channels = width // num_heads
    dtype = weights_MHQTB.dtype
    factor = np.full(1, 1 / math.sqrt(channels)).astype(dtype)[0]
    for start in range(0, samples, at_once):
        end = min(start + at_once, samples)
        num = end - start
        query_CQB = np.empty((channels, num_queries, num), dtype)
        key_CTB = np.empty((channels, num_tokens, num), dtype)
        value_CTB = np.empty((channels, num_tokens, num), dtype)
        mixed_CQB = np.empty((channels, num_queries, num), dtype)
        highest_B, total_B = np.empty(num, dtype), np.empty(num, dtype)
        for m in range(models):
            for h in range(num_heads):
                first = h * channels
                values = parts_MKTB.shape[1] - width + first
                keys = values - width
                _read(query_MKQB, m, first, start, query_CQB)
                _read(parts_MKTB, m, keys, start, key_CTB)
                _read(parts_MKTB, m, values, start, value_CTB)
                mixed_CQB[:] = 0
                for q in range(num_queries):
                    last_B = last_MQB[m, q, start:end]
                    num_seen = last_B.max() + 1
                    weights_MHQTB[m, h, q, :, start:end] = 0
                    highest_B[:] = -np.inf
                    for t in range(num_seen):
                        weights_B = weights_MHQTB[m, h, q, t, start:end]
                        for c in range(channels):
                            for b in range(num):
                                weights_B[b] += query_CQB[c, q, b] * key_CTB[c, t, b]
                        for b in range(num):
                            weights_B[b] *= factor
                            if t > last_B[b]:
                                weights_B[b] = -np.inf
                            highest_B[b] = max(highest_B[b], weights_B[b])
                    total_B[:] = 0
                    for t in range(num_seen):
                        weights_B = weights_MHQTB[m, h, q, t, start:end]
                        for b in range(num):
                            weights_B[b] = np.exp(weights_B[b] - highest_B[b])
                            total_B[b] += weights_B[b]
                    for t in range(num_seen):
                        weights_B = weights_MHQTB[m, h, q, t, start:end]
                        for b in range(num):
                            weights_B[b] /= total_B[b]
                        for c in range(channels):
                            for b in range(num):
                                mixed_CQB[c, q, b] += weights_B[b] * value_CTB[c, t, b]
                _write(mixed_CQB, mixed_MDQB, m, first, start)


@reordered
def _unmix(
    at_once: int,
    query_MKQB: Any,
    parts_MKTB: Any,
    last_MQB: Any,
    weights_MHQTB: Any,
    by_mixed_MDQB: Any,
    by_query_MKQB: Any,
    by_parts_MKTB: Any,
) -> None:
    """Backwards: softmax's Jacobian is dS = P ∘ (dP − rowsum(dP ∘ P))."""
    models, num_heads, num_queries, num_tokens, samples = weights_MHQTB.shape
    width = by_mixed_MDQB.shape[1]
    channels = width // num_heads
    dtype = weights_MHQTB.dtype
    factor = np.full(1, 1 / math.sqrt(channels)).astype(dtype)[0]
    for start in range(0, samples, at_once):
        end = min(start + at_once, samples)
        num = end - start
        query_CQB = np.empty((channels, num_queries, num), dtype)
        key_CTB = np.empty((channels, num_tokens, num), dtype)
        value_CTB = np.empty((channels, num_tokens, num), dtype)
        by_mixed_CQB = np.empty((channels, num_queries, num), dtype)
        by_query_CQB = np.empty((channels, num_queries, num), dtype)
        by_key_CTB = np.empty((channels, num_tokens, num), dtype)
        by_value_CTB = np.empty((channels, num_tokens, num), dtype)
        by_score_TB, mean_B = np.empty((num_tokens, num), dtype), np.empty(num, dtype)
        for m in range(models):
            for h in range(num_heads):
                first = h * channels
                values = parts_MKTB.shape[1] - width + first
                keys = values - width
                _read(query_MKQB, m, first, start, query_CQB)
                _read(by_mixed_MDQB, m, first, start, by_mixed_CQB)
                _read(parts_MKTB, m, keys, start, key_CTB)
                _read(parts_MKTB, m, values, start, value_CTB)
                by_query_CQB[:] = 0
                by_key_CTB[:] = 0
                by_value_CTB[:] = 0
                for q in range(num_queries):
                    num_seen = last_MQB[m, q, start:end].max() + 1
                    by_score_TB[:] = 0
                    mean_B[:] = 0
                    for t in range(num_seen):
                        weights_B = weights_MHQTB[m, h, q, t, start:end]
                        for c in range(channels):
                            for b in range(num):
                                by_score_TB[t, b] += by_mixed_CQB[c, q, b] * value_CTB[c, t, b]
                            for b in range(num):
                                by_value_CTB[c, t, b] += weights_B[b] * by_mixed_CQB[c, q, b]
                        for b in range(num):
                            mean_B[b] += by_score_TB[t, b] * weights_B[b]
                    for t in range(num_seen):
                        weights_B = weights_MHQTB[m, h, q, t, start:end]
                        for b in range(num):
                            by_score_TB[t, b] = (by_score_TB[t, b] - mean_B[b]) * weights_B[b]
                            by_score_TB[t, b] *= factor
                        for c in range(channels):
                            for b in range(num):
                                by_query_CQB[c, q, b] += by_score_TB[t, b] * key_CTB[c, t, b]
                            for b in range(num):
                                by_key_CTB[c, t, b] += by_score_TB[t, b] * query_CQB[c, q, b]
                _write(by_query_CQB, by_query_MKQB, m, first, start)
                _write(by_key_CTB, by_parts_MKTB, m, keys, start)
                _write(by_value_CTB, by_parts_MKTB, m, values, start)
