"""FOCUS: shared tokens keep their rows, a new token is a mix of the shared tokens it is used like.

Dobler & de Melo 2023, arXiv 2305.14481, section 2.
"""

import numpy as np
from numpy.typing import NDArray

from lingraft.embeddings.matrix import EmbeddingMatrix, Origin, mix, weighted_origin
from lingraft.embeddings.pieces import backed_off_origins, shared_tokens
from lingraft.embeddings.vectors import unit_rows
from lingraft.errors import InputError
from lingraft.tokenizer.tokenizer import Tokenizer

_TOKENS_AT_ONCE = 512


def focus_rows(
    source_rows: NDArray[np.float32],
    *,
    target_vectors: NDArray[np.float32],
    source: Tokenizer,
    target: Tokenizer,
) -> EmbeddingMatrix:
    """Mixes the rows of shared tokens by sparsemax over cosines in a space of the new tokens.

    Rules in their order, depth in brackets: ``"special"`` (0), ``"copied"`` (0, the same bytes),
    ``"similar"`` (0), ``"pieces"`` (2, the token has no vector), ``"mean"`` (3). The paper draws
    tokens without a vector at random; here they are spelt in pieces, as in all methods.

    Args:
        source_rows: float32 (V_source, D).
        target_vectors: float32 (V_target, K), e.g. from `train_token_vectors` on text of the new
            language; a row of zeros means no vector.
        source: Tokenizer of the source model.
        target: The new tokenizer.

    Returns:
        Rows (V_target, D).

    Raises:
        InputError: There is not one vector for each target token.
    """
    check_vectors(target_vectors, target)
    anchors, sources = anchor_tokens(target_vectors, source, target)
    units = unit_rows(target_vectors)
    evidence: dict[int, Origin] = {}
    tokens = new_tokens(target_vectors, source, target) if len(anchors) else []
    for first in range(0, len(tokens), _TOKENS_AT_ONCE):
        block = tokens[first : first + _TOKENS_AT_ONCE]
        for token, shares in zip(block, sparsemax(units[block] @ units[anchors].T), strict=True):
            kept = shares > 0
            evidence[token] = weighted_origin("similar", sources[kept], shares[kept])
    origins = backed_off_origins(evidence, source=source, target=target)
    return EmbeddingMatrix.from_origins(mix(source_rows, origins), origins, method="focus")


def sparsemax(scores: NDArray[np.floating]) -> NDArray[np.float64]:
    """Returns the point of the probability simplex that is nearest to each row of scores.

    Martins & Astudillo 2016, algorithm 1. Like softmax, but with zeros.

    Args:
        scores: (num_rows, num_columns), at least one column.

    Returns:
        float64 of the same shape; rows sum to 1.

    Example:
        >>> sparsemax(np.array([[0.5, 0.3, -1.0]])).round(6).tolist()
        [[0.6, 0.4, 0.0]]
    """
    falling = -np.sort(-scores.astype(np.float64), axis=1)
    excess = np.cumsum(falling, axis=1) - 1.0
    sizes = np.arange(1, scores.shape[1] + 1)
    size = (sizes * falling > excess).sum(axis=1)
    threshold = np.take_along_axis(excess, size[:, None] - 1, axis=1) / size[:, None]
    shares: NDArray[np.float64] = np.maximum(scores - threshold, 0.0)
    return shares


def anchor_tokens(
    target_vectors: NDArray[np.float32], source: Tokenizer, target: Tokenizer
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns the shared tokens that have a vector: their target ids and their source ids.

    In the order of the source, so that new numbers for target tokens change no result.
    """
    known = set(np.flatnonzero(target_vectors.any(axis=1)).tolist())
    shared = [(same, token) for token, same in shared_tokens(source, target).items()]
    ids = np.array(sorted(pair for pair in shared if pair[1] in known), dtype=np.int64)
    ids = ids.reshape(-1, 2)
    return ids[:, 1], ids[:, 0]


def new_tokens(
    target_vectors: NDArray[np.float32], source: Tokenizer, target: Tokenizer
) -> list[int]:
    """Returns the tokens that the source does not have and that have a vector."""
    shared = shared_tokens(source, target)
    pieces = target.vocabulary.pieces
    return [
        token
        for token in np.flatnonzero(target_vectors.any(axis=1)).tolist()
        if token not in shared and pieces[token] is not None
    ]


def check_vectors(target_vectors: NDArray[np.float32], target: Tokenizer) -> None:
    """Refuses vectors of another vocabulary.

    Raises:
        InputError: There is not one vector for each target token.
    """
    if target_vectors.ndim != 2 or len(target_vectors) != len(target):
        raise InputError(
            expected=f"one vector for each of the {len(target)} ids of the new tokenizer",
            got=f"shape {target_vectors.shape}",
            where="target_vectors",
        )
