"""Low-rank adapters: nothing changes at first, only they and the rows learn, and all is merged."""

import builtins
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel

from lingraft.errors import InputError
from lingraft.training import Stage, TrainingRun
from lingraft.training.adapters import MARK, RANK, add_adapters, merge_adapters
from lingraft.units import Budget

MakeModel = Callable[..., PreTrainedModel]
ADAPTERS = (Stage("adapters", 1.0),)
IDS = torch.arange(40).reshape(2, 20)


def logits(model: PreTrainedModel) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model.eval()(input_ids=IDS).logits
    return found


@pytest.mark.parametrize("kind", ["llama_tied", "llama_untied", "gpt2"])
def test_layers_learn_by_low_rank_and_come_back_whole(
    kind: str, make_model: MakeModel, train: Callable[..., TrainingRun]
) -> None:
    model = make_model(kind, 402)
    before = {name: tensor.detach().clone() for name, tensor in model.named_parameters()}
    train(model, stages=ADAPTERS, budget=Budget(num_steps=3))
    after = dict(model.named_parameters())
    assert list(after) == list(before)
    assert all(parameter.requires_grad for parameter in after.values())
    assert not any("peft" in type(module).__module__ for module in model.modules())
    tables = {
        id(model.get_input_embeddings().weight): "rows",
        id(model.get_output_embeddings().weight): "head",
    }
    num_low_rank = 0
    for name, parameter in after.items():
        change = parameter.detach() - before[name]
        if id(parameter) in tables:
            assert change.abs().max() > 0
        elif parameter.dim() == 2 and "wpe" not in name:
            rank = int(torch.linalg.matrix_rank(change.double(), tol=1e-6))
            assert 0 < rank <= RANK, name
            num_low_rank += 1
        else:
            assert torch.equal(parameter, before[name]), name
    assert num_low_rank >= 2 * 4


def test_right_after_they_are_put_on_nothing_changes_and_the_seed_decides(
    make_model: MakeModel,
) -> None:
    def adapted(seed: int) -> tuple[dict[str, torch.Tensor], torch.Tensor, Any, PreTrainedModel]:
        model = make_model("llama_tied", 402)
        whole = add_adapters(model, seed=seed)
        drawn = {n: p.detach().clone() for n, p in model.named_parameters() if MARK in n}
        return drawn, logits(model), whole, model

    plain = logits(make_model("llama_tied", 402))
    one, with_them, whole, model = adapted(0)
    assert torch.equal(with_them, plain)
    assert all(torch.equal(one[name], value) for name, value in adapted(0)[0].items())
    assert any(not torch.equal(one[name], value) for name, value in adapted(1)[0].items())
    merge_adapters(whole)
    assert torch.equal(logits(model), plain)


def test_merged_layers_compute_what_the_adapters_did(make_model: MakeModel) -> None:
    model = make_model("llama_tied", 402)
    whole = add_adapters(model, seed=0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if MARK in name:
                parameter.copy_(torch.randn_like(parameter) / 10)
    wanted = logits(model)
    merge_adapters(whole)
    assert (logits(model) - wanted).abs().max() < 1e-4
    assert (wanted - logits(make_model("llama_tied", 402))).abs().max() > 0.1


def test_the_same_run_twice_is_the_same_to_the_bit(
    make_model: MakeModel, train: Callable[..., TrainingRun]
) -> None:
    models = [make_model("llama_tied", 402) for _ in range(2)]
    runs = [train(model, stages=ADAPTERS) for model in models]
    assert runs[0].train_nats == runs[1].train_nats
    for one, other in zip(models[0].parameters(), models[1].parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_stopped_run_goes_on_to_the_same_bytes(
    make_model: MakeModel, train: Callable[..., TrainingRun], tmp_path: Path
) -> None:
    unbroken = make_model("llama_tied", 402)
    run = train(unbroken, stages=ADAPTERS)

    def stop(done: float, note: str) -> None:
        if done > 0.4:
            raise InterruptedError

    often = {"stages": ADAPTERS, "checkpoints": tmp_path, "checkpoint_seconds": 0.0}
    with pytest.raises(InterruptedError):
        train(make_model("llama_tied", 402), advance=stop, **often)
    resumed = make_model("llama_tied", 402)
    told: list[float] = []
    again = train(resumed, advance=lambda done, note: told.append(done), **often)
    assert 0 < len(told) < run.step
    assert again.train_nats == run.train_nats
    for one, other in zip(unbroken.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, other)


def test_without_the_package_one_line_says_so(
    make_model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.startswith("peft"):
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match="stages: expected the package peft") as caught:
        add_adapters(make_model("llama_tied", 402), seed=0)
    assert caught.value.hint == "pip install peft"
