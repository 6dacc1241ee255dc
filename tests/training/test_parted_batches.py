"""Rows of one document are read without a mask, and nothing but the time changes."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import BertConfig, BertForMaskedLM, PreTrainedModel

from lingraft.corpus.records import Document
from lingraft.runtime import Runtime
from lingraft.tokenizer import Tokenizer
from lingraft.training import trainer as trainer_module
from lingraft.training.batches import MIN_ALONE_SHARE, Batch, Packing, pack
from lingraft.training.masked import MaskedTrainer, hide
from lingraft.training.trainer import Trainer

MakeModel = Callable[..., PreTrainedModel]
WINDOW = 40


def packed(tokenizer: Tokenizer, texts: list[str]) -> Batch:
    documents = [Document(text, str(number)) for number, text in enumerate(texts)]
    packing = Packing(batch_bytes=1, window_tokens=WINDOW, start_token=256, end_token=257)
    return pack(documents, tokenizer=tokenizer, packing=packing)


def trainer_of(model: PreTrainedModel) -> Trainer:
    return Trainer(
        model,
        device=torch.device("cpu"),
        runtime=Runtime(num_threads=1, precision="float32"),
        weight_decay=0.0,
        seed=0,
    )


@given(st.lists(st.integers(1, 90), min_size=1, max_size=12))
def test_parts_are_the_rows_of_the_batch(byte_tokenizer: Tokenizer, lengths: list[int]) -> None:
    batch = packed(byte_tokenizer, ["a" * length for length in lengths])
    num_alone = sum(len(set(row) - {-1}) <= 1 for row in batch.segment_RT.tolist())
    parts = batch.parted()
    if num_alone == len(batch.x_RT) or num_alone < MIN_ALONE_SHARE * len(batch.x_RT):
        assert parts == [batch]
    else:
        assert [len(part.x_RT) for part in parts] == [num_alone, len(batch.x_RT) - num_alone]
        assert parts[0].is_alone
        assert not parts[1].is_alone
    for name in ("x_RT", "labels_RT", "position_RT", "segment_RT"):
        rows = [row for part in parts for row in getattr(part, name).tolist()]
        assert sorted(rows) == sorted(getattr(batch, name).tolist())
    assert {(part.num_bytes, part.num_tokens) for part in parts} == {
        (batch.num_bytes, batch.num_tokens)
    }


@pytest.mark.parametrize("kind", ["llama_tied", "gpt2", "qwen2"])
@pytest.mark.parametrize(
    ("lengths", "num_parts", "is_masked"),
    [
        ((38, 38), 1, [False]),  # full rows
        ((38, 30, 20), 1, [False]),  # with padding at their ends
        ((38, 38, 9, 9, 5), 2, [False, True]),
        ((38, 9, 9, 9, 20, 9, 5, 5), 1, [True]),
    ],
)
def test_loss_and_gradient_are_those_with_a_mask(
    make_model: MakeModel,
    byte_tokenizer: Tokenizer,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    lengths: tuple[int, ...],
    num_parts: int,
    is_masked: list[bool],
) -> None:
    letters = "abcdefghijklmnopqrstuvwxyz " * 3
    texts = [letters[at : at + length] for at, length in enumerate(lengths)]
    batch = packed(byte_tokenizer, texts)
    assert len(batch.parted()) == num_parts
    settings = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0} if kind == "gpt2" else {}
    model = make_model(kind, 258, **settings)
    seen: list[bool] = []
    model.register_forward_pre_hook(
        lambda module, given, named: seen.append("attention_mask" in named), with_kwargs=True
    )
    trainer = trainer_of(model)
    results = []
    for always_masked in (False, True):
        if always_masked:
            monkeypatch.setattr(Batch, "is_alone", False)
            monkeypatch.setattr(Batch, "parted", lambda self: [self])
        nats, found = trainer.gradients(batch)
        results.append((nats, list(found.values())))
    assert seen == [*is_masked, True]
    (loss_nats, gradients), (masked_nats, masked_gradients) = results
    assert loss_nats == pytest.approx(masked_nats, rel=1e-5)
    for ours, masked in zip(gradients, masked_gradients, strict=True):
        torch.testing.assert_close(ours, masked, rtol=1e-3, atol=1e-5)


@given(st.lists(st.integers(1, 90), min_size=1, max_size=12), st.integers(1, 5))
def test_pieces_are_the_rows_in_their_order(
    byte_tokenizer: Tokenizer, lengths: list[int], most_rows: int
) -> None:
    batch = packed(byte_tokenizer, [chr(97 + n) * length for n, length in enumerate(lengths)])
    pieces = batch.pieces(most_rows)
    sizes = [len(piece.x_RT) for piece in pieces]
    assert max(sizes) <= most_rows
    assert len(sizes) == -(-len(batch.x_RT) // most_rows)
    for name in ("x_RT", "labels_RT", "position_RT", "segment_RT"):
        whole = torch.cat([getattr(piece, name) for piece in pieces])
        assert torch.equal(whole, getattr(batch, name))
    assert {(p.num_bytes, p.num_tokens) for p in pieces} == {(batch.num_bytes, batch.num_tokens)}


def test_a_batch_in_pieces_makes_the_same_step(
    make_model: MakeModel, byte_tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = ["every good boy does fine", "all cows", "eat", "grass and more of it", "x" * 38] * 2
    batch = packed(byte_tokenizer, texts)
    model = make_model("llama_tied", 258)
    num_rows: list[int] = []
    model.register_forward_pre_hook(
        lambda module, given, named: num_rows.append(len(named["input_ids"])), with_kwargs=True
    )
    trainer = trainer_of(model)
    whole_nats, whole = trainer.gradients(batch)
    whole = {parameter: gradient.clone() for parameter, gradient in whole.items()}
    num_rows.clear()
    monkeypatch.setattr(trainer_module, "MOST_STREAM_NUMBERS", 1)
    nats, gradients = trainer.gradients(batch)

    assert num_rows == [1] * len(batch.x_RT)
    assert nats == pytest.approx(whole_nats, rel=1e-6)
    assert gradients.keys() == whole.keys()
    for parameter, gradient in gradients.items():
        torch.testing.assert_close(gradient, whole[parameter], rtol=1e-4, atol=1e-6)
        assert parameter.grad is None


def test_an_encoder_never_sees_padding(byte_tokenizer: Tokenizer) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = BertConfig(
            vocab_size=259,
            hidden_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=64,
            initializer_range=0.3,
        )
        model = BertForMaskedLM(config).eval()
    trainer = MaskedTrainer(
        model,
        device=torch.device("cpu"),
        runtime=Runtime(num_threads=1, precision="float32"),
        weight_decay=0.0,
        seed=0,
        mask_token=258,
    )
    batch = hide(packed(byte_tokenizer, ["a" * 38, "b" * 30]), mask_token=258, seed=0)
    assert batch.is_alone
    other = replace(batch, x_RT=batch.x_RT.masked_fill(batch.segment_RT < 0, 99))
    assert not torch.equal(other.x_RT, batch.x_RT)
    assert trainer.gradients(batch)[0] == trainer.gradients(other)[0]
