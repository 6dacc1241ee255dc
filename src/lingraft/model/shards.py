"""Weights on disk, tensor by tensor: what a safetensors file holds and where, without loading it.

A folder's weights may be many times the memory of the machine. Everything here reads headers,
or blocks of rows of single tensors, and copies the rest as bytes.
"""

import json
import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray

from lingraft.errors import ModelError
from lingraft.files import atomic_path, atomic_writer

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
}
_MAX_HEADER_BYTES = 100_000_000  # safetensors' own limit
_BLOCK_BYTES = 1 << 25
_WHOLE = "fetch or write the folder again"


@dataclass(frozen=True)
class StoredTensor:
    """Where one tensor lies.

    Attributes:
        name: Its name in the file.
        path: The file.
        dtype: As safetensors spells it, e.g. ``"BF16"``.
        shape: Its axes.
        begin: First byte in the file.
        end: One past the last byte.
    """

    name: str
    path: Path
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int

    @property
    def num_bytes(self) -> int:
        """Bytes of its values."""
        return self.end - self.begin


Rows = NDArray[np.float32] | StoredTensor
"""Rows (V, D) in memory or in a file."""


@dataclass(frozen=True)
class Shard:
    """One safetensors file: its tensors in the order of their bytes, and its free text."""

    path: Path
    tensors: tuple[StoredTensor, ...]
    metadata: Mapping[str, str]


def open_shards(folder: Path) -> tuple[Shard, ...]:
    """Reads the headers of a folder's weights: those that its index names, or the one file.

    Raises:
        ModelError: No weights, a missing or damaged file, or an index that does not fit them.
    """
    index = read_index(folder)
    if index is None:
        return (read_header(folder / SINGLE),)
    shards = tuple(read_header(folder / name) for name in dict.fromkeys(index.values()))
    places = {tensor.name: shard.path.name for shard in shards for tensor in shard.tensors}
    astray = sorted(name for name, file in index.items() if places.get(name) != file)
    if astray:
        raise ModelError(
            expected=f"{astray[0]} in {index[astray[0]]}, as the index says",
            got=f"no such tensor there, {len(astray)} in all",
            where=str(folder / INDEX),
            hint=_WHOLE,
        )
    return shards


def read_index(folder: Path) -> dict[str, str] | None:
    """Returns the file of every tensor as the index has it, or None where there is one file.

    Raises:
        ModelError: Neither an index nor a single file, or an index that is none.
    """
    path = folder / INDEX
    if not path.exists():
        if (folder / SINGLE).exists():
            return None
        raise ModelError(
            expected=f"weights in {SINGLE}, or shards with {INDEX}",
            got="neither",
            where=str(folder),
        )
    try:
        files = json.loads(path.read_bytes())["weight_map"]
        pairs = {str(name): str(file) for name, file in files.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            expected="a weight_map of tensor names and files",
            got=f"{type(error).__name__}: {error}",
            where=str(path),
            hint=_WHOLE,
        ) from error
    outside = sorted({file for file in pairs.values() if Path(file).name != file})
    if outside:
        raise ModelError(
            expected="names of files in the folder", got=repr(outside[0]), where=str(path)
        )
    return pairs


def read_header(path: Path) -> Shard:
    """Reads where the tensors of one safetensors file lie.

    Raises:
        ModelError: The file is missing, cut short, or not safetensors.
    """
    try:
        with path.open("rb") as stream:
            size = int.from_bytes(stream.read(8), "little")
            if size > min(_MAX_HEADER_BYTES, path.stat().st_size - 8):
                raise ValueError(f"a header of {size} bytes in {path.stat().st_size}")
            header: dict[str, Any] = json.loads(stream.read(size))
        metadata = header.pop("__metadata__", {})
        tensors = [
            StoredTensor(
                name=name,
                path=path,
                dtype=str(entry["dtype"]),
                shape=tuple(int(axis) for axis in entry["shape"]),
                begin=8 + size + int(entry["data_offsets"][0]),
                end=8 + size + int(entry["data_offsets"][1]),
            )
            for name, entry in header.items()
        ]
        tensors.sort(key=lambda tensor: (tensor.begin, tensor.end))
        _check_extent(tensors, 8 + size, path.stat().st_size)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise ModelError(
            expected="a whole safetensors file",
            got=f"{type(error).__name__}: {error}",
            where=str(path),
            hint=_WHOLE,
        ) from error
    return Shard(path, tuple(tensors), metadata)


def read_blocks(tensor: StoredTensor, *, num_bytes: int = _BLOCK_BYTES) -> Iterator[torch.Tensor]:
    """Yields a matrix as blocks of whole rows, in the file's own dtype.

    Args:
        tensor: A matrix (V, D) of one of `DTYPES`.
        num_bytes: Of a block, about.

    Raises:
        ModelError: Another dtype, not a matrix, or fewer bytes than its shape needs.
    """
    check_matrix(tensor)
    row_bytes = tensor.num_bytes // max(tensor.shape[0], 1)
    step = max(num_bytes // max(row_bytes, 1), 1) * row_bytes
    with tensor.path.open("rb") as stream:
        stream.seek(tensor.begin)
        for begin in range(tensor.begin, tensor.end, step or 1):
            block = bytearray(stream.read(min(step, tensor.end - begin)))
            yield torch.frombuffer(block, dtype=DTYPES[tensor.dtype]).view(-1, tensor.shape[1])


def row_blocks(rows: Rows, dtype: torch.dtype) -> Iterator[torch.Tensor]:
    """Yields rows (V, D) of an array or of a file in blocks of another dtype."""
    if isinstance(rows, StoredTensor):
        for block in read_blocks(rows):
            yield block.to(dtype)
        return
    step = max(_BLOCK_BYTES // max(rows.itemsize * rows.shape[1], 1), 1)
    for begin in range(0, len(rows), step):
        yield torch.tensor(rows[begin : begin + step], dtype=dtype)


def rows_from(tensor: StoredTensor, first: int) -> StoredTensor:
    """Returns the rows of a stored matrix from one on, without reading any."""
    row_bytes = tensor.num_bytes // max(tensor.shape[0], 1)
    shape = (tensor.shape[0] - first, *tensor.shape[1:])
    return replace(tensor, shape=shape, begin=tensor.begin + first * row_bytes)


def read_matrix(tensor: StoredTensor) -> NDArray[np.float32]:
    """Reads a matrix (V, D) as float32; beside the result only one block is in memory."""
    check_matrix(tensor)
    matrix = np.empty(tensor.shape, dtype=np.float32)
    row = 0
    for block in read_blocks(tensor):
        matrix[row : row + len(block)] = block.float().numpy()
        row += len(block)
    return matrix


def check_matrix(tensor: StoredTensor) -> None:
    """Refuses what is not a matrix of floating-point numbers.

    Raises:
        ModelError: Another dtype (quantised weights, say), number of axes, or number of bytes.
    """
    dtype = DTYPES.get(tensor.dtype)
    if dtype is None or len(tensor.shape) != 2:
        raise ModelError(
            expected=f"a matrix of {', '.join(DTYPES)}",
            got=f"{tensor.dtype} of shape {tensor.shape}",
            where=f"{tensor.path}, {tensor.name}",
            hint="quantised weights have to be dequantised first",
        )
    if tensor.num_bytes != dtype.itemsize * tensor.shape[0] * tensor.shape[1]:
        raise ModelError(
            expected=f"{dtype.itemsize * tensor.shape[0] * tensor.shape[1]} bytes",
            got=str(tensor.num_bytes),
            where=f"{tensor.path}, {tensor.name}",
            hint=_WHOLE,
        )


def copy_shard(shard: Shard, path: Path, replaced: Mapping[str, Sequence[Rows] | None]) -> None:
    """Copies a safetensors file, some of its matrices replaced and the others byte for byte.

    Args:
        shard: The file.
        path: Where its copy goes; written whole or not at all.
        replaced: New rows (V', D) of a tensor in parts, one after the other, which are stored in
            its dtype; None leaves the tensor out. A file with none of these tensors is copied as
            it is.

    Raises:
        StoreError: The folder cannot be written or the disk is full.
    """
    if not any(tensor.name in replaced for tensor in shard.tensors):
        with atomic_path(path) as temporary:
            shutil.copyfile(shard.path, temporary)
        return
    kept = [t for t in shard.tensors if replaced.get(t.name, ...) is not None]
    header = _header([(t, replaced.get(t.name)) for t in kept], shard.metadata)
    with atomic_writer(path) as target, shard.path.open("rb") as source:
        target.write(header)
        for tensor in kept:
            parts = replaced.get(tensor.name)
            if parts is None:
                source.seek(tensor.begin)
                _copy_bytes(source, target, tensor.num_bytes)
                continue
            for part in parts:
                for block in row_blocks(part, DTYPES[tensor.dtype]):
                    target.write(block.view(torch.uint8).numpy().data)


def _check_extent(tensors: Sequence[StoredTensor], begin: int, end: int) -> None:
    """Tensors lie side by side from the header to the end of the file."""
    for tensor in tensors:
        if tensor.begin != begin or tensor.end < begin:
            raise ValueError(f"{tensor.name} at byte {tensor.begin} instead of {begin}")
        begin = tensor.end
    if begin != end:
        raise ValueError(f"tensors of {begin} bytes in a file of {end}")


def _header(
    tensors: Sequence[tuple[StoredTensor, Sequence[Rows] | None]], metadata: Mapping[str, str]
) -> bytes:
    content: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    begin = 0
    for tensor, parts in tensors:
        size, shape = tensor.num_bytes, list(tensor.shape)
        if parts is not None:
            shape = [sum(part.shape[0] for part in parts), *parts[0].shape[1:]]
            size = math.prod(shape) * DTYPES[tensor.dtype].itemsize
        content[tensor.name] = {
            "dtype": tensor.dtype,
            "shape": shape,
            "data_offsets": [begin, begin + size],
        }
        begin += size
    text = json.dumps(content, separators=(",", ":")).encode("utf-8")
    text += b" " * (-len(text) % 8)  # so that the values start where every dtype may
    return len(text).to_bytes(8, "little") + text


def _copy_bytes(source: BinaryIO, target: BinaryIO, num_bytes: int) -> None:
    while num_bytes > 0:
        block = source.read(min(_BLOCK_BYTES, num_bytes))
        if not block:
            raise OSError("the file ended while it was read")
        target.write(block)
        num_bytes -= len(block)
