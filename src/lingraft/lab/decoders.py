"""Tiny decoders stacked on a leading axis, so that one product of matrices serves all of them.

Pre-norm Transformer (Xiong et al. 2020) with learned positions, ReLU (Vaswani et al. 2017) and no
biases; layer norms have no weights of their own, since the matrix after each could hold them.
States are laid out token by token, all samples of a token side by side, as attention reads them.
Axes: M models, B samples, T tokens, D width, E keys and values (2 D), K queries before them (3 D),
F feed-forward, V vocabulary, N tokens to predict, or rows of all tokens and samples.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch.nn.functional import cross_entropy, embedding, layer_norm, relu

from lingraft.errors import InputError
from lingraft.lab.attention import attention, attention_of
from lingraft.seeds import derive

EMBEDDING_SCALE = 0.02
FEW_SAMPLES = 32
"""Converting a head and its gradient costs as much as multiplying it by so many."""


@dataclass(frozen=True)
class TinyDecoder:
    """The shape of every model of an ensemble.

    Attributes:
        width: D.
        num_layers: Blocks of attention and feed-forward.
        num_heads: H, a divisor of the width.
        feed_forward: F, as a multiple of the width.
    """

    width: int = 96
    num_layers: int = 3
    num_heads: int = 4
    feed_forward: int = 4

    def __post_init__(self) -> None:
        if min(self.width, self.num_layers, self.num_heads, self.feed_forward) < 1:
            raise InputError(expected="sizes of at least 1", got=str(self), where="model")
        if self.width % self.num_heads:
            raise InputError(
                expected=f"a width that {self.num_heads} heads divide",
                got=str(self.width),
                where="model",
            )

    def num_parameters(self, *, num_tokens: int, max_tokens: int) -> int:
        """Returns the parameters of one model.

        Args:
            num_tokens: Vocabulary.
            max_tokens: Longest sequence.
        """
        per_layer = (4 + 2 * self.feed_forward) * self.width**2
        return self.num_layers * per_layer + (2 * num_tokens + max_tokens) * self.width

    def num_flops(self, *, num_tokens: int, length: int, batch_size: int) -> int:
        """Returns the multiplications and additions of a step's products of matrices.

        Forwards and backwards, the last block at the predicted place alone; attention's own
        products, which are few at such lengths, are left out.

        Args:
            num_tokens: Vocabulary.
            length: Tokens that the model reads of a sample.
            batch_size: Samples, each with one token to predict.
        """
        whole = (4 + 2 * self.feed_forward) * self.width**2
        last = 2 * self.width**2 * length + (2 + 2 * self.feed_forward) * self.width**2
        per_sample = (self.num_layers - 1) * whole * length + last + num_tokens * self.width
        return 6 * batch_size * per_sample


Weights = dict[str, torch.Tensor]
"""By name, each with M in front: ``embedding`` VD, ``position`` TD, ``head`` DV, and for every
layer ``attention.l`` D(3D), ``mix.l`` DD, ``rise.l`` DF, ``fall.l`` FD."""


def initial_weights(
    model: TinyDecoder, *, num_tokens: int, max_tokens: int, seed: int, dtype: torch.dtype
) -> Weights:
    """Draws the weights of one model, without the leading axis.

    Args:
        model: Its shape.
        num_tokens: Vocabulary.
        max_tokens: Longest sequence.
        seed: What they depend on alone.
        dtype: Of the weights.
    """
    generator = torch.Generator().manual_seed(derive(seed, "weights"))
    return {
        name: (torch.randn(*shape, generator=generator, dtype=torch.float64) * scale).to(dtype)
        for name, (shape, scale) in _shapes(model, num_tokens, max_tokens).items()
    }


def computing_dtype(
    name: str, stored: torch.dtype, wanted: torch.dtype, batch_size: int
) -> torch.dtype:
    """Returns the type that a matrix is computed with; what few rows read stays as it is.

    Of the embeddings a sample reads some rows, which are converted when they are read, and a head
    that few samples multiply is sooner multiplied than converted.

    Args:
        name: Of the matrix, see `Weights`.
        stored: Its type.
        wanted: Of the products of matrices.
        batch_size: Samples of a step.
    """
    is_kept = name in ("embedding", "position") or (name == "head" and batch_size < FEW_SAMPLES)
    return stored if is_kept else wanted


def _shapes(
    model: TinyDecoder, num_tokens: int, max_tokens: int
) -> dict[str, tuple[tuple[int, int], float]]:
    """Shape and standard deviation of every matrix; the residual stream's grow with depth less."""
    width, inner = model.width, model.width * model.feed_forward
    residual = 1 / math.sqrt(2 * model.num_layers)
    shapes: dict[str, tuple[tuple[int, int], float]] = {
        "embedding": ((num_tokens, width), EMBEDDING_SCALE),
        "position": ((max_tokens, width), EMBEDDING_SCALE),
        "head": ((width, num_tokens), EMBEDDING_SCALE),
    }
    for layer in range(model.num_layers):
        shapes[f"attention.{layer}"] = ((width, 3 * width), width**-0.5)
        shapes[f"mix.{layer}"] = ((width, width), residual * width**-0.5)
        shapes[f"rise.{layer}"] = ((width, inner), width**-0.5)
        shapes[f"fall.{layer}"] = ((inner, width), residual * inner**-0.5)
    return shapes


def states(
    model: TinyDecoder,
    weights: Mapping[str, torch.Tensor],
    tokens_MBT: torch.Tensor,
    *,
    last_MB: torch.Tensor | None = None,
) -> Iterator[torch.Tensor]:
    """Yields the residual stream (M, B, T, D): the embeddings, then after each layer.

    Args:
        model: The shape.
        weights: Of M models.
        tokens_MBT: What they read; padding comes last, where no token looks.
        last_MB: The one place of each sample that is read of the last layer, which then yields
            (M, B, D) and computes nothing else.
    """
    x_MBTD = _embedded(weights, tokens_MBT)
    yield x_MBTD
    for layer in range(model.num_layers):
        if last_MB is not None and layer == model.num_layers - 1:
            yield _last_block(model, weights, layer, x_MBTD, last_MB)
        else:
            x_MBTD = block(model, weights, layer, x_MBTD)
            yield x_MBTD


def block(
    model: TinyDecoder, weights: Mapping[str, torch.Tensor], layer: int, x_MBTD: torch.Tensor
) -> torch.Tensor:
    """Returns the residual stream after a layer.

    Args:
        model: The shape.
        weights: Of M models.
        layer: From 0.
        x_MBTD: The residual stream before it.
    """
    x_MTBD = x_MBTD.transpose(1, 2)
    models, length, samples, width = x_MTBD.shape
    flat_MND = _normed(x_MTBD).reshape(models, length * samples, width)
    parts_MKN = _columns(flat_MND, weights[f"attention.{layer}"])
    parts_MKTB = parts_MKN.view(models, 3 * width, length, samples)
    last_T1 = torch.arange(length, device=x_MBTD.device)[:, None]
    mixed_MDTB = attention(
        parts_MKTB, last_T1.expand(models, length, samples), num_heads=model.num_heads
    )
    mixed_MND = mixed_MDTB.flatten(2).transpose(1, 2)
    x_MTBD = x_MTBD + (mixed_MND @ weights[f"mix.{layer}"]).view(x_MTBD.shape)
    flat_MND = _normed(x_MTBD).view(models, length * samples, width)
    x_MTBD = x_MTBD + _feed_forward(weights, layer, flat_MND).view(x_MTBD.shape)
    return x_MTBD.transpose(1, 2)


def _last_block(
    model: TinyDecoder,
    weights: Mapping[str, torch.Tensor],
    layer: int,
    x_MBTD: torch.Tensor,
    last_MB: torch.Tensor,
) -> torch.Tensor:
    """The block at one place of each sample: a query, and the keys and values before it."""
    x_MTBD = x_MBTD.transpose(1, 2)
    models, length, samples, width = x_MTBD.shape
    query_MDD, pairs_MDE = torch.split(weights[f"attention.{layer}"], [width, 2 * width], dim=2)
    normed_MTBD = _normed(x_MTBD)
    flat_MND = normed_MTBD.reshape(models, length * samples, width)
    pairs_MEN = _columns(flat_MND, pairs_MDE)
    query_MDB = _columns(at(normed_MTBD.transpose(1, 2), last_MB), query_MDD)
    mixed_MDQB = attention_of(
        query_MDB[:, :, None],
        pairs_MEN.view(models, 2 * width, length, samples),
        last_MB[:, None],
        num_heads=model.num_heads,
    )
    mixed_MBD = mixed_MDQB[:, :, 0].transpose(1, 2)
    x_MBD = at(x_MBTD, last_MB) + mixed_MBD @ weights[f"mix.{layer}"]
    last_MBD: torch.Tensor = x_MBD + _feed_forward(weights, layer, _normed(x_MBD))
    return last_MBD


def _columns(x_MND: torch.Tensor, matrix_MDK: torch.Tensor) -> torch.Tensor:
    """The product with a matrix, K by N: each of its numbers as a row over tokens and samples."""
    return matrix_MDK.transpose(1, 2) @ x_MND.transpose(1, 2)


def logits(weights: Mapping[str, torch.Tensor], x_MND: torch.Tensor) -> torch.Tensor:
    """Returns (M, N, V) of states (M, N, D) after the last layer."""
    return _normed(x_MND).to(weights["head"].dtype) @ weights["head"]


class Reading(NamedTuple):
    """What models read, and what they are to predict of it.

    Attributes:
        read_MBT: int64, samples without their last tokens.
        place_MN: int64, where to read: a place in the sample where each has one token to predict,
            else a place in the model's samples one after the other.
        target_MN: int64, the tokens that follow.
        weight_MN: 1, and 0 for places that only fill up.
        is_one_each: Whether every sample has exactly one token to predict.
    """

    read_MBT: torch.Tensor
    place_MN: torch.Tensor
    target_MN: torch.Tensor
    weight_MN: torch.Tensor
    is_one_each: bool

    def to(self, device: torch.device) -> "Reading":
        """Returns the same on another device."""
        return Reading(
            self.read_MBT.to(device),
            self.place_MN.to(device),
            self.target_MN.to(device),
            self.weight_MN.to(device),
            self.is_one_each,
        )


def reading(tokens_MBT: torch.Tensor, predicted_MBT: torch.Tensor) -> Reading:
    """Returns what samples ask for.

    Args:
        tokens_MBT: Whole samples.
        predicted_MBT: Which tokens are to be predicted; none of them the first of a sample.
    """
    read_MBT, wanted_MBT = tokens_MBT[:, :, :-1], predicted_MBT[:, :, 1:]
    if bool((wanted_MBT.sum(2) == 1).all()):
        last_MB = wanted_MBT.int().argmax(2)
        target_MN = tokens_MBT.gather(2, last_MB[:, :, None] + 1)[:, :, 0]
        weight_MN = torch.ones_like(target_MN, dtype=torch.float32)
        return Reading(read_MBT, last_MB, target_MN, weight_MN, True)
    place_MN, weight_MN = _places(wanted_MBT.flatten(1))
    target_MN = tokens_MBT[:, :, 1:].flatten(1).gather(1, place_MN)
    return Reading(read_MBT, place_MN, target_MN, weight_MN, False)


def mean_nats(
    model: TinyDecoder,
    weights: Mapping[str, torch.Tensor],
    asked: Reading,
    *,
    absent_MV: torch.Tensor | None = None,
) -> torch.Tensor:
    """Returns each model's mean nats per predicted token, (M,).

    Args:
        model: The shape.
        weights: Of M models.
        asked: Of `reading`.
        absent_MV: Ids that a model's own vocabulary does not have, so that they take no
            probability; None where all have the same.
    """
    if asked.is_one_each:
        *_, x_MND = states(model, weights, asked.read_MBT, last_MB=asked.place_MN)
    else:
        *_, x_MBTD = states(model, weights, asked.read_MBT)
        x_MND = at(x_MBTD.flatten(1, 2), asked.place_MN)
    logits_MNV = logits(weights, x_MND)
    if absent_MV is not None:
        logits_MNV = logits_MNV.masked_fill(absent_MV[:, None], float("-inf"))
    logits_NV = logits_MNV.flatten(0, 1)
    if logits_NV.dtype != torch.float64:
        logits_NV = logits_NV.float()
    nats_N = cross_entropy(logits_NV, asked.target_MN.flatten(), reduction="none")
    nats_MN = nats_N.view(len(asked.target_MN), -1)
    return (nats_MN * asked.weight_MN).sum(1) / asked.weight_MN.sum(1)


def at(x_MBTD: torch.Tensor, place_MB: torch.Tensor) -> torch.Tensor:
    """Returns x at one place of each sample, (M, B, D); or (M, N, D) of x (M, T, D)."""
    index = place_MB[..., None, None] if x_MBTD.dim() == 4 else place_MB[..., None]
    found = x_MBTD.gather(x_MBTD.dim() - 2, index.expand(*index.shape[:-1], x_MBTD.shape[-1]))
    return found[:, :, 0] if x_MBTD.dim() == 4 else found


def _places(wanted_MP: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The wanted places of each model, filled up to as many, and weights: 0 for the filling."""
    num_M = wanted_MP.sum(1)
    order_MP = (~wanted_MP).int().argsort(dim=1, stable=True)[:, : int(num_M.max())]
    weight_MN = (torch.arange(order_MP.shape[1], device=num_M.device) < num_M[:, None]).float()
    return order_MP, weight_MN


def _embedded(weights: Mapping[str, torch.Tensor], tokens_MBT: torch.Tensor) -> torch.Tensor:
    table_MVD, position_MTD = weights["embedding"], weights["position"]
    models, vocabulary, width = table_MVD.shape
    first_M = torch.arange(models, device=tokens_MBT.device) * vocabulary
    tokens_MTB = tokens_MBT.transpose(1, 2) + first_M[:, None, None]
    rows_MTBD = embedding(tokens_MTB, table_MVD.view(-1, width))
    x_MTBD = rows_MTBD + position_MTD[:, : tokens_MTB.shape[1], None]
    return x_MTBD.transpose(1, 2).to(weights["attention.0"].dtype)


def _normed(x: torch.Tensor) -> torch.Tensor:
    return layer_norm(x, x.shape[-1:])


def _feed_forward(
    weights: Mapping[str, torch.Tensor], layer: int, x_MND: torch.Tensor
) -> torch.Tensor:
    inner_MNF = relu(x_MND @ weights[f"rise.{layer}"], inplace=True)
    return inner_MNF @ weights[f"fall.{layer}"]
