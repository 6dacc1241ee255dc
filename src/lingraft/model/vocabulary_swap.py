"""A model with another vocabulary: new input rows, new output rows, nothing else changed."""

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel

from lingraft.embeddings.matrix import EmbeddingMatrix
from lingraft.model.vocabulary_layers import (
    VocabularyTensors,
    check_rows,
    is_tied,
    mixed_bias,
    padded,
    padded_size,
    vocabulary_tensors,
    with_vocabulary,
)
from lingraft.tokenizer.tokenizer import Tokenizer

__all__ = ["input_rows", "is_tied", "output_rows", "swap_vocabulary"]


def swap_vocabulary(
    model: PreTrainedModel,
    tokenizer: Tokenizer,
    rows: EmbeddingMatrix,
    output_rows: EmbeddingMatrix | None = None,
    *,
    source_tokenizer: Tokenizer,
    pad_to: int = 1,
) -> PreTrainedModel:
    """Returns a copy of a model in which the vocabulary is replaced.

    The body's tensors are copied to the bit. A head that is the input matrix stays so; any other
    takes `output_rows`. An output bias is mixed from the source's by the same weights as the
    head's rows; rows without sources get its mean. Ids in the configuration and in the generation
    settings are carried over by the text of their tokens, or else by the tokens' roles.

    Args:
        model: The source model, causal or masked; left as it is.
        tokenizer: The new tokenizer.
        rows: Input rows (V_target, D).
        output_rows: Head rows (V_target, D); only for models with an untied head.
        source_tokenizer: The source model's tokenizer, to carry special ids over.
        pad_to: The matrices get a multiple of this many rows; see `vocabulary_layers.padded` for
            what the padding holds.

    Raises:
        InputError: The number of rows is not the number of ids, or the width is not the model's.
        ModelError: Rows for the head are missing, or given to a tied model; there is no head; or
            the model's positions would move.
    """
    check_rows(model, tokenizer, rows, output_rows)
    own = vocabulary_tensors(model)
    bias_V = None
    if own.bias_V is not None:
        source_bias_V = own.bias_V[: len(source_tokenizer)].double().cpu().numpy()
        mixed_V = mixed_bias(rows if output_rows is None else output_rows, source_bias_V)
        bias_V = _like(mixed_V, own.bias_V)
    tensors = VocabularyTensors(
        input_VD=_like(rows.rows, own.input_VD),
        output_VD=None
        if output_rows is None or own.output_VD is None
        else _like(output_rows.rows, own.output_VD),
        bias_V=bias_V,
    )
    num_rows = padded_size(len(rows), pad_to)
    return with_vocabulary(
        model,
        padded(tensors, num_rows, num_ids=len(rows)),
        source=source_tokenizer,
        target=tokenizer,
    )


def input_rows(model: PreTrainedModel) -> torch.Tensor:
    """Returns the input embedding rows (V, D), detached, in float32 on the CPU."""
    weight: torch.Tensor = model.get_input_embeddings().weight
    return weight.detach().float().cpu()


def output_rows(model: PreTrainedModel) -> torch.Tensor | None:
    """Returns the head's rows (V, D) where the head is not tied to the input rows, else None."""
    if is_tied(model):
        return None
    weight: torch.Tensor = model.get_output_embeddings().weight
    return weight.detach().float().cpu()


def _like(values: NDArray[np.floating], own: torch.Tensor) -> torch.Tensor:
    return torch.tensor(values, dtype=own.dtype, device=own.device)
