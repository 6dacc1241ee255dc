"""Vocabulary swaps on model folders: for models that are larger than the memory at hand.

Only the embedding and head matrices are read; every other tensor is copied byte for byte in its
own dtype. The result is what `swap_vocabulary` or `extend_vocabulary` and `save` give for a model
loaded in the dtype of its file.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig, PreTrainedModel

from lingraft.embeddings.matrix import EmbeddingMatrix
from lingraft.errors import InputError, ModelError
from lingraft.files import write_json, write_text
from lingraft.model.loading import check_folder, quiet
from lingraft.model.shards import (
    DTYPES,
    INDEX,
    Rows,
    Shard,
    StoredTensor,
    check_matrix,
    copy_shard,
    open_shards,
    read_blocks,
    read_header,
    row_blocks,
    rows_from,
)
from lingraft.model.vocabulary_layers import carry_ids, padded_size, padding_row
from lingraft.tokenizer.tokenizer import Tokenizer

# Names that files have for what transformers calls otherwise; GPT-NeoX's head was renamed.
_OTHER_NAMES = {"lm_head.weight": ("embed_out.weight",)}


@dataclass(frozen=True)
class StoredVocabulary:
    """The matrices of a folder that have one row for each id.

    Attributes:
        input: The embedding matrix.
        output: The head; None where it is the embedding matrix.
        copy: A head that is stored though it is the embedding matrix, value for value.
        skeleton: The model without memory for its weights.
    """

    input: StoredTensor
    output: StoredTensor | None
    copy: StoredTensor | None
    skeleton: PreTrainedModel


def find_vocabulary(folder: Path, shards: tuple[Shard, ...] | None = None) -> StoredVocabulary:
    """Finds the embedding and head matrices of a folder without reading their values.

    A head counts as tied if the file has none and the configuration says so, or if the
    configuration says so and the file's two matrices are equal to the bit: then, and only then,
    transformers ties them.

    Raises:
        InputError: No readable `config.json`.
        ModelError: No such matrix, one of another shape or dtype, or an output bias.
    """
    check_folder(folder)
    skeleton = read_skeleton(folder)
    stored = {t.name: t for s in (shards or open_shards(folder)) for t in s.tensors}
    embedding = stored_under(name_of(skeleton, "input"), skeleton, stored)
    if embedding is None:
        raise ModelError(
            expected=f"the tensor {name_of(skeleton, 'input')}", got="none", where=str(folder)
        )
    check_matrix(embedding)
    head_name = name_of(skeleton, "output")
    head = stored_under(head_name, skeleton, stored)
    if stored_under(head_name.removesuffix("weight") + "bias", skeleton, stored) is not None:
        raise ModelError(
            expected="a language model head without a bias", got="a bias", where=str(folder)
        )
    tied = bool(skeleton.config.tie_word_embeddings)
    if head is None:
        if not tied:
            raise ModelError(
                expected=f"the tensor {head_name}, since config.json says the head is not tied",
                got="none",
                where=str(folder),
                hint='fetch the folder again, or set "tie_word_embeddings" if the head is tied',
            )
        return StoredVocabulary(embedding, None, None, skeleton)
    check_matrix(head)
    if head.shape != embedding.shape:
        raise ModelError(
            expected=f"a head of shape {embedding.shape}, as the embedding has it",
            got=str(head.shape),
            where=f"{head.path}, {head.name}",
        )
    if tied and equal_matrices(embedding, head):
        return StoredVocabulary(embedding, None, head, skeleton)
    return StoredVocabulary(embedding, head, None, skeleton)


def graft_folder(
    folder: Path,
    tokenizer: Tokenizer,
    rows: EmbeddingMatrix | StoredTensor,
    output_rows: EmbeddingMatrix | StoredTensor | None = None,
    *,
    source_tokenizer: Tokenizer,
    out: Path,
    pad_to: int = 1,
    keep_padding: bool = False,
) -> None:
    """Writes a copy of a model folder in which the vocabulary is replaced.

    Weights keep their files and their dtypes. As in `save`, `config.json` is removed first and
    written last, so that a folder cut short does not load.

    Args:
        folder: The source model; only read.
        tokenizer: The new tokenizer.
        rows: Input rows (V_target, D), which need not be in memory.
        output_rows: Head rows (V_target, D); only for folders with an untied head.
        source_tokenizer: The source model's tokenizer, to carry special ids over.
        out: Another folder; made if it is not there.
        pad_to: The matrices get a multiple of this many rows; see `vocabulary_layers.padded` for
            what the padding holds.
        keep_padding: No matrix shrinks: rows of the source beyond the new ids keep their values,
            as in `extend_vocabulary`.

    Raises:
        InputError: Rows of another shape than ids and width, a multiple of less than 1, or `out`
            is the source.
        ModelError: See `find_vocabulary`; or output rows are missing, or given to a tied model.
        StoreError: The folder cannot be written or the disk is full.
    """
    if out.resolve() == folder.resolve():
        raise InputError(
            expected="an output folder other than the model's", got=str(out), where="out"
        )
    shards = open_shards(folder)
    found = find_vocabulary(folder, shards)
    if (found.output is None) != (output_rows is None):
        raise ModelError(
            expected="no output rows for a tied head" if found.output is None else "output rows",
            got="some" if found.output is None else "none",
            where=str(folder),
            hint="the head of a tied model is its input matrix",
        )
    num_rows = padded_size(max(len(tokenizer), found.input.shape[0] if keep_padding else 0), pad_to)
    replaced: dict[str, list[Rows] | None] = {}
    for matrix, place, where in (
        (rows, found.input, "rows"),
        (output_rows, found.output, "output_rows"),
    ):
        if matrix is not None and place is not None:
            given = matrix.rows if isinstance(matrix, EmbeddingMatrix) else matrix
            expected = (len(tokenizer), place.shape[1])
            if given.shape != expected:
                raise InputError(
                    expected=f"rows of shape {expected} (ids of the tokenizer, width of the model)",
                    got=f"shape {given.shape}",
                    where=where,
                )
            replaced[place.name] = _padded(
                given, place, num_rows=num_rows, keep_padding=keep_padding
            )
    if found.copy is not None:
        replaced[found.copy.name] = None
    for stale in ("config.json", "generation_config.json", "chat_template.jinja", INDEX):
        (out / stale).unlink(missing_ok=True)
    for shard in shards:
        if any(replaced.get(tensor.name, ...) is not None for tensor in shard.tensors):
            copy_shard(shard, out / shard.path.name, replaced)
    if (folder / INDEX).exists():
        _write_index(folder, out, found)
    tokenizer.save(out)
    _write_settings(folder, out, found, source_tokenizer, tokenizer, num_rows=num_rows)


def read_skeleton(folder: Path) -> PreTrainedModel:
    """Builds a folder's model without memory for its weights, to ask how its parts are called.

    Raises:
        ModelError: transformers cannot build a causal language model from the configuration.
    """
    try:
        with quiet(), torch.device("meta"):
            config = AutoConfig.from_pretrained(str(folder), trust_remote_code=False)
            model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    except Exception as error:  # the library raises what its model classes raise
        raise ModelError(
            expected="a configuration of a causal language model that transformers knows",
            got=f"{type(error).__name__}: {error}",
            where=str(folder / "config.json"),
        ) from error
    return cast(PreTrainedModel, model)


def name_of(skeleton: PreTrainedModel, side: str) -> str:
    """Returns the name of a model's ``"input"`` or ``"output"`` matrix, also of a tied head's.

    Raises:
        ModelError: The model has no such matrix.
    """
    layers = {
        "input": skeleton.get_input_embeddings(),
        "output": skeleton.get_output_embeddings(),
    }
    name = next((n for n, m in skeleton.named_modules() if m is layers[side]), None)
    if name is None:
        raise ModelError(
            expected=f"a model with an {side} matrix",
            got="none",
            where=str(skeleton.config.model_type),
        )
    return f"{name}.weight"


def stored_under(
    name: str, skeleton: PreTrainedModel, stored: dict[str, StoredTensor]
) -> StoredTensor | None:
    """Returns the tensor that a file has for a parameter's name: older files leave parts out."""
    bare = name.removeprefix(f"{skeleton.base_model_prefix}.")
    names = (name, bare, *_OTHER_NAMES.get(name, ()))
    return next((stored[other] for other in names if other in stored), None)


def equal_matrices(one: StoredTensor, other: StoredTensor) -> bool:
    """Whether two stored matrices are equal to the bit, read block by block."""
    if (one.dtype, one.shape) != (other.dtype, other.shape):
        return False
    return all(
        bool(torch.equal(a.view(torch.uint8), b.view(torch.uint8)))
        for a, b in zip(read_blocks(one), read_blocks(other), strict=True)
    )


def _padded(rows: Rows, place: StoredTensor, *, num_rows: int, keep_padding: bool) -> list[Rows]:
    """Rows for ids, then what the stored matrix has beyond them, then padding."""
    parts, num_ids = [rows], rows.shape[0]
    if keep_padding and place.shape[0] > num_ids:
        parts.append(rows_from(place, num_ids))
    missing = num_rows - sum(part.shape[0] for part in parts)
    if missing:
        row_D = padding_row(row_blocks(rows, DTYPES[place.dtype])).float().numpy()
        parts.append(np.broadcast_to(row_D, (missing, len(row_D))))
    return parts


def _write_index(folder: Path, out: Path, found: StoredVocabulary) -> None:
    """The index without a head that is no longer stored, its sums counted anew."""
    index: dict[str, Any] = json.loads((folder / INDEX).read_bytes())
    if found.copy is not None:
        index["weight_map"].pop(found.copy.name)
    files = sorted(set(index["weight_map"].values()))
    tensors = [tensor for name in files for tensor in read_header(out / name).tensors]
    index["metadata"] = {
        **index.get("metadata", {}),
        "total_size": sum(tensor.num_bytes for tensor in tensors),
    }
    if "total_parameters" in index["metadata"]:
        num = sum(int(np.prod(tensor.shape)) for tensor in tensors)
        index["metadata"]["total_parameters"] = num
    write_json(out / INDEX, index)


def _write_settings(
    folder: Path,
    out: Path,
    found: StoredVocabulary,
    source: Tokenizer,
    target: Tokenizer,
    *,
    num_rows: int,
) -> None:
    config, generation = found.skeleton.config, found.skeleton.generation_config
    if (folder / "generation_config.json").exists():
        generation = GenerationConfig.from_pretrained(str(folder))
    config.get_text_config().vocab_size = num_rows
    config.tie_word_embeddings = found.output is None
    config.dtype = DTYPES[found.input.dtype]
    config.architectures = [type(found.skeleton).__name__]
    carry_ids(config, source, target)
    if generation is not None:
        carry_ids(generation, source, target)
        write_text(out / "generation_config.json", generation.to_json_string(use_diff=True))
    write_text(out / "config.json", config.to_json_string(use_diff=True))
