"""Made-up words that can be spoken, and scripts that share no byte.

A script other than the first is 16 neighbouring letters of a Unicode block. In UTF-8 the blocks
differ in their leading byte, and the letters are chosen so that the second bytes (80-8F, 90-9F,
A0-AF, B0-BF) differ as well: a byte of a letter tells its script.
"""

import itertools

import numpy as np

_CONSONANTS, _VOWELS = "bdfgklmnprs", "aeiou"
_LETTERS = _CONSONANTS + _VOWELS
_SCRIPT_STARTS = (0x0430, 0x05D0, 0x0620, 0x0780)  # Cyrillic, Hebrew, Arabic, Thaana
NUM_SCRIPTS = 1 + len(_SCRIPT_STARTS)
_SYLLABLES = [consonant + vowel for consonant in _CONSONANTS for vowel in _VOWELS]
_ROOM = 4  # so many times as many words are possible as used, or else all look alike


def draw_words(num: int, rng: np.random.Generator) -> list[str]:
    """Returns different words of equally many letters, so that none begins another."""
    num_syllables = 2
    while len(_SYLLABLES) ** num_syllables < _ROOM * num:
        num_syllables += 1
    numbers = rng.choice(len(_SYLLABLES) ** num_syllables, size=num, replace=False)
    digits = np.stack(np.unravel_index(numbers, (len(_SYLLABLES),) * num_syllables), axis=1)
    return ["".join(_SYLLABLES[digit] for digit in row) for row in digits]


def transliterate(word: str, script: int) -> str:
    """Returns a word letter by letter in one of the `NUM_SCRIPTS` scripts; 0 is Latin."""
    return word.translate(_TABLES[script])


_TABLES = [
    {},
    *(
        dict(zip(map(ord, _LETTERS), itertools.count(start), strict=False))
        for start in _SCRIPT_STARTS
    ),
]
