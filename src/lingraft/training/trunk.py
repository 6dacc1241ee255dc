"""Several sizes of training text from one run: a shared plateau, and a short decay for each size.

Where text is read once, a run on n bytes begins like every longer run of the same seed. With a
plateau that does not depend on the length (Hu et al. 2024, MiniCPM, section 4), only the decays
are a size's own: the cost is the largest size and a share of the others, not their sum.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from transformers import PreTrainedModel

from lingraft.corpus.records import Document
from lingraft.errors import InputError
from lingraft.model.precision import computing_device
from lingraft.runtime import Runtime
from lingraft.tokenizer.tokenizer import Tokenizer
from lingraft.training.batches import Packing, pack, text_of_steps
from lingraft.training.runs import Advance
from lingraft.training.trainer import Trainer


@dataclass(frozen=True)
class TrunkSettings:
    """The schedule, in bytes of text.

    Attributes:
        learning_rate: On the plateau.
        warmup_bytes: Text over which it rises, the same for every size.
        decay_share: Last part of each size, over which it falls to zero.
        weight_decay: AdamW's, on matrices.
    """

    learning_rate: float
    warmup_bytes: int = 20_000
    decay_share: float = 0.2
    weight_decay: float = 0.1

    def __post_init__(self) -> None:
        if not 0.0 < self.decay_share < 1.0:
            raise InputError(
                expected="a share in (0, 1)", got=str(self.decay_share), where="decay_share"
            )


@dataclass(frozen=True)
class Branch:
    """One size's end.

    Attributes:
        asked_bytes: The size.
        num_bytes: Text read, up to a document less.
        value: What was evaluated there.
    """

    asked_bytes: int
    num_bytes: int
    value: Any


@dataclass(frozen=True)
class Trunk:
    """All sizes' ends.

    Attributes:
        branches: In the order of the sizes.
        processed_bytes: Text trained on in all, trunk and decays.
        processed_tokens: Tokens predicted over it.
    """

    branches: tuple[Branch, ...]
    processed_bytes: int
    processed_tokens: int


def train_trunk(
    model: PreTrainedModel,
    tokenizer: Tokenizer,
    documents: Sequence[Document],
    *,
    sizes: Sequence[int],
    evaluate: Callable[[PreTrainedModel], Any],
    packing: Packing,
    settings: TrunkSettings,
    seed: int,
    frozen: Collection[str] = (),
    runtime: Runtime | None = None,
    advance: Advance | None = None,
) -> Trunk:
    """Trains once through the text and evaluates the model as if each size had been a run alone.

    It is what a run of that size alone gives, to the bit: that is the trunk with one size.

    Args:
        model: In float32; ends with the weights of the largest size.
        tokenizer: Its tokenizer.
        documents: At least as much text as the largest size, read in the seed's order, once.
        sizes: Bytes, rising.
        evaluate: Measures the model at each size's end.
        packing: How text becomes batches.
        settings: The schedule.
        seed: Of the order.
        frozen: Names of parameters that stay as they are.
        runtime: Threads, device and precision.
        advance: Told the share of all text after each step.

    Raises:
        InputError: Sizes that do not rise, or more than there is text.
    """
    _check(sizes, documents, packing)
    runtime = runtime or Runtime()
    torch.set_num_threads(runtime.threads)
    device = computing_device(runtime)
    model.to(device)
    trainer = Trainer(
        model,
        device=device,
        runtime=runtime,
        weight_decay=settings.weight_decay,
        seed=seed,
        frozen=frozen,
    )
    expected = sizes[-1] + settings.decay_share * sum(sizes[:-1])
    processed = processed_tokens = 0

    def step(texts: list[Document], fall: float) -> None:
        nonlocal processed, processed_tokens
        read = sum(len(document.text.encode("utf-8")) for document in texts)
        tokens_before = trainer.run.num_tokens
        rise = (trainer.run.num_bytes + read) / max(settings.warmup_bytes, 1)
        trainer.step(
            partial(pack, texts, tokenizer=tokenizer, packing=packing),
            part="all",
            learning_rate=settings.learning_rate * min(rise, fall, 1.0),
        )
        processed += read
        processed_tokens += trainer.run.num_tokens - tokens_before
        if advance is not None:
            share = min(processed / expected, 1.0)
            advance(share, f"{trainer.run.train_nats[-1]:.2f} nats/token")

    branches = []
    for size in sizes:
        # The steps of a shorter text are those of a longer one, but for the last.
        plan = list(
            text_of_steps(documents, batch_bytes=packing.batch_bytes, seed=seed, max_bytes=size)
        )
        edge = (1.0 - settings.decay_share) * size
        for texts in _up_to(plan, trainer, edge):
            step(texts, 1.0)
        kept = trainer.checkpoint({}).clone()
        for texts in _up_to(plan, trainer, size):
            middle = trainer.run.num_bytes + packing.batch_bytes / 2
            step(texts, max((size - middle) / (settings.decay_share * size), 0.0))
        value = trainer.evaluated(evaluate)
        branches.append(Branch(size, trainer.run.num_bytes, value))
        if size != sizes[-1]:
            trainer.resume(kept)
    trainer.close()
    return Trunk(tuple(branches), processed, processed_tokens)


def _up_to(
    plan: Sequence[list[Document]], trainer: Trainer, num_bytes: float
) -> Iterator[list[Document]]:
    """The steps that are left before a size; a step that would pass it belongs to the next."""
    while trainer.run.step < len(plan):
        texts = plan[trainer.run.step]
        ends = trainer.run.num_bytes + sum(len(d.text.encode("utf-8")) for d in texts)
        if ends > num_bytes:
            return
        yield texts


def _check(sizes: Sequence[int], documents: Sequence[Document], packing: Packing) -> None:
    there = sum(len(document.text.encode("utf-8")) for document in documents)
    rising = all(a < b for a, b in pairwise(sizes))
    if not sizes or not rising or sizes[0] < packing.batch_bytes:
        raise InputError(
            expected=f"rising sizes of at least one batch, {packing.batch_bytes} bytes",
            got=", ".join(map(str, sizes)) or "none",
            where="sizes",
        )
    if sizes[-1] > there:
        raise InputError(
            expected=f"sizes of at most {there} bytes, the text that there is",
            got=str(sizes[-1]),
            where="sizes",
            hint="a trunk reads text once; train_to_best repeats it",
        )
