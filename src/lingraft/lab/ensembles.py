"""Many tiny decoders trained side by side in one process.

Every member has its own world, seed, order of data and learning rate; members share nothing but
the products of matrices that they are stacked into. torch's vmap would do the stacking, but runs
attention's way back in a loop, so the stack is written out in `decoders`.
Axes: M models of a stack, B samples, N of many steps, T tokens, V vocabulary, S steps.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from lingraft.errors import InputError, ModelError
from lingraft.lab.decoders import (
    Reading,
    TinyDecoder,
    Weights,
    initial_weights,
    mean_nats,
    reading,
)
from lingraft.lab.members import Member
from lingraft.lab.optimizers import OnePassAdamW, Optimizer, Schedule, TorchAdamW
from lingraft.lab.samples import Samples
from lingraft.model.precision import autocast_dtype, computing_device
from lingraft.runtime import Runtime, keep_memory
from lingraft.seeds import derive

CHUNK_STEPS = 50
"""Steps whose samples are drawn at once: drawing costs by the call."""
COMPILER = "inductor"
TOKENS_AT_ONCE = 8_192
FEWEST_AT_ONCE, MOST_AT_ONCE = 4, 128
"""A stack is as large as overhead asks and caches allow."""


class Corpus(Protocol):
    """What a member learns from; `World` is one."""

    @property
    def num_tokens(self) -> int:
        """Size of the vocabulary."""
        ...

    @property
    def max_tokens(self) -> int:
        """Longest sample."""
        ...

    def sample(self, num: int, rng: np.random.Generator) -> Samples:
        """Draws samples."""
        ...


Observe = Callable[[int, int, Member], None]
"""Called with the member's number, the steps made and the member as it is then."""

ExtraLoss = Callable[[Mapping[str, torch.Tensor], Sequence[int], int], torch.Tensor]
"""From the stacked weights of some members, their numbers and the number of the step, from 0, to
nats (M,) that are added to their losses. What it draws for a member must depend on that member and
the step alone, or company would change losses; it is called in several threads."""


@dataclass(frozen=True)
class EnsembleRun:
    """What training left.

    Attributes:
        nats_MS: Mean training loss of every member at every step, in nats per predicted token,
            without what an extra loss adds.
        num_parameters: Of the largest member.
    """

    nats_MS: NDArray[np.float64]
    num_parameters: int


@dataclass(frozen=True)
class _Settings:
    model: TinyDecoder
    steps: int
    checkpoints: frozenset[int]
    batch_size: int
    warmup_steps: int
    weight_decay: float
    dtype: torch.dtype
    compute: torch.dtype
    device: torch.device
    is_compiled: bool


def train_ensemble(
    worlds: Sequence[Corpus],
    *,
    model: TinyDecoder,
    steps: int,
    seeds: Sequence[int],
    checkpoints: Sequence[int] = (),
    observe: Observe | None = None,
    batch_size: int = 256,
    learning_rates: float | Sequence[float] = 1.5e-3,
    warmup_steps: int = 200,
    weight_decay: float = 0.1,
    start: Sequence[Mapping[str, torch.Tensor]] | None = None,
    extra_loss: ExtraLoss | None = None,
    members_at_once: int | None = None,
    dtype: torch.dtype = torch.float32,
    compiled: bool | None = None,
    runtime: Runtime | None = None,
) -> EnsembleRun:
    """Trains one tiny decoder on every world, as many at once as the machine likes.

    A member's losses depend on its own world, seed and learning rate alone, to rounding, also
    beside worlds with other vocabularies and longer samples. Memory depends on the members at once,
    not on their number: what is to stay of a member, `observe` takes. AdamW, its rate rising over
    the first steps and then constant.

    Args:
        worlds: One for each member; the same object may stand several times.
        model: The shape of all.
        steps: Optimiser steps.
        seeds: One for each member: of its weights, and of its samples and their order.
        checkpoints: Numbers of steps after which `observe` is called, 0 and `steps` among them if
            wanted.
        observe: Called with a member's number, the steps made and the member; in several threads,
            but never twice at once for one member.
        batch_size: Samples of a step.
        learning_rates: One for all, or one for each member.
        warmup_steps: Over which the rate rises.
        weight_decay: Of all matrices.
        start: Weights to go on from, as `Member.weights`; random by default.
        extra_loss: Nats to add to each member's loss, such as `contrast.Contrast`; none by default.
        members_at_once: Of a stack; by default as many as overhead and caches ask for.
        dtype: Of weights and optimiser: float32, or float64 for checks.
        compiled: Whether `torch.compile` fuses the way there and back; by default on CUDA alone,
            since on processors it brought nothing (docs/log.md, "tiny decoders side by side").
        runtime: Threads (each trains its own stacks), device and precision: with weights in
            float32, ``"auto"`` computes in bfloat16 where the device does that in hardware.

    Raises:
        InputError: No worlds, or not as many seeds, rates or starts as worlds; a start of another
            shape; a number out of range; a checkpoint that is no step; weights of another type; an
            unknown device; a world whose samples have tokens that it has not.
        ModelError: A member's loss is no finite number.
    """
    rates = _per_member(learning_rates, len(worlds))
    _check(worlds, seeds, rates, start, steps, checkpoints)
    _check_numbers(batch_size, warmup_steps, weight_decay, rates, members_at_once)
    if dtype not in (torch.float32, torch.float64):
        raise InputError(expected="torch.float32 or torch.float64", got=str(dtype), where="dtype")
    runtime = runtime or Runtime()
    device = computing_device(runtime)
    settings = _Settings(
        model,
        steps,
        frozenset(checkpoints),
        batch_size,
        warmup_steps,
        weight_decay,
        dtype,
        (autocast_dtype(device, runtime) or dtype) if dtype == torch.float32 else dtype,
        device,
        device.type == "cuda" if compiled is None else compiled,
    )
    nats_MS = np.zeros((len(worlds), steps))
    num_tokens, max_tokens = _largest(worlds)
    at_once = members_at_once or _members_at_once(
        batch_size * max_tokens, runtime.threads, len(worlds)
    )

    def train(first: int) -> None:
        members = range(first, min(first + at_once, len(worlds)))
        stack = _Stack([(worlds[m], seeds[m], rates[m]) for m in members], settings)
        if start is not None:
            stack.take([start[m] for m in members])
        extra = None if extra_loss is None else partial(_added, extra_loss, members)
        for step, nats_M in stack.run(partial(_observed, observe, first), extra):
            nats_MS[first : first + len(members), step] = nats_M

    firsts = range(0, len(worlds), at_once)
    if settings.device.type == "cpu":
        keep_memory()
    # The compiler is no place for several threads, nor is one queue of a device.
    alone = settings.is_compiled or settings.device.type != "cpu"
    _in_threads(train, firsts, 1 if alone else runtime.threads)
    num_parameters = model.num_parameters(num_tokens=num_tokens, max_tokens=max_tokens)
    return EnsembleRun(nats_MS, num_parameters)


def _observed(observe: Observe | None, first: int, step: int, members: Sequence[Member]) -> None:
    for number, member in enumerate(members) if observe is not None else ():
        assert observe is not None
        observe(first + number, step, member)


def _added(
    extra_loss: ExtraLoss, members: Sequence[int], weights: Mapping[str, torch.Tensor], step: int
) -> torch.Tensor:
    return extra_loss(weights, members, step)


class _Stack:
    """Some members, their weights on a leading axis, and their optimiser."""

    def __init__(self, members: Sequence[tuple[Corpus, int, float]], settings: _Settings) -> None:
        self._worlds = [world for world, _, _ in members]
        self._seeds = [seed for _, seed, _ in members]
        self._rates = [rate for _, _, rate in members]
        self._settings = settings
        # Each at its own size, so that what is drawn does not depend on company.
        drawn = [
            initial_weights(
                settings.model,
                num_tokens=world.num_tokens,
                max_tokens=world.max_tokens,
                seed=seed,
                dtype=settings.dtype,
            )
            for world, seed in zip(self._worlds, self._seeds, strict=True)
        ]
        self._shapes = [{name: w.shape for name, w in one.items()} for one in drawn]
        self.weights: Weights = {
            name: _side_by_side([one[name] for one in drawn]).to(settings.device)
            for name in drawn[0]
        }

    def take(self, start: Sequence[Mapping[str, torch.Tensor]]) -> None:
        """Puts weights in the place of the random ones."""
        for number, (given, shapes) in enumerate(zip(start, self._shapes, strict=True)):
            wanted = _told({name: tuple(shape) for name, shape in shapes.items()})
            found = _told({name: tuple(tensor.shape) for name, tensor in given.items()})
            if found != wanted:
                raise InputError(
                    expected=f"weights of {wanted}",
                    got=found or "none",
                    where=f"start of the member with seed {self._seeds[number]}",
                )
            with torch.no_grad():
                for name, tensor in given.items():
                    self.weights[name][number][_corner(tensor.shape)].copy_(tensor)

    def run(
        self,
        observe: Callable[[int, Sequence[Member]], None],
        extra: Callable[[Mapping[str, torch.Tensor], int], torch.Tensor] | None,
    ) -> Iterator[tuple[int, NDArray[np.float64]]]:
        """Yields each step's number and losses."""
        settings, optimizer = self._settings, self._optimizer(all_rows=extra is not None)
        nats_of: Callable[[Weights, Reading], torch.Tensor] = partial(
            mean_nats, settings.model, absent_MV=self._absent()
        )
        if settings.is_compiled:
            nats_of = torch.compile(nats_of, backend=COMPILER, fullgraph=True)
        if 0 in settings.checkpoints:
            observe(0, self.members())
        for step, asked in enumerate(self._batches()):
            computed, read = optimizer.read(asked)
            nats_M = nats_of(computed, read)
            whole_M = nats_M if extra is None else nats_M + extra(computed, step)
            whole_M.sum().backward()  # type: ignore[no-untyped-call]
            losses_M = whole_M.detach().double().cpu().numpy()
            if not np.isfinite(losses_M).all():
                member = int(np.flatnonzero(~np.isfinite(losses_M))[0])
                raise ModelError(
                    expected="a finite training loss",
                    got=f"{losses_M[member]} nats per token",
                    where=f"step {step + 1} of the member with seed {self._seeds[member]}",
                    hint="lower its learning rate",
                )
            optimizer.step()
            yield step, losses_M if extra is None else nats_M.detach().double().cpu().numpy()
            if step + 1 in settings.checkpoints:
                optimizer.settle()
                observe(step + 1, self.members())

    def members(self) -> list[Member]:
        """The members as they are now, and stay."""
        return [
            Member(
                self._settings.model,
                {
                    name: self.weights[name].detach()[m][_corner(shape)].clone()
                    for name, shape in shapes.items()
                },
            )
            for m, shapes in enumerate(self._shapes)
        ]

    def _absent(self) -> torch.Tensor | None:
        """Ids that only others of the stack have, (M, V)."""
        sizes = [world.num_tokens for world in self._worlds]
        if len(set(sizes)) == 1:
            return None
        known_M1 = torch.tensor(sizes, device=self._settings.device)[:, None]
        return torch.arange(max(sizes), device=self._settings.device) >= known_M1

    def _optimizer(self, *, all_rows: bool) -> Optimizer:
        settings = self._settings
        schedule = Schedule(self._rates, settings.warmup_steps, settings.weight_decay)
        if settings.device.type != "cpu":
            return TorchAdamW(
                self.weights, schedule, dtype=settings.compute, batch_size=settings.batch_size
            )
        return OnePassAdamW(
            self.weights,
            schedule,
            dtype=settings.compute,
            batch_size=settings.batch_size,
            steps=settings.steps,
            all_rows=all_rows,
        )

    def _batches(self) -> Iterator[Reading]:
        """The samples of all members step by step, padded to the longest."""
        size, device = self._settings.batch_size, self._settings.device
        for chunk in range(-(-self._settings.steps // CHUNK_STEPS)):
            drawn = [
                world.sample(
                    CHUNK_STEPS * size, np.random.default_rng(derive(seed, "samples", chunk))
                )
                for world, seed in zip(self._worlds, self._seeds, strict=True)
            ]
            for world, samples in zip(self._worlds, drawn, strict=True):
                _check_tokens(samples.tokens_BT, world.num_tokens)
            length = max(samples.tokens_BT.shape[1] for samples in drawn)
            tokens_MNT = _stacked([samples.tokens_BT for samples in drawn], length)
            predicted_MNT = _stacked([samples.predicted_BT for samples in drawn], length)
            left = self._settings.steps - chunk * CHUNK_STEPS
            for at in range(min(CHUNK_STEPS, left)):
                rows = slice(at * size, (at + 1) * size)
                yield reading(tokens_MNT[:, rows].long(), predicted_MNT[:, rows]).to(device)


def _check_tokens(tokens_BT: NDArray[np.integer[Any]], num_tokens: int) -> None:
    """Others of the stack may have more tokens, and compiled loops look for no bounds."""
    lowest, highest = int(tokens_BT.min(initial=0)), int(tokens_BT.max(initial=0))
    if lowest < 0 or highest >= num_tokens:
        raise InputError(
            expected=f"tokens from 0 to {num_tokens - 1}, as `num_tokens` says",
            got=str(lowest if lowest < 0 else highest),
            where="samples of a world",
        )


def _stacked(arrays: Sequence[NDArray[np.generic]], length: int) -> torch.Tensor:
    padded = [np.pad(array, ((0, 0), (0, length - array.shape[1]))) for array in arrays]
    return torch.from_numpy(np.stack(padded))


def _side_by_side(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    """One member's matrix beside the other's, filled up with zeros, which no member reads."""
    largest = [max(sizes) for sizes in zip(*(tensor.shape for tensor in tensors), strict=True)]
    found = tensors[0].new_zeros(len(tensors), *largest)
    for number, tensor in enumerate(tensors):
        found[number][_corner(tensor.shape)] = tensor
    return found


def _told(shapes: Mapping[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{name} {shape}" for name, shape in sorted(shapes.items()))


def _corner(shape: Sequence[int]) -> tuple[slice, ...]:
    return tuple(slice(size) for size in shape)


def _largest(worlds: Sequence[Corpus]) -> tuple[int, int]:
    """The largest vocabulary and the longest sample."""
    return max(w.num_tokens for w in worlds), max(w.max_tokens for w in worlds)


def _members_at_once(tokens: int, num_threads: int, num_members: int) -> int:
    """As many as a stack wants, or fewer, so that every thread has as much to do.

    Args:
        tokens: Of one member's batch.
        num_threads: Each trains its own stacks.
        num_members: Of the ensemble.
    """
    wanted = min(max(TOKENS_AT_ONCE // tokens, FEWEST_AT_ONCE), MOST_AT_ONCE)
    rounds = -(-num_members // (wanted * num_threads))
    return max(-(-num_members // (rounds * num_threads)), 1)


def _in_threads(train: Callable[[int], None], firsts: Sequence[int], num_threads: int) -> None:
    """Trains the stacks, one a thread at a time."""
    if num_threads < 2 or len(firsts) < 2:
        before = torch.get_num_threads()
        torch.set_num_threads(num_threads)
        try:
            for first in firsts:
                train(first)
        finally:
            torch.set_num_threads(before)
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(num_threads) as pool:
            for _ in pool.map(train, firsts):
                pass
    finally:
        torch.set_num_threads(before)


def _per_member(rates: float | Sequence[float], num_members: int) -> list[float]:
    if isinstance(rates, int | float):
        return [float(rates)] * num_members
    return [float(rate) for rate in rates]


def _check(
    worlds: Sequence[Corpus],
    seeds: Sequence[int],
    rates: Sequence[float],
    start: Sequence[object] | None,
    steps: int,
    checkpoints: Sequence[int],
) -> None:
    if not worlds:
        raise InputError(expected="at least 1 world", got="none", where="worlds")
    counts = {"seeds": len(seeds), "learning_rates": len(rates)}
    if start is not None:
        counts["start"] = len(start)
    for where, count in counts.items():
        if count != len(worlds):
            raise InputError(
                expected=f"one for each of the {len(worlds)} worlds", got=str(count), where=where
            )
    if steps < 1:
        raise InputError(expected="at least 1 step", got=str(steps), where="steps")
    outside = [step for step in checkpoints if step not in range(steps + 1)]
    if outside:
        raise InputError(
            expected=f"numbers of steps from 0 to {steps}", got=str(outside), where="checkpoints"
        )


def _check_numbers(
    batch_size: int,
    warmup_steps: int,
    weight_decay: float,
    rates: Sequence[float],
    members_at_once: int | None,
) -> None:
    """Checks what is one number, or one for each member."""
    least = {"batch_size": (batch_size, 1), "warmup_steps": (warmup_steps, 0)}
    if members_at_once is not None:
        least["members_at_once"] = (members_at_once, 1)
    for where, (value, lowest) in least.items():
        if value < lowest:
            raise InputError(expected=f"{lowest} or more", got=str(value), where=where)
    for where, numbers in {"weight_decay": [weight_decay], "learning_rates": rates}.items():
        for number in numbers:
            if not 0 <= number < np.inf:
                raise InputError(
                    expected="a finite number of 0 or more", got=str(number), where=where
                )
