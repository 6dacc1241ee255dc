"""Figures of several runs: paired by example, resampled by run, undefined where a run is."""

import numpy as np
import pytest

from lingraft.measurement import Score
from lingraft.measurement.score import bootstrap_interval
from lingraft.pipelines.downstream_record import difference_of_runs, mean_of_runs


def score(hits: list[float], sizes: list[float] | None = None, reason: str = "") -> Score:
    items = tuple(zip(hits, sizes or [1.0] * len(hits), strict=True))
    return Score(
        "exact_match", "fraction", sum(hits), sum(size for _, size in items), items=items,
        reason=reason,
    )  # fmt: skip


HITS = [float(bit) for bit in np.random.default_rng(0).integers(2, size=60)]


def test_one_run_has_the_interval_of_its_score() -> None:
    sizes = [1.0 + number % 3 for number in range(60)]
    one = score(HITS, sizes)
    expected = bootstrap_interval(one.items, scale=1.0, seed=5)
    assert mean_of_runs([one], seed=5) == (one.value, list(expected or ()))


def test_runs_are_summed_before_they_are_divided() -> None:
    runs = [score([1.0, 0.0], [1.0, 3.0]), score([4.0, 0.0], [4.0, 0.0])]
    assert mean_of_runs(runs, seed=0).value == pytest.approx(5 / 8)


def test_scatter_of_runs_is_in_the_interval() -> None:
    steady = mean_of_runs([score(HITS)] * 3, seed=0).interval or []
    bad, good = score([0.0] * 60), score([1.0] * 60)
    assert mean_of_runs([good, bad], seed=0) == (0.5, [0.0, 1.0])
    assert mean_of_runs([score(HITS)], seed=0).interval == pytest.approx(steady)


def test_differences_are_paired_by_example() -> None:
    worse = [hit if number % 6 else 0.0 for number, hit in enumerate(HITS)]
    lost = sum(HITS) - sum(worse)
    assert lost > 2
    found = difference_of_runs([score(HITS)], [score(worse)], seed=0)
    assert found.value == pytest.approx(lost / 60)
    low, high = found.interval or []
    # An unpaired difference of such shares scatters four times as far.
    assert 0 < low < lost / 60 < high < 0.2
    same = difference_of_runs([score(HITS)] * 2, [score(HITS)], seed=0)
    assert same == (0.0, [0.0, 0.0])
    turned = difference_of_runs([score(worse)], [score(HITS)], seed=0)
    assert turned.interval == pytest.approx([-high, -low])


def test_what_is_undefined_stays_so() -> None:
    broken = score(HITS, reason="a label has no finite likelihood")
    assert mean_of_runs([score(HITS), broken], seed=0) == (None, None)
    assert difference_of_runs([score(HITS)], [broken], seed=0) == (None, None)
    assert mean_of_runs([score([1.0])], seed=0) == (1.0, None)
    mostly_empty = score([1.0, 0.0, 0.0], [1.0, 0.0, 0.0])
    assert mean_of_runs([mostly_empty], seed=0) == (1.0, None)
