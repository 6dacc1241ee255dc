"""One fitted output bias: the unigram frequencies where the model has none, and no harm else."""

import math
from collections.abc import Callable

import torch
from transformers import PreTrainedModel

from lingraft.corpus.records import Document
from lingraft.measurement import bits_per_byte
from lingraft.model import CausalScorer
from lingraft.model.unigram_bias import fit_unigram_bias
from lingraft.tokenizer import Tokenizer

MakeModel = Callable[..., PreTrainedModel]


def test_a_uniform_model_gets_the_smoothed_frequencies(
    make_model: MakeModel, tokenizer: Tokenizer, documents: list[Document]
) -> None:
    model = make_model("llama_tied", len(tokenizer))
    with torch.no_grad():
        rows = model.get_input_embeddings().weight
        rows.copy_(rows[:1].expand_as(rows))
    bias_V = fit_unigram_bias(model, tokenizer, train=documents, valid=documents[:3], start_token=0)
    counts = torch.full((len(tokenizer),), 0.5)
    for ids in tokenizer.encode_batch([document.text for document in documents]):
        for token in ids:
            counts[token] += 1
    expected_V = (counts / counts.sum()).log() + math.log(len(tokenizer))
    torch.testing.assert_close(bias_V, expected_V, rtol=1e-4, atol=1e-4)


def test_a_bias_that_does_harm_is_not_applied(
    make_model: MakeModel, tokenizer: Tokenizer, documents: list[Document]
) -> None:
    model = make_model("llama_untied", len(tokenizer))
    start = {"start_token": 0}
    for train in (documents[4:5], documents):
        bias_V = fit_unigram_bias(model, tokenizer, train=train, valid=documents[:2], **start)
        plain, biased = (
            bits_per_byte(CausalScorer(model, tokenizer, bias_V=b, **start), documents[:2]).value
            for b in (None, bias_V)
        )
        assert plain is not None
        assert biased is not None
        assert biased <= plain * (1 + 1e-6)
    assert bias_V.any(), "the text's own frequencies help an untrained model"
