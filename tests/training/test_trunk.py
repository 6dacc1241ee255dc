"""Sizes that share a trunk end as runs alone do, and cost less."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel

from lingraft.corpus import Document
from lingraft.errors import InputError
from lingraft.model import byte_lm
from lingraft.runtime import Runtime
from lingraft.tokenizer import byte_tokenizer
from lingraft.training import Packing
from lingraft.training.trainer import Trainer
from lingraft.training.trunk import Trunk, TrunkSettings, train_trunk

CPU = Runtime(num_threads=1, device="cpu", precision="float32")
SETTINGS = TrunkSettings(learning_rate=3e-3, warmup_bytes=200)
SIZES = (300, 600, 1_200)
TEXT = [Document(f"Line {n} of a text that is read but once.\n", str(n)) for n in range(60)]


def weights(model: PreTrainedModel) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten().clone() for parameter in model.parameters()])


def grown(sizes: Sequence[int], **changes: Any) -> Trunk:
    tokenizer = byte_tokenizer()
    given: dict[str, Any] = {
        "evaluate": weights,
        "packing": Packing(100, 64, 256, 257),
        "settings": SETTINGS,
        "seed": 0,
        "runtime": CPU,
    }
    return train_trunk(byte_lm("1m", seed=0), tokenizer, TEXT, sizes=sizes, **(given | changes))


def test_each_size_ends_as_a_run_alone_to_the_bit_and_costs_less() -> None:
    together = grown(SIZES)
    alone = [grown([size]) for size in SIZES]
    for branch, one in zip(together.branches, alone, strict=True):
        assert torch.equal(branch.value, one.branches[0].value)
        assert branch.num_bytes == one.branches[0].num_bytes
        assert branch.asked_bytes - 150 < branch.num_bytes <= branch.asked_bytes
    assert together.processed_bytes < 0.85 * sum(one.processed_bytes for one in alone)


def test_a_frozen_part_stays_in_the_trunk_and_in_every_branch() -> None:
    frozen = [name for name, _ in byte_lm("1m", seed=0).named_parameters() if ".mlp." in name]

    def parameters(model: PreTrainedModel) -> dict[str, torch.Tensor]:
        return {name: p.detach().clone() for name, p in model.named_parameters()}

    before = parameters(byte_lm("1m", seed=0))
    trunk = grown(SIZES[:2], evaluate=parameters, frozen=frozen)
    for branch in trunk.branches:
        for name, value in branch.value.items():
            assert torch.equal(value, before[name]) == (name in frozen), name
    # Bytes are tokens, and every document has an end that is predicted too.
    assert trunk.processed_bytes < trunk.processed_tokens < 1.1 * trunk.processed_bytes


def test_the_rate_rises_stays_and_falls(monkeypatch: pytest.MonkeyPatch) -> None:
    rates: list[tuple[int, float]] = []
    step = Trainer.step

    def spy(self: Trainer, make_batch: Any, *, part: Any, learning_rate: float) -> None:
        rates.append((self.run.num_bytes, learning_rate / SETTINGS.learning_rate))
        step(self, make_batch, part=part, learning_rate=learning_rate)

    monkeypatch.setattr(Trainer, "step", spy)
    grown([1_200])
    assert rates[0][1] < 1.0
    assert all(rate == 1.0 for at, rate in rates if 200 <= at < 900)
    falling = [rate for at, rate in rates if at >= 960]
    assert falling == sorted(falling, reverse=True)
    assert falling[0] < 1.0
    assert 0.0 < falling[-1] < 0.5


@pytest.mark.parametrize("sizes", [(), (600, 300), (300, 300), (50, 300)])
def test_sizes_that_do_not_rise_from_a_batch_are_refused(sizes: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="sizes: expected rising sizes of at least") as caught:
        grown(sizes)
    assert caught.value.got == (", ".join(map(str, sizes)) or "none")


def test_more_than_the_text_is_refused() -> None:
    with pytest.raises(InputError, match=r"sizes: expected sizes of at most \d+ bytes") as caught:
        grown([300, 1_000_000])
    assert caught.value.got == "1000000"


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_decay_of_nothing_or_all_is_refused(share: float) -> None:
    with pytest.raises(InputError, match=r"decay_share: expected a share in \(0, 1\)"):
        TrunkSettings(1e-3, decay_share=share)
