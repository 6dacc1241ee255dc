"""AdamW (Loshchilov and Hutter 2019) over a stack of members, each at its own rate.

`OnePassAdamW` is for processors, where a tiny decoder's step is passes over memory: it reads
gradients in the type that they come in and writes weights in the type that they are computed with,
and of the embeddings it touches what is read. `TorchAdamW` is torch's own, for other devices.
Axes: M models, S steps, N numbers of a matrix, V rows of the embeddings, U of them that a step
reads, P places that read them, D width, 3 numbers of a step (see `_Numbers`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from lingraft.bfloat16 import array_of, narrowed, widened
from lingraft.compilation import compiled, reordered
from lingraft.lab.decoders import Reading, Weights, computing_dtype

BETAS = (0.9, 0.95)
EPSILON = 1e-8


@dataclass(frozen=True)
class Schedule:
    """How fast each member learns.

    Attributes:
        rates: One for each member, reached after the warm-up and then constant.
        warmup_steps: Over which they rise in a line.
        weight_decay: Of all matrices.
    """

    rates: Sequence[float]
    warmup_steps: int
    weight_decay: float

    def rise(self, step: int) -> float:
        """Returns the share of the rate at a step, from 0."""
        return min((step + 1) / max(self.warmup_steps, 1), 1.0)


class Optimizer(Protocol):
    """What a stack learns with."""

    def read(self, asked: Reading) -> tuple[Weights, Reading]:
        """Returns the weights to compute a step's losses with, and what they are to read."""
        ...

    def step(self) -> None:
        """Takes a step down the gradients of what was read."""
        ...

    def settle(self) -> None:
        """Brings the stack's own weights up to date."""
        ...


class TorchAdamW:
    """torch's AdamW, on slices of the stack: one for each run of members with the same rate."""

    def __init__(
        self, weights: Weights, schedule: Schedule, *, dtype: torch.dtype, batch_size: int
    ) -> None:
        self._weights = {name: weight.requires_grad_() for name, weight in weights.items()}
        self._schedule = schedule
        self._dtypes = {
            name: computing_dtype(name, weight.dtype, dtype, batch_size)
            for name, weight in weights.items()
        }
        self._num_steps = 0
        self._slices: list[tuple[str, slice, torch.nn.Parameter]] = []
        groups = []
        first = 0
        for rate, run in groupby(schedule.rates):
            members = slice(first, first + len(list(run)))
            first = members.stop
            parts = {name: torch.nn.Parameter(w.data[members]) for name, w in weights.items()}
            self._slices += [(name, members, part) for name, part in parts.items()]
            groups.append({"params": list(parts.values()), "lr": rate, "full_rate": rate})
        self._adamw = torch.optim.AdamW(
            groups, betas=BETAS, eps=EPSILON, weight_decay=schedule.weight_decay, fused=True
        )

    def read(self, asked: Reading) -> tuple[Weights, Reading]:
        """Returns the weights to compute a step's losses with, and what they are to read."""
        return {name: w.to(self._dtypes[name]) for name, w in self._weights.items()}, asked

    def step(self) -> None:
        """Takes a step down the gradients of what was read."""
        for group in self._adamw.param_groups:
            group["lr"] = group["full_rate"] * self._schedule.rise(self._num_steps)
        for name, members, part in self._slices:
            gradient = self._weights[name].grad
            assert gradient is not None
            part.grad = gradient[members]
        self._adamw.step()
        for weight in self._weights.values():
            weight.grad = None
        self._num_steps += 1

    def settle(self) -> None:
        """Brings the stack's own weights up to date: they always are."""


class OnePassAdamW:
    """The same in one pass over what a step touches, on processors, in the thread that calls it.

    A row of the embeddings that is not read has a gradient of 0. What AdamW does to it meanwhile is
    made up for when it is read next.
    """

    def __init__(
        self,
        weights: Weights,
        schedule: Schedule,
        *,
        dtype: torch.dtype,
        batch_size: int,
        steps: int,
        all_rows: bool = False,
    ) -> None:
        """Takes weights to learn.

        Args:
            weights: Of M models; they change in place. Rows of the embeddings that a step does not
                read lag behind until they are read, or until `settle`.
            schedule: Their rates.
            dtype: Of the products of matrices.
            batch_size: Samples of a step.
            steps: There are not to be more.
            all_rows: Whether every step is given the whole embeddings.
        """
        self._num_steps = 0
        self._numbers = _Numbers.of(schedule, steps, array_of(weights["embedding"]).dtype)
        self._rows = None if all_rows else _Rows(weights["embedding"], self._numbers)
        self._matrices = {
            name: _Matrix(weight, computing_dtype(name, weight.dtype, dtype, batch_size))
            for name, weight in weights.items()
            if all_rows or name != "embedding"
        }

    def read(self, asked: Reading) -> tuple[Weights, Reading]:
        """Returns the weights to compute a step's losses with, and what they are to read."""
        weights = {name: matrix.computed for name, matrix in self._matrices.items()}
        if self._rows is None:
            return weights, asked
        weights["embedding"], slot_MBT = self._rows.read(asked.read_MBT, self._num_steps)
        return weights, asked._replace(read_MBT=slot_MBT)

    def step(self) -> None:
        """Takes a step down the gradients of what was read."""
        for matrix in self._matrices.values():
            matrix.step(self._num_steps, self._numbers)
        if self._rows is not None:
            self._rows.step(self._num_steps)
        self._num_steps += 1

    def settle(self) -> None:
        """Brings the stack's own weights up to date."""
        if self._rows is not None:
            self._rows.settle(self._num_steps)


class _Constants(NamedTuple):
    """Numbers of AdamW that stay, in the type of the weights: others would widen every product."""

    beta_mean: Any
    rest_mean: Any
    beta_square: Any
    rest_square: Any
    epsilon: Any
    one: Any


@dataclass(frozen=True)
class _Numbers:
    """Numbers of AdamW.

    Attributes:
        by_step_S3: Of a member whose rate is 1: what decay takes, the rate / (1 - β₁ᵗ), and
            (1 - β₂ᵗ)^-½.
        rates_M: Of the members.
        constants: Of all.
    """

    by_step_S3: NDArray[Any]
    rates_M: NDArray[Any]
    constants: _Constants

    @classmethod
    def of(cls, schedule: Schedule, steps: int, dtype: np.dtype[Any]) -> "_Numbers":
        rises_S = np.array([schedule.rise(step) for step in range(steps)])
        mean_S, square_S = (1 - beta ** np.arange(1.0, steps + 1) for beta in BETAS)
        by_step_S3 = np.stack(
            [rises_S * schedule.weight_decay, rises_S / mean_S, square_S**-0.5], axis=1
        )
        constants = np.array([BETAS[0], 1 - BETAS[0], BETAS[1], 1 - BETAS[1], EPSILON, 1], dtype)
        with np.errstate(over="ignore"):  # what such a rate does to its member is told there
            rates_M = np.asarray(schedule.rates).astype(dtype)
        return cls(by_step_S3.astype(dtype), rates_M, _Constants(*constants))


class _Matrix:
    """A matrix of every member, and what it is computed with: itself, or itself in fewer bits."""

    def __init__(self, weight_MXY: torch.Tensor, dtype: torch.dtype) -> None:
        own = weight_MXY.detach()
        self.computed = own.to(dtype).requires_grad_()
        self._weight_MN = array_of(own.flatten(1))
        self._mean_MN, self._square_MN = (np.zeros_like(self._weight_MN) for _ in range(2))
        self._copy_MN = None if dtype == own.dtype else array_of(self.computed.flatten(1))

    def step(self, step: int, numbers: _Numbers) -> None:
        gradient_MXY = self.computed.grad
        assert gradient_MXY is not None
        moments = self._mean_MN, self._square_MN
        gradient_MN = array_of(gradient_MXY.flatten(1))
        told = numbers.by_step_S3[step], numbers.rates_M, numbers.constants
        _step(self._weight_MN, *moments, gradient_MN, *told, self._copy_MN)
        self.computed.grad = None


class _Rows:
    """Embeddings of every member, of which a step is given the rows that it reads."""

    def __init__(self, table_MVD: torch.Tensor, numbers: _Numbers) -> None:
        self._numbers = numbers
        table, steps_made_MV = array_of(table_MVD), np.zeros(table_MVD.shape[:2], np.int64)
        self._state = table, np.zeros_like(table), np.zeros_like(table), steps_made_MV
        self._slot_V = np.full(table_MVD.shape[1], -1)
        self._dtype = table_MVD.dtype

    def read(self, tokens_MBT: torch.Tensor, num_steps: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns the rows that the tokens read, (M, U, D), and which of them each reads."""
        models, vocabulary, width = self._state[0].shape
        tokens_MP = tokens_MBT.flatten(1).numpy()
        slot_MP = np.empty_like(tokens_MP)
        row_MU = np.empty((models, min(tokens_MP.shape[1], vocabulary)), np.int64)
        num_M = np.empty(models, np.int64)
        _find(tokens_MP, self._slot_V, row_MU, num_M, slot_MP)
        self._found = row_MU, num_M
        # Zeros, since nothing is written behind the rows of a member that has fewer.
        self._read_MUD = torch.zeros((*row_MU.shape, width), dtype=self._dtype)
        self._make_up(row_MU, num_M, num_steps, self._read_MUD.numpy())
        return self._read_MUD.requires_grad_(), torch.from_numpy(slot_MP).view(tokens_MBT.shape)

    def step(self, step: int) -> None:
        gradient_MUD = self._read_MUD.grad
        assert gradient_MUD is not None
        told = self._numbers.by_step_S3[step], self._numbers.rates_M, self._numbers.constants
        _step_rows(*self._found, step, *self._state, array_of(gradient_MUD), *told)

    def settle(self, num_steps: int) -> None:
        models, vocabulary, _ = self._state[0].shape
        every_MU = np.broadcast_to(np.arange(vocabulary), (models, vocabulary)).copy()
        self._make_up(every_MU, np.full(models, vocabulary), num_steps, None)

    def _make_up(
        self,
        row_MU: NDArray[np.int64],
        num_M: NDArray[np.int64],
        num_steps: int,
        read_MUD: NDArray[Any] | None,
    ) -> None:
        told = self._numbers.by_step_S3, self._numbers.rates_M, self._numbers.constants
        _make_up(row_MU, num_M, num_steps, *self._state, *told, read_MUD)


@compiled
def _find(tokens_MP: Any, slot_V: Any, row_MU: Any, num_M: Any, slot_MP: Any) -> None:
    """Numbers each member's tokens in the order in which they come; leaves `slot_V` at -1."""
    for m in range(len(tokens_MP)):
        num = 0
        for p in range(tokens_MP.shape[1]):
            token = tokens_MP[m, p]
            if slot_V[token] < 0:
                slot_V[token] = num
                row_MU[m, num] = token
                num += 1
            slot_MP[m, p] = slot_V[token]
        for u in range(num):
            slot_V[row_MU[m, u]] = -1
        num_M[m] = num


@reordered
def _moved(
    weight: Any,
    mean: Any,
    square: Any,
    gradient: Any,
    kept: Any,
    rate: Any,
    root: Any,
    constants: Any,
) -> Any:
    """One number's step of AdamW (algorithm 2): the weight, and the moments of its gradient."""
    mean = constants.beta_mean * mean + constants.rest_mean * gradient
    square = constants.beta_square * square + constants.rest_square * gradient * gradient
    weight = kept * weight - rate * mean / (np.sqrt(square) * root + constants.epsilon)
    return weight, mean, square


@reordered
def _step(
    weight_MN: Any,
    mean_MN: Any,
    square_MN: Any,
    gradient_MN: Any,
    numbers_3: Any,
    rates_M: Any,
    constants: Any,
    copy_MN: Any,
) -> None:
    for m in range(len(weight_MN)):
        kept = constants.one - rates_M[m] * numbers_3[0]
        rate, root = rates_M[m] * numbers_3[1], numbers_3[2]
        for n in range(weight_MN.shape[1]):
            weight, mean_MN[m, n], square_MN[m, n] = _moved(
                weight_MN[m, n],
                mean_MN[m, n],
                square_MN[m, n],
                widened(gradient_MN[m, n]),
                kept,
                rate,
                root,
                constants,
            )
            weight_MN[m, n] = weight
            if copy_MN is not None:
                copy_MN[m, n] = narrowed(weight, copy_MN[m, n])


@reordered
def _step_rows(
    row_MU: Any,
    num_M: Any,
    step: int,
    table_MVD: Any,
    mean_MVD: Any,
    square_MVD: Any,
    steps_made_MV: Any,
    gradient_MUD: Any,
    numbers_3: Any,
    rates_M: Any,
    constants: Any,
) -> None:
    """The rows that were read make their step."""
    for m in range(len(row_MU)):
        kept = constants.one - rates_M[m] * numbers_3[0]
        rate, root = rates_M[m] * numbers_3[1], numbers_3[2]
        for u in range(num_M[m]):
            v = row_MU[m, u]
            steps_made_MV[m, v] = step + 1
            for d in range(table_MVD.shape[2]):
                table_MVD[m, v, d], mean_MVD[m, v, d], square_MVD[m, v, d] = _moved(
                    table_MVD[m, v, d],
                    mean_MVD[m, v, d],
                    square_MVD[m, v, d],
                    gradient_MUD[m, u, d],
                    kept,
                    rate,
                    root,
                    constants,
                )


@reordered
def _make_up(
    row_MU: Any,
    num_M: Any,
    num_steps: int,
    table_MVD: Any,
    mean_MVD: Any,
    square_MVD: Any,
    steps_made_MV: Any,
    by_step_S3: Any,
    rates_M: Any,
    constants: Any,
    read_MUD: Any,
) -> None:
    """Rows make the steps that they missed, with gradients of 0, and are written to be read."""
    nothing = constants.one - constants.one
    for m in range(len(row_MU)):
        for u in range(num_M[m]):
            v = row_MU[m, u]
            for s in range(steps_made_MV[m, v], num_steps):
                kept = constants.one - rates_M[m] * by_step_S3[s, 0]
                rate, root = rates_M[m] * by_step_S3[s, 1], by_step_S3[s, 2]
                for d in range(table_MVD.shape[2]):
                    table_MVD[m, v, d], mean_MVD[m, v, d], square_MVD[m, v, d] = _moved(
                        table_MVD[m, v, d],
                        mean_MVD[m, v, d],
                        square_MVD[m, v, d],
                        nothing,
                        kept,
                        rate,
                        root,
                        constants,
                    )
            steps_made_MV[m, v] = num_steps
            if read_MUD is not None:
                for d in range(table_MVD.shape[2]):
                    read_MUD[m, u, d] = table_MVD[m, v, d]
