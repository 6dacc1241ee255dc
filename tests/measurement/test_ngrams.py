"""Counts with Kneser-Ney smoothing: a distribution for every context, and examples by hand."""

import math
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lingraft.corpus.records import Document
from lingraft.errors import InputError
from lingraft.measurement import NgramScorer, bits_per_byte
from lingraft.tokenizer import Tokenizer

A, B, C = (ord(letter) for letter in "abc")
START = -1
words = st.lists(st.text(alphabet="abcα ", max_size=12), min_size=1, max_size=4)
tokens = st.integers(0, 255)


@pytest.fixture(scope="session")
def bytes_as_ids(byte_tokenizer: Tokenizer) -> dict[int, int]:
    pieces = byte_tokenizer.vocabulary.ids_by_bytes
    return {START: START, **{byte: pieces[bytes([byte])] for byte in range(256)}}


def as_documents(texts: Sequence[str]) -> list[Document]:
    return [Document(text, str(number)) for number, text in enumerate(texts)]


@given(words, st.integers(0, 4), st.lists(tokens | st.just(START), max_size=4).map(tuple))
@settings(max_examples=60, deadline=None)
def test_probabilities_sum_to_one_after_any_context(
    byte_tokenizer: Tokenizer, texts: list[str], order: int, context: tuple[int, ...]
) -> None:
    scorer = NgramScorer(as_documents(texts), tokenizer=byte_tokenizer, order=order)
    seen = byte_tokenizer.encode(texts[0])
    for history in (context, tuple(seen[:2]), (START, START, *seen[:1])):
        probabilities = [scorer.probability(history, token) for token in range(256)]
        assert min(probabilities) > 0
        assert math.fsum(probabilities) == pytest.approx(1, abs=1e-12)


def test_special_tokens_in_text_are_not_counted(tokenizer: Tokenizer) -> None:
    scorer = NgramScorer(as_documents(["a <|pad|> b"] * 3), tokenizer=tokenizer, order=1)
    pieces = tokenizer.vocabulary.pieces
    ordinary = [token for token, piece in enumerate(pieces) if piece is not None]
    total = math.fsum(scorer.probability((), token) for token in ordinary)
    assert total == pytest.approx(1, abs=1e-12)


def test_unigrams_by_hand(byte_tokenizer: Tokenizer, bytes_as_ids: dict[int, int]) -> None:
    # aaabbc: n1 = 1 (c), n2 = 1 (b), so that D = 1 / (1 + 2) and 3 D / 6 goes to the uniform.
    scorer = NgramScorer(as_documents(["aaabbc"]), tokenizer=byte_tokenizer, order=1)
    reserved = 3 * (1 / 3) / 6
    expected = {A: (3 - 1 / 3) / 6, B: (2 - 1 / 3) / 6, C: (1 - 1 / 3) / 6, ord("z"): 0.0}
    for byte, share in expected.items():
        probability = scorer.probability((), bytes_as_ids[byte])
        assert probability == pytest.approx(share + reserved / 256, abs=1e-15)


def test_bigrams_by_hand(byte_tokenizer: Tokenizer, bytes_as_ids: dict[int, int]) -> None:
    # "abab" and "cb": bigrams ⊢a 1, ab 2, ba 1, ⊢c 1, cb 1: n1 = 4, n2 = 1, D = 4/6.
    # Left neighbours: a {⊢, b} 2, b {a, c} 2, c {⊢} 1: n1 = 1, n2 = 2, D = 1/5, sum 5.
    scorer = NgramScorer(as_documents(["abab", "cb"]), tokenizer=byte_tokenizer, order=2)

    def lower(count: int) -> float:
        return (max(count - 1 / 5, 0) + 3 * (1 / 5) / 256) / 5

    a, b, c = (bytes_as_ids[byte] for byte in (A, B, C))
    worked = {
        ((a,), b): (2 - 4 / 6 + 4 / 6 * lower(2)) / 2,
        ((a,), c): (4 / 6 * lower(1)) / 2,
        ((START,), a): (1 - 4 / 6 + 2 * 4 / 6 * lower(2)) / 2,
        ((b,), a): (1 - 4 / 6) + 4 / 6 * lower(2),
        ((bytes_as_ids[ord("z")],), c): lower(1),  # an unseen context backs off whole
    }
    for (context, token), probability in worked.items():
        assert scorer.probability(context, token) == pytest.approx(probability, abs=1e-15)


def test_continuations_count_and_not_occurrences(
    byte_tokenizer: Tokenizer, bytes_as_ids: dict[int, int]
) -> None:
    # Kneser and Ney's Francisco: frequent, but only ever after one word.
    text = "xF" * 20 + "aG" + "bG" + "cG"
    scorer = NgramScorer(as_documents([text]), tokenizer=byte_tokenizer, order=2)
    after_unseen = (bytes_as_ids[ord("z")],)
    often, widely = (bytes_as_ids[ord(letter)] for letter in "FG")
    assert scorer.probability(after_unseen, often) < scorer.probability(after_unseen, widely)
    counts = NgramScorer(as_documents([text]), tokenizer=byte_tokenizer, order=1)
    assert counts.probability((), often) > counts.probability((), widely)


def test_costs_are_minus_the_logarithms_along_the_text(
    byte_tokenizer: Tokenizer, bytes_as_ids: dict[int, int]
) -> None:
    scorer = NgramScorer(as_documents(["abcabc", "cba"]), tokenizer=byte_tokenizer, order=3)
    history = [START, START]
    nats = 0.0
    for byte in b"abca":
        nats -= math.log(scorer.probability(tuple(history[-2:]), bytes_as_ids[byte]))
        history.append(bytes_as_ids[byte])
    [scored] = scorer.score([("", "abca")])
    assert scored.nats == pytest.approx(nats, rel=1e-12)
    [prompted] = scorer.score([("ab", "ca")])
    [prefix] = scorer.score([("", "ab")])
    assert prefix.nats is not None
    assert prompted.nats == pytest.approx(nats - prefix.nats, rel=1e-12)


def test_longer_contexts_help_on_repetitive_text(tokenizer: Tokenizer) -> None:
    lines = [f"the river crosses the {place} town" for place in ("old", "new", "big") * 5]
    train, test = as_documents(lines), as_documents(lines[:3])
    values = [
        bits_per_byte(NgramScorer(train, tokenizer=tokenizer, order=order), test).value
        for order in (0, 1, 2, 3)
    ]
    assert None not in values
    assert values == sorted(values, reverse=True)
    assert len(set(values)) == 4


def test_order_zero_is_the_uniform_distribution(byte_tokenizer: Tokenizer) -> None:
    scorer = NgramScorer(as_documents(["aaa"]), tokenizer=byte_tokenizer, order=0)
    assert bits_per_byte(scorer, as_documents(["α橋"])).value == pytest.approx(8, abs=1e-12, rel=0)


def test_no_text_is_the_uniform_distribution(byte_tokenizer: Tokenizer) -> None:
    scorer = NgramScorer([], tokenizer=byte_tokenizer, order=3)
    assert bits_per_byte(scorer, as_documents(["abc"])).value == pytest.approx(8, abs=1e-12, rel=0)


def test_a_negative_order_is_refused(byte_tokenizer: Tokenizer) -> None:
    with pytest.raises(InputError, match="order: expected an order of at least 0, got -1"):
        NgramScorer([], tokenizer=byte_tokenizer, order=-1)


def test_the_signature_tells_what_was_counted(byte_tokenizer: Tokenizer) -> None:
    scorer = NgramScorer(as_documents(["α", "bc"]), tokenizer=byte_tokenizer, order=3)
    assert scorer.signature == {
        "model": "3-gram counts",
        "smoothing": "interpolated Kneser-Ney",
        "counted_bytes": 4,
        "vocab_size": 256,
    }
