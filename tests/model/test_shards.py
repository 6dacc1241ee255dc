"""Files of tensors: read in blocks of whole rows, copied, and refused where they are damaged."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from folder_cases import edit_json, refused

from lingraft.errors import ModelError, StoreError
from lingraft.model.folders import find_vocabulary
from lingraft.model.shards import (
    INDEX,
    copy_shard,
    open_shards,
    read_blocks,
    read_matrix,
    row_blocks,
    rows_from,
)
from lingraft.model.vocabulary_layers import padding_row


def test_blocks_are_whole_rows_whatever_their_size(source: Path) -> None:
    tensor = find_vocabulary(source).input
    whole = read_matrix(tensor)
    for num_bytes in (1, 128, 1000, 10**9):
        blocks = list(read_blocks(tensor, num_bytes=num_bytes))
        assert all(block.shape[1] == 32 for block in blocks)
        assert len(blocks) == {1: 416, 128: 416, 1000: 60, 10**9: 1}[num_bytes]
        assert np.array_equal(torch.cat(blocks).numpy(), whole)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_rows_in_memory_and_in_a_file_come_in_the_same_blocks(
    source: Path, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    tensor = find_vocabulary(source).input
    whole = read_matrix(tensor)
    monkeypatch.setattr("lingraft.model.shards._BLOCK_BYTES", 1000)
    blocks = list(row_blocks(whole, dtype))
    assert len(blocks) == 60
    assert {block.dtype for block in blocks} == {dtype}
    assert torch.equal(torch.cat(blocks), torch.from_numpy(whole).to(dtype))
    assert torch.equal(torch.cat(blocks), torch.cat(list(row_blocks(tensor, dtype))))
    last = rows_from(tensor, 400)
    assert last.shape == (16, 32)
    assert np.array_equal(read_matrix(last), whole[400:])
    mean_D = torch.from_numpy(whole).to(dtype).double().mean(0)
    assert torch.equal(padding_row(blocks), mean_D.to(dtype))


def test_damaged_weights_are_refused(source: Path, tmp_path: Path) -> None:
    refused(lambda: open_shards(tmp_path), ModelError, "model.safetensors", "neither")
    first = sorted(source.glob("*.safetensors"))[0]
    whole = first.read_bytes()
    size = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + size])
    [name, *_] = [key for key in header if key != "__metadata__"]
    moved = header | {name: header[name] | {"data_offsets": [8, 16]}}
    text = json.dumps(moved).encode()
    for bad, part in (
        (whole[:-1], "in a file of"),
        (whole[:40], "a header of"),
        (b"", "a header of 0 bytes in 0"),
        (whole[:8] + b"x" * size + whole[8 + size :], "JSONDecodeError"),
        (len(text).to_bytes(8, "little") + text + whole[8 + size :], "instead of"),
    ):
        first.write_bytes(bad)
        refused(lambda: open_shards(source), ModelError, "a whole safetensors file", part)
        refused(lambda: open_shards(source), ModelError, str(first))
    first.unlink()
    refused(lambda: open_shards(source), ModelError, "FileNotFoundError", str(first))


def test_an_index_that_does_not_fit_is_refused(source: Path, tmp_path: Path) -> None:
    index = json.loads((source / INDEX).read_text())
    files = sorted(set(index["weight_map"].values()))
    astray = index["weight_map"] | {"lm_head.weight": files[1], "no.such": files[0]}
    counts = Counter(index["weight_map"].values())
    name, file = next((n, f) for n, f in index["weight_map"].items() if counts[f] > 1)
    other = next(f for f in files if f != file)
    for weights, parts in (
        (astray, ("lm_head.weight in " + files[1], "2 in all")),
        (index["weight_map"] | {name: other}, (f"{name} in {other}", "1 in all")),
        (index["weight_map"] | {"x": "../secret.safetensors"}, ("'../secret.safetensors'",)),
        ([1], ("AttributeError", INDEX)),
        (None, ("weight_map of tensor names", INDEX)),
    ):
        edit_json(source / INDEX, weight_map=weights)
        refused(lambda: open_shards(source), ModelError, *parts)
    (source / INDEX).write_text("{")
    refused(lambda: open_shards(source), ModelError, "JSONDecodeError")


def test_a_source_that_shrinks_meanwhile_leaves_no_copy(source: Path, tmp_path: Path) -> None:
    tensor = find_vocabulary(source).input
    shard = next(s for s in open_shards(source) if s.path == tensor.path)
    long = replace(shard, tensors=(replace(tensor, name="y", end=tensor.end + 10**6), tensor))
    out = tmp_path / "copy.safetensors"
    rows = np.zeros((2, 32), np.float32)
    refused(lambda: copy_shard(long, out, {tensor.name: [rows]}), StoreError, "ended while it was")
    assert not out.exists()
