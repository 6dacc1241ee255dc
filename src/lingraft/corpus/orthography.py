"""Spellings that look the same and are not: reported always, changed only on request."""

import unicodedata
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

import regex

from lingraft.corpus.records import Documents
from lingraft.corpus.scripts import letter_script
from lingraft.errors import InputError

ZWNJ, ZWJ = "\u200c", "\u200d"
APOSTROPHES = {"'": "U+0027", "\u2019": "U+2019", "\u02bc": "U+02BC"}
NUM_EXAMPLES = 10

_ALPHABETS = ("Latn", "Cyrl", "Grek")
# Letters that look alike in the three alphabets, in their order; "-" where one has none.
_LOOKALIKES = (
    "AАΑ BВΒ CС- EЕΕ HНΗ IІΙ JЈ- KКΚ MМΜ N-Ν OОΟ PРΡ SЅ- TТΤ XХΧ YУΥ Z-Ζ "
    "aа- cс- eе- iі- jј- oоο pр- sѕ- u-υ v-ν xх- yу-"
)
_WORD = regex.compile(r"\p{L}[\p{L}\p{M}]*")
_INNER_APOSTROPHE = regex.compile(r"(?<=[\p{L}\p{M}])['\u2019\u02bc](?=\p{L})")
_CHANGE_OF_SCRIPT = regex.compile(
    r"\p{Script=Latn}[\p{M}\p{Lm}]*[\p{Script=Cyrl}\p{Script=Grek}]"
    r"|\p{Script=Cyrl}[\p{M}\p{Lm}]*[\p{Script=Latn}\p{Script=Grek}]"
    r"|\p{Script=Grek}[\p{M}\p{Lm}]*[\p{Script=Latn}\p{Script=Cyrl}]"
)


@dataclass(frozen=True)
class OrthographyReport:
    """How consistently a corpus is spelled.

    Attributes:
        num_texts: Documents looked at.
        num_not_nfc: Documents that are not in Unicode normal form C.
        num_zwnj: Zero-width non-joiners (U+200C); many scripts need them.
        num_zwj: Zero-width joiners (U+200D).
        apostrophes: Count of each kind of apostrophe within words, e.g. ``{"U+2019": 12}``.
        num_mixed_words: Words with letters of two of the scripts Latin, Cyrillic and Greek.
        mixed_words: The first few different ones.
        script_shares: Share of all letters in each script, the most frequent first.
    """

    num_texts: int
    num_not_nfc: int
    num_zwnj: int
    num_zwj: int
    apostrophes: Mapping[str, int]
    num_mixed_words: int
    mixed_words: tuple[str, ...]
    script_shares: Mapping[str, float]

    @property
    def share_not_nfc(self) -> float | None:
        """Share of the documents that are not in NFC; None without documents."""
        return self.num_not_nfc / self.num_texts if self.num_texts else None

    @property
    def mixes_apostrophes(self) -> bool:
        """Whether more than one kind of apostrophe occurs within words."""
        return len(self.apostrophes) > 1


@dataclass(frozen=True)
class NormalizationReport:
    """What `normalize` changed, each counted where it was done.

    Attributes:
        num_changed_texts: Documents that differ from before.
        num_nfc: Documents brought into NFC.
        num_apostrophes: Apostrophes replaced.
        num_zwnj: Zero-width non-joiners removed.
        num_homoglyph_words: Words whose foreign letters were replaced by their lookalikes.
    """

    num_changed_texts: int
    num_nfc: int
    num_apostrophes: int
    num_zwnj: int
    num_homoglyph_words: int


def inspect_orthography(documents: Documents) -> OrthographyReport:
    """Reports spellings that split one word into several types; changes nothing."""
    characters: Counter[str] = Counter()
    apostrophes: Counter[str] = Counter()
    mixed: Counter[str] = Counter()
    num_not_nfc = 0
    for document in documents:
        text = document.text
        characters.update(text)
        num_not_nfc += not unicodedata.is_normalized("NFC", text)
        apostrophes.update(APOSTROPHES[a] for a in _INNER_APOSTROPHE.findall(text))
        mixed.update(_mixed_words(text))
    scripts: Counter[str] = Counter()
    for character, count in characters.items():
        if script := letter_script(character):
            scripts[script] += count
    return OrthographyReport(
        num_texts=len(documents),
        num_not_nfc=num_not_nfc,
        num_zwnj=characters[ZWNJ],
        num_zwj=characters[ZWJ],
        apostrophes=dict(sorted(apostrophes.items())),
        num_mixed_words=mixed.total(),
        mixed_words=tuple(mixed)[:NUM_EXAMPLES],
        script_shares={s: n / scripts.total() for s, n in scripts.most_common()},
    )


def normalize(
    documents: Documents,
    *,
    nfc: bool = False,
    apostrophe: str | None = None,
    strip_zwnj: bool = False,
    homoglyphs: bool = False,
) -> tuple[Documents, NormalizationReport]:
    """Changes spellings, each kind only where it is asked for.

    Args:
        documents: The corpus; it stays as it is.
        nfc: Bring texts into Unicode normal form C.
        apostrophe: One of ``'``, ``U+2019`` and ``U+02BC`` as a character; replaces the other
            two between letters. Quotation marks stay.
        strip_zwnj: Remove U+200C. Persian and many Indic languages need it: ask a speaker.
        homoglyphs: In words that mix Latin, Cyrillic and Greek, replace letters by their
            lookalikes in the script of most letters (of the language, if as many), provided that
            all foreign letters have one.

    Returns:
        The documents, those without changes being the same objects, and the counts.

    Raises:
        InputError: `apostrophe` is none of the three.
    """
    if apostrophe is not None and apostrophe not in APOSTROPHES:
        raise InputError(
            expected=f"one of {', '.join(APOSTROPHES.values())}",
            got=repr(apostrophe),
            where="apostrophe",
        )
    counts: Counter[str] = Counter()
    records = []
    for document in documents:
        text = document.text
        if nfc and not unicodedata.is_normalized("NFC", text):
            text = unicodedata.normalize("NFC", text)
            counts["nfc"] += 1
        if strip_zwnj:
            counts["zwnj"] += text.count(ZWNJ)
            text = text.replace(ZWNJ, "")
        if apostrophe is not None:
            found = _INNER_APOSTROPHE.findall(text)
            counts["apostrophes"] += sum(a != apostrophe for a in found)
            text = _INNER_APOSTROPHE.sub(apostrophe, text)
        if homoglyphs:
            text, num_words = _replace_homoglyphs(text, documents.lang.script)
            counts["homoglyphs"] += num_words
        counts["texts"] += text != document.text
        records.append(document if text == document.text else replace(document, text=text))
    report = NormalizationReport(
        num_changed_texts=counts["texts"],
        num_nfc=counts["nfc"],
        num_apostrophes=counts["apostrophes"],
        num_zwnj=counts["zwnj"],
        num_homoglyph_words=counts["homoglyphs"],
    )
    return replace(documents, records=tuple(records)), report


def _mixed_words(text: str) -> list[str]:
    if not _CHANGE_OF_SCRIPT.search(text):
        return []
    return [word for word in _WORD.findall(text) if _CHANGE_OF_SCRIPT.search(word)]


def _replace_homoglyphs(text: str, script_of_language: str) -> tuple[str, int]:
    if not _CHANGE_OF_SCRIPT.search(text):
        return text, 0
    num_words = 0

    def repair(match: "regex.Match[str]") -> str:
        nonlocal num_words
        word = match[0]
        repaired = _repair_word(word, script_of_language)
        num_words += repaired != word
        return repaired

    return _WORD.sub(repair, text), num_words


def _repair_word(word: str, script_of_language: str) -> str:
    """Returns a word in one script, or the word itself where a letter has no lookalike."""
    letters: Counter[str] = Counter()
    for character in word:
        script = letter_script(character)
        if script in _ALPHABETS:
            letters[script] += 1
    if len(letters) < 2:
        return word
    main = max(letters, key=lambda script: (letters[script], script == script_of_language))
    table = _LOOKALIKE_TABLES[main]
    repaired = word.translate(table)
    scripts = {letter_script(character) for character in repaired} - {None}
    return repaired if scripts == {main} else word


def _lookalike_table(alphabet: int) -> dict[int, str]:
    return {
        ord(foreign): letters[alphabet]
        for letters in _LOOKALIKES.split()
        for foreign in letters.replace(letters[alphabet], "").replace("-", "")
        if letters[alphabet] != "-"
    }


_LOOKALIKE_TABLES = {script: _lookalike_table(i) for i, script in enumerate(_ALPHABETS)}
