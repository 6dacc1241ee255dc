"""A model in a folder, to be read, grafted or damaged."""

from pathlib import Path

import pytest
import torch
from folder_cases import MakeModel, make_padded, written

from lingraft.tokenizer import Tokenizer


@pytest.fixture
def source(make_model: MakeModel, tokenizer: Tokenizer, tmp_path: Path) -> Path:
    """An untied Llama in float32, in shards, for a test to damage."""
    model = make_padded("llama_untied", make_model, tokenizer, torch.float32)
    return written(model, tokenizer, tmp_path / "source", shard_bytes=30_000)
