"""Tensors to a file, whole or not at all, without a second copy of them in memory."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from lingraft.errors import StoreError
from lingraft.files import atomic_path


def write_tensors(
    path: Path, tensors: Mapping[str, torch.Tensor], *, metadata: dict[str, str] | None = None
) -> None:
    """Writes a safetensors file atomically.

    Serialising to bytes first would take as much memory again as model and optimiser together.

    Args:
        path: The file.
        tensors: Contiguous tensors by name, none sharing memory with another.
        metadata: At most one entry: safetensors writes several in a random order.

    Raises:
        StoreError: The folder cannot be written or the disk is full; the old file is as it was.
    """
    with atomic_path(path) as temporary:
        try:
            save_file(dict(tensors), temporary, metadata=metadata)
        except SafetensorError as error:
            raise StoreError(
                expected="a folder that can be written, with room on the disk",
                got=str(error),
                where=str(path),
                hint="free some space or choose another place; nothing that was there is lost",
            ) from error
