"""What is trained when, and how fast."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedModel

from lingraft.errors import InputError, ModelError
from lingraft.training import Schedule, Stage, TrainingRun
from lingraft.training.stages import check_stages, stage_at, trainable_parameters
from lingraft.units import Budget

MakeModel = Callable[..., PreTrainedModel]
SIX_LAYERS = {"num_hidden_layers": 6}


def changed_by(
    make_model: MakeModel, train: Callable[..., TrainingRun], kind: str, stages: tuple[Stage, ...]
) -> set[str]:
    model = make_model(kind, 402, **SIX_LAYERS)
    before = {name: tensor.detach().clone() for name, tensor in model.named_parameters()}
    train(model, stages=stages, budget=Budget(num_steps=2))
    assert all(parameter.requires_grad for parameter in model.parameters())
    return {n for n, tensor in model.named_parameters() if not torch.equal(tensor, before[n])}


@pytest.mark.parametrize(
    ("kind", "ends"),
    [
        ("llama_tied", {"model.embed_tokens.weight"}),
        ("llama_untied", {"model.embed_tokens.weight", "lm_head.weight"}),
        ("gpt2", {"transformer.wte.weight"}),
    ],
)
def test_only_the_chosen_part_changes(
    make_model: MakeModel, train: Callable[..., TrainingRun], kind: str, ends: set[str]
) -> None:
    names = {name for name, _ in make_model(kind, 402, **SIX_LAYERS).named_parameters()}
    body = "transformer.h" if kind == "gpt2" else "model.layers"
    edges = {n for n in names if n.startswith(tuple(f"{body}.{k}." for k in (0, 1, 4, 5)))}
    assert len(edges) == 4 * len([n for n in names if n.startswith(f"{body}.2.")])
    assert changed_by(make_model, train, kind, (Stage("embeddings", 1.0),)) == ends
    assert changed_by(make_model, train, kind, (Stage("edges", 1.0),)) == ends | edges
    assert changed_by(make_model, train, kind, (Stage("all", 1.0),)) == names
    later = (Stage("embeddings", 0.5), Stage("edges", 0.5))
    assert changed_by(make_model, train, kind, later) == ends | edges


def test_stages_take_their_share_of_the_steps() -> None:
    stages = (Stage("embeddings", 0.3), Stage("edges", 0.2), Stage("all", 0.5))
    parts = [stage_at(stages, step / 10).part for step in range(10)]
    assert parts == ["embeddings"] * 3 + ["edges"] * 2 + ["all"] * 5
    thirds = (Stage("embeddings", 1 / 3), Stage("all", 1 / 3), Stage("edges", 1 / 3))
    assert [stage_at(thirds, step / 3).part for step in range(3)] == ["embeddings", "all", "edges"]
    assert stage_at(thirds, 1.0).part == "edges"


@pytest.mark.parametrize(
    "stages",
    [
        (),
        (Stage("all", 0.9),),
        (Stage("all", 1.5), Stage("edges", -0.5)),
        (Stage("head", 1.0),),  # type: ignore[arg-type]
    ],
)
def test_stages_that_do_not_fill_the_budget_are_refused(stages: tuple[Stage, ...]) -> None:
    with pytest.raises(
        InputError, match="stages: expected stages of parts embeddings, edges, all"
    ) as e:
        check_stages(stages)
    assert e.value.got == str([(stage.part, stage.share) for stage in stages])


def test_a_model_without_a_list_of_layers_has_no_edges(make_model: MakeModel) -> None:
    model = make_model("llama_tied", 402)
    model.config.num_hidden_layers = 7
    with pytest.raises(ModelError, match=r'llama: expected a list of num_hidden_layers.*"all"'):
        trainable_parameters(model, "edges")


@given(
    st.integers(1, 400),
    st.floats(0, 0.5),
    st.floats(0, 0.5),
)
def test_the_rate_rises_stays_and_falls(num_steps: int, warmup: float, decay: float) -> None:
    schedule = Schedule(2.0, warmup_share=warmup, decay_share=decay)
    rates = [schedule.at(step / num_steps, 1 / num_steps) for step in range(num_steps)]
    assert all(0 < rate <= 2.0 for rate in rates)
    top = rates.index(max(rates))
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    for step, rate in enumerate(rates):
        begin, end = step / num_steps, (step + 1) / num_steps
        if begin >= warmup and end <= 1 - decay:
            assert rate == 2.0


def test_the_rate_by_hand() -> None:
    schedule = Schedule(1.0, warmup_share=0.2, decay_share=0.4)
    rates = [schedule.at(step / 10, 0.1) for step in range(10)]
    assert rates == pytest.approx([0.5, 1, 1, 1, 1, 1, 0.875, 0.625, 0.375, 0.125])
    flat = Schedule(1.0, warmup_share=0, decay_share=0)
    assert [flat.at(step / 10, 0.1) for step in range(10)] == [1.0] * 10


def test_the_plateau_does_not_depend_on_the_length_of_the_run() -> None:
    schedule = Schedule(3e-4)
    for num_steps in (20, 200, 2000):
        assert schedule.at(0.5, 1 / num_steps) == 3e-4
        assert schedule.at(1 - 1 / num_steps, 1 / num_steps) < 3e-4 * 2 / num_steps / 0.3
