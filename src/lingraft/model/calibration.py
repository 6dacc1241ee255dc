"""Rows that know how frequent their tokens are: a unigram bias written into the rows.

What a language model's head reads has a large constant part: the mean μ of its states is most of
their length (four fifths for SmolLM2-135M). So a row that moves by b · μ / |μ|² raises its token's
logit by about b everywhere, as an output bias of b would, without a bias in the model; and as input
the row hardly changes, since 1 / |μ| is small beside a row's length. Rows carried over from another
language are a mixture of meanings and say nothing about how often their tokens occur; with their
frequencies written in, training starts where it would first have to arrive (docs/log.md,
"calibrated rows"). Axes: T positions, V vocabulary, D width.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialize
from transformers import PreTrainedModel

from lingraft.corpus.records import Document
from lingraft.errors import ModelError, StoreError
from lingraft.files import write_bytes
from lingraft.measurement.bits_per_byte import bits_per_byte
from lingraft.model.scoring import CausalScorer
from lingraft.tokenizer.tokenizer import Tokenizer

STRENGTHS = (0.0, 0.5, 0.75, 1.0)
_PSEUDO_COUNT = 0.5
_MAX_TOKENS = 255


@dataclass(frozen=True, eq=False)
class Calibration:
    """What is added to the rows: `strength` · shift ⊗ direction.

    Attributes:
        shift_V: float32 (V,), log u_v − log q_v; 0 for special tokens, which keep their rows.
        direction_D: float32 (D,), μ / |μ|².
        strength: The best of `STRENGTHS` on the valid text; 0 leaves the rows as they are.
    """

    shift_V: torch.Tensor
    direction_D: torch.Tensor
    strength: float

    @property
    def bias(self) -> torch.Tensor:
        """The logits that the rows gain, (V,)."""
        return self.strength * self.shift_V

    def save(self, path: Path) -> None:
        """Writes one safetensors file."""
        tensors = {"shift": self.shift_V, "direction": self.direction_D}
        metadata = {"calibration": json.dumps({"strength": self.strength})}
        write_bytes(path, serialize(tensors, metadata=metadata))

    @classmethod
    def load(cls, path: Path) -> "Calibration":
        """Reads what `save` wrote.

        Raises:
            StoreError: The file is missing, damaged or holds something else.
        """
        try:
            with safe_open(path, framework="pt") as stored:
                about = json.loads((stored.metadata() or {})["calibration"])
                shift, direction = stored.get_tensor("shift"), stored.get_tensor("direction")
                return cls(shift, direction, float(about["strength"]))
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise StoreError(expected="a calibration", got=str(error), where=str(path)) from error


def fit_calibration(
    model: PreTrainedModel,
    tokenizer: Tokenizer,
    *,
    train: Sequence[Document],
    valid: Sequence[Document],
    start_token: int,
) -> Calibration:
    """Fits the calibration of a model whose rows were carried over; the model stays as it is.

    Args:
        model: The model right after the swap.
        tokenizer: Its tokenizer.
        train: Text that the unigrams are counted in.
        valid: Text that q and μ are averaged over and the strength is chosen on.
        start_token: Id before every text.

    Raises:
        ModelError: The model has no head.
    """
    head = _head(model)
    shift_V = unigram_shift(model, tokenizer, train=train, valid=valid, start_token=start_token)
    for number, piece in enumerate(tokenizer.vocabulary.pieces):
        if piece is None:
            shift_V[number] = 0.0
    shift_V[len(tokenizer.vocabulary) :] = 0.0
    mean_D = _mean_state(model, tokenizer, valid, start_token)
    direction_D = (mean_D / mean_D.square().sum()).float()
    own_VD = head.weight.detach().clone()
    costs = {}
    try:
        for strength in STRENGTHS:
            head.weight.data.copy_(own_VD)
            calibrate(model, Calibration(shift_V, direction_D, strength))
            scorer = CausalScorer(model, tokenizer, start_token=start_token)
            # The sum of nats ranks as bits per byte does: the text is the same.
            costs[strength] = bits_per_byte(scorer, valid).numerator
    finally:
        head.weight.data.copy_(own_VD)
    best = min(STRENGTHS, key=lambda strength: (costs[strength], strength))
    return Calibration(shift_V, direction_D, best)


def calibrate(model: PreTrainedModel, calibration: Calibration) -> None:
    """Adds a calibration to the head's rows, in place; a tied head's are the input rows too.

    Raises:
        ModelError: The model has no head, or one of another shape.
    """
    head = _head(model)
    shape = (len(calibration.shift_V), len(calibration.direction_D))
    if tuple(head.weight.shape) != shape:
        raise ModelError(
            expected=f"a head of shape {shape}, as the calibration was fitted for",
            got=str(tuple(head.weight.shape)),
            where="calibrate",
        )
    if calibration.strength:
        added_VD = calibration.bias[:, None] * calibration.direction_D[None, :]
        head.weight.data += added_VD.to(head.weight)


def _head(model: PreTrainedModel) -> torch.nn.Linear:
    head = model.get_output_embeddings()
    if not isinstance(head, torch.nn.Linear):
        raise ModelError(
            expected="a language model head",
            got="none" if head is None else type(head).__name__,
            where=str(model.config.model_type),
        )
    return head


@torch.no_grad()
def _mean_state(
    model: PreTrainedModel, tokenizer: Tokenizer, documents: Sequence[Document], start_token: int
) -> torch.Tensor:
    """Returns the mean of what the head reads, float64 (D,): caught at the head's own door."""
    seen: list[torch.Tensor] = []

    def catch(_: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        seen.append(inputs[0][0].double().cpu())

    handle = _head(model).register_forward_pre_hook(catch)
    model.eval()
    try:
        for document in documents:
            x_BT = _ids(document, tokenizer, start_token)
            model(input_ids=x_BT.to(model.device), use_cache=False)
    finally:
        handle.remove()
    return torch.cat(seen).mean(dim=0)


@torch.no_grad()
def unigram_shift(
    model: PreTrainedModel,
    tokenizer: Tokenizer,
    *,
    train: Sequence[Document],
    valid: Sequence[Document],
    start_token: int,
) -> torch.Tensor:
    """Returns log u_v − log q_v, float32 (V,): the output bias that corrects the marginal alone.

    u is the smoothed unigram distribution of the training text, q the model's own mean prediction
    on the valid text; arguments as in `fit_calibration`.
    """
    counts = Counter(i for ids in tokenizer.encode_batch([d.text for d in train]) for i in ids)
    unigram_V = np.full(model.get_input_embeddings().weight.shape[0], _PSEUDO_COUNT)
    for token, count in counts.items():
        unigram_V[token] += count
    log_u_V = torch.from_numpy(np.log(unigram_V / unigram_V.sum())).float()
    total_V = torch.zeros(len(unigram_V), dtype=torch.float64)
    num_tokens = 0
    model.eval()
    for document in valid:
        x_BT = _ids(document, tokenizer, start_token).to(model.device)
        p_TV = model(input_ids=x_BT, use_cache=False).logits[0].double()
        total_V += p_TV.softmax(-1).sum(0).cpu()
        num_tokens += p_TV.shape[0]
    return log_u_V - (total_V / num_tokens).log().float()


def _ids(document: Document, tokenizer: Tokenizer, start_token: int) -> torch.Tensor:
    return torch.tensor([[start_token, *tokenizer.encode(document.text)[:_MAX_TOKENS]]])
