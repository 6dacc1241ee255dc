"""Parts of a model by name: each parameter is in the right ones, and only they are drawn anew."""

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from lingraft.errors import InputError
from lingraft.model import byte_lm
from lingraft.model.parts import names_of_part, reset_part

KINDS = ("embeddings", "attention", "mlp", "norms")


def test_every_parameter_is_in_one_kind_of_part() -> None:
    names = [name for name, _ in byte_lm("1m", seed=0).named_parameters()]
    found = [name for kind in KINDS for name in names_of_part(names, kind)]
    assert sorted(found) == sorted(names)
    assert names_of_part(names, "embeddings") == ["model.embed_tokens.weight"]
    assert all("q_proj" in n or "self_attn" in n for n in names_of_part(names, "attention"))
    assert len(names_of_part(names, "mlp")) == 3 * 4


def test_gpt2_names_its_parts_otherwise() -> None:
    config = AutoConfig.for_model(
        "gpt2", vocab_size=50, n_embd=16, n_layer=2, n_head=2, n_positions=8
    )
    names = [name for name, _ in AutoModelForCausalLM.from_config(config).named_parameters()]
    assert names_of_part(names, "embeddings") == [
        "transformer.wte.weight",
        "transformer.wpe.weight",
    ]
    assert {n.split(".")[3] for n in names_of_part(names, "attention")} == {"attn"}
    assert {n.split(".")[3] for n in names_of_part(names, "mlp")} == {"mlp"}
    assert {n.split(".")[2] for n in names_of_part(names, "layers:1-1")} == {"1"}


@pytest.mark.parametrize("part", [*KINDS, "layers:0-1", "layers:3-3"])
def test_only_the_part_is_drawn_anew(part: str) -> None:
    model, fresh = byte_lm("1m", seed=0), byte_lm("1m", seed=1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1.0)  # norms start alike whatever the seed
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    chosen = set(names_of_part(before, part))
    num = reset_part(model, fresh, part)
    new = dict(fresh.named_parameters())
    for name, parameter in model.named_parameters():
        expected = new[name] if name in chosen else before[name]
        assert torch.equal(parameter, expected), name
    assert num == sum(before[name].numel() for name in chosen)
    assert len(chosen) < len(before)


@pytest.mark.parametrize("part", ["heads", "layers:4-7", "layers:1", ""])
def test_parts_that_the_model_lacks_are_refused(part: str) -> None:
    names = [name for name, _ in byte_lm("1m", seed=0).named_parameters()]
    with pytest.raises(InputError, match="part: expected one of the parts embeddings") as caught:
        names_of_part(names, part)
    assert caught.value.got == repr(part)
