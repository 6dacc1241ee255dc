"""Parts of a model by name, and drawing them anew: which part carries what was learnt?

The second open question of arXiv 2404.08191: how much of a transfer is lost when embeddings,
attention or feed-forward layers start from random weights.
"""

import re
from collections.abc import Iterable

import torch
from transformers import PreTrainedModel

from lingraft.errors import InputError

PARTS = ("embeddings", "attention", "mlp", "norms", "layers:A-B")
_LAYER = re.compile(r"\.(?:layers|h|block)\.(\d+)\.")
_RANGE = re.compile(r"layers:(\d+)-(\d+)")


def names_of_part(names: Iterable[str], part: str) -> list[str]:
    """Returns the parameters of a part.

    Args:
        names: Parameter names of a decoder of transformers.
        part: ``"embeddings"`` (input rows and head), ``"attention"``, ``"mlp"``, ``"norms"``, or
            ``"layers:0-1"``, the first two layers with all that is in them.

    Raises:
        InputError: There is no such part, or this model has none of it.
    """
    found = [name for name in names if _belongs(name, part)]
    if not found:
        raise InputError(
            expected=f"one of the parts {', '.join(PARTS)} that the model has",
            got=repr(part),
            where="part",
        )
    return found


def reset_part(model: PreTrainedModel, fresh: PreTrainedModel, part: str) -> int:
    """Puts a fresh model's values into one part; in place.

    Args:
        model: The trained model.
        fresh: The same architecture with random weights.
        part: See `names_of_part`.

    Returns:
        Number of parameters that were drawn anew.

    Raises:
        InputError: There is no such part.
    """
    new = dict(fresh.named_parameters())
    parameters = dict(model.named_parameters())
    chosen = names_of_part(parameters, part)
    with torch.no_grad():
        for name in chosen:
            parameters[name].copy_(new[name])
    return sum(parameters[name].numel() for name in chosen)


def _belongs(name: str, part: str) -> bool:
    layer = _LAYER.search(name)
    if span := _RANGE.fullmatch(part):
        return layer is not None and int(span[1]) <= int(layer[1]) <= int(span[2])
    is_norm = "norm" in name or "ln_" in name
    if part == "norms":
        return is_norm
    if part == "embeddings":
        return layer is None and not is_norm
    kind = {"attention": "attn", "mlp": "mlp"}.get(part)
    return kind is not None and layer is not None and f".{kind}" in name.replace("self_", "")
