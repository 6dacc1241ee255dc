"""Every combination of model, vocabulary and training that surgery has to survive."""

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from itertools import combinations, product
from typing import Any

import numpy as np
import tokenizers
import torch
from tiny_tokenizers import PAD, START, TEMPLATE, TEXTS, with_special_tokens
from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    BertConfig,
    Gemma2Config,
    Gemma3TextConfig,
    GenerationConfig,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MistralConfig,
    PhiConfig,
    PreTrainedModel,
    Qwen2Config,
    Qwen3Config,
    RobertaConfig,
)

from lingraft.corpus.records import Document
from lingraft.embeddings import EmbeddingMatrix, pieces_rows
from lingraft.model import extend_vocabulary, prune_vocabulary, swap_vocabulary
from lingraft.model.vocabulary_layers import PADDING_BIAS, vocabulary_tensors
from lingraft.model.vocabulary_swap import input_rows, is_tied, output_rows
from lingraft.tokenizer import Tokenizer, extend_bpe, prune, train_bpe

# Phi is here for its head, which is causal and has a bias.
CONFIGS: dict[str, Any] = {
    "llama": LlamaConfig,
    "mistral": MistralConfig,
    "qwen2": Qwen2Config,
    "qwen3": Qwen3Config,
    "gemma2": Gemma2Config,
    "gemma3": Gemma3TextConfig,
    "gpt2": GPT2Config,
    "gpt_neox": GPTNeoXConfig,
    "phi": PhiConfig,
    "bert": BertConfig,
    "roberta": RobertaConfig,
}
ENCODERS = ("bert", "roberta")
FACTORS: dict[str, tuple[Any, ...]] = {
    "kind": tuple(CONFIGS),
    "tied": (True, False),
    "pad_to": (1, 64),
    "dtype": ("float32", "bfloat16"),
    "surgery": ("replace", "extend", "prune"),
    "training": ("full", "lora"),
}
NUM_NEW = 20
# Qwen2's own pattern with one digit a word: transformers puts it in place of any other.
QWEN_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


@dataclass(frozen=True)
class Case:
    """One combination of `FACTORS`."""

    kind: str
    tied: bool
    pad_to: int
    dtype: str
    surgery: str
    training: str

    def __str__(self) -> str:
        return "-".join(str(value) for value in asdict(self).values())


@dataclass(frozen=True)
class Operated:
    """A model before and after surgery.

    Attributes:
        kept: Old id to new id of every token whose row has to be the old one.
        rows: The head's rows that were given, with their provenance; None for `prune`.
    """

    before: PreTrainedModel
    source: Tokenizer
    after: PreTrainedModel
    target: Tokenizer
    kept: dict[int, int]
    rows: EmbeddingMatrix | None


def all_cases() -> list[Case]:
    """The whole grid; encoders have their vocabulary replaced and nothing else."""
    cases = [Case(*values) for values in product(*FACTORS.values())]
    return [case for case in cases if case.kind not in ENCODERS or case.surgery == "replace"]


def pairwise_sample(cases: Sequence[Case], *, num: int, seed: int) -> list[Case]:
    """A seeded sample in which every two values that ever meet do meet, filled up by chance."""
    order = list(cases)
    random.Random(seed).shuffle(order)
    left = {pair for case in order for pair in pairs_of(case)}
    sample = []
    while left:
        best = max(order, key=lambda case: len(left & pairs_of(case)))
        left -= pairs_of(best)
        sample.append(best)
    return sample + [case for case in order if case not in sample][: num - len(sample)]


@cache
def pairs_of(case: Case) -> frozenset[tuple[Any, ...]]:
    """All pairs of (factor, value) in a case."""
    return frozenset(combinations(asdict(case).items(), 2))


def operate(case: Case) -> Operated:
    """Builds the model of a case and changes its vocabulary."""
    source = source_tokenizer(case.kind)
    model = make_model(case, source)
    if case.surgery == "prune":
        pruning = prune(source, _documents(0, 5), vocab_size=len(source) - 30)
        after = prune_vocabulary(
            model, pruning.tokenizer, pruning.id_map, source_tokenizer=source, pad_to=case.pad_to
        )
        return Operated(model, source, after, pruning.tokenizer, dict(pruning.id_map), None)
    if case.surgery == "extend":
        target = _extended(case.kind)
        operation, kept = extend_vocabulary, {token: token for token in range(len(source))}
    else:
        target = _replaced(case.kind)
        operation, kept = swap_vocabulary, {}
    rows = fresh_rows(input_rows(model), source, target, seed=1)
    head = output_rows(model)
    head_rows = None if head is None else fresh_rows(head, source, target, seed=2)
    if case.surgery == "replace":
        kept = {
            rows.origin(token).source[0]: token
            for token in range(len(target))
            if rows.origin(token).rule in ("copied", "special")
        }
    after = operation(model, target, rows, head_rows, source_tokenizer=source, pad_to=case.pad_to)
    return Operated(model, source, after, target, kept, rows if head_rows is None else head_rows)


def fresh_rows(
    own_VD: torch.Tensor, source: Tokenizer, target: Tokenizer, *, seed: int
) -> EmbeddingMatrix:
    """Copies where both vocabularies have a token, and rows like no other where not.

    Means of pieces would be equal for tokens of the same pieces, which is the method's affair.
    """
    matrix = pieces_rows(own_VD.numpy()[: len(source)], source=source, target=target)
    rows = matrix.rows.copy()
    draw = np.random.default_rng(seed)
    for token in range(len(rows)):
        if matrix.origin(token).rule not in ("copied", "special"):
            rows[token] = draw.normal(scale=0.3, size=rows.shape[1])
    return replace(matrix, rows=rows)


def make_model(case: Case, tokenizer: Tokenizer) -> PreTrainedModel:
    """A random model with special ids, generation settings and, where it has one, a real bias."""
    start, pad = (tokenizer.role_id(role) for role in ("bos_token", "pad_token"))
    num_rows = -(-len(tokenizer) // case.pad_to) * case.pad_to
    config = CONFIGS[case.kind](
        vocab_size=num_rows,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        max_position_embeddings=64,
        tie_word_embeddings=case.tied,
        initializer_range=0.3,
        bos_token_id=start,
        eos_token_id=start,
        pad_token_id=pad,
    )
    kind = AutoModelForMaskedLM if case.kind in ENCODERS else AutoModelForCausalLM
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        model: PreTrainedModel = kind.from_config(config, dtype=getattr(torch, case.dtype)).eval()
        tensors = vocabulary_tensors(model)
        assert is_tied(model) == case.tied
        if tensors.bias_V is not None:
            tensors.bias_V.normal_()
            tensors.bias_V[len(tokenizer) :] = PADDING_BIAS
        # What nothing trained is no token's: publishers' padding rows hardly differ either.
        tensors.input_VD[pad].normal_()
        for own_VD in (tensors.input_VD, tensors.output_VD):
            if own_VD is not None:
                own_VD[len(tokenizer) :] = own_VD[: len(tokenizer)].double().mean(0)
    if case.kind not in ENCODERS:
        model.generation_config = GenerationConfig(
            bos_token_id=start,
            eos_token_id=[start, pad],
            pad_token_id=pad,
            max_new_tokens=7,
            repetition_penalty=1.25,
        )
    return model


@cache
def source_tokenizer(kind: str) -> Tokenizer:
    """Special tokens behind the ordinary ones, where new ids want to go; RoBERTa's in front."""
    if kind == "qwen2":
        return _qwen_tokenizer()
    plain = with_special_tokens(train_bpe(_documents(0, 5) * 3, vocab_size=300))
    if kind == "roberta":
        return train_bpe(_documents(0, 5) * 3, vocab_size=302, like=plain)
    return plain


@cache
def _extended(kind: str) -> Tokenizer:
    extension = extend_bpe(
        source_tokenizer(kind), _documents(5, 9), new_tokens=NUM_NEW, keep=_documents(0, 2)
    )
    assert extension.num_new == NUM_NEW
    return extension.tokenizer


@cache
def _replaced(kind: str) -> Tokenizer:
    source = source_tokenizer(kind)
    if kind == "qwen2":  # another vocabulary under the same rules
        return extend_bpe(
            prune(source, _documents(0, 5), vocab_size=270).tokenizer,
            _documents(5, 9),
            new_tokens=60,
        ).tokenizer
    return train_bpe(_documents(4, 9) * 3, vocab_size=350, like=source)


def _qwen_tokenizer() -> Tokenizer:
    backend = tokenizers.Tokenizer(models.BPE())
    backend.normalizer = normalizers.NFC()
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(tokenizers.Regex(QWEN_PATTERN), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    backend.train_from_iterator(TEXTS[:5] * 3, trainer)
    return with_special_tokens(Tokenizer(backend))


def _documents(first: int, last: int) -> list[Document]:
    return [Document(text, str(number)) for number, text in enumerate(TEXTS[first:last])]


def special_texts() -> tuple[str, str, str]:
    """The start token, the padding token and the chat template of every tokenizer here."""
    return START, PAD, TEMPLATE
