"""Low-rank adapters on a model's layers (LoRA, Hu et al. 2021, arXiv 2106.09685), through peft.

peft is an optional package: it is loaded when something is adapted.
"""

import warnings
from typing import Any

import torch
from transformers import PreTrainedModel

from lingraft.errors import InputError
from lingraft.seeds import derive

# As Chinese-LLaMA-Alpaca trains beside full embeddings and head.
RANK, ALPHA = 8, 32
MARK = "lora_"
"""In the names of the adapters' parameters."""


def add_adapters(model: PreTrainedModel, *, seed: int) -> Any:
    """Puts an adapter of rank `RANK` on every linear layer but the head, in place.

    Right after, the model computes what it did before: one factor of each adapter is zero.

    Args:
        model: The model; its own parameters are frozen until `merge_adapters`.
        seed: Of the other factor.

    Returns:
        What `merge_adapters` takes.

    Raises:
        InputError: The package peft is not installed.
    """
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise InputError(
            expected="the package peft for low-rank adapters",
            got="it is not installed",
            where="stages",
            hint="pip install peft",
        ) from error
    config = LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules="all-linear")
    devices = [model.device] if model.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), warnings.catch_warnings():
        # peft tells that it asks transformers for a property under its old name, and that it
        # minds the layout of GPT-2's layers: nothing that a user could act on.
        warnings.simplefilter("ignore")
        torch.manual_seed(derive(seed, "adapters"))
        return get_peft_model(model, config)


def merge_adapters(adapted: Any) -> None:
    """Adds the adapters to the layers that they sit on and takes them off, in place."""
    adapted.merge_and_unload()
