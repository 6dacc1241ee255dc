"""Files of tagged sentences in: CoNLL-U treebanks and named entities of the CoNLL formats."""

from collections.abc import Iterator
from pathlib import Path

import regex

from lingraft.corpus.readers import PathLike
from lingraft.corpus.rejects import TOO_LONG_LINE
from lingraft.corpus.streams import Line, read_lines
from lingraft.corpus.task_examples import (
    Example,
    Found,
    TaskData,
    check_task_name,
    collect_examples,
    one_line,
)
from lingraft.errors import InputError

CONLLU_COLUMNS = ["id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc"]
BIO = regex.compile(r"O|[BI]-\S+")
_CONLLU_HINT = "a word is a line of ten columns between tabs; a blank line ends a sentence"
_NER_HINT = "a word is a line `WORD TAG` with tags O, B-… and I-…; a blank line ends a sentence"


def read_conllu(path: PathLike, *, column: str = "upos") -> TaskData:
    """Reads sentences of a CoNLL-U treebank: the words are asked for their tags.

    A sentence becomes the prompt ``upos: WORD WORD …`` with the tags in one line as its answer.
    Ranges of multiword tokens and empty nodes carry no tags and are left out. Spaces within a
    word become no-break spaces, so that words can be counted.

    Args:
        path: A ``.conllu``, also compressed.
        column: Of the tag, one of `CONLLU_COLUMNS`.

    Returns:
        The examples. Rejected are sentences with a malformed line, ids that do not count up, a
        word without a tag, and repeated sentences.

    Raises:
        InputError: No such column, or as in `task_records.read_sentence_pairs`.
    """
    if column not in CONLLU_COLUMNS:
        raise InputError(
            expected=f"a column of {', '.join(CONLLU_COLUMNS)}", got=repr(column), where="column"
        )
    at = CONLLU_COLUMNS.index(column)
    found = (_treebank_sentence(block, at, column, path) for block in _blocks(Path(path)))
    return collect_examples(str(path), found, "tagging", hint=_CONLLU_HINT)


def read_conll_ner(
    path: PathLike, *, word_column: int = 0, tag_column: int = -1, task: str = "ner"
) -> TaskData:
    """Reads sentences with named entities in the CoNLL format, tagged with O, B-… and I-….

    A sentence becomes the prompt ``ner: WORD WORD …`` with the tags in one line as its answer.

    Args:
        path: A file with a word a line and columns between tabs, or else between spaces; lines
            with ``#`` whose last column is no such tag are comments.
        word_column: Of the word, from 0.
        tag_column: Of the tag; -1 is the last.
        task: Name before the colon.

    Returns:
        The examples. Rejected are sentences with a malformed line and repeated ones.
    """
    check_task_name(task)
    found = (
        _entity_sentence(rows, word_column, tag_column, task, Path(path))
        for block in _blocks(Path(path))
        if (rows := [line for line in block if not _is_remark(line, tag_column)])
    )
    return collect_examples(str(path), found, "ner", hint=_NER_HINT)


def _treebank_sentence(block: list[Line], at: int, column: str, path: PathLike) -> Found:
    words: list[str] = []
    tags: list[str] = []
    name = f"{Path(path).name}:{block[0].number}"
    for number, text in ((line.number, line.text) for line in block):
        if text is None:
            return number, TOO_LONG_LINE
        if text.startswith("#"):
            name = text.partition("=")[2].strip() if text.startswith("# sent_id") else name
            continue
        cells = text.split("\t")
        if len(cells) != len(CONLLU_COLUMNS):
            return number, f"{len(cells)} columns instead of {len(CONLLU_COLUMNS)}"
        if regex.fullmatch(r"\d+[-.]\d+", cells[0]):
            continue
        if cells[0] != str(len(words) + 1):
            return number, f"word id {cells[0]!r} instead of {len(words) + 1}"
        word, tag = one_line(cells[1]), cells[at].strip()
        if not word or tag in ("", "_") or " " in tag:
            return number, "no word" if not word else f"no {column} tag"
        words.append(word.replace(" ", "\u00a0"))
        tags.append(tag)
    return _tagged(column, words, tags, name, block[0].number)


def _entity_sentence(
    rows: list[Line], word_column: int, tag_column: int, task: str, path: Path
) -> Found:
    words: list[str] = []
    tags: list[str] = []
    width = len(_cells(rows[0].text or ""))
    for number, text in ((line.number, line.text) for line in rows):
        if text is None:
            return number, TOO_LONG_LINE
        cells = _cells(text)
        word, tag = _cell(cells, word_column), _cell(cells, tag_column)
        if len(cells) != width:
            return number, f"{len(cells)} columns instead of {width}"
        if not word or not BIO.fullmatch(tag):
            return number, "no word" if not word else f"{tag!r} is no BIO tag"
        words.append(word.replace(" ", "\u00a0"))
        tags.append(tag)
    return _tagged(task, words, tags, f"{path.name}:{rows[0].number}", rows[0].number)


def _tagged(task: str, words: list[str], tags: list[str], name: str, line: int) -> Found:
    if not words:
        return line, "no words"
    return line, Example(f"{task}: {' '.join(words)}", (" ".join(tags),), name)


def _blocks(path: Path) -> Iterator[list[Line]]:
    """Yields the lines of each sentence."""
    block: list[Line] = []
    for line in read_lines(path):
        if line.text is None or line.text.strip():
            block.append(line)
        elif block:
            yield block
            block = []
    if block:
        yield block


def _cells(text: str) -> list[str]:
    return [cell.strip() for cell in text.split("\t")] if "\t" in text else text.split()


def _cell(cells: list[str], column: int) -> str:
    return cells[column] if -len(cells) <= column < len(cells) else ""


def _is_remark(line: Line, tag_column: int) -> bool:
    text = line.text or ""
    if text.startswith("-DOCSTART-"):
        return True
    return text.startswith("#") and not BIO.fullmatch(_cell(_cells(text), tag_column))
