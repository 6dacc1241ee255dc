"""What a training run did, as it is told, stored and drawn."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Advance = Callable[[float, str], None]
"""What the loop tells of its progress: the share of the budget that is used, and a note."""


@dataclass(frozen=True)
class CurvePoint:
    """What an evaluation found after some training; clock readings are kept apart.

    Attributes:
        step: Optimiser steps made.
        num_bytes: Bytes of text trained on.
        num_tokens: Tokens predicted.
        values: JSON values, as the evaluation gave them.
    """

    step: int
    num_bytes: int
    num_tokens: int
    values: dict[str, Any]


@dataclass
class TrainingRun:
    """What a training did.

    Attributes:
        step: Optimiser steps made.
        num_bytes: Bytes of text trained on.
        num_tokens: Tokens predicted.
        train_nats: Mean training loss of each step, in nats per token.
        curve: Evaluations, the first before any training.
        curve_seconds: Training seconds at each evaluation, evaluations themselves left out.
        seconds: Training seconds in all, those before an interruption included.
    """

    step: int = 0
    num_bytes: int = 0
    num_tokens: int = 0
    train_nats: list[float] = field(default_factory=list)
    curve: list[CurvePoint] = field(default_factory=list)
    curve_seconds: list[float] = field(default_factory=list)
    seconds: float = 0.0
