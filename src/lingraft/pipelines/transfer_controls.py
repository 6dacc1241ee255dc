"""Controls of a data transfer study: a language's text without its order, content or form."""

import random
import sysconfig
from dataclasses import replace
from pathlib import Path
from typing import Literal

from lingraft.corpus import Document, Documents
from lingraft.corpus.ciphers import encipher
from lingraft.languages import Language
from lingraft.seeds import derive

Control = Literal["shuffled", "words", "enciphered", "code"]
CONTROLS: tuple[Control, ...] = ("shuffled", "words", "enciphered", "code")
# One of so many modules of the library is held out as valid text, and one as test text.
_MODULES_PER_PART = 20


def controlled(
    documents: Documents, control: Control | None, seed: int
) -> tuple[Documents, dict[str, float]]:
    """Changes text as a control wants it, and says what share of it that was, where it matters.

    Args:
        documents: Text of the language; they stay as they are.
        control: Any of `CONTROLS`; code, which is read instead of text, and None change nothing.
        seed: Of the order, the deal or the cipher.

    Raises:
        InputError: A cipher would leave too many letters as they are.
    """
    if control == "shuffled":
        return _shuffled(documents, seed), {}
    if control == "words":
        return _dealt(documents, seed), {}
    if control == "enciphered":
        found = encipher(documents, seed=seed)
        return found.documents, {"enciphered_share": found.share}
    return documents, {}


def library_code(lang: Language, seed: int) -> list[Documents]:
    """Python's own standard library as it is installed, a definition or a stretch a document.

    Returns train, valid and test text, of different modules.
    """
    library = Path(sysconfig.get_paths()["stdlib"])
    parts: list[list[Document]] = [[], [], []]
    for path in sorted(library.glob("*.py")):
        number = derive(seed, "held-out code", path.name) % _MODULES_PER_PART
        blocks = path.read_text(encoding="utf-8", errors="ignore").split("\n\n")
        parts[number if number in (1, 2) else 0] += [
            Document(block.strip("\n"), f"{path.name}#{number}")
            for number, block in enumerate(blocks)
            if block.strip()
        ]
    return [Documents(tuple(rows), lang) for rows in parts]


def _shuffled(documents: Documents, seed: int) -> Documents:
    """Every document keeps its characters and loses their order."""
    generator = random.Random(derive(seed, "shuffled"))
    rows = [
        replace(document, text="".join(generator.sample(document.text, len(document.text))))
        for document in documents
    ]
    return replace(documents, records=tuple(rows))


def _dealt(documents: Documents, seed: int) -> Documents:
    """Every document keeps its number of words; which ones is drawn from all of the text."""
    parts = [document.text.split(" ") for document in documents]
    words = [word for part in parts for word in part]
    random.Random(derive(seed, "words")).shuffle(words)
    dealt = iter(words)
    rows = [
        replace(document, text=" ".join(next(dealt) for _ in part))
        for document, part in zip(documents, parts, strict=True)
    ]
    return replace(documents, records=tuple(rows))
