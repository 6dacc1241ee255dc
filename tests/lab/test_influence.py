"""Influence of training examples: gradients one by one, and what a small step does."""

from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from world_cases import SPELLED

from lingraft.lab import PAD, Probes, TinyDecoder, World, make_world
from lingraft.lab.decoders import initial_weights, mean_nats, reading
from lingraft.lab.influence import EXAMPLES_AT_ONCE, gradient_products, with_answers
from lingraft.lab.members import Member

MODEL = TinyDecoder(width=8, num_layers=2, num_heads=2, feed_forward=3)


@cache
def world(number: int = 0) -> World:
    return make_world(
        subjects=20, relations=2, values=4, unseen_subjects=2, parallel_share=0.2, seed=3,
        **SPELLED[number],
    )  # fmt: skip


def member(one: World, seed: int) -> Member:
    drawn = initial_weights(
        MODEL,
        num_tokens=one.num_tokens,
        max_tokens=one.max_tokens,
        seed=seed,
        dtype=torch.float64,
    )
    return Member(MODEL, {name: 5 * tensor for name, tensor in drawn.items()})


def losses(found: Member, probes: Probes) -> torch.Tensor:
    """Mean nats of each probe's right value, by its log probability."""
    rows = np.arange(len(probes.answer_P))
    num_tokens_P = (probes.candidates_PVC[rows, probes.answer_P] != PAD).sum(1)
    return torch.from_numpy(-found.log_probs(probes)[rows, probes.answer_P] / num_tokens_P)


def plain_gradients(found: Member, probes: Probes) -> list[torch.Tensor]:
    tokens_PT, marks_PT = with_answers(probes)
    gradients = []
    for tokens_T, marks_T in zip(tokens_PT, marks_PT, strict=True):
        weights = {name: w[None].clone().requires_grad_() for name, w in found.weights.items()}
        asked = reading(
            torch.from_numpy(tokens_T)[None, None], torch.from_numpy(marks_T)[None, None]
        )
        nats = mean_nats(MODEL, weights, asked)
        nats.sum().backward()
        grads = [w.grad.flatten() for w in weights.values() if w.grad is not None]
        assert len(grads) == len(weights)
        gradients.append(torch.cat(grads))
    return gradients


@pytest.mark.parametrize("number", [0, 1])
def test_products_are_those_of_gradients_one_by_one(number: int) -> None:
    one = world(number)
    found = member(one, 5)
    trained, asked = one.probes("same"), one.probes("cross", max_facts=3)
    assert number or len(trained.fact_P) > EXAMPLES_AT_ONCE // 2
    products_EP = gradient_products(found, trained, asked)
    ours, theirs = plain_gradients(found, trained), plain_gradients(found, asked)
    wanted_EP = [[float(e @ p) for p in theirs] for e in ours]
    assert products_EP.shape == (len(trained.fact_P), len(asked.fact_P))
    np.testing.assert_allclose(products_EP, wanted_EP, rtol=1e-5, atol=1e-10)


def test_a_small_step_on_an_example_does_what_the_product_says() -> None:
    one = world()
    found = member(one, 6)
    trained, asked = one.probes("same", max_facts=1), one.probes("cross", max_facts=8)
    product_P = gradient_products(found, trained, asked)[0]
    [gradient] = plain_gradients(found, trained)
    rate, moved, first = 1e-4, {}, 0
    for name, w in found.weights.items():
        moved[name] = w - rate * gradient[first : first + w.numel()].view(w.shape)
        first += w.numel()
    before_P, after_P = losses(found, asked), losses(Member(MODEL, moved), asked)
    assert np.abs(product_P).max() > 1e-3
    np.testing.assert_allclose(
        (before_P - after_P) / rate, product_P, rtol=0.05, atol=np.abs(product_P).max() / 20
    )


@settings(max_examples=20)
@given(st.integers(0, len(SPELLED) - 1), st.sampled_from(["same", "cross", "parallel"]))
def test_answers_stand_behind_their_prompts(number: int, kind: str) -> None:
    probes = world(number).probes(kind)
    tokens_PT, marks_PT = with_answers(probes)
    for row, (tokens_T, marks_T) in enumerate(zip(tokens_PT, marks_PT, strict=True)):
        length = int(probes.length_P[row])
        value_C = probes.candidates_PVC[row, probes.answer_P[row]]
        value_C = value_C[value_C != PAD]
        assert tokens_T[:length].tolist() == probes.tokens_PT[row, :length].tolist()
        assert tokens_T[marks_T].tolist() == value_C.tolist()
        assert np.flatnonzero(marks_T).tolist() == list(range(length, length + len(value_C)))
        assert (tokens_T[length + len(value_C) :] == PAD).all()
