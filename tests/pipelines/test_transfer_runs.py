"""Runs of a study of data transfer: stopped and gone on with, with a part reset, in one pass."""

import itertools
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from transfer_study_cases import DUTCH, ENGLISH, RUNTIME, SETTINGS, SIZES, make_inputs, runs_of

from lingraft.files import read_json
from lingraft.pipelines.transfer_inputs import Source
from lingraft.pipelines.transfer_study import transfer_plan
from lingraft.runtime import Runtime
from lingraft.study import Artifact, NullProgress, Plan, Store, run
from lingraft.training.trunk import Trunk, train_trunk


def test_runs_can_be_stopped_and_leave_no_checkpoints(
    transfer_study: tuple[Plan, Store, Artifact],
) -> None:
    from lingraft.pipelines.transfer_runs import pretrain, train_target

    assert pretrain.RESUMABLE  # type: ignore[attr-defined]
    assert train_target.RESUMABLE  # type: ignore[attr-defined]
    plan, store, _ = transfer_study
    for job in plan.order:
        found = store.find(job)
        assert found is not None
        assert not [name for name in found.manifest["files"] if "checkpoint" in name]


def test_a_stopped_run_ends_as_the_unbroken_one(
    transfer_study: tuple[Plan, Store, Artifact], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, store, _ = transfer_study
    job = next(x for x in runs_of(plan) if x.arguments["num_bytes"] == 800)
    unbroken = store.find(job)
    assert unbroken is not None

    class Stopping(NullProgress):
        num_steps = 0

        def advance(self, amount: float) -> None:
            self.num_steps += 1
            if self.num_steps == 4:
                raise KeyboardInterrupt

    # Checkpoints lie a minute apart: by this clock, every look at it takes one.
    clock = SimpleNamespace(monotonic=itertools.count(step=60.0).__next__)
    monkeypatch.setattr("lingraft.training.best_loss.time", clock)
    other = Store(tmp_path / "store")
    wanted = Plan({"run": job})
    with pytest.raises(KeyboardInterrupt):
        run(wanted, store=other, runtime=RUNTIME, progress=Stopping())
    assert list((other.root / "partial").rglob("step-*"))
    again = run(wanted, store=other, runtime=RUNTIME)["run"]
    assert again.manifest["files"] == unbroken.manifest["files"]


def test_a_reset_model_starts_between_the_pretrained_and_a_random_one(
    transfer_files: dict[str, Path], tmp_path: Path
) -> None:
    sources = [Source.parse(text, first=ENGLISH) for text in ("en", "en/embeddings")]
    inputs = make_inputs(transfer_files, sources=sources, targets=[DUTCH], finetuned_sizes=(0,))
    plan = transfer_plan(inputs, SETTINGS)
    run(plan, store=Store(tmp_path / "store"), runtime=Runtime(1, "cpu", "float32"))
    [report] = (tmp_path / "store").glob("report-*")
    losses = {x["init"]: x["nats_per_byte"] for x in read_json(report / "record.json")["losses"]}
    assert losses["en/embeddings"] > losses[str(ENGLISH)]


def test_sizes_of_one_pass_share_a_trunk(
    transfer_files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lingraft.pipelines import transfer_runs

    read: set[tuple[int, int]] = set()

    def spied(*args: Any, **settings: Any) -> Trunk:
        trunk = train_trunk(*args, **settings)
        read.update((branch.asked_bytes, branch.num_bytes) for branch in trunk.branches)
        return trunk

    monkeypatch.setattr(transfer_runs, "train_trunk", spied)
    inputs = make_inputs(
        transfer_files, targets=[DUTCH], finetuned_sizes=(0, 200, 400), one_pass=True
    )
    inputs = replace(inputs, sources=inputs.sources[:1])
    plan = transfer_plan(inputs, SETTINGS)
    run(plan, store=Store(tmp_path / "store"), runtime=Runtime(1, "cpu", "float32"))
    [report] = (tmp_path / "store").glob("report-*")
    record = read_json(report / "record.json")
    kinds = {(x["init"], x["dataset_bytes"], x["seed"], x["trunk"]) for x in record["losses"]}
    scratch = {("scratch", n, str(s), f"scratch, seed {s}") for n in SIZES for s in (0, 1)}
    tuned = {(str(ENGLISH), n, "0", f"pretrained on {ENGLISH}") for n in (200, 400)}
    assert kinds == scratch | tuned
    assert len({x["nats_per_byte"] for x in record["losses"]}) == len(kinds)
    largest = max(SIZES)
    costs = [x["processed_bytes"] for x in record["losses"] if x["init"] == "scratch"]
    # The first seed tries every rate.
    assert 0 < sum(costs) < (len(SETTINGS.learning_rates) + 1) * sum(SIZES)
    assert record["cost"]["processed_bytes"] > largest
    # Read once at every rate, with no epochs and no decay beyond that.
    text = sum(x["dataset_bytes"] for x in record["losses"])
    assert record["cost"]["naive_bytes"] == text * len(SETTINGS.learning_rates)
    for row in record["losses"]:
        assert row["stopped"] == "one pass"
        assert row["num_characters"] <= row["num_bytes"] <= row["dataset_bytes"]
        assert (row["num_documents"] > 0) == (row["num_bytes"] > 0)
    assert {(x["dataset_bytes"], x["num_bytes"]) for x in record["losses"]} == read
    assert not [x for x in record["failures"] if x["name"] == "a starved from-scratch curve"]
