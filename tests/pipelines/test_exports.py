"""Exports: only sound folders leave, nothing is overwritten, and what leaves is complete."""

import json
from pathlib import Path

import pytest
import tokenizers
import torch
from tiny_models import english_tokenizer, save_tiny_llama
from transformers import AutoModelForCausalLM, AutoTokenizer

from lingraft.errors import InputError, ModelError, StoreError
from lingraft.model import load, save
from lingraft.pipelines.exports import export


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model with our own state and papers beside it."""
    save_tiny_llama(tmp_path / "model", tied=False)
    (tmp_path / "model" / ".lingraft").mkdir()
    (tmp_path / "model" / ".lingraft" / "record.json").write_text("{}")
    (tmp_path / "model" / "README.md").write_text("a card")
    (tmp_path / "model" / "report.html").write_text("a report")
    return tmp_path / "model"


@pytest.mark.parametrize("sharded", [False, True])
def test_safetensors_are_the_model_and_nothing_else(
    folder: Path, sharded: bool, tmp_path: Path
) -> None:
    if sharded:
        model = AutoModelForCausalLM.from_pretrained(str(folder), dtype=torch.float32)
        (folder / "model.safetensors").unlink()
        model.save_pretrained(folder, max_shard_size=40_000)
        (folder / "stray.safetensors").write_bytes(b"")
    record = export(folder, to="safetensors", out=tmp_path / "out")
    written = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert set(record["files"]) == written.keys()
    assert written == {name: (folder / name).read_bytes() for name in written}
    assert written.keys() >= {"config.json", "generation_config.json", "chat_template.jinja"}
    assert not written.keys() & {".lingraft", "report.html", "stray.safetensors"}
    assert record["num_bytes"] == sum(map(len, written.values()))
    before, after = load(folder, dtype=torch.float32), load(tmp_path / "out", dtype=torch.float32)
    states = before.model.state_dict(), after.model.state_dict()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_gguf_is_one_file_that_transformers_reads(tmp_path: Path) -> None:
    own = english_tokenizer()
    backend = tokenizers.Tokenizer.from_str(own.backend.to_str())
    backend.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    known = type(own)(backend, own.roles, own.chat_template)
    save_tiny_llama(tmp_path / "model")
    model = load(tmp_path / "model", dtype=torch.float32).model
    save(model, known, tmp_path / "known")
    record = export(tmp_path / "known", to="gguf", out=tmp_path / "el.gguf")
    assert record == {
        "format": "gguf",
        "path": str(tmp_path / "el.gguf"),
        "num_tensors": 20,
        "num_bytes": (tmp_path / "el.gguf").stat().st_size,
        "pre_tokenizer": "gpt-2",
    }
    theirs = AutoTokenizer.from_pretrained(str(tmp_path), gguf_file="el.gguf")
    assert theirs("open the file")["input_ids"] == known.encode("open the file")


def test_an_unsound_folder_stays_where_it_is(folder: Path, tmp_path: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"vocab_size": 999}))
    for to in ("gguf", "safetensors"):
        with pytest.raises(ModelError, match="got vocab-size-differs: vocab_size is 999") as caught:
            export(folder, to=to, out=tmp_path / "out")
        assert "lingraft graft --check" in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_other_formats_and_places_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="to: expected one of gguf, safetensors, got 'onnx'"):
        export(folder, to="onnx", out=tmp_path / "out")
    taken = tmp_path / "taken.gguf"
    taken.write_bytes(b"mine")
    with pytest.raises(StoreError, match=r"taken\.gguf: expected a place where nothing is yet"):
        export(folder, to="gguf", out=taken)
    assert taken.read_bytes() == b"mine"
