"""A model with another vocabulary: new input rows, new output rows, nothing else changed."""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from transformers import PreTrainedModel

from lingraft.embeddings.matrix import EmbeddingMatrix
from lingraft.errors import InputError, ModelError
from lingraft.tokenizer.tokenizer import Tokenizer

_ID_SETTINGS = ("bos_token_id", "eos_token_id", "pad_token_id", "unk_token_id", "sep_token_id")


def swap_vocabulary(
    model: PreTrainedModel,
    tokenizer: Tokenizer,
    rows: EmbeddingMatrix,
    output_rows: EmbeddingMatrix | None = None,
    *,
    source_tokenizer: Tokenizer,
) -> PreTrainedModel:
    """Returns a copy of a model in which the vocabulary is replaced.

    The body's tensors are copied to the bit. A model whose head is tied to its input rows stays
    tied; an untied one takes `output_rows`. Ids in the configuration and in the generation
    settings are carried over by the text of their tokens.

    Args:
        model: The source model; left as it is.
        tokenizer: The new tokenizer.
        rows: Input rows (V_target, D).
        output_rows: Head rows (V_target, D); only for models with an untied head.
        source_tokenizer: The source model's tokenizer, to carry special ids over.

    Raises:
        InputError: The number of rows is not the number of ids, or the width is not the model's.
        ModelError: Rows for the head are missing, or given to a tied model; or an output bias.
    """
    _check_rows(model, tokenizer, rows)
    tied = bool(getattr(model.config, "tie_word_embeddings", False))
    if tied != (output_rows is None):
        raise ModelError(
            expected="no output rows for a tied head" if tied else "output rows for the head",
            got="some" if tied else "none",
            where=str(model.config.model_type),
            hint="the head of a tied model is its input matrix",
        )
    head = model.get_output_embeddings()
    if head is None or getattr(head, "bias", None) is not None:
        raise ModelError(
            expected="a language model head without a bias",
            got="a bias" if head is not None else "no head",
            where=str(model.config.model_type),
        )
    grafted = copy.deepcopy(model)
    grafted.set_input_embeddings(_embedding(rows, model))
    grafted.set_output_embeddings(_head(rows if output_rows is None else output_rows, model))
    grafted.config.vocab_size = grafted.vocab_size = len(rows)
    if tied:
        grafted.tie_weights()
    _carry_ids(grafted.config, source_tokenizer, tokenizer)
    if grafted.generation_config is not None:
        _carry_ids(grafted.generation_config, source_tokenizer, tokenizer)
    return grafted


def input_rows(model: PreTrainedModel) -> "torch.Tensor":
    """Returns the input embedding rows (V, D), detached, in float32 on the CPU."""
    return model.get_input_embeddings().weight.detach().float().cpu()


def output_rows(model: PreTrainedModel) -> "torch.Tensor | None":
    """Returns the head's rows (V, D) where the head is not tied to the input rows, else None."""
    if getattr(model.config, "tie_word_embeddings", False):
        return None
    return model.get_output_embeddings().weight.detach().float().cpu()


def _check_rows(model: PreTrainedModel, tokenizer: Tokenizer, rows: EmbeddingMatrix) -> None:
    width = model.get_input_embeddings().weight.shape[1]
    expected = (len(tokenizer.vocabulary), width)
    if rows.rows.shape != expected:
        raise InputError(
            expected=f"rows of shape {expected} (ids of the tokenizer, width of the model)",
            got=f"shape {rows.rows.shape}",
            where="rows",
        )


def _embedding(rows: EmbeddingMatrix, model: PreTrainedModel) -> torch.nn.Embedding:
    weight = model.get_input_embeddings().weight
    layer = torch.nn.Embedding(*rows.rows.shape, device=weight.device, dtype=weight.dtype)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(rows.rows))
    return layer


def _head(rows: EmbeddingMatrix, model: PreTrainedModel) -> torch.nn.Linear:
    weight = model.get_input_embeddings().weight
    num_rows, width = rows.rows.shape
    layer = torch.nn.Linear(width, num_rows, bias=False, device=weight.device, dtype=weight.dtype)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(rows.rows))
    return layer


def _carry_ids(settings: Any, source: Tokenizer, target: Tokenizer) -> None:
    """Rewrites special ids: the old numbers would point at ordinary tokens of the new vocabulary."""
    for name in _ID_SETTINGS:
        old = getattr(settings, name, None)
        if isinstance(old, int):
            setattr(settings, name, _carried(old, source, target))
        elif isinstance(old, list):
            new = [_carried(number, source, target) for number in old]
            setattr(settings, name, [number for number in new if number is not None])


def _carried(number: int, source: Tokenizer, target: Tokenizer) -> int | None:
    special: Mapping[int, str] = source.vocabulary.special
    name = special.get(number)
    return None if name is None else target.backend.token_to_id(name)
