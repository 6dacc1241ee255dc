"""A masked language model as a `Scorer`: pseudo-likelihood of a text.

Salazar et al. 2020, arXiv 1910.14659: each token in turn is hidden and costs what the model gives
it there. The costs add up to no likelihood, since the model sees both sides of every token: they
compare masked models with each other and with nothing else.
Axes: B copies, T tokens, V vocabulary.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from transformers import PreTrainedModel

from lingraft.errors import InputError
from lingraft.measurement.protocols import Scored
from lingraft.measurement.requests import tokenize_requests
from lingraft.tokenizer import Tokenizer

_TOKENS_AT_ONCE = 4096


class MaskedScorer:
    """Scores texts with a masked language model; costs are summed in float64.

    A text longer than the window is read in windows side by side, each after the start token.

    Args:
        model: Any masked language model of transformers.
        tokenizer: Its tokenizer, with a mask token.
        start_token: Id that stands before every window and costs nothing.
        window: Tokens that the model sees at once, the start token included.

    Raises:
        InputError: The tokenizer has no mask token, or the window no room for a text.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: Tokenizer,
        *,
        start_token: int,
        window: int = 128,
    ) -> None:
        mask = tokenizer.role_id("mask_token")
        if mask is None or window < 2:
            raise InputError(
                expected="a tokenizer with a mask token, and a window of at least 2 tokens",
                got=f"{'no' if mask is None else 'a'} mask token, window {window}",
                where="masked scoring",
            )
        self._model, self._tokenizer = model, tokenizer
        self._start_token, self._mask, self._window = start_token, mask, window

    @property
    def signature(self) -> Mapping[str, Any]:
        """Start token and window."""
        return {
            "model": "masked language model, pseudo-likelihood",
            "start_token": self._tokenizer.vocabulary.describe(self._start_token),
            "window": self._window,
        }

    @torch.inference_mode()
    def score(self, requests: Sequence[tuple[str, str]]) -> list[Scored]:
        """Scores continuations; the prompt is seen and costs nothing."""
        self._model.eval()
        return [
            Scored(
                None if request.reason else self._cost(request.ids, request.first),
                request.num_bytes,
                request.num_tokens,
                request.reason,
            )
            for request in tokenize_requests(requests, self._tokenizer)
        ]

    def _cost(self, ids: list[int], first: int) -> float:
        """The nats of the tokens from `first` on, each hidden alone."""
        nats = 0.0
        for x_T, places in self._windows(ids, first):
            at_once = max(_TOKENS_AT_ONCE // len(x_T), 1)
            for begin in range(0, len(places), at_once):
                hidden = torch.tensor(places[begin : begin + at_once])
                x_BT = x_T.repeat(len(hidden), 1)
                copies = torch.arange(len(hidden))
                x_BT[copies, hidden] = self._mask
                logits_BTV = self._model(input_ids=x_BT.to(self._model.device)).logits
                chosen_BV = logits_BTV[copies, hidden].float().log_softmax(-1)
                nats -= float(chosen_BV.cpu()[copies, x_T[hidden]].double().sum())
        return nats

    def _windows(self, ids: list[int], first: int) -> Iterator[tuple[torch.Tensor, list[int]]]:
        """Yields each window and the places in it that are to be scored."""
        room = self._window - 1
        for begin in range(0, len(ids), room):
            part = ids[begin : begin + room]
            places = [1 + at for at in range(len(part)) if begin + at >= first]
            yield torch.tensor([self._start_token, *part]), places
