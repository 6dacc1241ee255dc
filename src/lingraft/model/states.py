"""A causal language model as a `StateReader`: its residual states, also with others in their place.

Axes: L + 1 states of L layers, P prompts, B batch, T tokens, D width, V vocabulary, K continuations
of a prompt.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from transformers import PreTrainedModel

from lingraft.errors import InputError
from lingraft.measurement.protocols import Position, Prompt, Scored
from lingraft.measurement.requests import tokenize_requests
from lingraft.model.batching import batches_by_length
from lingraft.tokenizer.tokenizer import Tokenizer

_PROMPTS_AT_ONCE = 64


@dataclass(frozen=True)
class LogitLens:
    """What each layer would say if it were the last one.

    Attributes:
        top_tokens: Text of the most probable next token, for each of L + 1 states and P prompts.
        log_probs_LPK: float32, natural logarithm of the probability of the first token of each of
            K continuations.
        first_ids_PK: int64, that token. Continuations with one first token cannot be told apart.
    """

    top_tokens: tuple[tuple[str, ...], ...]
    log_probs_LPK: NDArray[np.float32]
    first_ids_PK: NDArray[np.int64]


class _Sequence(NamedTuple):
    """One row: its ids after the start token, where to read or patch, where scoring begins."""

    number: int
    ids: list[int]
    at: int
    first: int


class CausalStateReader:
    """Reads and replaces the residual states of a decoder of transformers.

    State 0 is what enters the first layer (embeddings, and positions where the model adds them),
    state l what leaves layer l; the final norm is in none of them. As in `CausalScorer`, each text
    stands after one start token.

    Args:
        model: A causal language model with one list of layers and one norm after it, as Llama,
            GPT-2 or Qwen have them.
        tokenizer: Its tokenizer.
        start_token: Id that stands before every text.
        window: Tokens that the model sees at once, the start token included.

    Raises:
        InputError: The model is built in another way.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: Tokenizer,
        *,
        start_token: int,
        window: int = 512,
    ) -> None:
        self._model, self._tokenizer, self._start_token = model, tokenizer, start_token
        self._layers, self._norm = _decoder(model)
        self._window = min(window, getattr(model.config, "max_position_embeddings", window))

    @property
    def num_layers(self) -> int:
        """Number of layers, L."""
        return len(self._layers)

    @property
    def window_tokens(self) -> int:
        """Tokens that the model sees at once, the start token included."""
        return self._window

    @torch.inference_mode()
    def read(self, prompts: Sequence[Prompt], *, at: Position = "last") -> NDArray[np.float32]:
        """Returns the states at one token of each prompt, shape (L + 1, P, D).

        Args:
            prompts: Texts, with their subjects for ``at="subject"``.
            at: ``"last"``, the prompt's last token, or ``"subject"``, the last token that overlaps
                the subject's characters.

        Raises:
            InputError: A prompt is empty or does not fit into the window, or has no subject where
                one is asked for.
        """
        self._model.eval()
        rows = self._rows([(prompt, "") for prompt in prompts], at)
        width = self._model.get_input_embeddings().weight.shape[1]
        states_LPD = np.zeros((self.num_layers + 1, len(rows), width), dtype=np.float32)
        for batch in batches_by_length(rows):
            numbers = [row.number for row in batch]
            positions_B = torch.tensor([row.at for row in batch])
            with self._captured(positions_B) as found:
                self._model(input_ids=self._padded(batch), use_cache=False)
            states_LPD[:, numbers] = torch.stack(found).float().cpu().numpy()
        return states_LPD

    @torch.inference_mode()
    def patched(
        self,
        requests: Sequence[tuple[Prompt, str]],
        states_PD: NDArray[np.float32],
        *,
        layer: int,
        at: Position = "last",
    ) -> list[Scored]:
        """Scores continuations while a state of another run stands in the place of the own one.

        Causal patching: what the layers above make of the state tells what it holds. Prompt and
        continuation are cut into tokens as one text; the place of ``"last"`` is the last token
        before the continuation's.

        Args:
            requests: Prompts and continuations.
            states_PD: The states to put in, as `read` gives them for this layer.
            layer: 0 for what enters the first layer, l for what leaves layer l.
            at: Which token's state is replaced.

        Raises:
            InputError: There is no such layer, states and requests differ in number, or as in
                `read`.
        """
        self._check_patch(requests, states_PD, layer)
        self._model.eval()
        tokenized = tokenize_requests(
            [(prompt.text, text) for prompt, text in requests], self._tokenizer
        )
        nats = [0.0] * len(requests)
        for batch in batches_by_length(self._rows(requests, at)):
            x_BT = self._padded(batch)
            chosen_BD = torch.from_numpy(np.ascontiguousarray(states_PD[[r.number for r in batch]]))
            with self._replaced(layer, torch.tensor([row.at for row in batch]), chosen_BD):
                logits_BTV = self._model(input_ids=x_BT, use_cache=False).logits
            for place, row in enumerate(batch):
                # Logits at t are of token t + 1, and the start token shifts all by one.
                logits_TV = logits_BTV[place, row.first - 1 : len(row.ids) - 1].float()
                target_T = x_BT[place, row.first : len(row.ids)]
                chosen_T = logits_TV.log_softmax(-1).gather(-1, target_T[:, None])
                nats[row.number] = -float(chosen_T.sum())
        return [
            Scored(None if t.reason else cost, t.num_bytes, t.num_tokens, t.reason)
            for t, cost in zip(tokenized, nats, strict=True)
        ]

    @torch.inference_mode()
    def logit_lens(self, requests: Sequence[tuple[Prompt, Sequence[str]]]) -> LogitLens:
        """Reads the states at the prompts' last tokens through the final norm and the head.

        nostalgebraist 2020, "interpreting GPT: the logit lens": which token, and so which language,
        do the middle layers speak? What some models do to their logits after the head (a scale, a
        soft cap) is left out.

        Args:
            requests: Prompts, each with its K continuations, such as the answer in each language.

        Raises:
            InputError: The prompts differ in the number of continuations, one has no token, or as
                in `read`.
        """
        first_ids_PK = self._first_ids(requests)
        states_LPD = self.read([prompt for prompt, _ in requests])
        log_probs_LPK = np.zeros((len(states_LPD), *first_ids_PK.shape), dtype=np.float32)
        top_tokens: list[tuple[str, ...]] = []
        for layer, states_PD in enumerate(states_LPD):
            tops: list[int] = []
            for start in range(0, len(states_PD), _PROMPTS_AT_ONCE):
                part = slice(start, start + _PROMPTS_AT_ONCE)
                log_probs_BV = self._read_out(states_PD[part])
                wanted_BK = torch.from_numpy(first_ids_PK[part]).to(log_probs_BV.device)
                log_probs_LPK[layer, part] = log_probs_BV.gather(-1, wanted_BK).cpu().numpy()
                tops += log_probs_BV.argmax(-1).tolist()
            top_tokens.append(tuple(self._tokenizer.decode([top]) for top in tops))
        return LogitLens(tuple(top_tokens), log_probs_LPK, first_ids_PK)

    def _read_out(self, states_PD: NDArray[np.float32]) -> torch.Tensor:
        weight = self._model.get_output_embeddings().weight
        x_BD = torch.from_numpy(np.ascontiguousarray(states_PD)).to(weight.device, weight.dtype)
        logits_BV: torch.Tensor = self._model.get_output_embeddings()(self._norm(x_BD))
        return logits_BV.float().log_softmax(-1)

    def _first_ids(self, requests: Sequence[tuple[Prompt, Sequence[str]]]) -> NDArray[np.int64]:
        counts = {len(texts) for _, texts in requests}
        if len(counts) > 1:
            raise InputError(
                expected="the same number of continuations for every prompt",
                got=", ".join(map(str, sorted(counts))),
                where="requests",
            )
        flat = [(prompt.text, text) for prompt, texts in requests for text in texts]
        tokenized = tokenize_requests(flat, self._tokenizer)
        for request, (_, text) in zip(tokenized, flat, strict=True):
            if request.num_tokens < 1:
                raise InputError(
                    expected="continuations of at least one token", got=repr(text), where="requests"
                )
        found = [request.ids[request.first] for request in tokenized]
        return np.array(found, dtype=np.int64).reshape(len(requests), -1)

    def _rows(self, requests: Sequence[tuple[Prompt, str]], at: Position) -> list[_Sequence]:
        """Token rows with the start token, and the place that is asked for in each."""
        encoded = self._tokenizer.encode_with_offsets([p.text + text for p, text in requests])
        rows = []
        for number, ((ids, spans), (prompt, _)) in enumerate(zip(encoded, requests, strict=True)):
            end = len(prompt.text)
            first = next((n for n, span in enumerate(spans) if span[1] > end), len(ids))
            if not prompt.text or first < 1 or len(ids) >= self._window:
                raise InputError(
                    expected=f"prompts of 1 to {self._window - 1} tokens, continuations included",
                    got=f"{len(ids)} tokens, {first} before the continuation",
                    where=f"prompt {number}: {prompt.text[:40]!r}",
                )
            place = first - 1 if at == "last" else _subject_token(prompt, spans[:first], number)
            rows.append(_Sequence(number, [self._start_token, *ids], place + 1, first + 1))
        return rows

    def _padded(self, batch: Sequence[_Sequence]) -> torch.Tensor:
        # Padding stands on the right, where a causal model never looks back from.
        x_BT = torch.zeros((len(batch), max(len(row.ids) for row in batch)), dtype=torch.long)
        for place, row in enumerate(batch):
            x_BT[place, : len(row.ids)] = torch.tensor(row.ids)
        return x_BT.to(self._model.device)

    def _check_patch(
        self, requests: Sequence[Any], states_PD: NDArray[np.float32], layer: int
    ) -> None:
        if not 0 <= layer <= self.num_layers:
            raise InputError(
                expected=f"a layer from 0 to {self.num_layers}", got=str(layer), where="layer"
            )
        if len(states_PD) != len(requests):
            raise InputError(
                expected=f"one state for each of {len(requests)} requests",
                got=str(len(states_PD)),
                where="states",
            )

    @contextlib.contextmanager
    def _captured(self, positions_B: torch.Tensor) -> Iterator[list[torch.Tensor]]:
        found: list[torch.Tensor] = []

        def keep(x_BTD: torch.Tensor) -> None:
            found.append(x_BTD[torch.arange(len(positions_B)), positions_B])

        with contextlib.ExitStack() as hooks:
            hooks.enter_context(_hooked(self._layers[0], keep, before=True))
            for layer in self._layers:
                hooks.enter_context(_hooked(layer, keep, before=False))
            yield found

    @contextlib.contextmanager
    def _replaced(
        self, layer: int, positions_B: torch.Tensor, states_BD: torch.Tensor
    ) -> Iterator[None]:
        def replace(x_BTD: torch.Tensor) -> torch.Tensor:
            changed_BTD = x_BTD.clone()
            changed_BTD[torch.arange(len(positions_B)), positions_B] = states_BD.to(x_BTD)
            return changed_BTD

        with _hooked(self._layers[max(layer - 1, 0)], replace, before=layer == 0):
            yield


@contextlib.contextmanager
def _hooked(layer: nn.Module, see: Any, *, before: bool) -> Iterator[None]:
    """Shows a layer's input or output to a function, which may return another one."""

    def enter(_: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> Any:
        if given:
            changed = see(given[0])
            return None if changed is None else ((changed, *given[1:]), named)
        changed = see(named["hidden_states"])
        return None if changed is None else (given, {**named, "hidden_states": changed})

    def leave(_: nn.Module, __: Any, result: Any) -> Any:
        if not isinstance(result, tuple):
            return see(result)
        changed = see(result[0])
        return None if changed is None else (changed, *result[1:])

    handle = (
        layer.register_forward_pre_hook(enter, with_kwargs=True)
        if before
        else layer.register_forward_hook(leave)
    )
    try:
        yield
    finally:
        handle.remove()


def _decoder(model: PreTrainedModel) -> tuple[nn.ModuleList, nn.Module]:
    """Finds the list of layers and the norm that stands beside it."""
    num_layers = getattr(model.config, "num_hidden_layers", None)
    lists = [
        (parent, child)
        for parent in model.base_model.modules()
        for child in parent.children()
        if isinstance(child, nn.ModuleList) and len(child) == num_layers
    ]
    norms = [
        child
        for parent, _ in lists
        for child in parent.children()
        if "norm" in type(child).__name__.lower()
    ]
    if len(lists) != 1 or len(norms) != 1 or model.get_output_embeddings() is None:
        raise InputError(
            expected="a causal decoder with one list of layers, one final norm and a head",
            got=f"{len(lists)} lists and {len(norms)} norms in {type(model).__name__}",
            where=f"model type {model.config.model_type}",
            hint="models built as Llama, GPT-2 and Qwen can be read",
        )
    return lists[0][1], norms[0]


def _subject_token(prompt: Prompt, spans: Sequence[tuple[int, int]], number: int) -> int:
    start, end = prompt.subject or (0, 0)
    inside = [n for n, (low, high) in enumerate(spans) if low < end and high > start]
    if not inside:
        raise InputError(
            expected="a subject of at least one character within the prompt",
            got="none" if prompt.subject is None else f"characters {start} to {end}",
            where=f"prompt {number}: {prompt.text[:40]!r}",
        )
    return inside[-1]
