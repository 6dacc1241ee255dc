"""A causal language model as a `Scorer` and a `Generator`.

Axes: B batch, T tokens, V vocabulary.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from transformers import PreTrainedModel

from lingraft.measurement.protocols import Scored
from lingraft.tokenizer.tokenizer import Tokenizer

_TOKENS_AT_ONCE = 2048


class CausalScorer:
    """Scores and continues texts with a causal language model, in float32.

    Each text is read after one start token, which costs nothing; no end token is scored. A text
    longer than the window is read in overlapping windows, in which every token has at least half
    a window before it.

    Args:
        model: Any causal language model of transformers.
        tokenizer: Its tokenizer.
        start_token: Id that stands before every text.
        window: Tokens that the model sees at once, the start token included.
        bias_V: Added to the logits, shape (V,); for the fitted unigram bias.
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
        """Scores continuations; a token that spans prompt and continuation belongs to the latter."""
        self._model.eval()
        windows: list[tuple[int, list[int], int]] = []  # request, ids, first scored position
        facts: list[tuple[int, int, str]] = []
        for number, (prompt, text) in enumerate(requests):
            ids, first = self._join(prompt, text)
            spelt = self._tokenizer.vocabulary.bytes_of(ids)
            whole = (prompt + text).encode("utf-8")
            reason = "" if spelt == whole else "the tokenizer loses bytes of the text"
            facts.append((len(text.encode("utf-8")), len(ids) - first, reason))
            if not reason and ids:
                windows.extend(
                    (number, *part) for part in _cut(ids, first, self._start_token, self._window)
                )
        nats = [0.0] * len(requests)
        for batch in _batches(windows):
            for (number, _, _), cost in zip(batch, self._costs(batch), strict=True):
                nats[number] += cost
        return [
            Scored(None if reason else nats[number], num_bytes, num_tokens, reason)
            for number, (num_bytes, num_tokens, reason) in enumerate(facts)
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

    def _join(self, prompt: str, text: str) -> tuple[list[int], int]:
        """Returns the ids of prompt and text together and where the text's tokens begin.

        Encoding the two apart would give ids that the joined text never has.
        """
        if not prompt:
            return self._tokenizer.encode(text), 0
        [(ids, spans)] = self._tokenizer.encode_with_offsets([prompt + text])
        first = next(
            (at for at, (_, end) in enumerate(spans) if end > len(prompt)), len(ids)
        )
        return ids, first

    def _costs(self, batch: Sequence[tuple[int, list[int], int]]) -> list[float]:
        """Returns the nats of each window's scored tokens, summed in float64."""
        longest = max(len(ids) for _, ids, _ in batch)
        x_BT = torch.zeros((len(batch), longest), dtype=torch.long)
        counted_BT = torch.zeros((len(batch), longest), dtype=torch.bool)
        for row, (_, ids, first) in enumerate(batch):
            x_BT[row, : len(ids)] = torch.tensor(ids)
            counted_BT[row, first : len(ids)] = True
        x_BT = x_BT.to(self._model.device)
        # Padding stands on the right, where a causal model never looks back from.
        logits_BTV = self._model(input_ids=x_BT, use_cache=False).logits[:, :-1].float()
        if self._bias_V is not None:
            logits_BTV = logits_BTV + self._bias_V
        nats_BT = torch.nn.functional.cross_entropy(
            logits_BTV.transpose(1, 2), x_BT[:, 1:], reduction="none"
        )
        counted_BT = counted_BT[:, 1:].to(nats_BT.device)
        costs: list[float] = (nats_BT.double() * counted_BT).sum(dim=1).tolist()
        return costs


def _cut(
    ids: list[int], first: int, start_token: int, window: int
) -> list[tuple[list[int], int]]:
    """Cuts a text into windows after the start token; each token is scored exactly once."""
    room = window - 1
    parts = [([start_token, *ids[:room]], first + 1)]
    scored = room
    while scored < len(ids):
        end = min(scored + max(room // 2, 1), len(ids))
        begin = max(end - room, 0)
        parts.append(([start_token, *ids[begin:end]], max(scored, first) - begin + 1))
        scored = end
    return parts


def _batches(
    windows: list[tuple[int, list[int], int]],
) -> list[list[tuple[int, list[int], int]]]:
    """Groups windows of like length, so that little of a batch is padding."""
    batches: list[list[tuple[int, list[int], int]]] = []
    for window in sorted(windows, key=lambda item: (-len(item[1]), item[0])):
        if batches and (len(batches[-1]) + 1) * len(batches[-1][0][1]) <= _TOKENS_AT_ONCE:
            batches[-1].append(window)
        else:
            batches.append([window])
    return batches
