"""Which facts a model can be asked, which two languages have in common, and what is left out."""

import itertools
from collections.abc import Sequence

from lingraft.corpus.fact_records import FactData
from lingraft.corpus.records import Rejected
from lingraft.corpus.rejects import summarize_rejected
from lingraft.errors import InputError
from lingraft.languages import Language
from lingraft.measurement.requests import tokenize_requests
from lingraft.tokenizer import Tokenizer

NOT_ASKED = "the facts of this source language are not asked in it"

Direction = tuple[Language, Language]


def readable_facts(data: FactData, tokenizer: Tokenizer, *, window_tokens: int) -> FactData:
    """Leaves out facts that a model cannot read at once, each with its file and line.

    A question is read with the answer in each language in which the fact is asked, as the lens
    does.

    Args:
        data: The facts.
        tokenizer: The model's.
        window_tokens: Tokens that the model sees at once, the start token included.
    """
    answers: dict[str, list[str]] = {}
    for fact in data.facts:
        answers.setdefault(fact.id, []).append(fact.answer)
    kept, rejected = [], list(data.rejected)
    for fact in data.facts:
        read = tokenize_requests(
            [(fact.prompt, fact.gap + answer) for answer in answers[fact.id]], tokenizer
        )
        reason = ""
        if any(len(request.ids) >= window_tokens for request in read):
            reason = f"question and answer of more than {window_tokens - 1} tokens"
        elif any(request.first < 1 for request in read):
            reason = "no token of the question before its answer's"
        if reason:
            rejected.append(Rejected(fact.file or "rows", fact.line, reason))
        else:
            kept.append(fact)
    return FactData(tuple(kept), tuple(rejected))


def language_pairs(data: FactData) -> list[Direction]:
    """Returns the pairs of languages with facts in common.

    Raises:
        InputError: There are no facts, or none has a partner in another language.
    """
    left_out = f"; {rejected_note(data.rejected)}" if data.rejected else ""
    if not data.facts:
        raise InputError(expected="at least one fact", got=f"none{left_out}", where="--facts")
    pairs = [p for p in itertools.combinations(data.langs, 2) if data.matched(*p)]
    if not pairs:
        tags = ", ".join(lang.tag for lang in data.langs)
        raise InputError(
            expected="facts with a partner, a row of the same id in another language",
            got=f"{len(data)} facts in {tags} without any{left_out}",
            where="--facts",
            hint="give the questions that ask for one fact the same id",
        )
    return pairs


def directions(data: FactData) -> list[Direction]:
    """Returns sources and targets that share facts which are known in the source, or anywhere."""
    return [
        (source, target)
        for source, target in itertools.permutations(data.langs, 2)
        if at_home(data, source).matched(source, target)
    ]


def unasked_directions(data: FactData) -> list[Direction]:
    """Returns source languages of facts in which nothing is asked, with those that are asked."""
    found = {
        (fact.source_lang, fact.lang): None
        for fact in data.facts
        if fact.source_lang is not None and fact.source_lang not in data.langs
    }
    return list(found)


def at_home(data: FactData, source: Language) -> FactData:
    """Returns the facts whose transfer may be measured from a language."""
    homes = (source, None) if source in data.langs else (source,)
    return FactData(tuple(fact for fact in data.facts if fact.source_lang in homes))


def num_without_partner(data: FactData, one: Language, other: Language) -> int:
    """Counts the facts that are asked in only one of two languages."""
    ids = {fact.id for fact in data.facts if fact.lang in (one, other)}
    return len(ids) - len(data.matched(one, other))


def rejected_note(rejected: Sequence[Rejected]) -> str:
    """Says how many rows were left out, by reason, and where the first of each is, or nothing."""
    first: dict[str, str] = {}
    for row in rejected:
        first.setdefault(row.reason, f"{row.file}:{row.line}")
    told = [
        f"{num} x {reason} ({first[reason]})"
        for reason, num in summarize_rejected(rejected).items()
    ]
    return f"left out {', '.join(told)}" if told else ""


def partner_note(data: FactData) -> str:
    """Says how many facts no other language asks for, or nothing."""
    langs: dict[str, list[Language]] = {}
    for fact in data.facts:
        langs.setdefault(fact.id, []).append(fact.lang)
    alone = [its[0] for its in langs.values() if len(its) == 1]
    told = [f"{alone.count(lang)} in {lang.tag}" for lang in dict.fromkeys(alone)]
    if not told:
        return ""
    return f"asked in one language only, in recall but not in transfer: {', '.join(told)}"
