"""The texts of a data transfer study: sources and targets that share no document.

Translations of one page are one document under another name: a model pretrained on the English
page has read the Dutch one's content. So pages are parted once, for all languages alike.
"""

import random
import sysconfig
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from lingraft.corpus import (
    Document,
    Documents,
    byte_prefixes,
    check_disjoint,
    hold_out,
    read_documents,
)
from lingraft.corpus.contamination import inject
from lingraft.corpus.hub import stream_documents
from lingraft.corpus.scripts import letter_script
from lingraft.corpus.splits import take_bytes
from lingraft.errors import InputError
from lingraft.files import write_json
from lingraft.languages import Language
from lingraft.pipelines.corpora import write_documents
from lingraft.seeds import derive

VERSION = 2
Part = Literal["source", "target"]
Control = Literal["shuffled", "words", "enciphered", "code"]
CONTROLS: tuple[Control, ...] = ("shuffled", "words", "enciphered", "code")
# The alphabets; beyond them are signs of syllables and words.
_CIPHERED_BELOW = 0x1100
# One of so many modules of the library is held out as valid text, and one as test text.
_MODULES_PER_PART = 20


def hub_text(
    *,
    dataset: str,
    config: str | None,
    lang: str,
    num_bytes: int,
    held_out_bytes: int,
    out: Path,
) -> dict[str, Any]:
    """Fetches the first bytes of a hub's data set: valid text, test text, then training text.

    Args:
        dataset: Its name on the hub.
        config: Its subset for the language.
        lang: Code of the language.
        num_bytes: Training text.
        held_out_bytes: Valid text, and test text.
        out: Folder for ``train.jsonl``, ``valid.jsonl`` and ``test.jsonl``.

    Returns:
        Bytes of each.

    Raises:
        InputError: The data set is out of reach or has less text.
    """
    language = Language.parse(lang)
    stream = stream_documents(dataset, config=config)
    facts: dict[str, Any] = {"dataset": dataset, "config": config}
    for part, size in (("valid", held_out_bytes), ("test", held_out_bytes), ("train", num_bytes)):
        rows, total = [], 0
        while total < size:
            document = next(stream, None)
            if document is None:
                raise InputError(
                    expected=f"{size} bytes of {part} text",
                    got=f"{total} bytes before its end",
                    where=f"{dataset}, {config or 'no subset'}",
                )
            rows.append(document)
            total += len(document.text.encode("utf-8"))
        write_documents(out / f"{part}.jsonl", Documents(tuple(rows), language))
        facts[f"{part}_bytes"] = total
    write_json(out / "facts.json", facts)
    return facts


def study_text(
    *,
    text: Sequence[Path],
    valid: Path,
    test: Path,
    lang: str,
    part: Part,
    source_share: float,
    held_out_bytes: int,
    control: Control | None,
    injected: Sequence[Path],
    injected_lang: str | None,
    injected_share: float,
    seed: int,
    out: Path,
) -> dict[str, Any]:
    """Writes one language's train, valid and test text for one side of the study.

    Args:
        text: Files of documents; an id ``page#n`` says which page a document is of.
        valid: Held-out documents for choosing checkpoints and rates.
        test: Held-out documents that losses are reported on.
        lang: Code of the language.
        part: Which of the two sides: no page is on both, in any language.
        source_share: Share of the pages that are on the source side.
        held_out_bytes: Valid text, and test text, at most.
        control: ``"shuffled"`` permutes the characters of every document; ``"words"`` deals the
            text's words out anew, so that form stays and content goes; ``"enciphered"`` swaps
            every letter for another of as many bytes, one to one, so that content stays and form
            goes; ``"code"`` reads Python's standard library instead of the language's text. Each
            of held-out text as well.
        injected: Files of text in another language that replaces lines, or none.
        injected_lang: Its code.
        injected_share: Share of the lines that it replaces.
        seed: Of the parting, the permutations and the injection.
        out: Folder for the documents and `facts.json`.

    Returns:
        Bytes, characters and documents of the training text, and what was injected.
    """
    language = Language.parse(lang)
    if control == "code":
        documents, *found = _library_code(language, seed)
    else:
        paths = (_within(text, "train"), _within([valid], "valid"), _within([test], "test"))
        documents, *found = (read_documents(path, lang=language) for path in paths)
    held = {
        name: _drawn(rows, held_out_bytes, seed)
        for name, rows in zip(("valid", "test"), found, strict=True)
    }
    cleared = hold_out(documents, list(held.values())).kept
    train = _of_part(cleared, part, source_share, seed)
    facts: dict[str, Any] = {}
    if change := _CHANGES.get(control or ""):
        train = change(train, seed)
        held = {name: change(rows, seed) for name, rows in held.items()}
    if injected:
        other = read_documents(_within(injected, "train"), lang=Language.parse(injected_lang or ""))
        mixed = inject(
            train, _of_part(other, part, source_share, seed), share=injected_share, seed=seed
        )
        train = mixed.documents
        facts["injected_share"] = mixed.share
    # Short documents may come to match when they are shuffled or replaced.
    held["test"] = hold_out(held["test"], [held["valid"]]).kept
    train = hold_out(train, list(held.values())).kept
    check_disjoint(match_ids=False, train=train, **held)
    for name, rows in {"train": train, **held}.items():
        write_documents(out / f"{name}.jsonl", rows)
        facts[f"{name}_bytes"] = rows.num_bytes
        facts[f"{name}_characters"] = sum(len(row.text) for row in rows)
        facts[f"{name}_documents"] = len(rows)
    write_json(out / "facts.json", facts)
    return facts


def read_part(folder: Path, name: str, lang: Language) -> Documents:
    """Reads ``"train"``, ``"valid"`` or ``"test"`` of a prepared text."""
    return read_documents(folder / f"{name}.jsonl", lang=lang)


def training_prefix(folder: Path, lang: Language, num_bytes: int, seed: int) -> Documents:
    """Returns the first bytes of a text in the seed's order: sizes lie inside each other."""
    return byte_prefixes(read_part(folder, "train", lang), [num_bytes], seed=seed)[0].documents


def _within(paths: Sequence[Path], part: str) -> list[Path]:
    """Files, or that part of folders that `hub_text` made."""
    return [path / f"{part}.jsonl" if path.is_dir() else path for path in paths]


def _of_part(documents: Documents, part: Part, source_share: float, seed: int) -> Documents:
    """Documents whose page is on one side; by a hash, so that every language agrees."""
    edge = source_share * 2**32
    kept = [
        document
        for document in documents
        if (derive(seed, "side", _page(document)) % 2**32 < edge) == (part == "source")
    ]
    if not kept:
        raise InputError(
            expected=f"documents on the {part} side",
            got=f"none of {len(documents)}",
            where=f"{documents.lang}, source_share {source_share}",
            hint="choose a share nearer to a half, or give more documents",
        )
    return replace(documents, records=tuple(kept))


def _page(document: Document) -> str:
    return document.id.partition("#")[0]


def _drawn(documents: Documents, num_bytes: int, seed: int) -> Documents:
    rows = list(documents)
    random.Random(derive(seed, "held out")).shuffle(rows)
    return take_bytes(replace(documents, records=tuple(rows)), num_bytes)


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


def _enciphered(documents: Documents, seed: int) -> Documents:
    """One cipher for all text: letters of one script, case and byte length change places."""
    groups: dict[tuple[str, bool, int], list[str]] = {}
    for code in range(_CIPHERED_BELOW):
        letter = chr(code)
        if letter.isalpha():
            size = len(letter.encode("utf-8"))
            kind = (letter_script(letter) or "", letter.isupper(), size)
            groups.setdefault(kind, []).append(letter)
    cipher: dict[str, str] = {}
    for kind, letters in groups.items():
        swapped = letters.copy()
        random.Random(derive(seed, "cipher", *map(str, kind))).shuffle(swapped)
        cipher.update(zip(letters, swapped, strict=True))
    table = str.maketrans(cipher)
    rows = [replace(document, text=document.text.translate(table)) for document in documents]
    return replace(documents, records=tuple(rows))


_CHANGES: dict[str, Callable[[Documents, int], Documents]] = {
    "shuffled": _shuffled,
    "words": _dealt,
    "enciphered": _enciphered,
}


def _library_code(lang: Language, seed: int) -> list[Documents]:
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
