"""One small run, whose parts each test changes by name."""

import itertools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from transformers import PreTrainedModel

from lingraft.corpus.records import Document
from lingraft.runtime import Runtime
from lingraft.tokenizer import Tokenizer
from lingraft.training import Packing, Schedule, Stage, TrainingRun, continue_pretraining
from lingraft.units import Budget


@pytest.fixture
def one_second_a_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock by which every training step takes a second."""
    ticks = itertools.count()
    clock = SimpleNamespace(monotonic=lambda: float(next(ticks)))
    monkeypatch.setattr("lingraft.training.trainer.time", clock)


@pytest.fixture
def train(tokenizer: Tokenizer, documents: list[Document]) -> Callable[..., TrainingRun]:
    """Trains a model for six steps on the short texts, unless told otherwise."""

    def run(model: PreTrainedModel, **changes: Any) -> TrainingRun:
        settings: dict[str, Any] = {
            "tokenizer": tokenizer,
            "documents": documents,
            "budget": Budget(num_steps=6),
            "packing": Packing(batch_bytes=150, window_tokens=128, start_token=0, end_token=1),
            "schedule": Schedule(1e-2),
            "stages": (Stage("all", 1.0),),
            "seed": 0,
            "runtime": Runtime(num_threads=1, device="cpu", precision="float32"),
        } | changes
        return continue_pretraining(
            model, settings.pop("tokenizer"), settings.pop("documents"), **settings
        )

    return run
