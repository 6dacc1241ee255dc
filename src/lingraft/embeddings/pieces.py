"""Fast vocabulary transfer: a new token is the mean of the source pieces that spell it.

Gee et al. 2022, "Fast Vocabulary Transfer for Language Model Compression". Needs no pairs.
"""

from collections.abc import Iterator, Mapping

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


def backed_off_origins(
    evidence: Mapping[int, Origin], *, source: Tokenizer, target: Tokenizer
) -> list[Origin]:
    """Completes what a method knows of some tokens: the back-off that every method shares.

    In this order: the copy of the same special token, or of the same bytes if these are no
    letters (digits and punctuation stay one to one); the evidence; the copy of the same bytes;
    the pieces that spell the token; the mean of all rows.

    Args:
        evidence: Origins by target token.
        source: Tokenizer of the source model.
        target: The new tokenizer.

    Returns:
        One origin for each target token.
    """
    origins = []
    for token in range(len(target.vocabulary)):
        copy = copied_origin(token, source, target)
        if copy is not None and stays_one_to_one(token, copy, target):
            origins.append(copy)
        else:
            origins.append(evidence.get(token) or copy or _spelt(token, source, target))
    return origins


def shared_tokens(source: Tokenizer, target: Tokenizer) -> dict[int, int]:
    """Returns the source id of every target token, special ones aside, of the same bytes."""
    copies = (
        (token, copied_origin(token, source, target)) for token in range(len(target.vocabulary))
    )
    return {
        token: copy.source[0]
        for token, copy in copies
        if copy is not None and copy.rule == "copied"
    }


def stays_one_to_one(token: int, copy: Origin, target: Tokenizer) -> bool:
    """Whether a copy is right whatever the evidence: special tokens, digits, punctuation.

    Parts of a character count as letters: what they translate to is for the evidence to say.
    """
    piece = target.vocabulary.pieces[token]
    if copy.rule == "special" or piece is None:
        return True
    try:
        return not any(character.isalpha() for character in piece.decode("utf-8"))
    except UnicodeDecodeError:
        return False


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
