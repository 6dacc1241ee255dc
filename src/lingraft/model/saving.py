"""Model folders that plain transformers loads, written so that no half of one is ever seen."""

import copy
from pathlib import Path

import torch
from transformers import PreTrainedModel

from lingraft.files import write_text
from lingraft.model.tensors import write_tensors
from lingraft.model.vocabulary_layers import is_tied
from lingraft.tokenizer.tokenizer import Tokenizer


def save(model: PreTrainedModel, tokenizer: Tokenizer, path: Path) -> None:
    """Writes weights, configuration, generation settings, tokenizer and chat template.

    The configuration comes last, and an older one is removed first, so that a folder cut short by
    a crash does not load. A tied head is written once and an untied one apart, and the
    configuration says which it is, whatever it said before.

    Args:
        model: The model; left as it is.
        tokenizer: Its tokenizer.
        path: The folder; made if it is not there.

    Raises:
        StoreError: The folder cannot be written or the disk is full.
    """
    for stale in ("config.json", "generation_config.json", "chat_template.jinja"):
        (path / stale).unlink(missing_ok=True)
    write_tensors(path / "model.safetensors", _tensors(model), metadata={"format": "pt"})
    tokenizer.save(path)
    settings = getattr(model, "generation_config", None)  # masked language models have none
    if settings is not None:
        write_text(path / "generation_config.json", settings.to_json_string(use_diff=True))
    config = copy.deepcopy(model.config)
    config.architectures = [type(model).__name__]
    config.tie_word_embeddings = is_tied(model)
    write_text(path / "config.json", config.to_json_string(use_diff=True))


def _tensors(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    """All tensors by name, a tied head's left out; other shared ones are written twice."""
    shared = model.get_input_embeddings().weight
    names = [n for n, p in model.named_parameters(remove_duplicate=False) if p is shared]
    tied = names[1:] if is_tied(model) else []
    tensors, seen = {}, set()
    for name, tensor in model.state_dict().items():
        if name not in tied:
            again = tensor.data_ptr() in seen
            tensors[name] = tensor.clone() if again else tensor.detach().contiguous().cpu()
            seen.add(tensor.data_ptr())
    return tensors
