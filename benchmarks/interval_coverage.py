"""How often data transfer's interval holds the true transfer, and how wide it is.

    make bench-coverage                                   # all designs, rules, curves and scatters
    make bench-coverage ARGS="--designs weigh,three --rules log-log"

A line is a number of tables of one design: from-scratch runs on a curve known by formula and
fine-tuned runs whose true effective data is drawn evenly in log bytes, with normal scatter of log
loss. `power` is the family that the rule `power` fits; the others are of no fitted family.
"""

import argparse
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lingraft.measurement.data_transfer import NUM_DRAWS, Rule, data_transfer
from lingraft.measurement.transfer_losses import SCRATCH, Loss

FINETUNED_BYTES = 10_000
OWN_SHARE = 0.25  # of the scatter from trunk to trunk: what a size's decay adds to it
SIX = (30_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000)
RULES: tuple[Rule, ...] = ("log-log", "power", "linear")
SCATTERS = (0.005, 0.02)
CURVES: dict[str, Callable[[float], float]] = {
    "power": lambda d: 0.9 + 30 * d**-0.28,
    "sigmoid": lambda d: 0.8 + 2 / (1 + math.exp(1.1 * math.log(d / 2e5))),
    "broken": lambda d: 1 + 2 * (1 + (d / 2e5) ** 2) ** -0.12,
}


@dataclass(frozen=True)
class Design:
    """Which runs a table has.

    Attributes:
        sizes: From scratch, in bytes.
        num_seeds: At each of them.
        num_finetuned: Runs of the pretrained model.
        truths: Between which sizes the true effective data lies.
        is_one_pass: Whether all sizes of a seed share a trunk.
    """

    sizes: tuple[int, ...]
    num_seeds: tuple[int, ...]
    num_finetuned: int
    truths: tuple[int, int]
    is_one_pass: bool = False


DESIGNS = {
    "six": Design(SIX, (3,) * 6, 3, (SIX[1], SIX[-2])),
    "laptop": Design(SIX[:4], (2, 2, 2, 1), 1, (SIX[0], SIX[3])),
    "three": Design(SIX[:3], (2, 2, 2), 1, (SIX[0], SIX[2])),
    "weigh": Design((18_000, 317_000, 5_580_000), (3, 1, 1), 1, (18_000, 5_580_000)),
    "trunks-2": Design(SIX, (2,) * 6, 1, (SIX[1], SIX[-2]), is_one_pass=True),
    "trunks-3": Design(SIX, (3,) * 6, 3, (SIX[1], SIX[-2]), is_one_pass=True),
}


@dataclass(frozen=True)
class Coverage:
    """What the intervals of many tables did.

    Attributes:
        share: Of them that hold the truth.
        width: Mean of the closed ones, as a factor of D_E; NaN where all are open.
        open_share: Of them with an end beyond the curve.
    """

    share: float
    width: float
    open_share: float


def main() -> None:
    """Prints one Markdown line a setting."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, choices in (("designs", DESIGNS), ("rules", RULES), ("curves", CURVES)):
        parser.add_argument(f"--{name}", type=lambda x: x.split(","), default=list(choices))
    parser.add_argument("--num-tables", type=int, default=500)
    chosen = parser.parse_args()
    print("| design | rule | curve | scatter | covered | mean width | open |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for design in chosen.designs:
        for rule in chosen.rules:
            for curve in chosen.curves:
                for scatter in SCATTERS:
                    found = coverage(rule, curve, scatter, design, chosen.num_tables)
                    print(
                        f"| {design} | {rule} | {curve} | {scatter} | {found.share:.1%} | "
                        f"× {found.width:.2f} | {found.open_share:.0%} |",
                        flush=True,
                    )


def coverage(
    rule: Rule,
    curve: str,
    scatter: float,
    design: str,
    num_tables: int,
    num_draws: int = NUM_DRAWS,
) -> Coverage:
    """Weighs tables of a design and counts the intervals that hold the truth.

    Args:
        rule: How curves are read.
        curve: The true one, of `CURVES`.
        scatter: Standard deviation of log loss.
        design: Of `DESIGNS`.
        num_tables: How many.
        num_draws: Behind each interval.
    """
    generator = np.random.default_rng(0)
    num_hits, widths = 0, []
    for number in range(num_tables):
        low, high = map(math.log, DESIGNS[design].truths)
        true = math.exp(generator.uniform(low, high))
        losses = list(table(DESIGNS[design], CURVES[curve], scatter, true, generator))
        [found] = data_transfer(losses, rule=rule, seed=number, num_draws=num_draws).transfers
        if found.interval is None:
            raise SystemExit(f"no interval: {found.reason}")
        ends = [None if end is None else end + FINETUNED_BYTES for end in found.interval]
        num_hits += (ends[0] or 0) <= true <= (ends[1] or math.inf)
        if None not in ends:
            widths.append(math.log(ends[1] / ends[0]))
    width = math.exp(np.mean(widths)) if widths else math.nan
    return Coverage(num_hits / num_tables, width, 1 - len(widths) / num_tables)


def table(
    design: Design,
    curve: Callable[[float], float],
    scatter: float,
    true: float,
    generator: np.random.Generator,
) -> Iterator[Loss]:
    """Draws the runs of one table; of one pass, the trunk's scatter and each run's own."""
    kinds: Sequence[tuple[str, int, float, int]] = [
        *((SCRATCH, s, curve(s), n) for s, n in zip(design.sizes, design.num_seeds, strict=True)),
        ("en", FINETUNED_BYTES, curve(true), design.num_finetuned),
    ]
    trunks: dict[str, float] = {}
    for init, size, mean, num_seeds in kinds:
        for seed in range(num_seeds):
            trunk, moved = "", generator.normal(0, scatter)
            if design.is_one_pass:
                trunk = f"{init}, seed {seed}"
                moved = trunks.setdefault(trunk, moved) + generator.normal(0, OWN_SHARE * scatter)
            yield Loss("t", init, size, mean * math.exp(moved), str(seed), trunk)


if __name__ == "__main__":
    main()
