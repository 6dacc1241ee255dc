"""Rows of a vocabulary that was extended or pruned: the tokens that stay keep the model's own."""

from pathlib import Path
from typing import Any

import numpy as np

from lingraft.embeddings.matrix import EmbeddingMatrix, Origin
from lingraft.errors import InputError
from lingraft.model.folders import find_vocabulary
from lingraft.model.shards import StoredTensor, read_blocks
from lingraft.tokenizer import Tokenizer
from lingraft.tokenizer.descent import Descent, descent

VERSION = 1


def keep_rows(*, model: Path, tokenizer: Path, rows: Path | None, out: Path) -> dict[str, Any]:
    """Writes `input/` and, for untied heads, `output/`, in which kept tokens have their old rows.

    A transfer method alone does not give them back: evidence from pairs goes before a copy.

    Args:
        model: Folder of the source model.
        tokenizer: Folder of a tokenizer that was made from the model's own.
        rows: What a transfer method made for the whole vocabulary; None where no token is new.
        out: Folder for the matrices.

    Returns:
        The rows' coverage, in which the rule ``"kept"`` counts the old tokens.

    Raises:
        InputError: The tokenizer was not made from the model's own, or has new tokens and no rows.
    """
    target = Tokenizer.load(tokenizer)
    found = descent(Tokenizer.load(model), target)
    if found is None or (rows is None and len(found.kept) < len(target)):
        raise InputError(
            expected="a tokenizer made from the model's own, and rows for its new tokens",
            got="another tokenizer" if found is None else "no rows",
            where=str(tokenizer),
        )
    stored = find_vocabulary(model)
    for side, tensor in (("input", stored.input), ("output", stored.output)):
        if tensor is not None:
            made = None if rows is None else rows / side
            _with_old_rows(made, tensor, found).save(out / side)
    matrix = EmbeddingMatrix.load(out / "input")
    return {
        "kind": found.kind,
        "by_rule": matrix.coverage(),
        "by_depth": {str(depth): num for depth, num in matrix.coverage_by_depth().items()},
        "num_rows": len(matrix),
        "num_duplicates": matrix.num_duplicates,
    }


def _with_old_rows(folder: Path | None, tensor: StoredTensor, found: Descent) -> EmbeddingMatrix:
    """The made rows with those of kept tokens put over them, block by block of the file."""
    made = None if folder is None else EmbeddingMatrix.load(folder)
    if made is None:
        shape = (len(found.kept), tensor.shape[1])
        rows, method = np.empty(shape, dtype=np.float32), "kept"
    else:
        rows, method = made.rows, made.method
    new_ids, old_ids = (np.array(list(ids)) for ids in (found.kept, found.kept.values()))
    order = np.argsort(old_ids)
    first = 0
    for block in read_blocks(tensor):
        begin, end = np.searchsorted(old_ids[order], [first, first + len(block)])
        chosen = order[begin:end]
        rows[new_ids[chosen]] = block.float().numpy()[old_ids[chosen] - first]
        first += len(block)
    origins = [
        Origin("kept", (found.kept[token],), (1.0,))
        if token in found.kept or made is None
        else made.origin(token)
        for token in range(len(rows))
    ]
    return EmbeddingMatrix.from_origins(rows, origins, method=method)
