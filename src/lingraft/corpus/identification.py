"""Is the text in the language that its owner says? An identifier's answer, or none at all."""

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import langcodes

from lingraft.corpus.records import Documents
from lingraft.corpus.scripts import letter_script
from lingraft.languages import Language
from lingraft.seeds import derive

MIN_LETTERS = 20
"""Shorter texts (headings, names, numbers) are identified at random."""

MIN_PROBABILITY = 0.3
"""An identification below it is no answer; kin such as Croatian and Serbian share theirs."""

MAX_CHARACTERS = 2_000
"""So much of a text is looked at."""

UNIDENTIFIED = "und"
"""BCP 47's code for an undetermined language: the key of such texts in `shares`."""

_NOT_LANGUAGES = frozenset({"zxx"})  # py3langid's label for code, numbers and noise
# Jpan, Kore or Hans are mixtures, which no single letter tells.
_UNMIXED_SCRIPTS = frozenset({"Arab", "Armn", "Cyrl", "Deva", "Geor", "Grek", "Hebr", "Latn"})


@dataclass(frozen=True)
class Identification:
    """The language that a text seems to be in.

    Attributes:
        language: None when the text has fewer than `MIN_LETTERS` letters, when no language
            reaches `MIN_PROBABILITY`, or when it is no language at all.
        probability: Of the best language, as py3langid estimates it; 0 for short texts.
    """

    language: Language | None
    probability: float


@dataclass(frozen=True)
class LanguageCheck:
    """How much of a corpus is in the language it is said to be in.

    Attributes:
        share_expected: Share of the checked texts in that language; None when the identifier
            does not know it or no text was long enough.
        shares: Share of the checked texts by language, the most frequent first, with
            `UNIDENTIFIED` for texts without an answer. Empty when the identifier does not know
            the expected language, since it would then name neighbours.
        known: Whether the identifier knows the expected language.
        num_checked: Texts that were long enough to be identified.
    """

    share_expected: float | None
    shares: Mapping[str, float]
    known: bool
    num_checked: int


def check_language(documents: Documents, *, seed: int, sample: int = 500) -> LanguageCheck:
    """Identifies the language of a random sample of the documents.

    Args:
        documents: The corpus, with the language it is said to be in.
        seed: Draws the sample.
        sample: Number of documents to draw from those with at least `MIN_LETTERS` letters.
    """
    language = documents.lang
    if _known_as(language) is None:
        return LanguageCheck(share_expected=None, shares={}, known=False, num_checked=0)
    order = list(range(len(documents)))
    random.Random(derive(seed, "check_language")).shuffle(order)
    found: list[Language | None] = []
    for i in order:
        if len(found) == sample:
            break
        text = documents.records[i].text
        if _has_letters(text):
            found.append(identify(text).language)
    if not found:
        return LanguageCheck(share_expected=None, shares={}, known=True, num_checked=0)
    num_expected = sum(is_same_language(x, language) for x in found)
    counts = Counter(str(x) if x else UNIDENTIFIED for x in found)
    return LanguageCheck(
        share_expected=num_expected / len(found),
        shares={name: n / len(found) for name, n in counts.most_common()},
        known=True,
        num_checked=len(found),
    )


def identify(text: str) -> Identification:
    """Identifies the language of one text with py3langid, which knows about 140.

    The script is the text's own where the identifier does not tell it (Serbian in Latin letters).
    Languages that readers of one can read in the other (Indonesian and Malay) are mistaken for
    each other often: a share below one half is no proof of foreign text there.
    """
    if not _has_letters(text):
        return Identification(language=None, probability=0.0)
    label, probability = _identifier().classify(text[:MAX_CHARACTERS])
    if label in _NOT_LANGUAGES or probability < MIN_PROBABILITY:
        return Identification(language=None, probability=probability)
    language = Language.parse(label)
    scripts = Counter(script for script in map(letter_script, text[:MAX_CHARACTERS]) if script)
    if language.script in _UNMIXED_SCRIPTS and language.script not in scripts:
        language = replace(language, script=scripts.most_common(1)[0][0])
    return Identification(language=language, probability=probability)


def is_identifiable(lang: Language) -> bool:
    """Whether the identifier knows a language, by its own code or by its macrolanguage's."""
    return _known_as(lang) is not None


def is_same_language(one: Language | None, other: Language) -> bool:
    """Whether the identifier takes two languages for one, whatever their scripts."""
    return one is not None and _known_as(one) == _known_as(other) is not None


@lru_cache(maxsize=1)
def _identifier() -> Any:
    # Imported here: the model takes half a second and 5 MB, and few callers identify anything.
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


@lru_cache(maxsize=1)
def _labels() -> frozenset[str]:
    labels = set(_identifier().labels) - _NOT_LANGUAGES
    return frozenset(Language.parse(label).iso639_3 for label in labels)


@lru_cache(maxsize=256)
def _known_as(lang: Language) -> str | None:
    """Returns the ISO 639-3 code under which the identifier knows a language, or None."""
    # CLDR keeps Bokmål apart; what the identifier calls Norwegian is Bokmål, Nynorsk has its own.
    bokmal = {"nob": "nor"}.get(lang.iso639_3)
    tag = langcodes.standardize_tag(lang.iso639_3, macro=True)
    macro = bokmal or Language.parse(tag).iso639_3
    return next((code for code in (lang.iso639_3, macro) if code in _labels()), None)


def _has_letters(text: str) -> bool:
    return sum(map(str.isalpha, text[:MAX_CHARACTERS])) >= MIN_LETTERS
