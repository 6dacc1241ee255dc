"""Tiny models in folders, for the tests of pipelines and of the command line."""

from pathlib import Path

import tokenizers
import torch
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

from lingraft.corpus import samples
from lingraft.languages import Language
from lingraft.model import save
from lingraft.tokenizer import Tokenizer, train_bpe

TEMPLATE = "{% for m in messages %}<|start|>{{ m['content'] }}<|end|>{% endfor %}"


def english_tokenizer() -> Tokenizer:
    """A small English tokenizer with a start token, an end token and a chat template."""
    documents = samples.load_documents("test", lang=Language.parse("en")).records[:200]
    bare = train_bpe(documents, vocab_size=500)
    bare.backend.add_special_tokens(
        [tokenizers.AddedToken(text, special=True) for text in ("<|start|>", "<|end|>")]
    )
    roles = {"bos_token": "<|start|>", "eos_token": "<|end|>", "pad_token": "<|end|>"}
    return Tokenizer(bare.backend, roles, TEMPLATE)


def save_tiny_llama(folder: Path, *, tied: bool = True) -> None:
    """Writes a random Llama with 2 layers of width 32 that speaks `english_tokenizer`."""
    tokenizer = english_tokenizer()
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=512,
        tie_word_embeddings=tied,
        bos_token_id=tokenizer.role_id("bos_token"),
        eos_token_id=tokenizer.role_id("eos_token"),
        pad_token_id=tokenizer.role_id("pad_token"),
    )
    model = LlamaForCausalLM(config)
    model.generation_config = GenerationConfig(
        bos_token_id=config.bos_token_id, eos_token_id=config.eos_token_id, max_new_tokens=7
    )
    save(model, tokenizer, folder)
