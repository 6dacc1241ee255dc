"""Vectors of types from the company that they keep: counts, PPMI, truncated SVD.

WECHSEL and FOCUS train fastText; on the texts of a low-resource language counting is as good
(Levy, Goldberg & Dagan 2015, "Improving Distributional Similarity with Lessons Learned from Word
Embeddings", tables 2 to 5), needs nothing but numpy, and gives the same vectors every time: there
is no seed, because the decomposition is exact.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

DIMENSIONS = 100
WINDOW = 5
# Contexts are the most frequent types: the rest add little (Lebret & Collobert 2015), and the
# decomposition is of a square matrix of this size.
NUM_CONTEXTS = 2000
# Raising context counts to this power keeps rare contexts from looking informative (section 3.1).
_CONTEXT_POWER = 0.75
_POSITIONS_AT_ONCE = 1 << 20


def cooccurrence_vectors(
    sequences: Iterable[list[int]],
    *,
    num_types: int,
    dimensions: int = DIMENSIONS,
    window: int = WINDOW,
    min_count: int,
    num_contexts: int = NUM_CONTEXTS,
) -> NDArray[np.float32]:
    """Returns one vector for each type that occurs often enough.

    Counts of neighbours, a nearer one counting more; positive pointwise mutual information with
    smoothed contexts; U·S^½ of its singular value decomposition. Memory is that of a float32
    matrix (types that occur, contexts).

    Args:
        sequences: Texts as numbers of types, from 0.
        num_types: V.
        dimensions: K; columns beyond the matrix's rank are zero.
        window: Neighbours on each side.
        min_count: Occurrences under which a type has no vector.
        num_contexts: Types that count as neighbours, the most frequent ones.

    Returns:
        float32 (V, K); a row of zeros means that the type has no vector.
    """
    ids = _joined(sequences, gap=window)
    frequency = np.bincount(ids[ids >= 0], minlength=num_types)
    counted = np.flatnonzero(frequency >= max(min_count, 1))
    contexts = np.argsort(-frequency, kind="stable")[:num_contexts]
    contexts = contexts[frequency[contexts] > 0]
    row_of, column_of = np.full(num_types, -1), np.full(num_types, -1)
    row_of[counted] = np.arange(len(counted))
    column_of[contexts] = np.arange(len(contexts))
    matrix = _neighbour_counts(ids, row_of, column_of, (len(counted), len(contexts)), window)
    vectors = np.zeros((num_types, dimensions), dtype=np.float32)
    vectors[counted] = _decompose(_information(matrix), dimensions)
    return vectors


def _joined(sequences: Iterable[list[int]], *, gap: int) -> NDArray[np.int32]:
    """All sequences in one array, so far apart (by -1) that none is in another's window."""
    parts = [np.full(gap, -1, dtype=np.int32)]
    for sequence in sequences:
        parts += [np.array(sequence, dtype=np.int32), parts[0]]
    return np.concatenate(parts)


def _neighbour_counts(
    ids: NDArray[np.int32],
    row_of: NDArray[np.int64],
    column_of: NDArray[np.int64],
    shape: tuple[int, int],
    window: int,
) -> NDArray[np.float32]:
    """Sums (window + 1 - distance) / window over all neighbours, as word2vec weighs them."""
    matrix = np.zeros(shape, dtype=np.float32)
    flat = matrix.reshape(-1)
    for first in range(0, len(ids), _POSITIONS_AT_ONCE):
        for distance in range(1, window + 1):
            part = ids[first : first + _POSITIONS_AT_ONCE + distance]
            left, right = part[:-distance], part[distance:]
            both = (left >= 0) & (right >= 0)
            weight = np.float32((window + 1 - distance) / window)
            for here, there in ((left[both], right[both]), (right[both], left[both])):
                rows, columns = row_of[here], column_of[there]
                known = (rows >= 0) & (columns >= 0)
                np.add.at(flat, rows[known] * shape[1] + columns[known], weight)
    return matrix


def _information(matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turns counts into positive pointwise mutual information, in place."""
    of_context = matrix.sum(axis=0, dtype=np.float64) ** _CONTEXT_POWER
    of_context /= max(of_context.sum(), 1e-30)
    of_type = matrix.sum(axis=1, dtype=np.float64)
    matrix /= np.maximum(of_type, 1e-30)[:, None].astype(np.float32)
    matrix /= np.maximum(of_context, 1e-30)[None].astype(np.float32)
    np.maximum(matrix, 1.0, out=matrix)  # log 1 = 0: what is not positive, and what never met
    return np.log(matrix, out=matrix)


def _decompose(matrix: NDArray[np.float32], dimensions: int) -> NDArray[np.float32]:
    """Returns U·S^½ of a matrix with few columns, from the eigenvectors of its Gram matrix."""
    vectors = np.zeros((len(matrix), dimensions), dtype=np.float32)
    if matrix.size == 0:
        return vectors
    squares, right = np.linalg.eigh((matrix.T @ matrix).astype(np.float64))
    squares, right = squares[::-1][:dimensions], right[:, ::-1][:, :dimensions]
    # A float32 Gram matrix knows eigenvalues to some 1e-7 of the largest.
    kept = squares > 1e-6 * max(float(squares[0]), 1e-30)
    squares, right = squares[kept], right[:, kept]
    # Either sign of an eigenvector is one: the larger half decides, so that libraries agree.
    heaviest = np.abs(right).argmax(axis=0)
    right = right * np.sign(right[heaviest, np.arange(right.shape[1])])
    vectors[:, : len(squares)] = matrix @ (right * squares**-0.25).astype(np.float32)
    return vectors
