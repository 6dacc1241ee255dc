"""Swapping vocabularies: the identity to the bit, and nothing but the vocabulary changed."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    Gemma3TextConfig,
    PreTrainedModel,
    RobertaConfig,
)

from lingraft.corpus.records import Document
from lingraft.embeddings import EmbeddingMatrix, Origin, mean_rows, pieces_rows, random_rows
from lingraft.errors import InputError, ModelError
from lingraft.model import CausalScorer, swap_vocabulary
from lingraft.model.vocabulary_layers import PADDING_BIAS
from lingraft.model.vocabulary_swap import input_rows, is_tied, output_rows
from lingraft.tokenizer import Tokenizer, train_bpe

MakeModel = Callable[..., PreTrainedModel]
KINDS = ("llama_tied", "llama_untied", "gpt2", "qwen2")


def logits_of(model: PreTrainedModel, vocab_size: int) -> torch.Tensor:
    x_BT = torch.arange(3 * 40).remainder(vocab_size).reshape(3, 40)
    with torch.inference_mode():
        logits_BTV: torch.Tensor = model.eval()(input_ids=x_BT).logits
    return logits_BTV


def pieces_of(
    model: PreTrainedModel, source: Tokenizer, target: Tokenizer
) -> tuple[EmbeddingMatrix, EmbeddingMatrix | None]:
    head = output_rows(model)
    return (
        pieces_rows(input_rows(model).numpy(), source=source, target=target),
        None if head is None else pieces_rows(head.numpy(), source=source, target=target),
    )


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_vocabulary_gives_the_same_logits_to_the_bit(
    make_model: MakeModel, tokenizer: Tokenizer, kind: str
) -> None:
    model = make_model(kind, len(tokenizer))
    rows, head = pieces_of(model, tokenizer, tokenizer)
    same = swap_vocabulary(model, tokenizer, rows, head, source_tokenizer=tokenizer)
    assert torch.equal(logits_of(same, 402), logits_of(model, 402))
    assert is_tied(same) == is_tied(model) == (kind in ("llama_tied", "gpt2"))
    assert same.config.to_dict() == model.config.to_dict()


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_vocabulary_changes(
    make_model: MakeModel, tokenizer: Tokenizer, other_tokenizer: Tokenizer, kind: str
) -> None:
    model = make_model(kind, len(tokenizer))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    settings = model.config.to_dict()
    rows, head = pieces_of(model, tokenizer, other_tokenizer)
    grafted = swap_vocabulary(model, other_tokenizer, rows, head, source_tokenizer=tokenizer)
    after = grafted.state_dict()
    assert after.keys() == before.keys()
    swapped = {name for name in before if after[name].shape != before[name].shape}
    bodies = before.keys() - swapped
    assert len(swapped) == 2
    assert all(torch.equal(after[name], before[name]) for name in bodies)
    assert np.array_equal(input_rows(grafted).numpy(), rows.rows)
    wanted_head = rows if head is None else head
    assert np.array_equal(grafted.get_output_embeddings().weight.detach(), wanted_head.rows)
    assert grafted.config.vocab_size == len(other_tokenizer)
    # The source is as it was, and shares nothing with its graft, nor the graft with the rows.
    assert model.config.to_dict() == settings
    kept = rows.rows.copy()
    with torch.no_grad():
        for parameter in grafted.parameters():
            parameter.add_(1.0)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert np.array_equal(rows.rows, kept)


@pytest.mark.parametrize("kind", ["llama_tied", "llama_untied"])
def test_mean_rows_are_the_uniform_distribution(
    make_model: MakeModel,
    tokenizer: Tokenizer,
    other_tokenizer: Tokenizer,
    documents: list[Document],
    kind: str,
) -> None:
    model = make_model(kind, len(tokenizer))
    head = output_rows(model)
    target = other_tokenizer.vocabulary
    rows = mean_rows(input_rows(model).numpy(), target=target)
    head_rows = None if head is None else mean_rows(head.numpy(), target=target)
    uniform = swap_vocabulary(model, other_tokenizer, rows, head_rows, source_tokenizer=tokenizer)
    logits_BTV = logits_of(uniform, len(other_tokenizer))
    assert torch.equal(logits_BTV, logits_BTV[..., :1].expand_as(logits_BTV))
    [scored] = CausalScorer(uniform, other_tokenizer, start_token=0).score(
        [("", documents[2].text)]
    )
    expected = scored.num_tokens * np.log(len(other_tokenizer))
    assert scored.nats == pytest.approx(expected, rel=1e-12)


def test_special_ids_follow_the_text_of_their_tokens(
    make_model: MakeModel, tokenizer: Tokenizer, other_tokenizer: Tokenizer
) -> None:
    start, pad = (tokenizer.role_id(role) for role in ("bos_token", "pad_token"))
    letter = tokenizer.encode("a")[0]
    model = make_model(
        "llama_tied", len(tokenizer), bos_token_id=start, eos_token_id=start, pad_token_id=pad
    )
    model.generation_config.eos_token_id = [start, pad, start]
    model.generation_config.pad_token_id = 10**6
    model.generation_config.suppress_tokens = [letter, pad]
    rows, _ = pieces_of(model, tokenizer, other_tokenizer)
    grafted = swap_vocabulary(model, other_tokenizer, rows, source_tokenizer=tokenizer)
    new_start, new_pad = (other_tokenizer.role_id(role) for role in ("bos_token", "pad_token"))
    assert (new_start, new_pad) != (start, pad)
    config, generation = grafted.config, grafted.generation_config
    assert (config.bos_token_id, config.eos_token_id) == (new_start, new_start)
    assert config.pad_token_id == new_pad
    assert generation.eos_token_id == [new_start, new_pad]
    assert generation.pad_token_id is None
    assert generation.suppress_tokens == [*other_tokenizer.encode("a"), new_pad]
    assert model.generation_config.eos_token_id == [start, pad, start]


def test_special_ids_follow_roles_where_the_texts_differ(
    make_model: MakeModel, tokenizer: Tokenizer, byte_tokenizer: Tokenizer
) -> None:
    target = replace(byte_tokenizer, roles={"bos_token": "!", "eos_token": "!"})
    start, pad = (tokenizer.role_id(role) for role in ("bos_token", "pad_token"))
    model = make_model("llama_tied", len(tokenizer), bos_token_id=start, eos_token_id=[start, pad])
    rows, _ = pieces_of(model, tokenizer, target)
    grafted = swap_vocabulary(model, target, rows, source_tokenizer=tokenizer)
    assert grafted.config.bos_token_id == target.encode("!")[0]
    assert grafted.config.eos_token_id == target.encode("!")


def test_a_head_that_differs_under_a_tied_configuration_is_untied(
    make_model: MakeModel, tokenizer: Tokenizer
) -> None:
    model = make_model("llama_tied", len(tokenizer))
    model.lm_head.weight = torch.nn.Parameter(torch.randn(len(tokenizer), 32))
    rows, head = pieces_of(model, tokenizer, tokenizer)
    assert head is not None
    same = swap_vocabulary(model, tokenizer, rows, head, source_tokenizer=tokenizer)
    assert torch.equal(logits_of(same, 402), logits_of(model, 402))
    assert same.config.tie_word_embeddings is False


def test_embeddings_that_scale_what_they_read_go_on_doing_so(tokenizer: Tokenizer) -> None:
    config = Gemma3TextConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        tie_word_embeddings=True,
    )
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    rows, _ = pieces_of(model, tokenizer, tokenizer)
    same = swap_vocabulary(model, tokenizer, rows, source_tokenizer=tokenizer)
    assert torch.equal(logits_of(same, 402), logits_of(model, 402))


def test_rows_of_another_shape_are_refused(
    make_model: MakeModel, tokenizer: Tokenizer, other_tokenizer: Tokenizer
) -> None:
    model = make_model("llama_untied", len(tokenizer))
    good = random_rows(input_rows(model).numpy(), target=tokenizer.vocabulary, seed=0)
    few = random_rows(input_rows(model).numpy(), target=other_tokenizer.vocabulary, seed=0)
    narrow = random_rows(np.ones((5, 31), np.float32), target=tokenizer.vocabulary, seed=0)
    refused = [
        (few, good, r"^rows: expected rows of shape \(402, 32\) .*, got shape \(312, 32\)$"),
        (narrow, good, r"^rows: .*, got shape \(402, 31\)$"),
        (good, few, r"^output_rows: .* \(402, 32\) .*, got shape \(312, 32\)$"),
        (good, narrow, r"^output_rows: .*, got shape \(402, 31\)$"),
    ]
    for rows, head, message in refused:
        with pytest.raises(InputError, match=message):
            swap_vocabulary(model, tokenizer, rows, head, source_tokenizer=tokenizer)


def test_output_rows_are_for_untied_heads_alone(
    make_model: MakeModel, tokenizer: Tokenizer
) -> None:
    tied, untied = (make_model(kind, len(tokenizer)) for kind in ("gpt2", "llama_untied"))
    rows = random_rows(input_rows(tied).numpy(), target=tokenizer.vocabulary, seed=0)
    with pytest.raises(ModelError, match=r"gpt2: expected no output rows for a tied .*, got some"):
        swap_vocabulary(tied, tokenizer, rows, rows, source_tokenizer=tokenizer)
    with pytest.raises(ModelError, match="llama: expected output rows for the head, got none"):
        swap_vocabulary(untied, tokenizer, rows, source_tokenizer=tokenizer)


def test_models_without_a_head_are_refused(
    make_model: MakeModel, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_model("llama_untied", len(tokenizer))
    rows = random_rows(input_rows(model).numpy(), target=tokenizer.vocabulary, seed=0)
    monkeypatch.setattr(model, "get_output_embeddings", lambda: None)
    with pytest.raises(ModelError, match="llama: expected a language model head, got no head"):
        swap_vocabulary(model, tokenizer, rows, rows, source_tokenizer=tokenizer)


def test_a_bias_is_mixed_as_the_rows_of_the_head(
    make_model: MakeModel, byte_tokenizer: Tokenizer
) -> None:
    model = make_model("llama_untied", 260)
    bias_V = torch.linspace(-3, 7, 260)
    model.lm_head.bias = torch.nn.Parameter(bias_V.clone())
    copies = [Origin("copied", (token,), (1.0,)) for token in range(256)]
    mixed = [*copies[3:], Origin("mean"), Origin("pieces", (9, 200), (0.75, 0.25)), copies[0]]
    inputs, outputs = (
        EmbeddingMatrix.from_origins(np.ones((256, 32)), origins, method="by hand")
        for origins in (copies, mixed)
    )
    tokenizer = byte_tokenizer
    swapped = swap_vocabulary(
        model, tokenizer, inputs, outputs, source_tokenizer=tokenizer, pad_to=100
    )
    new_V = swapped.lm_head.bias
    assert new_V.shape == (300,)
    assert torch.equal(new_V[:253], bias_V[3:256])
    # The mean of the 256 ids: the four rows behind them are padding.
    assert new_V[253].item() == pytest.approx(bias_V[:256].mean().item())
    assert new_V[254].item() == pytest.approx(0.75 * bias_V[9].item() + 0.25 * bias_V[200].item())
    assert new_V[255] == bias_V[0]
    assert (new_V[256:] == PADDING_BIAS).all()
    assert torch.equal(model.lm_head.bias, bias_V)


@pytest.mark.parametrize(("pad_to", "num_rows"), [(1, 402), (2, 402), (64, 448), (500, 500)])
def test_the_matrices_get_a_multiple_of_rows(
    make_model: MakeModel, tokenizer: Tokenizer, pad_to: int, num_rows: int
) -> None:
    model = make_model("llama_untied", len(tokenizer))
    rows, head = pieces_of(model, tokenizer, tokenizer)
    padded = swap_vocabulary(
        model, tokenizer, rows, head, source_tokenizer=tokenizer, pad_to=pad_to
    )
    assert input_rows(padded).shape == (num_rows, 32)
    assert head is not None
    added = output_rows(padded)
    assert added is not None
    expected = torch.from_numpy(head.rows).double().mean(0).float().expand(num_rows - 402, 32)
    assert torch.equal(added[402:], expected)


def test_a_padding_multiple_below_one_is_refused(
    make_model: MakeModel, tokenizer: Tokenizer
) -> None:
    model = make_model("llama_tied", len(tokenizer))
    rows, _ = pieces_of(model, tokenizer, tokenizer)
    with pytest.raises(InputError, match=r"^pad_to: expected a multiple of 1 or more, got 0$"):
        swap_vocabulary(model, tokenizer, rows, source_tokenizer=tokenizer, pad_to=0)


def test_positions_that_would_move_are_refused(
    tokenizer: Tokenizer, documents: list[Document]
) -> None:
    first = train_bpe(documents, vocab_size=300, like=tokenizer)
    assert first.role_id("pad_token") == 1
    config = RobertaConfig(
        vocab_size=len(first),
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=64,
        pad_token_id=1,
    )
    model = AutoModelForMaskedLM.from_config(config)
    rows, _ = pieces_of(model, first, tokenizer)
    with pytest.raises(ModelError) as caught:
        swap_vocabulary(model, tokenizer, rows, source_tokenizer=first)
    pad = tokenizer.role_id("pad_token")
    assert caught.value.expected.startswith("a padding token of id 1, from which")
    assert (caught.value.got, caught.value.where) == (f"id {pad}", "roberta")
