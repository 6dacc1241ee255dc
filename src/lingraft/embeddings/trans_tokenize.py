"""Trans-tokenization: a new token's row is the mean of the source tokens that it translates.

arXiv 2408.04303, section 3, without the defects of the published code: words were cut on the
text, back-off for unmapped tokens goes through an index instead of a search over all pairs of
strings, and nothing is floored at one count.
"""

import bisect
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from lingraft.alignment.tables import TranslationTable
from lingraft.embeddings.matrix import EmbeddingMatrix, Origin, lengthened, mix, weighted_origin
from lingraft.embeddings.pieces import copied_origin, pieces_origins, stays_one_to_one
from lingraft.errors import InputError
from lingraft.tokenizer.tokenizer import Tokenizer

# Entries under this share of the row's heaviest are noise of the alignment: dropping them lowers
# bits per byte right after the swap (docs/log.md, "trans_tokenize: pruning").
MIN_SHARE_OF_BEST = 0.1
# Chosen on valid rows of three languages (docs/log.md, "rows want whole words").
RESTORED_LENGTH = 0.3
_MAX_RELATIVES = 32


def trans_tokenize_rows(
    source_rows: NDArray[np.float32],
    *,
    table: TranslationTable,
    source: Tokenizer,
    target: Tokenizer,
    min_share: float = MIN_SHARE_OF_BEST,
    restored_length: float = RESTORED_LENGTH,
) -> EmbeddingMatrix:
    """Carries rows over through a translation table.

    Rules in their order, depth in brackets: ``"special"`` (0, same special token), ``"copied"``
    (0, the same bytes without letters, so that digits and punctuation stay one to one, or without
    evidence of their own), ``"table"`` (0, weighted mean of the translated source tokens),
    ``"relatives"`` (1, mean of the longer mapped tokens that begin with this one, or of the mapped
    tokens that together spell it), ``"pieces"`` (2, mean of the source pieces that spell it),
    ``"mean"`` (3, mean of all source rows). Rows of several sources then get a share of their
    sources' length back, see `matrix.lengthened`.

    Args:
        source_rows: float32 (V_source, D).
        table: Expected counts (V_target, V_source).
        source: Tokenizer of the source model.
        target: The new tokenizer.
        min_share: Table entries under this share of their row's heaviest are dropped.
        restored_length: Share of the length that mixing takes which is given back; 0 for plain
            weighted means, as published.

    Returns:
        Rows (V_target, D).

    Raises:
        InputError: The table is of other vocabularies, or a share is none.
    """
    _check(table, source, target)
    _check_share(min_share, "min_share")
    _check_share(restored_length, "restored_length")
    origins: list[Origin | None] = []
    for token in range(len(target.vocabulary)):
        copy = copied_origin(token, source, target)
        if copy is not None and stays_one_to_one(token, copy, target):
            origins.append(copy)
        else:
            origins.append(_from_table(token, table, copy, min_share) or copy)
    _fill_from_relatives(origins, target)
    spelt = pieces_origins(source, target) if None in origins else []
    full = [spelt[token] if origin is None else origin for token, origin in enumerate(origins)]
    rows = lengthened(mix(source_rows, full), source_rows, full, share=restored_length)
    return EmbeddingMatrix.from_origins(rows, full, method="trans_tokenize")


def _check(table: TranslationTable, source: Tokenizer, target: Tokenizer) -> None:
    if (len(table), table.num_source) != (len(target), len(source)):
        raise InputError(
            expected=f"a table of shape ({len(target)}, {len(source)}), ids of the two tokenizers",
            got=f"({len(table)}, {table.num_source})",
            where="table",
        )


def _check_share(share: float, name: str) -> None:
    if not 0.0 <= share <= 1.0:
        raise InputError(expected="a share from 0 to 1", got=str(share), where=name)


def _from_table(
    token: int, table: TranslationTable, copy: Origin | None, min_share: float
) -> Origin | None:
    """Normalises one row of the table; the same string in both languages counts once more."""
    ids, counts = table.row(token)
    support = float(counts.sum())
    if support <= 0.0:
        return None
    if copy is not None:
        ids = np.append(ids, np.int32(copy.source[0]))
        counts = np.append(counts, 1.0)
        ids, inverse = np.unique(ids, return_inverse=True)
        counts = np.bincount(inverse, weights=counts).astype(np.float64)
    kept = counts >= min_share * counts.max()
    return weighted_origin("table", ids[kept], counts[kept], support=support)


def _fill_from_relatives(origins: list[Origin | None], target: Tokenizer) -> None:
    """Gives tokens without evidence the mean of mapped tokens that contain or spell them."""
    pieces = target.vocabulary.pieces
    mapped = {
        piece: token
        for token, piece in enumerate(pieces)
        if piece is not None and (origin := origins[token]) is not None and origin.rule == "table"
    }
    in_order = sorted(mapped)
    for token, piece in enumerate(pieces):
        if origins[token] is None and piece:
            relatives = list(_longer(piece, in_order)) or _cover(piece, mapped)
            if relatives:
                chosen = [origins[mapped[relative]] for relative in relatives]
                origins[token] = _mean_of([origin for origin in chosen if origin is not None])


def _longer(piece: bytes, in_order: list[bytes]) -> Iterator[bytes]:
    """The mapped tokens that begin with `piece`, by bisection: they stand in one run."""
    first = bisect.bisect_left(in_order, piece)
    for candidate in in_order[first : first + _MAX_RELATIVES]:
        if not candidate.startswith(piece):
            return
        yield candidate


def _cover(piece: bytes, mapped: dict[bytes, int]) -> list[bytes]:
    """Mapped tokens that spell most of `piece`, greedily the longest from the left.

    At least half of the bytes have to be covered by parts longer than a byte, else the parts say
    nothing about the whole.
    """
    parts, at, covered = [], 0, 0
    while at < len(piece):
        end = next((e for e in range(len(piece), at + 1, -1) if piece[at:e] in mapped), None)
        if end is None:
            at += 1
        else:
            parts.append(piece[at:end])
            covered += end - at
            at = end
    return parts if 2 * covered >= len(piece) else []


def _mean_of(origins: list[Origin]) -> Origin:
    ids = np.array([i for origin in origins for i in origin.source])
    weights = np.array([w for origin in origins for w in origin.weights]) / len(origins)
    distinct, inverse = np.unique(ids, return_inverse=True)
    return weighted_origin("relatives", distinct, np.bincount(inverse, weights=weights), depth=1)
