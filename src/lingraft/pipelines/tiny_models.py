"""Tiny models of the source language, made on the spot.

For questions that need two kinds of model with one vocabulary and one text behind them.
"""

from pathlib import Path
from typing import Any

import tokenizers
import torch
from transformers import (
    BertConfig,
    BertForMaskedLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
)

from lingraft.corpus import read_documents
from lingraft.languages import Language
from lingraft.model import save
from lingraft.runtime import Runtime
from lingraft.seeds import derive
from lingraft.study import Progress, share_reporter
from lingraft.tokenizer import Tokenizer, train_bpe
from lingraft.training import Packing, Schedule, Stage, continue_pretraining
from lingraft.training.loop import Objective
from lingraft.units import Budget

VERSION = 2
WINDOW_TOKENS = 128
_BATCH_BYTES = 8_000
_LEARNING_RATE = 1e-3
_HEAD_WIDTH = 32
_SPECIAL = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "mask_token": "<mask>"}


def make_tiny_model(
    *,
    objective: Objective,
    text: Path,
    lang: str,
    vocab_size: int,
    width: int,
    num_layers: int,
    budget: Budget | None,
    seed: int,
    out: Path,
    runtime: Runtime,
    progress: Progress,
) -> dict[str, Any]:
    """Makes a Llama or a BERT of a few layers and trains it on a text; the folder is loadable.

    The same text and vocabulary size give both kinds the same tokenizer.

    Args:
        objective: ``"causal"`` makes a Llama, ``"masked"`` a BERT.
        text: File of documents.
        lang: Code of their language.
        vocab_size: Ids, special tokens among them.
        width: Width of the model, a multiple of 32, or below.
        num_layers: Layers.
        budget: Text to train on; None leaves the weights random.
        seed: Of the weights and of the order of the text.
        out: Folder of the model.
        runtime: Threads and device.
        progress: Where to report to.

    Returns:
        Its number of parameters and the mean training loss of the last steps, in nats per token.
    """
    torch.set_num_threads(runtime.threads)
    documents = read_documents(text, lang=Language.parse(lang)).records
    bare = Tokenizer(tokenizers.Tokenizer(tokenizers.models.BPE()), _SPECIAL)
    tokenizer = train_bpe(documents, vocab_size=vocab_size, like=bare)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "tiny model"))
        model = _random_model(objective, tokenizer, width, num_layers)
    losses: list[float] = []
    if budget is not None:
        start, end = tokenizer.role_id("bos_token"), tokenizer.role_id("eos_token")
        assert start is not None
        losses = continue_pretraining(
            model,
            tokenizer,
            documents,
            budget=budget,
            packing=Packing(_BATCH_BYTES, WINDOW_TOKENS, start, end),
            schedule=Schedule(_LEARNING_RATE),
            stages=(Stage("all", 1.0),),
            seed=seed,
            objective=objective,
            runtime=runtime,
            advance=share_reporter(progress, "training"),
        ).train_nats
    save(model, tokenizer, out)
    last = losses[-20:]
    return {
        "num_parameters": sum(parameter.numel() for parameter in model.parameters()),
        "last_nats_per_token": sum(last) / len(last) if last else None,
    }


def _random_model(
    objective: Objective, tokenizer: Tokenizer, width: int, num_layers: int
) -> PreTrainedModel:
    shared: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "hidden_size": width,
        "intermediate_size": 4 * width,
        "num_hidden_layers": num_layers,
        "num_attention_heads": max(width // _HEAD_WIDTH, 1),
        "max_position_embeddings": 4 * WINDOW_TOKENS,
        "tie_word_embeddings": True,
        **{f"{role}_id": tokenizer.role_id(role) for role in _SPECIAL if role != "mask_token"},
    }
    if objective == "masked":
        # Without dropout, as Llama has none: the two are to differ in what they predict alone.
        dropout = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
        model: PreTrainedModel = BertForMaskedLM(BertConfig(**shared, **dropout))
    else:
        model = LlamaForCausalLM(LlamaConfig(**shared))
    return model
