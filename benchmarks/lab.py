"""Tiny decoders per hour: `lab.train_ensemble` against the same decoder in a plain loop.

    python benchmarks/lab.py [--sizes pilot small] [--steps 60] [--runs 3] [--device cpu] [--memory]

The rival is the same decoder written with torch's own layers, one model at a time: two processes of
one thread each, and one process with all threads; each in float32 and under bfloat16 autocast, and
the best of the four counts. Both draw their samples from the same world, and neither counts its
start: the clock runs from the second step to the last. Models per hour are those of a whole run of
`STEPS` steps. On a GPU the rival is one process, and the ratio wanted is `GPU_BAR`. The share of
the peak is that of the fastest large product of matrices measured here.

`--memory` trains 500 and then 5,000 small members for a few steps and prints the highest memory.
"""

import argparse
import resource
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context

import numpy as np
import torch
from torch.nn import functional

from lingraft.lab import TinyDecoder, World, make_world, train_ensemble
from lingraft.lab.ensembles import CHUNK_STEPS
from lingraft.lab.samples import Samples
from lingraft.runtime import Runtime

STEPS = 800
LEARNING_RATE, WEIGHT_DECAY = 1.5e-3, 0.1
GPU_BAR = 20.0


@dataclass(frozen=True)
class Size:
    """A decoder, its batch, how many are trained at once, and the ratio wanted."""

    model: TinyDecoder
    batch_size: int
    num_members: int
    bar: float


SIZES = {
    "pilot": Size(TinyDecoder(), 256, 10, 2.0),
    "small": Size(TinyDecoder(width=32, num_layers=2), 16, 256, 5.0),
}


def main() -> None:
    """Prints a table of models per hour."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=list(SIZES), choices=list(SIZES))
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--memory", action="store_true")
    given = parser.parse_args()
    if given.memory:
        for num_members in (500, 5_000):
            print(f"{num_members:>6} members: {alone(peak_memory, num_members):,.0f} MB at most")
        return
    threads = Runtime(num_threads=given.threads).threads
    print(f"{given.device}, {threads} threads, {given.runs} runs of {given.steps} steps")
    print(f"{'size':<7}{'arm':<44}{'models/hour':>12}  {'range':<18}{'ratio':>6}")
    for name in given.sizes:
        compare(name, SIZES[name], given.steps, given.runs, threads, given.device)


def compare(name: str, size: Size, steps: int, num_runs: int, threads: int, device: str) -> None:
    """Runs the arms in turn and prints a line for each."""
    arms = {}
    for precision in ("float32", "bfloat16"):
        arms[f"lingraft, {precision}"] = partial(
            ensemble_rate, size, steps, threads, precision, device
        )
        if device == "cpu":
            arms[f"plain, {threads} processes of 1 thread, {precision}"] = partial(
                plain_rate, size, steps, threads, 1, precision, device
            )
        arms[f"plain, 1 process of {threads} threads, {precision}"] = partial(
            plain_rate, size, steps, 1, threads, precision, device
        )
    bar = size.bar if device == "cpu" else GPU_BAR
    rates: dict[str, list[float]] = {arm: [] for arm in arms}
    for _ in range(num_runs):
        for arm, run in arms.items():
            rates[arm].append(run())
    medians = {arm: statistics.median(found) for arm, found in rates.items()}
    best = max(rate for arm, rate in medians.items() if arm.startswith("plain"))
    flops = size.model.num_flops(num_tokens=675, length=5, batch_size=size.batch_size) * STEPS
    for arm, found in rates.items():
        line = f"{name:<7}{arm:<44}{medians[arm]:12.0f}  {min(found):.0f}-{max(found):<12.0f}"
        if arm.startswith("lingraft"):
            ratio = medians[arm] / best
            precision = arm.rpartition(" ")[2]
            share = medians[arm] / 3600 * flops / alone(peak_flops, threads, precision, device)
            verdict = "pass" if ratio >= bar else "below"
            line += f"{ratio:6.2f} {verdict} ({bar:g}), {share:.0%} of the peak"
        print(line, flush=True)


def world(seed: int = 0) -> World:
    """The pilot's world."""
    return make_world(seed=seed)


def alone(function, *arguments):  # type: ignore[no-untyped-def]
    """Runs a function in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def ensemble_rate(size: Size, steps: int, threads: int, precision: str, device: str) -> float:
    """Models per hour of an ensemble."""
    seconds = alone(ensemble_seconds, size, steps, threads, precision, device)
    return size.num_members * 3600 / (seconds / (steps - 1) * STEPS)


def ensemble_seconds(size: Size, steps: int, threads: int, precision: str, device: str) -> float:
    """Seconds from the second step to the last of all members."""
    one = world()
    clock: dict[int, list[float]] = {1: [], steps: []}
    train_ensemble(
        [one] * size.num_members,
        model=size.model,
        steps=steps,
        seeds=range(size.num_members),
        checkpoints=list(clock),
        observe=lambda member, step, found: clock[step].append(now(device)),
        batch_size=size.batch_size,
        runtime=Runtime(num_threads=threads, device=device, precision=precision),
    )
    return max(clock[steps]) - min(clock[1])


def plain_rate(
    size: Size, steps: int, processes: int, threads: int, precision: str, device: str
) -> float:
    """Models per hour of plain loops side by side."""
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        # Long enough that all of them run at the same time for most of it.
        runs = [
            pool.submit(plain_seconds, size, steps, threads, precision, device)
            for _ in range(processes)
        ]
        seconds = [run.result() for run in runs]
    return sum(3600 / (one / (steps - 1) * STEPS) for one in seconds)


def plain_seconds(size: Size, steps: int, threads: int, precision: str, device: str) -> float:
    """Seconds from the second step to the last of one model."""
    torch.set_num_threads(threads)
    one = world()
    model = Plain(size.model, one.num_tokens, one.max_tokens).to(device)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.95), weight_decay=WEIGHT_DECAY
    )
    started = 0.0
    for step, batch in enumerate(batches(one, steps, size.batch_size)):
        if step == 1:
            started = now(device)
        tokens_BT = torch.from_numpy(batch.tokens_BT).to(device)
        with torch.autocast(
            torch.device(device).type, dtype=torch.bfloat16, enabled=precision == "bfloat16"
        ):
            logits_BV = model(tokens_BT[:, :-1])
        loss = functional.cross_entropy(logits_BV.float(), tokens_BT[:, -1])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return now(device) - started


def now(device: str) -> float:
    """The clock, when the device has done what it was given."""
    if device != "cpu":
        torch.accelerator.synchronize()
    return time.monotonic()


def batches(one: World, steps: int, size: int) -> Iterator[Samples]:
    """The samples of each step, drawn for many steps at once as the ensemble does."""
    for chunk in range(-(-steps // CHUNK_STEPS)):
        drawn = one.sample(CHUNK_STEPS * size, np.random.default_rng(chunk))
        for at in range(min(CHUNK_STEPS, steps - chunk * CHUNK_STEPS)):
            rows = slice(at * size, (at + 1) * size)
            yield Samples(
                drawn.tokens_BT[rows],
                drawn.predicted_BT[rows],
                drawn.fact_B[rows],
                drawn.lang_B[rows],
            )


class Plain(torch.nn.Module):
    """The same decoder, as one would write a single one."""

    def __init__(self, model: TinyDecoder, num_tokens: int, max_tokens: int) -> None:
        super().__init__()
        self.tokens = torch.nn.Embedding(num_tokens, model.width)
        self.positions = torch.nn.Parameter(torch.randn(max_tokens, model.width) * 0.02)
        self.blocks = torch.nn.ModuleList(PlainBlock(model) for _ in range(model.num_layers))
        self.head = torch.nn.Linear(model.width, num_tokens, bias=False)

    def forward(self, tokens_BT: torch.Tensor) -> torch.Tensor:
        """Returns the logits (B, V) after the last token."""
        x_BTD = self.tokens(tokens_BT) + self.positions[: tokens_BT.shape[1]]
        for block in self.blocks:
            x_BTD = block(x_BTD)
        return self.head(functional.layer_norm(x_BTD[:, -1], x_BTD.shape[-1:]))


class PlainBlock(torch.nn.Module):
    """Attention and feed-forward."""

    def __init__(self, model: TinyDecoder) -> None:
        super().__init__()
        width, inner = model.width, model.width * model.feed_forward
        self.num_heads = model.num_heads
        self.attention = torch.nn.Linear(width, 3 * width, bias=False)
        self.mix = torch.nn.Linear(width, width, bias=False)
        self.rise = torch.nn.Linear(width, inner, bias=False)
        self.fall = torch.nn.Linear(inner, width, bias=False)

    def forward(self, x_BTD: torch.Tensor) -> torch.Tensor:
        """Returns the residual stream after the block."""
        samples, length, width = x_BTD.shape
        normed_BTD = functional.layer_norm(x_BTD, (width,))
        parts = self.attention(normed_BTD).view(samples, length, 3, self.num_heads, -1)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        x_BTD = x_BTD + self.mix(mixed.transpose(1, 2).reshape(samples, length, width))
        normed_BTD = functional.layer_norm(x_BTD, (width,))
        return x_BTD + self.fall(self.rise(normed_BTD).relu())


def peak_flops(threads: int, precision: str, device: str) -> float:
    """Operations per second of a large product of matrices, the best of ten."""
    torch.set_num_threads(threads)
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    one, other = (torch.randn(2048, 2048).to(device, dtype) for _ in range(2))
    best = 0.0
    for _ in range(10):
        started = now(device)
        one @ other
        best = max(best, 2 * 2048**3 / (now(device) - started))
    return best


def peak_memory(num_members: int) -> float:
    """Highest memory of a process that trains so many small members, in MB."""
    size, one = SIZES["small"], world()
    train_ensemble(
        [one] * num_members,
        model=size.model,
        steps=4,
        seeds=range(num_members),
        batch_size=size.batch_size,
        runtime=Runtime(num_threads=2, device="cpu"),
    )
    # Kilobytes on Linux.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


if __name__ == "__main__":
    main()
