"""Questions on facts in several languages; those of one fact have one id."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import regex

from lingraft.corpus.json_rows import numbered_rows
from lingraft.corpus.readers import PathLike
from lingraft.corpus.records import Pair, Pairs, Rejected
from lingraft.corpus.rejects import check_rejected
from lingraft.corpus.task_examples import ANSWER_MARK, one_line
from lingraft.errors import InputError
from lingraft.languages import Language

MIN_WORDS = 4
"""Of each side of a pair: less has no first part that could say what comes next."""

SLOT = "{x}"
UNSPACED_SCRIPTS = frozenset({"Jpan", "Hani", "Hans", "Hant", "Thai", "Laoo", "Khmr", "Mymr"})
FACT_HINT = (
    'a row has "id", "lang", "prompt" or "question", and "answer"; or "q_id", "original_lang", '
    '"q_original", "a_original" and translations "q_xx", "a_xx"; or "id", "lang", "question", '
    '"options" and the letter of the right one as "answer"'
)
_TRANSLATED = regex.compile(r"([qa])_(.+)")


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

    Three kinds of rows are known by their keys, and may stand in one file:

    - ours, a question a row: ``id``, ``lang``, ``prompt`` (the answer goes on with it) or
      ``question`` (the answer stands in the next line), ``answer``, and where there are any
      ``alternatives`` (a list), ``subject`` (a part of the prompt; its last occurrence counts),
      ``source_lang``, ``frequency``;
    - a fact a row, as ECLeKTic has them: ``original_lang``, ``q_original``, ``a_original``, and
      ``q_xx``, ``a_xx`` for every language xx that the question was translated into; the id under
      ``q_id`` or ``id``;
    - four options a row, as LiveCLKTBench has them: ``id``, ``lang``, ``question``, ``options`` (a
      list, or an object by letter) and the letter of the right one under ``answer``.

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
                kept[found.id, found.lang] = found
    check_rejected(place, len(kept), rejected, hint=FACT_HINT)
    return FactData(tuple(kept.values()), tuple(rejected))


def facts_from_dictionary(templates: Mapping[Language, str], dictionary: Pairs) -> FactData:
    """Makes facts of a dictionary: what is a source word in the target language?

    Each language asks for the same translation of the same word, e.g. ``The Greek word for "{x}"
    is`` and ``Η ελληνική λέξη για το "{x}" είναι``, so that all that differs is the language of the
    question. Of a word with several translations the first counts.

    Args:
        templates: Prompts by language, each with one ``{x}`` for the source word.
        dictionary: Words (the subjects) and their translations (the answers).

    Raises:
        InputError: A template without exactly one ``{x}``, or fewer than two templates.
    """
    if len(templates) < 2 or any(text.count(SLOT) != 1 for text in templates.values()):
        raise InputError(
            expected=f"templates in two languages or more, each with one {SLOT}",
            got=", ".join(f"{lang}: {text!r}" for lang, text in templates.items()) or "none",
            where="templates",
        )
    words: dict[str, str] = {}
    for pair in dictionary:
        words.setdefault(one_line(pair.source), one_line(pair.target))
    facts = []
    for word, translation in words.items():
        for lang, template in templates.items():
            start = template.index(SLOT)
            prompt = template.replace(SLOT, word)
            span = (start, start + len(word))
            gap = _gap(lang)
            facts.append(Fact(word, lang, prompt, translation, subject=span, gap=gap))
    return FactData(tuple(facts))


def facts_from_pairs(pairs: Pairs) -> FactData:
    """Makes prompts of sentences and their translations: what word comes after the first half?

    Rough, but to be had for every language with parallel text: the two halves need not end at the
    same thought. A side's answer is the word after its first half, punctuation around it taken off.

    Args:
        pairs: Sentences and their translations; each pair's place in the list is a part of the id.

    Returns:
        The facts; rejected, by the pair's number from 1, are pairs of which a side has fewer than
        `MIN_WORDS` words between spaces or no letter or digit in the word that is asked for.
    """
    facts: list[Fact] = []
    rejected: list[Rejected] = []
    for number, pair in enumerate(pairs, start=1):
        sides = ((pairs.source_lang, pair.source), (pairs.target_lang, pair.target))
        halves = [_halves(text) for _, text in sides]
        reason = next((half for half in halves if isinstance(half, str)), "")
        if reason:
            rejected.append(Rejected("pairs", number, reason))
            continue
        facts += [
            Fact(_pair_id(pair, number), lang, half[0], half[1])
            for (lang, _), half in zip(sides, halves, strict=True)
            if not isinstance(half, str)
        ]
    return FactData(tuple(facts), tuple(rejected))


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
    for key, value in row.items():
        match = _TRANSLATED.fullmatch(key)
        if match is None or value is None:
            continue
        lang = source if match[2] == "original" else _lang(match[2])
        if lang is None:
            yield f"unknown language {match[2]!r}"
            return
        found.setdefault(lang, {}).setdefault(match[1], value)
    if source not in found:
        yield "no question in the original language"
        return
    for lang, texts in found.items():
        fields = {"id": name, "lang": str(lang), "source_lang": str(source)}
        yield _fact({**fields, "question": texts.get("q")}, texts.get("a"), [])


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
    prompt, right, name = one_line(row.get(key)), one_line(answer), _id(row, ("id",))
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
        gap=_gap(lang) if key == "prompt" else ANSWER_MARK,
    )


def _wrong_answers(given: Any, right: str) -> tuple[str, ...] | None:
    if not isinstance(given, list):
        return None
    texts = [one_line(text) for text in given]
    return tuple(dict.fromkeys(texts)) if all(texts) else None


def _span(prompt: str, subject: Any) -> tuple[int, int] | None:
    """Where the subject stands last; (0, 0) for nowhere, None where none is given."""
    if subject is None:
        return None
    text = one_line(subject)
    start = prompt.rfind(text)
    return (start, start + len(text)) if text and start >= 0 else (0, 0)


def _is_frequency(value: Any) -> bool:
    return value is None or (type(value) in (int, float) and 0 <= value < float("inf"))


def _halves(text: str) -> tuple[str, str] | str:
    words = text.split()
    if len(words) < MIN_WORDS:
        return f"fewer than {MIN_WORDS} words between spaces"
    middle = (len(words) + 1) // 2
    answer = regex.sub(r"^[^\p{L}\p{N}]+|[^\p{L}\p{N}\p{M}]+$", "", words[middle])
    return (" ".join(words[:middle]), answer) if answer else "no word after the first half"


def _pair_id(pair: Pair, number: int) -> str:
    return f"{number}:{pair.id}"


def _gap(lang: Language) -> str:
    return "" if lang.script in UNSPACED_SCRIPTS else " "


def _lang(value: Any) -> Language | None:
    try:
        return Language.parse(value) if isinstance(value, str) else None
    except InputError:
        return None


def _id(row: Mapping[str, Any], keys: Sequence[str]) -> str:
    value = next((row[key] for key in keys if row.get(key) is not None), None)
    return one_line(str(value)) if type(value) in (int, str) else ""
