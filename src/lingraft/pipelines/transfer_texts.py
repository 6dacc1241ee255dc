"""The texts of a data transfer study: sources and targets that share no document.

Translations of one page are one document under another name: a model pretrained on the English
page has read the Dutch one's content. So pages are parted once, for all languages alike.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from lingraft.corpus import (
    BytePrefix,
    Document,
    Documents,
    byte_prefixes,
    check_disjoint,
    check_text,
    hold_out,
    read_documents,
)
from lingraft.corpus.byte_budgets import remove_marks
from lingraft.corpus.contamination import inject
from lingraft.corpus.hub import stream_documents
from lingraft.corpus.splits import take_bytes
from lingraft.errors import InputError
from lingraft.files import write_json
from lingraft.languages import Language
from lingraft.pipelines.corpora import write_documents
from lingraft.pipelines.transfer_controls import CONTROLS as CONTROLS
from lingraft.pipelines.transfer_controls import Control as Control
from lingraft.pipelines.transfer_controls import controlled, library_code
from lingraft.seeds import derive

VERSION = 3
Part = Literal["source", "target"]
Counts = dict[str, dict[str, int]]
"""What was counted in each part."""


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
            every letter for another of as many bytes, see `encipher`, so that content stays and
            form goes; ``"code"`` reads Python's standard library instead of the language's text.
            Each of held-out text as well.
        injected: Files of text in another language that replaces lines, or none.
        injected_lang: Its code.
        injected_share: Share of the lines that it replaces.
        seed: Of the parting, the permutations and the injection.
        out: Folder for the documents and `facts.json`.

    Returns:
        Bytes, characters and documents of each part; under ``"removed"`` the rows that stood in
        held-out text too; under ``"repairs"`` what of the encoding was repaired; and what was
        injected or enciphered.

    Raises:
        InputError: A file is not UTF-8 throughout, a side has no documents, all rows of a part
            stand in held-out text too, or a cipher would leave too much as it is.
    """
    language = Language.parse(lang)
    facts: dict[str, Any] = {}
    repairs: Counts = {}
    if control == "code":
        documents, *found = library_code(language, seed)
    else:
        files = {"train": text, "valid": [valid], "test": [test]}
        documents, *found = (_read(files[name], name, language, repairs) for name in files)
    held = {
        name: _drawn(rows, held_out_bytes, seed)
        for name, rows in zip(("valid", "test"), found, strict=True)
    }
    removed: Counts = {name: {"rows": 0, "bytes": 0} for name in ("train", "test")}
    train = _cleared("train", _of_part(documents, part, source_share, seed), held, removed)
    train, shares = controlled(train, control, seed)
    held = {name: controlled(rows, control, seed)[0] for name, rows in held.items()}
    if injected:
        other = _read(injected, "train", Language.parse(injected_lang or ""), repairs, "injected")
        mixed = inject(
            train, _of_part(other, part, source_share, seed), share=injected_share, seed=seed
        )
        train = mixed.documents
        facts["injected_share"] = mixed.share
    # Short documents may come to match when they are shuffled or replaced.
    held["test"] = _cleared("test", held["test"], {"valid": held["valid"]}, removed)
    train = _cleared("train", train, held, removed)
    check_disjoint(match_ids=False, train=train, **held)
    for name, rows in {"train": train, **held}.items():
        write_documents(out / f"{name}.jsonl", rows)
        facts[f"{name}_bytes"] = rows.num_bytes
        facts[f"{name}_characters"] = sum(len(row.text) for row in rows)
        facts[f"{name}_documents"] = len(rows)
    facts |= {"removed": removed, "repairs": repairs, **shares}
    write_json(out / "facts.json", facts)
    return facts


def read_part(folder: Path, name: str, lang: Language) -> Documents:
    """Reads ``"train"``, ``"valid"`` or ``"test"`` of a prepared text."""
    return read_documents(folder / f"{name}.jsonl", lang=lang)


def training_text(folder: Path, lang: Language, num_bytes: int, seed: int) -> BytePrefix:
    """Returns the first bytes of a text in the seed's order: sizes lie inside each other."""
    return byte_prefixes(read_part(folder, "train", lang), [num_bytes], seed=seed)[0]


def training_prefix(folder: Path, lang: Language, num_bytes: int, seed: int) -> Documents:
    """Returns the documents of `training_text`."""
    return training_text(folder, lang, num_bytes, seed).documents


def _read(
    paths: Sequence[Path], part: str, lang: Language, repairs: Counts, name: str = ""
) -> Documents:
    """Reads text whose encoding was checked, and counts what was repaired of it."""
    for path in paths:
        if not path.is_dir():  # what `hub_text` fetched, we wrote ourselves
            check_text(path)
    found = remove_marks(read_documents(_within(paths, part), lang=lang))
    repairs[name or part] = {
        "byte_order_marks_removed": found.num_marks_removed,
        "rows_of_nothing_else_removed": found.num_emptied,
        "replacement_characters_left": found.num_replaced,
    }
    return found.documents


def _cleared(
    name: str, documents: Documents, others: Mapping[str, Documents], removed: Counts
) -> Documents:
    """Documents that match none of held-out text; the others are counted."""
    found = hold_out(documents, others.values())
    kept: Documents = found.kept
    if not kept:
        raise InputError(
            expected=f"{name} text that is not all in {' or '.join(others)} text too",
            got=f"{len(documents)} documents, each with a match there",
            where=f"{documents.lang}, {name}",
            hint="hold out other documents; case, digits, punctuation and spacing do not tell "
            "documents apart",
        )
    removed[name]["rows"] += len(documents) - len(kept)
    removed[name]["bytes"] += documents.num_bytes - kept.num_bytes
    return kept


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
