"""A whole study of data transfer, smaller than the recipe's `tiny`, and what its plan promises."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lingraft.corpus import samples
from lingraft.errors import InputError
from lingraft.files import read_json
from lingraft.languages import Language
from lingraft.measurement import data_transfer, read_losses
from lingraft.pipelines.transfer_arms import BYTES, EXPECTED_BYTES_PER_TOKEN, Arm
from lingraft.pipelines.transfer_inputs import HubText, Source, TextFiles, TransferInputs
from lingraft.pipelines.transfer_runs import RunSettings
from lingraft.pipelines.transfer_study import transfer_plan
from lingraft.pipelines.transfer_time import check_time
from lingraft.runtime import Runtime
from lingraft.study import Artifact, Job, NullProgress, Plan, Store, load_recipe, plan_recipe, run
from lingraft.training.best_loss import BestLossSettings

RECIPE = Path(__file__).parents[2] / "recipes" / "data_transfer.py"
ENGLISH = Language.parse("en")
DUTCH, GREEK = "nld_Latn", "ell_Grek"
MIXED = f"{DUTCH}+5.00% {GREEK}"
SIZES = (200, 400, 800)
RUNTIME = Runtime(num_threads=1, device="cpu", precision="float32")
SETTINGS = RunSettings(
    batch_bytes=100,
    window_tokens=32,
    learning_rates=(1e-3, 4e-3),
    best_loss=BestLossSettings(
        warmup_bytes=100, evaluation_bytes=800, patience=1, max_epochs=1, decay_share=0.25
    ),
)
KEYS = {
    "format",
    "question",
    "scale",
    "rule",
    "model",
    "names",
    "targets",
    "sources",
    "sizes",
    "losses",
    "transfers",
    "repairs",
    "units",
    "similarity",
    "contamination",
    "associations",
    "variance",
    "commutativity",
    "prediction",
    "failures",
    "cost",
}


class Notes(NullProgress):
    """What was told of each job."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        """Keeps a line."""
        self.lines.append(text)


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Train, valid and test rows in three languages, each of pages of its own.

    As in many corpora, ids are unique within a file only.
    """
    folder = tmp_path_factory.mktemp("transfer")
    greek, dutch = (
        samples.load_pairs("valid", target_lang=Language.parse(code)).records
        for code in (GREEK, DUTCH)
    )
    theirs = {pair.id: pair.target for pair in dutch}
    rows = [
        {"id": pair.id, "en": pair.source, "el": pair.target, "nl": theirs[pair.id]}
        for pair in greek
        if pair.id in theirs
    ]
    pages = sorted({row["id"].partition("#")[0] for row in rows})
    parts = {"valid": set(pages[:4]), "test": set(pages[4:8]), "train": set(pages[8:60])}
    ids = [row["id"] for row in rows if row["id"].partition("#")[0] in parts["train"]]
    found = {}
    for name, chosen in parts.items():
        found[name] = folder / f"{name}.jsonl"
        kept = [row for row in rows if row["id"].partition("#")[0] in chosen]
        if name != "train":
            kept = [row | {"id": other} for row, other in zip(kept, ids, strict=False)]
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kept)
        found[name].write_text(text, encoding="utf-8")
    return found


def make_inputs(files: dict[str, Path], **changes: Any) -> TransferInputs:
    text = TextFiles([files["train"]], files["valid"], files["test"])
    settings: dict[str, Any] = {
        "sources": [Source.parse(x, first=ENGLISH) for x in ("en", "shuffled", "nl+el:0.05")],
        "targets": [DUTCH, GREEK],
        "texts": {str(ENGLISH): text, DUTCH: text, GREEK: text},
        "pairs": {GREEK: files["valid"], DUTCH: files["valid"]},
        "reference_lang": str(ENGLISH),
        "size": "1m",
        "scratch_sizes": SIZES,
        "finetuned_sizes": (0, 200),
        "source_bytes": 400,
        "source_epochs": 2,
        "source_share": 0.5,
        "held_out_bytes": 400,
        "scratch_seeds": (0, 1),
        "most_seeded_bytes": 200,
        "finetuned_seeds": (0,),
        "tuned_by": "size",
        "rule": "log-log",
        "scale": "test",
        "seed": 0,
    }
    return TransferInputs(**settings | changes)


@pytest.fixture(scope="session")
def study(
    files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Plan, Store, Artifact]:
    """The study, run once for all tests."""
    store = Store(tmp_path_factory.mktemp("study") / "store")
    plan = transfer_plan(make_inputs(files), SETTINGS)
    return plan, store, run(plan, store=store, runtime=RUNTIME)["report"]


@pytest.fixture(scope="session")
def record(study: tuple[Plan, Store, Artifact]) -> dict[str, Any]:
    return dict(read_json(study[2].path / "record.json"))


def test_the_record_is_complete(record: dict[str, Any]) -> None:
    assert set(record) >= KEYS
    assert record["format"] == "lingraft-transfer-1"
    assert (record["scale"], record["rule"]) == ("test", "log-log")
    assert record["model"]["size"] == "1m"
    assert record["model"]["num_parameters"] > 1e6
    assert record["sizes"] == list(SIZES)
    assert record["names"] == {
        DUTCH: "Dutch",
        GREEK: "Greek",
        "eng_Latn": "English",
        "shuffled": "shuffled",
        MIXED: MIXED,
    }
    assert record["sources"] == ["eng_Latn", "shuffled", MIXED]
    # Two targets: from scratch one size with two seeds and two with one, three sources at two.
    assert len(record["losses"]) == 2 * (2 + 1 + 1 + 3 * 2)
    assert len(record["transfers"]) == 2 * 3 * 2
    assert all(cell["interval"] is not None for cell in record["transfers"])
    assert all(0 < row["nats_per_byte"] < 10 for row in record["losses"])
    assert all(row["processed_bytes"] > 0 for row in record["losses"] if row["dataset_bytes"])
    assert {row["trunk"] for row in record["losses"] if row["init"] == MIXED} == {
        f"pretrained on {MIXED}"
    }


def test_the_record_tells_what_goes_with_transfer(record: dict[str, Any]) -> None:
    greek = record["units"][GREEK]
    assert 1.5 < greek["bytes_per_character"] < 2
    assert greek["byte_premium"]["value"] > 1.5
    assert greek["byte_premium"]["text"] == "valid.jsonl"
    assert len(record["similarity"]) == 2 * 3
    overlap = {
        (row["target"], row["source"]): row["script_overlap"] for row in record["similarity"]
    }
    assert overlap[DUTCH, "eng_Latn"] > 0.9 > overlap[GREEK, "eng_Latn"]
    # No control, and no language in itself.
    assert [(row["source"], row["target"]) for row in record["contamination"]] == [
        ("eng_Latn", DUTCH),
        ("eng_Latn", GREEK),
        (MIXED, GREEK),
    ]
    assert {row["data_finetuned_bytes"] for row in record["associations"]} == {200, None}
    known = [x for x in record["transfers"] if x["data_finetuned_bytes"] and not x["censored"]]
    assert record["variance"]["num_cells"] == len(known)
    assert known or record["variance"]["reason"]
    assert record["prediction"]
    processed = sum(x["processed_bytes"] for x in record["losses"])
    assert record["cost"]["processed_bytes"] == processed
    # Every run reads all of its text once, and a quarter of that again, at two rates.
    text = sum(x["dataset_bytes"] for x in record["losses"])
    assert text < processed < record["cost"]["naive_bytes"] == text * 1 * 1.25 * 2


def test_the_table_of_losses_gives_the_same_transfers(
    study: tuple[Plan, Store, Artifact], record: dict[str, Any]
) -> None:
    losses = read_losses(study[2].path / "losses.csv")
    again = [x.to_record() for x in data_transfer(losses, seed=0).transfers]
    assert len(again) == len(record["transfers"])
    for ours, theirs in zip(again, record["transfers"], strict=True):
        for key in ("target", "source", "data_finetuned_bytes", "censored"):
            assert ours[key] == theirs[key]
        for key in ("data_effective_bytes", "data_transferred_bytes"):
            assert ours[key] == pytest.approx(theirs[key], rel=1e-6)


def test_the_report_is_written(study: tuple[Plan, Store, Artifact]) -> None:
    page = (study[2].path / "report.html").read_text(encoding="utf-8")
    assert page.lower().startswith("<!doctype html>")
    assert study[2].result["num_runs"] == 20
    assert study[2].result["num_cells"] == 12


def test_a_second_run_builds_nothing(
    study: tuple[Plan, Store, Artifact], files: dict[str, Path]
) -> None:
    _, store, report = study
    notes = Notes()
    again = transfer_plan(make_inputs(files), SETTINGS)
    assert run(again, store=store, runtime=RUNTIME, progress=notes) == {"report": report}
    assert notes.lines
    assert all(line.endswith("done before") for line in notes.lines)


def runs_of(plan: Plan) -> list[Job]:
    return [job for job in plan.order if job.function.endswith(":train_target")]


def test_one_run_of_a_kind_chooses_the_rate_and_the_others_take_it(
    study: tuple[Plan, Store, Artifact],
) -> None:
    plan, store, _ = study
    results: dict[Job, dict[str, Any]] = {}
    for job in runs_of(plan):
        found = store.find(job)
        assert found is not None
        results[job] = found.result
    free = [x for x in runs_of(plan) if x.arguments["tuned"] is None and x.arguments["num_bytes"]]
    # The first target and seed at every size from scratch; of pretrained weights, the first source.
    assert [
        (x.arguments["lang"], x.arguments["source"] is None, x.arguments["num_bytes"]) for x in free
    ] == [(DUTCH, True, 200), (DUTCH, True, 400), (DUTCH, True, 800), (DUTCH, False, 200)]
    assert {x.arguments["seed"] for x in free} == {0}
    pretrained = free[-1].arguments["source"]
    assert (pretrained.arguments["lang"], pretrained.arguments["text"].arguments["control"]) == (
        "eng_Latn",
        None,
    )
    for job, result in results.items():
        tuned = job.arguments["tuned"]
        if tuned is not None:
            assert tuned in free
            assert tuned.arguments["num_bytes"] == job.arguments["num_bytes"]
            assert (tuned.arguments["source"] is None) == (job.arguments["source"] is None)
            assert result["learning_rate"] == results[tuned]["learning_rate"]
            assert list(result["learning_rates"]) == [f"{result['learning_rate']:g}"]
        elif job.arguments["num_bytes"]:
            tried = result["learning_rates"]
            assert list(tried) == ["0.001", "0.004"]
            assert tried[f"{result['learning_rate']:g}"] == min(tried.values())
        else:
            assert (result["processed_bytes"], result["learning_rate"]) == (0, 0.0)


def test_random_weights_may_take_the_smallest_sizes_rate(files: dict[str, Path]) -> None:
    changes = {"tuned_by": "smallest", "finetuned_sizes": (0, 200, 400)}
    plan = transfer_plan(make_inputs(files, **changes), SETTINGS)
    trained = [x for x in runs_of(plan) if x.arguments["num_bytes"]]
    free = {
        (x.arguments["source"] is None, x.arguments["num_bytes"]): x
        for x in trained
        if x.arguments["tuned"] is None
    }
    assert set(free) == {(True, min(SIZES)), (False, 200), (False, 400)}
    for job in trained:
        is_random = job.arguments["source"] is None
        own = free[is_random, min(SIZES) if is_random else job.arguments["num_bytes"]]
        assert job == own or job.arguments["tuned"] == own


def test_pretraining_has_epochs_of_its_own(files: dict[str, Path]) -> None:
    plan = transfer_plan(make_inputs(files), SETTINGS)
    found = [x for x in plan.order if x.function.endswith(":pretrain")]
    assert {x.arguments["settings"].best_loss.max_epochs for x in found} == {2}
    assert {x.arguments["settings"].best_loss.max_epochs for x in runs_of(plan)} == {1}
    assert {x.arguments["rate"] for x in found} == {4e-3}


def test_runs_can_be_stopped_and_leave_no_checkpoints(
    study: tuple[Plan, Store, Artifact],
) -> None:
    from lingraft.pipelines.transfer_runs import pretrain, train_target

    assert pretrain.RESUMABLE  # type: ignore[attr-defined]
    assert train_target.RESUMABLE  # type: ignore[attr-defined]
    plan, store, _ = study
    for job in plan.order:
        found = store.find(job)
        assert found is not None
        assert not [name for name in found.manifest["files"] if "checkpoint" in name]


def test_a_stopped_run_ends_as_the_unbroken_one(
    study: tuple[Plan, Store, Artifact], files: dict[str, Path], tmp_path: Path
) -> None:
    plan, store, _ = study
    job = next(x for x in runs_of(plan) if x.arguments["num_bytes"] == 800)
    unbroken = store.find(job)
    assert unbroken is not None

    class Stopping(NullProgress):
        num_steps = 0

        def advance(self, amount: float) -> None:
            self.num_steps += 1
            if self.num_steps == 4:
                raise KeyboardInterrupt

    other = Store(tmp_path / "store")
    wanted = Plan({"run": job})
    with pytest.raises(KeyboardInterrupt):
        run(wanted, store=other, runtime=RUNTIME, progress=Stopping())
    assert list((other.root / "partial").rglob("step-*"))
    again = run(wanted, store=other, runtime=RUNTIME)["run"]
    assert again.manifest["files"] == unbroken.manifest["files"]


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("en", Source("eng_Latn", "eng_Latn")),
        ("Greek", Source("ell_Grek", "ell_Grek")),
        ("shuffled", Source("shuffled", "eng_Latn", control="shuffled")),
        ("code", Source("code", "eng_Latn", control="code")),
        (
            "nl+el:0.01",
            Source("nld_Latn+1.00% ell_Grek", "nld_Latn", None, "ell_Grek", 0.01),
        ),
    ],
)
def test_sources_are_named_in_several_forms(text: str, source: Source) -> None:
    assert Source.parse(text, first=ENGLISH) == source


def test_a_part_may_be_drawn_anew_and_shares_the_pretraining(files: dict[str, Path]) -> None:
    whole, bare = (Source.parse(text, first=ENGLISH) for text in ("en", "en/mlp"))
    assert bare == replace(whole, name="en/mlp", reset="mlp")
    assert Source.parse("words/layers:0-1", first=ENGLISH).control == "words"
    plan = transfer_plan(make_inputs(files, sources=[whole, bare]), SETTINGS)
    jobs = [job for job in plan.order if job.name == f"pretrained-{ENGLISH}"]
    assert len(jobs) == 1


def test_a_part_may_be_frozen(files: dict[str, Path]) -> None:
    whole, frozen = (Source.parse(text, first=ENGLISH) for text in ("en", "en/frozen:layers:0-1"))
    assert frozen == replace(whole, name="en/frozen:layers:0-1", frozen="layers:0-1")
    assert frozen.whole == whole.whole
    assert frozen.whole != Source.parse("nl", first=ENGLISH).whole
    plan = transfer_plan(make_inputs(files, sources=[whole, frozen]), SETTINGS)
    assert len([job for job in plan.order if job.name == f"pretrained-{ENGLISH}"]) == 1
    kinds = {x.arguments["frozen"] for x in runs_of(plan) if x.arguments["source"] is not None}
    assert kinds == {None, "layers:0-1"}


ARMS = [BYTES, Arm(320), Arm(320, "flops")]


@pytest.fixture(scope="session")
def arms_study(
    files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Store, Artifact]:
    """BPE at the FLOPs of bytes, with a part drawn anew and one frozen."""
    sources = [Source.parse(x, first=ENGLISH) for x in ("en", "en/mlp", "en/frozen:mlp")]
    changes = {"sources": sources, "targets": [DUTCH], "finetuned_sizes": (0, 400)}
    store = Store(tmp_path_factory.mktemp("arms") / "store")
    settings = replace(SETTINGS, learning_rates=(4e-3,))
    plan = transfer_plan(make_inputs(files, **changes), settings, arms=ARMS[2:])
    return store, run(plan, store=store, runtime=RUNTIME)["report"]


def test_arms_differ_in_their_vocabulary_and_budget_alone(files: dict[str, Path]) -> None:
    plan = transfer_plan(make_inputs(files), SETTINGS, arms=ARMS)
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


def test_the_plan_tells_the_costs_of_each_arm(files: dict[str, Path]) -> None:
    costs = {}
    for arm in (BYTES, Arm(4_096), Arm(4_096, "flops")):
        plan = transfer_plan(make_inputs(files), SETTINGS, arms=[arm])
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


def test_arms_and_sizes_name_their_targets(files: dict[str, Path]) -> None:
    plan = transfer_plan(make_inputs(files), SETTINGS, sizes=["1m", "4m"], arms=ARMS[:2])
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


def test_equal_flops_need_text_that_may_be_read_again(files: dict[str, Path]) -> None:
    with pytest.raises(InputError, match="tokenizer: expected arms at equal bytes") as caught:
        transfer_plan(make_inputs(files, one_pass=True), SETTINGS, arms=ARMS)
    assert caught.value.got == "bytes, bpe-320, bpe-320-flops"
    plan = transfer_plan(make_inputs(files, one_pass=True), SETTINGS, arms=ARMS[:2])
    assert "report-bpe-320" in plan.targets


def test_the_recipe_takes_arms() -> None:
    plan = plan_recipe(RECIPE, "tiny", {"tokenizer": "bytes,bpe:300/flops"})
    assert set(plan.targets) == {"report-bytes", "report-bpe-300-flops", "arms"}


def test_a_reset_model_starts_between_the_pretrained_and_a_random_one(
    files: dict[str, Path], tmp_path: Path
) -> None:
    sources = [Source.parse(text, first=ENGLISH) for text in ("en", "en/embeddings")]
    inputs = make_inputs(files, sources=sources, targets=[DUTCH], finetuned_sizes=(0,))
    plan = transfer_plan(inputs, SETTINGS)
    run(plan, store=Store(tmp_path / "store"), runtime=Runtime(1, "cpu", "float32"))
    [report] = (tmp_path / "store").glob("report-*")
    losses = {x["init"]: x["nats_per_byte"] for x in read_json(report / "record.json")["losses"]}
    assert losses["en/embeddings"] > losses[str(ENGLISH)]


def test_sizes_of_one_pass_share_a_trunk(files: dict[str, Path], tmp_path: Path) -> None:
    inputs = make_inputs(files, targets=[DUTCH], finetuned_sizes=(0, 200, 400), one_pass=True)
    inputs = replace(inputs, sources=inputs.sources[:1])
    plan = transfer_plan(inputs, SETTINGS)
    run(plan, store=Store(tmp_path / "store"), runtime=Runtime(1, "cpu", "float32"))
    [report] = (tmp_path / "store").glob("report-*")
    record = read_json(report / "record.json")
    kinds = {(x["init"], x["dataset_bytes"], x["seed"], x["trunk"]) for x in record["losses"]}
    scratch = {("scratch", n, str(s), f"scratch, seed {s}") for n in SIZES for s in (0, 1)}
    tuned = {(str(ENGLISH), n, "0", f"{ENGLISH}, seed 0") for n in (200, 400)}
    assert kinds == scratch | tuned
    assert len({x["nats_per_byte"] for x in record["losses"]}) == len(kinds)
    largest = max(SIZES)
    costs = [x["processed_bytes"] for x in record["losses"] if x["init"] == "scratch"]
    # The first seed tries every rate.
    assert 0 < sum(costs) < (len(SETTINGS.learning_rates) + 1) * sum(SIZES)
    assert record["cost"]["processed_bytes"] > largest


def test_sizes_of_equal_content_differ_in_bytes(files: dict[str, Path]) -> None:
    plan = transfer_plan(make_inputs(files, content_factors={GREEK: 2.0}), SETTINGS)
    sizes = {
        target: {
            job.arguments["num_bytes"]
            for job in plan.order
            if job.name == f"run-{ENGLISH}-{target}"
        }
        for target in (DUTCH, GREEK)
    }
    assert sizes == {DUTCH: {0, 200}, GREEK: {0, 400}}


def test_the_recipe_weighs_content_by_the_bundled_translations(tmp_path: Path) -> None:
    plans = {
        equal: plan_recipe(RECIPE, "laptop", {"targets": "nl,el", "equal": equal})
        for equal in ("bytes", "content")
    }
    sizes = {
        equal: sorted(
            {
                j.arguments["num_bytes"]
                for j in plan.order
                if j.name.endswith("-ell_Grek") and j.name.startswith("run-eng")
            }
        )
        for equal, plan in plans.items()
    }
    assert sizes["bytes"] == [0, 30_000, 100_000, 300_000]
    assert 60_000 < sizes["content"][1] < 70_000
    with pytest.raises(InputError, match="equal: expected bytes, or content") as caught:
        plan_recipe(RECIPE, "laptop", {"equal": "words"})
    assert caught.value.got == "words with bundled text"


def test_a_hub_s_text_is_fetched_once_a_language(
    files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load_dataset(name: str, config: str, *, split: str, streaming: bool) -> Any:
        rows = (
            f"{config} row {'abcdefghij'[n % 10] * (n // 10 + 1)} of the web.\n" for n in range(400)
        )
        return ({"text": row, "id": str(n)} for n, row in enumerate(rows))

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    texts = {code: HubText("some/web", code, 4_000) for code in (str(ENGLISH), DUTCH)}
    sources = [Source.parse("en", first=ENGLISH)]
    inputs = make_inputs(files, texts=texts, sources=sources, targets=[DUTCH], pairs={})
    plan = transfer_plan(inputs, SETTINGS)
    assert sorted(j.name for j in plan.order if j.name.startswith("hub-")) == [
        "hub-eng_Latn",
        "hub-nld_Latn",
    ]
    target = next(job for job in plan.order if job.name == "text-target-nld_Latn")
    made = run(Plan([target]), store=Store(tmp_path / "store"))["text-target-nld_Latn"]
    rows = (made.path / "train.jsonl").read_text(encoding="utf-8").splitlines()
    assert all("nld_Latn row" in row for row in rows)
    assert 1_000 < made.result["train_bytes"] < 4_000


def test_the_recipe_names_the_hubs(texts: Path) -> None:
    plan = plan_recipe(RECIPE, "paper", {"hub": "mc4", "targets": "ar", "sources": "en"})
    fetched = {j.name: j.arguments for j in plan.order if j.name.startswith("hub-")}
    assert fetched[f"hub-{Language.parse('ar')}"]["config"] == "ar"
    recipe = load_recipe(RECIPE)
    for arguments in fetched.values():  # each side of the pages is enough for its runs
        share = recipe.SOURCE_SHARE
        assert arguments["num_bytes"] * share > recipe.SOURCE_BYTES["paper"]
        assert arguments["num_bytes"] * (1 - share) > recipe.SIZES["paper"][0][-1]
    chosen = {"hub": "mc4", "targets": "ar", "sources": "en", "source_bytes": 9_000_000_000}
    more = next(j for j in plan_recipe(RECIPE, "paper", chosen).order if j.name == "hub-eng_Latn")
    assert more.arguments["num_bytes"] * recipe.SOURCE_SHARE > 9_000_000_000
    plan = plan_recipe(RECIPE, "paper", {"hub": "fineweb-2", "targets": "nl", "sources": "en"})
    fetched = {j.name: j.arguments for j in plan.order if j.name.startswith("hub-")}
    assert fetched["hub-eng_Latn"]["dataset"] == "HuggingFaceFW/fineweb"
    assert fetched["hub-nld_Latn"]["config"] == "nld_Latn"
    with pytest.raises(InputError, match="hub: expected one of fineweb-2, mc4, got 'pile'"):
        plan_recipe(RECIPE, "paper", {"hub": "pile"})


def test_several_sizes_of_the_model_make_a_law(files: dict[str, Path]) -> None:
    plan = transfer_plan(make_inputs(files), SETTINGS, sizes=["1m", "4m"])
    assert set(plan.targets) == {"report-1m", "report-4m", "law"}
    flops = {
        job.name: job.costs["num_flops"] / job.costs["num_bytes"]
        for job in plan.order
        if job.costs.get("num_bytes")
    }
    assert len(set(flops.values())) <= 2
    assert min(flops.values()) > 6e6


def test_a_study_that_does_not_fit_is_refused(files: dict[str, Path]) -> None:
    plan = transfer_plan(make_inputs(files), SETTINGS)
    check_time(plan, ["1m"], SETTINGS, hours=100.0, workers=1)
    with pytest.raises(
        InputError, match=r"hours: expected at most .* of training, 1e-06 h"
    ) as caught:
        check_time(plan, ["1m"], SETTINGS, hours=1e-6, workers=2)
    assert caught.value.got.startswith("about ")
    assert "of the targets, sources or seeds would fit" in caught.value.hint


@pytest.mark.parametrize("text", ["en+nl", "en+nl:", "en+nl:x", "en+nl:0", "en+nl:1", "en+nl:nan"])
def test_shares_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(InputError) as caught:
        Source.parse(text, first=ENGLISH)
    assert caught.value.expected == "a share of lines in (0, 1), such as en+nl:0.01"
    assert (caught.value.got, caught.value.where) == (text, "sources")


@pytest.mark.parametrize("sizes", [(), (200, 400), (200, 400, 200)])
def test_fewer_than_three_sizes_are_refused(files: dict[str, Path], sizes: tuple[int, ...]) -> None:
    with pytest.raises(InputError) as caught:
        transfer_plan(make_inputs(files, scratch_sizes=sizes), SETTINGS)
    assert caught.value.expected == "at least 3 sizes from scratch"
    assert caught.value.got == (", ".join(map(str, sizes)) or "none")
    assert caught.value.where == "sizes"


def test_a_language_without_text_is_refused(files: dict[str, Path]) -> None:
    with pytest.raises(InputError) as caught:
        transfer_plan(make_inputs(files, targets=["tur_Latn"]), SETTINGS)
    assert caught.value.expected == f"one of eng_Latn, {DUTCH}, {GREEK}"
    assert (caught.value.got, caught.value.where) == ("tur_Latn", "languages with text")


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """A folder with text of every language of the scale `paper`, under long and short codes."""
    folder = tmp_path / "texts"
    folder.mkdir()
    for tag in ("eng_Latn", "ru", "zh", "ara", "de", "es", "fi", "id", "ja", "ko"):
        for part in samples.SPLITS:
            (folder / f"{tag}.{part}.txt").write_text("text\n", encoding="utf-8")
    return folder


@pytest.mark.parametrize("scale", ["tiny", "laptop", "paper"])
def test_the_recipe_plans_at_every_scale(texts: Path, tmp_path: Path, scale: str) -> None:
    recipe = load_recipe(RECIPE)
    settings = {"texts": str(texts)} if scale == "paper" else {}
    plan = plan_recipe(RECIPE, scale, settings)
    assert plan.tree(Store(tmp_path / "store"))
    scratch, finetuned = recipe.SIZES[scale]
    num_sources = len(recipe.SOURCES[scale].split(","))
    num_targets = len(recipe.TARGETS[scale].split(","))
    most = recipe.MOST_SEEDED_BYTES[scale]
    num_scratch = sum(recipe.SCRATCH_SEEDS[scale] if size <= most else 1 for size in scratch)
    assert len(runs_of(plan)) == num_targets * (num_scratch + len(finetuned) * num_sources)
    assert {x.arguments["size"] for x in runs_of(plan)} == {recipe.MODELS[scale]}


def test_the_recipe_takes_sizes() -> None:
    chosen = {"scratch_sizes": "1kB,2kB,4kB", "finetuned_sizes": "0,1kB", "targets": "el"}
    plan = plan_recipe(RECIPE, "tiny", chosen)
    sizes = {(x.arguments["source"] is None, x.arguments["num_bytes"]) for x in runs_of(plan)}
    assert sizes == {(True, 1_000), (True, 2_000), (True, 4_000), (False, 0), (False, 1_000)}


def test_the_papers_scale_streams_or_reads_a_whole_folder(texts: Path) -> None:
    assert any(job.name == "hub-fin_Latn" for job in plan_recipe(RECIPE, "paper").order)
    (texts / "zh.valid.txt").unlink()
    with pytest.raises(InputError) as caught:
        plan_recipe(RECIPE, "paper", {"texts": str(texts)})
    assert caught.value.expected.startswith("a file zho_Hans.valid")
    assert (caught.value.got, caught.value.where) == ("none", str(texts))


def test_a_language_that_is_not_bundled_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        plan_recipe(RECIPE, "tiny", {"targets": "sw"})
    assert caught.value.expected.startswith("one of en, ")
    assert caught.value.got.startswith("sw")
    assert caught.value.where == "languages of the bundled text"
