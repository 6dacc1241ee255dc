"""What every scorer has to keep, and how a prompt and its continuation become tokens."""

import json
from collections.abc import Callable

import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedModel

from lingraft.corpus.records import Document
from lingraft.measurement import Generator, NgramScorer, Scorer
from lingraft.measurement.requests import tokenize_requests
from lingraft.model import CausalScorer
from lingraft.tokenizer import Tokenizer

REQUESTS = [
    ("", "The old bridge"),
    ("The old br", "idge"),  # cuts a token in two
    ("Το παλιό", " γεφύρι"),
    ("", ""),
    ("prompt", ""),
    ("สะพาน", "เก่า🌉"),
]


@pytest.fixture(params=["causal", "trigram", "uniform"])
def scorer(
    request: pytest.FixtureRequest,
    make_model: Callable[..., PreTrainedModel],
    tokenizer: Tokenizer,
    documents: list[Document],
) -> Scorer:
    if request.param == "causal":
        model = make_model("llama_tied", len(tokenizer))
        return CausalScorer(model, tokenizer, start_token=0)
    order = {"trigram": 3, "uniform": 0}[request.param]
    return NgramScorer(documents, tokenizer=tokenizer, order=order)


def test_every_request_gets_one_answer_about_the_continuation(scorer: Scorer) -> None:
    answers = scorer.score(REQUESTS)
    assert [a.num_bytes for a in answers] == [len(text.encode("utf-8")) for _, text in REQUESTS]
    assert all(a.reason == "" for a in answers)
    for (_, text), answer in zip(REQUESTS, answers, strict=True):
        assert answer.nats is not None
        assert (answer.num_tokens > 0) == bool(text)
        assert answer.nats > 0 if text else answer.nats == 0


def test_a_request_does_not_depend_on_its_neighbours(scorer: Scorer) -> None:
    together = scorer.score(REQUESTS)
    alone = [scorer.score([request])[0] for request in REQUESTS]
    assert [a.nats for a in alone] == pytest.approx([a.nats for a in together], rel=1e-6)
    assert scorer.score([]) == []


def test_the_signature_is_json(scorer: Scorer) -> None:
    assert json.loads(json.dumps(dict(scorer.signature))) == scorer.signature


def test_a_lossy_text_has_no_cost(
    make_model: Callable[..., PreTrainedModel],
    lossy_tokenizer: Tokenizer,
    documents: list[Document],
) -> None:
    model = make_model("llama_tied", len(lossy_tokenizer))
    scorers: list[Scorer] = [
        CausalScorer(model, lossy_tokenizer, start_token=0),
        NgramScorer(documents[:2], tokenizer=lossy_tokenizer, order=2),
    ]
    for scorer in scorers:
        lost, kept = scorer.score([("", "γεφύρι"), ("", "river")])
        assert (lost.nats, lost.num_bytes) == (None, 12)
        assert lost.reason == "the tokenizer loses bytes of the text"
        assert kept.nats is not None


def test_a_causal_model_is_a_generator(
    make_model: Callable[..., PreTrainedModel], tokenizer: Tokenizer
) -> None:
    generator: Generator = CausalScorer(
        make_model("llama_tied", len(tokenizer)), tokenizer, start_token=0
    )
    texts = generator.generate(["The old", "", "Το παλιό"], max_new_tokens=5)
    assert len(texts) == 3
    assert texts == generator.generate(["The old", "", "Το παλιό"], max_new_tokens=5)


@given(st.text(max_size=20), st.text(max_size=20))
def test_a_continuation_with_characters_has_tokens_and_no_more_than_it_needs(
    tokenizer: Tokenizer, prompt: str, text: str
) -> None:
    [request] = tokenize_requests([(prompt, text)], tokenizer)
    assert request.ids == tokenizer.encode(prompt + text)
    assert (request.num_tokens > 0) == bool(text)
    before = tokenizer.vocabulary.bytes_of(request.ids[: request.first])
    assert len(before) <= len(prompt.encode("utf-8"))
    if text and request.first + 1 < len(request.ids):
        through = tokenizer.vocabulary.bytes_of(request.ids[: request.first + 1])
        assert prompt.encode("utf-8").startswith(before)
        # The first token of the continuation reaches into it, or is a part of its first character.
        assert len(through) >= len(prompt.encode("utf-8"))


def test_the_space_that_sentencepiece_puts_first_is_no_loss() -> None:
    backend = tokenizers.Tokenizer(tokenizers.models.BPE())
    backend.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace(prepend_scheme="first")
    backend.decoder = tokenizers.decoders.Metaspace()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=60, show_progress=False)
    backend.train_from_iterator(["the old bridge", "the old river"], trainer)
    tokenizer = Tokenizer(backend)
    kept, lost = tokenize_requests([("the old", " river"), ("", "Ω")], tokenizer)
    assert kept.reason == ""
    assert tokenizer.decode(kept.ids[kept.first :]) in ("river", " river")
    assert lost.reason == "the tokenizer loses bytes of the text"
