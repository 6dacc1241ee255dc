"""One view of every vocabulary: the bytes that each id stands for, or its role.

Byte-level BPE spells bytes as stand-in characters, SentencePiece spells a space as a low line and
raw bytes as ``<0xNN>``, WordPiece marks continuations: three spellings, and comparing them as
strings finds a third of the tokens that two vocabularies share.
"""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import tokenizers

_RAW_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")


@dataclass(frozen=True)
class Vocabulary:
    """What every id of a tokenizer stands for.

    Attributes:
        pieces: For each id its bytes; None where the id is special or unused.
        special: For each special id its text, e.g. ``{0: "<|endoftext|>"}``.
        fallback: Ids that spell one raw byte (``<0x41>``) of text that has no other spelling.
    """

    pieces: tuple[bytes | None, ...]
    special: dict[int, str]
    fallback: frozenset[int] = frozenset()

    def __len__(self) -> int:
        return len(self.pieces)

    @cached_property
    def ids_by_bytes(self) -> dict[bytes, int]:
        """The id of each byte string: the lowest, and a fallback byte only where no other is.

        SentencePiece has both ``<0x41>`` and ``A``, and no text is ever cut into the former.
        """
        ids: dict[bytes, int] = {}
        for token in sorted(range(len(self)), key=lambda token: token in self.fallback):
            piece = self.pieces[token]
            if piece is not None:
                ids.setdefault(piece, token)
        return ids

    def bytes_of(self, ids: Iterable[int]) -> bytes:
        """Returns the bytes that a sequence of ids spells; special ids spell none."""
        return b"".join(self.pieces[token] or b"" for token in ids)

    def describe(self, token: int) -> str:
        """Returns a token for a person to read: its text, a role, or bytes in hexadecimal."""
        piece = self.pieces[token]
        if piece is None:
            return self.special.get(token, f"unused {token}")
        try:
            return piece.decode("utf-8")
        except UnicodeDecodeError:
            return " ".join(f"{byte:02x}" for byte in piece)

    @classmethod
    def from_backend(cls, backend: tokenizers.Tokenizer) -> "Vocabulary":
        """Reads the bytes of every token out of a tokenizer's own rules."""
        content: dict[str, Any] = json.loads(backend.to_str())
        spelling = spelling_of(content)
        added = {entry["id"]: entry for entry in content["added_tokens"]}
        tokens = backend.get_vocab(with_added_tokens=True)
        pieces: list[bytes | None] = [None] * (max(tokens.values(), default=-1) + 1)
        special: dict[int, str] = {}
        fallback: set[int] = set()
        for token, number in tokens.items():
            if number in added:
                if added[number]["special"]:
                    special[number] = token
                else:
                    pieces[number] = token.encode("utf-8")
            else:
                pieces[number] = _SPELLINGS[spelling](token)
                if spelling == "sentencepiece" and _RAW_BYTE.fullmatch(token):
                    fallback.add(number)
        return cls(tuple(pieces), special, frozenset(fallback))


def byte_alphabet() -> dict[int, str]:
    """Returns the stand-in character of each byte in byte-level BPE (GPT-2's table)."""
    shown = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in shown]
    table = {byte: chr(byte) for byte in shown}
    return table | {byte: chr(256 + rank) for rank, byte in enumerate(hidden)}


_BYTE_OF = {character: byte for byte, character in byte_alphabet().items()}


def _byte_level(token: str) -> bytes:
    if all(character in _BYTE_OF for character in token):
        return bytes(_BYTE_OF[character] for character in token)
    return token.encode("utf-8")


def _sentencepiece(token: str) -> bytes:
    raw = _RAW_BYTE.fullmatch(token)
    if raw:
        return bytes([int(raw[1], 16)])
    return token.replace("\N{LOWER ONE EIGHTH BLOCK}", " ").encode("utf-8")


def _wordpiece(token: str) -> bytes:
    return token[2:].encode("utf-8") if token.startswith("##") else b" " + token.encode("utf-8")


_SPELLINGS: dict[str, Callable[[str], bytes]] = {
    "byte_level": _byte_level,
    "sentencepiece": _sentencepiece,
    "wordpiece": _wordpiece,
    "plain": lambda token: token.encode("utf-8"),
}


def spelling_of(content: dict[str, Any]) -> str:
    """Names how a `tokenizer.json` spells bytes: a key of the four kinds above.

    It decides by the file's own parts, since class names in configurations are unreliable.
    """
    parts = {
        step["type"]
        for key in ("normalizer", "pre_tokenizer", "decoder")
        for step in _steps(content.get(key))
    }
    if "ByteLevel" in parts:
        return "byte_level"
    prepends = any(
        step["type"] in ("Prepend", "Replace")
        and "\N{LOWER ONE EIGHTH BLOCK}" in json.dumps(step, ensure_ascii=False)
        for key in ("normalizer", "decoder")
        for step in _steps(content.get(key))
    )
    if "Metaspace" in parts or "ByteFallback" in parts or prepends:
        return "sentencepiece"
    return "wordpiece" if "WordPiece" in parts else "plain"


def _steps(part: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The steps of a normalizer, pre-tokenizer or decoder, sequences laid flat."""
    if part is None:
        return []
    nested = next((part[key] for key in part if isinstance(part[key], list)), None)
    if part["type"] == "Sequence" and nested is not None:
        return [step for child in nested for step in _steps(child)]
    return [part]
