"""All that a measurement knows of a model.

Axes: L + 1 states of L layers, P prompts, D width.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Position = Literal["last", "subject"]
"""Where a state is read: at the prompt's last token, or at the last one of its subject."""


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


@dataclass(frozen=True, slots=True)
class Prompt:
    """A text that asks for something.

    Attributes:
        text: What the model reads.
        subject: Half-open span of characters of what it is about, or None.
    """

    text: str
    subject: tuple[int, int] | None = None


class StateReader(Protocol):
    """Anything with layers between a prompt and its answer."""

    @property
    def num_layers(self) -> int:
        """Number of layers, L."""
        ...

    def read(self, prompts: Sequence[Prompt], *, at: Position = "last") -> NDArray[np.float32]:
        """Returns the states at one token of each prompt, shape (L + 1, P, D).

        State 0 is what enters the first layer, state l what leaves layer l.
        """
        ...

    def patched(
        self,
        requests: Sequence[tuple[Prompt, str]],
        states_PD: NDArray[np.float32],
        *,
        layer: int,
        at: Position = "last",
    ) -> list[Scored]:
        """Scores continuations while another state stands after a layer at one token."""
        ...
