"""Model folders that plain transformers loads, written so that no half of one is ever seen."""

from pathlib import Path

from safetensors.torch import save as to_bytes
from transformers import PreTrainedModel

from lingraft.files import write_bytes, write_text
from lingraft.tokenizer.tokenizer import Tokenizer


def save(model: PreTrainedModel, tokenizer: Tokenizer, path: Path) -> None:
    """Writes weights, configuration, generation settings, tokenizer and chat template.

    Tied tensors are written once, as transformers expects them. The weights come first and
    `config.json` last, so that a folder cut short by a crash does not load.

    Args:
        model: The model.
        tokenizer: Its tokenizer.
        path: The folder; made if it is not there.

    Raises:
        StoreError: The folder cannot be written or the disk is full.
    """
    tensors, seen = {}, set()
    for name, tensor in model.state_dict().items():
        if tensor.data_ptr() not in seen:
            tensors[name] = tensor.detach().contiguous().cpu()
            seen.add(tensor.data_ptr())
    write_bytes(path / "model.safetensors", to_bytes(tensors, metadata={"format": "pt"}))
    tokenizer.save(path)
    if model.generation_config is not None:
        generation = model.generation_config.to_json_string(use_diff=True)
        write_text(path / "generation_config.json", generation)
    model.config.architectures = [type(model).__name__]
    write_text(path / "config.json", model.config.to_json_string(use_diff=True))
