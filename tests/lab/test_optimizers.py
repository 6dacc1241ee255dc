"""Both optimisers of a stack are AdamW, member by member, whatever a step reads."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lingraft.lab.decoders import FEW_SAMPLES, Reading
from lingraft.lab.optimizers import BETAS, OnePassAdamW, Optimizer, Schedule, TorchAdamW

MODELS, VOCABULARY, WIDTH = 3, 7, 5
SHAPES = {
    "embedding": (VOCABULARY, WIDTH),
    "position": (4, WIDTH),
    "attention.0": (WIDTH, 3 * WIDTH),
    "head": (WIDTH, VOCABULARY),
}
STEPS = 12
SCHEDULE = Schedule((0.1, 0.1, 0.02), warmup_steps=4, weight_decay=0.3)
KINDS = ("torch", "one pass", "one pass over all rows")


def weights(dtype: torch.dtype = torch.float64) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {
        name: torch.randn(MODELS, *shape, generator=generator, dtype=torch.float64).to(dtype)
        for name, shape in SHAPES.items()
    }


def optimizer(
    kind: str,
    given_weights: dict[str, torch.Tensor],
    dtype: torch.dtype = torch.float64,
    batch_size: int = FEW_SAMPLES,
) -> Optimizer:
    if kind == "torch":
        return TorchAdamW(given_weights, SCHEDULE, dtype=dtype, batch_size=batch_size)
    return OnePassAdamW(
        given_weights,
        SCHEDULE,
        dtype=dtype,
        batch_size=batch_size,
        steps=STEPS,
        all_rows="all" in kind,
    )


def reading(tokens_MBT: torch.Tensor) -> Reading:
    place_MN = torch.zeros(tokens_MBT.shape[:2], dtype=torch.int64)
    return Reading(tokens_MBT, place_MN, place_MN, torch.ones(place_MN.shape), True)


def loss(read_weights: dict[str, torch.Tensor], asked: Reading, step: int) -> torch.Tensor:
    """Of every number, and of the embeddings only those that are read; other each step."""
    total = torch.zeros((), dtype=torch.float64)
    for name, weight in read_weights.items():
        if name != "embedding":
            total = total + (weight.double() - step / 7).pow(2).sum()
    for table_XD, tokens_BT in zip(read_weights["embedding"], asked.read_MBT, strict=True):
        total = total + (table_XD[tokens_BT].double() + step / 5).pow(2).sum()
    return total


def plain(member: int, tokens_SBT: torch.Tensor, upto: int) -> dict[str, torch.Tensor]:
    """torch's AdamW on one member by itself."""
    own = {name: torch.nn.Parameter(weight[member]) for name, weight in weights().items()}
    rate = SCHEDULE.rates[member]
    adamw = torch.optim.AdamW(own.values(), betas=BETAS, weight_decay=SCHEDULE.weight_decay)
    for step in range(upto):
        adamw.param_groups[0]["lr"] = rate * min((step + 1) / 4, 1)
        adamw.zero_grad()
        stacked = {name: weight[None] for name, weight in own.items()}
        loss(stacked, reading(tokens_SBT[step][None]), step).backward()
        adamw.step()
    return {name: weight.detach() for name, weight in own.items()}


@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.integers(0, 2**20), upto=st.integers(1, STEPS), looked=st.integers(0, STEPS))
def test_it_is_adamw_of_every_member(kind: str, seed: int, upto: int, looked: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    # Few of the rows in a step, some of them never, some several times.
    tokens_SMBT = torch.randint(0, VOCABULARY - 1, (upto, MODELS, 2, 2), generator=generator)
    stack = weights()
    ours = optimizer(kind, stack)
    for step in range(upto):
        if step == looked:
            ours.settle()
        read_weights, asked = ours.read(reading(tokens_SMBT[step]))
        loss(read_weights, asked, step).backward()
        ours.step()
    ours.settle()
    for member in range(MODELS):
        wanted = plain(member, tokens_SMBT[:, member], upto)
        for name, weight in stack.items():
            np.testing.assert_allclose(
                weight[member].detach(), wanted[name], rtol=1e-12, atol=1e-12, err_msg=name
            )


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_reads_what_the_tokens_name(kind: str) -> None:
    stack = weights()
    table_MVD = stack["embedding"].clone()
    tokens_MBT = torch.tensor([[[6, 2], [2, 0]], [[1, 1], [1, 1]], [[0, 1], [2, 3]]])
    read_weights, asked = optimizer(kind, stack).read(reading(tokens_MBT))
    for member in range(MODELS):
        found = read_weights["embedding"][member][asked.read_MBT[member]]
        assert torch.equal(found, table_MVD[member][tokens_MBT[member]])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch_size", [FEW_SAMPLES, FEW_SAMPLES - 1])
def test_products_are_computed_in_fewer_bits(kind: str, batch_size: int) -> None:
    """The weights stay whole, what is multiplied is their rounding, also after a step."""
    stack, reference = weights(torch.float32), weights(torch.float32)
    ours = optimizer(kind, stack, torch.bfloat16, batch_size)
    torchs = optimizer("torch", reference, torch.bfloat16, batch_size)
    asked = reading(torch.zeros(MODELS, 1, 1, dtype=torch.int64))
    rounded = {"attention.0"} | ({"head"} if batch_size == FEW_SAMPLES else set())
    for step in range(3):
        read_weights, read = ours.read(asked)
        for name in SHAPES.keys() - {"embedding"}:
            dtype = torch.bfloat16 if name in rounded else torch.float32
            assert read_weights[name].dtype == dtype
            assert torch.equal(read_weights[name], stack[name].to(dtype))
        assert read_weights["embedding"].dtype == torch.float32
        for one, (one_weights, one_read) in (
            (ours, (read_weights, read)),
            (torchs, torchs.read(asked)),
        ):
            loss(one_weights, one_read, step).backward()
            one.step()
    ours.settle()
    for name, weight in stack.items():
        np.testing.assert_allclose(weight.detach(), reference[name].detach(), atol=1e-5)
    assert not torch.equal(stack["attention.0"], stack["attention.0"].bfloat16().float())
