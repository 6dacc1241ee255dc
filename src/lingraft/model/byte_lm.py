"""Byte language models on one ladder of sizes, as ordinary Llama models of transformers.

The same ladder takes other vocabularies: what a study of bytes is compared with.
"""

from dataclasses import dataclass

import torch
from transformers import LlamaConfig, LlamaForCausalLM, PretrainedConfig, PreTrainedModel

from lingraft.errors import InputError
from lingraft.seeds import derive
from lingraft.tokenizer.byte_vocabulary import byte_tokenizer
from lingraft.tokenizer.tokenizer import Tokenizer

ROWS_MULTIPLE = 128
"""Rows are padded to a multiple of it, as in arXiv 2404.08191."""

NUM_ROWS = 384
"""Rows for the 259 ids of `byte_tokenizer`."""

MAX_WINDOW = 2048
"""Longest window in tokens; the paper trains on windows of 1024."""

_HEAD_WIDTH = 64


@dataclass(frozen=True)
class Shape:
    """What one size of the ladder has; its matrices hold 16 · layers · width² parameters.

    Attributes:
        num_layers: Transformer blocks.
        width: Of the residual stream: heads of 64 and a gated MLP of four times the width.
    """

    num_layers: int
    width: int


SIZES = {
    "1m": Shape(4, 128),
    "4m": Shape(4, 256),
    "16m": Shape(7, 384),
    "65m": Shape(10, 640),
    "250m": Shape(15, 1024),
    "1b": Shape(20, 1792),
}


def byte_lm(size: str, *, seed: int) -> PreTrainedModel:
    """Makes a byte language model with random weights, in float32.

    ``"65m"`` is the model of "Measuring Cross-lingual Transfer in Bytes" (arXiv 2404.08191): 10
    layers, width 640, 10 heads of 64, gated GELU of 2560, RMSNorm (eps 1e-6) before each part and
    at the end, no biases, tied embeddings of 384 rows. What differs from its t5x original:

    - *Positions* are rotary. No ordinary causal architecture has T5's relative bias (one table of
      32 buckets × 10 heads): 65,795,200 parameters here are the original's without its 320.
    - *Start*: matrices are N(0, 1 / inputs), not truncated, as there. t5x draws embeddings from
      N(0, 1) and divides logits by sqrt(width); Llama has no such factor, and N(0, 1 / width)
      gives logits of the same variance of 1. The residual stream then starts smaller by
      sqrt(width), which the norm before each part undoes.
    - *Queries* are divided by sqrt(64) in the attention; t5x draws them smaller by that factor
      instead, so that Adam's steps move them relatively further.
    - *Loss*: the original adds a z-loss, 1e-4 · (log of the softmax's sum)²; a model does not
      hold its loss, and `training.Trainer` has cross-entropy alone.

    The rows from 259 on stand for no id. They are never read, and no text ever asks for them; as
    outputs they only take probability, ln(384 / 259) = 0.39 nats of each token before training,
    which the gradient takes from them like from any byte that never occurs. Losses count them, as
    the paper's do: leaving them out would make the loss depend on who computes it.

    Args:
        size: One of `SIZES`.
        seed: Of the weights; they depend on nothing else.

    Returns:
        A `LlamaForCausalLM` for `byte_tokenizer`, in evaluation mode.

    Raises:
        InputError: There is no such size.
    """
    return ladder_lm(size, byte_tokenizer(), seed=seed)


def ladder_lm(size: str, tokenizer: Tokenizer, *, seed: int) -> PreTrainedModel:
    """Makes the model of `byte_lm` with another vocabulary: the same body, other rows.

    Args:
        size: One of `SIZES`.
        tokenizer: Gives the number of rows, padded to a multiple of `ROWS_MULTIPLE`, and the ids
            of start, end and padding.
        seed: Of the weights.

    Returns:
        A `LlamaForCausalLM` in float32, in evaluation mode.

    Raises:
        InputError: There is no such size.
    """
    config = ladder_config(size, tokenizer)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "byte_lm", size))
        model = LlamaForCausalLM(config)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.dim() == 2:
                    parameter.normal_(std=parameter.shape[1] ** -0.5)
    return model.eval()


def byte_config(size: str) -> LlamaConfig:
    """Returns the configuration of a size.

    Raises:
        InputError: There is no such size.
    """
    return ladder_config(size, byte_tokenizer())


def ladder_config(size: str, tokenizer: Tokenizer) -> LlamaConfig:
    """Returns the configuration of a size with another vocabulary, see `ladder_lm`.

    Raises:
        InputError: There is no such size.
    """
    if size not in SIZES:
        raise InputError(expected=f"one of {', '.join(SIZES)}", got=repr(size), where="size")
    shape = SIZES[size]
    return LlamaConfig(
        vocab_size=num_rows(len(tokenizer)),
        hidden_size=shape.width,
        intermediate_size=4 * shape.width,
        num_hidden_layers=shape.num_layers,
        num_attention_heads=shape.width // _HEAD_WIDTH,
        num_key_value_heads=shape.width // _HEAD_WIDTH,
        head_dim=_HEAD_WIDTH,
        hidden_act="gelu_pytorch_tanh",
        rms_norm_eps=1e-6,
        max_position_embeddings=MAX_WINDOW,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.role_id("bos_token"),
        eos_token_id=tokenizer.role_id("eos_token"),
        pad_token_id=tokenizer.role_id("pad_token"),
        dtype="float32",
    )


def num_rows(num_ids: int) -> int:
    """Returns the rows of a matrix for so many ids, padded to a multiple of `ROWS_MULTIPLE`."""
    return -(-num_ids // ROWS_MULTIPLE) * ROWS_MULTIPLE


def num_flops_per_token(config: PretrainedConfig, *, window_tokens: int) -> float:
    """Returns the floating-point operations that one token costs in training.

    6 · N + 12 · layers · width · window (Chowdhery et al. 2022, arXiv 2204.02311, appendix B),
    with N the parameters of all matrices, the tied one once: it is multiplied as output only.
    Attention counts the whole window, as is the custom for MFU, though a causal one needs half.

    Args:
        config: Of a model of the ladder (`ladder_config`).
        window_tokens: Tokens that the model sees at once.
    """
    width, num_layers = config.hidden_size, config.num_hidden_layers
    attention = 4 * width * config.num_attention_heads * config.head_dim
    layer = attention + 3 * width * config.intermediate_size
    num_parameters = num_layers * layer + config.vocab_size * width
    return float(6 * num_parameters + 12 * num_layers * width * window_tokens)
