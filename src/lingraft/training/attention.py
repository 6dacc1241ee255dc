"""Causal attention in blocks of queries, for training on processors.

torch's fused kernel for processors is made for little memory. In the windows that small models are
trained in, plain matrix products over blocks of queries, each with the keys up to its end, are
faster, above all backwards, and keep the probabilities instead of computing them again.
Axes: R rows, H heads, T tokens, D channels of a head.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "lingraft_blocks"
BLOCK_TOKENS = 128
MOST_TOKENS = 1024
"""Probabilities are kept for the way back: R H T² / 2 numbers a layer; longer rows use torch's."""


@contextmanager
def blocked_attention(model: PreTrainedModel, *, device: torch.device) -> Iterator[None]:
    """Lets a model on a processor compute attention in blocks within the context.

    A model with an implementation other than torch's is left alone.

    Args:
        model: Any that takes its attention from transformers' interface.
        device: Where it computes.
    """
    before = model.config._attn_implementation
    if device.type != "cpu" or before != "sdpa":
        yield
        return
    model.config._attn_implementation = NAME
    try:
        yield
    finally:
        model.config._attn_implementation = before


def attention_forward(
    module: torch.nn.Module,
    query_RHTD: torch.Tensor,
    key_RHTD: torch.Tensor,
    value_RHTD: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    dropout: float = 0.0,
    scaling: float | None = None,
    **named: Any,
) -> tuple[torch.Tensor, None]:
    """Attention as `transformers.AttentionInterface` wants it: in blocks, else torch's own.

    Args:
        module: The layer; `num_key_value_groups` queries share a key.
        query_RHTD: Queries.
        key_RHTD: Keys, of fewer heads where they are shared.
        value_RHTD: Values, likewise.
        attention_mask: Additive, (R, 1, T, T), and causal; None for causal attention alone.
        dropout: Of probabilities; torch's kernel does that.
        scaling: Of the products; by default 1 / √D.

    Returns:
        (R, T, H, D) and nothing.
    """
    length = query_RHTD.shape[2]
    is_plain = (
        key_RHTD.shape[2] == length <= MOST_TOKENS
        and not dropout
        and (attention_mask is None or attention_mask.is_floating_point())
        and named.get("is_causal", getattr(module, "is_causal", True)) is not False
        and (named.get("sliding_window") or length) >= length
        and all(named.get(name) is None for name in ("softcap", "position_bias", "cache"))
    )
    if not is_plain:
        found: tuple[torch.Tensor, None] = sdpa_attention_forward(
            module, query_RHTD, key_RHTD, value_RHTD, attention_mask, dropout, scaling, **named
        )
        return found
    groups = getattr(module, "num_key_value_groups", 1)
    scale = query_RHTD.shape[3] ** -0.5 if scaling is None else scaling
    given = (query_RHTD * scale, repeat_kv(key_RHTD, groups), repeat_kv(value_RHTD, groups))
    if torch.is_autocast_enabled("cpu"):
        dtype = torch.get_autocast_dtype("cpu")
        given = (given[0].to(dtype), given[1].to(dtype), given[2].to(dtype))
    with torch.autocast("cpu", enabled=False):
        mixed_RHTD = _Blocks.apply(*given, attention_mask)  # type: ignore[no-untyped-call]
    return mixed_RHTD.transpose(1, 2).contiguous(), None


class _Blocks(torch.autograd.Function):
    """softmax(Q Kᵀ + mask) V over blocks of queries."""

    @staticmethod
    def forward(
        ctx: Any,
        query_RHTD: torch.Tensor,
        key_RHTD: torch.Tensor,
        value_RHTD: torch.Tensor,
        mask_R1TT: torch.Tensor | None,
    ) -> torch.Tensor:
        rows, heads, length, _ = query_RHTD.shape
        # Laid out as the model reads it.
        out_RHTD = query_RHTD.new_empty(rows, length, heads, value_RHTD.shape[3]).transpose(1, 2)
        key_RHDT = key_RHTD.transpose(-1, -2)
        spans, probabilities = [], []
        for start, end in _edges(length):
            first = 0 if mask_R1TT is None else _first_seen(mask_R1TT[:, :, start])
            spans.append((start, end, first))
            scores_RHbT = query_RHTD[:, :, start:end] @ key_RHDT[..., first:end]
            if mask_R1TT is None:
                scores_RHbT[..., start:] += _later(end - start, scores_RHbT)
            else:
                scores_RHbT += mask_R1TT[:, :, start:end, first:end].to(scores_RHbT.dtype)
            weights_RHbT = torch.softmax(scores_RHbT, dim=-1)
            out_RHTD[:, :, start:end] = weights_RHbT @ value_RHTD[:, :, first:end]
            probabilities.append(weights_RHbT)
        ctx.spans = spans
        ctx.save_for_backward(query_RHTD, key_RHTD, value_RHTD, out_RHTD, *probabilities)
        return out_RHTD

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (by_out_RHTD,) = gradients
        query_RHTD, key_RHTD, value_RHTD, out_RHTD, *probabilities = ctx.saved_tensors
        by_query_RHTD = torch.empty_like(query_RHTD)
        by_key_RHTD, by_value_RHTD = torch.zeros_like(key_RHTD), torch.zeros_like(value_RHTD)
        value_RHDT = value_RHTD.transpose(-1, -2)
        # softmax's Jacobian: dS = P ∘ (dP − rowsum(dP ∘ P)), and the row sum is that of dO ∘ O.
        mean_RHT1 = (by_out_RHTD * out_RHTD).sum(-1, keepdim=True)
        for (start, end, first), weights_RHbT in zip(ctx.spans, probabilities, strict=True):
            by_out_RHbD = by_out_RHTD[:, :, start:end]
            by_value_RHTD[:, :, first:end] += weights_RHbT.transpose(-1, -2) @ by_out_RHbD
            by_scores_RHbT = by_out_RHbD @ value_RHDT[..., first:end]
            by_scores_RHbT -= mean_RHT1[:, :, start:end]
            by_scores_RHbT *= weights_RHbT
            by_query_RHTD[:, :, start:end] = by_scores_RHbT @ key_RHTD[:, :, first:end]
            by_key_RHTD[:, :, first:end] += (
                by_scores_RHbT.transpose(-1, -2) @ query_RHTD[:, :, start:end]
            )
        return by_query_RHTD, by_key_RHTD, by_value_RHTD, None


def _edges(length: int) -> list[tuple[int, int]]:
    return [(at, min(at + BLOCK_TOKENS, length)) for at in range(0, length, BLOCK_TOKENS)]


def _first_seen(mask_R1T: torch.Tensor) -> int:
    """The first key that any row's query sees; later queries of a causal block see none before.

    A document lies in one piece, so what the block's first query no longer sees is behind all.
    """
    seen_T = (mask_R1T > torch.finfo(mask_R1T.dtype).min).flatten(0, -2).any(0)
    return int(seen_T.int().argmax())


def _later(length: int, like: torch.Tensor) -> torch.Tensor:
    """-∞ above the diagonal."""
    return like.new_full((length, length), float("-inf")).triu(1)


AttentionInterface.register(NAME, attention_forward)
AttentionMaskInterface.register(NAME, sdpa_mask)
