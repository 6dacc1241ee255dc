"""A cipher that keeps content and changes form: every letter becomes another, one to one."""

import random
import unicodedata
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from functools import lru_cache

import regex

from lingraft.corpus.records import Documents
from lingraft.corpus.scripts import OTHER_SCRIPT, letter_script
from lingraft.errors import InputError
from lingraft.seeds import derive

MIN_ENCIPHERED = 0.9
"""Of a text's letters: with fewer, much of its form would be left."""

_ALL = "".join(map(chr, (*range(0xD800), *range(0xE000, 0x110000))))  # but for half surrogates


@dataclass(frozen=True)
class Enciphered:
    """Text in a cipher.

    Attributes:
        documents: The texts under their old language and ids; every character has as many bytes
            as the one in its place had.
        num_changed: Letters that were replaced.
        num_letters: All letters. The others have no other letter of their script, case and
            length, or are no script's own, such as the long-vowel mark of kana.
    """

    documents: Documents
    num_changed: int
    num_letters: int

    @property
    def share(self) -> float:
        """Replaced by all letters; 0 without letters."""
        return self.num_changed / self.num_letters if self.num_letters else 0.0


def encipher(documents: Documents, *, seed: int) -> Enciphered:
    """Replaces every letter by another of its script, case and number of bytes.

    One cipher for all text: a letter is always replaced by the same one, which no other letter
    is replaced by, and an upper-case letter by the upper case of what its lower case is replaced
    by. Marks, digits and punctuation stay.

    Args:
        documents: The texts; they stay as they are.
        seed: Of the cipher.

    Raises:
        InputError: Fewer than `MIN_ENCIPHERED` of the letters can be replaced.
    """
    letters = Counter(char for document in documents for char in document.text if char.isalpha())
    scripts = {char: letter_script(char) for char in letters}
    cipher: dict[str, str] = {}
    for script in sorted(set(filter(None, scripts.values())) - {OTHER_SCRIPT}):
        cipher |= _cipher(script, seed)
    kept = Counter[str]()
    for char, count in letters.items():
        if char not in cipher:
            kept[scripts[char] or "Zyyy"] += count
    found = Enciphered(
        documents=_translated(documents, cipher),
        num_changed=letters.total() - kept.total(),
        num_letters=letters.total(),
    )
    if found.share < MIN_ENCIPHERED:
        most = ", ".join(script for script, _ in kept.most_common(1))
        raise InputError(
            expected=f"text of which a cipher can change at least {MIN_ENCIPHERED:.0%} of the "
            "letters",
            got=f"{found.share:.0%} of {found.num_letters} letters"
            + (f"; most of the others are of script {most}" if most else ""),
            where=f"text of {documents.lang} to encipher",
            hint="encipher a language in another script, or leave this control out",
        )
    return found


def _translated(documents: Documents, cipher: dict[str, str]) -> Documents:
    table = str.maketrans(cipher)
    rows = [replace(document, text=document.text.translate(table)) for document in documents]
    return replace(documents, records=tuple(rows))


@lru_cache(maxsize=8)
def _cipher(script: str, seed: int) -> dict[str, str]:
    """What replaces each letter of a script; whatever the text, so that all texts agree."""
    found = regex.findall(rf"(?V1)[\p{{Script={script}}}&&\p{{L}}]", _ALL)
    # Letters that a normalization turns into others would make two letters one.
    letters = [letter for letter in found if unicodedata.normalize("NFKC", letter) == letter]
    there = set(letters)
    pairs = {lower: upper for lower in letters if (upper := _upper(lower)) in there}
    uppers = set(pairs.values())
    groups: dict[tuple[object, ...], list[str]] = defaultdict(list)
    for letter in letters:
        if letter not in uppers:
            groups[_kind(letter), _kind(pairs.get(letter, ""))].append(letter)
    cipher: dict[str, str] = {}
    for kind, group in groups.items():
        if len(group) > 1:
            random.Random(derive(seed, "cipher", script, str(kind))).shuffle(group)
            # Each becomes the next of the circle: none stays, whatever the order.
            cipher.update(zip(group, [*group[1:], group[0]], strict=True))
    cipher |= {pairs[one]: pairs[cipher[one]] for one in pairs if one in cipher}
    return cipher


def _kind(letter: str) -> tuple[object, ...]:
    """What letters that change places have in common.

    Composed letters change places with composed ones of as many parts, so that a syllable of
    Hangul stays one and no neighbours come to compose.
    """
    if not letter:
        return ()
    parts = len(unicodedata.normalize("NFD", letter))
    return unicodedata.category(letter), len(letter.encode("utf-8")), parts


def _upper(lower: str) -> str:
    """The upper case of a letter whose lower case it is; empty for all other letters."""
    upper = lower.upper()
    return upper if upper != lower and upper.lower() == lower and len(upper) == 1 else ""
