"""The downstream job: from files and a model folder to scores beside the majority floor."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from lingraft.errors import InputError
from lingraft.files import read_json
from lingraft.measurement import Score
from lingraft.model import load
from lingraft.model.loading import load_tokenizer
from lingraft.pipelines import downstream
from lingraft.pipelines.downstream import _randomized, downstream_task, tune_arm
from lingraft.pipelines.task_parts import prepare_task
from lingraft.runtime import Runtime
from lingraft.study import NullProgress
from lingraft.training.answers import AnswerSettings, FineTuned

Run = Callable[..., dict[str, Any]]
WORDS = [a + b for a in "bcdfghklmn" for b in "aeiou"]
QUICK = AnswerSettings(
    batch_size=8,
    num_epochs=8,
    learning_rate=5e-3,
    window_tokens=64,
    dropout=0.0,
    weight_decay=0.0,
    patience=None,
)


@pytest.fixture
def run(tiny_model: Path, tmp_path: Path) -> Run:
    """Writes a text to train on and one to test on, and runs the job on them."""

    def downstream(train: str, test: str, *, suffix: str, **changes: Any) -> dict[str, Any]:
        paths = {"train": tmp_path / f"train{suffix}", "test": tmp_path / f"test{suffix}"}
        paths["train"].write_text(train, encoding="utf-8")
        paths["test"].write_text(test, encoding="utf-8")
        arguments: dict[str, Any] = {
            "model": tiny_model,
            "lang": "en",
            "settings": QUICK,
            "seed": 0,
            "out": tmp_path / "out",
            "runtime": Runtime(num_threads=1, device="cpu", precision="float32"),
            "progress": NullProgress(),
        }
        return downstream_task(**paths, **arguments | changes)

    return downstream


def pairs(words: list[str]) -> str:
    rows = [
        {"premise": f"a {word}.", "hypothesis": text, "label": label}
        for word in words
        for text, label in (("yes", "same"), ("no", "other"), ("yes sir", "same"))
    ]
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_entailment_is_learnt_and_stands_beside_the_floor(run: Run, tmp_path: Path) -> None:
    train = pairs(WORDS[:40]) + pairs(WORDS[44:46])
    figures = run(
        train, pairs(WORDS[40:]), suffix=".jsonl", kind="entailment",
        columns={"task": "toy", "labels": {"same": "1", "other": "0"}},
    )  # fmt: skip
    assert figures["num_overlapping"] == 6
    assert (figures["num_valid"], figures["num_train"], figures["num_test"]) == (12, 108, 30)
    assert (figures["num_cut"], figures["num_left_out"]) == (0, 0)
    assert figures["score"] == "exact_match"
    assert figures["majority_value"] == 20 / 30
    assert figures["value"] > 0.9
    assert figures["interval"][0] > 20 / 30
    record = read_json(tmp_path / "out" / "scores.json")
    score = Score.from_record(record["scores"]["exact_match"])
    assert (score.value, list(score.interval or ())) == (figures["value"], figures["interval"])
    assert score.signature["seed"] == 0
    assert record["majority"]["exact_match"]["value"] == 20 / 30
    assert len(record["answers"]) == 30
    assert len(record["curve"]) == figures["num_epochs"]
    assert record["curve"][figures["best_epoch"] - 1]["exact_match"] == max(
        point["exact_match"] for point in record["curve"]
    )
    assert record["rejected"] == {"train": {}, "test": {}}
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["scores.json"]
    assert json.loads(json.dumps(figures)) == figures


def test_the_split_depends_on_the_seed_and_a_given_valid_is_taken(run: Run, tmp_path: Path) -> None:
    short = {"settings": replace(QUICK, num_epochs=1), "columns": {"task": "toy"}}
    files = (pairs(WORDS[:9]), pairs(WORDS[9:11]))
    curves = [
        run(*files, suffix=".jsonl", kind="entailment", seed=seed, out=tmp_path / str(n), **short)
        and read_json(tmp_path / str(n) / "scores.json")
        for n, seed in enumerate([0, 0, 1])
    ]
    assert curves[0] == curves[1]
    trained = [record["majority"]["exact_match"]["signature"]["train"] for record in curves]
    assert trained[0] != trained[2]
    valid = tmp_path / "valid.jsonl"
    valid.write_text(pairs(WORDS[7:10]), encoding="utf-8")
    figures = run(*files, suffix=".jsonl", kind="entailment", valid=valid, **short)
    # One word of valid is in test, two are in train.
    assert (figures["num_train"], figures["num_valid"], figures["num_test"]) == (21, 6, 6)
    assert figures["num_overlapping"] == 9


def conll(words: list[str], row: str) -> str:
    sentences = (row.format(word=word, tag="V" if word[1] in "ae" else "N") for word in words)
    return "\n".join(sentences)


@pytest.mark.parametrize(
    ("kind", "suffix", "texts", "score"),
    [
        ("tagging", ".conllu",
         lambda words: conll(words, "1\t{word}\t_\t{tag}\t_\t_\t_\t_\t_\t_\n"), "tagging_accuracy"),
        ("ner", ".conll", lambda words: conll(words, "{word} B-{tag}\n"), "span_f1"),
        ("qa", ".json", lambda words: json.dumps({"data": [{"paragraphs": [{"context": "x " + w,
         "qas": [{"id": w, "question": "q", "answers": [{"text": "x"}]}]} for w in words]}]}),
         "token_f1"),
    ],
)  # fmt: skip
def test_every_kind_is_run_from_its_own_format(
    run: Run, kind: str, suffix: str, texts: Callable[[list[str]], str], score: str
) -> None:
    figures = run(
        texts(WORDS[:13]), texts(WORDS[13:16]), suffix=suffix, kind=kind,
        settings=replace(QUICK, num_epochs=2),
    )  # fmt: skip
    assert figures["score"] == score
    assert 0 <= figures["value"] <= 1
    assert figures["num_test"] == 3
    assert figures["majority_value"] == pytest.approx(1.0 if kind == "qa" else 2 / 3)


def test_what_has_no_reader_no_examples_or_no_end_is_refused(
    run: Run, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = pairs(WORDS[:3])
    asked: dict[str, Any] = {"suffix": ".jsonl", "columns": {"task": "toy"}}
    with pytest.raises(InputError) as caught:
        run(text, text, kind="parsing", **asked)
    assert (caught.value.got, caught.value.where) == ("'parsing'", "kind")
    with pytest.raises(InputError) as caught:
        run(text, text, kind="entailment", **asked)
    assert caught.value.expected == "training examples that are neither in valid nor in test"
    endless = load_tokenizer(tiny_model)
    roles = {role: token for role, token in endless.roles.items() if role != "eos_token"}
    monkeypatch.setattr(
        "lingraft.pipelines.downstream.load",
        lambda *_, **__: type(
            "Loaded", (), {"model": None, "tokenizer": replace(endless, roles=roles)}
        ),
    )
    with pytest.raises(InputError) as caught:
        run(text, pairs(WORDS[3:5]), kind="entailment", **asked)
    assert caught.value.expected == "a tokenizer with an end token, to stand after answers"


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    """Folder of a small task."""
    path = tmp_path / "pairs.jsonl"
    path.write_text(pairs(WORDS[:12]), encoding="utf-8")
    prepare_task(
        train=path, valid=None, test=None, kind="entailment", columns={"task": "toy"},
        num_train=None, seed=0, out=tmp_path,
    )  # fmt: skip
    return tmp_path


@pytest.fixture
def tune(prepared: Path, tmp_path: Path) -> Run:
    """Fine-tunes an arm for one epoch, unless told otherwise, and returns its scores as well."""

    def run(name: str, **changes: Any) -> dict[str, Any]:
        arguments: dict[str, Any] = {
            "model": None,
            "size": None,
            "is_random": False,
            "settings": replace(QUICK, num_epochs=1),
            "learning_rates": (1e-3,),
            "tuned": None,
            "seed": 0,
        }
        figures = tune_arm(
            task=prepared, lang="en", out=tmp_path / name, runtime=Runtime(1, device="cpu"),
            progress=NullProgress(), **arguments | changes,
        )  # fmt: skip
        return figures | read_json(tmp_path / name / "scores.json")

    return run


def test_random_weights_differ_by_seed_and_from_the_model(
    tune: Run, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_model = load(tiny_model, dtype=torch.float32).model
    drawn = [_randomized(tiny_model, seed)[0] for seed in (0, 0, 1)]
    shapes = [{name: p.shape for name, p in m.named_parameters()} for m in (given_model, drawn[0])]
    assert shapes[0] == shapes[1]
    weights = [m.get_input_embeddings().weight.detach() for m in (given_model, *drawn)]
    assert torch.equal(weights[1], weights[2])
    assert not torch.allclose(weights[1], weights[3])
    assert not torch.allclose(weights[1], weights[0])
    asked: list[int] = []
    original = downstream._randomized

    def noted(folder: Path, seed: int) -> Any:
        asked.append(seed)
        return original(folder, seed)

    monkeypatch.setattr(downstream, "_randomized", noted)
    tune("given", model=tiny_model)
    assert asked == []
    tune("random", model=tiny_model, is_random=True, seed=3)
    assert asked == [3]


def test_valid_chooses_the_rate_and_later_seeds_take_it(
    tune: Run, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = iter([0.25, 0.75, 0.75, 0.5])
    original = downstream.fine_tune

    def scripted(*args: Any, **changes: Any) -> FineTuned:
        return replace(original(*args, **changes), best_value=next(told))

    monkeypatch.setattr(downstream, "fine_tune", scripted)
    first = tune("first", model=tiny_model, learning_rates=(1e-4, 1e-2, 1e-3))
    assert first["learning_rates"] == {"0.0001": 0.25, "0.01": 0.75, "0.001": 0.75}
    assert first["learning_rate"] == 1e-2
    second = tune("second", model=tiny_model, seed=1, tuned=tmp_path / "first")
    assert (second["learning_rate"], second["learning_rates"]) == (1e-2, {"0.01": 0.5})
    monkeypatch.undo()
    alone = tune("alone", model=tiny_model, learning_rates=(1e-2,))
    assert alone["answers"] == first["answers"]
    assert alone["curve"] == first["curve"]


def test_a_byte_model_starts_from_its_size(tune: Run) -> None:
    figures = tune("bytes", size="1m", is_random=True)
    assert figures["num_steps"] == 3
    assert figures["scores"]["exact_match"]["value"] == figures["value"]
