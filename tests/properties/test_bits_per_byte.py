"""Bits per byte is a property of model and text: of no batch, order, padding, packing or window."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import PreTrainedModel

from lingraft.corpus.records import Document
from lingraft.measurement import Score, Scored, bits_per_byte
from lingraft.model import CausalScorer
from lingraft.tokenizer import Tokenizer

MakeModel = Callable[..., PreTrainedModel]
few = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
SCRIPTS = "ab Zώξंकสะ한국ع橋🌉\n12"
texts = st.lists(st.text(alphabet=SCRIPTS, max_size=60), min_size=1, max_size=6).filter(any)


class UniformBytes:
    """Every byte costs ln 256."""

    signature = {"model": "uniform"}  # noqa: RUF012 (a protocol's property)

    def score(self, requests: Sequence[tuple[str, str]]) -> list[Scored]:
        sizes = [len(text.encode("utf-8")) for _, text in requests]
        return [Scored(size * math.log(256), size, size) for size in sizes]


class Told:
    """Says what it was told to say."""

    def __init__(self, *scored: Scored, **signature: Any) -> None:
        self.signature, self._scored = signature, scored

    def score(self, requests: Sequence[tuple[str, str]]) -> list[Scored]:
        return list(self._scored)


def as_documents(texts: Sequence[str]) -> list[Document]:
    return [Document(text, str(number)) for number, text in enumerate(texts)]


@pytest.fixture
def scorer(make_model: MakeModel, tokenizer: Tokenizer) -> CausalScorer:
    return scorer_of(make_model("llama_untied", len(tokenizer)), tokenizer)


def scorer_of(model: PreTrainedModel, tokenizer: Tokenizer, **settings: Any) -> CausalScorer:
    return CausalScorer(model, tokenizer, start_token=tokenizer.role_id("bos_token"), **settings)


@given(st.lists(st.text(), min_size=1).filter(any))
def test_a_uniform_byte_scorer_has_eight_bits(texts: list[str]) -> None:
    value = bits_per_byte(UniformBytes(), as_documents(texts)).value
    assert value == pytest.approx(8.0, abs=1e-12, rel=0)


@given(texts)
@few
def test_a_model_with_equal_rows_over_bytes_has_eight_bits(
    make_model: MakeModel, byte_tokenizer: Tokenizer, texts: list[str]
) -> None:
    model = make_model("llama_tied", 256)
    with torch.no_grad():
        rows = model.get_input_embeddings().weight
        rows.copy_(rows[:1].expand_as(rows))
    scorer = CausalScorer(model, byte_tokenizer, start_token=0, window=32)
    assert bits_per_byte(scorer, as_documents(texts)).value == pytest.approx(8, abs=1e-12, rel=0)


@given(texts, st.sampled_from([1, 40, 10**6]))
@few
def test_batch_size_and_padding_do_not_matter(
    scorer: CausalScorer, texts: list[str], tokens_at_once: int
) -> None:
    whole = bits_per_byte(scorer, as_documents(texts))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lingraft.model.batching.TOKENS_AT_ONCE", tokens_at_once)
        batched = bits_per_byte(scorer, as_documents(texts))
    assert batched.value == pytest.approx(whole.value, rel=1e-6)
    costs = [nats for nats, _ in whole.items]
    assert [nats for nats, _ in batched.items] == pytest.approx(costs, rel=1e-6)


@given(texts, st.randoms())
@few
def test_order_does_not_matter(scorer: CausalScorer, texts: list[str], random: Any) -> None:
    documents = as_documents(texts)
    whole = bits_per_byte(scorer, documents)
    random.shuffle(documents)
    assert bits_per_byte(scorer, documents).value == pytest.approx(whole.value, rel=1e-6)


@given(texts)
@few
def test_a_window_that_holds_the_text_does_not_matter(
    make_model: MakeModel, tokenizer: Tokenizer, texts: list[str]
) -> None:
    model = make_model("llama_untied", len(tokenizer), max_position_embeddings=1024)
    longest = max(len(tokenizer.encode(text)) for text in texts) + 1
    values = [
        bits_per_byte(scorer_of(model, tokenizer, window=window), as_documents(texts)).value
        for window in (max(longest, 2), longest + 7, 1024)
    ]
    assert values == pytest.approx([values[0]] * 3, rel=1e-6)


@given(texts, st.integers(0, 6))
@few
def test_parts_add_up(scorer: CausalScorer, texts: list[str], cut: int) -> None:
    documents = as_documents(texts)
    whole = bits_per_byte(scorer, documents)
    parts = [bits_per_byte(scorer, part) for part in (documents[:cut], documents[cut:])]
    for total in (parts[0] + parts[1], parts[1] + parts[0]):
        assert total.value == pytest.approx(whole.value, rel=1e-6)
        assert total.denominator == whole.denominator
        assert total.statistics == whole.statistics
        assert total.reason == ""


@pytest.mark.parametrize("kind", ["llama_tied", "llama_untied", "gpt2", "qwen2"])
def test_it_is_the_sum_of_every_token_given_all_before_it(
    make_model: MakeModel, tokenizer: Tokenizer, documents: list[Document], kind: str
) -> None:
    model = make_model(kind, len(tokenizer))
    start = tokenizer.role_id("bos_token")
    nats = 0.0
    for document in documents:
        ids = tokenizer.encode(document.text)
        for at, token in enumerate(ids):
            with torch.inference_mode():
                logits_V = model(input_ids=torch.tensor([[start, *ids[:at]]])).logits[0, -1]
            nats -= float(logits_V.double().log_softmax(-1)[token])
    num_bytes = sum(len(document.text.encode("utf-8")) for document in documents)
    score = bits_per_byte(scorer_of(model, tokenizer), documents)
    assert score.value == pytest.approx(nats / math.log(2) / num_bytes, rel=1e-5)


def test_it_is_a_ratio_of_sums_and_not_a_mean_of_ratios() -> None:
    # Two batches of equal nats and tokens with 450 and 90 bytes: 1.07, where the mean says 1.92.
    scorer = Told(Scored(200.0, 450, 50), Scored(200.0, 90, 50))
    score = bits_per_byte(scorer, as_documents(["a", "b"]))
    assert score.value == pytest.approx(400 / math.log(2) / 540)
    assert score.statistics == {"num_documents": 2, "num_tokens": 100}


def test_a_lost_byte_leaves_no_value(
    make_model: MakeModel, lossy_tokenizer: Tokenizer, documents: list[Document]
) -> None:
    model = make_model("llama_tied", len(lossy_tokenizer))
    scorer = CausalScorer(model, lossy_tokenizer, start_token=0)
    score = bits_per_byte(scorer, documents)
    assert score.value is None
    assert score.reason == "the tokenizer loses bytes of the text"
    assert score.interval is None
    kept = bits_per_byte(scorer, as_documents(["the old town", "river"]))
    assert kept.value is not None
    assert (kept + score).value is None
    assert (kept + score).reason == score.reason


def test_no_documents_have_no_value(scorer: CausalScorer) -> None:
    score = bits_per_byte(scorer, [])
    assert (score.value, score.reason, score.interval) == (None, "no documents", None)


def test_empty_texts_cost_nothing(scorer: CausalScorer, documents: list[Document]) -> None:
    empty = [Document("", "empty")]
    alone = bits_per_byte(scorer, empty)
    assert (alone.value, alone.numerator, alone.reason) == (None, 0.0, "nothing to divide by")
    score = bits_per_byte(scorer, documents)
    assert bits_per_byte(scorer, [*documents, *empty]).value == pytest.approx(score.value, rel=1e-6)


@pytest.mark.parametrize("nats", [math.inf, math.nan, None])
def test_a_cost_that_is_no_number_leaves_no_value(nats: float | None) -> None:
    score = bits_per_byte(Told(Scored(1.0, 1, 1), Scored(nats, 1, 1)), as_documents(["a", "b"]))
    assert score.value is None
    assert score.reason in ("a document has no finite likelihood", "a document has no likelihood")
    assert score.items == ((1.0, 1.0), (0.0, 1.0))


def test_the_signature_names_data_method_settings_and_seed(
    scorer: CausalScorer, documents: list[Document]
) -> None:
    score: Score = bits_per_byte(scorer, documents, seed=7)
    assert score.signature["seed"] == 7
    assert score.signature["method"] == "bits_per_byte"
    assert score.signature["start_token"] == "<|start|>"
    changed = bits_per_byte(scorer, documents[1:], seed=7)
    assert changed.signature["data"] != score.signature["data"]
