"""Model folders for other programs: one GGUF file, or plain safetensors without our state."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lingraft.errors import InputError, ModelError, StoreError
from lingraft.files import atomic_path
from lingraft.model.diagnosis import diagnose
from lingraft.model.findings import is_sound
from lingraft.model.gguf import write_gguf
from lingraft.model.shards import INDEX, read_index

_SETTINGS = ("generation_config.json", "tokenizer.json", "tokenizer_config.json")
_PAPERS = ("chat_template.jinja", "README.md", "LICENSE", "NOTICE", "NOTICE.md")


def export(folder: Path, *, to: str, out: Path) -> dict[str, Any]:
    """Writes a model folder in another format, after checking that it is sound.

    Args:
        folder: A model folder.
        to: One of `FORMATS`.
        out: A file for ``"gguf"``, a folder for ``"safetensors"``; must not be there yet.

    Returns:
        What was written and where, as JSON values.

    Raises:
        InputError: No such format or folder.
        ModelError: The folder is not sound, or the format cannot hold this model.
        StoreError: `out` exists, cannot be written, or the disk is full.
    """
    if to not in FORMATS:
        raise InputError(expected=f"one of {', '.join(FORMATS)}", got=repr(to), where="to")
    findings = diagnose(folder)
    if not is_sound(findings):
        raise ModelError(
            expected="a sound model folder",
            got=f"{findings[0].code}: {findings[0].problem}",
            where=findings[0].where,
            hint=f"{findings[0].advice}; `lingraft graft --check` lists everything",
        )
    if out.exists():
        raise StoreError(
            expected="a place where nothing is yet",
            got="something",
            where=str(out),
            hint="choose another --out; nothing was touched",
        )
    return FORMATS[to](folder, out)


def _to_gguf(folder: Path, out: Path) -> dict[str, Any]:
    written = write_gguf(folder, out)
    return {
        "format": "gguf",
        "path": str(out),
        "num_tensors": written.num_tensors,
        "num_bytes": written.num_bytes,
        "pre_tokenizer": written.pre_tokenizer,
    }


def _to_safetensors(folder: Path, out: Path) -> dict[str, Any]:
    """Copies what belongs to the model; `config.json` last, as in `model.save`."""
    index = read_index(folder)
    weights = ["model.safetensors"] if index is None else [INDEX, *sorted(set(index.values()))]
    others = [name for name in (*_SETTINGS, *_PAPERS) if (folder / name).exists()]
    names = [*weights, *others, "config.json"]
    for name in names:
        with atomic_path(out / name) as temporary:
            shutil.copyfile(folder / name, temporary)
    num_bytes = sum((out / name).stat().st_size for name in names)
    return {"format": "safetensors", "path": str(out), "files": names, "num_bytes": num_bytes}


FORMATS: dict[str, Callable[[Path, Path], dict[str, Any]]] = {
    "gguf": _to_gguf,
    "safetensors": _to_safetensors,
}
