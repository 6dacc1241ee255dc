"""The matrices of a folder's vocabulary: found and read as a loaded model has them, or refused."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from folder_cases import (
    KINDS,
    PADDING,
    MakeModel,
    edit_json,
    loaded,
    make_padded,
    read_rows,
    refused,
    tensors_of,
    written,
)
from safetensors.torch import load_file, save_file

from lingraft.errors import ModelError
from lingraft.model.folders import find_vocabulary, read_skeleton
from lingraft.model.shards import INDEX, SINGLE, StoredTensor, read_matrix
from lingraft.model.vocabulary_swap import input_rows, output_rows
from lingraft.tokenizer import Tokenizer


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_rows_are_read_as_a_loaded_model_has_them(
    kind: str, dtype: torch.dtype, make_model: MakeModel, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    made = make_padded(kind, make_model, tokenizer, dtype)
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


@pytest.mark.parametrize("old", ["embed_out.weight", "wte.weight"])
def test_older_names_of_the_matrices_are_found(
    old: str, make_model: MakeModel, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    kind = "neox" if old == "embed_out.weight" else "gpt2"
    made = make_padded(kind, make_model, tokenizer, torch.float32)
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
    made = make_padded("llama_untied", make_model, tokenizer, torch.float32)
    folder = written(made, tokenizer, tmp_path / "m")
    bias = {"lm_head.bias": torch.zeros(len(tokenizer) + PADDING)}
    save_file(tensors_of(folder) | bias, folder / SINGLE)
    refused(lambda: read_rows(folder), ModelError, "head without a bias, got a bias", str(folder))


def test_matrices_of_another_kind_are_refused(
    make_model: MakeModel, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    made = make_padded("llama_untied", make_model, tokenizer, torch.float32)
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
