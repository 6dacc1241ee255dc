"""Rows are shared out to threads, and the step is the same."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedModel

from lingraft.corpus.records import Document
from lingraft.runtime import Runtime
from lingraft.tokenizer import Tokenizer
from lingraft.training.batches import Batch, Packing, pack
from lingraft.training.dropout import dropout
from lingraft.training.threads import has_dropout, in_threads
from lingraft.training.trainer import Trainer

MakeModel = Callable[..., PreTrainedModel]


def packed(tokenizer: Tokenizer, texts: list[str]) -> Batch:
    documents = [Document(text, str(number)) for number, text in enumerate(texts)]
    return pack(documents, tokenizer=tokenizer, packing=Packing(1, 40, 256, 257))


@given(st.lists(st.integers(1, 90), min_size=1, max_size=12), st.integers(1, 5))
def test_shards_are_the_rows_in_equal_shares(
    byte_tokenizer: Tokenizer, lengths: list[int], count: int
) -> None:
    batch = packed(byte_tokenizer, [chr(97 + n) * length for n, length in enumerate(lengths)])
    for parted in (False, True):
        shards = batch.shards(count, parted=parted)
        assert len(shards) == min(count, len(batch.x_RT))
        sizes = [sum(len(part.x_RT) for part in shard) for shard in shards]
        assert max(sizes) - min(sizes) <= 1
        rows = [row for shard in shards for part in shard for row in part.x_RT.tolist()]
        assert sorted(rows) == sorted(batch.x_RT.tolist())
        if not parted:
            assert all(len(shard) == 1 for shard in shards)


@pytest.mark.parametrize("num_threads", [2, 3])
def test_the_step_is_that_of_one_thread(
    make_model: MakeModel, byte_tokenizer: Tokenizer, num_threads: int
) -> None:
    texts = ["every good boy does fine", "all cows", "eat", "grass and more of it", "x" * 39] * 2
    batch = packed(byte_tokenizer, texts)
    found = []
    for threads in (1, num_threads, num_threads):
        trainer = Trainer(
            make_model("llama_tied", 258),
            device=torch.device("cpu"),
            runtime=Runtime(num_threads=threads, precision="float32"),
            weight_decay=0.0,
            seed=0,
        )
        nats, gradients = trainer.gradients(batch)
        found.append((nats, list(gradients.values())))
    (nats, alone), (shared_nats, shared), (again_nats, again) = found
    assert shared_nats == pytest.approx(nats, rel=1e-6)
    for one, other in zip(alone, shared, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)
    assert again_nats == shared_nats
    assert all(torch.equal(one, other) for one, other in zip(shared, again, strict=True))


def test_items_run_side_by_side_and_torchs_threads_return() -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(4)
        found = in_threads(lambda item: (item, torch.get_num_threads()), [5, 6], num_threads=4)
        assert found == [(5, 2), (6, 2)]
        assert torch.get_num_threads() == 4
        assert in_threads(lambda item: torch.get_num_threads(), [1], num_threads=4) == [4]
        with pytest.raises(ZeroDivisionError):
            in_threads(lambda item: 1 / item, [1, 0], num_threads=4)
        assert torch.get_num_threads() == 4
    finally:
        torch.set_num_threads(before)


def test_dropout_is_seen(make_model: MakeModel) -> None:
    assert not has_dropout(make_model("llama_tied", 258))
    assert has_dropout(make_model("gpt2", 258))
    off = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
    assert not has_dropout(make_model("gpt2", 258, **off))
    assert has_dropout(make_model("llama_tied", 258, attention_dropout=0.1))


def test_dropout_that_is_put_on_for_a_while_is_seen(make_model: MakeModel) -> None:
    model = make_model("llama_tied", 258)
    modules = [name for name, _ in model.named_modules()]
    with dropout(model, 0.2):
        assert has_dropout(model)
    with dropout(model, 0.0):
        assert not has_dropout(model)
    assert [name for name, _ in model.named_modules()] == modules


def test_dropout_is_the_same_at_any_number_of_threads(
    make_model: MakeModel, byte_tokenizer: Tokenizer
) -> None:
    batch = packed(byte_tokenizer, ["every good boy does fine", "all cows", "x" * 39, "y" * 38] * 3)
    found = []
    for threads in (1, 2):
        model = make_model("llama_tied", 258).train()
        trainer = Trainer(
            model,
            device=torch.device("cpu"),
            runtime=Runtime(num_threads=threads, precision="float32"),
            weight_decay=0.0,
            seed=0,
        )
        with dropout(model, 0.5), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            found.append(trainer.gradients(batch)[0])
    assert found[0] == pytest.approx(found[1], rel=1e-6)
