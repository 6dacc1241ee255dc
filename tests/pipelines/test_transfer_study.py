"""What the plan of a study of data transfer promises: runs, rates, texts and what they share."""

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from transfer_study_cases import (
    DUTCH,
    ENGLISH,
    GREEK,
    RUNTIME,
    SETTINGS,
    make_inputs,
    runs_of,
)

from lingraft.errors import InputError
from lingraft.pipelines.transfer_inputs import HubText, Source
from lingraft.pipelines.transfer_study import transfer_plan
from lingraft.study import Artifact, Job, NullProgress, Plan, Store, run


class Notes(NullProgress):
    """What was told of each job."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        """Keeps a line."""
        self.lines.append(text)


def test_a_second_run_builds_nothing(
    transfer_study: tuple[Plan, Store, Artifact], transfer_files: dict[str, Path]
) -> None:
    _, store, report = transfer_study
    notes = Notes()
    again = transfer_plan(make_inputs(transfer_files), SETTINGS)
    assert run(again, store=store, runtime=RUNTIME, progress=notes) == {"report": report}
    assert notes.lines
    assert all(line.endswith("done before") for line in notes.lines)


def test_one_run_of_a_kind_chooses_the_rate_and_the_others_take_it(
    transfer_study: tuple[Plan, Store, Artifact],
) -> None:
    plan, store, _ = transfer_study
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


def test_pretraining_has_epochs_of_its_own(transfer_files: dict[str, Path]) -> None:
    plan = transfer_plan(make_inputs(transfer_files), SETTINGS)
    found = [x for x in plan.order if x.function.endswith(":pretrain")]
    assert {x.arguments["settings"].best_loss.max_epochs for x in found} == {2}
    assert {x.arguments["settings"].best_loss.max_epochs for x in runs_of(plan)} == {1}
    assert {x.arguments["rate"] for x in found} == {4e-3}


def test_a_part_may_be_drawn_anew_and_shares_the_pretraining(
    transfer_files: dict[str, Path],
) -> None:
    whole, bare = (Source.parse(text, first=ENGLISH) for text in ("en", "en/mlp"))
    assert bare == replace(whole, name="en/mlp", reset="mlp")
    assert Source.parse("words/layers:0-1", first=ENGLISH).control == "words"
    plan = transfer_plan(make_inputs(transfer_files, sources=[whole, bare]), SETTINGS)
    jobs = [job for job in plan.order if job.name == f"pretrained-{ENGLISH}"]
    assert len(jobs) == 1


def test_a_part_may_be_frozen(transfer_files: dict[str, Path]) -> None:
    whole, frozen = (Source.parse(text, first=ENGLISH) for text in ("en", "en/frozen:layers:0-1"))
    assert frozen == replace(whole, name="en/frozen:layers:0-1", frozen="layers:0-1")
    assert frozen.whole == whole.whole
    assert frozen.whole != Source.parse("nl", first=ENGLISH).whole
    plan = transfer_plan(make_inputs(transfer_files, sources=[whole, frozen]), SETTINGS)
    assert len([job for job in plan.order if job.name == f"pretrained-{ENGLISH}"]) == 1
    kinds = {x.arguments["frozen"] for x in runs_of(plan) if x.arguments["source"] is not None}
    assert kinds == {None, "layers:0-1"}


def test_sizes_of_equal_content_differ_in_bytes(transfer_files: dict[str, Path]) -> None:
    plan = transfer_plan(make_inputs(transfer_files, content_factors={GREEK: 2.0}), SETTINGS)
    sizes = {
        target: {
            job.arguments["num_bytes"]
            for job in plan.order
            if job.name == f"run-{ENGLISH}-{target}"
        }
        for target in (DUTCH, GREEK)
    }
    assert sizes == {DUTCH: {0, 200}, GREEK: {0, 400}}
    (report,) = (job for job in plan.order if job.name == "report")
    finetuned = [run for run in report.arguments["runs"] if run["init"] != "scratch"]
    named = {(x["target"], x["dataset_bytes"], x["nominal_bytes"]) for x in finetuned}
    assert named == {(DUTCH, 0, 0), (DUTCH, 200, 200), (GREEK, 0, 0), (GREEK, 400, 200)}


def test_a_hub_s_text_is_fetched_once_a_language(
    transfer_files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load_dataset(name: str, config: str, *, split: str, streaming: bool) -> Any:
        rows = (
            f"{config} row {'abcdefghij'[n % 10] * (n // 10 + 1)} of the web.\n" for n in range(400)
        )
        return ({"text": row, "id": str(n)} for n, row in enumerate(rows))

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    texts = {code: HubText("some/web", code, 4_000) for code in (str(ENGLISH), DUTCH)}
    sources = [Source.parse("en", first=ENGLISH)]
    inputs = make_inputs(transfer_files, texts=texts, sources=sources, targets=[DUTCH], pairs={})
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


def test_several_sizes_of_the_model_make_a_law(transfer_files: dict[str, Path]) -> None:
    plan = transfer_plan(make_inputs(transfer_files), SETTINGS, sizes=["1m", "4m"])
    assert set(plan.targets) == {"report-1m", "report-4m", "law"}
    flops = {
        job.name: job.costs["num_flops"] / job.costs["num_bytes"]
        for job in plan.order
        if job.costs.get("num_bytes")
    }
    assert len(set(flops.values())) <= 2
    assert min(flops.values()) > 6e6


def test_seeds_of_one_pretrained_model_are_one_trunk(transfer_files: dict[str, Path]) -> None:
    """Also where sizes share a trunk: the model behind them is the same."""
    sources = [Source.parse("en", first=ENGLISH)]
    told = {}
    for own in (False, True):
        for one_pass in (False, True):
            inputs = make_inputs(
                transfer_files,
                sources=sources,
                targets=[DUTCH],
                finetuned_seeds=(0, 1),
                own_pretraining=own,
                one_pass=one_pass,
            )
            plan = transfer_plan(inputs, SETTINGS)
            rows = plan.targets["report"].arguments["runs"]
            told[own, one_pass] = {row["trunk"] for row in rows if row["init"] != "scratch"}
            seeds = {j.arguments["seed"] for j in plan.order if j.name.startswith("pretrained-")}
            assert seeds == ({0, 1} if own else {0})
            # Every run has the model of its seed, and so has the zero-shot point.
            if not one_pass:
                zero = {row["seed"] for row in rows if row["dataset_bytes"] == 0}
                assert zero == ({"0", "1"} if own else {"0"})
            for row in rows:
                model = row["run"].arguments["source"]
                if model is not None:
                    assert model.arguments["seed"] == (int(row["seed"]) if own else 0)
    one = {f"pretrained on {ENGLISH}"}
    two = {f"pretrained on {ENGLISH}, seed {seed}" for seed in (0, 1)}
    assert told == {(False, False): one, (False, True): one, (True, False): two, (True, True): two}


def test_a_language_without_text_is_refused(transfer_files: dict[str, Path]) -> None:
    with pytest.raises(InputError) as caught:
        transfer_plan(make_inputs(transfer_files, targets=["tur_Latn"]), SETTINGS)
    assert caught.value.expected == f"one of eng_Latn, {DUTCH}, {GREEK}"
    assert (caught.value.got, caught.value.where) == ("tur_Latn", "languages with text")
