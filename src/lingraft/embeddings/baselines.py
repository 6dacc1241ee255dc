"""Rows that carry nothing over: the controls that belong in every table."""

from collections.abc import Sized

import numpy as np
from numpy.typing import NDArray

from lingraft.embeddings.matrix import EmbeddingMatrix, Origin
from lingraft.seeds import derive


def random_rows(source_rows: NDArray[np.float32], *, target: Sized, seed: int) -> EmbeddingMatrix:
    """Draws every row from a normal with the source rows' mean and deviation in each dimension.

    Args:
        source_rows: float32 (V_source, D).
        target: The new tokenizer or its vocabulary: only the number of ids is used.
        seed: Of the draw.

    Returns:
        Rows (V_target, D), rule ``"random"``.
    """
    generator = np.random.default_rng(derive(seed, "random_rows"))
    mean, deviation = source_rows.mean(axis=0), source_rows.std(axis=0)
    shape = (len(target), source_rows.shape[1])
    rows = (mean + deviation * generator.standard_normal(shape)).astype(np.float32)
    return EmbeddingMatrix.from_origins(rows, [Origin("random")] * len(target), method="random")


def mean_rows(source_rows: NDArray[np.float32], *, target: Sized) -> EmbeddingMatrix:
    """Gives every token the mean of the source rows.

    With equal rows in a tied head all logits are equal: right after the swap the model is exactly
    the uniform distribution over the new vocabulary, whatever it knew.

    Args:
        source_rows: float32 (V_source, D).
        target: The new tokenizer or its vocabulary: only the number of ids is used.

    Returns:
        Rows (V_target, D), rule ``"mean"``.
    """
    mean = source_rows.mean(axis=0, dtype=np.float64).astype(np.float32)
    rows = np.tile(mean, (len(target), 1))
    return EmbeddingMatrix.from_origins(rows, [Origin("mean")] * len(target), method="mean")
