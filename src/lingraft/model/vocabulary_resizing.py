"""A model whose vocabulary grew or shrank: what stays keeps its rows to the bit.

`resize_token_embeddings` of transformers does neither: given the tokenizer's size it cuts a padded
matrix (peft#2368), and it knows nothing of ids that move.
"""

from collections.abc import Mapping

import numpy as np
import torch
from transformers import PreTrainedModel

from lingraft.embeddings.matrix import EmbeddingMatrix
from lingraft.errors import InputError
from lingraft.model.vocabulary_layers import (
    VocabularyTensors,
    check_rows,
    mixed_bias,
    padded,
    padded_size,
    vocabulary_tensors,
    with_vocabulary,
)
from lingraft.tokenizer.tokenizer import Tokenizer


def extend_vocabulary(
    model: PreTrainedModel,
    tokenizer: Tokenizer,
    rows: EmbeddingMatrix,
    output_rows: EmbeddingMatrix | None = None,
    *,
    source_tokenizer: Tokenizer,
    pad_to: int = 1,
) -> PreTrainedModel:
    """Returns a copy of a model with rows for new ids; old ids and their rows stay as they are.

    A matrix never shrinks. Where it is longer than the old vocabulary, as those of many models
    are, the new ids take up its padding rows first; padding that is left over keeps its values,
    and only then are rows added at the end.

    Args:
        model: The model; left as it is.
        tokenizer: The extended tokenizer, e.g. of `tokenizer.extend_bpe`.
        rows: Input rows (V_target, D) as the methods of `embeddings` make them; those of old ids
            are not read.
        output_rows: Head rows (V_target, D); only for models with an untied head.
        source_tokenizer: The model's own tokenizer.
        pad_to: The matrices get a multiple of this many rows; see `vocabulary_layers.padded` for
            what the padding holds.

    Raises:
        InputError: An old token has another id in the new tokenizer, or the rows do not fit.
        ModelError: Rows for the head are missing, or given to a tied model, or there is no head.
    """
    _check_ids(source_tokenizer, tokenizer, {i: i for i in range(len(source_tokenizer))})
    check_rows(model, tokenizer, rows, output_rows)
    own = vocabulary_tensors(model)
    first, num_ids = len(source_tokenizer), len(tokenizer)
    num_rows = max(len(own.input_VD), num_ids)

    def grown(own_VD: torch.Tensor, matrix: EmbeddingMatrix) -> torch.Tensor:
        new_VD = torch.tensor(matrix.rows[first:], dtype=own_VD.dtype, device=own_VD.device)
        return torch.cat([own_VD[:first], new_VD, own_VD[num_ids:]])

    bias_V = own.bias_V
    if bias_V is not None:
        mixed_V = mixed_bias(
            rows if output_rows is None else output_rows, bias_V[:first].double().cpu().numpy()
        )
        new_V = torch.tensor(mixed_V[first:], dtype=bias_V.dtype, device=bias_V.device)
        bias_V = torch.cat([bias_V[:first], new_V, bias_V[num_ids:]])
    tensors = VocabularyTensors(
        input_VD=grown(own.input_VD, rows),
        output_VD=None
        if output_rows is None or own.output_VD is None
        else grown(own.output_VD, output_rows),
        bias_V=bias_V,
    )
    return with_vocabulary(
        model,
        padded(tensors, padded_size(num_rows, pad_to), num_ids=num_ids),
        source=source_tokenizer,
        target=tokenizer,
    )


def prune_vocabulary(
    model: PreTrainedModel,
    tokenizer: Tokenizer,
    id_map: Mapping[int, int],
    *,
    source_tokenizer: Tokenizer,
    pad_to: int = 1,
) -> PreTrainedModel:
    """Returns a copy of a model with the rows of some ids only, in their new order.

    The matrices are built anew: padding of the old ones goes, and `pad_to` makes new.

    Args:
        model: The model; left as it is.
        tokenizer: The pruned tokenizer.
        id_map: Old id to new id of every token that stayed, as `tokenizer.prune` returns it.
        source_tokenizer: The model's own tokenizer.
        pad_to: The matrices get a multiple of this many rows; see `vocabulary_layers.padded` for
            what the padding holds.

    Raises:
        InputError: The map does not lead from one tokenizer to the other.
        ModelError: There is no head, or the model's positions would move.
    """
    _check_ids(source_tokenizer, tokenizer, id_map)
    if sorted(id_map.values()) != list(range(len(tokenizer))):
        raise InputError(
            expected=f"each of the {len(tokenizer)} new ids once",
            got=f"{len(id_map)} ids, {len(set(id_map.values()))} of them different",
            where="id_map",
        )
    own = vocabulary_tensors(model)
    kept = torch.from_numpy(np.array(sorted(id_map, key=id_map.__getitem__), dtype=np.int64))
    kept = kept.to(own.input_VD.device)
    tensors = VocabularyTensors(
        input_VD=own.input_VD[kept],
        output_VD=None if own.output_VD is None else own.output_VD[kept],
        bias_V=None if own.bias_V is None else own.bias_V[kept],
    )
    return with_vocabulary(
        model,
        padded(tensors, padded_size(len(kept), pad_to), num_ids=len(kept)),
        source=source_tokenizer,
        target=tokenizer,
    )


def _check_ids(source: Tokenizer, target: Tokenizer, id_map: Mapping[int, int]) -> None:
    """Checks that every mapped id is the same token on both sides."""
    for old, new in id_map.items():
        before, after = source.backend.id_to_token(old), target.backend.id_to_token(new)
        if before != after:
            raise InputError(
                expected=f"the token {before!r} of id {old} at id {new} of the new tokenizer",
                got=repr(after),
                where="tokenizer",
                hint="the new tokenizer was not made from the model's own",
            )
