"""Tiny tokenizers and models, built on the spot, for every test that needs one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import tokenizers
from hypothesis import settings
from tiny_tokenizers import TEXTS, with_special_tokens

from lingraft.corpus.records import Document
from lingraft.tokenizer import Tokenizer, train_bpe

# How long an example takes says how busy the machine is, and no test is about that.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

if TYPE_CHECKING:
    from transformers import PreTrainedModel

TINY: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
KINDS = ("llama_tied", "llama_untied", "gpt2", "qwen2")


@pytest.fixture(scope="session")
def documents() -> list[Document]:
    """Short texts of several scripts."""
    return [Document(text, f"text-{number}") for number, text in enumerate(TEXTS)]


@pytest.fixture(scope="session")
def tokenizer(documents: list[Document]) -> Tokenizer:
    """A vocabulary of 400 byte-level tokens and two special ones."""
    return with_special_tokens(train_bpe(documents * 3, vocab_size=400))


@pytest.fixture(scope="session")
def other_tokenizer(documents: list[Document]) -> Tokenizer:
    """A smaller vocabulary, in which the same special tokens have other ids."""
    return with_special_tokens(train_bpe(documents[::-1] * 3, vocab_size=310))


@pytest.fixture(scope="session")
def byte_tokenizer(documents: list[Document]) -> Tokenizer:
    """The 256 bytes and nothing else."""
    return train_bpe(documents, vocab_size=256)


@pytest.fixture(scope="session")
def qwen_tokenizer(byte_tokenizer: Tokenizer) -> Tokenizer:
    """Bytes under the rules of Qwen2, which transformers forces on every model of that type."""
    backend = tokenizers.Tokenizer.from_str(byte_tokenizer.backend.to_str())
    backend.normalizer = tokenizers.normalizers.NFC()
    return with_special_tokens(Tokenizer(backend))


@pytest.fixture(scope="session")
def lossy_tokenizer(documents: list[Document]) -> Tokenizer:
    """A WordPiece vocabulary, to which half of the scripts are unknown."""
    backend = tokenizers.Tokenizer(tokenizers.models.WordPiece(unk_token="[UNK]"))
    backend.normalizer = tokenizers.normalizers.Lowercase()
    backend.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    backend.decoder = tokenizers.decoders.WordPiece()
    trainer = tokenizers.trainers.WordPieceTrainer(
        vocab_size=200, special_tokens=["[UNK]"], show_progress=False
    )
    backend.train_from_iterator([document.text for document in documents[:2]], trainer)
    return Tokenizer(backend, roles={"unk_token": "[UNK]"})


@pytest.fixture(scope="session")
def make_model() -> Callable[..., PreTrainedModel]:
    """Builds a model of one of `KINDS` with random weights that depend on the seed."""
    import torch
    from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig, Qwen2Config

    torch.set_num_threads(1)

    def make(kind: str, vocab_size: int, *, seed: int = 0, **settings: Any) -> PreTrainedModel:
        tied = kind in ("llama_tied", "gpt2")
        # Large weights, so that different tokens have clearly different logits.
        shared = {**TINY, "vocab_size": vocab_size, "initializer_range": 0.3}
        shared |= {"tie_word_embeddings": tied, "max_position_embeddings": 128}
        shared |= {"bos_token_id": 0, "eos_token_id": 0} | settings
        if kind == "gpt2":
            names = {"hidden_size": "n_embd", "num_hidden_layers": "n_layer"}
            names |= {"num_attention_heads": "n_head", "max_position_embeddings": "n_positions"}
            config: Any = GPT2Config(**{names.get(key, key): v for key, v in shared.items()})
        else:
            kinds = {"qwen2": Qwen2Config}
            wide = {"intermediate_size": 64, "num_key_value_heads": 1}
            config = kinds.get(kind, LlamaConfig)(**shared | wide)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        return model.eval()

    return make
