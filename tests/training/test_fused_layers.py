"""Norms and gates in one pass are transformers' own, forwards and backwards."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import LlamaConfig, PreTrainedModel
from transformers.models.llama.modeling_llama import LlamaMLP, LlamaRMSNorm

from lingraft.training import fused_layers as layers
from lingraft.training.fused_layers import fused_layers

CPU = torch.device("cpu")
TOLERANCES = {torch.float32: 2e-5, torch.bfloat16: 0.03}


def draw(*shape: int, dtype: torch.dtype, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (2 * torch.randn(*shape, generator=generator)).to(dtype).requires_grad_()


def gate_of(**named: object) -> LlamaMLP:
    return LlamaMLP(LlamaConfig(num_attention_heads=1, **named))


def there_and_back(layer: torch.nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    layer.zero_grad()
    x.grad = None
    out = layer(x)
    generator = torch.Generator().manual_seed(9)
    out.backward(torch.randn(out.shape, generator=generator).to(out.dtype))
    assert x.grad is not None
    gradients = [p.grad.clone() for p in layer.parameters() if p.grad is not None]
    assert len(gradients) == len(list(layer.parameters()))
    return [out.detach(), x.grad.clone(), *gradients]


def check(layer: torch.nn.Module, x: torch.Tensor) -> None:
    """Compares output and gradients, relative to their sizes, at least 1."""
    wanted = there_and_back(layer, x)
    holder = torch.nn.ModuleList([layer])
    with fused_layers(holder, device=CPU):
        assert "forward" in vars(layer)
        found = there_and_back(layer, x)
    for one, other in zip(found, wanted, strict=True):
        assert one.dtype == other.dtype
        error = (one.double() - other.double()).abs().max()
        assert error <= TOLERANCES[x.dtype] * other.double().abs().max().clamp(min=1.0)


@pytest.mark.parametrize("dtype", list(TOLERANCES))
@settings(max_examples=10, deadline=None)
@given(
    rows=st.integers(1, 3),
    tokens=st.integers(1, 5),
    width=st.integers(1, 70),
    seed=st.integers(0, 2**30),
)
def test_a_norm_is_transformers(
    dtype: torch.dtype, rows: int, tokens: int, width: int, seed: int
) -> None:
    norm = LlamaRMSNorm(width, eps=1e-5).to(dtype)
    with torch.no_grad():
        norm.weight.copy_(draw(width, dtype=dtype, seed=seed + 1))
    check(norm, draw(rows, tokens, width, dtype=dtype, seed=seed))


@pytest.mark.parametrize("act", ["gelu_pytorch_tanh", "silu"])
@pytest.mark.parametrize("dtype", list(TOLERANCES))
@settings(max_examples=10, deadline=None)
@given(rows=st.integers(1, 3), tokens=st.integers(1, 5), seed=st.integers(0, 2**30))
def test_a_gate_is_transformers(
    act: str, dtype: torch.dtype, rows: int, tokens: int, seed: int
) -> None:
    torch.manual_seed(seed)
    gate = gate_of(hidden_size=6, intermediate_size=33, hidden_act=act).to(dtype)
    check(gate, draw(rows, tokens, 6, dtype=dtype, seed=seed))


def test_the_ratio_of_polynomials_is_tanh() -> None:
    x = torch.linspace(-40, 40, 100_001, dtype=torch.float64)
    found = torch.tensor([float(layers._tanh(v)) for v in x.float().numpy()])
    assert float((found.double() - x.float().double().tanh()).abs().max()) < 4e-7


@pytest.mark.parametrize("num_threads", [1, 2, 3])
def test_threads_change_nothing_but_the_order_of_sums(
    monkeypatch: pytest.MonkeyPatch, num_threads: int
) -> None:
    monkeypatch.setattr(layers, "FEWEST_TOKENS", 4)
    monkeypatch.setattr(torch, "get_num_threads", lambda: num_threads)
    calls = []
    plain = layers._norm

    def counted(span: int, first: int, end: int, *given_: object) -> None:
        calls.append((first, end))
        plain(span, first, end, *given_)

    monkeypatch.setattr(layers, "_norm", counted)
    check(LlamaRMSNorm(5), draw(2, 7, 5, dtype=torch.float32, seed=3))
    edges = {1: [(0, 14)], 2: [(0, 7), (7, 14)], 3: [(0, 4), (4, 9), (9, 14)]}
    assert sorted(calls) == edges[num_threads]


@pytest.mark.parametrize("dtype", list(TOLERANCES))
def test_what_is_no_number_stays_none(dtype: torch.dtype) -> None:
    x = torch.full((1, 2, 8), float("nan"), dtype=dtype)
    gate = gate_of(hidden_size=8, intermediate_size=8).to(dtype)
    holder = torch.nn.ModuleList([gate, LlamaRMSNorm(8).to(dtype)])
    with fused_layers(holder, device=CPU):
        assert all(layer(x).isnan().all() for layer in holder)


@pytest.mark.parametrize("kind", ["llama_tied", "qwen2", "gpt2"])
def test_a_model_computes_the_same(make_model: Callable[..., PreTrainedModel], kind: str) -> None:
    model = make_model(kind, 258).eval()
    x_RT = torch.randint(0, 258, (3, 20), generator=torch.Generator().manual_seed(0))
    before = model(input_ids=x_RT).logits
    with fused_layers(model, device=CPU):
        is_fused = any("forward" in vars(layer) for layer in model.modules())
        torch.testing.assert_close(model(input_ids=x_RT).logits, before, rtol=1e-4, atol=1e-5)
    assert is_fused == (kind != "gpt2")


def test_under_autocast_a_norm_is_of_the_type_that_products_read() -> None:
    norm = LlamaRMSNorm(8)
    x = draw(1, 2, 8, dtype=torch.float32, seed=0)
    holder = torch.nn.ModuleList([norm])
    with (
        torch.autocast("cpu", dtype=torch.bfloat16),
        fused_layers(holder, device=CPU),
    ):
        assert torch.equal(norm(x), type(norm).forward(norm, x).bfloat16())


def test_double_precision_devices_and_other_layers_are_left_alone(
    make_model: Callable[..., PreTrainedModel],
) -> None:
    model = make_model("llama_tied", 258).double().eval()
    x_RT = torch.randint(0, 258, (1, 9), generator=torch.Generator().manual_seed(0))
    before = model(input_ids=x_RT).logits
    with fused_layers(model, device=CPU):
        assert torch.equal(model(input_ids=x_RT).logits, before)
    with fused_layers(model, device=torch.device("cuda")):
        assert not any("forward" in vars(layer) for layer in model.modules())
    relu = gate_of(hidden_size=4, intermediate_size=4, hidden_act="relu")
    with fused_layers(torch.nn.ModuleList([relu]), device=CPU):
        assert "forward" not in vars(relu)


def test_layers_are_their_own_again_after_an_error(
    make_model: Callable[..., PreTrainedModel],
) -> None:
    model = make_model("llama_tied", 258)
    with pytest.raises(ZeroDivisionError), fused_layers(model, device=CPU):
        raise ZeroDivisionError
    assert not any("forward" in vars(layer) for layer in model.modules())
