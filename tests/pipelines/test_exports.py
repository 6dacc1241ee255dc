"""Exports: only sound folders leave, nothing is overwritten, and what leaves is complete."""

import json
from pathlib import Path

import pytest
import torch
from tiny_models import TEMPLATE, english_tokenizer, save_tiny_llama
from transformers import AutoModelForCausalLM, AutoTokenizer

from lingraft.corpus.records import Document
from lingraft.errors import InputError, ModelError, StoreError
from lingraft.model import load
from lingraft.pipelines.exports import export
from lingraft.pipelines.graft import graft
from lingraft.tokenizer import train_bpe

GREEK = (
    "Το παλιό γεφύρι περνά το ποτάμι, και το ποτάμι περνά την παλιά πόλη.",
    "Κάθε πρωί ο φούρναρης πουλά 12 καρβέλια· κάθε βράδυ μένουν 3.",
)
HINDI = (
    "पुराना पुल नदी को पार करता है, और नदी पुराने शहर को।",
    "बेकर हर सुबह १२ रोटियाँ बेचता है, और हर शाम ३ बचती हैं।",
)


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


# The text decides by which of llama.cpp's rules words are cut.
@pytest.mark.parametrize(("texts", "rules"), [(GREEK, "gpt-2"), (HINDI, "qwen35")])
@pytest.mark.parametrize("tied", [True, False])
def test_an_adapted_model_is_one_gguf_file_that_transformers_reads(
    texts: tuple[str, ...], rules: str, tied: bool, tmp_path: Path
) -> None:
    save_tiny_llama(tmp_path / "model", tied=tied)
    documents = [Document(text, str(number)) for number, text in enumerate(texts * 3)]
    new = train_bpe(documents, vocab_size=350, like=english_tokenizer())
    new.save(tmp_path / "tokenizer")
    adapted = tmp_path / "adapted"
    graft(tmp_path / "model", tokenizer=tmp_path / "tokenizer", to="el", pad_to=8, out=adapted)
    record = export(adapted, to="gguf", out=tmp_path / "el.gguf")
    assert record == {
        "format": "gguf",
        "path": str(tmp_path / "el.gguf"),
        "num_tensors": 20 if tied else 21,
        "num_bytes": (tmp_path / "el.gguf").stat().st_size,
        "pre_tokenizer": rules,
    }
    theirs = AutoTokenizer.from_pretrained(str(tmp_path), gguf_file="el.gguf")
    lines = [*texts, *GREEK, "(so on)  12 345 1/2\n\n 'tis 'RE it's\t٣٤"]
    assert theirs(lines, add_special_tokens=False)["input_ids"] == new.encode_batch(lines)
    assert theirs.chat_template == TEMPLATE
    back = AutoModelForCausalLM.from_pretrained(
        str(tmp_path), gguf_file="el.gguf", dtype=torch.float32
    )
    ids = torch.tensor([new.encode(texts[0])])
    with torch.inference_mode():
        before = load(adapted, dtype=torch.float32).model(input_ids=ids).logits
        assert torch.equal(back.eval()(input_ids=ids).logits, before)


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
