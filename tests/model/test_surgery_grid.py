"""Vocabulary surgery on every kind of model: what has to stay stays, and nothing is garbage.

A seeded sample of the grid in which every two values meet; all of it with LINGRAFT_WHOLE_GRID=1.
"""

import os
from pathlib import Path

import peft
import pytest
import torch
from surgery_cases import (
    ENCODERS,
    NUM_NEW,
    Case,
    Operated,
    all_cases,
    operate,
    pairs_of,
    pairwise_sample,
    special_texts,
)
from transformers import PreTrainedModel

from lingraft.model import load, save
from lingraft.model.vocabulary_layers import PADDING_BIAS, vocabulary_tensors
from lingraft.model.vocabulary_swap import is_tied
from lingraft.tokenizer import Tokenizer

SAMPLE = pairwise_sample(all_cases(), num=60, seed=0)
CASES = all_cases() if os.environ.get("LINGRAFT_WHOLE_GRID") else SAMPLE
TEXTS = ("The old bridge, 12 loaves.", "Το παλιό γεφύρι", "สะพานเก่า 다리가")


def test_the_sample_is_small_and_every_two_values_meet() -> None:
    assert len(SAMPLE) == len(set(SAMPLE)) == 60
    assert len(all_cases()) == 9 * 48 + 2 * 16
    met = {pair for case in SAMPLE for pair in pairs_of(case)}
    assert met == {pair for case in all_cases() for pair in pairs_of(case)}
    assert pairwise_sample(all_cases(), num=60, seed=0) == SAMPLE


@pytest.mark.parametrize("case", CASES, ids=str)
def test_surgery(case: Case, tmp_path: Path) -> None:
    done = operate(case)
    num_ids = len(done.target)
    check_sizes(case, done)
    check_kept_rows(done)
    check_new_rows(done)
    check_bias(case, done)
    check_body(done)
    check_special_ids(case, done)
    check_padding(done.after, num_ids)
    train(case, done)
    check_padding(done.after, num_ids)
    save(done.after, done.target, tmp_path)
    check_reload(case, done, tmp_path)


def check_sizes(case: Case, done: Operated) -> None:
    tensors, num_ids = vocabulary_tensors(done.after), len(done.target)
    num_rows = -(-num_ids // case.pad_to) * case.pad_to
    if case.surgery == "extend":
        assert num_ids == len(done.source) + NUM_NEW
        assert num_rows >= len(vocabulary_tensors(done.before).input_VD)
    assert done.after.config.vocab_size == len(tensors.input_VD) == num_rows
    assert is_tied(done.after) is case.tied
    assert done.after.config.tie_word_embeddings is case.tied
    for tensor in (tensors.input_VD, tensors.output_VD, tensors.bias_V):
        if tensor is not None:
            assert len(tensor) == num_rows
            assert tensor.dtype == getattr(torch, case.dtype)


def check_kept_rows(done: Operated) -> None:
    old, new = (torch.tensor(list(ids)) for ids in (done.kept, done.kept.values()))
    assert len(old) > 200
    before, after = vocabulary_tensors(done.before), vocabulary_tensors(done.after)
    for name in ("input_VD", "output_VD", "bias_V"):
        was, now = getattr(before, name), getattr(after, name)
        assert (was is None) == (now is None)
        if was is not None:
            assert torch.equal(now[new], was[old])


def check_new_rows(done: Operated) -> None:
    tensors, num_ids = vocabulary_tensors(done.after), len(done.target)
    for rows_VD in (tensors.input_VD, tensors.output_VD):
        if rows_VD is not None:
            assert rows_VD.isfinite().all()
            assert rows_VD.any(dim=1).all()
            assert len(torch.unique(rows_VD[:num_ids], dim=0)) == num_ids


def check_bias(case: Case, done: Operated) -> None:
    was, now = (vocabulary_tensors(model).bias_V for model in (done.before, done.after))
    assert (now is not None) == (case.kind in ("phi", *ENCODERS))
    if now is None or was is None:
        return
    assert torch.equal(
        now[len(done.target) :], torch.full_like(now[len(done.target) :], PADDING_BIAS)
    )
    if done.rows is None:
        return
    real = was[: len(done.source)].double()
    for token in range(len(done.target)):
        origin = done.rows.origin(token)
        parts = [w * float(real[i]) for i, w in zip(origin.source, origin.weights, strict=True)]
        expected = sum(parts) if parts else float(real.mean())
        assert float(now[token]) == pytest.approx(expected, rel=1e-2, abs=1e-2)


def check_body(done: Operated) -> None:
    before, after = done.before.state_dict(), done.after.state_dict()
    assert before.keys() == after.keys()
    sizes = {len(vocabulary_tensors(model).input_VD) for model in (done.before, done.after)}
    bodies = [name for name in before if before[name].ndim == 0 or len(before[name]) not in sizes]
    assert len(bodies) >= len(before) - 4
    assert all(torch.equal(before[name], after[name]) for name in bodies)


def check_special_ids(case: Case, done: Operated) -> None:
    start, pad = ids_of_specials(done.target)
    config = done.after.config
    assert (config.bos_token_id, config.eos_token_id, config.pad_token_id) == (start, start, pad)
    if case.kind not in ENCODERS:
        settings = done.after.generation_config
        assert (settings.eos_token_id, settings.pad_token_id) == ([start, pad], pad)
        assert (settings.max_new_tokens, settings.repetition_penalty) == (7, 1.25)


def check_padding(model: PreTrainedModel, num_ids: int) -> None:
    logits_BTV = logits_of(model, num_ids).float()
    assert logits_BTV.isfinite().all()
    if logits_BTV.shape[-1] > num_ids:
        real, padding = logits_BTV[..., :num_ids], logits_BTV[..., num_ids:]
        assert (padding.amax(-1) < real.amax(-1)).all()


def train(case: Case, done: Operated) -> None:
    """One step on everything, or LoRA on the layers (and on new rows alone) that is merged."""
    x_BT = inputs(len(done.target))
    vocabulary = vocabulary_tensors(done.after)
    before = vocabulary.input_VD.clone()
    model = done.after.train()
    if case.training == "lora":
        new = sorted(set(range(len(done.target))) - set(done.kept.values()))
        settings = peft.LoraConfig(
            r=2,
            target_modules="all-linear",
            trainable_token_indices=new if case.surgery == "extend" else None,
            init_lora_weights=False,
        )
        model = peft.get_peft_model(model, settings)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    model(input_ids=x_BT, labels=x_BT).loss.backward()
    optimizer.step()
    if case.training == "lora":
        merged = model.merge_and_unload()
        assert merged is done.after
        kept = list(done.kept.values())
        after = vocabulary_tensors(merged).input_VD
        assert torch.equal(after[kept], before[kept])
        if case.surgery == "extend":
            assert not torch.equal(after[new], before[new])
    else:
        assert not torch.equal(vocabulary_tensors(done.after).input_VD, before)
    done.after.eval()
    assert is_tied(done.after) is case.tied


def check_reload(case: Case, done: Operated, folder: Path) -> None:
    loaded = load(folder, dtype=getattr(torch, case.dtype), masked=case.kind in ENCODERS)
    num_ids = len(done.target)
    assert torch.equal(logits_of(loaded.model, num_ids), logits_of(done.after, num_ids))
    assert is_tied(loaded.model) is case.tied
    assert loaded.model.dtype == getattr(torch, case.dtype)
    assert loaded.tokenizer.encode_batch(TEXTS) == done.target.encode_batch(TEXTS)
    assert ids_of_specials(loaded.tokenizer) == ids_of_specials(done.target)
    assert loaded.tokenizer.chat_template == special_texts()[2]
    check_special_ids(
        case,
        Operated(done.before, done.source, loaded.model, loaded.tokenizer, done.kept, done.rows),
    )


def ids_of_specials(tokenizer: Tokenizer) -> tuple[int | None, int | None]:
    start, pad, _ = special_texts()
    return tokenizer.backend.token_to_id(start), tokenizer.backend.token_to_id(pad)


def inputs(num_ids: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randint(0, num_ids, (3, 24), generator=generator)


@torch.inference_mode()
def logits_of(model: PreTrainedModel, num_ids: int) -> torch.Tensor:
    logits_BTV: torch.Tensor = model.eval()(input_ids=inputs(num_ids)).logits
    return logits_BTV
