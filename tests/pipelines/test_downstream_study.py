"""The comparison of starts: which arms there are, and that target text is learnt in between."""

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch

from lingraft.errors import InputError
from lingraft.files import read_json
from lingraft.model import load
from lingraft.pipelines import downstream_study
from lingraft.pipelines.downstream_study import (
    DownstreamSettings,
    continue_on_text,
    downstream_plan,
    split_text,
)
from lingraft.pipelines.task_parts import make_continuations
from lingraft.pipelines.transfer_runs import RunSettings
from lingraft.runtime import Runtime
from lingraft.study import File, NullProgress, Plan, job
from lingraft.training import AnswerSettings
from lingraft.training.best_loss import BestLossSettings

TEXTS = RunSettings(
    batch_bytes=1_000,
    window_tokens=64,
    learning_rates=(1e-2,),
    best_loss=BestLossSettings(warmup_bytes=500, evaluation_bytes=2_000, patience=1, max_epochs=2),
)
SETTINGS = DownstreamSettings(
    texts=TEXTS,
    source_bytes=4_000,
    source_epochs=1,
    target_bytes=2_000,
    answers=AnswerSettings(8, 1, 1e-3, 64, 0.0, 0.0, None),
    learning_rates=(1e-3,),
    num_seeds=2,
)


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """A text of one file."""
    path = tmp_path / "text.txt"
    words = ["".join(letters) for letters in itertools.product("abcdefg", repeat=3)][:300]
    lines = [f"the {word} cats of house {word * 2} sit on its mats" for word in words]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def planned(text: Path, **changes: Any) -> Plan:
    prepared = job(split_text, text=[File(text)], lang="en", seed=0)
    task = job(make_continuations, text=[File(text)], lang="nl", num_examples=40, seed=0)
    arguments: dict[str, Any] = {
        "task": task,
        "task_name": "toy",
        "lang": "nld_Latn",
        "model": None,
        "size": "1m",
        "source_texts": {"eng_Latn": prepared, "nld_Latn": prepared},
        "target_text": prepared,
        "settings": SETTINGS,
        "scale": "tiny",
        "seed": 0,
    } | changes
    return downstream_plan(**arguments)


def arms(plan: Plan) -> list[str]:
    return [arm["name"] for arm in plan.targets["report"].arguments["arms"]]


def test_a_byte_model_has_arms_of_each_source(text: Path) -> None:
    plan = planned(text)
    assert arms(plan) == [
        "random weights",
        "4 kB of English",
        "4 kB of English, then 2 kB of Dutch",
        "4 kB of Dutch",
    ]
    assert arms(planned(text, target_text=None)) == [
        "random weights",
        "4 kB of English",
        "4 kB of Dutch",
    ]
    runs = [each for each in plan.order if each.function.endswith(":tune_arm")]
    assert len(runs) == 4 * SETTINGS.num_seeds
    # Each arm's first run chooses the rate.
    assert sum(run.arguments["tuned"] is None for run in runs) == 4
    assert {run.arguments["size"] for run in runs if run.arguments["model"] is None} == {"1m"}


def test_a_folder_has_arms_of_its_own(text: Path, tiny_model: Path) -> None:
    plan = planned(text, model=tiny_model, source_texts={})
    assert arms(plan) == [
        "random weights",
        "the model as it is",
        "the model, then 2 kB of Dutch",
    ]
    runs = [each for each in plan.order if each.function.endswith(":tune_arm")]
    assert sum(run.arguments["is_random"] for run in runs) == SETTINGS.num_seeds
    assert all(run.arguments["model"] is not None for run in runs)


def test_nothing_to_compare_is_refused(text: Path) -> None:
    with pytest.raises(InputError) as caught:
        planned(text, source_texts={})
    assert caught.value.got == "0 sources and 2 seeds"


def test_target_text_is_learnt_between(
    text: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = split_text(text=[text], lang="en", seed=0, out=tmp_path / "split")
    assert facts["num_test"] == facts["num_valid"] == 30
    arguments: dict[str, Any] = {
        "model": tiny_model,
        "text": tmp_path / "split",
        "lang": "en",
        "num_bytes": 3_000,
        "settings": TEXTS,
        "seed": 0,
        "out": tmp_path / "out",
        "runtime": Runtime(1, device="cpu"),
        "progress": NullProgress(),
    }
    result = continue_on_text(**arguments)
    assert result["valid_bits_per_byte"] < result["before_bits_per_byte"] - 0.5
    assert 2_900 < result["num_bytes"] <= 3_000
    assert read_json(tmp_path / "out" / "result.json") == result
    assert load(tmp_path / "out", dtype=torch.float32)
    monkeypatch.setattr(
        downstream_study,
        "bits_per_byte",
        lambda *_: type("Undefined", (), {"value": None, "reason": "lossy tokenizer"}),
    )
    with pytest.raises(InputError) as caught:
        continue_on_text(**arguments | {"out": tmp_path / "again"})
    assert (caught.value.got, caught.value.where) == ("lossy tokenizer", "en")
