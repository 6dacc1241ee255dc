"""Checkpoints in safetensors and JSON, of which the last two stay.

A checkpoint is whole when its `state.json` is there, written last with the hash of the tensors.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes

from lingraft.errors import StoreError
from lingraft.files import read_json, sha256_file, write_bytes, write_json

_KEPT = 2


@dataclass(frozen=True)
class Checkpoint:
    """The whole state of a training run.

    Attributes:
        tensors: Parameters and optimiser moments by name.
        state: Everything else as JSON: step, bytes, curve.
    """

    tensors: dict[str, torch.Tensor]
    state: dict[str, Any]


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Writes a checkpoint and drops all but the last two."""
    path = folder / f"step-{checkpoint.state['step']:08d}"
    tensors = {name: tensor.contiguous() for name, tensor in checkpoint.tensors.items()}
    write_bytes(path / "tensors.safetensors", to_bytes(tensors))
    digest = sha256_file(path / "tensors.safetensors")
    write_json(path / "state.json", {**checkpoint.state, "sha256": digest})
    for old in sorted(folder.glob("step-*"))[:-_KEPT]:
        _drop(old)


def read_checkpoint(folder: Path) -> Checkpoint | None:
    """Returns the newest checkpoint that is whole, or None; a damaged one is passed over."""
    for path in sorted(folder.glob("step-*"), reverse=True):
        try:
            state = read_json(path / "state.json")
            tensors = path / "tensors.safetensors"
            if sha256_file(tensors) == state.pop("sha256", None):
                return Checkpoint(load_file(tensors), state)
        except (StoreError, OSError):
            continue
    return None


def drop_checkpoints(folder: Path) -> None:
    """Removes the checkpoints that `write_checkpoint` made, and the folder if nothing is left."""
    for path in folder.glob("step-*"):
        _drop(path)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _drop(path: Path) -> None:
    # The marker goes first: a crash in between leaves a folder that is passed over.
    for name in ("state.json", "tensors.safetensors"):
        (path / name).unlink(missing_ok=True)
    for leftover in path.glob(".*.tmp"):
        leftover.unlink()
    path.rmdir()
