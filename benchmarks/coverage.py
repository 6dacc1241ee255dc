"""How often data transfer's interval holds the true transfer, and how wide it is.

    make bench-coverage

500 tables a line: six sizes from 30 kB to 10 MB with three seeds, a fine-tuned model whose true
effective data is drawn evenly in log bytes between the second and the fifth size, scatter of log
loss as given. `power` is the family that `--rule power` fits; the others are of no fitted family.
"""

import math

import numpy as np

from lingraft.measurement.data_transfer import RULES, data_transfer
from lingraft.measurement.transfer_losses import SCRATCH, Loss

SIZES = [30_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000]
FINETUNED = 10_000
CURVES = {
    "power": lambda d: 0.9 + 30 * d**-0.28,
    "sigmoid": lambda d: 0.8 + 2 / (1 + math.exp(1.1 * math.log(d / 2e5))),
    "broken": lambda d: 1 + 2 * (1 + (d / 2e5) ** 2) ** -0.12,
}


def main() -> None:
    """Prints one Markdown line a setting."""
    print("| rule | curve | scatter | seeds of the model | covered | mean width |")
    print("| --- | --- | --- | --- | --- | --- |")
    for rule in RULES[:2]:
        for name in CURVES:
            for scatter in (0.005, 0.02):
                for num_seeds in (1, 3):
                    covered, width = coverage(rule, name, scatter, num_seeds)
                    print(
                        f"| {rule} | {name} | {scatter} | {num_seeds} | {covered:.1%} | "
                        f"× {width:.2f} |",
                        flush=True,
                    )


def coverage(rule: str, name: str, scatter: float, num_seeds: int) -> tuple[float, float]:
    """Returns the share of 500 intervals that hold the truth, and their mean width as a factor."""
    curve, generator = CURVES[name], np.random.default_rng(0)
    num_hits, widths = 0, []
    for number in range(500):
        true = math.exp(generator.uniform(math.log(SIZES[1]), math.log(SIZES[-2])))
        kinds = [(SCRATCH, size, curve(size), 3) for size in SIZES]
        kinds.append(("en", FINETUNED, curve(true), num_seeds))
        losses = [
            Loss("t", init, size, mean * math.exp(generator.normal(0, scatter)), str(seed))
            for init, size, mean, seeds in kinds
            for seed in range(seeds)
        ]
        [found] = data_transfer(losses, rule=rule, seed=number).transfers
        low, high = found.interval
        truth = true - FINETUNED
        num_hits += (low is None or low <= truth) and (high is None or truth <= high)
        if low is not None and high is not None:
            widths.append(math.log((high + FINETUNED) / (low + FINETUNED)))
    return num_hits / 500, math.exp(np.mean(widths))


if __name__ == "__main__":
    main()
