"""Transfer in bytes: the published table, planted transfers, bounds, intervals."""

import csv
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lingraft.errors import InputError
from lingraft.measurement.data_transfer import (
    RULES,
    Rule,
    Transfer,
    data_transfer,
    transfer_table,
)
from lingraft.measurement.transfer_losses import Loss, read_losses

GOLDEN = Path(__file__).parent.parent / "golden"
SIZES = [30_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000]
MIB = 2**20
Curve = Callable[[float], float]


def power(num_bytes: float) -> float:
    return 0.9 + 30 * num_bytes**-0.28


def sigmoid(num_bytes: float) -> float:
    """No member of any family that is fitted: steep in the middle, flat at both ends."""
    return 0.8 + 2 / (1 + math.exp(1.1 * math.log(num_bytes / 2e5)))


def scratch(curve: Curve = power, sizes: Sequence[int] = SIZES, target: str = "nl") -> list[Loss]:
    return [Loss(target, "scratch", size, curve(size)) for size in sizes]


def one(losses: Sequence[Loss], rule: Rule = "log-log") -> Transfer:
    [transfer] = data_transfer(losses, rule=rule, seed=0).transfers
    return transfer


@pytest.mark.parametrize(
    ("rule", "column"),
    [
        ("published", "authors_mib"),
        ("linear", "linear_without_wraparound_mib"),
        ("log-log", "loglog_mib"),
    ],
)
def test_the_published_perplexities_give_the_published_transfers(rule: Rule, column: str) -> None:
    with (GOLDEN / "data-transfer-expected.csv").open() as stream:
        expected = {
            (row["target"], row["source"]): float(row[column]) for row in csv.DictReader(stream)
        }
    weighed = data_transfer(
        read_losses(GOLDEN / "data-transfer-perplexities.csv"), rule=rule, seed=0
    )
    found = {
        (x.target, x.source): x.data_transferred_bytes / MIB
        for x in weighed.transfers
        if x.data_finetuned_bytes == 6_000_000
    }
    assert len(found) == 27
    assert found == pytest.approx(expected, abs=0.3)


def test_a_better_model_than_every_scratch_run_is_a_bound_where_the_published_rule_wraps() -> None:
    losses = read_losses(GOLDEN / "data-transfer-perplexities.csv")
    [published, repaired] = (
        next(
            x
            for x in data_transfer(losses, rule=rule, seed=0).transfers
            if (x.target, x.source, x.data_finetuned_bytes) == ("es", "en", 600_000_000)
        )
        for rule in ("published", "log-log")
    )
    assert published.data_transferred_bytes / MIB == pytest.approx(-566, abs=1)
    assert published.censored is None
    assert repaired.censored == "at_least"
    assert repaired.data_effective_bytes == 6e9


@pytest.mark.parametrize("rule", ["log-log", "power", "linear"])
@given(share=st.floats(0.0, 1.0))
def test_planted_transfers_are_found(rule: Rule, share: float) -> None:
    """At the curve's own points every rule is exact; between them as exact as its family."""
    at = SIZES[0] * (SIZES[-1] / SIZES[0]) ** share
    found = one([*scratch(), Loss("nl", "en", 20_000, power(at))], rule)
    factor = {"log-log": 1.15, "power": 1.01, "linear": 2.0}[rule]
    assert at / factor <= found.data_effective_bytes <= at * factor
    assert found.data_transferred_bytes == found.data_effective_bytes - 20_000
    knot = one([*scratch(), Loss("nl", "en", 20_000, power(1_000_000))], rule)
    assert knot.data_effective_bytes == pytest.approx(1e6, rel=0.01)


@pytest.mark.parametrize("rule", ["log-log", "power", "linear"])
@given(
    nats=st.lists(st.floats(0.3, 6.0), min_size=3, max_size=6),
    pair=st.tuples(st.floats(0.2, 7.0), st.floats(0.2, 7.0)),
)
def test_effective_data_never_falls_as_the_loss_falls(
    rule: Rule, nats: list[float], pair: tuple[float, float]
) -> None:
    """Whatever the curve, falling or not; and bounds are the ends of the curve."""
    points = [Loss("t", "scratch", size, loss) for size, loss in zip(SIZES, nats, strict=False)]
    better, worse = (one([*points, Loss("t", "s", 1, loss)], rule) for loss in sorted(pair))
    assert better.data_effective_bytes >= worse.data_effective_bytes * (1 - 1e-9)
    largest = SIZES[len(nats) - 1]
    for found in (better, worse):
        assert SIZES[0] <= found.data_effective_bytes <= largest
        assert found.censored != "at_least" or found.data_effective_bytes == largest
        assert found.censored != "at_most" or found.data_effective_bytes == SIZES[0]


def test_beyond_the_curve_are_bounds() -> None:
    best = one([*scratch(), Loss("nl", "en", 20_000, power(SIZES[-1]) - 0.01)])
    worst = one([*scratch(), Loss("nl", "en", 20_000, power(SIZES[0]) + 0.01)])
    assert (best.censored, best.data_transferred_bytes) == ("at_least", SIZES[-1] - 20_000)
    assert (worst.censored, worst.data_transferred_bytes) == ("at_most", SIZES[0] - 20_000)
    header, row = transfer_table([best])
    assert dict(zip(header, row, strict=True))["D_T"] == "≥ 9.98 MB"


def test_curves_that_rise_are_pooled_and_reported() -> None:
    nats = [2.5, 2.0, 2.2, 1.8, 1.8, 1.9]
    points = [Loss("nl", "scratch", size, x) for size, x in zip(SIZES, nats, strict=True)]
    weighed = data_transfer([*points, Loss("nl", "en", 5_000, 2.0)], rule="log-log", seed=0)
    [repair] = weighed.repairs
    assert repair.num_bytes == (100_000, 300_000, 1_000_000, 3_000_000, 10_000_000)
    assert repair.describe().startswith("nl: the loss from scratch does not fall with the size")
    assert weighed.transfers[0].signature["repaired"] is True
    # Pooled to √(2.0 · 2.2) over 100 and 300 kB: less data is enough, so the smaller size counts.
    flat = one([*points, Loss("nl", "en", 5_000, math.sqrt(2.0 * 2.2) + 1e-12)])
    assert flat.data_effective_bytes == pytest.approx(100_000, rel=1e-3)


def test_shares_and_multiples() -> None:
    losses = [*scratch(), Loss("nl", "en", 0, power(100_000)), Loss("nl", "ru", 1_000_000, 2.6)]
    zero_shot, worse = data_transfer(losses, rule="log-log", seed=0).transfers
    assert zero_shot.data_transferred_bytes == pytest.approx(100_000)
    assert (zero_shot.fraction, zero_shot.multiplier) == (pytest.approx(1.0), None)
    assert (worse.censored, worse.fraction) == ("at_most", 0.0)
    assert worse.multiplier == pytest.approx(0.03)
    assert transfer_table([worse])[1][4] == "≤ −970 kB"


def test_too_few_sizes_are_refused() -> None:
    losses = [*scratch(sizes=SIZES[:2]), Loss("nl", "scratch", 0, 5.0), Loss("nl", "en", 9, 2.0)]
    with pytest.raises(InputError, match="at least 3 sizes from scratch") as caught:
        data_transfer(losses, seed=0)
    assert (caught.value.got, caught.value.where) == ("2: 30000, 100000", "target nl")


def test_tables_without_a_question_are_refused() -> None:
    with pytest.raises(InputError, match="init: expected at least one run of a pretrained model"):
        data_transfer(scratch(), seed=0)
    with pytest.raises(InputError, match=r"rule: expected one of .*, got 'spline'"):
        data_transfer(scratch(), rule="spline", seed=0)  # type: ignore[arg-type]
    twice = [*scratch(), Loss("nl", "en", 9, 2.0), Loss("nl", "en", 9, 2.1)]
    with pytest.raises(InputError, match="two for nl, en, 9"):
        data_transfer(twice, seed=0)


def noisy(
    curve: Curve, generator: np.random.Generator, *, scatter: float, num_seeds: int
) -> tuple[list[Loss], float]:
    """A table with its true D_T: scatter of log loss, a fine-tuned model on the curve."""
    true = float(np.exp(generator.uniform(math.log(SIZES[1]), math.log(SIZES[-2]))))
    means = [("scratch", size, curve(size)) for size in SIZES] + [("en", 10_000, curve(true))]
    losses = [
        Loss("t", init, size, mean * math.exp(generator.normal(0, scatter)), str(seed))
        for init, size, mean in means
        for seed in range(num_seeds)
    ]
    return losses, true - 10_000


@pytest.mark.parametrize(("curve", "scatter"), [(power, 0.02), (sigmoid, 0.005)])
def test_the_interval_holds_the_true_transfer_as_often_as_it_says(
    curve: Curve, scatter: float
) -> None:
    """92 to 98 % of 500 tables, also for a curve that is of no fitted family."""
    generator = np.random.default_rng(1)
    num_hits = 0
    widths = []
    for number in range(500):
        losses, true = noisy(curve, generator, scatter=scatter, num_seeds=3)
        [found] = data_transfer(losses, rule="log-log", seed=number, num_draws=100).transfers
        assert found.interval is not None
        low, high = found.interval
        num_hits += (low is None or low <= true) and (high is None or true <= high)
        if low is not None and high is not None:
            widths.append(math.log((high + 10_000) / (low + 10_000)))
    print(f"covered {num_hits / 500:.1%}, mean width a factor of {math.exp(np.mean(widths)):.2f}")
    assert 0.92 <= num_hits / 500 <= 0.98


def test_intervals_need_seeds_and_are_open_beyond_the_curve() -> None:
    generator = np.random.default_rng(0)
    losses, _ = noisy(power, generator, scatter=0.02, num_seeds=3)
    alone = one([*scratch(), Loss("nl", "en", 9, 2.0)])
    assert (alone.interval, alone.reason) == (None, "no kind of run has several seeds")
    published = one(losses, "published")
    assert (published.interval, published.reason) == (None, "the published rule has no interval")
    better = [replace(x, nats_per_byte=0.8) if x.init == "en" else x for x in losses]
    low, high = one(better).interval or (0.0, 0.0)
    assert (low, high) == (SIZES[-1] - 10_000, None)
    # About as good as the best scratch run: the low end is on the curve, the high end open.
    near = [replace(x, nats_per_byte=power(9e6)) if x.init == "en" else x for x in losses]
    low, high = one(near).interval or (0.0, 0.0)
    assert low is not None
    assert low < SIZES[-1] - 10_000
    assert high is None
    worse = [replace(x, nats_per_byte=4.0) if x.init == "en" else x for x in losses]
    assert one(worse).interval == (None, SIZES[0] - 10_000)
    assert transfer_table([one(worse)])[1][5] == "… to 20 kB"


def test_intervals_are_of_the_seed_and_of_the_target_alone() -> None:
    losses, _ = noisy(power, np.random.default_rng(2), scatter=0.02, num_seeds=3)
    again = data_transfer(losses, seed=5).transfers[0]
    assert again == data_transfer(losses, seed=5).transfers[0]
    assert again.interval != data_transfer(losses, seed=6).transfers[0].interval
    others = [replace(x, target="u") for x in losses]
    assert data_transfer([*others, *losses], seed=5).transfers[1] == again


def test_runs_of_one_trunk_move_together() -> None:
    """What moves curve and fine-tuned model alike leaves D_E where it is."""
    apart, _ = noisy(power, np.random.default_rng(3), scatter=0.02, num_seeds=3)
    still, _ = noisy(power, np.random.default_rng(3), scatter=0.0, num_seeds=3)
    moves = {"0": 0.98, "1": 1.0, "2": 1.02}
    together = [
        replace(x, nats_per_byte=x.nats_per_byte * moves[x.seed], trunk=x.seed) for x in still
    ]

    def width(losses: Sequence[Loss]) -> float:
        low, high = one(losses).interval or (None, None)
        assert low is not None
        assert high is not None
        return high - low

    assert width(together) < 0.3 * width(apart)


FLAT = [Loss("nl", "scratch", size, 2.0) for size in SIZES]


@pytest.mark.parametrize(
    ("nats", "effective", "censored"),
    [(1.9, SIZES[-1], "at_least"), (2.0, SIZES[0], "at_most"), (2.1, SIZES[0], "at_most")],
)
@pytest.mark.parametrize("rule", ["log-log", "power", "linear"])
def test_a_flat_curve_gives_bounds_and_says_so(
    rule: Rule, nats: float, effective: float, censored: str
) -> None:
    losses = [*FLAT, Loss("nl", "en", 5_000, nats)]
    found = one(losses, rule)
    assert (found.data_effective_bytes, found.censored) == (effective, censored)
    assert found.remark == "the loss from scratch is the same at all sizes: no size can be read off"
    assert data_transfer(losses, rule=rule, seed=0).remarks == (f"nl: {found.remark}",)


def test_equal_losses_of_several_seeds_are_no_scatter_of_zero() -> None:
    losses = [replace(x, seed=seed) for x in scratch() for seed in "01"]
    found = one([*losses, Loss("nl", "en", 20_000, 2.0)])
    assert found.interval is None
    assert found.reason == "runs of several seeds have the same loss: no scatter to tell from"
    assert one([*scratch(), Loss("nl", "en", 20_000, 2.0)]).remark == ""


def test_a_fit_that_misses_the_runs_says_by_how_much_and_ends_in_bounds() -> None:
    """Two curves that c + a · D^-b cannot follow: still falling at the end, steep in the middle."""

    def read(curve: Sequence[float], nats: float, rule: Rule = "power") -> Transfer:
        points = [Loss("nl", "scratch", size, x) for size, x in zip(SIZES, curve, strict=True)]
        return one([*points, Loss("nl", "en", 5_000, nats)], rule)

    falling = [2.5, 1.55, 1.5, 1.45, 1.44, 1.40]
    bound, within = read(falling, 1.41), read(falling, 1.41, "log-log")
    assert (bound.data_effective_bytes, bound.censored) == (SIZES[-1], "at_least")
    told = "the power fit misses the runs from scratch: at the loss of "
    assert bound.remark == f"{told}10 MB it gives a size beyond those measured"
    assert bound.to_record()["remark"] == bound.remark
    assert within.censored is None
    assert within.remark == ""
    steep = read([2.5, 2.4, 2.2, 1.6, 1.42, 1.40], 2.2)
    assert steep.data_effective_bytes == pytest.approx(134_000, rel=0.01)
    assert steep.remark == f"{told}300 kB it gives 134 kB"


def test_two_trunks_at_six_sizes_are_two_runs() -> None:
    moves = {"a": 0.99, "b": 1.01}
    trunks = [
        Loss("nl", "scratch", size, power(size) * move, name, f"trunk {name}")
        for size in SIZES
        for name, move in moves.items()
    ]
    found = one([*trunks, Loss("nl", "en", 10_000, power(5e5))])
    assert found.signature["num_free"] == 1
    low, high = found.interval or (0.0, 0.0)
    apart = one([*(replace(x, trunk="") for x in trunks), Loss("nl", "en", 10_000, power(5e5))])
    assert apart.signature["num_free"] == 6
    assert apart.interval is not None
    assert None not in apart.interval
    assert low is None or high is None or high - low > 3 * (apart.interval[1] - apart.interval[0])


def test_records_have_the_promised_keys() -> None:
    record = one([*scratch(), Loss("nl", "en", 20_000, power(500_000))]).to_record()
    assert {
        "target",
        "source",
        "data_finetuned_bytes",
        "data_effective_bytes",
        "data_transferred_bytes",
        "censored",
        "interval",
        "rule",
        "reason",
        "remark",
    } <= set(record)
    assert set(RULES) == {"log-log", "power", "linear", "published"}
