"""Rows that are the mean of several methods' or several source languages' rows.

arXiv 2408.04303, section 3.3, takes the mean of the rows that pairs with English and pairs with a
language akin to the new one give.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lingraft.embeddings.matrix import EmbeddingMatrix, Origin
from lingraft.errors import InputError

_LEAST_NORM = 1e-12


def average_rows(matrices: Sequence[EmbeddingMatrix]) -> EmbeddingMatrix:
    """Averages rows of the same tokens in the same space, token by token.

    Where the matrices had to back off to different depths for a token, only the shallowest of
    them count: evidence is not watered down by a guess. A row's rule is the one that these share,
    else ``"averaged"``; its support is their sum.

    Args:
        matrices: Rows (V_target, D), made of the rows of one source model.

    Returns:
        Rows (V_target, D).

    Raises:
        InputError: No matrices, matrices of different shapes, or a row that is not made of source
            rows, as those of ``"random"`` are.
    """
    shapes = {matrix.rows.shape for matrix in matrices}
    if len(shapes) != 1:
        raise InputError(
            expected="one or more matrices of one shape",
            got=", ".join(map(str, sorted(shapes))) or "none",
            where="matrices",
        )
    rows = np.empty(shapes.pop(), dtype=np.float32)
    origins = []
    for token in range(len(rows)):
        found = [matrix.origin(token) for matrix in matrices]
        shallowest = min(origin.depth for origin in found)
        chosen = [n for n, origin in enumerate(found) if origin.depth == shallowest]
        rows[token] = np.mean([matrices[n].rows[token] for n in chosen], axis=0, dtype=np.float64)
        origins.append(_merged([found[n] for n in chosen], token))
    return EmbeddingMatrix.from_origins(rows, origins, method="averaged")


def row_cosines(one: EmbeddingMatrix, other: EmbeddingMatrix) -> NDArray[np.float64]:
    """Returns the cosine between the two rows of each token, (V_target,); 0 for a row of zeros."""
    a, b = one.rows.astype(np.float64), other.rows.astype(np.float64)
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosines: NDArray[np.float64] = (a * b).sum(axis=1) / np.maximum(norms, _LEAST_NORM)
    return cosines


def _merged(chosen: Sequence[Origin], token: int) -> Origin:
    rules = {origin.rule for origin in chosen}
    if rules == {"mean"}:
        return chosen[0]
    if not all(origin.source for origin in chosen):
        raise InputError(
            expected="rows made of source rows",
            got=f"rule {' and '.join(sorted(rules))}",
            where=f"row {token}",
        )
    ids = np.array([i for origin in chosen for i in origin.source])
    weights = np.array([w for origin in chosen for w in origin.weights]) / len(chosen)
    distinct, inverse = np.unique(ids, return_inverse=True)
    sums = np.bincount(inverse, weights=weights)
    order = np.argsort(-np.abs(sums), kind="stable")
    return Origin(
        rules.pop() if len(rules) == 1 else "averaged",
        tuple(distinct[order].tolist()),
        tuple(sums[order].tolist()),
        support=sum(origin.support for origin in chosen),
        depth=chosen[0].depth,
    )
