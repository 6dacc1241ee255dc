"""Arms within a study of data transfer: one vocabulary, equal bytes or FLOPs, what parts carry."""

from dataclasses import replace
from pathlib import Path

import pytest
from transfer_study_cases import DUTCH, ENGLISH, GREEK, RUNTIME, SETTINGS, make_inputs

from lingraft.errors import InputError
from lingraft.files import read_json
from lingraft.pipelines.transfer_arms import BYTES, EXPECTED_BYTES_PER_TOKEN, Arm
from lingraft.pipelines.transfer_inputs import Source
from lingraft.pipelines.transfer_study import transfer_plan
from lingraft.study import Artifact, Store, run

ARMS = [BYTES, Arm(320), Arm(320, "flops")]


@pytest.fixture(scope="session")
def arms_study(
    transfer_files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Store, Artifact]:
    """BPE at the FLOPs of bytes, with a part drawn anew and one frozen."""
    sources = [Source.parse(x, first=ENGLISH) for x in ("en", "en/mlp", "en/frozen:mlp")]
    changes = {"sources": sources, "targets": [DUTCH], "finetuned_sizes": (0, 400)}
    store = Store(tmp_path_factory.mktemp("arms") / "store")
    settings = replace(SETTINGS, learning_rates=(4e-3,))
    plan = transfer_plan(make_inputs(transfer_files, **changes), settings, arms=ARMS[2:])
    return store, run(plan, store=store, runtime=RUNTIME)["report"]


def test_arms_differ_in_their_vocabulary_and_budget_alone(transfer_files: dict[str, Path]) -> None:
    plan = transfer_plan(make_inputs(transfer_files), SETTINGS, arms=ARMS)
    assert set(plan.targets) == {"report-bytes", "report-bpe-320", "report-bpe-320-flops", "arms"}
    told = []
    for arm in ARMS:
        report = plan.targets[f"report-{arm.name}"]
        assert (report.arguments["arm"], report.arguments["settings"]) == (arm, SETTINGS)
        runs = [row["run"].arguments for row in report.arguments["runs"]]
        assert {x["tokenizer"] is None for x in runs} == {arm == BYTES}
        trained = [x for x in runs if x["num_bytes"]]
        assert {x["budget"] is None for x in trained} == {arm.equal == "bytes"}
        told.append([(x["lang"], x["num_bytes"], x["seed"], x["text"]) for x in runs])
    assert told[0] == told[1] == told[2]


def test_runs_at_equal_flops_take_those_of_the_run_of_bytes(
    arms_study: tuple[Store, Artifact],
) -> None:
    store, report = arms_study
    record = read_json(report.path / "record.json")
    assert (record["model"]["arm"], record["model"]["num_ids"]) == ("bpe-320-flops", 320)
    assert record["cost"]["naive_bytes"] is None
    spent, allowed = [], []
    for folder in [*store.root.glob("run-*"), *store.root.glob("pretrained-*")]:
        manifest, result = (read_json(folder / x) for x in ("manifest.json", "result.json"))
        budget = manifest["arguments"]["budget"]
        if budget is None:
            continue
        assert manifest["arguments"]["tokenizer"] is not None
        [theirs] = store.root.glob(f"*-{budget['artifact'][:16]}")
        allowed.append(read_json(theirs / "result.json")["num_flops"])
        spent.append(result["num_flops"])
        assert result["best_run"]["stopped"] == "tokens"
        # A step here is a document, and there are up to two more.
        per_byte = spent[-1] / result["best_run"]["processed_bytes"]
        assert spent[-1] <= allowed[-1] + 2 * result["num_bytes"] * per_byte
        assert spent[-1] >= allowed[-1] / (1 + SETTINGS.best_loss.decay_share)
    # Three sizes from scratch, one of them with two seeds; three sources; one pretraining.
    assert len(spent) == 4 + 3 + 1
    assert len(set(allowed)) > 3


def test_the_report_tells_what_each_part_carried(
    arms_study: tuple[Store, Artifact],
) -> None:
    folder = arms_study[1].path
    record = read_json(folder / "record.json")
    told = {(x["treatment"], x["part"], x["data_finetuned_bytes"]): x for x in record["parts"]}
    # Before any training a frozen model is the whole one.
    assert set(told) == {
        ("drawn anew", "mlp", 0),
        ("drawn anew", "mlp", 400),
        ("frozen", "mlp", 400),
    }
    worth = {(x["source"], x["data_finetuned_bytes"]): x for x in record["transfers"]}
    for (_, _, size), row in told.items():
        whole, without = worth[str(ENGLISH), size], worth[row["without"], size]
        difference = whole["data_transferred_bytes"] - without["data_transferred_bytes"]
        if row["carried_bytes"] is None:
            assert whole["censored"] == without["censored"] is not None
        else:
            assert row["carried_bytes"] == pytest.approx(difference)
    assert "What each part carried" in (folder / "report.html").read_text(encoding="utf-8")
    losses = {(x["init"], x["dataset_bytes"]): x["nats_per_byte"] for x in record["losses"]}
    assert losses["en/frozen:mlp", 0] == losses[str(ENGLISH), 0]
    assert losses["en/frozen:mlp", 400] != losses[str(ENGLISH), 400]


def test_the_plan_tells_the_costs_of_each_arm(transfer_files: dict[str, Path]) -> None:
    costs = {}
    for arm in (BYTES, Arm(4_096), Arm(4_096, "flops")):
        plan = transfer_plan(make_inputs(transfer_files), SETTINGS, arms=[arm])
        assert set(plan.targets) == {"report"}
        report = plan.targets["report"]
        rows = [row for row in report.arguments["runs"] if row["dataset_bytes"] == 800]
        job = rows[0]["run"]
        costs[arm] = job.costs
    one, bpe, flops = costs.values()
    rows = (4_096 - 384) * 128 * 6
    per_token = one["num_flops"] / one["num_bytes"] + rows
    assert bpe["num_bytes"] == one["num_bytes"]
    assert bpe["num_flops"] == pytest.approx(
        one["num_bytes"] * per_token / EXPECTED_BYTES_PER_TOKEN
    )
    assert flops["num_flops"] == pytest.approx(one["num_flops"])
    assert flops["num_bytes"] > one["num_bytes"]


def test_arms_and_sizes_name_their_targets(transfer_files: dict[str, Path]) -> None:
    plan = transfer_plan(make_inputs(transfer_files), SETTINGS, sizes=["1m", "4m"], arms=ARMS[:2])
    assert set(plan.targets) == {
        *(f"report-{size}-{arm}" for size in ("1m", "4m") for arm in ("bytes", "bpe-320")),
        *("law-bytes", "law-bpe-320", "arms-1m", "arms-4m"),
    }
    # One vocabulary for all sizes, sources and targets.
    [tokenizer] = {x for x in plan.order if x.name.startswith("tokenizer-")}
    assert {job.name for job in tokenizer.inputs} == {
        *(f"text-source-{name}" for name in (ENGLISH, "shuffled", DUTCH)),
        *(f"text-target-{code}" for code in (DUTCH, GREEK)),
    }


def test_equal_flops_need_text_that_may_be_read_again(transfer_files: dict[str, Path]) -> None:
    with pytest.raises(InputError, match="tokenizer: expected arms at equal bytes") as caught:
        transfer_plan(make_inputs(transfer_files, one_pass=True), SETTINGS, arms=ARMS)
    assert caught.value.got == "bytes, bpe-320, bpe-320-flops"
    plan = transfer_plan(make_inputs(transfer_files, one_pass=True), SETTINGS, arms=ARMS[:2])
    assert "report-bpe-320" in plan.targets
