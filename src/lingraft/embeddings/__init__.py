"""Rows for a new vocabulary: one file a method, all with one return type.

Each method asks only for what it uses; `METHODS` is what the command line reads.
"""

from collections.abc import Callable

from lingraft.embeddings.baselines import mean_rows, random_rows
from lingraft.embeddings.matrix import EmbeddingMatrix, Origin
from lingraft.embeddings.pieces import pieces_rows
from lingraft.embeddings.trans_tokenize import trans_tokenize_rows

METHODS: dict[str, Callable[..., EmbeddingMatrix]] = {
    "random": random_rows,
    "mean": mean_rows,
    "pieces": pieces_rows,
    "trans_tokenize": trans_tokenize_rows,
}

__all__ = [
    "METHODS",
    "EmbeddingMatrix",
    "Origin",
    "mean_rows",
    "pieces_rows",
    "random_rows",
    "trans_tokenize_rows",
]
