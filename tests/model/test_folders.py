"""Folders are grafted as loaded models are, tensor for tensor, and what does not fit is refused."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from folder_cases import (
    KINDS,
    PADDING,
    MakeModel,
    loaded,
    logits_of,
    make_padded,
    new_rows,
    refused,
    tensors_of,
    written,
)
from safetensors.torch import save_file
from transformers import AutoTokenizer

from lingraft.corpus.records import Document
from lingraft.embeddings import EmbeddingMatrix
from lingraft.errors import InputError, ModelError, StoreError
from lingraft.model import extend_vocabulary, save, swap_vocabulary
from lingraft.model.folders import find_vocabulary, graft_folder
from lingraft.model.shards import INDEX, SINGLE, open_shards, read_header
from lingraft.model.vocabulary_swap import input_rows, is_tied, output_rows
from lingraft.tokenizer import Tokenizer, extend_bpe


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shard_bytes", [None, 30_000])
def test_a_folder_is_grafted_as_a_loaded_model_is(
    kind: str,
    dtype: torch.dtype,
    shard_bytes: int | None,
    make_model: MakeModel,
    tokenizer: Tokenizer,
    other_tokenizer: Tokenizer,
    tmp_path: Path,
) -> None:
    made = make_padded(kind, make_model, tokenizer, dtype)
    folder = written(made, tokenizer, tmp_path / "source", shard_bytes=shard_bytes)
    model = loaded(folder, dtype)
    rows, head = new_rows(model, other_tokenizer)
    wanted = swap_vocabulary(model, other_tokenizer, rows, head, source_tokenizer=tokenizer)
    save(wanted, other_tokenizer, tmp_path / "wanted")
    graft_folder(
        folder, other_tokenizer, rows, head, source_tokenizer=tokenizer, out=tmp_path / "got"
    )
    got = tmp_path / "got"
    if shard_bytes:
        assert len(list(got.glob("model-*.safetensors"))) >= 3
        index = json.loads((got / INDEX).read_text())
        stored = [tensor for shard in open_shards(got) for tensor in shard.tensors]
        assert index["metadata"]["total_size"] == sum(tensor.num_bytes for tensor in stored)
        num_parameters = sum(math.prod(tensor.shape) for tensor in stored)
        assert index["metadata"]["total_parameters"] == num_parameters
    ours = {name.replace("embed_out", "lm_head"): t for name, t in tensors_of(got).items()}
    theirs = tensors_of(tmp_path / "wanted")
    assert ours.keys() == theirs.keys()
    assert all(ours[name].dtype == theirs[name].dtype == dtype for name in ours)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    names = ["config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"]
    for name in [*names, "chat_template.jinja"]:
        assert (got / name).read_bytes() == (tmp_path / "wanted" / name).read_bytes(), name
    model_got = loaded(got, dtype)
    assert torch.equal(logits_of(model_got), logits_of(wanted))
    assert is_tied(model_got) == is_tied(wanted)
    start, pad = other_tokenizer.role_id("bos_token"), other_tokenizer.role_id("pad_token")
    assert (model_got.config.bos_token_id, model_got.config.pad_token_id) == (start, pad)
    assert model_got.generation_config.eos_token_id == [start, pad]
    assert model_got.generation_config.max_new_tokens == 7
    if kind != "qwen2":  # transformers puts rules of its own in place of this file's
        theirs_too = AutoTokenizer.from_pretrained(str(got))
        assert theirs_too("Το παλιό")["input_ids"] == other_tokenizer.encode("Το παλιό")


# 416 rows before. 310 and 2 special ids replace them, or 412 to 450 ids grow out of the old 402.
@pytest.mark.parametrize(("num_new", "pad_to", "num_rows"), [
    (None, 1, 312), (None, 64, 320), (10, 1, 416), (48, 1, 450), (10, 64, 448), (48, 64, 512),
])  # fmt: skip
@pytest.mark.parametrize("kind", ["llama_tied", "llama_untied"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_folders_are_padded_as_loaded_models_are(
    num_new: int | None,
    pad_to: int,
    num_rows: int,
    kind: str,
    dtype: torch.dtype,
    make_model: MakeModel,
    tokenizer: Tokenizer,
    other_tokenizer: Tokenizer,
    documents: list[Document],
    tmp_path: Path,
) -> None:
    target = other_tokenizer
    if num_new is not None:
        target = extend_bpe(tokenizer, documents * 3, new_tokens=num_new).tokenizer
        assert len(target) == 402 + num_new
    made = make_padded(kind, make_model, tokenizer, dtype)
    folder = written(made, tokenizer, tmp_path / "source", shard_bytes=30_000)
    model = loaded(folder, dtype)
    rows, head = new_rows(model, target)
    operate = swap_vocabulary if num_new is None else extend_vocabulary
    wanted = operate(model, target, rows, head, source_tokenizer=tokenizer, pad_to=pad_to)
    if num_new is not None:  # `graft_folder` takes the rows of old ids from their matrix too
        rows = replace(rows, rows=input_rows(wanted)[: len(target)].numpy())
        grown_head = output_rows(wanted)
        if head is not None and grown_head is not None:
            head = replace(head, rows=grown_head[: len(target)].numpy())
    graft_folder(
        folder,
        target,
        rows,
        head,
        source_tokenizer=tokenizer,
        out=tmp_path / "got",
        pad_to=pad_to,
        keep_padding=num_new is not None,
    )
    save(wanted, target, tmp_path / "wanted")
    ours, theirs = tensors_of(tmp_path / "got"), tensors_of(tmp_path / "wanted")
    assert ours["model.embed_tokens.weight"].shape == (num_rows, 32)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    for name in ("config.json", "generation_config.json"):
        assert (tmp_path / "got" / name).read_bytes() == (tmp_path / "wanted" / name).read_bytes()
    assert torch.equal(logits_of(loaded(tmp_path / "got", dtype)), logits_of(wanted))


def test_a_header_in_another_order_than_the_tensors_is_read(
    make_model: MakeModel, tokenizer: Tokenizer, other_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    made = make_padded("llama_untied", make_model, tokenizer, torch.float32)
    folder = written(made, tokenizer, tmp_path / "m")
    whole = {name: tensor.clone() for name, tensor in tensors_of(folder).items()}
    data = (folder / SINGLE).read_bytes()
    size = int.from_bytes(data[:8], "little")
    turned = dict(reversed(json.loads(data[8 : 8 + size]).items()))
    header = json.dumps(turned).encode()
    rest = data[8 + size :]
    (folder / SINGLE).write_bytes(len(header).to_bytes(8, "little") + header + rest)
    rows, head = new_rows(made, other_tokenizer)
    out = tmp_path / "out"
    graft_folder(folder, other_tokenizer, rows, head, source_tokenizer=tokenizer, out=out)
    got = tensors_of(out)
    matrices = {found.name for found in (find_vocabulary(out).input, find_vocabulary(out).output)
                if found is not None}  # fmt: skip
    assert len(matrices) == 2
    assert got.keys() == whole.keys()
    assert all(torch.equal(got[name], whole[name]) for name in whole.keys() - matrices)
    # Values start at a multiple of eight, where every dtype may.
    assert int.from_bytes((out / SINGLE).read_bytes()[:8], "little") % 8 == 0


def test_a_multiple_below_one_is_refused(
    source: Path, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    rows, head = new_rows(loaded(source, torch.float32), tokenizer)
    with pytest.raises(InputError, match="pad_to: expected a multiple of 1 or more, got 0"):
        graft_folder(
            source, tokenizer, rows, head, source_tokenizer=tokenizer, out=tmp_path / "o", pad_to=0
        )
    assert not (tmp_path / "o").exists()


def test_files_without_the_vocabulary_are_copied_byte_for_byte(
    source: Path, tokenizer: Tokenizer, other_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    model = loaded(source, torch.float32)
    rows, head = new_rows(model, other_tokenizer)
    out = tmp_path / "out"
    graft_folder(source, other_tokenizer, rows, head, source_tokenizer=tokenizer, out=out)
    found = find_vocabulary(source)
    assert found.output is not None
    changed = {found.input.path.name, found.output.path.name}
    same = [path for path in source.glob("*.safetensors") if path.name not in changed]
    assert len(same) >= 3
    for path in same:
        assert (out / path.name).read_bytes() == path.read_bytes()
    # Also inside a rewritten file the others keep their bytes and the file its free text.
    before, after = (read_header(folder / shard_of(source)) for folder in (source, out))
    assert before.metadata == after.metadata == {"format": "pt"}


def shard_of(folder: Path) -> str:
    return find_vocabulary(folder).input.path.name


@pytest.mark.parametrize("shard_bytes", [None, 30_000])
def test_a_tied_head_that_is_stored_twice_is_stored_once_afterwards(
    shard_bytes: int | None,
    make_model: MakeModel,
    tokenizer: Tokenizer,
    other_tokenizer: Tokenizer,
    tmp_path: Path,
) -> None:
    made = make_padded("llama_tied", make_model, tokenizer, torch.float32)
    folder = written(made, tokenizer, tmp_path / "m", shard_bytes=shard_bytes)
    twice = {"lm_head.weight": made.model.embed_tokens.weight.detach().clone()}
    if shard_bytes is None:
        save_file(tensors_of(folder) | twice, folder / SINGLE, metadata={"format": "pt"})
    else:
        save_file(twice, folder / "head.safetensors", metadata={"format": "pt"})
        index = json.loads((folder / INDEX).read_text())
        index["weight_map"]["lm_head.weight"] = "head.safetensors"
        (folder / INDEX).write_text(json.dumps(index))
    found = find_vocabulary(folder)
    assert found.output is None
    assert found.copy is not None
    model = loaded(folder, torch.float32)
    assert is_tied(model)
    rows, head = new_rows(model, other_tokenizer)
    assert head is None
    out = tmp_path / "out"
    graft_folder(folder, other_tokenizer, rows, source_tokenizer=tokenizer, out=out)
    assert "lm_head.weight" not in tensors_of(out)
    assert not (out / "head.safetensors").exists()
    wanted = swap_vocabulary(model, other_tokenizer, rows, source_tokenizer=tokenizer)
    assert torch.equal(logits_of(loaded(out, torch.float32)), logits_of(wanted))


def test_a_head_that_differs_under_a_tied_configuration_is_untied(
    make_model: MakeModel, tokenizer: Tokenizer, other_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    made = make_padded("llama_tied", make_model, tokenizer, torch.float32)
    folder = written(made, tokenizer, tmp_path / "m")
    other = {"lm_head.weight": torch.randn(len(tokenizer) + PADDING, 32)}
    save_file(tensors_of(folder) | other, folder / SINGLE, metadata={"format": "pt"})
    model = loaded(folder, torch.float32)
    rows, head = new_rows(model, other_tokenizer)
    assert head is not None
    out = tmp_path / "out"
    graft_folder(folder, other_tokenizer, rows, head, source_tokenizer=tokenizer, out=out)
    assert json.loads((out / "config.json").read_text())["tie_word_embeddings"] is False
    wanted = swap_vocabulary(model, other_tokenizer, rows, head, source_tokenizer=tokenizer)
    assert torch.equal(logits_of(loaded(out, torch.float32)), logits_of(wanted))


def test_rows_that_do_not_fit_are_refused(
    source: Path, tokenizer: Tokenizer, other_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    rows, head = new_rows(loaded(source, torch.float32), other_tokenizer)

    def graft(one: EmbeddingMatrix, two: EmbeddingMatrix | None, out: Path) -> None:
        graft_folder(source, other_tokenizer, one, two, source_tokenizer=tokenizer, out=out)

    out = tmp_path / "out"
    narrow = replace(rows, rows=rows.rows[:, :31])
    few = replace(rows, rows=rows.rows[:5])
    refused(lambda: graft(narrow, head, out), InputError, "rows: ", "(312, 32)", "(312, 31)")
    refused(lambda: graft(rows, few, out), InputError, "output_rows: ", "(312, 32)", "(5, 32)")
    refused(lambda: graft(rows, None, out), ModelError, "expected output rows, got none")
    refused(lambda: graft(rows, head, source), InputError, "out: ", str(source))
    assert not out.exists()
    assert loaded(source, torch.float32)


def test_output_rows_for_a_tied_folder_are_refused(
    make_model: MakeModel, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    made = make_padded("llama_tied", make_model, tokenizer, torch.float32)
    folder = written(made, tokenizer, tmp_path / "m")
    rows, _ = new_rows(made, tokenizer)
    refused(
        lambda: graft_folder(
            folder, tokenizer, rows, rows, source_tokenizer=tokenizer, out=tmp_path / "out"
        ),
        ModelError,
        "expected no output rows for a tied head, got some",
    )


def test_a_folder_cut_short_does_not_load(
    source: Path,
    tokenizer: Tokenizer,
    other_tokenizer: Tokenizer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows, head = new_rows(loaded(source, torch.float32), other_tokenizer)
    out = tmp_path / "out"
    graft_folder(source, other_tokenizer, rows, head, source_tokenizer=tokenizer, out=out)

    def full(*_: object) -> None:
        raise StoreError(expected="room on the disk", got="none")

    monkeypatch.setattr("lingraft.model.folders.copy_shard", full)
    with pytest.raises(StoreError, match="room on the disk"):
        graft_folder(source, other_tokenizer, rows, head, source_tokenizer=tokenizer, out=out)
    assert not (out / "config.json").exists()
    assert not (out / INDEX).exists()
