"""Trans-tokenization: a new token's row is the mean of the source tokens that it translates.

arXiv 2408.04303, section 3, without the defects of the published code: words were cut on the
text, back-off for unmapped tokens goes through an index instead of a search over all pairs of
strings, and nothing is floored at one count.
"""

import bisect
import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from lingraft.alignment.tables import TranslationTable
from lingraft.embeddings.matrix import EmbeddingMatrix, Origin, lengthened, mix, weighted_origin
from lingraft.embeddings.pieces import pieces_origins, stays_one_to_one
from lingraft.errors import InputError
from lingraft.tokenizer.tokenizer import Tokenizer

# Entries under this share of the row's heaviest are noise of the alignment: dropping them lowers
# bits per byte right after the swap (docs/log.md, "trans_tokenize: pruning").
MIN_SHARE_OF_BEST = 0.1
# Chosen on valid rows of three languages (docs/log.md, "rows want whole words").
RESTORED_LENGTH = 0.3
# Chosen on valid rows of three languages (docs/log.md, "spelling as a prior").
PRIOR_LINKS = 5.0
_MAX_RELATIVES = 32


def trans_tokenize_rows(
    source_rows: NDArray[np.float32],
    *,
    table: TranslationTable,
    source: Tokenizer,
    target: Tokenizer,
    min_share: float = MIN_SHARE_OF_BEST,
    restored_length: float = RESTORED_LENGTH,
    prior_links: float = PRIOR_LINKS,
) -> EmbeddingMatrix:
    """Carries rows over through a translation table.

    Rules in their order, depth in brackets: ``"special"`` (0, same special token), ``"copied"``
    (0, the same bytes without letters, so that digits and punctuation stay one to one, or without
    evidence of their own), ``"table"`` (0, weighted mean of the translated source tokens and, as
    so many links more, of the source pieces that spell the token),
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
        prior_links: Links that the token's own spelling stands for beside the table's; 0 for the
            table alone, as published.

    Returns:
        Rows (V_target, D).

    Raises:
        InputError: The table is of other vocabularies, a share is none, or there are fewer than
            0 prior links.
    """
    _check(table, source, target)
    _check_share(min_share, "min_share")
    _check_share(restored_length, "restored_length")
    if not 0.0 <= prior_links < math.inf:
        raise InputError(expected="0 links or more", got=str(prior_links), where="prior_links")
    spelt = pieces_origins(source, target)
    origins: list[Origin | None] = []
    for token, spelling in enumerate(spelt):
        copied = spelling if spelling.rule in ("special", "copied") else None
        if copied is not None and stays_one_to_one(token, copied, target):
            origins.append(copied)
        else:
            origins.append(_from_table(token, table, spelling, prior_links, min_share) or copied)
    _fill_from_relatives(origins, target)
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
    token: int,
    table: TranslationTable,
    spelling: Origin,
    prior_links: float,
    min_share: float,
) -> Origin | None:
    """Normalises one row of the table, beside which the token's own spelling counts as links.

    That is the posterior mean under a Dirichlet prior of `prior_links` counts: names and loans
    are kept, and a row of few links leans on something that every token has.
    """
    ids, counts = table.row(token)
    support = float(counts.sum())
    if support <= 0.0:
        return None
    kept = counts >= min_share * counts.max()
    ids, counts = ids[kept], counts[kept]
    if prior_links > 0.0:
        ids = np.append(ids, np.array(spelling.source, dtype=ids.dtype))
        counts = np.append(counts, prior_links * np.array(spelling.weights))
    distinct, inverse = np.unique(ids, return_inverse=True)
    summed = np.bincount(inverse, weights=counts)
    return weighted_origin("table", distinct, summed, support=support)


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
