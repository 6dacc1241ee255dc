"""When does a model learn the statistics, when the facts, and when does it part the languages?

Sections 2.3 and 3.4 of the reference on unification: overall statistics come first, then a
plateau at what these allow, then single facts (Zucchet et al. 2025, arXiv 2503.21676), and
languages unify or separate in between. Change points are found by fixed rules on the curves of a
run, over the order of the checkpoints: how the steps are spaced changes none of them.

Axes: C checkpoints.
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from lingraft.errors import InputError
from lingraft.measurement.score import COVERAGE, NUM_RESAMPLES
from lingraft.seeds import derive

Outcome = Literal["unification", "separation", "neither"]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Curves:
    """What was measured at the checkpoints of one run, one number each.

    Attributes:
        steps: Of the checkpoints, rising.
        loss_nats: Mean training loss, in nats per value: the unit of the floor.
        same_accuracy: Accuracy in the facts' own languages.
        cross_accuracy: Accuracy in the others.
        unification: U at a middle layer; None where it is undefined, as where all states are
            alike. Such checkpoints are left out of its means.
        probe_accuracy: Accuracy of a linear probe for the language, or None likewise.
    """

    steps: Sequence[int]
    loss_nats: Sequence[float]
    same_accuracy: Sequence[float]
    cross_accuracy: Sequence[float]
    unification: Sequence[float | None]
    probe_accuracy: Sequence[float | None]


@dataclass(frozen=True)
class PhaseRules:
    """Where one phase ends and the next begins.

    Attributes:
        tolerance_nats: How far from its floor the loss still counts as at it.
        min_plateau_checkpoints: A shorter stay at the floor is no plateau.
        recalled: Same-language accuracy at which recall has set in.
        saturated: Same-language accuracy at which recall is full.
        num_averaged: Checkpoints of which U is averaged, before and after, where it is defined.
        min_change: A smaller change of U, either way, is none, however sure.
        min_repair: Rise of cross-language accuracy after full recall that counts as repair.
        min_noise_ratio: Of one run alone, how many times its noise a change of U has to be.
    """

    tolerance_nats: float = 0.05
    min_plateau_checkpoints: int = 3
    recalled: float = 0.5
    saturated: float = 0.99
    num_averaged: int = 3
    min_change: float = 0.02
    min_repair: float = 0.1
    min_noise_ratio: float = 3.0


@dataclass(frozen=True)
class RunPhases:
    """The phases of one run; what is None has its reason in `reasons`, by attribute.

    Attributes:
        statistics_end: First step at which the loss is at its floor or below.
        plateau: First and last step of the stay at the floor.
        recall_onset: First step at which recall has set in.
        full_recall: First step at which recall is full.
        unification_change: Mean U from full recall on less mean U at the end of the plateau. Where
            there is none, facts come with the statistics and may part the languages before the
            loss is at its floor: then less mean U of those `num_averaged` checkpoints in a row
            before the onset of recall at which the other seeds have it highest: chosen by its own
            noise, any curve would fall. One seed alone has to choose by itself. Above 0 the
            languages unify.
        noise_ratio: That change over its standard error, by the scatter between checkpoints.
        unification_at_onset: U at the onset of recall.
        probe_at_onset: Accuracy of the language probe there.
        repair: Cross-language accuracy at the end less that at full recall.
        reasons: Why what is None is undefined.
    """

    statistics_end: int | None
    plateau: tuple[int, int] | None
    recall_onset: int | None
    full_recall: int | None
    unification_change: float | None
    noise_ratio: float | None
    unification_at_onset: float | None
    probe_at_onset: float | None
    repair: float | None
    reasons: Mapping[str, str]


@dataclass(frozen=True)
class SeedEstimate:
    """A quantity over the runs of several seeds.

    Attributes:
        value: Mean over the runs that have it, or None.
        interval: 95 % interval, bootstrap over seeds. Of three seeds it is about their range.
        by_seed: The quantity of each run.
        num_defined: Runs that have it: a mean of an event that only some runs reach is early.
        reason: Why the value, or else the interval, is None, or of fewer than all runs; or empty.
    """

    value: float | None
    interval: tuple[float, float] | None
    by_seed: tuple[float | None, ...]
    num_defined: int
    reason: str = ""


@dataclass(frozen=True)
class Phases:
    """The phases over seeds; see `RunPhases` for what each quantity is.

    Attributes:
        outcome: ``"unification"`` or ``"separation"`` by the sign of the change of U where it is
            `min_change` or more and its interval over seeds leaves 0 out (of one seed: where it is
            `min_noise_ratio` times its noise), else ``"neither"``: the languages stay as near or
            far as they were. None where there is no change to judge.
        num_repaired: Runs with late repair; None where no run reached full recall before its end.
    """

    runs: tuple[RunPhases, ...]
    statistics_end: SeedEstimate
    plateau_start: SeedEstimate
    plateau_end: SeedEstimate
    recall_onset: SeedEstimate
    full_recall: SeedEstimate
    unification_change: SeedEstimate
    unification_at_onset: SeedEstimate
    probe_at_onset: SeedEstimate
    repair: SeedEstimate
    outcome: Outcome | None
    num_repaired: int | None


def phases(
    curves: Sequence[Curves], *, floor_nats: float, rules: PhaseRules | None = None, seed: int
) -> Phases:
    """Finds the phases of runs that differ only in their seed.

    Each value is the median of itself and its neighbours first (not U's, which is averaged), so
    that no single odd checkpoint starts or ends a phase.

    Args:
        curves: One for each seed.
        floor_nats: The loss that overall statistics reach, in nats per value: ln V of V equally
            likely values, less the nats that a prompt's cues tell of the value.
        rules: The thresholds; None takes the defaults of `PhaseRules`.
        seed: Of the bootstrap over seeds.

    Raises:
        InputError: There are no curves, their steps do not rise, a curve has not one finite
            number for each step, `floor_nats` is not positive, or recall would be full before it
            sets in.
    """
    if not curves:
        raise InputError(expected="the curves of at least one run", got="none", where="curves")
    if not (math.isfinite(floor_nats) and floor_nats > 0):
        raise InputError(expected="nats above 0", got=str(floor_nats), where="floor_nats")
    rules = rules or PhaseRules()
    if rules.recalled > rules.saturated:
        raise InputError(
            expected="recall that sets in before it is full",
            got=f"{rules.recalled} and {rules.saturated}",
            where="rules.recalled and rules.saturated",
        )
    runs = tuple(
        _run(one, [*curves[:place], *curves[place + 1 :]], floor_nats, rules)
        for place, one in enumerate(curves)
    )

    def over_seeds(name: str, pick: Callable[[RunPhases], float | None]) -> SeedEstimate:
        reason = next((r.reasons[name] for r in runs if name in r.reasons), "")
        return _over_seeds([pick(run) for run in runs], reason, seed=derive(seed, "phases"))

    change = over_seeds("unification_change", lambda run: run.unification_change)
    repair = over_seeds("repair", lambda run: run.repair)
    rises = [rise for rise in repair.by_seed if rise is not None]
    return Phases(
        runs=runs,
        statistics_end=over_seeds("statistics_end", lambda run: run.statistics_end),
        plateau_start=over_seeds("plateau", lambda run: run.plateau and run.plateau[0]),
        plateau_end=over_seeds("plateau", lambda run: run.plateau and run.plateau[1]),
        recall_onset=over_seeds("recall_onset", lambda run: run.recall_onset),
        full_recall=over_seeds("full_recall", lambda run: run.full_recall),
        unification_change=change,
        unification_at_onset=over_seeds(
            "unification_at_onset", lambda run: run.unification_at_onset
        ),
        probe_at_onset=over_seeds("probe_at_onset", lambda run: run.probe_at_onset),
        repair=repair,
        outcome=_outcome(change, runs, rules),
        num_repaired=sum(rise > rules.min_repair for rise in rises) if rises else None,
    )


@dataclass(frozen=True)
class Onset:
    """The first step at which something holds; None where `reason` says that it never does."""

    step: int | None
    reason: str = ""


def onset_step(
    steps: Sequence[int], accuracies: Sequence[float], *, threshold: float = 0.5
) -> Onset:
    """Returns the first step whose accuracy is at or above a threshold.

    Raises:
        InputError: The steps do not rise, or there is not one finite accuracy for each.
    """
    at, reason = _reach(_checked(steps, accuracies, "accuracies"), threshold)
    return Onset(None if at is None else steps[at], reason)


def _run(
    curves: Curves, others: Sequence[Curves], floor_nats: float, rules: PhaseRules
) -> RunPhases:
    loss_C = _smooth(_checked(curves.steps, curves.loss_nats, "loss_nats"))
    same_C = _smooth(_checked(curves.steps, curves.same_accuracy, "same_accuracy"))
    cross_C = _smooth(_checked(curves.steps, curves.cross_accuracy, "cross_accuracy"))
    unification_C = _checked(curves.steps, curves.unification, "unification", gaps=True)
    probe_C = _checked(curves.steps, curves.probe_accuracy, "probe_accuracy", gaps=True)
    learned, no_statistics = _reach(-loss_C, -(floor_nats + rules.tolerance_nats))
    plateau, no_plateau = _plateau(loss_C, learned, floor_nats, rules)
    onset, no_onset = _reach(same_C, rules.recalled)
    full, not_full = _reach(same_C, rules.saturated)
    elsewhere = [_checked(o.steps, o.unification, "unification", gaps=True) for o in others]
    change, ratio, no_change, no_ratio = _change(
        unification_C, elsewhere, learned, plateau, onset, full, rules
    )
    repair, no_repair = None, not_full
    if full == len(cross_C) - 1:
        no_repair = "recall is full only at the last checkpoint"
    elif full is not None:
        repair = float(cross_C[-1] - cross_C[full])
    unified, not_unified = _value_at(unification_C, onset, no_onset)
    probed, not_probed = _value_at(probe_C, onset, no_onset)
    reasons = {
        "statistics_end": no_statistics
        and f"the loss never comes down to its floor: {no_statistics}",
        "plateau": no_plateau,
        "recall_onset": no_onset,
        "full_recall": not_full,
        "unification_change": no_change,
        "noise_ratio": no_ratio,
        "unification_at_onset": not_unified,
        "probe_at_onset": not_probed,
        "repair": no_repair,
    }
    return RunPhases(
        statistics_end=None if learned is None else curves.steps[learned],
        plateau=plateau and (curves.steps[plateau[0]], curves.steps[plateau[1]]),
        recall_onset=None if onset is None else curves.steps[onset],
        full_recall=None if full is None else curves.steps[full],
        unification_change=change,
        noise_ratio=ratio,
        unification_at_onset=unified,
        probe_at_onset=probed,
        repair=repair,
        reasons={name: reason for name, reason in reasons.items() if reason},
    )


def _reach(values_C: Floats, threshold: float) -> tuple[int | None, str]:
    """Returns the first checkpoint at a threshold or above, or why there is none."""
    found = np.flatnonzero(values_C >= threshold)
    if len(found):
        return int(found[0]), ""
    if not len(values_C):
        return None, "no checkpoints"
    return None, f"never at {abs(threshold):.4g}, the best is {abs(values_C.max()):.4g}"


def _value_at(values_C: Floats, at: int | None, missing: str) -> tuple[float | None, str]:
    """Returns the value at a checkpoint, or why there is none."""
    if at is None:
        return None, missing
    return (None, "undefined there") if np.isnan(values_C[at]) else (float(values_C[at]), "")


def _plateau(
    loss_C: Floats, learned: int | None, floor_nats: float, rules: PhaseRules
) -> tuple[tuple[int, int] | None, str]:
    if learned is None:
        return None, "the loss never comes down to its floor"
    left = np.flatnonzero(np.abs(loss_C[learned:] - floor_nats) > rules.tolerance_nats)
    num = int(left[0]) if len(left) else len(loss_C) - learned
    if num < rules.min_plateau_checkpoints:
        least = rules.min_plateau_checkpoints
        return None, f"{num} checkpoints at the floor, {least} make a plateau"
    return (learned, learned + num - 1), ""


def _change(
    unification_C: Floats,
    elsewhere: Sequence[Floats],
    learned: int | None,
    plateau: tuple[int, int] | None,
    onset: int | None,
    full: int | None,
    rules: PhaseRules,
) -> tuple[float | None, float | None, str, str]:
    """Returns the change of U, its ratio to its noise, and why either is None."""
    missing = ""
    if learned is None:
        missing = "the loss never comes down to its floor"
    elif full is None:
        missing = "recall is never full"
    elif plateau is not None and full <= plateau[1]:
        missing = "recall is full before the loss leaves its floor"
    elif plateau is None and (onset or 0) < rules.num_averaged:
        missing = f"{onset} checkpoints before recall sets in, {rules.num_averaged} are needed"
    if missing or full is None or onset is None:
        return None, None, missing, missing
    if plateau is not None:
        end = plateau[1] + 1
        before = unification_C[max(plateau[0], end - rules.num_averaged) : end]
    else:
        first = _highest(elsewhere or [unification_C], onset, rules.num_averaged)
        before = unification_C[first : first + rules.num_averaged]
    after = unification_C[full : full + rules.num_averaged]
    before, after = before[~np.isnan(before)], after[~np.isnan(after)]
    if not len(before) or not len(after):
        reason = "U is undefined before recall or after it"
        return None, None, reason, reason
    change = float(after.mean() - before.mean())
    noise = _noise(unification_C)
    if not noise:
        reason = "fewer than 5 checkpoints" if noise is None else "checkpoints do not scatter"
        return change, None, "", reason
    return change, change / (noise * math.sqrt(1 / len(before) + 1 / len(after))), "", ""


def _highest(curves: Sequence[Floats], num_checkpoints: int, num: int) -> int:
    """Returns where so many checkpoints in a row begin at which curves are highest on average.

    The last of them where no curve is defined over a whole row.
    """
    rows = np.stack(
        [
            [curve_C[first : first + num].mean() for first in range(num_checkpoints + 1 - num)]
            for curve_C in curves
        ]
    )
    is_defined = ~np.isnan(rows)
    if not is_defined.any():
        return num_checkpoints - num
    sums = np.where(is_defined, rows, 0.0).sum(axis=0)
    counts = is_defined.sum(axis=0)
    return int(np.argmax(np.where(counts > 0, sums / np.maximum(counts, 1), -np.inf)))


def _noise(values_C: Floats) -> float | None:
    """Standard deviation of a checkpoint about its trend, by the median second difference.

    Second differences lose straight trends; of independent errors they have six times the
    variance. The median is blind to the few checkpoints at which the curve bends.
    """
    values_C = values_C[~np.isnan(values_C)]
    if len(values_C) < 5:
        return None
    bends = np.abs(np.diff(values_C, n=2))
    noise = 1.4826 * float(np.median(bends)) / math.sqrt(6)  # median to normal deviation
    return noise if noise > 1e-12 else 0.0


def _over_seeds(values: Sequence[float | None], reason: str, *, seed: int) -> SeedEstimate:
    found = np.array([value for value in values if value is not None], dtype=np.float64)
    if not len(found):
        return SeedEstimate(None, None, tuple(values), 0, reason)
    mean, interval = float(found.mean()), None
    if len(found) > 1:
        drawn = np.random.default_rng(seed).integers(len(found), size=(NUM_RESAMPLES, len(found)))
        edges = np.quantile(found[drawn].mean(axis=1), [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2])
        interval = (float(edges[0]), float(edges[1]))
    whys = [] if interval else ["one seed has no scatter to take an interval from"]
    if len(found) < len(values):
        whys.insert(0, f"defined for {len(found)} of {len(values)} seeds")
    return SeedEstimate(mean, interval, tuple(values), len(found), "; ".join(whys))


def _outcome(change: SeedEstimate, runs: Sequence[RunPhases], rules: PhaseRules) -> Outcome | None:
    if change.value is None:
        return None
    if change.interval is not None:
        clear = change.interval[0] > 0 or change.interval[1] < 0
    else:
        ratios = [run.noise_ratio for run in runs if run.unification_change is not None]
        if ratios[0] is None:
            return None
        clear = abs(ratios[0]) >= rules.min_noise_ratio
    if not clear or abs(change.value) < rules.min_change:
        return "neither"
    return "unification" if change.value > 0 else "separation"


def _smooth(values_C: Floats) -> Floats:
    return np.asarray(median_filter(values_C, size=3, mode="nearest"))


def _checked(
    steps: Sequence[int], values: Sequence[float | None], name: str, *, gaps: bool = False
) -> Floats:
    """Returns one number for each step, NaN in the place of None where there may be gaps."""
    if any(later <= earlier for earlier, later in itertools.pairwise(steps)):
        raise InputError(expected="steps that rise", got=str(list(steps)), where="steps")
    if len(values) != len(steps):
        raise InputError(
            expected=f"one value for each of {len(steps)} steps", got=str(len(values)), where=name
        )
    values_C = np.array([np.nan if v is None else v for v in values], dtype=np.float64)
    is_gap_C = np.array([gaps and value is None for value in values], dtype=bool)
    if not np.all(np.isfinite(values_C) | is_gap_C):
        at = int(np.flatnonzero(~(np.isfinite(values_C) | is_gap_C))[0])
        raise InputError(
            expected="a finite number", got=str(values[at]), where=f"{name}, step {steps[at]}"
        )
    return values_C
