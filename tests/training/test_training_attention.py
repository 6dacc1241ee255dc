"""Attention in blocks is torch's attention, forwards and backwards."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import scaled_dot_product_attention
from transformers import PreTrainedModel

from lingraft.training import attention
from lingraft.training.attention import attention_forward, blocked_attention

CPU = torch.device("cpu")


class Layer(torch.nn.Module):
    """What a model's attention layer tells of itself."""

    is_causal = True

    def __init__(self, num_groups: int = 1) -> None:
        super().__init__()
        self.num_key_value_groups = num_groups


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_()


def blocked_mask(lengths: list[list[int]], num_tokens: int) -> torch.Tensor:
    """Additive, (R, 1, T, T): causal within documents of these lengths; the rest is padding."""
    rows = []
    for row in lengths:
        segment_T = torch.full((num_tokens,), -1)
        at = 0
        for number, length in enumerate(row):
            segment_T[at : at + length] = number
            at += length
        rows.append((segment_T[:, None] == segment_T[None]).tril())
    seen_RTT = torch.stack(rows)
    least = torch.finfo(torch.float64).min
    return torch.zeros(seen_RTT.shape, dtype=torch.float64).masked_fill(~seen_RTT, least)[:, None]


def check(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None
) -> None:
    """Compares output and gradients with torch's kernel."""
    num_groups = query.shape[1] // key.shape[1]
    ours, nothing = attention_forward(Layer(num_groups), query, key, value, mask)
    assert nothing is None
    theirs = scaled_dot_product_attention(
        query,
        key.repeat_interleave(num_groups, 1),
        value.repeat_interleave(num_groups, 1),
        attn_mask=mask,
        is_causal=mask is None,
    ).transpose(1, 2)
    torch.testing.assert_close(ours, theirs)
    weight = draw(*ours.shape, seed=9).detach()
    found = torch.autograd.grad((ours * weight).sum(), (query, key, value))
    wanted = torch.autograd.grad((theirs * weight).sum(), (query, key, value))
    for mine, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(mine, other)


@pytest.mark.parametrize("num_tokens", [1, 2, 127, 128, 129, 300])
@pytest.mark.parametrize("num_groups", [1, 3])
def test_causal_attention_is_torchs(
    monkeypatch: pytest.MonkeyPatch, num_tokens: int, num_groups: int
) -> None:
    query = draw(2, 6, num_tokens, 4)
    key, value = (draw(2, 6 // num_groups, num_tokens, 4, seed=seed) for seed in (1, 2))
    forbid_torchs(monkeypatch)
    check(query, key, value, None)


@given(
    st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=6), min_size=1, max_size=3),
    st.integers(1, 8),
)
def test_documents_are_kept_apart(lengths: list[list[int]], block_tokens: int) -> None:
    num_tokens = max(map(sum, lengths))
    query, key, value = (draw(len(lengths), 2, num_tokens, 4, seed=seed) for seed in range(3))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attention, "BLOCK_TOKENS", block_tokens)
        forbid_torchs(patch)
        check(query, key, value, blocked_mask(lengths, num_tokens))


def test_keys_before_every_document_of_a_block_are_left_out() -> None:
    mask = blocked_mask([[3, 5], [2, 6]], 8)
    assert [attention._first_seen(mask[:, :, at]) for at in (0, 2, 3, 7)] == [0, 0, 2, 2]


def test_what_blocks_cannot_do_is_torchs(monkeypatch: pytest.MonkeyPatch) -> None:
    query, key, value = (draw(1, 2, 6, 4, seed=seed) for seed in range(3))
    causal = scaled_dot_product_attention(query, key, value, is_causal=True).transpose(1, 2)
    calls: list[float] = []
    theirs = attention.sdpa_attention_forward

    def noted(*arguments: object, **named: object) -> object:
        calls.append(1)
        return theirs(*arguments, **named)

    monkeypatch.setattr(attention, "sdpa_attention_forward", noted)
    seen = torch.ones(6, 6, dtype=torch.bool).tril()[None, None]
    torch.testing.assert_close(attention_forward(Layer(), query, key, value, seen)[0], causal)
    last, _ = attention_forward(Layer(), query[:, :, -1:], key, value, None)
    torch.testing.assert_close(last, causal[:, -1:])
    both, _ = attention_forward(Layer(), query, key, value, None, is_causal=False)
    assert not torch.allclose(both, causal)
    attention_forward(Layer(), query, key, value, None, dropout=0.5)
    monkeypatch.setattr(attention, "MOST_TOKENS", 5)
    attention_forward(Layer(), query, key, value, None)
    assert len(calls) == 5
    monkeypatch.setattr(attention, "MOST_TOKENS", 6)
    ours, _ = attention_forward(Layer(), query, key, value, None, sliding_window=6)
    torch.testing.assert_close(ours, causal)
    assert len(calls) == 5
    attention_forward(Layer(), query, key, value, None, sliding_window=5)
    assert len(calls) == 6


@pytest.mark.parametrize("kind", ["llama_tied", "gpt2", "qwen2"])
def test_a_model_computes_the_same_in_blocks(
    make_model: Callable[..., PreTrainedModel], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    model = make_model(kind, 258).double().eval()
    x_RT = torch.randint(0, 258, (3, 20), generator=torch.Generator().manual_seed(0))
    before = model(input_ids=x_RT).logits
    monkeypatch.setattr(attention, "BLOCK_TOKENS", 7)
    with blocked_attention(model, device=CPU):
        assert model.config._attn_implementation == attention.NAME
        forbid_torchs(monkeypatch)
        torch.testing.assert_close(model(input_ids=x_RT).logits, before)
    assert model.config._attn_implementation == "sdpa"


@pytest.mark.parametrize(("device", "implementation"), [("cuda", "sdpa"), ("cpu", "eager")])
def test_other_devices_and_implementations_are_left_alone(
    make_model: Callable[..., PreTrainedModel], device: str, implementation: str
) -> None:
    model = make_model("llama_tied", 258)
    model.config._attn_implementation = implementation
    with blocked_attention(model, device=torch.device(device)):
        assert model.config._attn_implementation == implementation


def test_the_implementation_returns_after_an_error(
    make_model: Callable[..., PreTrainedModel],
) -> None:
    model = make_model("llama_tied", 258)
    with pytest.raises(ZeroDivisionError), blocked_attention(model, device=CPU):
        raise ZeroDivisionError
    assert model.config._attn_implementation == "sdpa"


def forbid_torchs(patch: pytest.MonkeyPatch) -> None:
    def forbidden(*arguments: object, **named: object) -> None:
        raise AssertionError("torch's kernel")

    patch.setattr(attention, "sdpa_attention_forward", forbidden)
