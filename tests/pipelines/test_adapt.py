"""The main job on a tiny model: what it writes, what it says, and that a stop loses nothing."""

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import lingraft
from lingraft.errors import ModelError
from lingraft.files import read_json
from lingraft.model import load
from lingraft.pipelines import arms
from lingraft.pipelines.adapt import STATE
from lingraft.pipelines.settings import ArmSettings
from lingraft.runtime import Runtime
from lingraft.study import NullProgress, Store
from lingraft.training import Stage
from lingraft.units import Budget

CPU = Runtime(num_threads=1, device="cpu", precision="float32")
SETTINGS = ArmSettings(
    budget=Budget(num_bytes=6_000),
    batch_bytes=1_000,
    learning_rates=(1e-3, 3e-3),
    stages=(Stage("embeddings", 0.5), Stage("all", 0.5)),
    trial_bytes=2_000,
    num_choice_rows=3,
    num_curve_rows=3,
    num_evaluations=2,
)


def adapt(model: Path, greek: dict[str, Path], out: Path, **more: Any) -> Any:
    given = {"pairs": greek["pairs"], "settings": SETTINGS, "runtime": CPU} | more
    return lingraft.adapt(model, to="el", text=greek["text"], out=out, **given)


@pytest.fixture(scope="session")
def adapted(
    tiny_model: Path, greek: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Any:
    return adapt(tiny_model, greek, tmp_path_factory.mktemp("adapted") / "out")


def test_plain_transformers_load_the_adapted_model(adapted: Any, tiny_model: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(adapted.model_path, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(adapted.model_path)
    source = load(tiny_model, dtype=torch.float32)
    assert tokenizer.bos_token == "<|start|>"
    assert tokenizer.eos_token == "<|end|>"
    assert model.config.bos_token_id == tokenizer.bos_token_id
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id
    assert model.generation_config.max_new_tokens == 7
    assert tokenizer.chat_template == source.tokenizer.chat_template
    chat = tokenizer.apply_chat_template([{"role": "user", "content": "Γεια"}], tokenize=False)
    assert chat == "<|start|>Γεια<|end|>"
    text = "Το αρχείο είναι ανοικτό."
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert model.config.vocab_size == len(tokenizer) == model.lm_head.weight.shape[0]


def test_record_has_every_row_and_the_figures_fit_together(adapted: Any) -> None:
    record = adapted.record
    rows = {row["arm"]: row for row in record["table"]}
    assert list(rows) == ["source", "random", "mean", "trans_tokenize"]
    floors = {row["key"]: row for row in record["floors"]["rows"]}
    # Mean rows are uniform over the whole vocabulary; counts give special tokens no share.
    uniform = floors["uniform"]["a"]
    size = load(adapted.model_path, dtype=torch.float32).model.config.vocab_size
    num_types = uniform["signature"]["vocab_size"]
    assert rows["mean"]["before"]["value"] == pytest.approx(
        uniform["value"] * math.log(size) / math.log(num_types), rel=1e-5
    )
    assert rows["mean"]["after_bytes"] is None
    hashes = {
        score["signature"]["data"]
        for row in record["table"]
        for score in (row["before"], row["before_biased"], row["after_bytes"])
        if score is not None
    }
    assert len(hashes) == 1, "every arm is measured on the same rows"
    trained = {row["trained_bytes"] for row in record["table"] if row["num_steps"]}
    assert len(trained) == 1, "every arm is trained on the same bytes"
    assert 5_000 < trained.pop() <= 6_000
    assert record["floors"]["b_bytes"] > record["floors"]["a_bytes"]
    graft = rows["trans_tokenize"]
    assert graft["after_bytes"]["value"] < graft["before"]["value"]
    assert graft["before_biased"]["value"] <= graft["before"]["value"] + 0.05
    for verdict in record["verdicts"]:
        assert verdict["holds"] in (True, False)


def test_a_rate_that_diverges_is_not_chosen(adapted: Any, tiny_model: Path, tmp_path: Path) -> None:
    def chosen(*rates: float) -> dict[str, Any]:
        return arms.choose_settings(
            model=tiny_model,
            tokenizer=None,
            rows=None,
            corpus=next((adapted.model_path / STATE / "store").glob("corpus-*")),
            target_lang="ell_Grek",
            settings=replace(SETTINGS, learning_rates=rates),
            out=tmp_path,
            runtime=CPU,
            progress=NullProgress(),
        )

    choice = chosen(1e-3, 1e30)
    assert choice["learning_rate"] == 1e-3
    assert choice["learning_rates_bits_per_byte"]["1e+30"] is None
    with pytest.raises(ModelError, match=r"1e[+]30, 1e[+]31"):
        chosen(1e30, 1e31)


def test_seconds_column_is_read_off_the_curves(adapted: Any) -> None:
    curves = {curve["arm"]: curve for curve in adapted.record["curves"]}
    seconds = adapted.record["budget_seconds"]
    for row in adapted.record["table"]:
        if row["num_steps"]:
            reached = [p for p in curves[row["arm"]]["points"] if p["seconds"] <= seconds + 1e-6]
            expected = reached[-1]["score"] if reached else None
            assert row["after_seconds"] == expected
    assert any(row["after_seconds"] for row in adapted.record["table"])


def test_held_out_rows_are_nowhere_in_training(adapted: Any) -> None:
    from lingraft.corpus import matching_key

    store = adapted.model_path / STATE / "store"
    corpus = next(store.glob("corpus-*"))
    rows = {
        name: [json.loads(line) for line in (corpus / f"{name}.jsonl").open(encoding="utf-8")]
        for name in ("train", "valid", "test", "pairs")
    }
    held_out = {matching_key(row["text"]) for row in rows["valid"] + rows["test"]}
    assert held_out
    assert not held_out & {matching_key(row["text"]) for row in rows["train"]}
    assert not held_out & {matching_key(row["target"]) for row in rows["pairs"]}
    assert adapted.record["corpus"]["removed_pairs"] >= len(rows["valid"] + rows["test"])


def test_card_and_report_are_written_from_the_record(adapted: Any) -> None:
    card = (adapted.model_path / "README.md").read_text(encoding="utf-8")
    page = adapted.report_path.read_text(encoding="utf-8")
    figure = next(
        f"{row['after_bytes']['value']:.3f}"
        for row in adapted.record["table"]
        if row["arm"] == "trans_tokenize"
    )
    assert figure in card
    assert figure in page
    assert "not stated" in card, "the user's files have no licence that anyone stated"
    assert read_json(adapted.model_path / STATE / "record.json") == adapted.record


def test_same_call_again_builds_nothing(
    adapted: Any, tiny_model: Path, greek: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: Any) -> None:
        raise AssertionError("nothing is left to train")

    monkeypatch.setattr(arms, "_train", refuse)
    again = adapt(tiny_model, greek, adapted.model_path)
    assert again.record == adapted.record


class Stop:
    """Progress that interrupts the run at the n-th step it is told of."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def start(self, name: str, total: float | None, unit: str) -> None:
        self.name = name

    def advance(self, amount: float) -> None:
        if self.name == "arm-trans_tokenize: training":
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt

    def note(self, text: str) -> None:
        pass


@pytest.mark.parametrize("steps", [1, 4])
def test_stopped_and_resumed_run_ends_with_the_same_bytes(
    steps: int,
    adapted: Any,
    tiny_model: Path,
    greek: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(arms, "CHECKPOINT_SECONDS", 0.0)
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        adapt(tiny_model, greek, out, controls=False, progress=Stop(steps))
    assert list((out / STATE / "store" / "partial").glob("arm-*/checkpoints/step-*"))
    adapt(tiny_model, greek, out, controls=False)
    stores = [Store(path / STATE / "store").root for path in (adapted.model_path, out)]
    for name in ("arm-trans_tokenize", "rows-trans_tokenize", "links", "tokenizer", "corpus"):
        unbroken, resumed = (read_json(next(s.glob(f"{name}-*")) / "manifest.json") for s in stores)
        assert unbroken["files"] == resumed["files"], name
    published = out / "model.safetensors"
    assert published.read_bytes() == (adapted.model_path / "model.safetensors").read_bytes()


def test_without_pairs_rows_come_from_pieces_and_the_user_is_told(
    tiny_model: Path, greek: dict[str, Path], tmp_path: Path
) -> None:
    done = adapt(tiny_model, greek, tmp_path / "out", pairs=None, controls=False)
    assert "pieces" in [row["arm"] for row in done.record["table"]]
    assert any("Without pairs" in warning for warning in done.record["warnings"])


def test_dictionary_alone_carries_rows_over(
    tiny_model: Path, greek: dict[str, Path], tmp_path: Path
) -> None:
    done = adapt(
        tiny_model,
        greek,
        tmp_path / "out",
        pairs=None,
        dictionary=greek["dictionary"],
        controls=False,
    )
    assert done.record["coverage"]["by_rule"]["table"] >= 3


def test_explain_tells_where_a_row_came_from(
    tiny_model: Path, greek: dict[str, Path], adapted: Any, tmp_path: Path
) -> None:
    from lingraft.pipelines.graft import graft

    done = graft(
        tiny_model,
        tokenizer=adapted.model_path,
        to="el",
        out=tmp_path / "grafted",
        pairs=[greek["pairs"]],
        explain=[" το", "<|start|>"],
    )
    word, special = done.explained
    assert word["rule"] == "table"
    assert sum(source["weight"] for source in word["sources"]) == pytest.approx(1.0, abs=1e-5)
    assert special["rule"] == "special"
    assert special["sources"] == [{"token": "<|start|>", "weight": 1.0}]
    assert AutoModelForCausalLM.from_pretrained(done.model_path, dtype=torch.float32)


def test_vocabulary_rule_is_recorded(adapted: Any) -> None:
    assert "10 times" in adapted.record["vocabulary"]["rule"]


def test_moved_output_still_builds_nothing(
    adapted: Any, tiny_model: Path, greek: dict[str, Path], tmp_path: Path
) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(adapted.model_path, moved)
    again = adapt(tiny_model, greek, moved)
    assert [row["before"] for row in again.record["table"]] == [
        row["before"] for row in adapted.record["table"]
    ]
