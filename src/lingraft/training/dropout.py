"""Dropout in models that have none of their own, while they are trained."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import PreTrainedModel

from lingraft.errors import ModelError

# After these, what Llama, Qwen2, Mistral and Gemma call their attention and MLP adds to the stream.
_BLOCK_ENDS = ("o_proj", "down_proj")


@contextmanager
def dropout(model: PreTrainedModel, rate: float) -> Iterator[None]:
    """Drops activations while training; most decoders of transformers have no dropout there."""
    ends = [m for name, m in model.named_modules() if name.rpartition(".")[2] in _BLOCK_ENDS]
    if rate and not ends:
        raise ModelError(
            expected=f"attention and MLP that end in {' and '.join(_BLOCK_ENDS)}, for dropout",
            got="none",
            where=str(model.config.model_type),
            hint="set dropout to 0",
        )

    def drop(module: torch.nn.Module, _: Any, output: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.dropout(output, rate, training=module.training)

    modules = [model.get_input_embeddings(), *ends] if rate else []
    hooks = [module.register_forward_hook(drop) for module in modules]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
