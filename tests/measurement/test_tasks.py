"""Tasks: which answer is taken, and how right answers are counted."""

import json
import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lingraft.corpus.task_examples import Example, TaskData
from lingraft.errors import InputError
from lingraft.languages import Language
from lingraft.measurement import Score, bootstrap_interval
from lingraft.measurement.protocols import Scored
from lingraft.measurement.tasks import (
    Predictions,
    choose_labels,
    cut_prompts,
    exact_match,
    generate_answers,
    majority_baseline,
    normalize_answer,
    span_f1,
    spans,
    tagging_accuracy,
    task_scores,
    token_f1,
)
from lingraft.tokenizer import Tokenizer

EN, TR, ZH, TH = (Language.parse(code) for code in ("en", "tr", "zh", "th"))
TAGS = ["O", "B-A", "I-A", "B-B", "I-B", "x"]


class Costs:
    """A scorer that looks costs up by prompt and label."""

    def __init__(self, nats: Mapping[tuple[str, str], float | None]) -> None:
        self.nats = nats
        self.signature: Mapping[str, Any] = {"model": "a table"}

    def score(self, requests: Sequence[tuple[str, str]]) -> list[Scored]:
        return [
            Scored(
                self.nats[p, c], len(c.encode()), len(c), "lossy" if self.nats[p, c] is None else ""
            )
            for p, c in requests
        ]


class Writer:
    """A generator that continues each prompt with its own text."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self.texts = texts
        self.asked = 0

    def generate(self, prompts: Sequence[str], *, max_new_tokens: int) -> list[str]:
        self.asked = max_new_tokens
        return [self.texts[prompt] for prompt in prompts]


def examples(*answers: str | tuple[str, ...]) -> tuple[Example, ...]:
    listed = [(a,) if isinstance(a, str) else a for a in answers]
    return tuple(Example(f"t: p{n}", a, f"e{n}") for n, a in enumerate(listed))


def answered(*texts: str | None, reason: str = "") -> Predictions:
    return Predictions(texts, {"answers": "given"}, reason)


def test_the_cheapest_label_is_the_answer() -> None:
    nats = {("t: p0\n", "no"): 3.0, ("t: p0\n", "maybe"): 4.0,
            ("t: p1\n", "no"): 2.0, ("t: p1\n", "maybe"): 2.0,
            ("t: p2\n", "no"): 5.0, ("t: p2\n", "maybe"): 1.0}  # fmt: skip
    told = examples("no", "no", "no")
    chosen = choose_labels(told, ["no", "maybe", "no"], Costs(nats))
    assert chosen.texts == ("no", None, "maybe")
    assert chosen.signature == {
        "answers": "least nats",
        "normalization": "none",
        "labels": ["maybe", "no"],
        "model": "a table",
    }
    by_byte = choose_labels(told, ["no", "maybe"], Costs(nats), normalization="bytes")
    assert by_byte.texts == ("maybe", "maybe", "maybe")  # 4/5 < 3/2, 2/5 < 2/2
    score = exact_match(told, chosen, lang=None, seed=1)
    assert (score.numerator, score.denominator, score.items) == (1, 3, ((1, 1), (0, 1), (0, 1)))
    assert score.statistics == {"num_examples": 3, "num_unanswered": 1}
    assert score.interval == bootstrap_interval(score.items, scale=1.0, seed=1)
    assert score.signature["normalization_of_answers"] == "none"
    assert Score.from_record(json.loads(json.dumps(score.to_record()))) == score


@pytest.mark.parametrize(
    ("nats", "reason"),
    [(None, "lossy"), (math.inf, "a label has no finite likelihood")],
)
def test_a_label_without_a_likelihood_leaves_no_score(nats: float | None, reason: str) -> None:
    told = examples("a")
    chosen = choose_labels(told, ["a", "b"], Costs({("t: p0\n", "a"): 1.0, ("t: p0\n", "b"): nats}))
    score = exact_match(told, chosen, lang=None, seed=0)
    assert (score.value, score.reason, score.interval) == (None, reason, None)


@pytest.mark.parametrize(
    ("labels", "got"), [(["1", "10", "2"], "('1', '10')"), (["1", "1"], "('1',)"), ([], "()")]
)
def test_labels_that_are_no_choice_are_refused(labels: list[str], got: str) -> None:
    with pytest.raises(InputError) as caught:
        choose_labels(examples("1"), labels, Costs({}))
    assert (caught.value.got, caught.value.where) == (got, "labels")


def test_an_answer_is_the_first_line_that_is_written() -> None:
    writer = Writer({"t: p0\n": " 1 \nand so on", "t: p1\n": "\n\n0\n", "t: p2\n": ""})
    made = generate_answers(examples("1", "0", ""), writer, max_new_tokens=7)
    assert made.texts == ("1", "0", "")
    assert (writer.asked, made.signature["max_new_tokens"]) == (7, 7)
    score = exact_match(examples("1", "0", ""), made, lang=None, seed=0)
    assert score.value == 1.0


def test_answers_that_are_not_one_for_each_example_are_refused() -> None:
    with pytest.raises(InputError) as caught:
        exact_match(examples("1", "0"), answered("1"), lang=None, seed=0)
    assert caught.value.got == "1 answers"
    assert caught.value.expected == "an answer or None for each of 2 examples"
    assert exact_match((), answered(), lang=None, seed=0).reason == "no examples"


@pytest.mark.parametrize(
    ("text", "lang", "normal"),
    [
        ("The  Fox, a-n «and»!", EN, "fox and"),
        ("The  Fox, a-n «and»!", TR, "the fox an and"),
        ("Athena a theory", EN, "athena theory"),
        ("¿Qué? ¡Sí! «да» 「日」。 $5 + 3 €", TR, "qué sí да 日 5 3 €"),
        ("«»", TR, ""),
    ],
)
def test_answers_are_compared_without_punctuation(text: str, lang: Language, normal: str) -> None:
    assert normalize_answer(text, lang=lang) == normal
    assert normalize_answer(normal, lang=lang) == normal


@pytest.mark.parametrize(
    ("text", "right", "lang", "f1", "exact"),
    [
        # x x y against x y z z: two in common of three and four.
        ("x x y", ("x y z z",), TR, 4 / 7, 0.0),
        ("Fox", ("a dog", "the fox!"), EN, 1.0, 1.0),
        ("Fox", ("a dog", "the fox!"), TR, 2 / 3, 0.0),
        ("日本国", ("日本",), ZH, 4 / 5, 0.0),
        ("มา ก", ("มาก",), TH, 1.0, 0.0),
        ("", ("",), EN, 1.0, 1.0),
        ("x", ("",), EN, 0.0, 0.0),
        ("", ("x",), EN, 0.0, 0.0),
        (None, ("",), EN, 0.0, 0.0),
    ],
)
def test_tokens_in_common_are_counted_with_repetition(
    text: str | None, right: tuple[str, ...], lang: Language, f1: float, exact: float
) -> None:
    told = examples(right, "same")
    data = TaskData(told, "qa", ())
    scores = task_scores(data, answered(text, "same"), lang=lang, seed=0)
    assert list(scores) == ["token_f1", "exact_match"]
    assert scores["token_f1"].items == (pytest.approx((f1, 1.0)), (1.0, 1.0))
    assert scores["exact_match"].items == ((exact, 1.0), (1.0, 1.0))
    assert scores["token_f1"] == token_f1(told, answered(text, "same"), lang=lang, seed=0)


@given(st.lists(st.text("ab ", max_size=6), min_size=2, max_size=2), st.sampled_from([EN, ZH]))
def test_f1_is_that_of_the_best_matching_of_equal_tokens(texts: list[str], lang: Language) -> None:
    ours, right = (normalize_answer(text, lang=lang).split() for text in texts)
    score = token_f1(examples(texts[1]), answered(texts[0]), lang=lang, seed=0)
    common = max(
        n for n in range(len(ours) + 1) for taken in combinations(ours, n)
        if all(taken.count(t) <= right.count(t) for t in taken)
    )  # fmt: skip
    total = len(ours) + len(right)
    assert score.value == pytest.approx(2 * common / total if total else 1.0)


def test_tags_are_counted_by_word() -> None:
    told = examples("N V N", "N", "V V")
    score = tagging_accuracy(told, answered("N V V N", None, "V"), seed=0)
    assert score.items == ((2, 3), (0, 1), (1, 2))
    assert score.value == 3 / 6


def conlleval(tags: list[str]) -> set[tuple[int, int, str]]:
    """All spans by trying every pair of ends."""

    def kind(at: int) -> str:
        return tags[at][2:] if 0 <= at < len(tags) and tags[at] not in ("O", "x") else ""

    def begins(at: int) -> bool:
        return bool(kind(at)) and (tags[at][0] == "B" or kind(at - 1) != kind(at))

    return {
        (a, b, kind(a))
        for a in range(len(tags))
        for b in range(a + 1, len(tags) + 1)
        if begins(a)
        and all(kind(at) == kind(a) and not begins(at) for at in range(a + 1, b))
        and (b == len(tags) or begins(b) or not kind(b))
    }


@given(st.lists(st.sampled_from(TAGS), max_size=7))
def test_entities_are_those_that_every_pair_of_ends_gives(tags: list[str]) -> None:
    assert spans(tags) == conlleval(tags)


@given(st.lists(st.tuples(*[st.lists(st.sampled_from(TAGS[:5]), min_size=3, max_size=3)] * 2)))
def test_span_f1_sums_before_it_divides(sentences: list[tuple[list[str], list[str]]]) -> None:
    told = examples(*(" ".join(true) for true, _ in sentences))
    score = span_f1(told, answered(*(" ".join(ours) for _, ours in sentences)), seed=0)
    true = {(n, *s) for n, (tags, _) in enumerate(sentences) for s in conlleval(tags)}
    ours = {(n, *s) for n, (_, tags) in enumerate(sentences) for s in conlleval(tags)}
    if true | ours:
        assert score.value == pytest.approx(2 * len(true & ours) / (len(true) + len(ours)))
    else:
        assert score.value is None
    missing = span_f1(told, answered(*[None] * len(told)), seed=0)
    assert (missing.numerator, missing.denominator) == (0, len(true))


def test_who_only_counts_knows_the_most_frequent_answer() -> None:
    train = TaskData(examples("0", "1", "1", "0", "2"), "entailment", ("0", "1", "2"))
    test = TaskData(examples("0", "1", "0"), "entailment", ("0", "1"))
    floor = majority_baseline(train, test, lang=EN, seed=0)["exact_match"]
    assert floor.items == ((1, 1), (0, 1), (1, 1))  # 0 and 1 are as frequent: the first
    assert floor.signature["answers"] == "majority"
    train = TaskData(
        (Example("upos: can can can", ("V N V",), "a"), Example("upos: a dog", ("D N",), "b"),
         Example("upos: a cat", ("N N",), "c")), "tagging", ("D", "N", "V"),
    )  # fmt: skip
    test = TaskData((Example("upos: a can new", ("D V N",), "d"),), "tagging", ("D", "N", "V"))
    floor = majority_baseline(train, test, lang=EN, seed=0)["tagging_accuracy"]
    assert floor.items == ((3, 3),)
    told = TaskData((Example("ner: Ada", ("B-PER",), "a"),), "ner", ("B-PER",))
    assert list(majority_baseline(told, told, lang=EN, seed=0)) == ["span_f1", "tagging_accuracy"]
    with pytest.raises(InputError) as caught:
        majority_baseline(train, told, lang=EN, seed=0)
    assert caught.value.got == "3 of the kind tagging"
    with pytest.raises(InputError, match="got 0 of the kind ner"):
        majority_baseline(TaskData((), "ner", ()), told, lang=EN, seed=0)


@given(text=st.text("aé日🌉 ", min_size=1), room=st.integers(1, 30))
def test_prompts_lose_their_beginning_and_nothing_else(
    byte_tokenizer: Tokenizer, text: str, room: int
) -> None:
    [cut], num_cut = cut_prompts(
        [Example(text, ("x",), "e")], byte_tokenizer, window_tokens=room + 5, max_answer_tokens=3
    )
    # The longest end of the text that has room: one character more has not.
    size = len(cut.marked_prompt.encode("utf-8"))
    assert text.endswith(cut.prompt)
    assert num_cut == (cut.prompt != text)
    assert size <= room
    if num_cut:
        before = text[len(text) - len(cut.prompt) - 1]
        assert size + len(before.encode("utf-8")) > room
    assert (cut.answers, cut.id) == (("x",), "e")


def test_prompts_of_longer_tokens_fit_too(tokenizer: Tokenizer) -> None:
    told = [Example("The old bridge crosses the river. " * 9, ("x",), "e")]
    [cut], _ = cut_prompts(told, tokenizer, window_tokens=30, max_answer_tokens=8)
    assert 10 < len(tokenizer.encode(cut.marked_prompt)) <= 20
    with pytest.raises(InputError) as caught:
        cut_prompts(told, tokenizer, window_tokens=10, max_answer_tokens=8)
    assert (caught.value.got, caught.value.where) == ("10 tokens", "window_tokens")
