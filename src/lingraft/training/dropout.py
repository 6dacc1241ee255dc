"""Dropout in models that have none of their own, while they are trained."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import PreTrainedModel

from lingraft.errors import ModelError

# After these, what Llama, Qwen2, Mistral and Gemma call their attention and MLP adds to the stream.
_BLOCK_ENDS = ("o_proj", "down_proj")
_NAME = "lingraft_dropout"


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

    if not rate:
        yield
        return
    # A module of the model's, so that whoever asks the model sees it, and it follows its mode.
    drop = torch.nn.Dropout(rate)
    model.add_module(_NAME, drop)

    def dropped(module: torch.nn.Module, _: Any, output: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = drop(output)
        return found

    modules = [model.get_input_embeddings(), *ends]
    hooks = [module.register_forward_hook(dropped) for module in modules]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
        delattr(model, _NAME)
