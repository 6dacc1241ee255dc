"""The loop: its gradient, its budgets, its precision, and what it refuses."""

import math
from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel

from lingraft.corpus.records import Document
from lingraft.errors import InputError, ModelError
from lingraft.model.precision import autocast_dtype
from lingraft.runtime import Runtime
from lingraft.tokenizer import Tokenizer
from lingraft.training import Packing, Schedule, TrainingRun
from lingraft.training.batches import pack
from lingraft.training.loop import evaluation_steps
from lingraft.training.trainer import Trainer
from lingraft.units import Budget

MakeModel = Callable[..., PreTrainedModel]
Train = Callable[..., TrainingRun]
CPU = torch.device("cpu")
PACKING = Packing(batch_bytes=150, window_tokens=128, start_token=0, end_token=1)


def weights_of(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first | second)


@pytest.mark.parametrize("kind", ["llama_tied", "llama_untied", "gpt2"])
def test_the_gradient_is_that_of_the_documents_one_by_one(
    make_model: MakeModel, tokenizer: Tokenizer, documents: list[Document], kind: str
) -> None:
    model = make_model(kind, len(tokenizer))
    trainer = Trainer(
        model, device=CPU, runtime=Runtime(precision="float32"), weight_decay=0.0, seed=0
    )
    loss, gradients = trainer.gradients(pack(documents, tokenizer=tokenizer, packing=PACKING))
    packed = {name: gradients[p] for name, p in model.named_parameters() if p in gradients}
    nats, num_tokens = 0.0, 0
    for document in documents:
        ids = torch.tensor([0, *tokenizer.encode(document.text), 1])
        cost = torch.nn.functional.cross_entropy(
            model(input_ids=ids[None, :-1]).logits[0], ids[1:], reduction="sum"
        )
        cost.backward()
        nats += float(cost.detach())
        num_tokens += len(ids) - 1
    assert loss == pytest.approx(nats / num_tokens, rel=1e-5)
    assert packed.keys() == {name for name, _ in model.named_parameters()}
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None
        torch.testing.assert_close(packed[name], parameter.grad / num_tokens, rtol=1e-3, atol=1e-5)


def test_steps_are_clipped_steps_of_adamw(
    make_model: MakeModel, train: Train, tokenizer: Tokenizer, documents: list[Document]
) -> None:
    size = len(documents[0].text.encode("utf-8"))
    twice = Packing(batch_bytes=2 * size, window_tokens=128, start_token=0, end_token=1)
    schedule = Schedule(0.01, warmup_share=0.5, decay_share=0.5)
    trained, reference = (make_model("llama_untied", len(tokenizer)) for _ in range(2))
    train(
        trained,
        documents=documents[:1],
        packing=twice,
        schedule=schedule,
        budget=Budget(num_steps=3),
        weight_decay=0.1,
    )
    matrices = [p for p in reference.parameters() if p.dim() == 2]
    vectors = [p for p in reference.parameters() if p.dim() == 1]
    optimizers = [
        torch.optim.AdamW(matrices, betas=(0.9, 0.95), weight_decay=0.1, foreach=False),
        torch.optim.AdamW(vectors, betas=(0.9, 0.95), weight_decay=0.0, foreach=False),
    ]
    ids = torch.tensor([[0, *tokenizer.encode(documents[0].text), 1]])
    for step in range(3):
        logits_TV = reference(input_ids=ids[:, :-1]).logits[0]
        reference.zero_grad()
        torch.nn.functional.cross_entropy(logits_TV, ids[0, 1:]).backward()
        norm = torch.cat([p.grad.flatten() for p in reference.parameters()]).norm()
        assert norm > 1, "nothing to clip"
        for parameter in reference.parameters():
            parameter.grad /= norm
        for optimizer in optimizers:
            optimizer.param_groups[0]["lr"] = schedule.at(step / 3, 1 / 3)
            optimizer.step()
    for (name, new), old in zip(trained.named_parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(new, old, rtol=1e-3, atol=1e-4, msg=name)


def test_it_learns_a_text_beyond_its_unigrams(
    make_model: MakeModel, train: Train, tokenizer: Tokenizer, documents: list[Document]
) -> None:
    ids = [*tokenizer.encode(documents[0].text), 1]
    entropy = -sum(n / len(ids) * math.log(n / len(ids)) for n in Counter(ids).values())
    settings = {"documents": documents[:1], "budget": Budget(num_steps=60)}
    run = train(make_model("llama_tied", len(tokenizer)), **settings)
    assert run.train_nats[0] > math.log(len(tokenizer)) - 1
    assert run.train_nats[-1] < 0.1 * entropy
    still = train(make_model("llama_tied", len(tokenizer)), schedule=Schedule(0.0), **settings)
    assert still.train_nats[-1] == pytest.approx(still.train_nats[0], rel=1e-5)


def test_two_tokenizers_see_the_same_text_in_every_step(
    make_model: MakeModel, train: Train, tokenizer: Tokenizer, other_tokenizer: Tokenizer
) -> None:
    runs = [
        train(
            make_model("llama_tied", len(chosen)),
            tokenizer=chosen,
            budget=Budget(num_bytes=1500),
            evaluate=lambda _: {},
            num_evaluations=1000,
        )
        for chosen in (tokenizer, other_tokenizer)
    ]
    first, second = ([(point.step, point.num_bytes) for point in run.curve] for run in runs)
    assert first == second
    assert len(first) == runs[0].step + 1 > 4
    assert runs[0].num_tokens != runs[1].num_tokens
    assert first[0] == (0, 0)
    assert 1500 - 200 < first[-1][1] <= 1500


def test_the_same_arguments_give_the_same_bits_and_another_seed_others(
    make_model: MakeModel, train: Train, tokenizer: Tokenizer
) -> None:
    # Dropout is part of GPT-2, and what others draw must not change it, nor the other way round.
    ends = []
    for seed in (0, 0, 1):
        torch.manual_seed(len(ends))
        before = torch.random.get_rng_state()
        model = make_model("gpt2", len(tokenizer))
        assert model.config.resid_pdrop > 0
        run = train(model, seed=seed)
        assert torch.equal(torch.random.get_rng_state(), before)
        ends.append((run.train_nats, weights_of(model)))
    assert ends[0][0] == ends[1][0]
    assert equal(ends[0][1], ends[1][1])
    assert ends[2][0] != ends[0][0]


def test_dropout_differs_between_steps(
    make_model: MakeModel, train: Train, tokenizer: Tokenizer, documents: list[Document]
) -> None:
    run = train(make_model("gpt2", len(tokenizer)), documents=documents[:1], schedule=Schedule(0.0))
    assert len(set(run.train_nats)) == run.step


def test_weights_stay_float32_under_bfloat16(
    make_model: MakeModel, train: Train, tokenizer: Tokenizer
) -> None:
    models = [make_model("llama_untied", len(tokenizer)) for _ in range(2)]
    exact, rounded = (
        train(model, runtime=Runtime(num_threads=1, device="cpu", precision=precision))
        for model, precision in zip(models, ("float32", "bfloat16"), strict=True)
    )
    assert {p.dtype for p in models[1].parameters()} == {torch.float32}
    assert rounded.train_nats != exact.train_nats
    assert rounded.train_nats == pytest.approx(exact.train_nats, rel=0.1)
    # Weights keep digits that bfloat16 has no room for.
    weight = models[1].get_input_embeddings().weight
    assert not torch.equal(weight, weight.bfloat16().float())


@pytest.mark.parametrize("present", [True, False])
def test_precision_is_chosen_by_the_user_or_by_the_hardware(
    monkeypatch: pytest.MonkeyPatch, present: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: present, raising=False)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: present)
    for device in (CPU, torch.device("cuda")):
        assert autocast_dtype(device, Runtime()) == (torch.bfloat16 if present else None)
        assert autocast_dtype(device, Runtime(precision="bfloat16")) == torch.bfloat16
        assert autocast_dtype(device, Runtime(precision="float32")) is None
    assert autocast_dtype(torch.device("mps"), Runtime()) is None


@pytest.mark.usefixtures("one_second_a_look")
def test_a_budget_in_seconds_ends_when_they_are_used_up(
    make_model: MakeModel, train: Train, tokenizer: Tokenizer
) -> None:
    shares: list[float] = []
    run = train(
        make_model("llama_tied", len(tokenizer)),
        budget=Budget(num_seconds=25.0),
        evaluate=lambda _: {},
        num_evaluations=3,
        advance=lambda done, note: shares.append(done),
    )
    assert (run.step, run.seconds) == (25, 25.0)
    assert shares == pytest.approx([step / 25 for step in range(1, 26)])
    assert [
        (point.step, seconds) for point, seconds in zip(run.curve, run.curve_seconds, strict=True)
    ] == [
        (0, 0.0),
        (25, 25.0),
    ]


def test_evaluations_are_evenly_spaced_and_the_last_step_is_one() -> None:
    assert evaluation_steps(10, 0) == set()
    assert evaluation_steps(10, 1) == {10}
    assert evaluation_steps(10, 4) == {3, 5, 8, 10}
    assert evaluation_steps(3, 10) == {1, 2, 3}
    assert all(max(evaluation_steps(n, k)) == n for n in range(1, 40) for k in range(1, 40))


def test_the_curve_notes_what_the_evaluation_saw(
    make_model: MakeModel, train: Train, tokenizer: Tokenizer
) -> None:
    def evaluate(model: PreTrainedModel) -> dict[str, Any]:
        assert not model.training
        return {"norm": float(model.get_input_embeddings().weight.detach().norm())}

    model = make_model("gpt2", len(tokenizer))
    start = evaluate(model)
    told: list[tuple[float, str]] = []
    run = train(
        model,
        evaluate=evaluate,
        num_evaluations=3,
        advance=lambda done, note: told.append((done, note)),
    )
    assert [point.step for point in run.curve] == [0, 2, 4, 6]
    assert run.curve[0].values == start
    assert run.curve[-1].values == evaluate(model)
    assert [done for done, _ in told] == pytest.approx([k / 6 for k in range(1, 7)])
    assert [note for _, note in told] == [f"{nats:.2f} nats/token" for nats in run.train_nats]
    assert not model.training
    unwatched = make_model("gpt2", len(tokenizer))
    train(unwatched)
    assert equal(weights_of(unwatched), weights_of(model)), "evaluating changed the training"


def test_empty_documents_teach_nothing(
    make_model: MakeModel, train: Train, tokenizer: Tokenizer, documents: list[Document]
) -> None:
    models = [make_model("llama_tied", len(tokenizer)) for _ in range(2)]
    empty = Document("", "empty")
    packing = Packing(batch_bytes=150, window_tokens=128, start_token=0, end_token=None)
    train(models[0], packing=packing, budget=Budget(num_bytes=900))
    train(models[1], packing=packing, budget=Budget(num_bytes=900), documents=[*documents, empty])
    spread = [empty, *documents, empty]
    third = make_model("llama_tied", len(tokenizer))
    run = train(third, packing=packing, budget=Budget(num_bytes=900), documents=spread)
    assert equal(weights_of(models[0]), weights_of(models[1]))
    assert equal(weights_of(models[0]), weights_of(third))
    assert all(math.isfinite(nats) and nats > 0 for nats in run.train_nats)


def test_text_without_tokens_teaches_nothing(
    make_model: MakeModel, train: Train, lossy_tokenizer: Tokenizer
) -> None:
    model = make_model("llama_tied", len(lossy_tokenizer))
    before = weights_of(model)
    run = train(
        model,
        tokenizer=lossy_tokenizer,
        documents=[Document("   ", "space")],
        packing=Packing(batch_bytes=3, window_tokens=8, start_token=0, end_token=None),
        budget=Budget(num_steps=2),
    )
    assert (run.train_nats, run.num_tokens, run.num_bytes) == ([0.0, 0.0], 0, 6)
    assert equal(weights_of(model), before)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"budget": Budget(num_bytes=149)},
            "^budget: expected a budget of at least one batch, 150 bytes, got 149 bytes; raise",
        ),
        (
            {"budget": Budget(num_bytes=150), "documents": [Document("x" * 151, "long")]},
            "^budget: expected a budget that holds at least the first document, got 150 bytes",
        ),
        ({"documents": []}, "^documents: expected text to train on, got 0 documents without any"),
        ({"documents": [Document("", "e")]}, "expected text to train on, got 1 documents without"),
        (
            {"packing": Packing(batch_bytes=9, window_tokens=129, start_token=0, end_token=1)},
            "^window_tokens: expected a window of at most 128 tokens, .*, got 129$",
        ),
        (
            {"runtime": Runtime(num_threads=1, device="abacus")},
            "^device: expected a device that torch can use here, or auto, got 'abacus'; ",
        ),
    ],
)
def test_what_cannot_be_trained_is_refused(
    make_model: MakeModel, train: Train, changes: dict[str, Any], message: str
) -> None:
    model = make_model("llama_tied", 402)
    before = weights_of(model)
    with pytest.raises(InputError, match=message):
        train(model, **changes)
    assert equal(weights_of(model), before)


def test_low_precision_weights_are_refused(make_model: MakeModel, train: Train) -> None:
    model = make_model("llama_tied", 402).bfloat16()
    with pytest.raises(
        ModelError, match=r"got torch\.bfloat16 in model\.embed_tokens\.weight; load"
    ):
        train(model)


def test_a_loss_that_is_no_number_ends_the_run(make_model: MakeModel, train: Train) -> None:
    model = make_model("llama_tied", 402)
    with torch.no_grad():
        model.model.norm.weight.fill_(math.inf)
    with pytest.raises(ModelError, match=r"^step 1: expected a finite training loss, got nan nats"):
        train(model)


def test_the_best_device_is_found_by_itself(
    make_model: MakeModel, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lingraft.model.precision.Accelerator", lambda: SimpleNamespace(device=CPU))
    runtime = Runtime(num_threads=1, device="auto", precision="float32")
    assert train(make_model("llama_tied", 402), runtime=runtime).step == 6
