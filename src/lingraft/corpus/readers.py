"""Files in, documents and pairs out; every row that is left out is told with its reason."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any, TypeAlias

from lingraft.corpus.json_rows import json_rows
from lingraft.corpus.records import Document, Documents, Pair, Pairs, Rejected
from lingraft.corpus.rejects import BLANK_LINE, NOT_IN_LANGUAGE, TOO_LONG_LINE, check_rejected
from lingraft.corpus.streams import (
    COMPRESSIONS,
    check_readable,
    format_suffix,
    read_lines,
)
from lingraft.corpus.tmx import read_tmx
from lingraft.errors import InputError
from lingraft.languages import Language

PathLike: TypeAlias = str | Path

MAX_PAIR_CHARACTERS = 10_000
"""On either side: aligning takes time and memory in the product of the two lengths."""

TOO_LONG_SIDE = f"side longer than {MAX_PAIR_CHARACTERS} characters"

DOCUMENT_HINT = (
    'a .txt has one document a line; a .jsonl has objects with "text", or with the tag of the '
    "language as a key"
)
PAIR_HINT = (
    "a .tsv has source<TAB>target; a .jsonl has objects with the tags of the two languages, or "
    '"source" and "target", as keys; a .tmx has <tuv> with these languages'
)


def read_documents(
    paths: PathLike | Sequence[PathLike], *, lang: Language, format: str | None = None
) -> Documents:
    """Reads documents of one language, in the order of the files.

    The text of a document is kept to the byte. Blank lines separate documents and are no rows.

    Args:
        paths: ``.txt`` (one document a line) or ``.jsonl`` (an object a line; the text under
            ``"text"`` or else under the language's tag, e.g. ``"el"``; ``"id"`` or ``"ref"`` is
            kept as the id), each also with ``.gz``, ``.xz`` or ``.zst``.
        lang: The language of the texts.
        format: ``"txt"`` or ``"jsonl"`` for files whose names do not tell.

    Returns:
        The documents, and in `rejected` the rows that are not: bad JSON, no text, NUL
        characters, lone surrogates, extreme length.

    Raises:
        InputError: A file is missing, unreadable, not UTF-8 or of an unknown format; or none,
            or less than half, of its rows can be read.
    """
    readers: dict[str, Callable[[Path], Iterator[Document | Rejected]]] = {
        ".txt": _text_documents,
        ".jsonl": partial(_json_documents, keys=("text", *language_keys(lang))),
    }
    records: list[Document] = []
    rejected: list[Rejected] = []
    for path in _as_paths(paths):
        read = readers[_known_suffix(path, f".{format}" if format else None, tuple(readers))]
        kept, refused = _sort(read(path), Document)
        check_rejected(str(path), len(kept), refused, hint=DOCUMENT_HINT)
        records += kept
        rejected += refused
    return Documents(tuple(records), lang, tuple(rejected))


def read_pairs(
    paths: PathLike | Sequence[PathLike], *, source_lang: Language, target_lang: Language
) -> Pairs:
    """Reads texts and their translations, in the order of the files.

    Args:
        paths: ``.tsv`` (source, target; more columns are left alone), ``.jsonl`` (the texts
            under the languages' tags, or else under ``"source"`` and ``"target"``), ``.tmx``, or
            ``"FILE1,FILE2"`` with as many lines in both (Moses); each also with ``.gz``, ``.xz``
            or ``.zst``.
        source_lang: Language of the first column or file.
        target_lang: Language of the second.

    Returns:
        The pairs, and in `rejected` the rows that are none: an empty or missing side, bad JSON,
        NUL characters, lone surrogates, extreme length. A row without a text in one of the
        languages is listed too, but is no defect of the file.

    Raises:
        InputError: As in `read_documents`; or two files have different numbers of lines, or a
            TMX file is not well-formed or declares entities.
    """
    records: list[Pair] = []
    rejected: list[Rejected] = []
    for path in _as_paths(paths):
        rows = stream_pairs(path, source_lang=source_lang, target_lang=target_lang)
        kept, refused = _sort(rows, Pair)
        check_rejected(str(path), len(kept), refused, hint=PAIR_HINT)
        records += kept
        rejected += refused
    return Pairs(tuple(records), source_lang, target_lang, tuple(rejected))


def stream_pairs(
    path: PathLike, *, source_lang: Language, target_lang: Language
) -> Iterator[Pair | Rejected]:
    """Yields the rows of one file of pairs in their order, those too that are no pairs.

    Nothing but the present row is in memory, and no share of defects is refused: that is for the
    reader of the whole to do (`check_rejected`). A blank line is a row without a pair.

    Args:
        path: As in `read_pairs`.
        source_lang: Language of the first column or file.
        target_lang: Language of the second.

    Raises:
        InputError: As in `read_pairs`, at the row where it shows.
    """
    keys = language_keys(source_lang), language_keys(target_lang)
    readers: dict[str, Callable[[Path], Iterator[Pair | Rejected]]] = {
        ".tsv": _tab_pairs,
        ".jsonl": partial(_json_pairs, source_keys=keys[0], target_keys=keys[1]),
        ".tmx": partial(_tmx_pairs, source_lang=source_lang, target_lang=target_lang),
    }
    path = Path(path)
    if moses := _moses_files(path):
        return _moses_pairs(*moses)
    return readers[_known_suffix(path, None, tuple(readers))](path)


def read_dictionary(path: PathLike, *, source_lang: Language, target_lang: Language) -> Pairs:
    """Reads a bilingual dictionary: ``word<TAB>translation`` a line, whatever the file is called.

    Further columns (rank, split) are left alone; a word with several translations has several
    lines.

    Raises:
        InputError: As in `read_pairs`.
    """
    path = Path(path)
    kept, rejected = _sort(_tab_pairs(path), Pair)
    check_rejected(str(path), len(kept), rejected, hint="a row is word<TAB>translation")
    return Pairs(tuple(kept), source_lang, target_lang, tuple(rejected))


def language_keys(lang: Language) -> tuple[str, ...]:
    """Returns the JSON keys under which a text of the language is looked for, best first.

    Example:
        >>> language_keys(Language.parse("tt"))
        ('tt-Cyrl', 'tat_Cyrl', 'tt', 'tat')
    """
    keys = (lang.tag, str(lang), lang.iso639_1, lang.iso639_3)
    return tuple(dict.fromkeys(key for key in keys if key))


def _text_documents(path: Path) -> Iterator[Document | Rejected]:
    for line in read_lines(path):
        if line.text is None:
            yield Rejected(str(path), line.number, TOO_LONG_LINE)
        elif line.text.strip():
            yield _document(line.text, _place(path, line.number), path, line.number)


def _json_documents(path: Path, *, keys: tuple[str, ...]) -> Iterator[Document | Rejected]:
    for number, row in json_rows(path):
        if isinstance(row, str):
            yield Rejected(str(path), number, row)
            continue
        text = _first(row, keys)
        if text is None:
            yield Rejected(str(path), number, NOT_IN_LANGUAGE)
        else:
            yield _document(text, _row_id(row) or _place(path, number), path, number)


def _tab_pairs(path: Path) -> Iterator[Pair | Rejected]:
    for line in read_lines(path):
        if line.text is None:
            yield Rejected(str(path), line.number, TOO_LONG_LINE)
            continue
        columns = line.text.split("\t")
        if len(columns) >= 2:
            yield _pair(columns[0], columns[1], _place(path, line.number), path, line.number)
        else:
            reason = "fewer than two columns" if line.text.strip() else BLANK_LINE
            yield Rejected(str(path), line.number, reason)


def _json_pairs(
    path: Path, *, source_keys: tuple[str, ...], target_keys: tuple[str, ...]
) -> Iterator[Pair | Rejected]:
    for number, row in json_rows(path, keep_blank=True):
        if isinstance(row, str):
            yield Rejected(str(path), number, row)
            continue
        source, target = _first(row, source_keys), _first(row, target_keys)
        if source is None or target is None:  # "id" is Indonesian's tag and our rows' own key
            source, target = row.get("source"), row.get("target")
        if source is None or target is None:
            yield Rejected(str(path), number, NOT_IN_LANGUAGE)
        else:
            yield _pair(source, target, _row_id(row) or _place(path, number), path, number)


def _tmx_pairs(
    path: Path, *, source_lang: Language, target_lang: Language
) -> Iterator[Pair | Rejected]:
    units = read_tmx(path, source_lang, target_lang, max_characters=MAX_PAIR_CHARACTERS)
    for unit in units:
        if unit.source is None or unit.target is None:
            yield Rejected(str(path), unit.line, NOT_IN_LANGUAGE)
        else:
            place = unit.id or _place(path, unit.line)
            yield _pair(unit.source, unit.target, place, path, unit.line)


def _moses_pairs(source_path: Path, target_path: Path) -> Iterator[Pair | Rejected]:
    num_source = num_target = 0
    for source, target in zip_longest(read_lines(source_path), read_lines(target_path)):
        num_source += source is not None
        num_target += target is not None
        if source is None or target is None:
            continue
        if source.text is None or target.text is None:
            yield Rejected(str(source_path), source.number, TOO_LONG_LINE)
        else:
            place = _place(source_path, source.number)
            yield _pair(source.text, target.text, place, source_path, source.number)
    if num_source != num_target:
        raise InputError(
            expected="two files with as many lines",
            got=f"{num_source} and {num_target} lines",
            where=f"{source_path},{target_path}",
            hint="line i of the second file translates line i of the first",
        )


def _document(text: Any, id: str, path: Path, number: int) -> Document | Rejected:
    reason = _defect(text) or ("" if text.strip() else "empty text")
    return Rejected(str(path), number, reason) if reason else Document(text, id)


def _pair(source: Any, target: Any, id: str, path: Path, number: int) -> Pair | Rejected:
    reason = _defect(source) or _defect(target)
    if not reason:
        if not source.strip():
            reason = "empty source side"
        elif not target.strip():
            reason = "empty target side"
        elif max(len(source), len(target)) > MAX_PAIR_CHARACTERS:
            reason = TOO_LONG_SIDE
    return Rejected(str(path), number, reason) if reason else Pair(source, target, id)


def _defect(text: Any) -> str:
    """Returns why a value is not usable as text, or an empty string."""
    if not isinstance(text, str):
        return "text is not a string"
    if "\x00" in text:
        return "NUL character"
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return "lone surrogate"
    return ""


def _first(row: dict[str, Any], keys: Sequence[str]) -> Any:
    return next((row[key] for key in keys if row.get(key) is not None), None)


def _row_id(row: dict[str, Any]) -> str:
    value = _first(row, ("id", "ref"))
    usable = (isinstance(value, str) and not _defect(value)) or type(value) is int
    return str(value) if usable else ""


def _place(path: Path, number: int) -> str:
    return f"{path.name}:{number}"


def _sort(rows: Iterator[Any], kind: type[Any]) -> tuple[list[Any], list[Rejected]]:
    kept: list[Any] = []
    rejected: list[Rejected] = []
    for row in rows:
        (kept if isinstance(row, kind) else rejected).append(row)
    return kept, rejected


def _as_paths(paths: PathLike | Sequence[PathLike]) -> list[Path]:
    listed = [paths] if isinstance(paths, (str, Path)) else list(paths)
    if not listed:
        raise InputError(expected="at least one file", got="none", where="files")
    return [Path(path) for path in listed]


def _moses_files(path: Path) -> tuple[Path, Path] | None:
    """Returns the two files that ``FILE1,FILE2`` names, unless one file has the comma itself."""
    names = str(path).split(",")
    if len(names) < 2:
        return None
    with contextlib.suppress(OSError):  # both names together may be longer than a name can be
        if path.exists():
            return None
    if len(names) > 2:
        raise InputError(
            expected="FILE1,FILE2", got=f"{len(names)} names", where=str(path), hint=PAIR_HINT
        )
    first, second = Path(names[0]), Path(names[1])
    check_readable(first)
    check_readable(second)
    return first, second


def _known_suffix(path: Path, given: str | None, known: tuple[str, ...]) -> str:
    check_readable(path)
    suffix = given or format_suffix(path)
    if suffix not in known:
        raise InputError(
            expected=f"a file in {', '.join(known)} (also {', '.join(COMPRESSIONS)})",
            got=f"the format {suffix!r}" if suffix else "a name without a format",
            where=str(path),
            hint="rename the file after what it contains",
        )
    return suffix
