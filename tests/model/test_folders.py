"""Folders are grafted as loaded models are, tensor for tensor, and what is damaged is refused."""

import json
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, GPTNeoXConfig, PreTrainedModel

from lingraft.corpus.records import Document
from lingraft.embeddings import EmbeddingMatrix, random_rows
from lingraft.errors import InputError, ModelError, StoreError
from lingraft.model import extend_vocabulary, save, swap_vocabulary
from lingraft.model.folders import find_vocabulary, graft_folder, read_skeleton
from lingraft.model.shards import (
    INDEX,
    SINGLE,
    StoredTensor,
    copy_shard,
    open_shards,
    read_blocks,
    read_header,
    read_matrix,
    row_blocks,
    rows_from,
)
from lingraft.model.vocabulary_layers import padding_row
from lingraft.model.vocabulary_swap import input_rows, is_tied, output_rows
from lingraft.tokenizer import Tokenizer, extend_bpe

MakeModel = Callable[..., PreTrainedModel]
KINDS = ("llama_tied", "llama_untied", "gpt2", "qwen2", "neox", "neox_tied")
PADDING = 14


def read_rows(folder: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Input rows and, where the head is untied, output rows, as `vocabulary_rows` reads them."""
    found = find_vocabulary(folder)
    return read_matrix(found.input), None if found.output is None else read_matrix(found.output)


def neox(vocab_size: int, *, tied: bool) -> PreTrainedModel:
    config = GPTNeoXConfig(
        vocab_size=vocab_size,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        initializer_range=0.3,
        tie_word_embeddings=tied,
    )
    torch.manual_seed(0)
    model: PreTrainedModel = AutoModelForCausalLM.from_config(config)
    return model.eval()


def make(kind: str, make_model: MakeModel, tokenizer: Tokenizer, dtype: torch.dtype) -> Any:
    """A padded model whose special ids are those of its tokenizer."""
    size = len(tokenizer) + PADDING
    if kind.startswith("neox"):
        model = neox(size, tied=kind == "neox_tied")
    else:
        model = make_model(kind, size)
    start, pad = tokenizer.role_id("bos_token"), tokenizer.role_id("pad_token")
    for settings in (model.config, model.generation_config):
        settings.bos_token_id, settings.eos_token_id, settings.pad_token_id = start, start, pad
    model.generation_config.eos_token_id = [start, pad]
    model.generation_config.max_new_tokens = 7
    return model.to(dtype)


def written(
    model: Any, tokenizer: Tokenizer, folder: Path, *, shard_bytes: int | None = None
) -> Path:
    """Saves as lingraft does, or in shards as transformers does."""
    if shard_bytes is None:
        save(model, tokenizer, folder)
    else:
        model.save_pretrained(folder, max_shard_size=shard_bytes)
        tokenizer.save(folder)
    return folder


def loaded(folder: Path, dtype: torch.dtype) -> Any:
    return AutoModelForCausalLM.from_pretrained(str(folder), dtype=dtype).eval()


def tensors_of(folder: Path) -> dict[str, torch.Tensor]:
    files = sorted(folder.glob("*.safetensors"))
    return {name: tensor for path in files for name, tensor in load_file(path).items()}


def logits_of(model: Any) -> torch.Tensor:
    with torch.inference_mode():
        logits_BTV: torch.Tensor = model(input_ids=torch.arange(60).reshape(2, 30)).logits
    return logits_BTV


def new_rows(model: Any, target: Tokenizer) -> tuple[EmbeddingMatrix, EmbeddingMatrix | None]:
    head = output_rows(model)
    rows = random_rows(input_rows(model).numpy(), target=target.vocabulary, seed=1)
    if head is None:
        return rows, None
    return rows, random_rows(head.numpy(), target=target.vocabulary, seed=2)


@pytest.fixture
def source(make_model: MakeModel, tokenizer: Tokenizer, tmp_path: Path) -> Path:
    """An untied Llama in float32, in shards, for a test to damage."""
    model = make("llama_untied", make_model, tokenizer, torch.float32)
    return written(model, tokenizer, tmp_path / "source", shard_bytes=30_000)


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
    made = make(kind, make_model, tokenizer, dtype)
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
    made = make(kind, make_model, tokenizer, dtype)
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
    made = make("llama_untied", make_model, tokenizer, torch.float32)
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


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_rows_are_read_as_a_loaded_model_has_them(
    kind: str, dtype: torch.dtype, make_model: MakeModel, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    made = make(kind, make_model, tokenizer, dtype)
    folder = written(made, tokenizer, tmp_path / "m", shard_bytes=30_000)
    rows, head = read_rows(folder)
    model = loaded(folder, dtype)
    assert rows.dtype == np.float32
    assert rows.shape == (len(tokenizer) + PADDING, 32)
    assert np.array_equal(rows, input_rows(model).numpy())
    wanted = output_rows(model)
    assert (head is None) == (wanted is None)
    if head is not None and wanted is not None:
        assert np.array_equal(head, wanted.numpy())


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
    made = make("llama_tied", make_model, tokenizer, torch.float32)
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
    made = make("llama_tied", make_model, tokenizer, torch.float32)
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


@pytest.mark.parametrize("old", ["embed_out.weight", "wte.weight"])
def test_older_names_of_the_matrices_are_found(
    old: str, make_model: MakeModel, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    kind = "neox" if old == "embed_out.weight" else "gpt2"
    made = make(kind, make_model, tokenizer, torch.float32)
    folder = written(made, tokenizer, tmp_path / "m")
    stored = {
        name.replace("lm_head", "embed_out").removeprefix("transformer."): tensor
        for name, tensor in tensors_of(folder).items()
    }
    assert old in stored
    save_file(stored, folder / SINGLE, metadata={"format": "pt"})
    rows, head = read_rows(folder)
    model = loaded(folder, torch.float32)
    assert np.array_equal(rows, input_rows(model).numpy())
    wanted = output_rows(model)
    if head is not None and wanted is not None:
        assert np.array_equal(head, wanted.numpy())
    assert (head is None) == (kind == "gpt2")


def edit_json(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def refused(call: Callable[[], object], kind: type[Exception], *parts: str) -> None:
    with pytest.raises(kind) as caught:
        call()
    for part in parts:
        assert part in str(caught.value), str(caught.value)


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
    made = make("llama_tied", make_model, tokenizer, torch.float32)
    folder = written(made, tokenizer, tmp_path / "m")
    rows, _ = new_rows(made, tokenizer)
    refused(
        lambda: graft_folder(
            folder, tokenizer, rows, rows, source_tokenizer=tokenizer, out=tmp_path / "out"
        ),
        ModelError,
        "expected no output rows for a tied head, got some",
    )


def test_models_without_the_matrices_are_refused(source: Path) -> None:
    index = json.loads((source / INDEX).read_text())
    for name, problem in (
        ("lm_head.weight", "since config.json says the head is not tied"),
        ("model.embed_tokens.weight", "expected the tensor model.embed_tokens.weight, got none"),
    ):
        index["weight_map"].pop(name)
        (source / INDEX).write_text(json.dumps(index))
        for path in source.glob("*.safetensors"):
            save_file({k: v for k, v in load_file(path).items() if k != name}, path)
        refused(lambda: find_vocabulary(source), ModelError, problem)


def test_models_without_a_head_are_refused(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    skeleton = read_skeleton(source)
    monkeypatch.setattr(type(skeleton), "get_output_embeddings", lambda self: None)
    refused(lambda: find_vocabulary(source), ModelError, "llama: ", "output matrix, got none")


def test_a_bias_of_the_head_is_refused(
    make_model: MakeModel, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    made = make("llama_untied", make_model, tokenizer, torch.float32)
    folder = written(made, tokenizer, tmp_path / "m")
    bias = {"lm_head.bias": torch.zeros(len(tokenizer) + PADDING)}
    save_file(tensors_of(folder) | bias, folder / SINGLE)
    refused(lambda: read_rows(folder), ModelError, "head without a bias, got a bias", str(folder))


def test_matrices_of_another_kind_are_refused(
    make_model: MakeModel, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    made = make("llama_untied", make_model, tokenizer, torch.float32)
    folder = written(made, tokenizer, tmp_path / "m")
    whole = tensors_of(folder)
    for name, tensor, parts in (
        ("lm_head.weight", torch.zeros(416, 31), ("a head of shape (416, 32)", "got (416, 31)")),
        ("lm_head.weight", torch.zeros(416), ("a matrix of F64, F32, F16, BF16", "(416,)")),
        (
            "model.embed_tokens.weight",
            torch.zeros(416, 32, dtype=torch.int8),
            ("I8 of shape (416, 32)", "model.embed_tokens.weight", "dequantised"),
        ),
    ):
        save_file(whole | {name: tensor}, folder / SINGLE)
        refused(lambda: read_rows(folder), ModelError, *parts)
    wrong = StoredTensor("x", folder / SINGLE, "F32", (3, 4), 0, 40)
    refused(lambda: read_matrix(wrong), ModelError, "expected 48 bytes, got 40", "x")


def test_unknown_configurations_are_refused(source: Path) -> None:
    edit_json(source / "config.json", model_type="nobody_knows")
    refused(lambda: read_rows(source), ModelError, "that transformers knows", "config.json")


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
