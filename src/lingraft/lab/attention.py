"""Causal attention over a few tokens.

A sample that tells one fact has five tokens. As products of matrices its attention is thousands of
5 × 5 ones, which cost by the call. On processors, samples are therefore the innermost axis: every
number of the computation is then a row over them, which is what vector instructions are for
(docs/log.md, "tiny decoders side by side, on idle cores"). bfloat16 is computed in float32.
Axes: M models, B samples, Q queries of a sample, T tokens, H heads, C channels of a head, D = H C,
E = 2 D, keys and then values.
"""

import math
from typing import Any

import numpy as np
import torch
from numba import types
from numba.extending import overload
from numpy.typing import NDArray

from lingraft.compilation import reordered

MOST_TOKENS = 16
"""Longer samples are left to products of matrices, which win as these grow."""


def attention(
    query_MDQB: torch.Tensor, pairs_METB: torch.Tensor, last_MQB: torch.Tensor, *, num_heads: int
) -> torch.Tensor:
    """Returns softmax(Q Kᵀ / √C) V over the tokens up to each query's last one, (M, D, Q, B).

    Args:
        query_MDQB: Queries.
        pairs_METB: Keys and values of all tokens.
        last_MQB: int64, the last token that a query sees.
        num_heads: H.
    """
    is_short = (
        pairs_METB.shape[2] <= MOST_TOKENS
        and pairs_METB.device.type == "cpu"
        and not torch.compiler.is_compiling()
    )
    if not is_short:
        return products(query_MDQB, pairs_METB, last_MQB, num_heads=num_heads)
    mixed_MDQB: torch.Tensor = _Rows.apply(  # type: ignore[no-untyped-call]
        query_MDQB, pairs_METB, last_MQB, num_heads
    )
    return mixed_MDQB


def products(
    query_MDQB: torch.Tensor, pairs_METB: torch.Tensor, last_MQB: torch.Tensor, *, num_heads: int
) -> torch.Tensor:
    """Returns what `attention` does, by torch's products of matrices: any device, any length."""
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
    """There and back in rows over samples."""

    @staticmethod
    def forward(
        ctx: Any,
        query_MDQB: torch.Tensor,
        pairs_METB: torch.Tensor,
        last_MQB: torch.Tensor,
        num_heads: int,
    ) -> torch.Tensor:
        given = tuple(x.contiguous() for x in (query_MDQB, pairs_METB, last_MQB))
        models, _, num_queries, samples = query_MDQB.shape
        weights_MHQTB = torch.empty(
            (models, num_heads, num_queries, pairs_METB.shape[2], samples),
            dtype=torch.promote_types(pairs_METB.dtype, torch.float32),
        )
        mixed_MDQB = torch.empty_like(given[0])
        query, pairs, last = map(_array, given)
        _mix(query, pairs, last, _array(weights_MHQTB), _array(mixed_MDQB))
        ctx.save_for_backward(*given, weights_MHQTB)
        return mixed_MDQB

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        query_MDQB, pairs_METB, _, _ = ctx.saved_tensors
        query, pairs, last, weights = map(_array, ctx.saved_tensors)
        by_mixed = _array(gradients[0].contiguous())
        by_query_MDQB, by_pairs_METB = torch.empty_like(query_MDQB), torch.empty_like(pairs_METB)
        by_query, by_pairs = _array(by_query_MDQB), _array(by_pairs_METB)
        _unmix(query, pairs, last, weights, by_mixed, by_query, by_pairs)
        return by_query_MDQB, by_pairs_METB, None, None


def _array(tensor: torch.Tensor) -> NDArray[Any]:
    """The tensor's memory; numpy has no bfloat16, whose bits come as uint16."""
    tensor = tensor.detach()
    if tensor.dtype == torch.bfloat16:
        bits: NDArray[Any] = tensor.view(torch.int16).numpy().view(np.uint16)
        return bits
    plain: NDArray[Any] = tensor.numpy()
    return plain


def _widened(flat: Any, wide: Any) -> None:
    """Copies numbers into an array of the type that is computed in."""


def _narrowed(wide: Any, flat: Any) -> None:
    """Copies them back, bfloat16 rounded to the nearest, ties to even."""


@overload(_widened)  # type: ignore[untyped-decorator]
def _of_widened(flat: Any, wide: Any) -> Any:
    return _from_half if flat.dtype == types.uint16 else _copied


@overload(_narrowed)  # type: ignore[untyped-decorator]
def _of_narrowed(wide: Any, flat: Any) -> Any:
    return _to_half if flat.dtype == types.uint16 else _copied_back


def _from_half(flat: Any, wide: Any) -> None:
    bits = wide.view(np.uint32)
    for at in range(len(flat)):
        bits[at] = np.uint32(flat[at]) << np.uint32(16)


def _to_half(wide: Any, flat: Any) -> None:
    bits = wide.view(np.uint32)
    for at in range(len(flat)):
        odd = (bits[at] >> np.uint32(16)) & np.uint32(1)
        flat[at] = np.uint16((bits[at] + np.uint32(0x7FFF) + odd) >> np.uint32(16))


def _copied(flat: Any, wide: Any) -> None:
    for at in range(len(flat)):
        wide[at] = flat[at]


def _copied_back(wide: Any, flat: Any) -> None:
    for at in range(len(flat)):
        flat[at] = wide[at]


@reordered
def _mix(query_MDQB: Any, pairs_METB: Any, last_MQB: Any, weights_MHQTB: Any, mixed: Any) -> None:
    """Forwards: writes the probabilities, 0 behind the last token, and the mixed values."""
    models, num_heads, num_queries, num_tokens, samples = weights_MHQTB.shape
    width = query_MDQB.shape[1]
    channels = width // num_heads
    dtype = weights_MHQTB.dtype
    query_DQB = np.empty((width, num_queries, samples), dtype)
    pairs_ETB = np.empty((2 * width, num_tokens, samples), dtype)
    mixed_DQB = np.empty((width, num_queries, samples), dtype)
    highest_B, total_B = np.empty(samples, dtype), np.empty(samples, dtype)
    factor = np.full(1, 1 / math.sqrt(channels)).astype(dtype)[0]
    for m in range(models):
        _widened(query_MDQB[m].ravel(), query_DQB.ravel())
        _widened(pairs_METB[m].ravel(), pairs_ETB.ravel())
        mixed_DQB[:] = 0
        for h in range(num_heads):
            for q in range(num_queries):
                last_B, weights_TB = last_MQB[m, q], weights_MHQTB[m, h, q]
                num_seen = last_B.max() + 1
                weights_TB[:] = 0
                for t in range(num_seen):
                    for d in range(h * channels, (h + 1) * channels):
                        for b in range(samples):
                            weights_TB[t, b] += query_DQB[d, q, b] * pairs_ETB[d, t, b]
                highest_B[:] = -np.inf
                for t in range(num_seen):
                    for b in range(samples):
                        weights_TB[t, b] *= factor
                        if t > last_B[b]:
                            weights_TB[t, b] = -np.inf
                        highest_B[b] = max(highest_B[b], weights_TB[t, b])
                total_B[:] = 0
                for t in range(num_seen):
                    for b in range(samples):
                        weights_TB[t, b] = np.exp(weights_TB[t, b] - highest_B[b])
                        total_B[b] += weights_TB[t, b]
                for t in range(num_seen):
                    for b in range(samples):
                        weights_TB[t, b] /= total_B[b]
                    for d in range(h * channels, (h + 1) * channels):
                        for b in range(samples):
                            mixed_DQB[d, q, b] += weights_TB[t, b] * pairs_ETB[width + d, t, b]
        _narrowed(mixed_DQB.ravel(), mixed[m].ravel())


@reordered
def _unmix(
    query_MDQB: Any,
    pairs_METB: Any,
    last_MQB: Any,
    weights_MHQTB: Any,
    by_mixed: Any,
    by_query: Any,
    by_pairs: Any,
) -> None:
    """Backwards: softmax's Jacobian is dS = P ∘ (dP − rowsum(dP ∘ P))."""
    models, num_heads, num_queries, num_tokens, samples = weights_MHQTB.shape
    width = query_MDQB.shape[1]
    channels = width // num_heads
    dtype = weights_MHQTB.dtype
    query_DQB = np.empty((width, num_queries, samples), dtype)
    by_query_DQB = np.empty((width, num_queries, samples), dtype)
    by_mixed_DQB = np.empty((width, num_queries, samples), dtype)
    pairs_ETB = np.empty((2 * width, num_tokens, samples), dtype)
    by_pairs_ETB = np.empty((2 * width, num_tokens, samples), dtype)
    by_score_TB = np.empty((num_tokens, samples), dtype)
    mean_B = np.empty(samples, dtype)
    factor = np.full(1, 1 / math.sqrt(channels)).astype(dtype)[0]
    for m in range(models):
        _widened(query_MDQB[m].ravel(), query_DQB.ravel())
        _widened(pairs_METB[m].ravel(), pairs_ETB.ravel())
        _widened(by_mixed[m].ravel(), by_mixed_DQB.ravel())
        by_query_DQB[:] = 0
        by_pairs_ETB[:] = 0
        for h in range(num_heads):
            for q in range(num_queries):
                weights_TB = weights_MHQTB[m, h, q]
                num_seen = last_MQB[m, q].max() + 1
                by_score_TB[:] = 0
                mean_B[:] = 0
                for t in range(num_seen):
                    for d in range(h * channels, (h + 1) * channels):
                        for b in range(samples):
                            by_score_TB[t, b] += by_mixed_DQB[d, q, b] * pairs_ETB[width + d, t, b]
                        for b in range(samples):
                            by_pairs_ETB[width + d, t, b] += (
                                weights_TB[t, b] * by_mixed_DQB[d, q, b]
                            )
                    for b in range(samples):
                        mean_B[b] += by_score_TB[t, b] * weights_TB[t, b]
                for t in range(num_seen):
                    for b in range(samples):
                        by_score_TB[t, b] = (by_score_TB[t, b] - mean_B[b]) * weights_TB[t, b]
                        by_score_TB[t, b] *= factor
                    for d in range(h * channels, (h + 1) * channels):
                        for b in range(samples):
                            by_query_DQB[d, q, b] += by_score_TB[t, b] * pairs_ETB[d, t, b]
                        for b in range(samples):
                            by_pairs_ETB[d, t, b] += by_score_TB[t, b] * query_DQB[d, q, b]
        _narrowed(by_query_DQB.ravel(), by_query[m].ravel())
        _narrowed(by_pairs_ETB.ravel(), by_pairs[m].ravel())
