"""Batches: every token once, no document sees another, and steps are cut by bytes of text."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedModel

from lingraft.corpus.records import Document
from lingraft.errors import InputError
from lingraft.tokenizer import Tokenizer
from lingraft.training import Packing
from lingraft.training.batches import IGNORED, Batch, pack, shuffled, text_of_steps

MakeModel = Callable[..., PreTrainedModel]
START, END = 400, 401
texts = st.lists(st.text(alphabet="ab ώक한🌉", max_size=30), max_size=12)


def as_documents(texts: list[str]) -> list[Document]:
    return [Document(text, str(number)) for number, text in enumerate(texts)]


def size_of(document: Document) -> int:
    return len(document.text.encode("utf-8"))


def segments(batch: Batch) -> list[tuple[int, slice]]:
    """The row and the columns of every packed piece."""
    found = []
    for row, segment_T in enumerate(batch.segment_RT.tolist()):
        for number in sorted({segment for segment in segment_T if segment >= 0}):
            at = segment_T.index(number)
            found.append((row, slice(at, at + segment_T.count(number))))
    return found


def logits_of(model: PreTrainedModel, batch: Batch, x_RT: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        logits_RTV: torch.Tensor = model(
            input_ids=x_RT,
            attention_mask=batch.blocked_mask(torch.float32),
            position_ids=batch.position_RT,
            use_cache=False,
        ).logits
    return logits_RTV


@given(texts.filter(any), st.integers(2, 40), st.sampled_from([None, END]))
@settings(deadline=None)
def test_every_token_of_every_document_is_predicted_once(
    tokenizer: Tokenizer, texts: list[str], window: int, end: int | None
) -> None:
    packing = Packing(batch_bytes=1, window_tokens=window, start_token=START, end_token=end)
    batch = pack(as_documents(texts), tokenizer=tokenizer, packing=packing)
    pieces = []
    for row, span in segments(batch):
        x = batch.x_RT[row, span].tolist()
        labels = batch.labels_RT[row, span].tolist()
        assert x[0] == START
        assert len(x) <= window
        assert labels == [*x[1:], IGNORED]
        assert batch.position_RT[row, span].tolist() == list(range(len(x)))
        pieces.append(tuple(labels[:-1]))
    wanted = []
    for ids in tokenizer.encode_batch(texts):
        whole = ids if end is None else [*ids, end]
        room = window - 1
        wanted += [tuple(whole[at : at + room]) for at in range(0, len(whole), room)] or [()]
    assert sorted(pieces) == sorted(wanted)
    assert batch.num_tokens == sum(map(len, wanted)) == int((batch.labels_RT != IGNORED).sum())
    assert batch.num_bytes == sum(len(text.encode("utf-8")) for text in texts)
    covered = torch.zeros_like(batch.segment_RT, dtype=torch.bool)
    for row, span in segments(batch):
        assert not covered[row, span].any()
        covered[row, span] = True
    assert torch.equal(covered, batch.segment_RT >= 0)
    assert covered.any(dim=0).all(), "columns of padding alone"


@pytest.mark.parametrize("kind", ["llama_tied", "llama_untied", "gpt2", "qwen2"])
def test_a_packed_document_is_read_as_if_it_were_alone(
    make_model: MakeModel, tokenizer: Tokenizer, documents: list[Document], kind: str
) -> None:
    model = make_model(kind, len(tokenizer))
    packing = Packing(batch_bytes=1, window_tokens=128, start_token=START, end_token=END)
    batch = pack(documents, tokenizer=tokenizer, packing=packing)
    assert len(batch.x_RT) < len(documents), "nothing is packed"
    packed_RTV = logits_of(model, batch, batch.x_RT)
    for row, span in segments(batch):
        with torch.inference_mode():
            alone_TV = model(input_ids=batch.x_RT[row, span][None]).logits[0]
        torch.testing.assert_close(packed_RTV[row, span], alone_TV, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["llama_tied", "gpt2"])
def test_changing_one_document_leaves_the_others_to_the_bit(
    make_model: MakeModel, tokenizer: Tokenizer, documents: list[Document], kind: str
) -> None:
    model = make_model(kind, len(tokenizer))
    packing = Packing(batch_bytes=1, window_tokens=128, start_token=START, end_token=END)
    batch = pack(documents, tokenizer=tokenizer, packing=packing)
    before_RTV = logits_of(model, batch, batch.x_RT)
    for row, span in segments(batch):
        x_RT = batch.x_RT.clone()
        x_RT[row, span] = (x_RT[row, span] + 17) % 400
        after_RTV = logits_of(model, batch, x_RT)
        same_RT = torch.ones_like(x_RT, dtype=torch.bool)
        same_RT[row, span] = False
        assert torch.equal(after_RTV[same_RT], before_RTV[same_RT])
        assert not torch.isclose(after_RTV[row, span], before_RTV[row, span]).all(dim=-1).any()


@given(texts.filter(any), st.integers(1, 100), st.integers(0, 3))
def test_each_epoch_has_every_text_once(texts: list[str], batch_bytes: int, seed: int) -> None:
    documents = as_documents(texts)
    full = [document for document in documents if document.text]
    stream = text_of_steps(documents, batch_bytes=batch_bytes, seed=seed, max_bytes=None)
    flat = list(itertools.islice(itertools.chain.from_iterable(stream), 3 * len(full)))
    for at in range(0, 3 * len(full), len(full)):
        assert sorted(d.id for d in flat[at : at + len(full)]) == sorted(d.id for d in full)


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    documents = as_documents([str(number) for number in range(20)])
    flat = [d.id for d in itertools.islice(shuffled(documents, seed=0), 40)]
    other = [d.id for d in itertools.islice(shuffled(documents, seed=1), 20)]
    assert len({tuple(flat[:20]), tuple(flat[20:]), tuple(other)}) == 3
    assert list(shuffled([], seed=0)) == []


@given(texts.filter(any), st.integers(1, 60), st.integers(1, 400), st.integers(0, 400))
def test_a_shorter_budget_is_a_prefix_of_a_longer_one(
    texts: list[str], batch_bytes: int, budget: int, more: int
) -> None:
    documents = as_documents(texts)
    short, long = (
        list(text_of_steps(documents, batch_bytes=batch_bytes, seed=0, max_bytes=max_bytes))
        for max_bytes in (budget, budget + more)
    )
    assert short[:-1] == long[: max(len(short) - 1, 0)]
    flat_short, flat_long = (list(itertools.chain.from_iterable(steps)) for steps in (short, long))
    assert flat_short == flat_long[: len(flat_short)]
    used = sum(map(size_of, flat_short))
    assert used <= budget
    after = next(itertools.islice(shuffled(documents, seed=0), len(flat_short), None))
    assert used + size_of(after) > budget


@given(texts.filter(any), st.integers(1, 60))
def test_steps_end_where_the_next_multiple_of_the_batch_is_reached(
    texts: list[str], batch_bytes: int
) -> None:
    stream = text_of_steps(as_documents(texts), batch_bytes=batch_bytes, seed=0, max_bytes=None)
    total = 0
    for step in itertools.islice(stream, 8):
        edge = (total // batch_bytes + 1) * batch_bytes
        *others, last = (size_of(document) for document in step)
        assert total + sum(others) < edge <= total + sum(others) + last
        total += sum(others) + last


@pytest.mark.parametrize(
    ("changes", "got"),
    [({"batch_bytes": 0}, "0 bytes and 9 tokens"), ({"window_tokens": 1}, "5 bytes and 1 tokens")],
)
def test_batches_of_nothing_are_refused(changes: dict[str, Any], got: str) -> None:
    good = {"batch_bytes": 5, "window_tokens": 9, "start_token": 0, "end_token": None}
    with pytest.raises(InputError, match=f"packing: expected batches of .*, got {got}"):
        Packing(**good | changes)
