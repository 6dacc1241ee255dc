"""Questions on facts made of what there is: a dictionary and templates, or parallel text."""

from collections.abc import Mapping

import regex

from lingraft.corpus.fact_records import SLOT, Fact, FactData, answer_gap
from lingraft.corpus.records import Pair, Pairs, Rejected
from lingraft.corpus.task_examples import one_line
from lingraft.errors import InputError
from lingraft.languages import Language

MIN_WORDS = 4
"""Of each side of a pair: less has no first part that could say what comes next."""


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
            gap = answer_gap(lang)
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


def _halves(text: str) -> tuple[str, str] | str:
    words = text.split()
    if len(words) < MIN_WORDS:
        return f"fewer than {MIN_WORDS} words between spaces"
    middle = (len(words) + 1) // 2
    answer = regex.sub(r"^[^\p{L}\p{N}]+|[^\p{L}\p{N}\p{M}]+$", "", words[middle])
    return (" ".join(words[:middle]), answer) if answer else "no word after the first half"


def _pair_id(pair: Pair, number: int) -> str:
    return f"{number}:{pair.id}"
