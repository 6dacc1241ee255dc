"""Fast vocabulary transfer: a new token is the mean of the source pieces that spell it.

Gee et al. 2022, "Fast Vocabulary Transfer for Language Model Compression". Needs no pairs.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from lingraft.embeddings.matrix import EmbeddingMatrix, Origin, mix, weighted_origin
from lingraft.tokenizer.tokenizer import Tokenizer


def pieces_rows(
    source_rows: NDArray[np.float32], *, source: Tokenizer, target: Tokenizer
) -> EmbeddingMatrix:
    """Spells every new token in source pieces and takes their mean.

    Rules: ``"special"`` (same special token), ``"copied"`` (same bytes), ``"pieces"`` (mean of the
    source tokens of the same bytes), ``"mean"`` (the source cannot spell it).

    Args:
        source_rows: float32 (V_source, D).
        source: Tokenizer of the source model.
        target: The new tokenizer.

    Returns:
        Rows (V_target, D). Tokens that both vocabularies have keep their rows to the bit.
    """
    origins = pieces_origins(source, target)
    return EmbeddingMatrix.from_origins(mix(source_rows, origins), origins, method="pieces")


def pieces_origins(source: Tokenizer, target: Tokenizer) -> list[Origin]:
    """Returns for each new token how the source vocabulary spells it."""
    return [
        copied_origin(token, source, target) or _spelt(token, source, target)
        for token in range(len(target.vocabulary))
    ]


def copied_origin(token: int, source: Tokenizer, target: Tokenizer) -> Origin | None:
    """Returns the copy of the same special token or of the same bytes, or None."""
    piece = target.vocabulary.pieces[token]
    if piece is not None:
        same = _same_bytes(piece, target.backend.id_to_token(token), source)
        return None if same is None else Origin("copied", (same,), (1.0,))
    name = target.vocabulary.special.get(token)
    same = None if name is None else source.backend.token_to_id(name)
    if same is None:
        same = _same_role(name, source, target)
    return None if same is None else Origin("special", (same,), (1.0,))


def _same_bytes(piece: bytes, spelling: str | None, source: Tokenizer) -> int | None:
    """The same spelling first: two tokens may have the same bytes, and each keeps its own row."""
    same = None if spelling is None else source.backend.token_to_id(spelling)
    if same is not None and source.vocabulary.pieces[same] == piece:
        return int(same)
    return source.vocabulary.ids_by_bytes.get(piece)


def _same_role(name: str | None, source: Tokenizer, target: Tokenizer) -> int | None:
    """A start token stays the start token, also where the two vocabularies name it differently."""
    same = (source.role_id(role) for role, text in target.roles.items() if text == name)
    return next((token for token in same if token is not None), None)


def _spelt(token: int, source: Tokenizer, target: Tokenizer) -> Origin:
    piece = target.vocabulary.pieces[token]
    ids = [] if piece is None else spell(piece, source)
    if not ids:
        return Origin("mean", depth=3)
    distinct, counts = np.unique(ids, return_counts=True)
    return weighted_origin("pieces", distinct, counts, depth=2)


def spell(piece: bytes, source: Tokenizer) -> list[int]:
    """Returns source ids whose bytes are `piece`, or an empty list where there are none.

    Text goes through the source tokenizer, and may gain a space in front where that tokenizer
    puts one; the rest, such as half a character, goes byte by byte.
    """
    try:
        text = piece.decode("utf-8")
    except UnicodeDecodeError:
        text = ""
    vocabulary = source.vocabulary
    spelt = list(_spellings(text, source))
    for ids in spelt:
        if vocabulary.bytes_of(ids) == piece:
            return ids
    for ids in spelt:
        if vocabulary.bytes_of(ids).lstrip(b" ") == piece.lstrip(b" "):
            return ids
    singles = [vocabulary.ids_by_bytes.get(bytes([byte])) for byte in piece]
    known = [single for single in singles if single is not None]
    return known if len(known) == len(piece) else []


def _spellings(text: str, source: Tokenizer) -> Iterator[list[int]]:
    """The text's tokens, also without a space that the tokenizer may have put in front."""
    pieces = source.vocabulary.pieces
    for way in (text, text.removeprefix(" ")):
        ids = source.encode(way)
        if ids and all(pieces[token] is not None for token in ids):
            yield ids
            if pieces[ids[0]] == b" " and len(ids) > 1:
                yield ids[1:]
