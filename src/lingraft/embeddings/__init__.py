"""Rows for a new vocabulary: one file a method, all with one return type.

Each method asks only for what it uses; `METHODS` is what the command line reads.
"""

from collections.abc import Callable

from lingraft.embeddings.averaging import average_rows, row_cosines
from lingraft.embeddings.baselines import mean_rows, random_rows
from lingraft.embeddings.dictionary import dictionary_rows
from lingraft.embeddings.focus import focus_rows
from lingraft.embeddings.matrix import EmbeddingMatrix, Origin
from lingraft.embeddings.omp import omp_rows
from lingraft.embeddings.pieces import pieces_rows
from lingraft.embeddings.trans_tokenize import trans_tokenize_rows
from lingraft.embeddings.vectors import WordVectors, train_token_vectors, train_word_vectors
from lingraft.embeddings.wechsel import wechsel_rows

METHODS: dict[str, Callable[..., EmbeddingMatrix]] = {
    "random": random_rows,
    "mean": mean_rows,
    "pieces": pieces_rows,
    "wechsel": wechsel_rows,
    "focus": focus_rows,
    "omp": omp_rows,
    "dictionary": dictionary_rows,
    "trans_tokenize": trans_tokenize_rows,
}

__all__ = [
    "METHODS",
    "EmbeddingMatrix",
    "Origin",
    "WordVectors",
    "average_rows",
    "dictionary_rows",
    "focus_rows",
    "mean_rows",
    "omp_rows",
    "pieces_rows",
    "random_rows",
    "row_cosines",
    "train_token_vectors",
    "train_word_vectors",
    "trans_tokenize_rows",
    "wechsel_rows",
]
