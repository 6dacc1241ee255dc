"""The language of every line of a corpus, by one of several classifiers."""

import importlib
import importlib.util
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import langcodes

from lingraft.corpus.identification import (
    Identification,
    identify,
    is_identifiable,
    is_same_language,
)
from lingraft.corpus.records import Documents
from lingraft.errors import InputError
from lingraft.languages import Language
from lingraft.seeds import derive

MIN_CHARACTERS = 20
"""Lines up to this length are not looked at (arXiv 2404.08191's language-ID script)."""

MIN_CONFIDENCE = 0.6
"""A prediction below it counts as another language (the same script)."""


@dataclass(frozen=True)
class Identifier:
    """A classifier of languages and what it takes for one language.

    Attributes:
        name: Stands in results, e.g. ``"py3langid"``.
        identify: One text's language and the probability of it.
        is_known: Whether it can answer with a language at all.
        is_same: Whether its answer is a given language.
    """

    name: str
    identify: Callable[[str], Identification]
    is_known: Callable[[Language], bool]
    is_same: Callable[[Language | None, Language], bool]


GLOTLID = "cis-lmu/glotlid"
"""Its name on the hub."""

PY3LANGID = Identifier("py3langid", identify, is_identifiable, is_same_language)


@dataclass(frozen=True)
class LineLabels:
    """The languages of a corpus's lines, so that one labelling serves many target languages.

    Attributes:
        lang: The language that the corpus is said to be in.
        languages: For each line its language; None for no answer or one below `min_confidence`.
        ids: For each line the id of its document.
        num_short: Lines of at most `MIN_CHARACTERS` characters, which were not looked at.
        identifier: Who answered.
        min_confidence: Least probability that counts as an answer.
    """

    lang: Language
    languages: tuple[Language | None, ...]
    ids: tuple[str, ...]
    num_short: int
    identifier: Identifier
    min_confidence: float


def label_lines(
    documents: Documents,
    *,
    seed: int,
    max_lines: int | None = None,
    min_confidence: float = MIN_CONFIDENCE,
    identifier: Identifier = PY3LANGID,
) -> LineLabels:
    """Identifies the language of every line of more than `MIN_CHARACTERS` characters.

    Args:
        documents: The corpus.
        seed: Draws the lines where there are more than `max_lines`.
        max_lines: Most lines to look at; py3langid does a few hundred in a second.
        min_confidence: Least probability that counts as an answer.
        identifier: Who is asked.

    Raises:
        InputError: `max_lines` is below 1.
    """
    if max_lines is not None and max_lines < 1:
        raise InputError(expected="at least 1 line", got=str(max_lines), where="max_lines")
    rows = [(record.id, line) for record in documents for line in record.text.splitlines()]
    long = [row for row in rows if is_long(row[1])]
    num_short = len(rows) - len(long)
    if max_lines is not None and len(long) > max_lines:
        random.Random(derive(seed, "label_lines")).shuffle(long)
        long = long[:max_lines]
    answers = [identifier.identify(line) for _, line in long]
    return LineLabels(
        lang=documents.lang,
        languages=tuple(x.language if x.probability >= min_confidence else None for x in answers),
        ids=tuple(name for name, _ in long),
        num_short=num_short,
        identifier=identifier,
        min_confidence=min_confidence,
    )


def is_long(line: str) -> bool:
    """Whether a line is looked at: it has more than `MIN_CHARACTERS` characters."""
    return len(line.rstrip()) > MIN_CHARACTERS


def installed_identifier() -> Identifier:
    """Returns GlotLID where it is installed, and py3langid, which always is, where it is not.

    Installed means the package fasttext and the model in the cache of the hub's client, where
    ``hf download cis-lmu/glotlid model.bin`` puts it. Nothing is fetched here.
    """
    # Imported here: the client takes longer to load than all of this module.
    from huggingface_hub import try_to_load_from_cache

    path = try_to_load_from_cache(GLOTLID, "model.bin")
    if not isinstance(path, str) or importlib.util.find_spec("fasttext") is None:
        return PY3LANGID
    return glotlid(path)


def glotlid(path: str | Path) -> Identifier:
    """Returns GlotLID (Kargaran et al. 2023, some 2,000 languages) from its file `model.bin`.

    Args:
        path: The file, which the user has to get; lingraft neither brings nor downloads it.

    Raises:
        InputError: The package fasttext is not installed, or there is no such file.
    """
    if not Path(path).is_file():
        raise InputError(expected="GlotLID's model.bin", got="no such file", where=str(path))
    try:
        fasttext = importlib.import_module("fasttext")
    except ImportError as error:
        raise InputError(
            expected="the package fasttext",
            got="no such package",
            where="GlotLID",
            hint="pip install fasttext, or use py3langid",
        ) from error
    model = fasttext.load_model(str(path))
    known = {_macrolanguage(label) for label in map(_parse_label, model.get_labels()) if label}

    def answer(text: str) -> Identification:
        # A list of one: for a single text fasttext 0.9.3 fails under NumPy 2.
        labels, probabilities = model.predict([" ".join(text.split())], k=1)
        if not len(labels[0]):
            return Identification(language=None, probability=0.0)
        return Identification(_parse_label(labels[0][0]), float(probabilities[0][0]))

    return Identifier(
        name="GlotLID",
        identify=answer,
        is_known=lambda lang: _macrolanguage(lang) in known,
        is_same=lambda one, lang: one is not None and _macrolanguage(one) == _macrolanguage(lang),
    )


def _parse_label(label: str) -> Language | None:
    try:
        return Language.parse(label.removeprefix("__label__"))
    except InputError:
        return None  # und_Zyyy and the like: no language


def _macrolanguage(lang: Language) -> str:
    return langcodes.standardize_tag(lang.iso639_3, macro=True)
