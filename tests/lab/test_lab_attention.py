"""Attention in rows over samples is attention by products of matrices."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lingraft.lab import attention as short

HEADS, CHANNELS = 2, 3


def inputs(
    *, models: int, samples: int, length: int, queries: int, dtype: torch.dtype, seed: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)

    def numbers(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)

    width = HEADS * CHANNELS
    last_MQB = torch.randint(0, length, (models, queries, samples), generator=generator)
    return (
        numbers(models, width, queries, samples).requires_grad_(),
        numbers(models, 2 * width, length, samples).requires_grad_(),
        last_MQB,
        numbers(models, width, queries, samples),
    )


def there_and_back(
    way: object, given_: tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]
) -> list[torch.Tensor]:
    query, pairs, last, by_mixed = given_
    query.grad = pairs.grad = None
    mixed = way(query, pairs, last, num_heads=HEADS)  # type: ignore[operator]
    mixed.backward(by_mixed)
    assert query.grad is not None
    assert pairs.grad is not None
    return [mixed.detach(), query.grad.clone(), pairs.grad.clone()]


@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [(torch.float64, 1e-12), (torch.float32, 1e-5), (torch.bfloat16, 0.05)],
)
@settings(max_examples=15, deadline=None)
@given(
    models=st.integers(1, 3),
    samples=st.integers(1, 5),
    length=st.integers(1, short.MOST_TOKENS),
    queries=st.integers(1, 4),
    seed=st.integers(0, 2**30),
)
def test_rows_are_products(
    dtype: torch.dtype,
    tolerance: float,
    models: int,
    samples: int,
    length: int,
    queries: int,
    seed: int,
) -> None:
    asked = inputs(
        models=models, samples=samples, length=length, queries=queries, dtype=dtype, seed=seed
    )
    wanted = there_and_back(short.products, asked)
    found = there_and_back(short.attention_of, asked)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_queries_beside_keys_and_values_are_those_cut_out(dtype: torch.dtype) -> None:
    query, pairs, last, by_mixed = inputs(
        models=3, samples=4, length=5, queries=5, dtype=dtype, seed=2
    )
    wanted = there_and_back(short.attention_of, (query, pairs, last, by_mixed))
    parts = torch.cat([query.detach(), pairs.detach()], 1).requires_grad_()
    mixed = short.attention(parts, last, num_heads=HEADS)
    mixed.backward(by_mixed)  # type: ignore[no-untyped-call]
    assert parts.grad is not None
    assert torch.equal(mixed, wanted[0])
    assert torch.equal(parts.grad, torch.cat(wanted[1:], 1))


def test_samples_may_be_read_some_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = inputs(models=2, samples=7, length=4, queries=3, dtype=torch.float64, seed=3)
    wanted = there_and_back(short.attention_of, asked)
    monkeypatch.setattr(short, "SAMPLES_AT_ONCE", 3)
    for one, other in zip(there_and_back(short.attention_of, asked), wanted, strict=True):
        torch.testing.assert_close(one, other)


def test_a_query_sees_nothing_behind_its_last_token() -> None:
    query, pairs, last, _ = inputs(
        models=1, samples=4, length=5, queries=1, dtype=torch.float64, seed=0
    )
    before = short.attention_of(query, pairs, last, num_heads=HEADS)
    with torch.no_grad():
        for sample in range(4):
            pairs[0, :, int(last[0, 0, sample]) + 1 :, sample] = 1e6
    assert torch.equal(short.attention_of(query, pairs, last, num_heads=HEADS), before)


def test_long_samples_are_left_to_products(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    plain = short.products

    def counted(*given_: torch.Tensor, num_heads: int) -> torch.Tensor:
        calls.append(given_[1].shape[2])
        return plain(*given_, num_heads=num_heads)

    monkeypatch.setattr(short, "products", counted)
    for length in (short.MOST_TOKENS, short.MOST_TOKENS + 1):
        query, pairs, last, _ = inputs(
            models=1, samples=2, length=length, queries=2, dtype=torch.float32, seed=1
        )
        short.attention_of(query, pairs, last, num_heads=HEADS)
        parts = torch.randn(2, 3 * HEADS * CHANNELS, length, 2)
        short.attention(parts, torch.zeros(2, length, 2).long(), num_heads=HEADS)
    assert calls == [short.MOST_TOKENS + 1] * 2
