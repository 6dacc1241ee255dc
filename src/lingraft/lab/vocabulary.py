"""Words as tokens, and rows of words as padded rows of tokens.

Axes: I entries of the lexicon, L tokens of one entry, B rows, X words of a row, T tokens of a row.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lingraft.corpus.records import Document
from lingraft.errors import InputError
from lingraft.lab.lexicon import NOTHING, SPECIAL_NAMES, START, Lexicon
from lingraft.lab.settings import DEFAULT_BPE_SIZE, WorldSettings
from lingraft.tokenizer import Tokenizer, train_bpe

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

PAD, BOS = NOTHING, START


@dataclass(frozen=True, eq=False)
class TokenTable:
    """The tokens of every entry.

    Attributes:
        tokens_IL: Tokens, `PAD` behind.
        length_I: How many they are; 0 for the entry that is nothing.
        names: A readable name for every token id.
    """

    tokens_IL: Ints
    length_I: Ints
    names: tuple[str, ...]


def symbol_table(settings: WorldSettings, lexicon: Lexicon) -> TokenTable:
    """Makes every entry one token.

    Raises:
        InputError: More tokens are needed than `vocab_size` allows.
    """
    num = len(lexicon.spellings)
    if settings.vocab_size is not None and num > settings.vocab_size:
        raise InputError(
            expected=f"at least {num} token ids, {lexicon.value_RVK.size // settings.languages} "
            "values among what they name",
            got=str(settings.vocab_size),
            where="vocab_size",
            hint="fewer values, relations, subjects or template types need fewer tokens",
        )
    length_I = np.ones(num, dtype=np.int64)
    length_I[NOTHING] = 0
    return TokenTable(np.arange(num)[:, None], length_I, lexicon.spellings)


def byte_table(lexicon: Lexicon) -> TokenTable:
    """Spells every entry in UTF-8 bytes."""
    first = len(SPECIAL_NAMES)
    rows = [[first + byte for byte in text.encode("utf-8")] for text in lexicon.spellings]
    names = (f"{byte:02x}" if byte < 0x21 or byte > 0x7E else chr(byte) for byte in range(256))
    return _table(rows, (*SPECIAL_NAMES, *names))


def bpe_table(
    settings: WorldSettings, lexicon: Lexicon, texts_by_lang: Sequence[Sequence[str]]
) -> TokenTable:
    """Cuts every entry by byte pairs that are learnt from the world's own text.

    Separate merges cut each language's words by its own; pieces of equal letters are one token.
    """
    if settings.bpe_merges == "shared":
        tokenizers = [_train([text for texts in texts_by_lang for text in texts], settings)]
    else:
        tokenizers = [_train(texts, settings) for texts in texts_by_lang]
    ids: dict[bytes, int] = {}
    rows: list[list[int]] = []
    for text, lang in zip(lexicon.spellings, lexicon.langs, strict=True):
        tokenizer = tokenizers[0 if len(tokenizers) == 1 else lang or 0]
        pieces = [tokenizer.vocabulary.pieces[token] or b"" for token in tokenizer.encode(text)]
        rows.append([len(SPECIAL_NAMES) + ids.setdefault(piece, len(ids)) for piece in pieces])
    names = (piece.decode("utf-8", errors="backslashreplace") for piece in ids)
    return _table(rows, (*SPECIAL_NAMES, *names))


def compose(
    table: TokenTable, entries_BX: Ints, flags_BX: Bools, *, num_tokens: int | None = None
) -> tuple[Ints, Bools, Ints]:
    """Strings the tokens of rows of entries together.

    Args:
        table: The tokens of the entries.
        entries_BX: Entries; 0 is left out.
        flags_BX: A mark of each entry, which all its tokens take over.
        num_tokens: T, to pad to; None pads to the longest row.

    Returns:
        Tokens (B, T), their marks (B, T), and the length of each row.
    """
    valid_BXL = np.arange(table.tokens_IL.shape[1]) < table.length_I[entries_BX][:, :, None]
    length_B = table.length_I[entries_BX].sum(axis=1)
    num_tokens = int(length_B.max(initial=0)) if num_tokens is None else num_tokens
    # Both masks run through a row from left to right, so that their true places correspond.
    filled_BT = np.arange(num_tokens) < length_B[:, None]
    tokens_BT = np.full(filled_BT.shape, PAD, dtype=np.int64)
    marks_BT = np.zeros(filled_BT.shape, dtype=bool)
    tokens_BT[filled_BT] = table.tokens_IL[entries_BX][valid_BXL]
    marks_BT[filled_BT] = np.broadcast_to(flags_BX[:, :, None], valid_BXL.shape)[valid_BXL]
    return tokens_BT, marks_BT, length_B


def _train(texts: Sequence[str], settings: WorldSettings) -> Tokenizer:
    documents = [Document(text, f"sample-{number}") for number, text in enumerate(texts)]
    # The rules are named, or else the scripts of a small sample would choose them.
    return train_bpe(documents, vocab_size=settings.vocab_size or DEFAULT_BPE_SIZE, words="gpt-2")


def _table(rows: list[list[int]], names: tuple[str, ...]) -> TokenTable:
    """Pads the entries' tokens; the start of text gets its special id."""
    rows[START] = [BOS]
    length_I = np.array([len(row) for row in rows], dtype=np.int64)
    tokens_IL = np.full((len(rows), length_I.max()), PAD, dtype=np.int64)
    for entry, row in enumerate(rows):
        tokens_IL[entry, : len(row)] = row
    return TokenTable(tokens_IL, length_I, names)
