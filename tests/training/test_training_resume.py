"""A run that is stopped and taken up again ends as an unbroken one, to the bit."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel

from lingraft.corpus.records import Document
from lingraft.errors import StoreError
from lingraft.tokenizer import Tokenizer
from lingraft.training import Packing, Schedule, Stage, TrainingRun
from lingraft.training.checkpoints import (
    Checkpoint,
    drop_checkpoints,
    read_checkpoint,
    write_checkpoint,
)
from lingraft.units import Budget

MakeModel = Callable[..., PreTrainedModel]
Train = Callable[..., TrainingRun]
STAGES = (Stage("embeddings", 0.5), Stage("all", 0.5))
NUM_STEPS = 6


class PowerCutError(Exception):
    """The machine went away."""


def evaluate(model: PreTrainedModel) -> dict[str, Any]:
    return {"norm": float(model.get_input_embeddings().weight.detach().norm())}


def stop_after(step: int, error: type[BaseException]) -> Callable[[float, str], None]:
    calls = []

    def advance(done: float, note: str) -> None:
        calls.append(done)
        if len(calls) == step:
            raise error

    return advance


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    return {
        "stages": STAGES,
        "evaluate": evaluate,
        "num_evaluations": 3,
        "checkpoints": tmp_path / "checkpoints",
        "checkpoint_seconds": 0.0,
    }


def assert_same(
    run: TrainingRun, model: PreTrainedModel, other: TrainingRun, reference: PreTrainedModel
) -> None:
    assert run.train_nats == other.train_nats
    assert run.curve == other.curve
    assert (run.step, run.num_bytes, run.num_tokens) == (
        other.step,
        other.num_bytes,
        other.num_tokens,
    )
    for name, tensor in reference.state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor), name


@pytest.mark.parametrize("error", [PowerCutError, KeyboardInterrupt])
@pytest.mark.parametrize("kind", ["gpt2", "llama_untied"])
@pytest.mark.parametrize("stops", [(1,), (3,), (5,), (6,), (2, 1, 2)])
def test_a_stopped_run_ends_as_an_unbroken_one(
    make_model: MakeModel,
    train: Train,
    settings: dict[str, Any],
    kind: str,
    stops: tuple[int, ...],
    error: type[BaseException],
) -> None:
    reference = make_model(kind, 402)
    unbroken = train(reference, **settings | {"checkpoints": None})
    for stop in stops:
        with pytest.raises(error):
            train(make_model(kind, 402), advance=stop_after(stop, error), **settings)
        assert (settings["checkpoints"]).is_dir()
    told: list[float] = []
    # Another model's weights show that it is the checkpoint's which go on.
    model = make_model(kind, 402, seed=1)
    run = train(model, advance=lambda done, note: told.append(done), **settings)
    assert len(told) == NUM_STEPS - sum(stops), "the run began anew"
    assert_same(run, model, unbroken, reference)
    assert len(run.curve_seconds) == len(run.curve)
    assert not settings["checkpoints"].exists()


def test_an_epoch_may_end_between_stop_and_resumption(
    make_model: MakeModel, train: Train, settings: dict[str, Any]
) -> None:
    settings |= {"budget": Budget(num_bytes=2500)}
    reference, model = (make_model("llama_tied", 402) for _ in range(2))
    unbroken = train(reference, **settings | {"checkpoints": None})
    with pytest.raises(PowerCutError):
        train(model, advance=stop_after(7, PowerCutError), **settings)
    assert unbroken.step > 14
    assert_same(train(model, **settings), model, unbroken, reference)


@pytest.mark.usefixtures("one_second_a_look")
def test_a_budget_in_seconds_goes_on_with_what_is_left_of_it(
    make_model: MakeModel, train: Train, settings: dict[str, Any]
) -> None:
    settings |= {"budget": Budget(num_seconds=9.0)}
    reference, model = (make_model("llama_tied", 402) for _ in range(2))
    unbroken = train(reference, **settings | {"checkpoints": None})
    with pytest.raises(PowerCutError):
        train(model, advance=stop_after(4, PowerCutError), **settings)
    run = train(model, **settings)
    assert (run.step, run.seconds) == (9, 9.0)
    assert_same(run, model, unbroken, reference)


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


DAMAGES: dict[str, Callable[[Path], None]] = {
    "a bit of the tensors": lambda path: flip_a_bit(path / "tensors.safetensors"),
    "a bit of the state": lambda path: flip_a_bit(path / "state.json"),
    "a bit of the marker": lambda path: flip_a_bit(path / "DONE"),
    "no marker": lambda path: (path / "DONE").unlink(),
    "no tensors": lambda path: (path / "tensors.safetensors").unlink(),
    "a marker cut short": lambda path: (path / "DONE").write_text("{"),
    "an empty marker": lambda path: (path / "DONE").write_text("[]"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_passed_over(
    make_model: MakeModel, train: Train, settings: dict[str, Any], damage: str
) -> None:
    reference = make_model("llama_tied", 402)
    unbroken = train(reference, **settings | {"checkpoints": None})
    with pytest.raises(PowerCutError):
        train(make_model("llama_tied", 402), advance=stop_after(4, PowerCutError), **settings)
    steps = sorted(settings["checkpoints"].iterdir())
    assert [path.name for path in steps] == ["step-00000003", "step-00000004"]
    DAMAGES[damage](steps[-1])
    told: list[float] = []
    model = make_model("llama_tied", 402)
    run = train(model, advance=lambda done, note: told.append(done), **settings)
    assert len(told) == NUM_STEPS - 3
    assert_same(run, model, unbroken, reference)
    assert not settings["checkpoints"].exists()


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"seed": 1}, "seed"),
        ({"budget": Budget(num_steps=7)}, "budget"),
        ({"schedule": Schedule(1e-3)}, "schedule"),
        ({"stages": (Stage("all", 1.0),)}, "stages"),
        ({"weight_decay": 0.1}, "weight_decay"),
        ({"num_evaluations": 2}, "num_evaluations"),
        ({"documents": [Document("another text", "x")]}, "documents"),
        (
            {"packing": Packing(batch_bytes=99, window_tokens=9, start_token=0, end_token=1)},
            "packing",
        ),
    ],
)
def test_a_run_with_other_arguments_is_not_gone_on_with(
    make_model: MakeModel,
    train: Train,
    settings: dict[str, Any],
    changes: dict[str, Any],
    name: str,
) -> None:
    with pytest.raises(PowerCutError):
        train(make_model("llama_tied", 402), advance=stop_after(2, PowerCutError), **settings)
    with pytest.raises(
        StoreError, match=rf"expected checkpoints of a run with {name} .*, got "
    ) as e:
        train(make_model("llama_tied", 402), **settings | changes)
    assert e.value.where == str(settings["checkpoints"])
    assert sorted(settings["checkpoints"].iterdir()), "the other run's checkpoints are gone"


def test_a_run_of_another_model_or_tokenizer_is_not_gone_on_with(
    make_model: MakeModel, train: Train, settings: dict[str, Any], other_tokenizer: Tokenizer
) -> None:
    with pytest.raises(PowerCutError):
        train(make_model("llama_tied", 402), advance=stop_after(2, PowerCutError), **settings)
    with pytest.raises(StoreError, match="a run with parameters"):
        train(make_model("llama_tied", 403), **settings)
    with pytest.raises(StoreError, match="a run with tokenizer"):
        train(make_model("llama_tied", 402), tokenizer=other_tokenizer, **settings)


def checkpoint_of(step: int) -> Checkpoint:
    return Checkpoint({"a": torch.full((2, 3), float(step))}, {"step": step, "curve": [0.1]})


def test_the_last_two_checkpoints_stay_and_come_back_equal(tmp_path: Path) -> None:
    assert read_checkpoint(tmp_path) is None
    for step in (1, 2, 10, 100):
        write_checkpoint(tmp_path, checkpoint_of(step))
        found = read_checkpoint(tmp_path)
        assert found is not None
        assert found.state == checkpoint_of(step).state
        assert torch.equal(found.tensors["a"], checkpoint_of(step).tensors["a"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000010", "step-00000100"]
    drop_checkpoints(tmp_path)
    assert not tmp_path.exists()
    drop_checkpoints(tmp_path)


def test_damaged_checkpoints_do_not_crowd_out_whole_ones(tmp_path: Path) -> None:
    for step in (1, 2):
        write_checkpoint(tmp_path, checkpoint_of(step))
    flip_a_bit(tmp_path / "step-00000002" / "tensors.safetensors")
    (tmp_path / "step-00000003").mkdir()  # cut short before its marker
    (tmp_path / "step-00000003" / ".state.json.x.tmp").touch()
    found = read_checkpoint(tmp_path)
    assert found is not None
    assert found.state["step"] == 1
    # The run is taken up at step 1 and makes step 2 again: what lies beyond it is stale.
    write_checkpoint(tmp_path, checkpoint_of(2))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000001", "step-00000002"]
    found = read_checkpoint(tmp_path)
    assert found is not None
    assert found.state["step"] == 2


def test_checkpoints_beyond_the_one_taken_up_are_stale(tmp_path: Path) -> None:
    for step in (2, 5):
        write_checkpoint(tmp_path, checkpoint_of(step))
    flip_a_bit(tmp_path / "step-00000005" / "tensors.safetensors")
    write_checkpoint(tmp_path, checkpoint_of(3))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000002", "step-00000003"]


def test_a_full_disk_leaves_the_earlier_checkpoints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, *_: object, **__: object) -> None:
        raise StoreError(expected="room on the disk", got="none", where=str(path))

    write_checkpoint(tmp_path, checkpoint_of(1))
    with monkeypatch.context() as patch:
        patch.setattr("lingraft.training.checkpoints.write_tensors", full)
        with pytest.raises(StoreError, match="room on the disk"):
            write_checkpoint(tmp_path, checkpoint_of(2))
    found = read_checkpoint(tmp_path)
    assert found is not None
    assert found.state["step"] == 1


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    for step in (1, 2):
        write_checkpoint(tmp_path, checkpoint_of(step))
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "step-00000001" / "notes.txt").write_text("mine")
    write_checkpoint(tmp_path, replace(checkpoint_of(3)))
    drop_checkpoints(tmp_path)
    kept = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file())
    assert kept == ["notes.txt", "step-00000001/notes.txt"]
