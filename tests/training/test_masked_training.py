"""Encoders: what is hidden, that no neighbour document is seen, and that they learn."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import tokenizers
import torch
from transformers import BertConfig, BertForMaskedLM

from lingraft.corpus.records import Document
from lingraft.errors import InputError
from lingraft.runtime import Runtime
from lingraft.tokenizer import Tokenizer
from lingraft.training import Packing, Schedule, TrainingRun
from lingraft.training.batches import IGNORED, pack
from lingraft.training.masked import MASKED_SHARE, MaskedTrainer, hide
from lingraft.units import Budget

PACKING = Packing(batch_bytes=150, window_tokens=128, start_token=0, end_token=1)


@pytest.fixture
def masking(tokenizer: Tokenizer) -> Tokenizer:
    """The tokenizer with a mask token."""
    backend = tokenizers.Tokenizer.from_str(tokenizer.backend.to_str())
    backend.add_special_tokens([tokenizers.AddedToken("<mask>", special=True)])
    return Tokenizer(backend, {**tokenizer.roles, "mask_token": "<mask>"})


def make_bert(vocab_size: int, num_layers: int = 2) -> BertForMaskedLM:
    config = BertConfig(
        vocab_size=vocab_size,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=num_layers,
        num_attention_heads=2,
        max_position_embeddings=128,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        initializer_range=0.2,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return BertForMaskedLM(config)


def test_what_is_hidden(masking: Tokenizer, documents: list[Document]) -> None:
    batch = pack(documents * 40, tokenizer=masking, packing=PACKING)
    mask = masking.role_id("mask_token")
    assert mask is not None
    hidden = hide(batch, mask_token=mask, seed=3)
    places = hidden.x_RT != batch.x_RT
    assert torch.equal(hidden.x_RT[places], torch.full_like(hidden.x_RT[places], mask))
    assert torch.equal(hidden.labels_RT[places], batch.x_RT[places])
    assert (hidden.labels_RT[~places] == IGNORED).all()
    assert (batch.position_RT[places] > 0).all()
    assert (batch.segment_RT[places] >= 0).all()
    assert hidden.num_tokens == int(places.sum())
    eligible = int(((batch.segment_RT >= 0) & (batch.position_RT > 0)).sum())
    assert eligible > 3000
    assert hidden.num_tokens / eligible == pytest.approx(MASKED_SHARE, abs=0.03)
    assert torch.equal(hide(batch, mask_token=mask, seed=3).x_RT, hidden.x_RT)
    assert not torch.equal(hide(batch, mask_token=mask, seed=4).x_RT, hidden.x_RT)


def test_the_loss_of_a_packed_batch_is_that_of_its_documents_alone(
    masking: Tokenizer, documents: list[Document]
) -> None:
    model = make_bert(len(masking)).eval()
    mask = masking.role_id("mask_token")
    assert mask is not None
    trainer = MaskedTrainer(
        model,
        mask_token=mask,
        device=torch.device("cpu"),
        runtime=Runtime(num_threads=1, precision="float32"),
        weight_decay=0.0,
        seed=0,
    )
    batch = hide(pack(documents, tokenizer=masking, packing=PACKING), mask_token=mask, seed=1)
    assert batch.num_tokens > 5
    nats = 0.0
    for row in range(len(batch.x_RT)):
        for segment in range(int(batch.segment_RT[row].max()) + 1):
            own = batch.segment_RT[row] == segment
            # Plain attention over the document alone: both sides are seen, neighbours are not.
            out = model(
                input_ids=batch.x_RT[row, own][None], labels=batch.labels_RT[row, own][None]
            )
            num = int((batch.labels_RT[row, own] != IGNORED).sum())
            nats += num * float(out.loss.detach()) if num else 0.0
    assert trainer.gradients(batch)[0] == pytest.approx(nats / batch.num_tokens, rel=1e-5)


def test_an_encoder_learns_and_does_so_again(
    masking: Tokenizer, train: Callable[..., TrainingRun]
) -> None:
    settings: dict[str, Any] = {
        "tokenizer": masking,
        "objective": "masked",
        "budget": Budget(num_steps=150),
        "schedule": Schedule(3e-3),
    }
    models = [make_bert(len(masking)) for _ in range(2)]
    runs = [train(model, **settings) for model in models]
    assert runs[0].train_nats == runs[1].train_nats
    assert sum(runs[0].train_nats[-30:]) < 0.8 * sum(runs[0].train_nats[:30])


def test_a_tokenizer_without_a_mask_token_is_refused(
    tokenizer: Tokenizer, train: Callable[..., TrainingRun]
) -> None:
    bare = replace(tokenizer, roles={"bos_token": "<|start|>"})
    with pytest.raises(InputError, match="expected a tokenizer with a mask token") as caught:
        train(make_bert(len(bare)), tokenizer=bare, objective="masked")
    assert caught.value.where == "tokenizer_config.json"
