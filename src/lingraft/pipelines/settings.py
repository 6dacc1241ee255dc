"""What a user can choose about an adaptation; every field enters the fingerprints it concerns."""

from dataclasses import dataclass

from lingraft.training.stages import Stage
from lingraft.units import Budget

LEARNING_RATES = (1e-4, 3e-4, 1e-3)
# In a short run no arm wants the smallest rate; two longer trials cost less than three short ones.
SHORT_RUN_STEPS = 50
TRIAL_STEPS = 10


@dataclass(frozen=True)
class ArmSettings:
    """How every arm of an adaptation is trained and measured; the same for all, to be fair.

    Attributes:
        budget: Target text to train on, in bytes, steps or seconds.
        batch_bytes: Text of one optimiser step. Small batches win at small budgets
            (docs/log.md, "batch size").
        learning_rates: The short list that each arm chooses from on the valid split.
        stages: What is trained when.
        trial_bytes: Text of each trial of a learning rate, at most.
        window_tokens: Longest context in training.
        num_choice_rows: Valid rows on which start token and learning rate are chosen.
        num_calibration_rows: Valid rows on which the rows' calibration is fitted.
        calibrated: Whether the rows of a new vocabulary, whatever method made them, get the text's
            token frequencies before training (`model.calibration`).
        num_curve_rows: Held-out rows on which the curve is measured.
        num_evaluations: Points of the curve.
        seed: Of the order of the text and of random rows.
    """

    budget: Budget
    batch_bytes: int
    learning_rates: tuple[float, ...]
    stages: tuple[Stage, ...]
    trial_bytes: int
    window_tokens: int = 256
    num_choice_rows: int = 8
    num_calibration_rows: int = 16
    calibrated: bool = True
    num_curve_rows: int = 8
    num_evaluations: int = 4
    seed: int = 0


def default_settings(budget: Budget, *, seed: int = 0) -> ArmSettings:
    """Returns settings that suit a budget: batches grow with it, from 2 kB to 16 kB.

    A run of fewer than some 25 steps is all warm-up and decay; one of thousands of tiny steps
    wastes the machine. A trial takes up to ten steps and at most half of the run: fewer
    steps do not show which rate is the better.
    """
    num_bytes = budget.num_bytes or 10**6
    batch_bytes = max(min(2_000, num_bytes), min(16_000, num_bytes // 250))
    short = num_bytes < SHORT_RUN_STEPS * batch_bytes
    return ArmSettings(
        budget=budget,
        batch_bytes=batch_bytes,
        learning_rates=LEARNING_RATES[1:] if short else LEARNING_RATES,
        stages=(Stage("all", 1.0),),
        trial_bytes=min(num_bytes // 2, TRIAL_STEPS * batch_bytes),
        seed=seed,
    )
