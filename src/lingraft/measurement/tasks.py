"""Downstream tasks: what a model answers, and how much of it is right.

A model is seen through `Scorer` (which label costs least) or `Generator` (what comes after the
prompt). Answers come first and are counted afterwards, so that every score of a task is of the
same answers.
"""

import itertools
import math
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import regex

from lingraft.corpus.records import data_hash
from lingraft.corpus.tagged_sentences import BIO
from lingraft.corpus.task_examples import ANSWER_MARK, Example, TaskData, words_of
from lingraft.errors import InputError
from lingraft.languages import Language
from lingraft.measurement.protocols import Generator, Scored, Scorer
from lingraft.measurement.score import Score, bootstrap_interval
from lingraft.tokenizer.tokenizer import Tokenizer

VERSION = 1

Normalization: TypeAlias = Literal["none", "bytes"]
Span: TypeAlias = tuple[int, int, str]

_ARTICLES = regex.compile(r"\b(a|an|the)\b")
# Scripts that put no spaces between words: each character counts as a token, as MLQA's
# evaluation does for Chinese (Lewis et al. 2020, arXiv 1910.07475).
_TOKENS = regex.compile(
    r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]\p{M}*"
    r"|[^\s\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]+"
)


@dataclass(frozen=True)
class Predictions:
    """What was answered to the examples of a task.

    Attributes:
        texts: One answer for each example, in their order; None where there is none, which
            counts as wrong.
        signature: How the answers were found, as JSON values.
        reason: Why the answers as a whole mean nothing, or empty.
    """

    texts: tuple[str | None, ...]
    signature: Mapping[str, Any]
    reason: str = ""


def task_scores(
    data: TaskData, predictions: Predictions, *, lang: Language, seed: int
) -> dict[str, Score]:
    """Returns every score of a task by name, the one to judge it by first.

    Args:
        data: What was asked.
        predictions: What was answered.
        lang: Language of the answers; only English loses its articles in questions.
        seed: Of the bootstrap over examples.
    """
    examples = data.examples
    if data.kind == "tagging":
        scores = [tagging_accuracy(examples, predictions, seed=seed)]
    elif data.kind == "ner":
        scores = [
            span_f1(examples, predictions, seed=seed),
            tagging_accuracy(examples, predictions, seed=seed),
        ]
    elif data.kind == "qa":
        scores = [
            token_f1(examples, predictions, lang=lang, seed=seed),
            exact_match(examples, predictions, lang=lang, seed=seed),
        ]
    else:
        scores = [exact_match(examples, predictions, lang=None, seed=seed)]
    return {score.name: score for score in scores}


def majority_baseline(
    train: TaskData, test: TaskData, *, lang: Language, seed: int
) -> dict[str, Score]:
    """Returns the scores of one who has counted the training answers and reads no sentence.

    Labels and questions: the most frequent answer. Tags: the word's most frequent tag, for unknown
    words the most frequent of all. Ties go to the first in order of code points.

    Raises:
        InputError: No training examples, or of another kind.
    """
    if not train.examples or train.kind != test.kind:
        raise InputError(
            expected=f"training examples of the kind {test.kind}",
            got=f"{len(train)} of the kind {train.kind}",
            where="train",
        )
    texts: list[str | None]
    if test.kind in ("tagging", "ner"):
        by_word: dict[str, Counter[str]] = {}
        for example in train.examples:
            tags = example.answers[0].split(" ")
            for word, tag in zip(words_of(example), tags, strict=True):
                by_word.setdefault(word, Counter())[tag] += 1
        most = {word: _most_frequent(counts) for word, counts in by_word.items()}
        other = _most_frequent(sum(by_word.values(), Counter()))
        texts = [" ".join(most.get(w, other) for w in words_of(e)) for e in test.examples]
    else:
        answer = _most_frequent(Counter(example.answers[0] for example in train.examples))
        texts = [answer] * len(test)
    signature = {"answers": "majority", "train": _hash(train.examples)}
    return task_scores(test, Predictions(tuple(texts), signature), lang=lang, seed=seed)


def choose_labels(
    examples: Sequence[Example],
    labels: Sequence[str],
    scorer: Scorer,
    *,
    normalization: Normalization = "none",
) -> Predictions:
    """Answers each prompt with the label that costs the fewest nats after it.

    The cost is that of the whole label. A model fine-tuned on the labels needs no more; one that
    was not prefers short labels, which ``"bytes"`` (nats over the label's UTF-8 bytes) softens.
    Two labels that cost the same least leave the example without an answer: it counts as wrong.

    Args:
        examples: The prompts.
        labels: All that may be answered.
        scorer: The model; the end after a label is not scored.
        normalization: Of a label's cost.

    Raises:
        InputError: Fewer than two labels, or one begins with another: it could never cost less.
    """
    ordered = sorted(set(labels))
    begun = [(a, b) for a, b in itertools.pairwise(ordered) if b.startswith(a)]
    if len(ordered) < 2 or begun:
        raise InputError(
            expected="two or more labels of which none begins with another",
            got=repr(begun[0] if begun else tuple(ordered)),
            where="labels",
            hint="give the labels other answers",
        )
    requests = [(example.marked_prompt, label) for example in examples for label in ordered]
    scored = scorer.score(requests)
    texts: list[str | None] = []
    for at in range(0, len(scored), len(ordered)):
        costs = [_cost(item, normalization) for item in scored[at : at + len(ordered)]]
        best = [label for label, cost in zip(ordered, costs, strict=True) if cost == min(costs)]
        texts.append(best[0] if len(best) == 1 else None)
    unread = [item for item in scored if item.nats is None or not math.isfinite(item.nats)]
    reason = (unread[0].reason or "a label has no finite likelihood") if unread else ""
    settings = {"answers": "least nats", "normalization": normalization, "labels": ordered}
    return Predictions(tuple(texts), {**settings, **scorer.signature}, reason)


def generate_answers(
    examples: Sequence[Example], generator: Generator, *, max_new_tokens: int
) -> Predictions:
    """Answers each prompt with the first line of what the model writes after it."""
    texts = generator.generate([e.marked_prompt for e in examples], max_new_tokens=max_new_tokens)
    lines = tuple(text.strip().split("\n", 1)[0].strip() for text in texts)
    return Predictions(lines, {"answers": "generated", "max_new_tokens": max_new_tokens})


def cut_prompts(
    examples: Sequence[Example],
    tokenizer: Tokenizer,
    *,
    window_tokens: int,
    max_answer_tokens: int,
) -> tuple[list[Example], int]:
    """Cuts the beginning off prompts that are too long, at characters, and counts them.

    Args:
        examples: The prompts.
        tokenizer: Counts the tokens.
        window_tokens: Of a start token, prompt, answer and end token together.
        max_answer_tokens: Kept free for the answer.

    Raises:
        InputError: The window has no room for a prompt.
    """
    room = window_tokens - max_answer_tokens - 2
    if room < 1:
        raise InputError(
            expected=f"a window with room for answers of {max_answer_tokens} tokens and a prompt",
            got=f"{window_tokens} tokens",
            where="window_tokens",
        )
    fitting = []
    encoded = tokenizer.encode_with_offsets([example.marked_prompt for example in examples])
    for example, (ids, offsets) in zip(examples, encoded, strict=True):
        text = example.marked_prompt
        while len(ids) > room:
            # To the end of the last token to go: one that ends in a character takes it all along.
            text = text[max(offsets[len(ids) - room - 1][1], 1) :]
            [(ids, offsets)] = tokenizer.encode_with_offsets([text])
        fitting.append(replace(example, prompt=text.removesuffix(ANSWER_MARK)))
    pairs = zip(examples, fitting, strict=True)
    return fitting, sum(a.prompt != b.prompt for a, b in pairs)


def exact_match(
    examples: Sequence[Example],
    predictions: Predictions,
    *,
    lang: Language | None,
    seed: int,
) -> Score:
    """Measures the share of examples answered with one of their right answers.

    Args:
        examples: What was asked.
        predictions: What was answered.
        lang: Compare as `normalize_answer` does for this language; None compares letter by letter.
        seed: Of the bootstrap over examples.
    """

    def hit(example: Example, text: str) -> tuple[float, float]:
        if lang is None:
            return float(text in example.answers), 1.0
        right = {normalize_answer(answer, lang=lang) for answer in example.answers}
        return float(normalize_answer(text, lang=lang) in right), 1.0

    settings = {"normalization_of_answers": "none" if lang is None else str(lang)}
    return _score("exact_match", examples, predictions, hit, lambda _: (0.0, 1.0), settings, seed)


def token_f1(
    examples: Sequence[Example], predictions: Predictions, *, lang: Language, seed: int
) -> Score:
    """Measures the mean F1 of answers' tokens, of each question's best-matching right answer.

    F1 = 2 · common tokens / (tokens answered + tokens right), counted with repetition, after
    `normalize_answer`; a question without an answer gives 1 to an empty answer and 0 to any other
    (Rajpurkar et al. 2016 and 2018, as their evaluation scripts do). Tokens are what stands
    between spaces, and single characters in scripts without spaces.
    """

    def best(example: Example, text: str) -> tuple[float, float]:
        ours = _answer_tokens(text, lang)
        return max(_overlap(ours, _answer_tokens(a, lang)) for a in example.answers), 1.0

    settings = {"normalization_of_answers": str(lang)}
    return _score("token_f1", examples, predictions, best, lambda _: (0.0, 1.0), settings, seed)


def tagging_accuracy(examples: Sequence[Example], predictions: Predictions, *, seed: int) -> Score:
    """Measures the share of words with the right tag; a word without one counts as wrong.

    Tags answered beyond the last word are not counted.
    """

    def hits(example: Example, text: str) -> tuple[float, float]:
        right = example.answers[0].split(" ")
        pairs = zip(right, text.split(), strict=False)
        return float(sum(a == b for a, b in pairs)), float(len(right))

    def none(example: Example) -> tuple[float, float]:
        return 0.0, float(len(example.answers[0].split(" ")))

    return _score("tagging_accuracy", examples, predictions, hits, none, {}, seed)


def span_f1(examples: Sequence[Example], predictions: Predictions, *, seed: int) -> Score:
    """Measures F1 of named entities over all sentences: 2 · right / (answered + true).

    An entity is right with both its ends and its type, as CoNLL-2003 counts (Tjong Kim Sang and
    De Meulder 2003).
    """

    def hits(example: Example, text: str) -> tuple[float, float]:
        ours, true = spans(text.split()), spans(example.answers[0].split(" "))
        return 2.0 * len(ours & true), float(len(ours) + len(true))

    def none(example: Example) -> tuple[float, float]:
        return 0.0, float(len(spans(example.answers[0].split(" "))))

    return _score("span_f1", examples, predictions, hits, none, {}, seed)


def spans(tags: Sequence[str]) -> set[Span]:
    """Returns the entities that tags mark: first word, word after the last one, type.

    An I that follows no entity of its type begins one, so that IOB1 is read as well as IOB2; what
    is no tag is O.

    Example:
        >>> sorted(spans(["B-PER", "I-PER", "O", "I-LOC", "B-LOC"]))
        [(0, 2, 'PER'), (3, 4, 'LOC'), (4, 5, 'LOC')]
    """
    found: set[Span] = set()
    begun, kind = 0, ""
    for at, tag in enumerate([*tags, "O"]):
        place, _, name = tag.partition("-") if BIO.fullmatch(tag) else ("O", "", "")
        if kind and (place != "I" or name != kind):
            found.add((begun, at, kind))
            kind = ""
        if place != "O" and not kind:
            begun, kind = at, name
    return found


def normalize_answer(text: str, *, lang: Language) -> str:
    """Returns an answer in small letters without punctuation, its white space as single spaces.

    SQuAD's normalisation made independent of the language, as in MLQA (Lewis et al. 2020, arXiv
    1910.07475): punctuation is every character of a Unicode category P and ASCII's own
    punctuation, which has signs like $ and + besides. The articles a, an and the go in English
    only.

    Example:
        >>> normalize_answer("«The  River!»", lang=Language.parse("en"))
        'river'
    """
    kept = "".join(
        character
        for character in text.lower()
        if character not in string.punctuation and unicodedata.category(character)[0] != "P"
    )
    if lang.iso639_3 == "eng":
        kept = _ARTICLES.sub(" ", kept)
    return " ".join(kept.split())


def _score(
    name: str,
    examples: Sequence[Example],
    predictions: Predictions,
    count: Callable[[Example, str], tuple[float, float]],
    count_missing: Callable[[Example], tuple[float, float]],
    settings: Mapping[str, Any],
    seed: int,
) -> Score:
    """Adds the two sums of every example up."""
    if len(predictions.texts) != len(examples):
        raise InputError(
            expected=f"an answer or None for each of {len(examples)} examples",
            got=f"{len(predictions.texts)} answers",
            where=name,
        )
    items = tuple(
        count_missing(example) if text is None else count(example, text)
        for example, text in zip(examples, predictions.texts, strict=True)
    )
    reason = predictions.reason if examples else "no examples"
    signature = {"data": _hash(examples), "method": name, "version": VERSION, "seed": seed}
    return Score(
        name=name,
        unit="fraction",
        numerator=math.fsum(numerator for numerator, _ in items),
        denominator=math.fsum(denominator for _, denominator in items),
        items=items,
        signature={**signature, **settings, **predictions.signature},
        interval=None if reason else bootstrap_interval(items, scale=1.0, seed=seed),
        reason=reason,
        statistics={
            "num_examples": len(examples),
            "num_unanswered": sum(text is None for text in predictions.texts),
        },
    )


def _hash(examples: Sequence[Example]) -> str:
    return data_hash([text for e in examples for text in (e.prompt, *e.answers, "")])


def _cost(item: Scored, normalization: Normalization) -> float:
    nats = math.inf if item.nats is None or not math.isfinite(item.nats) else item.nats
    return nats / item.num_bytes if normalization == "bytes" else nats


def _most_frequent(counts: Counter[str]) -> str:
    return min(counts, key=lambda name: (-counts[name], name))


def _answer_tokens(text: str, lang: Language) -> Counter[str]:
    return Counter(_TOKENS.findall(normalize_answer(text, lang=lang)))


def _overlap(ours: Counter[str], right: Counter[str]) -> float:
    if not ours or not right:
        return float(ours == right)
    return 2 * (ours & right).total() / (ours.total() + right.total())
