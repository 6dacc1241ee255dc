"""Several threads at one model."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from transformers import PreTrainedModel

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(
    function: Callable[[Item], Result], items: Sequence[Item], *, num_threads: int
) -> list[Result]:
    """Applies a function to every item, each in a thread with its share of torch's threads.

    torch lets go of the interpreter while it computes, so that threads of one process suffice.

    Args:
        function: Computes on the processor and changes nothing that others read.
        items: At most `num_threads`.
        num_threads: torch's, before and after.

    Returns:
        The results in the order of the items.
    """
    if len(items) == 1:
        return [function(items[0])]
    torch.set_num_threads(max(num_threads // len(items), 1))
    try:
        with ThreadPoolExecutor(len(items)) as pool:
            return list(pool.map(function, items))
    finally:
        torch.set_num_threads(num_threads)


def has_dropout(model: PreTrainedModel) -> bool:
    """Whether training draws random numbers within the model."""
    shares = [module.p for module in model.modules() if isinstance(module, torch.nn.Dropout)]
    shares += [getattr(m, "attention_dropout", 0.0) for m in model.modules()]
    return any(isinstance(share, float) and share > 0.0 for share in shares)
