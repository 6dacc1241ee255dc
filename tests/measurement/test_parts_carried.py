"""What a part carried: differences of planted transfers, bounds, and intervals by brute force."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lingraft.measurement.data_transfer import NUM_DRAWS, data_transfer
from lingraft.measurement.parts_carried import PartCarried, parts_carried
from lingraft.measurement.transfer_losses import Loss

SIZES = (30_000, 100_000, 300_000, 1_000_000)
WHOLES = {"en/mlp": "en"}
D_F = 30_000


def curve(num_bytes: float) -> float:
    """A straight line in (log bytes, log loss), which the rule reads without error."""
    return 3.0 * (num_bytes / SIZES[0]) ** -0.15


def losses_of(
    whole: Sequence[float], without: Sequence[float], shifts: Sequence[float] = (0.0,)
) -> list[Loss]:
    """A curve with a run for each shift of the log loss, and runs at the losses given."""
    scratch = [
        Loss("nl", "scratch", size, curve(size) * math.exp(shift), str(seed))
        for size in SIZES
        for seed, shift in enumerate(shifts)
    ]
    rows = [("en", whole), ("en/mlp", without)]
    return scratch + [
        Loss("nl", init, D_F, nats, str(seed))
        for init, values in rows
        for seed, nats in enumerate(values)
    ]


def carried(losses: Sequence[Loss], num_draws: int = NUM_DRAWS) -> PartCarried:
    weighed = data_transfer(losses, rule="log-log", seed=1, num_draws=num_draws)
    [found] = parts_carried(losses, weighed.transfers, WHOLES)
    return found


@given(
    whole=st.floats(min_value=SIZES[0], max_value=SIZES[-1]),
    without=st.floats(min_value=SIZES[0], max_value=SIZES[-1]),
)
def test_planted_transfers_give_their_difference(whole: float, without: float) -> None:
    found = carried(losses_of([curve(whole)], [curve(without)]))
    assert found.carried_bytes == pytest.approx(whole - without, abs=2.0)
    assert found.censored is None
    assert (found.target, found.source, found.without) == ("nl", "en", "en/mlp")
    assert found.data_finetuned_bytes == D_F
    assert found.interval is None
    assert found.reason == "no kind of run has several seeds"


BETTER, WORSE, INSIDE = curve(2e6), curve(2e4), curve(2e5)


@pytest.mark.parametrize(
    ("whole", "without", "value", "censored"),
    [
        (BETTER, INSIDE, 1e6 - 2e5, "at_least"),
        (INSIDE, WORSE, 2e5 - 3e4, "at_least"),
        (BETTER, WORSE, 1e6 - 3e4, "at_least"),
        (INSIDE, BETTER, 2e5 - 1e6, "at_most"),
        (WORSE, INSIDE, 3e4 - 2e5, "at_most"),
        (WORSE, BETTER, 3e4 - 1e6, "at_most"),
        (BETTER, BETTER, None, None),
        (WORSE, WORSE, None, None),
    ],
)
def test_bounds_are_told_as_bounds(
    whole: float, without: float, value: float | None, censored: str | None
) -> None:
    found = carried(losses_of([whole], [without]))
    assert found.censored == censored
    if value is None:
        assert found.carried_bytes is None
        assert found.reason == "both losses are beyond the curve on one side"
    else:
        assert found.carried_bytes == pytest.approx(value, abs=2.0)


def test_the_interval_is_of_the_difference_in_the_same_draws() -> None:
    shifts = (-0.003, 0.001, 0.002)
    losses = losses_of([curve(250_000)], [curve(120_000)], shifts)
    weighed = data_transfer(losses, seed=1)
    found = carried(losses)
    assert found.interval is not None
    low, high = found.interval
    assert low is not None
    assert high is not None
    assert found.carried_bytes is not None
    assert low < found.carried_bytes < high
    assert low > 0
    # Narrower than ends set against each other, wider than either transfer's own would be alone.
    ends = {x.source: x.interval for x in weighed.transfers}
    one, other = ends["en"], ends["en/mlp"]
    assert one is not None
    assert other is not None
    widths = [float(b) - float(a) for a, b in (one, other) if a is not None and b is not None]
    assert max(widths) * 0.5 < high - low < sum(widths)


def test_the_interval_covers_the_truth() -> None:
    generator = np.random.default_rng(5)
    truth, hits = 250_000 - 120_000, 0
    for _ in range(40):
        noise = np.exp(generator.normal(0, 0.004, 14))
        losses = [
            Loss("nl", "scratch", size, curve(size) * noise[3 * k + seed], str(seed))
            for k, size in enumerate(SIZES)
            for seed in range(3)
        ]
        losses += [
            Loss("nl", "en", D_F, curve(250_000) * noise[12]),
            Loss("nl", "en/mlp", D_F, curve(120_000) * noise[13]),
        ]
        low, high = carried(losses, 100).interval or (None, None)
        hits += (low is None or low <= truth) and (high is None or truth <= high)
    assert 0.85 <= hits / 40 <= 1.0


def test_open_ends_stay_open() -> None:
    shifts = (-0.003, 0.001, 0.002)
    least = carried(losses_of([BETTER], [INSIDE], shifts))
    assert least.interval is not None
    assert least.interval[0] == pytest.approx(8e5, rel=0.1)
    assert least.interval[1] is None
    most = carried(losses_of([WORSE], [INSIDE], shifts))
    assert most.interval is not None
    assert most.interval[0] is None
    assert most.interval[1] == pytest.approx(-1.7e5, rel=0.2)
    nothing = carried(losses_of([BETTER], [BETTER], shifts))
    assert nothing.interval == (None, None)
    assert nothing.to_record()["interval"] == [None, None]


def test_a_part_without_its_whole_has_a_reason() -> None:
    losses = [x for x in losses_of([INSIDE], [INSIDE]) if x.init != "en"]
    found = carried(losses)
    assert (found.carried_bytes, found.interval) == (None, None)
    assert found.reason == "no run of en at this size"
    assert found.to_record()["interval"] is None


def test_sources_that_lack_no_part_are_left_out() -> None:
    losses = losses_of([INSIDE], [INSIDE])
    weighed = data_transfer(losses, seed=1)
    assert parts_carried(losses, weighed.transfers, {}) == ()
