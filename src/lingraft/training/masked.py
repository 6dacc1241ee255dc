"""Training of encoders: some tokens are hidden, and the model says which they were.

Devlin et al. 2019, with every chosen token hidden: none is swapped for another or left as it is.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from lingraft.seeds import derive
from lingraft.training.batches import IGNORED, Batch
from lingraft.training.stages import Part
from lingraft.training.trainer import Trainer

MASKED_SHARE = 0.15


class MaskedTrainer(Trainer):
    """A `Trainer` of masked language models; batches are packed and stopped like any other.

    Args:
        mask_token: Id that hides a token.
        arguments: Those of `Trainer`.
    """

    causal = False

    def __init__(self, *arguments: Any, mask_token: int, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._mask_token = mask_token

    def step(self, make_batch: Callable[[], Batch], *, part: Part, learning_rate: float) -> None:
        """Hides tokens of the batch, anew in each step, and makes the step on them."""
        seed = derive(self._seed, "masks", self.run.step)
        super().step(
            lambda: hide(make_batch(), mask_token=self._mask_token, seed=seed),
            part=part,
            learning_rate=learning_rate,
        )


def hide(batch: Batch, *, mask_token: int, seed: int) -> Batch:
    """Hides `MASKED_SHARE` of a batch's tokens, start tokens and padding aside.

    Args:
        batch: As packed.
        mask_token: Id that stands in the place of a hidden token.
        seed: Of the choice.

    Returns:
        The batch with the hidden tokens as labels, at their own positions.
    """
    draw_RT = torch.rand(batch.x_RT.shape, generator=torch.Generator().manual_seed(seed))
    hidden_RT = (batch.segment_RT >= 0) & (batch.position_RT > 0) & (draw_RT < MASKED_SHARE)
    return replace(
        batch,
        x_RT=batch.x_RT.masked_fill(hidden_RT, mask_token),
        labels_RT=batch.x_RT.masked_fill(~hidden_RT, IGNORED),
        num_tokens=int(hidden_RT.sum()),
    )
