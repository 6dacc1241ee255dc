"""Models in folders, for the tests of reading them and of grafting them without loading."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, GPTNeoXConfig, PreTrainedModel

from lingraft.embeddings import EmbeddingMatrix, random_rows
from lingraft.model import save
from lingraft.model.folders import find_vocabulary
from lingraft.model.shards import read_matrix
from lingraft.model.vocabulary_swap import input_rows, output_rows
from lingraft.tokenizer import Tokenizer

MakeModel = Callable[..., PreTrainedModel]
KINDS = ("llama_tied", "llama_untied", "gpt2", "qwen2", "neox", "neox_tied")
PADDING = 14


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


def make_padded(kind: str, make_model: MakeModel, tokenizer: Tokenizer, dtype: torch.dtype) -> Any:
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


def read_rows(folder: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Input rows and, where the head is untied, output rows, as `vocabulary_rows` reads them."""
    found = find_vocabulary(folder)
    return read_matrix(found.input), None if found.output is None else read_matrix(found.output)


def edit_json(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def refused(call: Callable[[], object], kind: type[Exception], *parts: str) -> None:
    with pytest.raises(kind) as caught:
        call()
    for part in parts:
        assert part in str(caught.value), str(caught.value)
