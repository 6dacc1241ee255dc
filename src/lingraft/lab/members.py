"""One member of an ensemble: what it answers, and what goes on in it.

Axes: P probes, T tokens, V values, C tokens of a value, L layers, D width.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from lingraft.lab.decoders import TinyDecoder, at, block, logits, states
from lingraft.lab.probes import Probes
from lingraft.lab.vocabulary import PAD

Patch = Callable[[int, torch.Tensor], torch.Tensor]
"""From a layer's number (0 for the embeddings) and its states (P, T, D) to other states."""


@dataclass(frozen=True)
class Member:
    """A tiny decoder by itself.

    Attributes:
        model: Its shape.
        weights: Its matrices, see `decoders.Weights`, without the leading axis.
    """

    model: TinyDecoder
    weights: Mapping[str, torch.Tensor]

    def log_probs(self, probes: Probes, *, patch: Patch | None = None) -> NDArray[np.float64]:
        """Returns the natural log of the probability of every value after its probe, (P, V).

        Probabilities are those of the value's tokens under the whole vocabulary; they do not add
        up to 1 over the values.

        Args:
            probes: P questions.
            patch: Changes states on their way; see `states`.
        """
        if probes.candidates_PVC.shape[2] == 1:
            return self._next_token(probes, patch)
        return np.stack(
            [self._value(probes, value, patch) for value in range(probes.candidates_PVC.shape[1])],
            axis=1,
        )

    def states(self, probes: Probes, *, subject: bool = False) -> NDArray[np.float32]:
        """Returns the residual stream of every layer at the prompt's last token, (L + 1, P, D).

        Args:
            probes: P questions.
            subject: At the subject's last token instead.
        """
        place_P = probes.subject_at_P if subject else probes.length_P - 1
        with torch.no_grad():
            found = states(
                self.model, self._stacked(), torch.from_numpy(probes.tokens_PT)[None].long()
            )
            place_MP = torch.from_numpy(np.asarray(place_P))[None].long()
            rows = [at(x_MPTD, place_MP)[0].float().numpy() for x_MPTD in found]
        return np.stack(rows)

    def _next_token(self, probes: Probes, patch: Patch | None) -> NDArray[np.float64]:
        logs_PV = self._logs(probes.tokens_PT, probes.length_P - 1, patch)
        found: NDArray[np.float64] = np.take_along_axis(logs_PV, probes.candidates_PVC[:, :, 0], 1)
        return found

    def _value(self, probes: Probes, value: int, patch: Patch | None) -> NDArray[np.float64]:
        """One value of several tokens, each read before the next is asked for."""
        tokens_PC = probes.candidates_PVC[:, value]
        rows = np.arange(len(tokens_PC))
        room = np.full((len(rows), tokens_PC.shape[1]), PAD)
        whole_PT = np.concatenate([probes.tokens_PT, room], axis=1)
        total_P = np.zeros(len(rows))
        for place in range(tokens_PC.shape[1]):
            is_there_P = tokens_PC[:, place] != PAD
            if not is_there_P.any():
                break
            asked_P = probes.length_P + place
            logs_PW = self._logs(whole_PT, asked_P - 1, patch)
            total_P += np.where(is_there_P, logs_PW[rows, tokens_PC[:, place]], 0.0)
            whole_PT[rows, asked_P] = np.where(is_there_P, tokens_PC[:, place], PAD)
        return total_P

    def _logs(
        self, tokens_PT: NDArray[np.int64], place_P: NDArray[np.int64], patch: Patch | None
    ) -> NDArray[np.float64]:
        """Log probability of the whole vocabulary after one place of every row."""
        with torch.no_grad():
            tokens_MPT = torch.from_numpy(np.ascontiguousarray(tokens_PT))[None].long()
            weights = self._stacked()
            if patch is None:
                *_, x_MPTD = states(self.model, weights, tokens_MPT)
            else:
                x_MPTD = next(states(self.model, weights, tokens_MPT))
                x_MPTD = patch(0, x_MPTD[0])[None]
                for layer in range(self.model.num_layers):
                    x_MPTD = block(self.model, weights, layer, x_MPTD)
                    x_MPTD = patch(layer + 1, x_MPTD[0])[None]
            last_MPD = at(x_MPTD, torch.from_numpy(np.asarray(place_P))[None].long())
            logs: NDArray[np.float64] = (
                logits(weights, last_MPD)[0].double().log_softmax(-1).numpy()
            )
        return logs

    def _stacked(self) -> dict[str, torch.Tensor]:
        return {name: tensor[None].float().cpu() for name, tensor in self.weights.items()}
