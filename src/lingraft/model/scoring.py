"""A causal language model as a `Scorer` and a `Generator`.

Axes: B batch, T tokens, V vocabulary.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from transformers import PreTrainedModel

from lingraft.errors import InputError
from lingraft.measurement.protocols import Scored
from lingraft.measurement.requests import tokenize_requests
from lingraft.model.batching import batches_by_length
from lingraft.tokenizer.tokenizer import Tokenizer


class Window(NamedTuple):
    """A stretch of a text that the model sees at once.

    Attributes:
        request: Number of the request.
        ids: The start token and the stretch.
        first: Position in `ids` of the first token to score.
    """

    request: int
    ids: list[int]
    first: int


class CausalScorer:
    """Scores and continues texts with a causal language model; costs are summed in float64.

    Each text is read after one start token, which costs nothing; no end token is scored. A text
    longer than the window is read in overlapping windows, in which every token has at least half
    a window before it.

    Args:
        model: Any causal language model of transformers.
        tokenizer: Its tokenizer.
        start_token: Id that stands before every text.
        window: Tokens that the model sees at once, the start token included.
        bias_V: Added to the logits, shape (V,); for the fitted unigram bias.

    Raises:
        InputError: The window has no room for a token after the start token.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: Tokenizer,
        *,
        start_token: int,
        window: int = 512,
        bias_V: torch.Tensor | None = None,
    ) -> None:
        if window < 2:
            raise InputError(
                expected="a window of at least 2 tokens, the start token included",
                got=str(window),
                where="window",
            )
        self._model = model
        self._tokenizer = tokenizer
        self._start_token = start_token
        self._window = min(window, getattr(model.config, "max_position_embeddings", window))
        self._bias_V = bias_V

    @property
    def signature(self) -> Mapping[str, Any]:
        """Start token, window and bias."""
        return {
            "model": "causal language model",
            "start_token": self._tokenizer.vocabulary.describe(self._start_token),
            "window": self._window,
            "bias": "none" if self._bias_V is None else "unigram",
        }

    @torch.inference_mode()
    def score(self, requests: Sequence[tuple[str, str]]) -> list[Scored]:
        """Scores continuations; a token that spans prompt and continuation is the latter's."""
        self._model.eval()
        tokenized = tokenize_requests(requests, self._tokenizer)
        windows = [
            Window(number, ids, first)
            for number, request in enumerate(tokenized)
            if not request.reason
            for ids, first in cut(request.ids, request.first, self._start_token, self._window)
        ]
        nats = [0.0] * len(requests)
        for batch in batches_by_length(windows):
            for window, cost in zip(batch, self._costs(batch), strict=True):
                nats[window.request] += cost
        return [
            Scored(
                None if request.reason else cost,
                request.num_bytes,
                request.num_tokens,
                request.reason,
            )
            for request, cost in zip(tokenized, nats, strict=True)
        ]

    @torch.inference_mode()
    def generate(self, prompts: Sequence[str], *, max_new_tokens: int) -> list[str]:
        """Continues each prompt greedily; the same model gives the same text."""
        self._model.eval()
        texts = []
        for prompt in prompts:
            ids = [self._start_token, *self._tokenizer.encode(prompt)]
            x_BT = torch.tensor([ids], device=self._model.device)
            out_BT = self._model.generate(
                x_BT,
                attention_mask=torch.ones_like(x_BT),
                max_new_tokens=max_new_tokens,
                do_sample=False,
                pad_token_id=self._tokenizer.role_id("eos_token"),
            )
            texts.append(self._tokenizer.decode(out_BT[0, len(ids) :].tolist()))
        return texts

    def _costs(self, batch: Sequence[Window]) -> list[float]:
        """Returns the nats of each window's scored tokens."""
        longest = max(len(window.ids) for window in batch)
        x_BT = torch.zeros((len(batch), longest), dtype=torch.long)
        for row, window in enumerate(batch):
            x_BT[row, : len(window.ids)] = torch.tensor(window.ids)
        x_BT = x_BT.to(self._model.device)
        # Padding stands on the right, where a causal model never looks back from.
        logits_BTV = self._model(input_ids=x_BT, use_cache=False).logits
        costs = []
        for row, (_, ids, first) in enumerate(batch):
            logits_TV = logits_BTV[row, first - 1 : len(ids) - 1].float()
            if self._bias_V is not None:
                logits_TV = logits_TV + self._bias_V.to(logits_TV)
            costs.append(_nats(logits_TV, x_BT[row, first : len(ids)]))
        return costs


def _nats(logits_TV: torch.Tensor, target_T: torch.Tensor) -> float:
    """Sums −log softmax of the targets: exponentials in float32, sums in float64.

    With the largest logit taken off first, a uniform model costs log V to the last digit.
    """
    # Apple's GPUs have no float64.
    dtype = torch.float32 if logits_TV.device.type == "mps" else torch.float64
    shifted_TV = logits_TV - logits_TV.amax(dim=-1, keepdim=True)
    log_total_T = shifted_TV.exp().sum(dim=-1, dtype=dtype).log()
    chosen_T = shifted_TV.gather(-1, target_T[:, None])[:, 0].to(dtype)
    return float((log_total_T - chosen_T).sum())


def cut(
    ids: list[int], first: int, start_token: int, window: int
) -> Iterator[tuple[list[int], int]]:
    """Cuts a text into windows after the start token; each token is scored exactly once.

    Args:
        ids: Tokens of the text.
        first: The first token to score; where the windows lie does not depend on it.
        start_token: Stands before each window.
        window: Tokens of a window at most, the start token included.

    Yields:
        Tokens of a window and the position in it of the first one to score.
    """
    room = window - 1
    scored = 0
    while scored < len(ids):
        end = min(scored + (max(room // 2, 1) if scored else room), len(ids))
        begin = max(end - room, 0)
        if end > first:
            yield [start_token, *ids[begin:end]], max(scored, first) - begin + 1
        scored = end
