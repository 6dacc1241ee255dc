"""Files of downstream tasks in, prompts with their right answers out; what is left out is told."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import regex

from lingraft.corpus.readers import TOO_LONG_LINE, PathLike
from lingraft.corpus.records import Rejected
from lingraft.corpus.rejects import check_rejected
from lingraft.corpus.streams import Line, check_readable, format_suffix, read_chunks, read_lines
from lingraft.errors import InputError

TaskKind = Literal["entailment", "tagging", "ner", "qa"]

ANSWER_MARK = "\n"
"""Stands between prompt and answer: no usual pre-tokenizer joins it with what comes after it."""

CONLLU_COLUMNS = ["id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc"]
HIDDEN_LABEL = "-1"  # what hub data sets write where the label is kept secret
BIO = regex.compile(r"O|[BI]-\S+")
_CONLLU_HINT = "a word is a line of ten columns between tabs; a blank line ends a sentence"
_NER_HINT = "a word is a line `WORD TAG` with tags O, B-… and I-…; a blank line ends a sentence"
_SQUAD_HINT = (
    'SQuAD has {"data": [{"paragraphs": [{"context", "qas": [{"question", "answers"}]}]}]}'
)


@dataclass(frozen=True, slots=True)
class Example:
    """A prompt and what may be answered to it.

    Attributes:
        prompt: In one line, white space as single spaces; without `ANSWER_MARK`.
        answers: The right ones, also in one line; the first is learnt. An empty one says that the
            question has no answer.
        id: Where it came from.
    """

    prompt: str
    answers: tuple[str, ...]
    id: str

    @property
    def marked_prompt(self) -> str:
        """The prompt as a model reads it: the answer comes next."""
        return self.prompt + ANSWER_MARK


@dataclass(frozen=True)
class TaskData:
    """Examples of one task in the order of the file, and what was rejected.

    Attributes:
        examples: No two with the same prompt.
        kind: What is asked for.
        labels: The labels, or tags, that occur in the answers, sorted; empty for questions.
        rejected: File, line (the question's number in SQuAD's nested JSON, the row's number for
            rows in memory) and why.
    """

    examples: tuple[Example, ...]
    kind: TaskKind
    labels: tuple[str, ...]
    rejected: tuple[Rejected, ...] = ()

    def __len__(self) -> int:
        return len(self.examples)


# With its line, or the reason why it is none.
_Row: TypeAlias = tuple[int, dict[str, Any] | str]
_Found: TypeAlias = tuple[int, Example | str]


def read_sentence_pairs(
    rows: PathLike | Iterable[Mapping[str, Any]],
    *,
    task: str,
    premise: str = "premise",
    hypothesis: str = "hypothesis",
    label: str = "label",
    labels: Mapping[str, str] | None = None,
) -> TaskData:
    """Reads pairs of sentences with a label: entailment, paraphrase, question and sentence.

    A row becomes the prompt ``assin2: premise: P hypothesis: H`` with the answer ``1``, the form
    of the ASSIN 2 task of arXiv 2404.08191 (its repository's configuration).

    Args:
        rows: A ``.jsonl`` (also ``.gz``, ``.xz``, ``.zst``) with an object a line, or the rows
            themselves, such as a streamed data set of the hub.
        task: Name before the first colon.
        premise: Key of the first sentence.
        hypothesis: Key of the second one.
        label: Key of the label, a text or a whole number.
        labels: The answer for each label, e.g. ``{"none": "0", "entailment": "1"}``; numbers are
            looked up as they are written. None keeps the labels as answers.

    Returns:
        The examples. Rejected are rows without one of the texts or with an unknown or hidden
        label, and repeated pairs.

    Raises:
        InputError: The file cannot be read, or less than half of its rows are examples; or the
            name of the task has a colon.
    """
    _check_task(task)
    place, numbered = _numbered(rows)

    def example(row: dict[str, Any], line: int) -> Example | str:
        first, second = _text(row.get(premise)), _text(row.get(hypothesis))
        if not first or not second:
            return f"no text under {premise!r}" if not first else f"no text under {hypothesis!r}"
        value = row.get(label)
        given = str(value).strip() if type(value) in (int, str) else ""
        if not given or given == HIDDEN_LABEL:
            return "no label"
        answer = given if labels is None else labels.get(given, "")
        if not answer:
            return f"unknown label {given!r}"
        prompt = f"{task}: premise: {first} hypothesis: {second}"
        return Example(prompt, (answer,), _id(row, place, line))

    found = ((line, row if isinstance(row, str) else example(row, line)) for line, row in numbered)
    return _data(place, found, "entailment", hint=f"rows have {premise}, {hypothesis} and {label}")


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
        InputError: No such column, or as in `read_sentence_pairs`.
    """
    if column not in CONLLU_COLUMNS:
        raise InputError(
            expected=f"a column of {', '.join(CONLLU_COLUMNS)}", got=repr(column), where="column"
        )
    at = CONLLU_COLUMNS.index(column)
    found = (_treebank_sentence(block, at, column, path) for block in _blocks(Path(path)))
    return _data(str(path), found, "tagging", hint=_CONLLU_HINT)


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
    _check_task(task)
    found = (
        _entity_sentence(rows, word_column, tag_column, task, Path(path))
        for block in _blocks(Path(path))
        if (rows := [line for line in block if not _is_remark(line, tag_column)])
    )
    return _data(str(path), found, "ner", hint=_NER_HINT)


def read_squad(
    path: PathLike,
    *,
    context: str = "context",
    question: str = "question",
    answers: str = "answers",
) -> TaskData:
    """Reads questions on passages: SQuAD 1.1 and 2.0, and rows of them.

    A question becomes the prompt ``question: Q context: C``; one without an answer has the answer
    of no letters.

    Args:
        path: A ``.json`` in SQuAD's nested form, or a ``.jsonl`` with a question a line; also
            compressed.
        context: Key of the passage in a ``.jsonl``.
        question: Key of the question.
        answers: Key of the answers: a text, a list of texts or an object with a list ``text``.

    Returns:
        The examples. Rejected are questions without a text, with a passage that does not contain
        an answer, or asked twice.

    Raises:
        InputError: A ``.json`` is not SQuAD's, or as in `read_sentence_pairs`.
    """
    path = Path(path)
    nested = format_suffix(path) != ".jsonl"
    numbered = _squad_rows(path) if nested else _json_rows(path)
    keys = ("context", "question", "answers") if nested else (context, question, answers)
    found = (
        (line, row if isinstance(row, str) else _question(row, keys, str(path), line))
        for line, row in numbered
    )
    hint = _SQUAD_HINT if nested else f"rows have {context}, {question} and {answers}"
    return _data(str(path), found, "qa", hint=hint)


def words_of(example: Example) -> list[str]:
    """Returns the words of a tagging prompt, one for each tag of its answer."""
    return example.prompt.split(": ", 1)[1].split(" ")


def _data(place: str, found: Iterable[_Found], kind: TaskKind, *, hint: str) -> TaskData:
    """Sorts examples from what is none; of equal prompts only the first one stays."""
    kept: dict[str, Example] = {}
    rejected: list[Rejected] = []
    for line, example in found:
        if isinstance(example, str):
            rejected.append(Rejected(place, line, example))
        elif example.prompt in kept:
            same = kept[example.prompt].answers == example.answers
            reason = "duplicate" if same else "duplicate with another answer"
            rejected.append(Rejected(place, line, reason))
        else:
            kept[example.prompt] = example
    check_rejected(place, len(kept), rejected, hint=hint)
    examples = tuple(kept.values())
    labels = set[str]()
    if kind != "qa":
        labels = {label for example in examples for label in _labels(example.answers[0], kind)}
    return TaskData(examples, kind, tuple(sorted(labels)), tuple(rejected))


def _labels(answer: str, kind: TaskKind) -> list[str]:
    return [answer] if kind == "entailment" else answer.split(" ")


def _treebank_sentence(block: list[Line], at: int, column: str, path: PathLike) -> _Found:
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
        word, tag = _text(cells[1]), cells[at].strip()
        if not word or tag in ("", "_") or " " in tag:
            return number, "no word" if not word else f"no {column} tag"
        words.append(word.replace(" ", "\u00a0"))
        tags.append(tag)
    return _tagged(column, words, tags, name, block[0].number)


def _entity_sentence(
    rows: list[Line], word_column: int, tag_column: int, task: str, path: Path
) -> _Found:
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


def _tagged(task: str, words: list[str], tags: list[str], name: str, line: int) -> _Found:
    if not words:
        return line, "no words"
    return line, Example(f"{task}: {' '.join(words)}", (" ".join(tags),), name)


def _question(
    row: dict[str, Any], keys: tuple[str, str, str], place: str, line: int
) -> Example | str:
    passage, asked = (_text(row.get(key)) for key in keys[:2])
    if not passage or not asked:
        return "no passage" if not passage else "no question"
    # SQuAD 2.0 asks questions without an answer; some versions list plausible wrong ones for them.
    texts = [] if row.get("is_impossible") else _answers(row.get(keys[2]))
    if texts is None or not all(texts):
        return "no answers" if texts is None else "empty answer"
    if any(text not in passage for text in texts):
        return "answer is not in the passage"
    answers = tuple(dict.fromkeys(texts)) or ("",)
    return Example(f"question: {asked} context: {passage}", answers, _id(row, place, line))


def _answers(given: Any) -> list[str] | None:
    listed = given.get("text") if isinstance(given, dict) else given
    if isinstance(listed, str):
        return [_text(listed)]
    if not isinstance(listed, list):
        return None
    return [_text(a.get("text") if isinstance(a, dict) else a) for a in listed]


def _squad_rows(path: Path) -> Iterator[_Row]:
    try:
        articles = json.loads(b"".join(read_chunks(path)).decode("utf-8-sig"))["data"]
        rows = [
            {**question, "context": paragraph.get("context")}
            for article in articles
            for paragraph in article["paragraphs"]
            for question in paragraph["qas"]
        ]
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            expected="JSON in the form of SQuAD",
            got=f"{type(error).__name__} {error}",
            where=str(path),
            hint=_SQUAD_HINT,
        ) from error
    yield from enumerate(rows, start=1)


def _numbered(rows: PathLike | Iterable[Mapping[str, Any]]) -> tuple[str, Iterator[_Row]]:
    if isinstance(rows, (str, Path)):
        check_readable(Path(rows))
        return str(rows), _json_rows(Path(rows))
    return "rows", ((number, dict(row)) for number, row in enumerate(rows, start=1))


def _json_rows(path: Path) -> Iterator[_Row]:
    for line in read_lines(path):
        if line.text is None:
            yield line.number, TOO_LONG_LINE
        elif line.text.strip():
            try:
                row = json.loads(line.text)
            except (ValueError, RecursionError):
                row = "bad JSON"
            yield line.number, row if isinstance(row, (dict, str)) else "no JSON object"


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


def _text(value: Any) -> str:
    """Returns a text in one line, or nothing where it is none or is no UTF-8."""
    if not isinstance(value, str) or "\x00" in value or regex.search(r"\p{Cs}", value):
        return ""
    return " ".join(value.split())


def _id(row: Mapping[str, Any], place: str, line: int) -> str:
    value = next((row[key] for key in ("id", "guid", "idx") if row.get(key) is not None), None)
    return str(value) if type(value) in (int, str) else f"{Path(place).name}:{line}"


def _check_task(task: str) -> None:
    if not task.strip() or ":" in task:
        raise InputError(expected="a name without a colon", got=repr(task), where="task")
