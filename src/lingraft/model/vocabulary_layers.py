"""The part of a model that knows its vocabulary: input rows, head, output bias, special ids.

Axes: V rows of a matrix, D model width.
"""

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel

from lingraft.embeddings.matrix import EmbeddingMatrix
from lingraft.errors import InputError, ModelError
from lingraft.tokenizer.tokenizer import Tokenizer

# exp(-1e4) is 0 in every floating point type, and -1e4 is finite in all of them.
PADDING_BIAS = -1e4
_BLOCK_ROWS = 4096
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


@dataclass(frozen=True)
class VocabularyTensors:
    """Everything in a model that has one entry for each id; V may exceed the number of ids.

    Attributes:
        input_VD: Input rows.
        output_VD: Head rows; None where the head is the input matrix.
        bias_V: Output bias; None where the head has none.
    """

    input_VD: torch.Tensor
    output_VD: torch.Tensor | None
    bias_V: torch.Tensor | None


def is_tied(model: PreTrainedModel) -> bool:
    """Whether the head is the input matrix, by the tensors: configurations are wrong about it."""
    head = model.get_output_embeddings()
    return head is not None and head.weight is model.get_input_embeddings().weight


def vocabulary_tensors(model: PreTrainedModel) -> VocabularyTensors:
    """Returns a model's own tensors, detached but not copied.

    Raises:
        ModelError: The model has no language model head.
    """
    head = model.get_output_embeddings()
    if head is None:
        raise ModelError(
            expected="a language model head", got="no head", where=str(model.config.model_type)
        )
    bias = getattr(head, "bias", None)
    return VocabularyTensors(
        input_VD=model.get_input_embeddings().weight.detach(),
        output_VD=None if is_tied(model) else head.weight.detach(),
        bias_V=None if bias is None else bias.detach(),
    )


def check_rows(
    model: PreTrainedModel,
    tokenizer: Tokenizer,
    rows: EmbeddingMatrix,
    output_rows: EmbeddingMatrix | None,
) -> None:
    """Checks that there is a row for each id, and head rows where the head is a matrix of its own.

    Raises:
        InputError: The number of rows is not the number of ids, or the width is not the model's.
        ModelError: Rows for the head are missing, or given to a tied model.
    """
    tensors = vocabulary_tensors(model)
    tied = tensors.output_VD is None
    if tied != (output_rows is None):
        raise ModelError(
            expected="no output rows for a tied head" if tied else "output rows for the head",
            got="some" if tied else "none",
            where=str(model.config.model_type),
            hint="the head of a tied model is its input matrix",
        )
    given = (("rows", rows, tensors.input_VD), ("output_rows", output_rows, tensors.output_VD))
    for where, matrix, own_VD in given:
        if matrix is None or own_VD is None:
            continue
        expected = (len(tokenizer), own_VD.shape[1])
        if matrix.rows.shape != expected:
            raise InputError(
                expected=f"rows of shape {expected} (ids of the tokenizer, width of the model)",
                got=f"shape {matrix.rows.shape}",
                where=where,
            )


def padded_size(num_rows: int, pad_to: int) -> int:
    """Returns the next multiple of `pad_to`.

    Raises:
        InputError: `pad_to` is less than 1.
    """
    if pad_to < 1:
        raise InputError(expected="a multiple of 1 or more", got=str(pad_to), where="pad_to")
    return -(-num_rows // pad_to) * pad_to


def padded(tensors: VocabularyTensors, num_rows: int, *, num_ids: int) -> VocabularyTensors:
    """Returns tensors with padding rows at their end that never get the largest logit.

    A padding row is the mean of the rows of all ids, so its logit is the mean of their logits and
    not above the largest. Rows of zeros would win wherever all others are negative. A head with a
    bias gives padding no probability at all.

    Args:
        tensors: Tensors of `num_rows` rows or less.
        num_rows: Rows to reach.
        num_ids: How many of the rows belong to ids.
    """

    def grown(own_VD: torch.Tensor) -> torch.Tensor:
        row_D = padding_row(torch.split(own_VD[:num_ids], _BLOCK_ROWS))
        return torch.cat([own_VD, row_D.expand(num_rows - len(own_VD), -1)])

    bias_V = tensors.bias_V
    if bias_V is not None:
        bias_V = torch.cat([bias_V, bias_V.new_full((num_rows - len(bias_V),), PADDING_BIAS)])
    return VocabularyTensors(
        input_VD=grown(tensors.input_VD),
        output_VD=None if tensors.output_VD is None else grown(tensors.output_VD),
        bias_V=bias_V,
    )


def padding_row(blocks: Iterable[torch.Tensor]) -> torch.Tensor:
    """Returns the mean (D,) of a matrix that comes in blocks of rows, in the dtype of these.

    All rows in double at once would be four times a matrix in bfloat16.
    """
    num_rows, sums_D = 0, torch.zeros(())
    for block in blocks:
        sums_D = sums_D.to(block.device) + block.double().sum(0)
        num_rows, dtype = num_rows + len(block), block.dtype
    return (sums_D / num_rows).to(dtype)


def mixed_bias(rows: EmbeddingMatrix, bias_V: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns an output bias for new rows, (V_target,), mixed as the rows themselves were.

    A copied row keeps the bias of its source to the bit; a row without sources gets the mean.

    Args:
        rows: The head's rows with their provenance.
        bias_V: The source model's bias, one entry for each source id.
    """
    num_sources = np.diff(rows.indptr)
    row_of = np.repeat(np.arange(len(rows)), num_sources)
    sums = np.bincount(row_of, rows.weights * bias_V[rows.source], minlength=len(rows))
    return np.where(num_sources > 0, sums, bias_V.mean())


def with_vocabulary(
    model: PreTrainedModel,
    tensors: VocabularyTensors,
    *,
    source: Tokenizer,
    target: Tokenizer,
) -> PreTrainedModel:
    """Returns a copy of a model with other vocabulary tensors, all else to the bit as it was.

    Ids in the configuration and in the generation settings are carried over by the text of their
    tokens, or else by the tokens' roles.

    Raises:
        ModelError: The model counts positions from the id of the padding token (RoBERTa), and
            that id changes.
    """
    grafted = copy.deepcopy(model)
    embedding, head = grafted.get_input_embeddings(), grafted.get_output_embeddings()
    names = list(grafted.named_parameters(remove_duplicate=False))
    new = [(embedding.weight, tensors.input_VD), (head.weight, tensors.output_VD)]
    new += [(old_bias, tensors.bias_V) for old_bias in _biases(grafted, head)]
    # The layers stay and only their weights change: some, like Gemma 3's, scale what they read.
    for old, tensor in new:
        if tensor is not None:
            parameter = torch.nn.Parameter(tensor.clone())
            for name in (name for name, found in names if found is old):
                owner, _, leaf = name.rpartition(".")
                setattr(grafted.get_submodule(owner), leaf, parameter)
    embedding.num_embeddings = head.out_features = len(tensors.input_VD)
    embedding.padding_idx = None  # an id of the old vocabulary
    grafted.config.get_text_config().vocab_size = grafted.vocab_size = len(tensors.input_VD)
    grafted.config.tie_word_embeddings = tensors.output_VD is None
    # Masked language models have no generation settings.
    for settings in (grafted.config, getattr(grafted, "generation_config", None)):
        if settings is not None:
            carry_ids(settings, source, target)
    _check_positions(model, grafted)
    return grafted


def _biases(model: PreTrainedModel, head: torch.nn.Module) -> list[torch.nn.Parameter]:
    """The head's bias, and the second one that masked language models keep beside the head."""
    bias = getattr(head, "bias", None)
    if bias is None:
        return []
    place = next(name for name, module in model.named_modules() if module is head)
    beside = getattr(model.get_submodule(place.rpartition(".")[0]), "bias", None)
    if isinstance(beside, torch.nn.Parameter) and beside.shape == bias.shape:
        return [bias] if beside is bias else [bias, beside]
    return [bias]


def _check_positions(before: PreTrainedModel, after: PreTrainedModel) -> None:
    """Other embeddings with a padding id are tables of positions that count from it."""
    words = after.get_input_embeddings()
    counted = any(
        isinstance(module, torch.nn.Embedding) and module.padding_idx is not None
        for module in after.modules()
        if module is not words
    )
    old, new = before.config.pad_token_id, after.config.pad_token_id
    if counted and old != new:
        raise ModelError(
            expected=f"a padding token of id {old}, from which the model counts positions",
            got=f"id {new}",
            where=str(before.config.model_type),
            hint="train the tokenizer like the model's own, which puts special tokens first",
        )


def carry_ids(settings: Any, source: Tokenizer, target: Tokenizer) -> None:
    """Rewrites special ids: the old numbers would be ordinary tokens of the new vocabulary.

    Args:
        settings: A configuration or generation settings; changed in place.
        source: The tokenizer that the ids in there belong to.
        target: The tokenizer that they are to belong to.
    """
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
