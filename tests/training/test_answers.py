"""Fine-tuning on answers: whose tokens are learnt, which epoch stays, and what is cut."""

import itertools
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_tokenizers import with_special_tokens
from transformers import PreTrainedModel

from lingraft.corpus.task_examples import Example, TaskData, TaskKind
from lingraft.errors import InputError, ModelError, StoreError
from lingraft.languages import Language
from lingraft.measurement import Score
from lingraft.measurement.tasks import majority_baseline, task_scores
from lingraft.runtime import Runtime
from lingraft.tokenizer import Tokenizer
from lingraft.training.answers import (
    PAPER_SETTINGS,
    AnswerSettings,
    FineTuned,
    fine_tune,
    predict,
)

MakeModel = Callable[..., PreTrainedModel]
FineTune = Callable[..., FineTuned]
EN = Language.parse("en")
QUICK = AnswerSettings(
    batch_size=4,
    num_epochs=2,
    learning_rate=1e-2,
    window_tokens=48,
    dropout=0.0,
    weight_decay=0.0,
    patience=None,
)
MIXED = (
    Example("t: one", ("no",), "a"),
    Example("t: το δύο", ("ναι ναι",), "b"),
    Example("t: a long prompt of many words", ("",), "c"),
)


@pytest.fixture(scope="session")
def bytes_and_ends(byte_tokenizer: Tokenizer) -> Tokenizer:
    """The 256 bytes, a token for start and end, and one for padding."""
    return with_special_tokens(byte_tokenizer)


@pytest.fixture
def tune(bytes_and_ends: Tokenizer) -> FineTune:
    """Fine-tunes on six sentences, unless told otherwise."""

    def run(model: PreTrainedModel, **changes: Any) -> FineTuned:
        arguments: dict[str, Any] = {
            "tokenizer": bytes_and_ends,
            "examples": letters("abcdef"),
            "valid": task(letters("xyz")),
            "lang": EN,
            "settings": QUICK,
            "start_token": 256,
            "end_token": 256,
            "max_answer_tokens": 4,
            "seed": 0,
            "runtime": Runtime(num_threads=1, device="cpu", precision="float32"),
        } | changes
        return fine_tune(model, arguments.pop("tokenizer"), arguments.pop("examples"), **arguments)

    return run


def letters(words: str) -> tuple[Example, ...]:
    """Sentences labelled by whether the first of their two words ends in a."""
    return tuple(
        Example(f"t: {word}{first} {word}{last}", (str(int(first == "a")),), word + first + last)
        for word in words
        for first, last in itertools.product("ab", repeat=2)
    )


def task(examples: tuple[Example, ...], kind: TaskKind = "entailment") -> TaskData:
    return TaskData(examples, kind, tuple(sorted({e.answers[0] for e in examples})))


def weights(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def answer_nats(
    model: PreTrainedModel, tokenizer: Tokenizer, rows: list[tuple[str, str]]
) -> torch.Tensor:
    """Mean nats of the answers' tokens and end tokens, one row after the other."""
    nats, num_tokens = torch.zeros(()), 0
    for prompt, answer in rows:
        before, after = tokenizer.encode(prompt), [*tokenizer.encode(answer), 256]
        ids = [256, *before, *after]
        log_TV = model(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
        for at in range(len(before) + 1, len(ids)):
            nats = nats - log_TV[at - 1, ids[at]]
        num_tokens += len(after)
    return nats / num_tokens


def test_a_step_is_one_on_the_answers_and_on_nothing_of_the_prompts(
    make_model: MakeModel, bytes_and_ends: Tokenizer, tune: FineTune
) -> None:
    trained, reference = (make_model("llama_untied", 258) for _ in range(2))
    settings = replace(QUICK, num_epochs=1, weight_decay=0.1)
    valid = task(MIXED[:1], "qa")
    tuned = tune(trained, examples=MIXED, valid=valid, settings=settings, max_answer_tokens=13)
    assert (tuned.run.step, tuned.num_cut, tuned.num_left_out) == (1, 0, 0)
    assert tuned.run.num_tokens == 3 + 14 + 1
    assert tuned.run.num_bytes == sum(len((e.prompt + e.answers[0]).encode()) + 1 for e in MIXED)
    loss = answer_nats(reference, bytes_and_ends, [(e.prompt + "\n", e.answers[0]) for e in MIXED])
    assert tuned.run.train_nats == [pytest.approx(float(loss.detach()), rel=1e-5)]
    loss.backward()
    torch.nn.utils.clip_grad_norm_(reference.parameters(), 1.0)
    matrices = [p for p in reference.parameters() if p.dim() > 1]
    vectors = [{"params": [p for p in reference.parameters() if p.dim() < 2], "weight_decay": 0}]
    groups = [{"params": matrices}, *vectors]
    torch.optim.AdamW(groups, lr=1e-2, betas=(0.9, 0.95), weight_decay=0.1).step()
    for name, expected in weights(reference).items():
        moved = (trained.get_parameter(name).detach() - expected).abs()
        # Adam's first step is the gradient's sign: where it is nearly 0, rounding decides.
        assert float((moved > 1e-4).float().mean()) < 0.01, name


def test_long_prompts_are_cut_and_long_answers_left_out(
    make_model: MakeModel, bytes_and_ends: Tokenizer, tune: FineTune
) -> None:
    told = (
        Example("t: " + "x" * 60 + "yz", ("1",), "long"),
        Example("t: short", ("0",), "short"),
        Example("t: short too", ("z" * 50,), "answer"),
    )
    model = make_model("llama_tied", 258)
    settings = replace(QUICK, num_epochs=1, window_tokens=20)
    rows = [("x" * 11 + "yz\n", "1"), ("t: short\n", "0")]  # 20 - start - end - 4 = 14
    expected = float(answer_nats(model, bytes_and_ends, rows).detach())
    tuned = tune(model, examples=told, settings=settings)
    assert (tuned.num_cut, tuned.num_left_out) == (1, 1)
    assert tuned.run.train_nats == [pytest.approx(expected, rel=1e-5)]


def test_a_rule_is_learnt_better_than_by_counting(
    make_model: MakeModel, bytes_and_ends: Tokenizer, tune: FineTune
) -> None:
    model = make_model("llama_tied", 258, initializer_range=0.1)
    train, valid, test = (task(letters(part)) for part in ("abcdefghijklmnopqrst", "uvw", "xyzABC"))
    settings = replace(QUICK, num_epochs=30, batch_size=16, learning_rate=5e-3, patience=10)
    tuned = tune(model, examples=train.examples, valid=valid, settings=settings)
    asked = {"start_token": 256, "window_tokens": 48, "max_answer_tokens": 4}
    found = predict(model, bytes_and_ends, test, labels=train.labels, **asked)
    scores = task_scores(test, found, lang=EN, seed=0)
    floor = majority_baseline(train, test, lang=EN, seed=0)
    assert floor["exact_match"].value == 0.5
    assert scores["exact_match"].value is not None
    assert scores["exact_match"].value > 0.9
    best = predict(model, bytes_and_ends, valid, labels=train.labels, **asked)
    value = task_scores(valid, best, lang=EN, seed=0)["exact_match"].value
    assert value == tuned.best_value == max(p.values["exact_match"] for p in tuned.run.curve)
    assert tuned.run.curve[tuned.best_epoch - 1].values["exact_match"] == value


def test_written_answers_are_learnt_with_their_end(
    make_model: MakeModel, bytes_and_ends: Tokenizer, tune: FineTune
) -> None:
    told = tuple(
        Example(f"question: {n} context: {word}", ("up", "high") if word == "a" else ("down",), "")
        for n in range(8)
        for word in "ab"
    )
    model = make_model("llama_tied", 258, initializer_range=0.1)
    settings = replace(QUICK, num_epochs=15)
    tuned = tune(model, examples=told, valid=task(told[:4], "qa"), settings=settings)
    assert list(tuned.run.curve[0].values) == ["token_f1", "exact_match"]
    asked = {"start_token": 256, "window_tokens": 48, "max_answer_tokens": 4}
    found = predict(model, bytes_and_ends, task(told[:2], "qa"), labels=(), **asked)
    assert found.texts == ("up", "down")
    assert model.generation_config.eos_token_id == 256
    assert found.signature["answers"] == "generated"
    assert found.signature["window"] == 48


def scripted(monkeypatch: pytest.MonkeyPatch, *values: float) -> None:
    """Lets valid judge the epochs as told."""
    told = iter(values)
    monkeypatch.setattr(
        "lingraft.training.answers.task_scores",
        lambda *_, **__: {"exact_match": Score("exact_match", "fraction", next(told), 1.0)},
    )


def test_the_first_best_epoch_stays_and_patience_ends(
    make_model: MakeModel, tune: FineTune, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped, two_epochs = (make_model("llama_tied", 258) for _ in range(2))
    scripted(monkeypatch, 0.2, 0.9, 0.1, 0.9, 0.95)
    tuned = tune(stopped, settings=replace(QUICK, num_epochs=9, patience=2))
    assert (tuned.best_epoch, tuned.best_value, len(tuned.run.curve)) == (2, 0.9, 4)
    scripted(monkeypatch, 0.2, 0.9)
    tune(two_epochs)
    assert all(torch.equal(a, weights(two_epochs)[n]) for n, a in weights(stopped).items())
    scripted(monkeypatch, 0.2, 0.9, 0.1, 0.2, 0.3)
    tuned = tune(stopped, settings=replace(QUICK, num_epochs=5))
    assert (tuned.best_epoch, len(tuned.run.curve), tuned.run.step) == (2, 5, 5 * 6)


@pytest.mark.parametrize("stop", [7, 12, 20, 23])
def test_a_stopped_run_goes_on_as_if_it_had_not_been(
    make_model: MakeModel,
    tune: FineTune,
    tmp_path: Path,
    stop: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole, broken, again = (make_model("llama_tied", 258) for _ in range(3))
    settings = replace(QUICK, num_epochs=4, dropout=0.2)
    values = (0.9, 0.1, 0.2, 0.3)  # the best weights are those of before the stop
    scripted(monkeypatch, *values)
    expected = tune(whole, settings=settings)
    scripted(monkeypatch, *values)
    steps = itertools.count(1)

    def interrupt(_: float, __: str) -> None:
        if next(steps) == stop:
            raise KeyboardInterrupt

    folder = tmp_path / "checkpoints"
    with pytest.raises(KeyboardInterrupt):
        tune(broken, settings=settings, checkpoints=folder, advance=interrupt)
    with pytest.raises(StoreError) as caught:
        tune(broken, settings=settings, checkpoints=folder, seed=1)
    assert "'seed': 1" in caught.value.expected
    assert "'seed': 0" in caught.value.got
    num_judged = (stop - 1) // 6
    scripted(monkeypatch, *values[num_judged:])
    done: list[float] = []
    found = tune(
        again, settings=settings, checkpoints=folder, advance=lambda share, _: done.append(share)
    )
    assert len(done) == 24 - 6 * num_judged
    assert done[-1] == 1.0
    assert (found.best_epoch, found.run.train_nats) == (
        expected.best_epoch,
        expected.run.train_nats,
    )
    assert found.run.curve == expected.run.curve
    assert all(torch.equal(a, weights(again)[n]) for n, a in weights(whole).items())
    assert not any(folder.rglob("*.safetensors"))


def test_dropout_is_of_training_alone(make_model: MakeModel, tune: FineTune) -> None:
    plain, dropped = (make_model("llama_tied", 258) for _ in range(2))
    without = tune(plain)
    settings = replace(QUICK, dropout=0.5)
    tuned = tune(dropped, settings=settings)
    assert abs(tuned.run.train_nats[0] - without.run.train_nats[0]) > 0.01
    x_BT = torch.tensor([[1, 2, 3]])
    dropped.train()
    assert torch.equal(dropped(input_ids=x_BT).logits, dropped(input_ids=x_BT).logits)
    with pytest.raises(ModelError) as caught:
        tune(make_model("gpt2", 258), settings=settings)
    assert caught.value.where == "gpt2"
    assert "o_proj and down_proj" in caught.value.expected
    assert tune(make_model("gpt2", 258)).run.step == 12


@pytest.mark.parametrize(
    ("changes", "expected", "got"),
    [
        ({"examples": ()}, "examples to learn from", "0 and 12"),
        ({"valid": task(())}, "examples to learn from", "24 and 0"),
        ({"settings": replace(QUICK, window_tokens=129)}, "at most 128 tokens", "129"),
        ({"max_answer_tokens": 46}, "answers of 46 tokens and a prompt", "48 tokens"),
        (
            {"examples": (Example("t: a", ("x" * 60,), "a"),)},
            "answers that fit in a window of 48 tokens",
            "none in 1 examples",
        ),
    ],
)
def test_what_cannot_be_learnt_is_refused(
    make_model: MakeModel, tune: FineTune, changes: dict[str, Any], expected: str, got: str
) -> None:
    with pytest.raises(InputError) as caught:
        tune(make_model("llama_tied", 258), **changes)
    assert expected in caught.value.expected
    assert caught.value.got == got


def test_an_undefined_score_on_valid_chooses_nothing(make_model: MakeModel, tune: FineTune) -> None:
    untagged = TaskData((Example("ner: a", ("O",), "a"),), "ner", ("O",))
    model = make_model("llama_tied", 258)
    model.get_input_embeddings().weight.data.zero_()
    with pytest.raises(InputError) as caught:
        tune(model, valid=untagged, settings=replace(QUICK, num_epochs=1, learning_rate=0.0))
    assert caught.value.expected == "a span_f1 on valid to choose the epoch by"
    assert caught.value.got == "nothing to divide by"


@pytest.mark.parametrize(
    "change",
    [{"batch_size": 0}, {"num_epochs": 0}, {"patience": 0}, {"dropout": 1.0}, {"window_tokens": 3}],
)
def test_settings_without_sense_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InputError) as caught:
        replace(PAPER_SETTINGS, **change)
    assert caught.value.got == str({**asdict(PAPER_SETTINGS), **change})
