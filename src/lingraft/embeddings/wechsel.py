"""WECHSEL: a new token is a mean of the source tokens that are nearest in a shared word space.

Minixhofer, Paischer & Rekabsaz 2022, arXiv 2112.06598, section 3. Without its downloads: word
vectors are trained on the texts at hand (`vectors.train_word_vectors`) or given, and word pairs
come from a dictionary or from word links.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from lingraft.corpus.records import Pair
from lingraft.embeddings.matrix import EmbeddingMatrix, Origin, mix, weighted_origin
from lingraft.embeddings.pieces import backed_off_origins
from lingraft.embeddings.vectors import (
    WordVectors,
    token_vectors_from_words,
    unit_rows,
)
from lingraft.errors import InputError
from lingraft.tokenizer.tokenizer import Tokenizer
from lingraft.tokenizer.words import folded

NUM_NEIGHBOURS = 10
TEMPERATURE = 0.1
_TOKENS_AT_ONCE = 512


def wechsel_rows(
    source_rows: NDArray[np.float32],
    *,
    source_words: WordVectors,
    target_words: WordVectors,
    word_pairs: Iterable[Pair],
    source: Tokenizer,
    target: Tokenizer,
    num_neighbours: int = NUM_NEIGHBOURS,
    temperature: float = TEMPERATURE,
) -> EmbeddingMatrix:
    """Carries rows over by nearness in word vectors that were rotated onto each other.

    Rules in their order, depth in brackets: ``"special"`` (0), ``"copied"`` (0, the same bytes
    without letters, or without a vector), ``"neighbours"`` (0, mean of the nearest source tokens,
    weighted by the softmax of cosine / temperature), ``"pieces"`` (2), ``"mean"`` (3). The paper
    draws tokens without a vector at random; here they are spelt in pieces, as in all methods.

    Args:
        source_rows: float32 (V_source, D).
        source_words: Vectors of the source language's words.
        target_words: Vectors of the new language's words.
        word_pairs: Words and their translations, which the rotation is fitted to; compared
            without case.
        source: Tokenizer of the source model.
        target: The new tokenizer.
        num_neighbours: Source tokens that make a row.
        temperature: Of the softmax; the lower, the more the nearest one counts.

    Returns:
        Rows (V_target, D).

    Raises:
        InputError: The spaces have different dimensions, no pair of words has vectors on both
            sides, or a setting is not positive.
    """
    _check(source_words, target_words, num_neighbours, temperature)
    evidence: dict[int, Origin] = {}
    if len(source_words) and len(target_words):
        source_words, target_words = _centred(source_words), _centred(target_words)
        rotation = procrustes(*_matched_vectors(source_words, target_words, word_pairs))
        evidence = _neighbours(
            token_vectors_from_words(target_words, tokenizer=target) @ rotation,
            token_vectors_from_words(source_words, tokenizer=source),
            num_neighbours,
            temperature,
        )
    origins = backed_off_origins(evidence, source=source, target=target)
    return EmbeddingMatrix.from_origins(mix(source_rows, origins), origins, method="wechsel")


def procrustes(
    source_vectors: NDArray[np.floating], target_vectors: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Returns the orthogonal W (K, K) for which target_vectors @ W is nearest to source_vectors.

    Schönemann 1966. Both inputs are (num_pairs, K), in the same order.
    """
    left, _, right = np.linalg.svd(
        target_vectors.T.astype(np.float64) @ source_vectors.astype(np.float64)
    )
    rotation: NDArray[np.float64] = left @ right
    return rotation


def _check(
    source_words: WordVectors, target_words: WordVectors, num_neighbours: int, temperature: float
) -> None:
    if source_words.dimensions != target_words.dimensions:
        raise InputError(
            expected=f"target words in {source_words.dimensions} dimensions, as the source's",
            got=str(target_words.dimensions),
            where="word vectors",
        )
    if num_neighbours < 1:
        raise InputError(
            expected="at least 1 neighbour", got=str(num_neighbours), where="num_neighbours"
        )
    if not temperature > 0.0:
        raise InputError(
            expected="a temperature above 0", got=str(temperature), where="temperature"
        )


def _centred(words: WordVectors) -> WordVectors:
    """Unit vectors around their mean: two spaces that are centred differ by less than a rotation.

    Artetxe, Labaka & Agirre 2018, "Generalizing and Improving Bilingual Word Embedding Mappings",
    section 2.1.
    """
    units = unit_rows(words.vectors)
    centred = unit_rows(units - np.average(units, axis=0, weights=words.counts))
    return WordVectors(words.words, words.counts, centred.astype(np.float32))


def _matched_vectors(
    source_words: WordVectors, target_words: WordVectors, word_pairs: Iterable[Pair]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The vectors of both words of every pair that has two."""
    source_numbers, target_numbers = _numbers(source_words), _numbers(target_words)
    num_pairs, found = 0, []
    for pair in word_pairs:
        num_pairs += 1
        numbers = (
            source_numbers.get(folded(pair.source)),
            target_numbers.get(folded(pair.target)),
        )
        if None not in numbers:
            found.append(numbers)
    if not found:
        raise InputError(
            expected="a word pair of which both words have vectors",
            got=f"none in {num_pairs} pairs",
            where="word_pairs",
            hint="a larger dictionary or more text helps",
        )
    chosen = np.array(found, dtype=np.int64)
    return source_words.vectors[chosen[:, 0]], target_words.vectors[chosen[:, 1]]


def _numbers(words: WordVectors) -> dict[str, int]:
    """The place of each word without case; of several spellings, the first."""
    numbers: dict[str, int] = {}
    for number, word in enumerate(words.words):
        numbers.setdefault(folded(word), number)
    return numbers


def _neighbours(
    target_vectors: NDArray[np.floating],
    source_vectors: NDArray[np.floating],
    num_neighbours: int,
    temperature: float,
) -> dict[int, Origin]:
    """For each target token with a vector, its nearest source tokens and their softmax."""
    targets = np.flatnonzero(target_vectors.any(axis=1))
    sources = np.flatnonzero(source_vectors.any(axis=1))
    target_units, source_units = unit_rows(target_vectors), unit_rows(source_vectors[sources])
    num_kept = min(num_neighbours, len(sources))
    origins: dict[int, Origin] = {}
    if num_kept == 0:
        return origins
    for first in range(0, len(targets), _TOKENS_AT_ONCE):
        tokens = targets[first : first + _TOKENS_AT_ONCE]
        cosines = target_units[tokens] @ source_units.T
        nearest = np.argpartition(-cosines, num_kept - 1, axis=1)[:, :num_kept]
        nearest.sort(axis=1)  # equal cosines are then ordered by id
        scores = np.take_along_axis(cosines, nearest, axis=1) / temperature
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        for token, chosen, share in zip(tokens.tolist(), nearest, shares, strict=True):
            kept = share > 0
            origins[token] = weighted_origin("neighbours", sources[chosen[kept]], share[kept])
    return origins
