"""Checks of a folder's weights: files, sizes, the head's tie, and the rows of the vocabulary.

Weights are read block by block.
"""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lingraft.errors import LingraftError
from lingraft.model.findings import FETCH_AGAIN, Finding, error_found, refused_with, settings_in
from lingraft.model.folders import equal_matrices, name_of, read_skeleton, stored_under
from lingraft.model.shards import (
    INDEX,
    SINGLE,
    StoredTensor,
    check_matrix,
    open_shards,
    read_blocks,
    read_header,
    read_index,
)
from lingraft.tokenizer.tokenizer import Tokenizer

# A graft leaves some tokens with the row of another; a model in which a tenth does is not trained.
MAX_DUPLICATE_SHARE = 0.1
NORM_FACTOR = 10.0  # times the median, or the median times that


def check_weights(folder: Path, tokenizer: Tokenizer | None) -> Iterator[Finding]:
    """Yields what is wrong with a folder's weights.

    Args:
        folder: A model folder.
        tokenizer: Its tokenizer, by which used rows and special ones are told from others; None
            where it cannot be read.
    """
    stored: dict[str, StoredTensor] = {}
    broken = list(_broken_files(folder))
    yield from broken
    if broken or not settings_in(folder / "config.json"):
        return
    for shard in open_shards(folder):
        stored |= {tensor.name: tensor for tensor in shard.tensors}
    try:
        skeleton = read_skeleton(folder)
        names = {side: name_of(skeleton, side) for side in ("input", "output")}
    except LingraftError as error:
        yield refused_with("model-unknown", error, folder / "config.json")
        return
    found = {side: stored_under(name, skeleton, stored) for side, name in names.items()}
    embedding, head = found["input"], found["output"]
    tied = bool(skeleton.config.tie_word_embeddings)
    needed = ["input"] if tied else ["input", "output"]
    absent = [names[side] for side in needed if found[side] is None]
    absent += _absent_tensors(skeleton, stored, set(names.values()))
    if absent:
        untied = names["output"] in absent
        yield error_found(
            "head-missing" if untied else "tensor-missing",
            f"{len(absent)} tensors of the model are not stored, {absent[0]} first; "
            "transformers would draw them at random",
            folder,
            'set "tie_word_embeddings" to true if the head is the embedding, or fetch it again'
            if untied
            else FETCH_AGAIN,
        )
    if embedding is None:
        return
    matrices = [tensor for tensor in (embedding, head) if tensor is not None]
    for tensor in matrices:
        try:
            check_matrix(tensor)
        except LingraftError as error:
            yield refused_with("matrix-unreadable", error, tensor.path)
            return
    yield from _check_sizes(folder, embedding, head, skeleton, tokenizer)
    equal = head is not None and equal_matrices(embedding, head)
    if tied and head is not None and not equal:
        yield error_found(
            "head-tied-in-config-only",
            "config.json says that the head is the embedding matrix, but the two differ: programs "
            "that believe it throw the head away",
            head.path,
            'set "tie_word_embeddings" to false',
        )
    pads = {settings_in(folder / "config.json").get("pad_token_id")}
    if tokenizer is not None:
        pads.add(tokenizer.role_id("pad_token"))
    for tensor in matrices[: 1 if equal else 2]:
        yield from _check_rows(tensor, tokenizer, pads)


def _broken_files(folder: Path) -> Iterator[Finding]:
    """Missing or damaged files, each by itself; then what the index says of whole ones."""
    try:
        index = read_index(folder)
    except LingraftError as error:
        yield refused_with("weights-unreadable", error, folder / INDEX)
        return
    whole = True
    for name in dict.fromkeys(index.values()) if index is not None else (SINGLE,):
        if not (folder / name).exists():
            whole = False
            yield error_found(
                "shard-missing",
                f"{name} is in the index but not in the folder",
                folder,
                FETCH_AGAIN,
            )
            continue
        try:
            read_header(folder / name)
        except LingraftError as error:
            whole = False
            yield refused_with("weights-unreadable", error, folder / name)
    if whole:
        try:
            open_shards(folder)
        except LingraftError as error:
            yield refused_with("index-differs", error, folder / INDEX)


def _absent_tensors(
    skeleton: Any, stored: Mapping[str, StoredTensor], vocabulary: set[str]
) -> list[str]:
    """Parameters without a stored tensor, for files that name tensors as the model does.

    transformers renames and merges the tensors of some model types while it loads them; where the
    file has a weight that the model does not, that is so, and nothing can be told from names.
    """
    parameters = dict(skeleton.named_parameters(remove_duplicate=False))
    present = {n for n in parameters if stored_under(n, skeleton, dict(stored)) is not None}
    places = {
        tensor.name
        for name in present
        if (tensor := stored_under(name, skeleton, dict(stored))) is not None
    }
    strange = [name for name in stored if name not in places and name.endswith("weight")]
    return [] if strange else [n for n in parameters if n not in present | vocabulary]


def _check_sizes(
    folder: Path,
    embedding: StoredTensor,
    head: StoredTensor | None,
    skeleton: Any,
    tokenizer: Tokenizer | None,
) -> Iterator[Finding]:
    num_rows = embedding.shape[0]
    if head is not None and head.shape != embedding.shape:
        yield error_found(
            "head-size-differs",
            f"the head has shape {head.shape}, the embedding {embedding.shape}",
            head.path,
            "resize both; one of them is of another vocabulary",
        )
    declared = skeleton.config.get_text_config().vocab_size
    if declared != num_rows:
        yield error_found(
            "vocab-size-differs",
            f"vocab_size is {declared}, the matrix has {num_rows} rows",
            folder / "config.json",
            f"set it to {num_rows}",
        )
    if tokenizer is not None and len(tokenizer) > num_rows:
        yield error_found(
            "ids-beyond-matrix",
            f"the tokenizer has ids up to {len(tokenizer) - 1}, the matrix {num_rows} rows",
            folder / "tokenizer.json",
            "append a row for every new id, or take the tokenizer of this model",
        )


def _check_rows(
    tensor: StoredTensor, tokenizer: Tokenizer | None, pads: set[int | None]
) -> Iterator[Finding]:
    """Rows of ids that the tokenizer has; rows beyond them are padding.

    The row of the padding token may be zero: torch makes it so.
    """
    num_ids = min(tensor.shape[0], tensor.shape[0] if tokenizer is None else len(tokenizer))
    used = np.ones(num_ids, dtype=bool)
    special = np.zeros(num_ids, dtype=bool)
    padding = np.isin(np.arange(num_ids), [pad for pad in pads if pad is not None])
    if tokenizer is not None:
        vocabulary = tokenizer.vocabulary
        special[[i for i in vocabulary.special if i < num_ids]] = True
        used = np.array([p is not None for p in vocabulary.pieces[:num_ids]]) | special
    squares, digests = _row_facts(tensor, num_ids)
    where = f"{tensor.path}, {tensor.name}"

    def found(
        code: str, bad: NDArray[np.bool_], what: str, advice: str, *, error: bool
    ) -> Iterator[Finding]:
        rows = np.flatnonzero(bad)
        if len(rows):
            shown = int(rows[0])
            named = "" if tokenizer is None else f" ({tokenizer.vocabulary.describe(shown)!r})"
            problem = f"{len(rows)} of {num_ids} rows {what}, row {shown}{named} first"
            yield Finding(code, "error" if error else "warning", problem, where, advice)

    broken = ~np.isfinite(squares)
    zero = squares == 0
    yield from found(
        "nan-rows",
        broken,
        "hold NaN or infinity",
        "make them anew from sound rows; every logit after such a token is NaN",
        error=True,
    )
    yield from found(
        "zero-rows",
        zero & used & ~padding,
        "are all zeros",
        "give them the rows of their pieces; nothing ever set these",
        error=True,
    )
    # Reserved special tokens share rows in many published models.
    sound = used & ~special & ~broken & ~zero
    _, first = np.unique(digests[sound], return_index=True)
    again = np.zeros(num_ids, dtype=bool)
    again[np.delete(np.flatnonzero(sound), first)] = True
    share = again.sum() / max(num_ids, 1)
    yield from found(
        "duplicate-rows",
        again,
        "repeat another row",
        "the model cannot tell these tokens apart until it is trained",
        error=bool(share > MAX_DUPLICATE_SHARE),
    )
    if sound.any():
        norms = np.sqrt(np.where(sound, squares, 0.0))
        median = float(np.median(norms[sound]))
        far = sound & ((norms > NORM_FACTOR * median) | (norms * NORM_FACTOR < median))
        yield from found(
            "outlier-norms",
            far,
            f"have norms far from the median {median:.3g}",
            "look at how these rows were made; such tokens are always or never chosen",
            error=False,
        )


def _row_facts(
    tensor: StoredTensor, num_ids: int
) -> tuple[NDArray[np.float64], NDArray[np.uint64]]:
    """The sum of squares and a digest of each of the first rows."""
    squares, digests = [], []
    for block in read_blocks(tensor):
        squares.append(block.double().square().sum(1).numpy())
        rows = block.contiguous().view(torch.uint8).numpy()
        digests += [hashlib.blake2b(row.data, digest_size=8).digest() for row in rows]
        if len(digests) >= num_ids:
            break
    table = np.frombuffer(b"".join(digests[:num_ids]), dtype="<u8")
    return np.concatenate([*squares, np.zeros(0)])[:num_ids], table
