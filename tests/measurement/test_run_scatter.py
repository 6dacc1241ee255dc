"""Scatter of runs: what is counted as a run, and how far draws move."""

import math
from collections.abc import Sequence

import numpy as np
import pytest

from lingraft.measurement.run_scatter import RunScatter
from lingraft.measurement.transfer_losses import Loss

SIZES = (30_000, 100_000, 300_000)


def kinds(moves: Sequence[Sequence[float]], trunks: Sequence[str] = ()) -> list[list[Loss]]:
    """A kind for each row of log losses; its runs are of the trunks named, or of none."""
    return [
        [
            Loss("nl", "scratch", size, math.exp(move), str(seed), trunks[seed] if trunks else "")
            for seed, move in enumerate(row)
        ]
        for size, row in zip(SIZES, moves, strict=False)
    ]


def test_runs_without_trunks_are_counted_within_their_kind() -> None:
    scatter = RunScatter(kinds([[0.1, 0.3], [0.5, 0.6, 0.7], [1.0]]))
    assert scatter.num_free == 3
    squares = 2 * 0.1**2 + 2 * 0.1**2
    assert scatter.deviation == pytest.approx(math.sqrt(squares / 3))
    assert scatter.why_unknown() == ""


@pytest.mark.parametrize("num_trunks", [2, 3, 5])
def test_trunks_are_counted_once_over_all_their_sizes(num_trunks: int) -> None:
    moves = np.random.default_rng(0).normal(0, 0.02, num_trunks)
    names = [f"trunk {number}" for number in range(num_trunks)]
    scatter = RunScatter(kinds([moves + level for level in (1.0, 0.7, 0.4)], names))
    assert scatter.num_free == num_trunks - 1
    assert scatter.deviation == pytest.approx(moves.std(ddof=1))
    drawn = scatter.draw(50, np.random.default_rng(1))
    assert np.ptp(drawn - [1.0, 0.7, 0.4], axis=1) == pytest.approx(0, abs=1e-9), "all at once"


def test_trunks_in_some_of_the_kinds_are_connected_by_the_others() -> None:
    """a and b meet at one size, b and c at another: three trunks of one group, two to spare."""
    groups = [
        [Loss("t", "scratch", 1, math.exp(1.00), "0", "a"),
         Loss("t", "scratch", 1, math.exp(1.02), "1", "b")],
        [Loss("t", "scratch", 2, math.exp(0.82), "1", "b"),
         Loss("t", "scratch", 2, math.exp(0.86), "2", "c")],
    ]  # fmt: skip
    scatter = RunScatter(groups)
    assert scatter.num_free == 2
    assert scatter.deviation == pytest.approx(np.std([0.0, 0.02, 0.06], ddof=1))


def test_what_is_a_runs_own_moves_it_alone() -> None:
    generator = np.random.default_rng(2)
    trunk, own = generator.normal(0, 0.001, 8), generator.normal(0, 0.05, (3, 8))
    names = [f"trunk {number}" for number in range(8)]
    drawn = RunScatter(kinds(trunk + own, names)).draw(4000, np.random.default_rng(3))
    apart = drawn[:, 0] - drawn[:, 1]
    # Of two means of eight runs; what is left over of eight trunks at three sizes is 14 free.
    assert apart.std() == pytest.approx(0.05 * math.sqrt(2 / 8), rel=0.25)


def test_one_degree_of_freedom_draws_as_students_t() -> None:
    scatter = RunScatter(kinds([[0.0, 0.02]]))
    drawn = scatter.draw(20_000, np.random.default_rng(4))[:, 0] - 0.01
    deviation = 0.02 / math.sqrt(2) / math.sqrt(2)
    assert np.quantile(np.abs(drawn), 0.5) == pytest.approx(deviation * 1.0, rel=0.05)
    assert np.quantile(np.abs(drawn), 0.9) == pytest.approx(deviation * 6.314, rel=0.1)
    assert np.abs(drawn).max() <= 4.0


@pytest.mark.parametrize(
    ("groups", "reason"),
    [
        (kinds([[1.0], [0.7]]), "no kind of run has several seeds"),
        (
            kinds([[1.0, 1.1], [0.7, 0.9]], ["one", "one"]),
            "no kind of run has several seeds that do not share a trunk",
        ),
        (
            kinds([[1.0, 1.0], [0.7]]),
            "runs of several seeds have the same loss: no scatter to tell from",
        ),
    ],
)
def test_scatter_that_is_unknown_has_a_reason(groups: list[list[Loss]], reason: str) -> None:
    assert RunScatter(groups).why_unknown() == reason
