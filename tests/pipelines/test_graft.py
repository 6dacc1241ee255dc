"""Grafts from folder to folder: dtype and shards stay, and a source is never its own output."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_models import english_tokenizer, save_tiny_llama
from transformers import AutoModelForCausalLM

from lingraft.corpus import samples
from lingraft.embeddings import EmbeddingMatrix
from lingraft.errors import InputError, ModelError
from lingraft.languages import Language
from lingraft.model import load
from lingraft.model.diagnosis import diagnose
from lingraft.model.shards import INDEX
from lingraft.model.vocabulary_swap import input_rows, is_tied, output_rows
from lingraft.pipelines.adapt import STATE
from lingraft.pipelines.checking import check_folder
from lingraft.pipelines.graft import graft
from lingraft.tokenizer import train_bpe


@pytest.fixture(scope="module")
def greek_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a Greek vocabulary with the English one's special tokens."""
    folder = tmp_path_factory.mktemp("greek-tokenizer")
    documents = samples.load_documents("test", lang=Language.parse("el")).records[:200]
    train_bpe(documents, vocab_size=400, like=english_tokenizer()).save(folder)
    return folder


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random untied Llama in bfloat16 shards."""
    root = tmp_path_factory.mktemp("shards")
    save_tiny_llama(root / "whole", tied=False)
    model = AutoModelForCausalLM.from_pretrained(str(root / "whole"), dtype=torch.bfloat16)
    model.save_pretrained(root / "model", max_shard_size=20_000)
    english_tokenizer().save(root / "model")
    return root / "model"


def test_shards_and_dtype_stay(shards: Path, greek_tokenizer: Path, tmp_path: Path) -> None:
    done = graft(shards, tokenizer=greek_tokenizer, to="el", out=tmp_path / "out")
    out = done.model_path
    assert {path.name for path in out.glob("*.safetensors")} == {
        path.name for path in shards.glob("*.safetensors")
    }
    assert (out / INDEX).exists()
    dtypes = {t.dtype for path in out.glob("*.safetensors") for t in load_file(path).values()}
    assert dtypes == {torch.bfloat16}
    grafted = load(out, dtype=torch.bfloat16)
    assert not is_tied(grafted.model)
    assert len(grafted.tokenizer) == 400
    [rows] = (out / STATE / "store").glob("rows-*")
    for part, stored in (("input", input_rows), ("output", output_rows)):
        wanted = torch.from_numpy(EmbeddingMatrix.load(rows / part).rows).bfloat16().float()
        got = stored(grafted.model)
        assert got is not None
        assert torch.equal(got, wanted)
    coverage = json.loads((out / STATE / "coverage.json").read_text())
    assert coverage == done.coverage
    assert coverage["num_rows"] == 400
    assert [finding for finding in diagnose(out) if finding.severity == "error"] == []


def test_weights_are_not_kept_twice(shards: Path, greek_tokenizer: Path, tmp_path: Path) -> None:
    out = graft(shards, tokenizer=greek_tokenizer, to="el", out=tmp_path / "out").model_path
    kept = {path.parent.parent.name.split("-")[0] for path in out.rglob("rows.safetensors")}
    assert kept == {"rows"}
    assert not list((out / STATE).rglob("model*.safetensors"))
    # The same again goes on from the rows, and writes the same folder.
    before = {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}
    graft(shards, tokenizer=greek_tokenizer, to="el", out=out)
    assert {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()} == before


def test_the_model_is_never_its_own_output(
    shards: Path, greek_tokenizer: Path, tmp_path: Path
) -> None:
    out = graft(shards, tokenizer=greek_tokenizer, to="el", out=tmp_path / "out").model_path
    with pytest.raises(InputError, match="out: expected another folder than the model's, got"):
        graft(out, tokenizer=greek_tokenizer, to="el", out=out)
    assert load(out, dtype=torch.float32)


def test_a_tokenizer_that_would_load_otherwise_is_refused_before_any_work(
    shards: Path, greek_tokenizer: Path, tmp_path: Path
) -> None:
    tokenizer = tmp_path / "tokenizer"
    tokenizer.mkdir()
    for path in greek_tokenizer.iterdir():
        (tokenizer / path.name).write_bytes(path.read_bytes())
    rule = {"type": "Replace", "pattern": {"String": "fox"}, "content": "dog"}
    for name, values in (
        ("tokenizer.json", {"normalizer": rule}),
        ("tokenizer_config.json", {"tokenizer_class": "GPT2Tokenizer"}),
    ):
        content = json.loads((tokenizer / name).read_text())
        (tokenizer / name).write_text(json.dumps(content | values))
    with pytest.raises(ModelError, match="from AutoTokenizer"):
        graft(shards, tokenizer=tokenizer, to="el", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_unknown_methods_are_refused(shards: Path, greek_tokenizer: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"method: expected one of the methods .*, got 'magic'"):
        graft(shards, tokenizer=greek_tokenizer, to="el", method="magic", out=tmp_path / "out")


def test_a_check_tells_every_finding_on_a_line(shards: Path, tmp_path: Path) -> None:
    sound = check_folder(shards)
    assert sound.sound
    assert sound.lines == ()
    assert sound.record == {"folder": str(shards), "sound": True, "findings": []}
    broken = tmp_path / "broken"
    broken.mkdir()
    for path in shards.iterdir():
        (broken / path.name).write_bytes(path.read_bytes())
    config = json.loads((broken / "config.json").read_text())
    (broken / "config.json").write_text(json.dumps(config | {"vocab_size": 999}))
    (broken / "old.bin").write_bytes(b"")
    checked = check_folder(broken)
    assert not checked.sound
    first, second = checked.lines
    assert first.startswith("error: vocab-size-differs: ")
    assert second.startswith("warning: pickle-weights: ")
    assert [finding["code"] for finding in checked.record["findings"]] == [
        "vocab-size-differs",
        "pickle-weights",
    ]
