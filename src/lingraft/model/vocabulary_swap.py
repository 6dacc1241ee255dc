"""A model with another vocabulary: new input rows, new output rows, nothing else changed."""

import copy
from typing import Any

import torch
from transformers import PreTrainedModel

from lingraft.embeddings.matrix import EmbeddingMatrix
from lingraft.errors import InputError, ModelError
from lingraft.tokenizer.tokenizer import Tokenizer

_ID_SETTINGS = (
    "bos_token_id",
    "eos_token_id",
    "pad_token_id",
    "unk_token_id",
    "sep_token_id",
    "cls_token_id",
    "mask_token_id",
    "decoder_start_token_id",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "suppress_tokens",
    "begin_suppress_tokens",
)


def swap_vocabulary(
    model: PreTrainedModel,
    tokenizer: Tokenizer,
    rows: EmbeddingMatrix,
    output_rows: EmbeddingMatrix | None = None,
    *,
    source_tokenizer: Tokenizer,
) -> PreTrainedModel:
    """Returns a copy of a model in which the vocabulary is replaced.

    The body's tensors are copied to the bit. A head that is the input matrix stays so; any other
    takes `output_rows`. Ids in the configuration and in the generation settings are carried over
    by the text of their tokens, or else by the tokens' roles.

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
    tied = is_tied(model)
    head = model.get_output_embeddings()
    if head is None or getattr(head, "bias", None) is not None:
        raise ModelError(
            expected="a language model head without a bias",
            got="a bias" if head is not None else "no head",
            where=str(model.config.model_type),
        )
    if tied != (output_rows is None):
        raise ModelError(
            expected="no output rows for a tied head" if tied else "output rows for the head",
            got="some" if tied else "none",
            where=str(model.config.model_type),
            hint="the head of a tied model is its input matrix",
        )
    _check_rows(model.get_input_embeddings(), tokenizer, rows, "rows")
    if output_rows is not None:
        _check_rows(head, tokenizer, output_rows, "output_rows")
    grafted = copy.deepcopy(model)
    embedding, head = grafted.get_input_embeddings(), grafted.get_output_embeddings()
    # The layers stay and only their weights change: some, like Gemma 3's, scale what they read.
    embedding.weight = _parameter(rows, embedding.weight)
    head.weight = embedding.weight if output_rows is None else _parameter(output_rows, head.weight)
    embedding.num_embeddings = head.out_features = len(rows)
    embedding.padding_idx = None  # an id of the old vocabulary
    grafted.config.vocab_size = grafted.vocab_size = len(rows)
    grafted.config.tie_word_embeddings = tied
    _carry_ids(grafted.config, source_tokenizer, tokenizer)
    if grafted.generation_config is not None:
        _carry_ids(grafted.generation_config, source_tokenizer, tokenizer)
    return grafted


def is_tied(model: PreTrainedModel) -> bool:
    """Whether the head is the input matrix, by the tensors: configurations are wrong about it."""
    head = model.get_output_embeddings()
    return head is not None and head.weight is model.get_input_embeddings().weight


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


def _check_rows(
    layer: torch.nn.Module, tokenizer: Tokenizer, rows: EmbeddingMatrix, where: str
) -> None:
    expected = (len(tokenizer.vocabulary), layer.get_parameter("weight").shape[1])
    if rows.rows.shape != expected:
        raise InputError(
            expected=f"rows of shape {expected} (ids of the tokenizer, width of the model)",
            got=f"shape {rows.rows.shape}",
            where=where,
        )


def _parameter(rows: EmbeddingMatrix, like: torch.Tensor) -> torch.nn.Parameter:
    """A copy of the rows: training the model must not change the matrix."""
    return torch.nn.Parameter(torch.tensor(rows.rows, dtype=like.dtype, device=like.device))


def _carry_ids(settings: Any, source: Tokenizer, target: Tokenizer) -> None:
    """Rewrites special ids: the old numbers would be ordinary tokens of the new vocabulary."""
    for name in _ID_SETTINGS:
        old = getattr(settings, name, None)
        if old is None:
            continue
        numbers = old if isinstance(old, list) else [old]
        carried = [_carried(number, source, target) for number in numbers]
        new = [number for number in dict.fromkeys(carried) if number is not None]
        if isinstance(old, list):
            setattr(settings, name, new or None)
        else:
            setattr(settings, name, new[0] if new else None)


def _carried(number: int, source: Tokenizer, target: Tokenizer) -> int | None:
    """The new id of the token of the same text, else of the same role."""
    text = source.backend.id_to_token(number) if number >= 0 else None
    if text is None:
        return None
    same: int | None = target.backend.token_to_id(text)
    if same is not None:
        return same
    roles = [role for role, name in source.roles.items() if name == text]
    return next((i for role in roles if (i := target.role_id(role)) is not None), None)
