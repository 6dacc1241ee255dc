"""Members of a stack are plain tiny decoders, each by itself."""

import threading
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from lingraft.errors import InputError, ModelError
from lingraft.lab import World, ensembles, make_world
from lingraft.lab.decoders import TinyDecoder, initial_weights, mean_nats, reading, states
from lingraft.lab.ensembles import CHUNK_STEPS, train_ensemble
from lingraft.lab.members import Member
from lingraft.lab.samples import Samples
from lingraft.runtime import Runtime
from lingraft.seeds import derive

MODEL = TinyDecoder(width=8, num_layers=2, num_heads=2, feed_forward=3)
ONE = Runtime(num_threads=1, device="cpu", precision="float32")
RATE, WARMUP, DECAY = 5e-3, 3, 0.1


@cache
def world(**changes: object) -> World:
    settings = {"subjects": 12, "relations": 2, "values": 4, "unseen_subjects": 2, "seed": 3}
    return make_world(**{**settings, **changes})  # type: ignore[arg-type]


@dataclass(frozen=True)
class Strange:
    """A world one of whose samples has a token that it says it has not."""

    token: int
    num_tokens: int = world().num_tokens
    max_tokens: int = world().max_tokens

    def sample(self, num: int, rng: np.random.Generator) -> Samples:
        drawn = world().sample(num, rng)
        drawn.tokens_BT[num // 2, 1] = self.token
        return drawn


def stacked(*, num_tokens: int, max_tokens: int, seeds: list[int]) -> dict[str, torch.Tensor]:
    """Weights of some members on a leading axis, in float64."""
    drawn = [
        initial_weights(
            MODEL, num_tokens=num_tokens, max_tokens=max_tokens, seed=seed, dtype=torch.float64
        )
        for seed in seeds
    ]
    return {name: torch.stack([one[name] for one in drawn]) for name in drawn[0]}


class Plain(torch.nn.Module):
    """The same decoder, written with torch's own layers for one model."""

    def __init__(self, weights: dict[str, torch.Tensor]) -> None:
        super().__init__()
        self.weights = torch.nn.ParameterDict(
            {name.replace(".", "_"): torch.nn.Parameter(w.clone()) for name, w in weights.items()}
        )

    def forward(self, tokens_BT: torch.Tensor) -> list[torch.Tensor]:
        """The residual stream after the embeddings and after each layer."""
        w, width = self.weights, MODEL.width
        x_BTD = w["embedding"][tokens_BT] + w["position"][: tokens_BT.shape[1]]
        found = [x_BTD]
        for layer in range(MODEL.num_layers):
            normed_BTD = functional.layer_norm(x_BTD, (width,))
            parts = [
                part.unflatten(-1, (MODEL.num_heads, -1)).transpose(1, 2)
                for part in (normed_BTD @ w[f"attention_{layer}"]).split(width, dim=-1)
            ]
            mixed = functional.scaled_dot_product_attention(*parts, is_causal=True)
            x_BTD = x_BTD + mixed.transpose(1, 2).flatten(2) @ w[f"mix_{layer}"]
            normed_BTD = functional.layer_norm(x_BTD, (width,))
            x_BTD = x_BTD + (normed_BTD @ w[f"rise_{layer}"]).relu() @ w[f"fall_{layer}"]
            found.append(x_BTD)
        return found

    def nats(self, samples: Samples) -> torch.Tensor:
        """Mean nats of the predicted tokens."""
        tokens_BT = torch.from_numpy(samples.tokens_BT).long()
        last_BTD = self(tokens_BT[:, :-1])[-1]
        logits_BTV = functional.layer_norm(last_BTD, (MODEL.width,)) @ self.weights["head"]
        is_wanted_BT = torch.from_numpy(samples.predicted_BT)[:, 1:]
        return functional.cross_entropy(logits_BTV[is_wanted_BT], tokens_BT[:, 1:][is_wanted_BT])


def plain_losses(one: World, seed: int, steps: int, batch_size: int, rate: float) -> list[float]:
    """Losses of the plain decoder in a plain loop."""
    drawn = initial_weights(
        MODEL,
        num_tokens=one.num_tokens,
        max_tokens=one.max_tokens,
        seed=seed,
        dtype=torch.float64,
    )
    model = Plain(drawn)
    optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.95), weight_decay=DECAY)
    found = []
    for step in range(steps):
        chunk, at = divmod(step, CHUNK_STEPS)
        rng = np.random.default_rng(derive(seed, "samples", chunk))
        drawn_samples = one.sample(CHUNK_STEPS * batch_size, rng)
        rows = slice(at * batch_size, (at + 1) * batch_size)
        nats = model.nats(
            Samples(
                drawn_samples.tokens_BT[rows],
                drawn_samples.predicted_BT[rows],
                drawn_samples.fact_B[rows],
                drawn_samples.lang_B[rows],
            )
        )
        optimizer.param_groups[0]["lr"] = rate * min((step + 1) / WARMUP, 1.0)
        optimizer.zero_grad()
        nats.backward()
        optimizer.step()
        found.append(float(nats.detach()))
    return found


@pytest.mark.parametrize("predict", ["values", "all"])
def test_a_member_is_the_plain_decoder_in_a_plain_loop(predict: str) -> None:
    worlds = [world(predict=predict), world(predict=predict, informativeness=0.0)]
    rates = [RATE, RATE / 5]
    run = train_ensemble(
        worlds,
        model=MODEL,
        steps=CHUNK_STEPS + 3,
        seeds=[5, 6],
        batch_size=7,
        learning_rates=rates,
        warmup_steps=WARMUP,
        weight_decay=DECAY,
        dtype=torch.float64,
        runtime=ONE,
    )
    for member in range(2):
        wanted = plain_losses(worlds[member], 5 + member, CHUNK_STEPS + 3, 7, rates[member])
        np.testing.assert_allclose(run.nats_MS[member], wanted, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("dtype", "steps", "tolerance"), [(torch.float64, 12, 1e-9), (torch.float32, 50, 1e-4)]
)
def test_company_changes_nothing(dtype: torch.dtype, steps: int, tolerance: float) -> None:
    worlds = [world(seed=n, parallel_share=n / 10) for n in range(4)]
    seeds, rates = [10, 11, 12, 13], [RATE, RATE, RATE / 2, RATE / 3]

    def losses(chosen: list[int], at_once: int | None = None, threads: int = 1) -> np.ndarray:
        run = train_ensemble(
            [worlds[n] for n in chosen],
            model=MODEL,
            steps=steps,
            seeds=[seeds[n] for n in chosen],
            batch_size=8,
            learning_rates=[rates[n] for n in chosen],
            members_at_once=at_once,
            dtype=dtype,
            runtime=Runtime(num_threads=threads, device="cpu", precision="float32"),
        )
        return run.nats_MS

    everyone = [0, 1, 2, 3]
    together = losses(everyone)
    for member in everyone:
        alone = losses([member])
        np.testing.assert_allclose(together[member], alone[0], rtol=0, atol=tolerance)
    np.testing.assert_allclose(losses(everyone, 2), together, rtol=0, atol=tolerance)
    np.testing.assert_allclose(losses(everyone[::-1], 3)[::-1], together, rtol=0, atol=tolerance)
    np.testing.assert_allclose(losses(everyone, 2, 2), together, rtol=0, atol=tolerance)


@pytest.mark.parametrize(
    ("dtype", "steps", "tolerance"), [(torch.float64, 12, 1e-9), (torch.float32, 50, 1e-4)]
)
def test_company_of_other_sizes_changes_nothing(
    dtype: torch.dtype, steps: int, tolerance: float
) -> None:
    """Other vocabularies and longer samples beside a member, in the same stack."""
    worlds = [
        world(),
        world(subject_overlap=0.0, value_overlap=0.0),
        world(tag_share=1.0),
        world(template_tokens=20),
    ]
    assert len({one.num_tokens for one in worlds}) > 1
    assert len({one.max_tokens for one in worlds}) > 1

    def losses(chosen: list[int]) -> np.ndarray:
        run = train_ensemble(
            [worlds[n] for n in chosen],
            model=MODEL,
            steps=steps,
            seeds=[10 + n for n in chosen],
            batch_size=8,
            learning_rates=RATE,
            dtype=dtype,
            runtime=ONE,
        )
        return run.nats_MS

    together = losses([0, 1, 2, 3])
    for member in range(len(worlds)):
        np.testing.assert_allclose(losses([member])[0], together[member], rtol=0, atol=tolerance)


def test_a_member_stays_as_it_was_seen() -> None:
    seen: dict[int, Member] = {}
    train_ensemble(
        [world(), world(subject_overlap=0.0)], model=MODEL, steps=3, seeds=[1, 2],
        checkpoints=[0, 3], batch_size=8, runtime=ONE,
        observe=lambda member, step, found: seen.setdefault(step, found) if member == 0 else None,
    )  # fmt: skip
    first = initial_weights(
        MODEL, num_tokens=world().num_tokens, max_tokens=world().max_tokens, seed=1,
        dtype=torch.float32,
    )  # fmt: skip
    assert seen[0].weights.keys() == first.keys()
    for name, wanted in first.items():
        assert torch.equal(seen[0].weights[name], wanted)
        assert seen[3].weights[name].shape == wanted.shape
        assert not torch.equal(seen[3].weights[name], wanted)


@pytest.mark.parametrize("predict", ["values", "all"])
def test_compiled_members_learn_the_same(predict: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on CUDA, with a compiler that needs none: one graph, and the losses of eager steps."""
    num_graphs = 0

    def traced(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Any:
        nonlocal num_graphs
        num_graphs += 1
        return graph.forward

    monkeypatch.setattr(ensembles, "COMPILER", traced)

    def losses(compiled: bool) -> np.ndarray:
        run = train_ensemble(
            [world(seed=n, predict=predict) for n in range(3)],
            model=MODEL,
            steps=4,
            seeds=[5, 6, 7],
            batch_size=7,
            members_at_once=2,
            dtype=torch.float64,
            compiled=compiled,
            runtime=Runtime(num_threads=2, device="cpu"),
        )
        return run.nats_MS

    eager = losses(False)
    assert num_graphs == 0
    np.testing.assert_allclose(losses(True), eager, rtol=0, atol=1e-9)
    assert 1 <= num_graphs <= 3, "one of two members, one of the last, not one a step"


def test_members_learn_what_they_are_told() -> None:
    answered: dict[tuple[int, int], float] = {}
    lock = threading.Lock()
    one = world(informativeness=0.0)

    def observe(member: int, step: int, found: Member) -> None:
        probes = one.probes("same")
        right = (found.log_probs(probes).argmax(1) == probes.answer_P).mean()
        with lock:
            answered[member, step] = float(right)

    run = train_ensemble(
        [one] * 3,
        model=TinyDecoder(width=32, num_layers=2, num_heads=2),
        steps=150,
        seeds=[0, 1, 2],
        checkpoints=[0, 150],
        observe=observe,
        batch_size=16,
        warmup_steps=20,
        members_at_once=2,
        runtime=Runtime(num_threads=2, device="cpu", precision="float32"),
    )
    assert run.nats_MS.shape == (3, 150)
    assert set(answered) == {(m, s) for m in range(3) for s in (0, 150)}
    assert all(answered[m, 0] < 0.6 and answered[m, 150] > 0.95 for m in range(3))


def test_training_goes_on_from_weights() -> None:
    left: dict[int, Member] = {}

    def keep(member: int, step: int, found: Member) -> None:
        left[member] = Member(found.model, {n: w.clone() for n, w in found.weights.items()})

    first = train_ensemble(
        [world()] * 2, model=MODEL, steps=30, seeds=[0, 1], checkpoints=[30], observe=keep,
        batch_size=8, learning_rates=RATE, warmup_steps=WARMUP, runtime=ONE,
    )  # fmt: skip
    second = train_ensemble(
        [world()] * 2, model=MODEL, steps=1, seeds=[7, 8], batch_size=500, runtime=ONE,
        start=[left[0].weights, left[1].weights],
    )  # fmt: skip
    assert (second.nats_MS[:, 0] < first.nats_MS[:, 0] - 0.3).all()


@given(st.integers(0, 2**30))
def test_the_last_block_at_one_place_is_the_whole_block_there(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    weights = stacked(num_tokens=9, max_tokens=6, seeds=[seed, seed + 1])
    tokens_MBT = torch.randint(0, 9, (2, 3, 6), generator=generator)
    last_MB = torch.randint(0, 6, (2, 3), generator=generator)
    *_, whole_MBTD = states(MODEL, weights, tokens_MBT)
    *_, last_MBD = states(MODEL, weights, tokens_MBT, last_MB=last_MB)
    for model in range(2):
        for sample in range(3):
            torch.testing.assert_close(
                last_MBD[model, sample], whole_MBTD[model, sample, last_MB[model, sample]]
            )


@given(
    st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=6, max_size=6).filter(
        lambda rows: any(map(any, rows[:3])) and any(map(any, rows[3:]))
    )
)
def test_loss_is_the_mean_over_predicted_tokens(rows: list[list[bool]]) -> None:
    weights = stacked(num_tokens=9, max_tokens=5, seeds=[0, 1])
    tokens_MBT = torch.arange(30).view(2, 3, 5) * 7 % 9
    wanted_MBT = torch.tensor([[False, *row] for row in rows]).view(2, 3, 5)
    found_M = mean_nats(MODEL, weights, reading(tokens_MBT, wanted_MBT))
    for model in range(2):
        plain = Plain({name: w[model] for name, w in weights.items()})
        some = Samples(
            tokens_MBT[model].numpy(), wanted_MBT[model].numpy(), *[np.zeros(3, int)] * 2
        )
        assert float(found_M[model]) == pytest.approx(float(plain.nats(some).detach()), abs=1e-12)


@dataclass
class Diverging:
    """A corpus whose tokens become strange."""

    num_tokens: int = 5
    max_tokens: int = 3

    def sample(self, num: int, rng: np.random.Generator) -> Samples:
        """Draws random samples."""
        tokens = rng.integers(1, 5, (num, 3))
        predicted = np.zeros((num, 3), dtype=bool)
        predicted[:, 2] = True
        return Samples(tokens, predicted, np.zeros(num, int), np.zeros(num, int))


def test_a_diverging_member_is_named() -> None:
    with pytest.raises(ModelError) as error:
        train_ensemble(
            [Diverging(), Diverging()], model=MODEL, steps=20, seeds=[1, 22], batch_size=4,
            learning_rates=[1e-3, 1e38], warmup_steps=0, runtime=ONE,
        )  # fmt: skip
    assert "seed 22" in str(error.value)


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"worlds": []}, "worlds"),
        ({"seeds": [1]}, "seeds"),
        ({"learning_rates": [1e-3]}, "learning_rates"),
        ({"start": [{}]}, "start"),
        ({"start": [{}, {}]}, "start of the member with seed 0"),
        ({"start": [{"head": torch.zeros(8, 2)}] * 2}, "start of the member with seed 0"),
        ({"steps": 0}, "steps"),
        ({"batch_size": 0}, "batch_size"),
        ({"warmup_steps": -1}, "warmup_steps"),
        ({"members_at_once": -1}, "members_at_once"),
        ({"learning_rates": -1e-3}, "learning_rates"),
        ({"learning_rates": [1e-3, float("nan")]}, "learning_rates"),
        ({"weight_decay": float("inf")}, "weight_decay"),
        ({"checkpoints": [3, 11]}, "checkpoints"),
        ({"checkpoints": [2.5]}, "checkpoints"),
        ({"runtime": Runtime(device="abacus")}, "device"),
        ({"dtype": torch.float16}, "dtype"),
        ({"worlds": [world(), Strange(-1)]}, "samples of a world"),
        ({"worlds": [world(), Strange(world().num_tokens)]}, "samples of a world"),
        ({"worlds": [world(value_overlap=0.0), Strange(world().num_tokens)]}, "samples of a world"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, object], where: str) -> None:
    given: dict[str, object] = {
        "worlds": [world()] * 2, "model": MODEL, "steps": 10, "seeds": [0, 1], **changes
    }  # fmt: skip
    with pytest.raises(InputError) as error:
        train_ensemble(given.pop("worlds"), **given)  # type: ignore[arg-type]
    assert error.value.where == where


@pytest.mark.parametrize("sizes", [{"width": 10, "num_heads": 4}, {"num_layers": 0}])
def test_shapes_that_do_not_work_are_refused(sizes: dict[str, int]) -> None:
    with pytest.raises(InputError) as error:
        TinyDecoder(**sizes)
    assert error.value.where == "model"


def test_parameters_are_counted() -> None:
    weights = initial_weights(MODEL, num_tokens=9, max_tokens=5, seed=0, dtype=torch.float32)
    assert MODEL.num_parameters(num_tokens=9, max_tokens=5) == sum(
        w.numel() for w in weights.values()
    )
    # By hand, width 8 and two layers: attention 8·24 + 8·8, feed-forward 2·8·24.
    assert MODEL.num_parameters(num_tokens=9, max_tokens=5) == 2 * (192 + 64 + 384) + 23 * 8
    # The first layer reads 4 tokens, the last its keys and values there and the rest at one.
    one_sample = 640 * 4 + 128 * 4 + 128 + 384 + 72
    assert MODEL.num_flops(num_tokens=9, length=4, batch_size=10) == 60 * one_sample
