"""Files of sentence pairs and questions in, prompts with their right answers out."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lingraft.corpus.json_rows import NumberedRow, json_rows, numbered_rows
from lingraft.corpus.readers import PathLike
from lingraft.corpus.streams import format_suffix, read_chunks
from lingraft.corpus.task_examples import (
    Example,
    TaskData,
    check_task_name,
    collect_examples,
    one_line,
)
from lingraft.errors import InputError

HIDDEN_LABEL = "-1"  # what hub data sets write where the label is kept secret
_SQUAD_HINT = (
    'SQuAD has {"data": [{"paragraphs": [{"context", "qas": [{"question", "answers"}]}]}]}'
)


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
    check_task_name(task)
    place, numbered = numbered_rows(rows)

    def example(row: dict[str, Any], line: int) -> Example | str:
        first, second = one_line(row.get(premise)), one_line(row.get(hypothesis))
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
        return Example(prompt, (answer,), _id(row, place, line), shared=first)

    found = ((line, row if isinstance(row, str) else example(row, line)) for line, row in numbered)
    return collect_examples(
        place, found, "entailment", hint=f"rows have {premise}, {hypothesis} and {label}"
    )


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
    numbered = _squad_rows(path) if nested else json_rows(path)
    keys = ("context", "question", "answers") if nested else (context, question, answers)
    found = (
        (line, row if isinstance(row, str) else _question(row, keys, str(path), line))
        for line, row in numbered
    )
    hint = _SQUAD_HINT if nested else f"rows have {context}, {question} and {answers}"
    return collect_examples(str(path), found, "qa", hint=hint)


def _question(
    row: dict[str, Any], keys: tuple[str, str, str], place: str, line: int
) -> Example | str:
    passage, asked = (one_line(row.get(key)) for key in keys[:2])
    if not passage or not asked:
        return "no passage" if not passage else "no question"
    # SQuAD 2.0 asks questions without an answer; some versions list plausible wrong ones for them.
    texts = [] if row.get("is_impossible") else _answers(row.get(keys[2]))
    if texts is None or not all(texts):
        return "no answers" if texts is None else "empty answer"
    if any(text not in passage for text in texts):
        return "answer is not in the passage"
    answers = tuple(dict.fromkeys(texts)) or ("",)
    prompt = f"question: {asked} context: {passage}"
    return Example(prompt, answers, _id(row, place, line), shared=passage)


def _answers(given: Any) -> list[str] | None:
    listed = given.get("text") if isinstance(given, dict) else given
    if isinstance(listed, str):
        return [one_line(listed)]
    if not isinstance(listed, list):
        return None
    return [one_line(a.get("text") if isinstance(a, dict) else a) for a in listed]


def _squad_rows(path: Path) -> Iterator[NumberedRow]:
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


def _id(row: Mapping[str, Any], place: str, line: int) -> str:
    value = next((row[key] for key in ("id", "guid", "idx") if row.get(key) is not None), None)
    return str(value) if type(value) in (int, str) else f"{Path(place).name}:{line}"
