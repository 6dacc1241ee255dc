"""Which training examples made an answer likelier: TracIn over checkpoints (arXiv 2002.08484).

Axes: N examples, E training examples, P probes, T tokens, W weights of one model, C tokens of a
value.
"""

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from lingraft.lab.decoders import TinyDecoder, mean_nats, reading
from lingraft.lab.members import Member
from lingraft.lab.probes import Probes
from lingraft.lab.vocabulary import PAD

EXAMPLES_AT_ONCE = 32
"""Every example in work has gradients for all the weights."""


def gradient_products(member: Member, trained: Probes, asked: Probes) -> NDArray[np.float64]:
    """Returns the dot products (E, P) of the gradients of training examples and of probes.

    The loss is the mean nats of the right value's tokens after its prompt. A step of plain gradient
    descent of rate r on example e lowers the loss of probe p by r times the product, to first
    order; TracIn adds that over checkpoints. Members are trained by AdamW, whose steps are scaled
    weight by weight, so that products rank examples rather than measure what they did.

    Args:
        member: As it is at a checkpoint.
        trained: Prompts and values as samples have them.
        asked: Questions.
    """
    wanted_WP = np.concatenate(list(_gradients(member, asked))).T
    products = [chunk_NW @ wanted_WP for chunk_NW in _gradients(member, trained)]
    return np.concatenate(products).astype(np.float64)


def with_answers(probes: Probes) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Returns prompts with their right values behind them, and which tokens are the values'.

    Returns:
        Tokens (P, T) and marks (P, T).
    """
    rows = np.arange(len(probes.answer_P))
    value_PC = probes.candidates_PVC[rows, probes.answer_P]
    room_PC = np.full_like(value_PC, PAD)
    tokens_PT = np.concatenate([probes.tokens_PT, room_PC], axis=1)
    marks_PT = np.zeros(tokens_PT.shape, dtype=bool)
    for place in range(value_PC.shape[1]):
        is_there_P = value_PC[:, place] != PAD
        at_P = probes.length_P + place
        tokens_PT[rows, at_P] = np.where(is_there_P, value_PC[:, place], tokens_PT[rows, at_P])
        marks_PT[rows, at_P] = is_there_P
    return tokens_PT, marks_PT


def _gradients(member: Member, probes: Probes) -> Iterator[NDArray[np.float32]]:
    """Yields gradients (N, W) of some examples at a time.

    A stack of equal models, each with one example, has every example's gradient to itself.
    """
    tokens_PT, marks_PT = with_answers(probes)
    for first in range(0, len(tokens_PT), EXAMPLES_AT_ONCE):
        rows = slice(first, first + EXAMPLES_AT_ONCE)
        yield _stacked_gradients(member.model, member.weights, tokens_PT[rows], marks_PT[rows])


def _stacked_gradients(
    model: TinyDecoder,
    weights: Mapping[str, torch.Tensor],
    tokens_NT: NDArray[np.int64],
    marks_NT: NDArray[np.bool_],
) -> NDArray[np.float32]:
    num = len(tokens_NT)
    copies = {
        name: tensor.detach().cpu().expand(num, *tensor.shape).clone().requires_grad_()
        for name, tensor in weights.items()
    }
    asked = reading(torch.from_numpy(tokens_NT)[:, None], torch.from_numpy(marks_NT)[:, None])
    nats_N = mean_nats(model, copies, asked)
    found = torch.autograd.grad(nats_N.sum(), list(copies.values()))
    return torch.cat([gradient.flatten(1) for gradient in found], dim=1).numpy()
