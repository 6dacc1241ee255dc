"""Checkpoints in safetensors and JSON, of which the last two stay.

A checkpoint is whole when its `DONE` is there, written last with the hashes of the other files.
"""

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from lingraft.errors import StoreError
from lingraft.files import read_json, sha256_file, write_json
from lingraft.model.tensors import write_tensors

_KEPT = 2
_MARKER, _STATE, _TENSORS = "DONE", "state.json", "tensors.safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """The whole state of a training run.

    Attributes:
        tensors: Parameters and optimiser moments by name.
        state: Everything else as JSON, `step` among it.
    """

    tensors: dict[str, torch.Tensor]
    state: dict[str, Any]

    def clone(self) -> "Checkpoint":
        """Returns a copy that further training leaves as it is."""
        tensors = {name: tensor.clone() for name, tensor in self.tensors.items()}
        return Checkpoint(tensors, self.state)


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Writes a checkpoint and drops all but the last two, and any that a later step has left.

    Raises:
        StoreError: The folder cannot be written or the disk is full; earlier ones are as they were.
    """
    path = folder / f"step-{checkpoint.state['step']:08d}"
    (path / _MARKER).unlink(missing_ok=True)
    tensors = {name: tensor.contiguous() for name, tensor in checkpoint.tensors.items()}
    write_tensors(path / _TENSORS, tensors)
    write_json(path / _STATE, checkpoint.state)
    write_json(path / _MARKER, _hashes(path))
    whole = [old for old in _steps(folder) if old <= path and (old / _MARKER).exists()]
    for old in _steps(folder):
        if old not in whole[-_KEPT:]:
            _drop(old)


def read_checkpoint(folder: Path) -> Checkpoint | None:
    """Returns the newest checkpoint that is whole, or None; a damaged one is passed over."""
    for path in reversed(_steps(folder)):
        with contextlib.suppress(StoreError, OSError):
            if read_json(path / _MARKER) == _hashes(path):
                return Checkpoint(load_file(path / _TENSORS), read_json(path / _STATE))
    return None


def drop_checkpoints(folder: Path) -> None:
    """Removes the checkpoints that `write_checkpoint` made, and the folder if nothing is left."""
    for path in _steps(folder):
        _drop(path)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _steps(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("step-*") if path.is_dir())


def _drop(path: Path) -> None:
    # The marker goes first: a crash in between leaves a folder that is passed over.
    for name in (_MARKER, _STATE, _TENSORS):
        (path / name).unlink(missing_ok=True)
    for leftover in path.glob(".*.tmp"):
        leftover.unlink()
    with contextlib.suppress(OSError):  # somebody else's file is in it, which is not ours to delete
        path.rmdir()


def _hashes(path: Path) -> dict[str, str]:
    return {name: sha256_file(path / name) for name in (_TENSORS, _STATE)}
