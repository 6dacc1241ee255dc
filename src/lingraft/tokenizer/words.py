"""Words of a text with their places, for any script, cut on the text and never on token glyphs."""

import unicodedata

import regex

SEGMENTATION = "words-1"  # raise when any text is cut differently: links record it

# Space for our purpose: zero-width space parts Khmer and Thai words, U+FEFF is a stray file mark.
_SPACE = r"\s\p{Cc}\u200b\ufeff"
# Inside a word these change the shape of letters, or where a line may break, and nothing else.
_JOINERS = r"\u200c\u200d\u00ad\u2060"
# Scripts that mark no words, where a grapheme cluster is a unit that every reader can cut.
_CLUSTERED = (
    r"\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tai_Tham}\p{Tai_Le}\p{New_Tai_Lue}\p{Tai_Viet}"
    r"\p{Javanese}\p{Balinese}"
)
_IDEOGRAPHIC = r"\p{Han}\p{Hiragana}\p{Bopomofo}"
_KATAKANA = r"\p{Katakana}\u30fc\uff70\uff9e\uff9f"
_LETTER = rf"[[\p{{L}}\p{{M}}]--[{_CLUSTERED}{_IDEOGRAPHIC}{_KATAKANA}\p{{Tibetan}}]]"
_LETTERS = rf"{_LETTER}(?:[{_JOINERS}]*{_LETTER})*[{_JOINERS}]*"
_WORD = regex.compile(
    rf"""
      [{_IDEOGRAPHIC}][\u30fc\p{{M}}]*
    | [{_KATAKANA}][{_KATAKANA}\p{{M}}]*
    | [[\p{{L}}\p{{M}}]&&\p{{Tibetan}}]+\u0f0b?
    | (?=[[\p{{L}}\p{{M}}]&&[{_CLUSTERED}]])\X[{_JOINERS}]*
    | {_LETTERS}(?:['’\u00b7\u05f3\u05f4]{_LETTERS})*
    | \p{{N}}+\p{{M}}*
    | (?=[^{_SPACE}])\X
    """,
    regex.V1 | regex.VERBOSE,
)


def word_spans(text: str) -> list[tuple[int, int]]:
    """Returns where the words of a text stand, as half-open ranges of code points.

    Every character that is not space belongs to exactly one word. A word is, without any setting
    for the language:

    - a run of letters and marks, with the joiners (ZWNJ, ZWJ, soft hyphen, word joiner) and the
      single apostrophes, middle dots or gereshes that stand between its letters (Unicode's
      UAX #29 does the same: ``don't``, ``l'homme``, ``col·lega``); a hyphen parts words;
    - a run of digits and other numbers;
    - any other character: punctuation, symbols, emoji with their modifiers.

    Scripts that are written without spaces fall back on units that can be cut without a
    dictionary: one character for Han, Hiragana and Bopomofo, a whole run for Katakana, a syllable
    with its tsheg for Tibetan, one grapheme cluster for Thai, Lao, Khmer, Myanmar and their kin.

    Example:
        >>> [text[a:b] for text in ["don't: 42 猫です"] for a, b in word_spans(text)]
        ["don't", ':', '42', '猫', 'で', 'す']
    """
    return [match.span() for match in _WORD.finditer(text)]


def folded(word: str) -> str:
    """Returns a word composed (NFC) and without case: how words of two texts are compared."""
    return unicodedata.normalize("NFC", word.casefold())
