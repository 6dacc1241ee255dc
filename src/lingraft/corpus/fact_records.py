"""Questions on facts in several languages; those of one fact have one id."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import regex

from lingraft.corpus.json_rows import numbered_rows
from lingraft.corpus.readers import PathLike
from lingraft.corpus.records import Rejected
from lingraft.corpus.rejects import check_rejected
from lingraft.corpus.task_examples import ANSWER_MARK, one_line
from lingraft.errors import InputError
from lingraft.languages import Language

SLOT = "{x}"
UNSPACED_SCRIPTS = frozenset({"Jpan", "Hani", "Hans", "Hant", "Thai", "Laoo", "Khmr", "Mymr"})
FACT_HINT = (
    'a row has "id", "lang", "prompt" or "question", and "answer"; or, as ECLeKTic, "q_id", '
    '"original_lang", "question", "answer" and translations "xx_q", "xx_a"; or, as LiveCLKTBench, '
    '"qid", "train_lang", "test_lang", "question" with its options, "answer" and "text_answer"; '
    'or "id", "lang", "question", "options" and the letter of the right one as "answer"'
)
_TRANSLATED = regex.compile(r"(.+)_([qa])")
_OPTION = regex.compile(r"\n- ([A-Z])\. ")


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact as one language asks for it.

    Attributes:
        id: Of the fact; the same in every language.
        lang: Of prompt and answer.
        prompt: What a model reads.
        answer: What comes next when it knows the fact.
        alternatives: Wrong answers to choose among; none where other facts' answers serve.
        subject: Half-open span of characters of the prompt that names what it is about, or None.
        source_lang: The language in which the fact is known, or None.
        frequency: How often the answer is found in text, in any unit, or None.
        gap: What stands between prompt and answer.
        file: Where it was read, or empty; no part of what the fact is, as the line.
        line: 1-based number of its row.
    """

    id: str
    lang: Language
    prompt: str
    answer: str
    alternatives: tuple[str, ...] = ()
    subject: tuple[int, int] | None = None
    source_lang: Language | None = None
    frequency: float | None = None
    gap: str = " "
    file: str = field(default="", compare=False)
    line: int = field(default=0, compare=False)

    @property
    def continuation(self) -> str:
        """The answer as it stands after the prompt."""
        return self.gap + self.answer


@dataclass(frozen=True)
class FactData:
    """Facts in the order of the file, and what was rejected.

    Attributes:
        facts: No two of one id and language.
        rejected: File, line and why.
    """

    facts: tuple[Fact, ...]
    rejected: tuple[Rejected, ...] = ()

    def __len__(self) -> int:
        return len(self.facts)

    @property
    def langs(self) -> tuple[Language, ...]:
        """The languages in the order of their first facts."""
        return tuple(dict.fromkeys(fact.lang for fact in self.facts))

    def matched(self, one: Language, other: Language) -> tuple[tuple[Fact, Fact], ...]:
        """Returns the facts that two languages both ask for, in the order of the first one's."""
        theirs = {fact.id: fact for fact in self.facts if fact.lang == other}
        ours = (fact for fact in self.facts if fact.lang == one)
        return tuple((fact, theirs[fact.id]) for fact in ours if fact.id in theirs)


_Found: TypeAlias = tuple[int, Fact | str]


def read_facts(rows: PathLike | Iterable[Mapping[str, Any]]) -> FactData:
    """Reads questions on facts.

    Four kinds of rows are known by their keys, and may stand in one file:

    - ours, a question a row: ``id``, ``lang``, ``prompt`` (the answer goes on with it) or
      ``question`` (the answer stands in the next line), ``answer``, and where there are any
      ``alternatives`` (a list), ``subject`` (a part of the prompt; its last occurrence counts),
      ``source_lang``, ``frequency``;
    - a fact a row, as ECLeKTic (arXiv 2502.21228) has them: ``q_id``, ``original_lang``,
      ``question`` and ``answer`` in that language, and ``xx_q``, ``xx_a`` for every language xx,
      which count where the original has them too;
    - a question a row, as LiveCLKTBench (arXiv 2511.14774) has them: ``qid``, ``question`` with a
      line ``- A. text`` for each option at its end, the letter of the right one under ``answer``
      and its text under ``text_answer``, ``train_lang`` (the source language) and ``test_lang``;
      the options are taken off the question, and the wrong ones are the alternatives;
    - options in a field of their own: ``id``, ``lang``, ``question``, ``options`` (a list, or an
      object by letter) and the letter of the right one under ``answer``.

    Answers, alternatives and options may be JSON numbers, which count as Python writes them.

    Args:
        rows: A ``.jsonl`` (also ``.gz``, ``.xz``, ``.zst``) with an object a line, or the rows.

    Returns:
        The facts. Rejected are rows of other keys, without a text, in no known language, with a
        subject that is not in the prompt, and second rows of one id and language.

    Raises:
        InputError: The file cannot be read, or less than half of its rows are facts.
    """
    place, numbered = numbered_rows(rows)
    kept: dict[tuple[str, Language], Fact] = {}
    rejected: list[Rejected] = []
    for line, row in numbered:
        for number, found in [(line, row)] if isinstance(row, str) else _facts(row, line):
            if isinstance(found, str):
                rejected.append(Rejected(place, number, found))
            elif (found.id, found.lang) in kept:
                rejected.append(Rejected(place, number, "a second row of this id and language"))
            else:
                file = place if isinstance(rows, (str, Path)) else ""
                kept[found.id, found.lang] = replace(found, file=file, line=number)
    check_rejected(place, len(kept), rejected, hint=FACT_HINT)
    return FactData(tuple(kept.values()), tuple(rejected))


def select_languages(data: FactData, langs: Sequence[Language]) -> FactData:
    """Returns the facts of some languages, those of all where none is named.

    Raises:
        InputError: There is no fact in one of them.
    """
    for lang in langs:
        if lang not in data.langs:
            raise InputError(
                expected=f"languages of the facts: {', '.join(x.tag for x in data.langs)}",
                got=lang.tag,
                where="--lang",
            )
    kept = tuple(fact for fact in data.facts if not langs or fact.lang in langs)
    return FactData(kept, data.rejected)


def _facts(row: Mapping[str, Any], line: int) -> Iterator[_Found]:
    """Yields the facts of one row, or why there is none."""
    if "original_lang" in row:
        yield from ((line, found) for found in _translated(row))
    elif "test_lang" in row:
        yield line, _with_listed_options(row)
    elif "options" in row:
        yield line, _with_options(row)
    elif {"id", "lang", "answer"} <= row.keys() and {"prompt", "question"} & row.keys():
        options = row.get("alternatives", [])
        yield line, _fact(row, row["answer"], options)
    else:
        yield line, "keys of no known kind of row"


def _translated(row: Mapping[str, Any]) -> Iterator[Fact | str]:
    source = _lang(row["original_lang"])
    name = _id(row, ("q_id", "id"))
    if source is None or not name:
        yield f"unknown language {row['original_lang']!r}" if name else "no id"
        return
    found: dict[Language, dict[str, Any]] = {}
    if row.get("question") is not None:
        found[source] = {"q": row["question"], "a": row.get("answer")}
    for key, value in row.items():
        match = _TRANSLATED.fullmatch(key)
        if match is None or value is None:
            continue
        lang = _lang(match[1])
        if lang is None:
            yield f"unknown language {match[1]!r}"
            return
        found.setdefault(lang, {})[match[2]] = value
    if source not in found:
        yield "no question in the original language"
        return
    for lang, texts in found.items():
        fields = {"id": name, "lang": str(lang), "source_lang": str(source)}
        yield _fact({**fields, "question": texts.get("q")}, texts.get("a"), [])


def _with_listed_options(row: Mapping[str, Any]) -> Fact | str:
    """Reads a question at whose end its options are listed."""
    text = row.get("question")
    question, *listed = _OPTION.split(text) if isinstance(text, str) else [""]
    options = {letter: one_line(x) for letter, x in zip(listed[::2], listed[1::2], strict=True)}
    right = one_line(row.get("text_answer"))
    letter = row.get("answer")
    if not isinstance(letter, str) or options.get(letter) != right:
        return "the option of the letter is not text_answer"
    fields = {
        "id": _id(row, ("qid", "id")),
        "lang": row["test_lang"],
        "source_lang": row.get("train_lang"),
        "question": question,
    }
    others = [option for key, option in options.items() if key != letter]
    return _fact(fields, right, others)


def _with_options(row: Mapping[str, Any]) -> Fact | str:
    options, letter = row["options"], row.get("answer")
    if isinstance(options, list):
        options = {chr(ord("A") + n): text for n, text in enumerate(options)}
    if not isinstance(options, dict) or not isinstance(letter, str) or letter not in options:
        return "answer is no letter of the options"
    others = [text for key, text in options.items() if key != letter]
    return _fact(row, options[letter], others)


def _fact(row: Mapping[str, Any], answer: Any, alternatives: Any) -> Fact | str:
    """Returns the fact of a question, its answer and the wrong answers, or why there is none."""
    key = "prompt" if row.get("prompt") is not None else "question"
    prompt, right, name = one_line(row.get(key)), _answer(answer), _id(row, ("id",))
    lang = _lang(row.get("lang"))
    source = _lang(row["source_lang"]) if row.get("source_lang") is not None else lang
    wrong = _wrong_answers(alternatives, right)
    span = _span(prompt, row.get("subject"))
    frequency = row.get("frequency")
    problems = {
        "no id": not name,
        f"unknown language {row.get('lang')!r}": lang is None,
        f"unknown language {row.get('source_lang')!r}": source is None,
        f"no text under {key!r}": not prompt,
        "no answer": not right,
        "alternatives are no list of texts": wrong is None,
        "the answer is among the alternatives": wrong is not None and right in wrong,
        "subject is not in the prompt": span == (0, 0),
        "frequency is no number of 0 or more": not _is_frequency(frequency),
    }
    problem = next((reason for reason, holds in problems.items() if holds), "")
    if problem or lang is None or wrong is None:
        return problem
    return Fact(
        id=name,
        lang=lang,
        prompt=prompt,
        answer=right,
        alternatives=wrong,
        subject=span,
        source_lang=source if row.get("source_lang") is not None else None,
        frequency=None if frequency is None else float(frequency),
        gap=answer_gap(lang) if key == "prompt" else ANSWER_MARK,
    )


def _wrong_answers(given: Any, right: str) -> tuple[str, ...] | None:
    if not isinstance(given, list):
        return None
    texts = [_answer(text) for text in given]
    return tuple(dict.fromkeys(texts)) if all(texts) else None


def _answer(value: Any) -> str:
    """Returns a text in one line, or a number as a text, or nothing."""
    is_number = type(value) in (int, float) and math.isfinite(value)
    return str(value) if is_number else one_line(value)


def _span(prompt: str, subject: Any) -> tuple[int, int] | None:
    """Where the subject stands last; (0, 0) for nowhere, None where none is given."""
    if subject is None:
        return None
    text = one_line(subject)
    start = prompt.rfind(text)
    return (start, start + len(text)) if text and start >= 0 else (0, 0)


def _is_frequency(value: Any) -> bool:
    return value is None or (type(value) in (int, float) and 0 <= value < float("inf"))


def answer_gap(lang: Language) -> str:
    """Returns what stands between a prompt of the language and what goes on with it."""
    return "" if lang.script in UNSPACED_SCRIPTS else " "


def _lang(value: Any) -> Language | None:
    try:
        return Language.parse(value) if isinstance(value, str) else None
    except InputError:
        return None


def _id(row: Mapping[str, Any], keys: Sequence[str]) -> str:
    value = next((row[key] for key in keys if row.get(key) is not None), None)
    return one_line(str(value)) if type(value) in (int, str) else ""
