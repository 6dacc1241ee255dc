"""Frequencies written into rows: what they do to the logits, and what they leave alone."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel

from lingraft.corpus.records import Document
from lingraft.errors import ModelError, StoreError
from lingraft.measurement import bits_per_byte
from lingraft.model import CausalScorer
from lingraft.model.calibration import Calibration, calibrate, fit_calibration, unigram_shift
from lingraft.model.vocabulary_swap import is_tied
from lingraft.tokenizer import Tokenizer

MakeModel = Callable[..., PreTrainedModel]
INPUT_ROWS = {
    "llama_tied": "model.embed_tokens.weight",
    "llama_untied": "model.embed_tokens.weight",
    "gpt2": "transformer.wte.weight",
}


def fit(
    model: PreTrainedModel, tokenizer: Tokenizer, documents: list[Document], num_valid: int = 3
) -> Calibration:
    return fit_calibration(
        model, tokenizer, train=documents, valid=documents[:num_valid], start_token=0
    )


def test_a_constant_state_gains_exactly_the_bias(
    make_model: MakeModel, tokenizer: Tokenizer, documents: list[Document]
) -> None:
    model = make_model("llama_untied", len(tokenizer))
    head = model.get_output_embeddings()
    state_D = torch.linspace(-1.0, 2.0, model.config.hidden_size)
    model.model.norm.register_forward_hook(lambda _, inputs, out: state_D.expand_as(out).clone())
    own_V = head.weight @ state_D
    fitted = fit(model, tokenizer, documents)
    # Nothing but frequencies can be known of a text in which all states are the same.
    assert fitted.strength == 1.0
    torch.testing.assert_close(fitted.direction_D @ state_D, torch.tensor(1.0))
    calibrate(model, fitted)
    torch.testing.assert_close(head.weight @ state_D - own_V, fitted.bias, atol=1e-3, rtol=1e-3)
    special = list(tokenizer.vocabulary.special)
    assert special
    assert not fitted.bias[special].any()


@pytest.mark.parametrize("kind", list(INPUT_ROWS))
def test_fitting_leaves_the_model_alone_and_never_harms_the_valid_text(
    kind: str, make_model: MakeModel, tokenizer: Tokenizer, documents: list[Document]
) -> None:
    model = make_model(kind, len(tokenizer))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    def cost() -> float:
        scorer = CausalScorer(model, tokenizer, start_token=0)
        return bits_per_byte(scorer, documents[:3]).numerator

    plain = cost()
    fitted = fit(model, tokenizer, documents)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    calibrate(model, fitted)
    assert cost() <= plain
    assert fitted.strength > 0, "the text's own frequencies help an untrained model"
    assert is_tied(model) == (kind != "llama_untied")
    embedding = model.get_input_embeddings().weight
    changed = not torch.equal(embedding, before[INPUT_ROWS[kind]])
    assert changed == is_tied(model)


def test_strength_zero_changes_no_bit(make_model: MakeModel, tokenizer: Tokenizer) -> None:
    model = make_model("llama_tied", len(tokenizer))
    before = model.get_input_embeddings().weight.detach().clone()
    width = model.config.hidden_size
    calibrate(model, Calibration(torch.ones(len(tokenizer)), torch.ones(width), 0.0))
    assert torch.equal(model.get_input_embeddings().weight, before)


def test_a_loaded_calibration_equals_the_saved_one(tmp_path: Path) -> None:
    saved = Calibration(torch.arange(5.0), torch.ones(3), 0.75)
    saved.save(tmp_path / "c")
    loaded = Calibration.load(tmp_path / "c")
    assert torch.equal(loaded.bias, saved.bias)
    assert torch.equal(loaded.direction_D, saved.direction_D)
    assert loaded.strength == saved.strength


def test_a_file_that_is_no_calibration_is_refused(tmp_path: Path) -> None:
    (tmp_path / "c").write_bytes(b"{}")
    with pytest.raises(StoreError, match="c: expected a calibration, got "):
        Calibration.load(tmp_path / "c")


def test_a_calibration_of_another_vocabulary_is_refused(
    make_model: MakeModel, tokenizer: Tokenizer
) -> None:
    model = make_model("llama_tied", len(tokenizer))
    other = Calibration(torch.ones(7), torch.ones(model.config.hidden_size), 1.0)
    with pytest.raises(ModelError, match=r"a head of shape \(7, 32\).*got \(\d+, 32\)"):
        calibrate(model, other)


def test_a_model_without_a_head_is_refused(make_model: MakeModel, tokenizer: Tokenizer) -> None:
    body = make_model("llama_tied", len(tokenizer)).model
    with pytest.raises(ModelError, match="llama: expected a language model head, got none"):
        calibrate(body, Calibration(torch.ones(7), torch.ones(3), 1.0))


def test_the_shift_of_a_uniform_model_is_the_smoothed_frequencies(
    make_model: MakeModel, tokenizer: Tokenizer, documents: list[Document]
) -> None:
    model = make_model("llama_tied", len(tokenizer))
    with torch.no_grad():
        rows = model.get_input_embeddings().weight
        rows.copy_(rows[:1].expand_as(rows))
    texts = {"train": documents, "valid": documents[:3]}
    shift_V = unigram_shift(model, tokenizer, **texts, start_token=0)
    counts = torch.full((len(tokenizer),), 0.5)
    for ids in tokenizer.encode_batch([document.text for document in documents]):
        for token in ids:
            counts[token] += 1
    expected_V = (counts / counts.sum()).log() + math.log(len(tokenizer))
    torch.testing.assert_close(shift_V, expected_V, rtol=1e-4, atol=1e-4)
