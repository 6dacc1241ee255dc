"""Fast vocabulary transfer: a new token is the mean of the source pieces that spell it.

Gee et al. 2022, "Fast Vocabulary Transfer for Language Model Compression". Needs no pairs.
"""

import numpy as np
from numpy.typing import NDArray

from lingraft.embeddings.matrix import EmbeddingMatrix, Origin, mix
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
        same = source.vocabulary.ids_by_bytes.get(piece)
        return None if same is None else Origin("copied", (same,), (1.0,))
    name = target.vocabulary.special.get(token)
    same = None if name is None else source.backend.token_to_id(name)
    if same is None:
        same = _same_role(name, source, target)
    return None if same is None else Origin("special", (same,), (1.0,))


def _same_role(name: str | None, source: Tokenizer, target: Tokenizer) -> int | None:
    """A start token stays the start token, also where the two vocabularies name it differently."""
    role = next((role for role, text in target.roles.items() if text == name), None)
    return None if role is None else source.role_id(role)


def _spelt(token: int, source: Tokenizer, target: Tokenizer) -> Origin:
    piece = target.vocabulary.pieces[token]
    ids = [] if piece is None else spell(piece, source)
    if not ids:
        return Origin("mean", depth=3)
    distinct, counts = np.unique(ids, return_counts=True)
    return Origin(
        "pieces", tuple(distinct.tolist()), tuple((counts / len(ids)).tolist()), depth=2
    )


def spell(piece: bytes, source: Tokenizer) -> list[int]:
    """Returns source ids whose bytes are `piece`, or an empty list where there are none.

    Text goes through the source tokenizer; the rest, such as half a character, byte by byte.
    """
    try:
        ids = source.encode(piece.decode("utf-8"))
    except UnicodeDecodeError:
        ids = []
    if ids and source.vocabulary.bytes_of(ids).strip() == piece.strip():
        return ids
    singles = [source.vocabulary.ids_by_bytes.get(bytes([byte])) for byte in piece]
    return [single for single in singles if single is not None]
