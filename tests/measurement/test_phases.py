"""Phases: known change points with and without noise, time, seeds, and what never happens."""

import math
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lingraft.errors import InputError
from lingraft.measurement.phases import Curves, Onset, PhaseRules, onset_step, phases

FLOOR = math.log(40)


def curves(
    *, learned=6, left=14, full=22, num=40, change=-0.4, repair_at=30, rise=0.5, noise=0.0, seed=0
) -> Curves:
    """Loss falls to its floor at `learned`, leaves it after `left`; recall is full at `full`."""
    at = np.arange(num)
    loss = np.where(at < learned, FLOOR + 0.5 * (learned - at), FLOOR)
    loss = np.where(at > left, FLOOR * np.clip((full - at) / (full - left), 0.0, 1.0), loss)
    same = np.clip((at - left) / (full - left), 0.02, 1.0)
    cross = np.where(at >= repair_at, 0.1 + rise, 0.1)
    unified = 0.9 + change * np.clip((at - left) / (full - left), 0.0, 1.0)
    probe = np.full(num, 0.75)
    generator = np.random.default_rng(seed)

    def noisy(values):
        return tuple((values + noise * generator.normal(size=num)).tolist())

    steps = tuple((25 * at).tolist())
    return Curves(steps, noisy(loss), noisy(same), noisy(cross), noisy(unified), noisy(probe))


def one(run: Curves, **settings):
    return phases([run], floor_nats=FLOOR, seed=0, **settings)


@given(
    st.integers(1, 8),
    st.integers(3, 10),
    st.integers(3, 10),
    st.floats(-0.8, 0.8),
    st.floats(0, 0.8),
)
def test_change_points_are_found_exactly(learned, stay, climb, change, rise) -> None:
    left, full = learned + stay, learned + stay + climb
    run = curves(
        learned=learned, left=left, full=full, change=change, repair_at=full + 3, rise=rise
    )
    (found,) = one(run).runs
    assert found.statistics_end == 25 * learned
    assert found.plateau == (25 * learned, 25 * left)
    assert found.recall_onset == 25 * (left + math.ceil(climb / 2))
    assert found.full_recall == 25 * full
    assert found.unification_change == pytest.approx(change)
    assert found.repair == pytest.approx(rise)
    assert found.probe_at_onset == pytest.approx(0.75)
    at_onset = 0.9 + change * math.ceil(climb / 2) / climb
    assert found.unification_at_onset == pytest.approx(at_onset)
    assert (found.noise_ratio, found.reasons) == (
        None,
        {"noise_ratio": "checkpoints do not scatter"},
    )


@pytest.mark.parametrize(("change", "outcome"), [(-0.4, "separation"), (0.4, "unification")])
def test_noise_moves_change_points_by_a_checkpoint_at_most(change, outcome) -> None:
    for seed in range(30):
        found = one(curves(change=change, noise=0.003, seed=seed))
        (run,) = found.runs
        assert run.statistics_end == 150
        assert run.plateau == (150, 350)
        assert abs(run.recall_onset - 450) <= 25
        assert abs(run.full_recall - 550) <= 25
        assert run.unification_change == pytest.approx(change, abs=0.04)
        assert run.repair == pytest.approx(0.5, abs=0.03)
        assert found.outcome == outcome
        assert found.num_repaired == 1


def test_only_the_plateaus_end_and_what_follows_full_recall_count() -> None:
    at = np.arange(40)
    run = replace(
        curves(),
        unification=tuple(np.select([at < 12, at < 15, at < 22, at < 25], [9, 0.8, 9, 0.3], 9.0)),
        cross_accuracy=tuple(np.select([at < 22, at < 38], [0.0, 0.6], 0.9)),
    )
    (found,) = one(run).runs
    assert found.unification_change == pytest.approx(-0.5)
    assert found.repair == pytest.approx(0.3)


def test_a_change_within_the_noise_is_none() -> None:
    outcomes = [one(curves(change=0.0, noise=0.01, seed=s)).outcome for s in range(60)]
    assert outcomes.count("neither") >= 54


def test_the_noise_ratio_is_a_standard_normal_where_nothing_changes() -> None:
    ratios = []
    for seed in range(200):
        exact = curves(change=0.0, num=60)
        scatter = 0.02 * np.random.default_rng(seed).normal(size=60)
        run = replace(exact, unification=tuple((0.5 + scatter).tolist()))
        ratios.append(one(run).runs[0].noise_ratio)
    assert np.mean(ratios) == pytest.approx(0, abs=0.2)
    assert 0.8 <= np.std(ratios) <= 1.3


def test_one_odd_checkpoint_starts_no_phase() -> None:
    exact = curves()
    odd = replace(
        exact,
        loss_nats=(*exact.loss_nats[:2], FLOOR, *exact.loss_nats[3:]),
        same_accuracy=(*exact.same_accuracy[:9], 1.0, *exact.same_accuracy[10:]),
    )
    assert one(odd).runs == one(exact).runs


steps_after = st.lists(st.integers(1, 1000), min_size=40, max_size=40)


@given(steps_after, st.integers(0, 100))
def test_how_the_steps_are_spaced_moves_no_change_point(gaps, seed) -> None:
    run = curves(noise=0.003, seed=seed)
    steps = tuple(int(step) for step in np.cumsum(gaps))
    (ours,), (theirs,) = one(run).runs, one(replace(run, steps=steps)).runs
    moved = dict(zip(run.steps, steps, strict=True))
    for name in ("statistics_end", "recall_onset", "full_recall"):
        assert getattr(theirs, name) == moved[getattr(ours, name)]
    assert theirs.plateau == tuple(moved[step] for step in ours.plateau)
    for name in ("unification_change", "noise_ratio", "repair", "unification_at_onset"):
        assert getattr(theirs, name) == getattr(ours, name)


def test_a_loss_that_does_not_stay_at_its_floor_has_no_plateau() -> None:
    (found,) = one(curves(learned=6, left=7, full=15)).runs
    assert found.statistics_end == 150
    assert found.plateau is None
    assert found.reasons["plateau"] == "2 checkpoints at the floor, 3 make a plateau"
    assert found.unification_change == pytest.approx(-0.4)
    two = PhaseRules(min_plateau_checkpoints=2)
    assert one(curves(learned=6, left=7, full=15), rules=two).runs[0].plateau == (150, 175)


def test_languages_that_part_while_statistics_are_learnt_are_seen_to_part() -> None:
    """Without a plateau the loss is at its floor when facts, and languages, have come apart."""
    at = np.arange(40)
    fast = curves(learned=10, left=10, full=16, repair_at=40)
    apart = replace(
        fast,
        unification=tuple(np.interp(at, [0, 3, 5, 10, 16, 39], [0.4, 0.9, 0.9, 0.5, 0.5, 0.8])),
    )
    (found,) = one(apart).runs
    assert (found.statistics_end, found.plateau, found.recall_onset) == (250, None, 325)
    assert found.unification_change == pytest.approx(0.5 + (0.3 / 23) - 0.9, abs=1e-6)
    late = replace(apart, same_accuracy=(0.1, *[0.6] * 9, *apart.same_accuracy[10:]))
    (found,) = one(late).runs
    assert found.unification_change is None
    reason = "1 checkpoints before recall sets in, 3 are needed"
    assert found.reasons["unification_change"] == reason


def test_noise_alone_does_not_part_languages() -> None:
    """The checkpoints to begin from are chosen on other seeds than they are measured on."""
    changes, outcomes = [], []
    for draw in range(60):
        runs = [
            replace(
                curves(learned=18, left=18, full=24),
                unification=tuple(
                    0.9 + 0.05 * np.random.default_rng(10 * draw + seed).normal(size=40)
                ),
            )
            for seed in range(3)
        ]
        found = phases(runs, floor_nats=FLOOR, seed=0)
        assert found.plateau_start.value is None
        changes.append(found.unification_change.value)
        outcomes.append(found.outcome)
    assert abs(np.mean(changes)) < 3 * np.std(changes) / math.sqrt(60)
    # Three seeds' bootstrap leaves 0 out one time in four, to either side alike.
    assert abs(outcomes.count("separation") - outcomes.count("unification")) <= 10


def test_a_small_change_is_no_outcome_however_sure() -> None:
    runs = [curves(change=-0.015), curves(change=-0.016)]
    assert phases(runs, floor_nats=FLOOR, seed=0).outcome == "neither"
    rules = PhaseRules(min_change=0.01)
    assert phases(runs, floor_nats=FLOOR, seed=0, rules=rules).outcome == "separation"


def test_what_never_happens_has_its_reason() -> None:
    flat = curves(learned=50, left=60, full=70)  # 40 checkpoints: none of this is reached
    found = one(flat)
    (run,) = found.runs
    for name in ("statistics_end", "plateau", "recall_onset", "full_recall", "repair"):
        assert getattr(run, name) is None
        assert run.reasons[name]
    assert run.reasons["recall_onset"] == "never at 0.5, the best is 0.02"
    assert run.reasons["unification_change"] == "the loss never comes down to its floor"
    assert found.recall_onset.value is None
    assert found.recall_onset.num_defined == 0
    assert found.recall_onset.reason == run.reasons["recall_onset"]
    assert (found.outcome, found.num_repaired) == (None, None)
    half = one(curves(full=60, num=40)).runs[0]
    assert half.reasons["unification_change"] == "recall is never full"
    early = replace(curves(), same_accuracy=(1.0,) * 40)
    reasons = one(early).runs[0].reasons
    assert reasons["unification_change"] == "recall is full before the loss leaves its floor"
    last = one(curves(full=22, num=23)).runs[0]
    assert (last.repair, last.reasons["repair"]) == (
        None,
        "recall is full only at the last checkpoint",
    )
    none = one(Curves((), (), (), (), (), ())).runs[0]
    assert none.reasons["full_recall"] == "no checkpoints"


def test_few_checkpoints_have_no_noise() -> None:
    run = Curves((1, 2, 3, 4), (5, FLOOR, 0, 0), (0, 0, 1, 1), (0, 0, 0, 0), (1, 1, 0, 0), (1,) * 4)
    found = one(run, rules=PhaseRules(min_plateau_checkpoints=1))
    assert found.runs[0].unification_change == -1
    assert found.runs[0].reasons["noise_ratio"] == "fewer than 5 checkpoints"
    assert found.outcome is None


def test_intervals_are_over_seeds() -> None:
    changes = [-0.5, -0.4, -0.2, -0.3]
    ends = [4, 5, 6, 9]
    runs = [
        curves(change=c, learned=k, repair_at=30 + 20 * (k > 5))
        for c, k in zip(changes, ends, strict=True)
    ]
    found = phases(runs, floor_nats=FLOOR, seed=3)
    assert found.unification_change.value == pytest.approx(-0.35)
    assert found.unification_change.by_seed == pytest.approx(changes)
    low, high = found.unification_change.interval
    assert -0.5 <= low < -0.35 < high <= -0.2
    assert found.statistics_end.value == pytest.approx(25 * 6)
    assert found.statistics_end.by_seed == (100, 125, 150, 225)
    assert found.plateau_start == found.statistics_end
    assert found.plateau_end.value == 350
    assert found.plateau_end.interval == (350, 350)
    assert found.outcome == "separation"
    assert found.num_repaired == 2
    assert phases(runs[::-1], floor_nats=FLOOR, seed=3).statistics_end.value == 150
    assert phases(runs, floor_nats=FLOOR, seed=4).unification_change.interval != (low, high)


def test_seeds_that_differ_in_sign_have_no_outcome() -> None:
    found = phases([curves(change=0.3), curves(change=-0.2)], floor_nats=FLOOR, seed=0)
    assert found.outcome == "neither"
    both = phases([curves(change=0.3), curves(change=0.2)], floor_nats=FLOOR, seed=0)
    assert both.outcome == "unification"


def test_one_seed_has_no_interval_and_missing_seeds_are_counted() -> None:
    alone = one(curves(noise=0.003)).full_recall
    assert (alone.interval, alone.num_defined) == (None, 1)
    assert alone.reason == "one seed has no scatter to take an interval from"
    some = phases([curves(), curves(full=60)], floor_nats=FLOOR, seed=0).full_recall
    assert (some.value, some.num_defined, some.by_seed) == (550, 1, (550, None))


@given(st.lists(st.floats(0, 1), max_size=8), st.floats(0, 1))
def test_onset_is_the_first_step_at_the_threshold(accuracies, threshold) -> None:
    steps = [10 * i for i in range(len(accuracies))]
    found = onset_step(steps, accuracies, threshold=threshold)
    reached = [s for s, a in zip(steps, accuracies, strict=True) if a >= threshold]
    assert found.step == (reached[0] if reached else None)
    assert bool(found.reason) == (not reached)


def test_onset_says_how_near_it_came() -> None:
    assert onset_step([1, 2], [0.1, 0.4]) == Onset(None, "never at 0.5, the best is 0.4")
    assert onset_step([1, 2], [0.1, 0.5]) == Onset(2)
    assert onset_step([], []) == Onset(None, "no checkpoints")


@pytest.mark.parametrize("name", [f.name for f in fields(Curves) if f.name != "steps"])
def test_curves_that_do_not_fit_are_refused(name) -> None:
    with pytest.raises(InputError) as error:
        one(replace(curves(), **{name: (0.5, 0.5)}))
    assert (error.value.where, error.value.got) == (name, "2")
    assert error.value.expected == "one value for each of 40 steps"
    with pytest.raises(InputError) as error:
        one(replace(curves(), **{name: (0.5, math.nan, *[0.5] * 38)}))
    assert (error.value.where, error.value.got) == (f"{name}, step 25", "nan")


@pytest.mark.parametrize(
    ("runs", "floor", "where", "got"),
    [
        ([], FLOOR, "curves", "none"),
        ([curves()], 0.0, "floor_nats", "0.0"),
        ([curves()], math.nan, "floor_nats", "nan"),
        ([replace(curves(num=2), steps=(3, 3))], FLOOR, "steps", "[3, 3]"),
    ],
)
def test_bad_settings_are_refused(runs, floor, where, got) -> None:
    with pytest.raises(InputError) as error:
        phases(runs, floor_nats=floor, seed=0)
    assert (error.value.where, error.value.got) == (where, got)


def test_recall_that_would_be_full_before_it_sets_in_is_refused() -> None:
    with pytest.raises(InputError) as error:
        one(curves(), rules=PhaseRules(recalled=0.99, saturated=0.9))
    assert error.value.where == "rules.recalled and rules.saturated"
    assert error.value.got == "0.99 and 0.9"
