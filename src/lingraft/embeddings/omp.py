"""Orthogonal matching pursuit: a new token as a sparse sum of shared tokens, found elsewhere.

Goddard & Fernandes Neto 2025, arXiv 2506.06607: the sum that rebuilds the token's row from rows
of shared tokens in a donor model is taken over, coefficient by coefficient, to the source model.
Axes: B new tokens, N anchors, K dimensions of the donor's space, S anchors chosen so far.
"""

import numpy as np
from numpy.typing import NDArray

from lingraft.embeddings.focus import anchor_tokens, check_vectors, new_tokens
from lingraft.embeddings.matrix import EmbeddingMatrix, Origin, mix
from lingraft.embeddings.pieces import backed_off_origins
from lingraft.embeddings.vectors import unit_rows
from lingraft.errors import InputError
from lingraft.tokenizer.tokenizer import Tokenizer

NUM_ANCHORS = 64
_TOKENS_AT_ONCE = 256
# What is left of a vector, or of an anchor beside those chosen, counts as nothing under this
# share of its length: float64 sums of some thousand products are good to about 1e-13.
_NOTHING = 1e-9


def omp_rows(
    source_rows: NDArray[np.float32],
    *,
    donor_vectors: NDArray[np.float32],
    source: Tokenizer,
    target: Tokenizer,
    num_anchors: int = NUM_ANCHORS,
) -> EmbeddingMatrix:
    """Expresses each new token in shared tokens where it has a vector, and applies that here.

    Rules in their order, depth in brackets: ``"special"`` (0), ``"copied"`` (0, the same bytes),
    ``"combined"`` (0), ``"pieces"`` (2, the token has no vector), ``"mean"`` (3). Weights of
    ``"combined"`` may be negative and do not sum to 1.

    Args:
        source_rows: float32 (V_source, D).
        donor_vectors: float32 (V_target, K): rows of a donor model that has the new tokens, or,
            where there is none, unit rows of `train_token_vectors` on text of the new language.
            A row of zeros means no vector.
        source: Tokenizer of the source model.
        target: The new tokenizer.
        num_anchors: Shared tokens that make a row, at most; k of the paper. With as many as K
            any vector is rebuilt and the sum says little.

    Returns:
        Rows (V_target, D).

    Raises:
        InputError: There is not one vector for each target token, or no anchor is asked for.
    """
    check_vectors(donor_vectors, target)
    if num_anchors < 1:
        raise InputError(expected="at least 1 anchor", got=str(num_anchors), where="num_anchors")
    anchors, sources = anchor_tokens(donor_vectors, source, target)
    evidence: dict[int, Origin] = {}
    tokens = new_tokens(donor_vectors, source, target) if len(anchors) else []
    for first in range(0, len(tokens), _TOKENS_AT_ONCE):
        block = tokens[first : first + _TOKENS_AT_ONCE]
        sums = pursue(donor_vectors[block], donor_vectors[anchors], num_anchors=num_anchors)
        for token, (chosen, weights) in zip(block, sums, strict=True):
            if len(chosen):
                evidence[token] = _origin(sources[chosen], weights)
    origins = backed_off_origins(evidence, source=source, target=target)
    return EmbeddingMatrix.from_origins(mix(source_rows, origins), origins, method="omp")


def pursue(
    vectors: NDArray[np.floating], anchors: NDArray[np.floating], *, num_anchors: int
) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Approximates each vector by a sum of few anchors: orthogonal matching pursuit.

    Pati, Rezaiifar & Krishnaprasad 1993. In each round the anchor of the largest absolute cosine
    with what is left is added, and all coefficients are fitted anew by least squares; a vector
    that is rebuilt needs no further anchors.

    Args:
        vectors: (B, K).
        anchors: (N, K), none of length 0.
        num_anchors: Rounds, at most.

    Returns:
        For each vector the numbers of the chosen anchors, in the order of choice, and their
        coefficients.
    """
    left_BK = vectors.astype(np.float64)
    lengths_B = np.linalg.norm(left_BK, axis=1)
    anchors_NK = anchors.astype(np.float64)
    units_NK = unit_rows(anchors_NK)
    num_rounds = min(num_anchors, *anchors.shape)
    rows_B = np.arange(len(vectors))
    chosen_BS = np.full((len(vectors), num_rounds), -1)
    # Gram-Schmidt: the chosen anchors are basis @ triangle, and vectors are `along` in the basis.
    basis_BSK = np.zeros((len(vectors), num_rounds, anchors.shape[1]))
    triangle_BSS = np.zeros((len(vectors), num_rounds, num_rounds))
    along_BS = np.zeros((len(vectors), num_rounds))
    open_B = lengths_B > 0
    for number in range(num_rounds):
        # An anchor that was chosen has no part in what is left, so none is chosen twice.
        best_B = np.abs(left_BK @ units_NK.T).argmax(axis=1)
        atom_BK = anchors_NK[best_B]
        inside_BS = np.einsum("bsk,bk->bs", basis_BSK, atom_BK)
        rest_BK = atom_BK - np.einsum("bs,bsk->bk", inside_BS, basis_BSK)
        # Once more, since a first pass leaves rounding errors that add up over the rounds.
        again_BS = np.einsum("bsk,bk->bs", basis_BSK, rest_BK)
        rest_BK -= np.einsum("bs,bsk->bk", again_BS, basis_BSK)
        length_B = np.linalg.norm(rest_BK, axis=1)
        open_B &= np.linalg.norm(left_BK, axis=1) > _NOTHING * lengths_B
        open_B &= length_B > _NOTHING * np.linalg.norm(atom_BK, axis=1)
        if not open_B.any():
            break
        direction_BK = rest_BK / np.where(open_B, length_B, 1.0)[:, None] * open_B[:, None]
        chosen_BS[open_B, number] = best_B[open_B]
        triangle_BSS[:, :, number] = (inside_BS + again_BS) * open_B[:, None]
        triangle_BSS[:, number, number] = np.where(open_B, length_B, 1.0)
        basis_BSK[:, number] = direction_BK
        along_BS[:, number] = np.einsum("bk,bk->b", direction_BK, left_BK)
        left_BK -= along_BS[:, number, None] * direction_BK
    sums = []
    for row in rows_B.tolist():
        size = int((chosen_BS[row] >= 0).sum())
        weights = np.linalg.solve(triangle_BSS[row, :size, :size], along_BS[row, :size])
        sums.append((chosen_BS[row, :size], weights))
    return sums


def _origin(ids: NDArray[np.int64], weights: NDArray[np.float64]) -> Origin:
    order = np.argsort(-np.abs(weights), kind="stable")
    order = order[weights[order] != 0.0]
    return Origin("combined", tuple(ids[order].tolist()), tuple(weights[order].tolist()))
