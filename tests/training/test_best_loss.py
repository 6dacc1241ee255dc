"""Training to the best loss: when it stops, what it keeps, and that a stopped run goes on."""

import itertools
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel

from lingraft.corpus.records import Document
from lingraft.errors import InputError, ModelError, StoreError
from lingraft.runtime import Runtime
from lingraft.tokenizer import Tokenizer
from lingraft.training import Packing, best_loss
from lingraft.training.best_loss import (
    BestLoss,
    BestLossSettings,
    Evaluation,
    train_at_best_rate,
    train_to_best,
)
from lingraft.training.trainer import Trainer

MakeModel = Callable[..., PreTrainedModel]
Train = Callable[..., BestLoss]

# 20 documents of 10 bytes, batches of one document, evaluations of two: an epoch is 200 bytes.
DOCUMENTS = [Document(f"text {number:05}", str(number)) for number in range(20)]
SETTINGS = BestLossSettings(
    warmup_bytes=40,
    evaluation_bytes=20,
    evaluations_per_epoch=10,
    patience=2,
    min_gain=0.01,
    max_epochs=1.0,
    decay_share=0.5,
)


class Script:
    """A valid loss that follows a list, keeps the weights it saw, and may stop the run."""

    def __init__(self, losses: Iterable[float], *, stop_at: int | None = None) -> None:
        self._losses, self._stop_at = iter(losses), stop_at
        self.seen: list[dict[str, torch.Tensor]] = []

    def __call__(self, model: PreTrainedModel) -> float:
        if len(self.seen) == self._stop_at:
            raise KeyboardInterrupt
        assert not model.training
        self.seen.append(weights(model))
        return next(self._losses)


def weights(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def norm(model: PreTrainedModel) -> float:
    """A loss that weights alone decide; it has an optimum on the way."""
    weight = model.get_input_embeddings().weight.detach()
    return 1.0 + abs(float(weight.norm()) - 1.0)


@pytest.fixture
def model(make_model: MakeModel, tokenizer: Tokenizer) -> PreTrainedModel:
    return make_model("llama_tied", len(tokenizer.backend.get_vocab()), hidden_dropout=0.1)


@pytest.fixture
def train(model: PreTrainedModel, tokenizer: Tokenizer) -> Train:
    def run(model: PreTrainedModel = model, **changes: Any) -> BestLoss:
        settings: dict[str, Any] = {
            "documents": DOCUMENTS,
            "evaluate": norm,
            "packing": Packing(batch_bytes=10, window_tokens=64, start_token=0, end_token=1),
            "learning_rate": 1e-2,
            "settings": SETTINGS,
            "seed": 3,
            "runtime": Runtime(num_threads=1, device="cpu", precision="float32"),
            "checkpoint_seconds": 0.0,
        } | changes
        return train_to_best(model, tokenizer, settings.pop("documents"), **settings)

    return run


@pytest.fixture
def rates(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The learning rate of every optimiser step."""
    found: list[float] = []
    step = Trainer.step

    def watched(self: Trainer, make_batch: Any, *, part: Any, learning_rate: float) -> None:
        found.append(learning_rate)
        step(self, make_batch, part=part, learning_rate=learning_rate)

    monkeypatch.setattr(Trainer, "step", watched)
    return found


def test_a_plateau_ends_by_patience_and_decays_from_its_best_point(
    train: Train, model: PreTrainedModel, rates: list[float]
) -> None:
    # Points at 0, 20, …, 100 bytes; the best at 60, two without gain, then the decay.
    script = Script([5.0, 4.0, 4.1, 3.0, 3.1, 3.2, 2.5])
    reached = train(evaluate=script)
    assert reached.points == tuple(
        Evaluation(2 * number, 20 * number, loss)
        for number, loss in enumerate([5.0, 4.0, 4.1, 3.0, 3.1, 3.2])
    )
    # From the best point at 60 bytes on, half of those again.
    assert reached.decayed == Evaluation(9, 90, 2.5)
    assert reached.best == reached.decayed
    assert reached.stopped == "patience"
    assert reached.processed_bytes == 100 + 30
    assert rates == pytest.approx(
        [0.0025, 0.005, 0.0075] + [0.01] * 7 + [0.01 * x for x in (5 / 6, 3 / 6, 1 / 6)]
    )
    assert same(weights(model), script.seen[6])


def test_the_decay_begins_with_the_weights_of_the_best_point(
    train: Train, make_model: MakeModel, tokenizer: Tokenizer
) -> None:
    vocab_size = len(tokenizer.backend.get_vocab())
    one, other = (make_model("llama_tied", vocab_size) for _ in range(2))
    far, short = Script([5.0, 4.0, 4.1, 4.2, 3.0]), Script([5.0, 4.0, 3.0])
    train(one, evaluate=far)
    # Its plateau ends at the same point at once, so that nothing has to be taken back.
    train(other, evaluate=short, settings=replace(SETTINGS, max_epochs=0.1))
    assert same(far.seen[1], short.seen[1])
    assert not same(far.seen[3], far.seen[1])
    assert same(weights(one), weights(other))


def test_a_plateau_ends_by_epochs_at_the_latest(train: Train) -> None:
    falling = (10.0 - 0.5 * number for number in itertools.count())
    reached = train(evaluate=Script(falling), settings=replace(SETTINGS, max_epochs=0.25))
    assert reached.stopped == "epochs"
    # 50 bytes are no multiple of the 20 between evaluations.
    assert [point.num_bytes for point in reached.points] == [0, 20, 40, 50]
    assert reached.decayed == Evaluation(8, 80, 8.0)


@pytest.mark.parametrize(
    ("changes", "gap"),
    [({"evaluation_bytes": 20}, 20), ({"evaluation_bytes": 60}, 60), ({"evaluation_bytes": 1}, 40)],
)
def test_evaluations_are_as_far_apart_as_was_asked_for(
    train: Train, changes: dict[str, int], gap: int
) -> None:
    per_epoch = 5 if changes["evaluation_bytes"] == 1 else 10
    settings = replace(SETTINGS, evaluations_per_epoch=per_epoch, **changes)
    reached = train(evaluate=Script([5.0, 4.0, 4.0, 4.0, 3.0]), settings=settings)
    assert [point.num_bytes for point in reached.points] == [0, gap, 2 * gap, 3 * gap]


def test_a_gain_under_the_least_one_is_none(train: Train, model: PreTrainedModel) -> None:
    # 3.98 and 3.97 are lower than 4.0 by less than 1 %; so is what the decay reaches, by 0.5 %.
    script = Script([5.0, 4.0, 3.98, 3.97, 3.975])
    reached = train(evaluate=script)
    assert reached.stopped == "patience"
    assert len(reached.points) == 4
    assert reached.decayed is not None
    assert reached.decayed.num_bytes == 30
    assert reached.best == reached.decayed  # lower than the point whose weights it began with
    assert same(weights(model), script.seen[4])
    reached = train(evaluate=Script([5.0, 4.0, 3.95, 3.97, 3.97, 3.5]))
    assert [point.num_bytes for point in reached.points] == [0, 20, 40, 60, 80]


def test_a_decay_that_gains_nothing_is_taken_back(train: Train, model: PreTrainedModel) -> None:
    script = Script([5.0, 4.0, 3.98, 4.2, 4.1])
    reached = train(evaluate=script)
    assert reached.decayed == Evaluation(3, 30, 4.1)
    assert reached.best == reached.points[1]  # 3.98 was no gain, and its weights were not kept
    assert same(weights(model), script.seen[1])
    assert not same(weights(model), script.seen[4])


def test_where_nothing_is_gained_the_weights_are_the_first(
    train: Train, model: PreTrainedModel
) -> None:
    before = weights(model)
    reached = train(evaluate=Script([5.0, 5.1, 5.2]))
    assert reached.decayed is None
    assert reached.best == Evaluation(0, 0, 5.0)
    assert reached.processed_bytes == 40
    assert same(weights(model), before)


def test_the_model_measures_what_the_best_evaluation_says(
    train: Train, model: PreTrainedModel
) -> None:
    """A real loss, that of the training text, without any script."""

    def measured(trained: PreTrainedModel) -> float:
        ids = torch.arange(2, 42).reshape(4, 10)
        with torch.no_grad():
            return float(trained(input_ids=ids, labels=ids).loss)

    for rate in (1e-3, 0.3):
        reached = train(evaluate=measured, learning_rate=rate)
        assert measured(model.eval()) == reached.best.nats_per_byte
        tried = [*reached.points, *([reached.decayed] if reached.decayed else [])]
        assert reached.best in tried
        assert reached.best.nats_per_byte <= min(x.nats_per_byte for x in tried) / 0.99


def test_progress_is_told_as_a_share_of_the_epochs(train: Train) -> None:
    told: list[float] = []
    settings = replace(SETTINGS, max_epochs=0.2)
    train(settings=settings, advance=lambda done, text: told.append(done))
    assert told[:4] == [0.25, 0.5, 0.75, 1.0]
    assert max(told) == 1.0


@pytest.mark.parametrize("stop_at", range(1, 8))
def test_a_stopped_run_ends_as_an_unbroken_one(
    train: Train, make_model: MakeModel, tokenizer: Tokenizer, tmp_path: Path, stop_at: int
) -> None:
    """Stopped in an evaluation: of the plateau, or the one after the decay (the last)."""
    losses = [5.0, 4.0, 4.1, 3.0, 3.1, 3.2, 2.5]
    vocab_size = len(tokenizer.backend.get_vocab())
    whole, part = (make_model("llama_tied", vocab_size) for _ in range(2))
    unbroken = train(whole, evaluate=Script(losses))
    stopped = Script(losses, stop_at=stop_at)
    if stop_at < len(losses):
        with pytest.raises(KeyboardInterrupt):
            train(part, evaluate=stopped, checkpoints=tmp_path)
        best_first = ["best"] if stop_at < 3 else ["best", "last"]
        assert [path.name for path in sorted(tmp_path.iterdir())] == best_first
        # Another process has other weights, until it takes up the checkpoint's.
        part = make_model("llama_tied", vocab_size, seed=1)
    else:
        stop_at = 0
    again = train(part, evaluate=Script(losses[stop_at:]), checkpoints=tmp_path)
    assert again == unbroken
    assert same(weights(part), weights(whole))
    assert [path.name for path in tmp_path.iterdir()] == ["ended"]


def test_a_run_that_ended_is_not_made_again_until_it_is_dropped(
    train: Train, make_model: MakeModel, tokenizer: Tokenizer, tmp_path: Path, rates: list[float]
) -> None:
    losses = [5.0, 4.0, 4.1, 3.0, 3.1, 3.2, 2.5]
    vocab_size = len(tokenizer.backend.get_vocab())
    first, second = (make_model("llama_tied", vocab_size, seed=seed) for seed in (0, 1))
    folder = tmp_path / "checkpoints" / "0.01"
    reached = train(first, evaluate=Script(losses), checkpoints=folder)
    num_steps = len(rates)
    assert train(second, evaluate=Script([]), checkpoints=folder) == reached
    assert len(rates) == num_steps
    assert same(weights(second), weights(first))
    assert all(parameter.requires_grad for parameter in second.parameters())
    best_loss.drop_runs(tmp_path / "checkpoints")
    assert list(tmp_path.iterdir()) == []
    train(second, evaluate=Script(losses), checkpoints=folder)
    assert len(rates) == 2 * num_steps


def test_what_is_not_of_a_run_stays(train: Train, tmp_path: Path) -> None:
    train(checkpoints=tmp_path / "runs" / "0.01")
    (tmp_path / "runs" / "0.01" / "notes.txt").write_text("mine", encoding="utf-8")
    best_loss.drop_runs(tmp_path / "runs")
    assert [path.name for path in tmp_path.rglob("*.*")] == ["0.01", "notes.txt"]


def test_a_short_run_writes_no_checkpoints(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unwanted(*arguments: Any) -> None:
        raise AssertionError("a run of a moment is made again sooner than it is written")

    monkeypatch.setattr(best_loss, "write_checkpoint", unwanted)
    assert train(checkpoints=tmp_path, checkpoint_seconds=60.0).best.step > 0


@pytest.mark.parametrize("num_writes", range(1, 6))
def test_a_run_that_is_stopped_between_two_checkpoints_goes_on(
    train: Train,
    make_model: MakeModel,
    tokenizer: Tokenizer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    num_writes: int,
) -> None:
    """The best state and the last one are written one after the other."""
    vocab_size = len(tokenizer.backend.get_vocab())
    start = make_model("llama_tied", vocab_size)
    settings: dict[str, Any] = {"evaluate": way_from(start), "learning_rate": 2e-4}
    whole, part = (make_model("llama_tied", vocab_size) for _ in range(2))
    unbroken = train(whole, **settings)
    write, count = best_loss.write_checkpoint, itertools.count(1)

    def interrupted(*arguments: Any) -> None:
        if next(count) > num_writes:
            raise KeyboardInterrupt
        write(*arguments)

    monkeypatch.setattr(best_loss, "write_checkpoint", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(part, checkpoints=tmp_path, **settings)
    monkeypatch.setattr(best_loss, "write_checkpoint", write)
    part = make_model("llama_tied", vocab_size)
    assert train(part, checkpoints=tmp_path, **settings) == unbroken
    assert same(weights(part), weights(whole))


def way_from(start: PreTrainedModel) -> Callable[[PreTrainedModel], float]:
    """A loss that falls with the way from the first weights, up to some distance."""
    first = weights(start)

    def measure(model: PreTrainedModel) -> float:
        found = model.state_dict()
        way = sum(float((found[name] - tensor).norm()) for name, tensor in first.items())
        return 1.0 + abs(way - 0.5)

    return measure


@pytest.mark.parametrize(
    ("name", "changes", "ours", "theirs"),
    [
        ("learning_rate", {"learning_rate": 0.5}, "0.5", "0.01"),
        ("seed", {"seed": 4}, "4", "3"),
        ("settings", {"settings": replace(SETTINGS, patience=7)}, "'patience': 7", "'patience': 2"),
        ("documents", {"documents": DOCUMENTS[1:]}, "", ""),
        (
            "packing",
            {"packing": Packing(batch_bytes=10, window_tokens=32, start_token=0, end_token=1)},
            "'window_tokens': 32",
            "'window_tokens': 64",
        ),
        ("frozen", {"frozen": ["model.embed_tokens.weight"]}, "embed_tokens", "[]"),
        ("max_tokens", {"max_tokens": 700.0}, "700.0", "None"),
    ],
)
def test_checkpoints_of_another_run_are_refused(
    train: Train, tmp_path: Path, name: str, changes: dict[str, Any], ours: str, theirs: str
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(evaluate=Script([5.0, 4.0], stop_at=2), checkpoints=tmp_path)
    with pytest.raises(StoreError) as caught:
        train(checkpoints=tmp_path, **changes)
    assert caught.value.expected.startswith(f"checkpoints of a run with {name} ")
    assert ours in caught.value.expected
    assert theirs in caught.value.got
    assert caught.value.where == str(tmp_path)


EMBEDDINGS = "model.embed_tokens.weight"


def test_frozen_parameters_stay_as_they_are_and_the_others_move(
    train: Train, model: PreTrainedModel
) -> None:
    before = weights(model)
    train(frozen=[EMBEDDINGS], evaluate=Script([5.0, 4.0, 3.0] + [3.0] * 20))
    after = weights(model)
    changed = {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    # Tied: the head is the same tensor under another name.
    assert set(after) - changed == {EMBEDDINGS, "lm_head.weight"}
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_a_stopped_run_with_a_frozen_part_ends_as_the_unbroken_one(
    train: Train, make_model: MakeModel, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    one, other = (
        make_model("llama_tied", len(tokenizer.backend.get_vocab()), hidden_dropout=0.1)
        for _ in range(2)
    )
    losses = [5.0, 4.0, 3.0, 3.5, 3.4, 2.0]
    unbroken = train(one, frozen=[EMBEDDINGS], evaluate=Script(losses))
    with pytest.raises(KeyboardInterrupt):
        train(
            other,
            frozen=[EMBEDDINGS],
            evaluate=Script(losses, stop_at=3),
            checkpoints=tmp_path,
        )
    again = train(other, frozen=[EMBEDDINGS], evaluate=Script(losses[3:]), checkpoints=tmp_path)
    assert again == unbroken
    assert same(weights(one), weights(other))


def test_a_budget_of_tokens_replaces_patience_and_epochs(train: Train) -> None:
    falling = [5.0 * 0.98**n for n in range(90)]
    epoch = train(evaluate=Script(falling))
    assert (epoch.stopped, epoch.processed_bytes) == ("epochs", 300)
    budget = 2 * epoch.processed_tokens
    step = epoch.processed_tokens / 30
    twice = train(evaluate=Script(falling), max_tokens=budget)
    assert (twice.stopped, twice.best) == ("tokens", twice.decayed)
    assert budget <= twice.processed_tokens <= budget + 2 * step
    # A plateau that gains nothing goes on to its end all the same, and there is nothing to decay.
    vain = train(evaluate=Script([5.0] + [6.0] * 90), max_tokens=budget)
    assert (vain.stopped, vain.decayed) == ("tokens", None)
    plateau = budget / (1 + SETTINGS.decay_share)
    assert plateau <= vain.processed_tokens <= plateau + step


@pytest.mark.parametrize("rows", [[], [Document("", "a"), Document("", "b")]])
def test_no_text_is_refused(train: Train, rows: list[Document]) -> None:
    with pytest.raises(InputError) as caught:
        train(documents=rows)
    assert caught.value.got == f"{len(rows)} documents without any"
    assert (caught.value.expected, caught.value.where) == ("text to train on", "documents")


def test_a_rate_that_diverges_is_passed_over() -> None:
    reached = BestLoss((Evaluation(0, 0, 2.0),), None, 7, 5, "epochs", Evaluation(3, 7, 1.0))

    def train(model: object, rate: float) -> BestLoss:
        if rate > 1.0:
            raise ModelError(expected="a finite loss", got="nan", where="step 2")
        return reached

    best = train_at_best_rate(object, (5.0, 0.5), train)  # type: ignore[arg-type]
    assert (best.learning_rate, best.valid_nats) == (0.5, {0.5: 1.0, 5.0: None})
    assert (best.processed_bytes, best.processed_tokens) == (7, 5)
    with pytest.raises(ModelError, match="nan"):
        train_at_best_rate(object, (5.0, 6.0), train)  # type: ignore[arg-type]
