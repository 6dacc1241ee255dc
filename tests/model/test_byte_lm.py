"""Byte language models: the paper's count of parameters, one ladder, and weights of a seed."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaForCausalLM

from lingraft.corpus import Document
from lingraft.errors import InputError
from lingraft.model import load, save
from lingraft.model.byte_lm import (
    NUM_ROWS,
    SIZES,
    byte_config,
    byte_lm,
    ladder_config,
    ladder_lm,
    num_flops_per_token,
    num_rows,
)
from lingraft.tokenizer import byte_tokenizer, train_bpe

NOMINAL = {"1m": 1e6, "4m": 4e6, "16m": 16e6, "65m": 65e6, "250m": 250e6, "1b": 1e9}
PAPER_PARAMETERS = 65_795_520
"""Of the t5x model of arXiv 2404.08191, its table of 32 x 10 relative biases included."""


def num_parameters(size: str) -> int:
    with torch.device("meta"):
        return LlamaForCausalLM(byte_config(size)).num_parameters()


def test_the_paper_s_size_has_the_paper_s_parameters() -> None:
    assert num_parameters("65m") == 65_795_200 == PAPER_PARAMETERS - 32 * 10
    config = byte_config("65m")
    assert (config.num_hidden_layers, config.hidden_size, config.intermediate_size) == (
        10,
        640,
        2560,
    )
    assert (config.num_attention_heads, config.head_dim, config.rms_norm_eps) == (10, 64, 1e-6)
    assert config.hidden_act == "gelu_pytorch_tanh"
    assert config.vocab_size == NUM_ROWS == 384
    assert config.tie_word_embeddings
    assert config.max_position_embeddings >= 1024


def test_the_sizes_are_one_ladder() -> None:
    assert NOMINAL.keys() == SIZES.keys()
    for size, shape in SIZES.items():
        body = 16 * shape.num_layers * shape.width**2
        norms = (2 * shape.num_layers + 1) * shape.width
        assert num_parameters(size) == body + norms + NUM_ROWS * shape.width
        assert num_parameters(size) == pytest.approx(NOMINAL[size], rel=0.15)
        assert byte_config(size).num_attention_heads * 64 == shape.width


def test_an_unknown_size_is_refused() -> None:
    message = r"^size: expected one of 1m, 4m, 16m, 65m, 250m, 1b, got '2m'$"
    with pytest.raises(InputError, match=message):
        byte_lm("2m", seed=0)


def test_weights_depend_on_the_seed_alone() -> None:
    weights = []
    for seed, outside in ((0, 1), (0, 2), (1, 1)):
        torch.manual_seed(outside)
        before = torch.random.get_rng_state()
        weights.append(byte_lm("1m", seed=seed).state_dict())
        assert torch.equal(torch.random.get_rng_state(), before)
    first, same, other = weights
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not torch.equal(first["lm_head.weight"], other["lm_head.weight"])
    assert {tensor.dtype for tensor in first.values()} == {torch.float32}


def test_another_vocabulary_changes_rows_and_special_ids_only() -> None:
    documents = [Document("the rows of a vocabulary are not its body " * 9, "1")]
    tokenizer = train_bpe(documents, vocab_size=300, like=byte_tokenizer())
    model = ladder_lm("1m", tokenizer, seed=0)
    ours, theirs = (dict(x.named_parameters()) for x in (model, byte_lm("1m", seed=0)))
    rows = "model.embed_tokens.weight"
    assert {n: p.shape for n, p in ours.items() if n != rows} == {
        n: p.shape for n, p in theirs.items() if n != rows
    }
    assert ours[rows].shape == (num_rows(len(tokenizer)), 128)
    config = ladder_config("1m", tokenizer)
    assert [config.bos_token_id, config.eos_token_id, config.pad_token_id] == [0, 1, 2]
    assert [num_rows(n) for n in (1, 128, 129, 259, 4096)] == [128, 128, 256, NUM_ROWS, 4096]


def test_matrices_and_logits_start_at_their_stated_scale() -> None:
    model = byte_lm("4m", seed=0)
    for name, parameter in model.named_parameters():
        if parameter.dim() == 2:
            wanted = parameter.shape[1] ** -0.5
            assert float(parameter.detach().std()) == pytest.approx(wanted, rel=0.05), name
        else:
            assert torch.equal(parameter, torch.ones_like(parameter)), name
    # Ids that were not read: those that were have their own row in the residual stream.
    with torch.inference_mode():
        logits_TV = model(input_ids=torch.arange(32, 96)[None]).logits[0, :, 128:]
    assert float(logits_TV.std()) == pytest.approx(1.0, rel=0.15)


def test_a_saved_model_loads_everywhere_with_the_same_logits(tmp_path: Path) -> None:
    model, tokenizer = byte_lm("1m", seed=0), byte_tokenizer()
    save(model, tokenizer, tmp_path)
    ours = load(tmp_path, dtype=torch.float32)
    theirs = AutoModelForCausalLM.from_pretrained(str(tmp_path), dtype=torch.float32)
    ids = torch.tensor([[256, *tokenizer.encode("Größe: 3 µm")]])
    assert ours.tokenizer.encode("Größe: 3 µm") == ids[0, 1:].tolist()
    with torch.inference_mode():
        logits = model(input_ids=ids).logits
        assert torch.equal(ours.model(input_ids=ids).logits, logits)
        assert torch.equal(theirs(input_ids=ids).logits, logits)
    for loaded in (ours.model, theirs):
        assert loaded.lm_head.weight is loaded.model.embed_tokens.weight
        config = loaded.config
        assert [config.bos_token_id, config.eos_token_id, config.pad_token_id] == [256, 257, 258]


def test_training_takes_the_probability_from_rows_without_an_id() -> None:
    torch.set_num_threads(1)
    model = byte_lm("1m", seed=0).train()
    ids = torch.tensor([[256, *byte_tokenizer().encode("one text, read again and again. " * 3)]])
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def unused_share() -> float:
        with torch.inference_mode():
            return float(model(input_ids=ids).logits[0].softmax(-1)[:, 259:].sum(-1).mean())

    assert unused_share() == pytest.approx((NUM_ROWS - 259) / NUM_ROWS, abs=0.08)
    for _ in range(30):
        loss = torch.nn.functional.cross_entropy(model(input_ids=ids).logits[0, :-1], ids[0, 1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert unused_share() < 0.005


def test_flops_are_those_of_matrices_and_of_attention() -> None:
    config = byte_config("65m")
    matrices = 65_795_200 - 21 * 640
    wanted = 6 * matrices + 12 * 10 * 640 * 1024
    assert num_flops_per_token(config, window_tokens=1024) == wanted
