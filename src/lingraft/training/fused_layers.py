"""Norms and gated activations of Llama-like models in one pass, for training on processors.

transformers writes them out in torch's operations, each of which reads and writes all states anew:
in a byte model of a million parameters they took a third of a step (docs/log.md, "norms and gates
in one pass"). All is computed in float32, bfloat16 too.
Axes: N tokens of all rows, D width, F feed-forward, S spans of tokens, one for each thread.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache, partial
from types import MethodType
from typing import Any

import numpy as np
import torch
from torch.autograd.function import once_differentiable
from transformers import PreTrainedModel
from transformers.activations import GELUTanh, SiLUActivation
from transformers.models.llama.modeling_llama import LlamaMLP, LlamaRMSNorm
from transformers.models.mistral.modeling_mistral import MistralMLP, MistralRMSNorm
from transformers.models.qwen2.modeling_qwen2 import Qwen2MLP, Qwen2RMSNorm

from lingraft.bfloat16 import array_of, narrowed, widened
from lingraft.compilation import reordered

NORMS = (LlamaRMSNorm, MistralRMSNorm, Qwen2RMSNorm)
GATES = (LlamaMLP, MistralMLP, Qwen2MLP)
SLOPES: dict[type, tuple[float, float]] = {
    # x (1 + tanh(a x + b x³)) / 2: GELU as its paper approximates it (arXiv 1606.08415), and SiLU.
    GELUTanh: ((2 / np.pi) ** 0.5, (2 / np.pi) ** 0.5 * 0.044715),
    SiLUActivation: (0.5, 0.0),
    torch.nn.SiLU: (0.5, 0.0),
}
DTYPES = (torch.float32, torch.bfloat16)
FEWEST_TOKENS = 256
"""Of a span: fewer are not worth a thread."""


@contextmanager
def fused_layers(model: PreTrainedModel, *, device: torch.device) -> Iterator[None]:
    """Lets a model on a processor compute its norms and gates in one pass within the context.

    Layers of other kinds than those named here are left alone.

    Args:
        model: Any.
        device: Where it computes.
    """
    forwards = {} if device.type != "cpu" else dict(_forwards(model))
    for layer, forward in forwards.items():
        layer.forward = MethodType(forward, layer)
    try:
        yield
    finally:
        for layer in forwards:
            del layer.forward


def _forwards(model: PreTrainedModel) -> Iterator[tuple[torch.nn.Module, Callable[..., Any]]]:
    for layer in model.modules():
        if "forward" in vars(layer):
            continue
        if type(layer) in NORMS:
            yield layer, _norm_forward
        elif type(layer) in GATES and type(layer.act_fn) in SLOPES:
            slope, cubic = SLOPES[type(layer.act_fn)]
            yield layer, partial(_gate_forward, slope=slope, cubic=cubic)


def _norm_forward(layer: Any, x: torch.Tensor) -> torch.Tensor:
    """x w / √(mean x² + ε), under autocast in the type that the products after it read."""
    if x.dtype not in DTYPES:
        return type(layer).forward(layer, x)  # type: ignore[no-any-return]
    dtype = torch.promote_types(x.dtype, layer.weight.dtype)
    if torch.is_autocast_enabled("cpu"):
        dtype = torch.get_autocast_dtype("cpu")
    normed: torch.Tensor = _Norm.apply(  # type: ignore[no-untyped-call]
        x, layer.weight, layer.variance_epsilon, dtype
    )
    return normed


def _gate_forward(layer: Any, x: torch.Tensor, *, slope: float, cubic: float) -> torch.Tensor:
    """down(act(gate(x)) ∘ up(x))."""
    gate, up = layer.gate_proj(x), layer.up_proj(x)
    if gate.dtype not in DTYPES:
        return layer.down_proj(layer.act_fn(gate) * up)  # type: ignore[no-any-return]
    inner = _Gate.apply(gate, up, slope, cubic)  # type: ignore[no-untyped-call]
    return layer.down_proj(inner)  # type: ignore[no-any-return]


class _Norm(torch.autograd.Function):
    """RMSNorm (arXiv 1910.07467), there and back."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, weight_D: torch.Tensor, epsilon: float, dtype: torch.dtype
    ) -> torch.Tensor:
        x_ND = x.reshape(-1, x.shape[-1])
        rate_N = x_ND.new_empty(len(x_ND), dtype=torch.float32)
        out_ND = torch.empty_like(x_ND, dtype=dtype)
        arrays = map(array_of, (x_ND, weight_D, rate_N, out_ND))
        _over_spans(_norm, len(x_ND), *arrays, np.float32(epsilon))
        ctx.save_for_backward(x_ND, weight_D, rate_N)
        return out_ND.view(x.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_out: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x_ND, weight_D, rate_N = ctx.saved_tensors
        by_x_ND = torch.empty_like(x_ND)
        by_weight_SD = torch.zeros(_num_spans(len(x_ND)), len(weight_D))
        by_out_ND = by_out.reshape(x_ND.shape)
        arrays = map(array_of, (x_ND, weight_D, rate_N, by_out_ND, by_x_ND, by_weight_SD))
        _over_spans(_unnorm, len(x_ND), *arrays)
        by_weight_D = by_weight_SD.sum(0).to(weight_D.dtype)
        return by_x_ND.view(by_out.shape), by_weight_D, None, None


class _Gate(torch.autograd.Function):
    """g (1 + tanh(a g + b g³)) / 2 ∘ u, there and back."""

    @staticmethod
    def forward(
        ctx: Any, gate: torch.Tensor, up: torch.Tensor, slope: float, cubic: float
    ) -> torch.Tensor:
        gate_NF, up_NF = (x.reshape(-1, x.shape[-1]) for x in (gate, up))
        out_NF = torch.empty_like(gate_NF)
        ctx.shape = np.float32(slope), np.float32(cubic)
        _over_spans(_gated, len(gate_NF), *map(array_of, (gate_NF, up_NF, out_NF)), *ctx.shape)
        ctx.save_for_backward(gate_NF, up_NF)
        return out_NF.view(gate.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_out: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        gate_NF, up_NF = ctx.saved_tensors
        by_gate_NF, by_up_NF = torch.empty_like(gate_NF), torch.empty_like(up_NF)
        by_out_NF = by_out.reshape(gate_NF.shape)
        arrays = map(array_of, (gate_NF, up_NF, by_out_NF, by_gate_NF, by_up_NF))
        _over_spans(_ungated, len(gate_NF), *arrays, *ctx.shape)
        return by_gate_NF.view(by_out.shape), by_up_NF.view(by_out.shape), None, None


def _num_spans(num_tokens: int) -> int:
    return max(min(torch.get_num_threads(), num_tokens // FEWEST_TOKENS), 1)


def _over_spans(kernel: Callable[..., None], num_tokens: int, *given: Any) -> None:
    """Calls a kernel for spans of tokens, each in a thread: its number, first token and end."""
    num_spans = _num_spans(num_tokens)
    edges = [num_tokens * span // num_spans for span in range(num_spans + 1)]
    spans = [(span, edges[span], edges[span + 1]) for span in range(num_spans)]
    others = [_threads(num_spans).submit(kernel, *span, *given) for span in spans[1:]]
    kernel(*spans[0], *given)
    for other in others:
        other.result()


@cache
def _threads(number: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(number, thread_name_prefix="lingraft-layers")


@reordered
def _norm(
    span: int,
    first: int,
    end: int,
    x_ND: Any,
    weight_D: Any,
    rate_N: Any,
    out_ND: Any,
    epsilon: Any,
) -> None:
    width = x_ND.shape[1]
    x_D, wide_D = np.empty(width, np.float32), np.empty(width, np.float32)
    for d in range(width):
        wide_D[d] = widened(weight_D[d])
    for n in range(first, end):
        read_D, out_D = x_ND[n], out_ND[n]
        squares = np.float32(0)
        for d in range(width):
            x_D[d] = widened(read_D[d])
            squares += x_D[d] * x_D[d]
        rate = np.float32(1) / np.sqrt(squares / np.float32(width) + epsilon)
        rate_N[n] = rate
        for d in range(width):
            out_D[d] = narrowed(x_D[d] * rate * wide_D[d], out_D[d])


@reordered
def _unnorm(
    span: int,
    first: int,
    end: int,
    x_ND: Any,
    weight_D: Any,
    rate_N: Any,
    by_out_ND: Any,
    by_x_ND: Any,
    by_weight_SD: Any,
) -> None:
    """dx = r (w dy - x r² mean(x w dy)), dw = Σ x r dy; r is 1 / √(mean x² + ε)."""
    width = x_ND.shape[1]
    x_D, by_out_D = np.empty(width, np.float32), np.empty(width, np.float32)
    wide_D = np.empty(width, np.float32)
    for d in range(width):
        wide_D[d] = widened(weight_D[d])
    by_weight_D = by_weight_SD[span]
    for n in range(first, end):
        read_D, given_D, by_x_D, rate = x_ND[n], by_out_ND[n], by_x_ND[n], rate_N[n]
        total = np.float32(0)
        for d in range(width):
            x_D[d] = widened(read_D[d])
            by_out_D[d] = widened(given_D[d])
            by_weight_D[d] += x_D[d] * rate * by_out_D[d]
            by_out_D[d] *= wide_D[d]
            total += x_D[d] * by_out_D[d]
        pull = rate * rate * total / np.float32(width)
        for d in range(width):
            by_x_D[d] = narrowed(rate * (by_out_D[d] - pull * x_D[d]), by_x_D[d])


@reordered
def _tanh(x: Any) -> Any:
    """A ratio of polynomials, in float32 within 4e-7 of tanh (the one of the library Eigen)."""
    x = min(max(x, np.float32(-7.9053111)), np.float32(7.9053111))
    square = x * x
    above = square * np.float32(-2.76076847742355e-16) + np.float32(2.00018790482477e-13)
    above = square * above + np.float32(-8.60467152213735e-11)
    above = square * above + np.float32(5.12229709037114e-08)
    above = square * above + np.float32(1.48572235717979e-05)
    above = square * above + np.float32(6.37261928875436e-04)
    above = square * above + np.float32(4.89352455891786e-03)
    below = square * np.float32(1.19825839466702e-06) + np.float32(1.18534705686654e-04)
    below = square * below + np.float32(2.26843463243900e-03)
    below = square * below + np.float32(4.89352518554385e-03)
    return x * above / below


@reordered
def _gated(
    span: int, first: int, end: int, gate_NF: Any, up_NF: Any, out_NF: Any, slope: Any, cubic: Any
) -> None:
    half, one = np.float32(0.5), np.float32(1)
    for n in range(first, end):
        gate_F, up_F, out_F = gate_NF[n], up_NF[n], out_NF[n]
        for f in range(len(gate_F)):
            x = widened(gate_F[f])
            tanh = _tanh(x * (slope + cubic * x * x))
            out_F[f] = narrowed(half * x * (one + tanh) * widened(up_F[f]), out_F[f])


@reordered
def _ungated(
    span: int,
    first: int,
    end: int,
    gate_NF: Any,
    up_NF: Any,
    by_out_NF: Any,
    by_gate_NF: Any,
    by_up_NF: Any,
    slope: Any,
    cubic: Any,
) -> None:
    """With s = (1 + tanh)/2, the slope of g s is s + g (1 - tanh²) (a + 3 b g²) / 2."""
    half, one, three = np.float32(0.5), np.float32(1), np.float32(3)
    for n in range(first, end):
        gate_F, up_F, by_out_F = gate_NF[n], up_NF[n], by_out_NF[n]
        by_gate_F, by_up_F = by_gate_NF[n], by_up_NF[n]
        for f in range(len(gate_F)):
            x, by_out = widened(gate_F[f]), widened(by_out_F[f])
            tanh = _tanh(x * (slope + cubic * x * x))
            share = half * (one + tanh)
            rise = share + half * x * (one - tanh * tanh) * (slope + three * cubic * x * x)
            by_up_F[f] = narrowed(by_out * x * share, by_up_F[f])
            by_gate_F[f] = narrowed(by_out * widened(up_F[f]) * rise, by_gate_F[f])
