"""All that a measurement knows of a model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Scored:
    """How surprised a model was by one continuation.

    Attributes:
        nats: Minus the log-likelihood of the continuation; None where it has none.
        num_bytes: UTF-8 bytes of the continuation's own text.
        num_tokens: Tokens that were scored.
        reason: Why `nats` is None.
    """

    nats: float | None
    num_bytes: int
    num_tokens: int
    reason: str = ""


class Scorer(Protocol):
    """Anything that gives a text a likelihood: a language model, a table of counts."""

    @property
    def signature(self) -> Mapping[str, Any]:
        """The settings that a score depends on, as JSON values."""
        ...

    def score(self, requests: Sequence[tuple[str, str]]) -> list[Scored]:
        """Scores (prompt, continuation) pairs, each on its own."""
        ...


class Generator(Protocol):
    """Anything that goes on with a prompt."""

    def generate(self, prompts: Sequence[str], *, max_new_tokens: int) -> list[str]:
        """Returns the continuation of each prompt, without the prompt."""
        ...
