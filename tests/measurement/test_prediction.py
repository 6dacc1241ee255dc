"""Prediction: brute-force left-out errors, the published shares, and both directions."""

import csv
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lingraft.errors import InputError
from lingraft.measurement.prediction import Comparison, commutativity, predict, variance_shares
from lingraft.measurement.transfer_cells import Cell

GOLDEN = Path(__file__).parents[1] / "golden" / "data-transfer-expected.csv"
SIZE = 6_000_000


def golden(column: str) -> list[Cell]:
    with GOLDEN.open(encoding="utf-8", newline="") as file:
        return [
            Cell(row["target"], row["source"], SIZE, float(row[column]))
            for row in csv.DictReader(file)
        ]


REPAIRED, AUTHORS = golden("linear_without_wraparound_mib"), golden("authors_mib")


def table(logs) -> list[Cell]:
    """Cells of a (num_targets, num_sources) table of logarithms."""
    return [
        Cell(f"t{t}", f"s{s}", SIZE, math.exp(value))
        for t, row in enumerate(logs)
        for s, value in enumerate(row)
    ]


def test_targets_explain_half_of_the_published_table() -> None:
    shares = variance_shares(REPAIRED)
    assert (shares.num_cells, shares.num_left_out, shares.reason) == (27, 0, "")
    assert shares.target == pytest.approx(0.49, abs=0.005)
    assert shares.source == pytest.approx(0.10, abs=0.005)


def test_spreads_of_the_published_table() -> None:
    spreads = commutativity(REPAIRED).spread_by_target
    text = "ko 1.02 zh 1.02 ar 1.11 ja 1.46 fi 1.54 ru 1.56 de 1.93 id 2.04 es 2.41"
    names, numbers = text.split()[::2], text.split()[1::2]
    published = {name: float(x) for name, x in zip(names, numbers, strict=True)}
    assert {t: round(x, 2) for t, x in spreads.items() if t != "en"} == published


def test_directions_of_the_published_table() -> None:
    found = commutativity(AUTHORS)
    assert [(p.first, p.second, p.to_second, p.to_first) for p in found.pairs] == [
        ("en", "ru", 75.6, 174.6),
        ("en", "zh", 29.2, 67.0),
        ("ru", "zh", 26.2, 48.5),
    ]
    folds = [174.6 / 75.6, 67.0 / 29.2, 48.5 / 26.2]
    assert [p.fold for p in found.pairs] == pytest.approx(folds)
    assert found.median_fold == pytest.approx(67.0 / 29.2)
    assert (found.num_left_out, found.reason) == (0, "")


def test_shares_of_known_tables() -> None:
    by_target = variance_shares(table([[1, 1], [3, 3], [4, 4]]))
    assert (by_target.target, by_target.source) == pytest.approx((1, 0))
    both = variance_shares(table([[0, 1], [2, 3]]))
    assert (both.target, both.source) == pytest.approx((0.8, 0.2))
    bounded = [
        replace(table([[9]])[0], target="x", censored="at_least"),
        Cell("y", "s0", SIZE, -1.0),
    ]
    more = variance_shares([*table([[0, 1], [2, 3]]), *bounded])
    assert more == replace(both, num_left_out=2)
    assert variance_shares(table([[1]])).reason == "fewer than two cells"
    assert variance_shares(table([[1, 1]])).reason == "all values are equal"
    assert variance_shares([]).target is None


def both_ways(*rows: tuple[str, str, float, float]) -> list[Cell]:
    cells = []
    for a, b, there, back in rows:
        cells += [Cell(b, a, SIZE, there), Cell(a, b, SIZE, back)]
    return cells


def test_correlation_of_directions_does_not_depend_on_names() -> None:
    rows = [("a", "b", 1.0, 2.0), ("a", "c", 4.0, 4.0), ("d", "c", 9.0, 5.0), ("e", "a", 3.0, 7.0)]
    found = commutativity(both_ways(*rows))
    turned = commutativity(
        both_ways(*((b, a, back, there) for a, b, there, back in rows[:2]), *rows[2:])
    )
    assert found.log_correlation == pytest.approx(turned.log_correlation)
    logs = [(math.log(x), math.log(y)) for *_, x, y in rows]
    doubled = np.array(logs + [(y, x) for x, y in logs])
    assert found.log_correlation == pytest.approx(np.corrcoef(doubled.T)[0, 1])
    same = commutativity(both_ways(("a", "b", 1, 1), ("c", "d", 2, 2), ("e", "f", 5, 5)))
    assert same.log_correlation == pytest.approx(1)
    assert same.median_fold == 1


def test_undefined_correlations_and_folds() -> None:
    few = commutativity(both_ways(("a", "b", -1.0, 2.0), ("c", "d", 2.0, 4.0)))
    assert [p.fold for p in few.pairs] == [None, 2.0]
    assert (few.log_correlation, few.median_fold) == (None, 2.0)
    assert few.reason == "1 pairs in both directions, at least 3 are needed"
    flat = commutativity(both_ways(("a", "b", 1, 1), ("c", "d", 1, 1), ("e", "f", 1, 1)))
    assert (flat.log_correlation, flat.reason) == (None, "all values are equal")
    bounded = [replace(c, censored="at_most") for c in both_ways(("a", "b", 1.0, 2.0))]
    none = commutativity(bounded)
    assert (none.pairs, none.median_fold, none.num_left_out) == ((), None, 2)
    spread = commutativity(table([[0, 1], [2, 2], [3, 3]])[:-1]).spread_by_target
    assert spread == pytest.approx({"t0": math.e, "t1": 1})


def test_errors_are_those_of_fitting_without_the_cells() -> None:
    generator = np.random.default_rng(0)
    cells, features = table(generator.normal(size=(5, 4))), generator.normal(size=(20, 2))
    found = predict(cells, features.tolist(), names=["a", "b"], ridge=0.0)
    logs, targets = np.log([c.value for c in cells]), np.array([c.target for c in cells])
    design = np.hstack([np.ones((20, 1)), features])

    def errors(folds, columns):
        total = 0.0
        for out in folds:
            law = np.linalg.lstsq(columns[~out], logs[~out], rcond=None)[0]
            total += float(np.sum((columns[out] @ law - logs[out]) ** 2))
        return total

    by_target = [targets == t for t in np.unique(targets)]
    by_cell = list(np.eye(20, dtype=bool))
    assert found.new_target.squares == pytest.approx(errors(by_target, design))
    assert found.new_target.baseline_squares == pytest.approx(errors(by_target, design[:, :1]))
    assert found.new_cell.squares == pytest.approx(errors(by_cell, design))
    names = np.array([c.source for c in cells])
    means = np.hstack(
        [targets[:, None] == np.unique(targets)[None], names[:, None] == np.unique(names)[None]]
    ).astype(float)
    assert found.new_cell.baseline_squares == pytest.approx(errors(by_cell, means))
    with_means = np.hstack([means, features])
    assert found.new_cell_with_means.squares == pytest.approx(errors(by_cell, with_means))
    assert found.new_cell_with_means.baseline_squares == found.new_cell.baseline_squares
    assert [x.num_predicted for x in (found.new_target, found.new_cell)] == [20, 20]
    assert (found.num_cells, found.unit, found.names) == (20, "log", ("a", "b"))


def test_the_penalty_shrinks_towards_the_baseline() -> None:
    generator = np.random.default_rng(1)
    cells, features = table(generator.normal(size=(5, 4))), generator.normal(size=(20, 1)).tolist()
    far = predict(cells, features, names=["a"], ridge=1e9)
    assert far.new_target.squares == pytest.approx(far.new_target.baseline_squares)
    assert far.new_cell_with_means.squares == pytest.approx(far.new_cell.baseline_squares)
    # The features' units are nothing to it.
    some, scaled = (
        predict(cells, [[k * x + k] for (x,) in features], names=["a"]) for k in (1, 1000)
    )
    assert some.new_cell.squares == pytest.approx(scaled.new_cell.squares)


def test_what_tells_wins_and_what_does_not_loses() -> None:
    generator = np.random.default_rng(2)
    features = generator.normal(size=(8, 4))
    cells = table(2 * features + 0.1 * generator.normal(size=(8, 4)))
    told = predict(cells, features.reshape(-1, 1).tolist(), names=["a"], ridge=0.1)
    assert told.new_target.wins
    assert told.new_target.r_squared > 0.95
    assert (told.new_target.num_targets_won, told.new_target.num_targets) == (8, 8)
    assert told.new_cell.r_squared > 0.95
    assert told.new_target.rmse == pytest.approx(math.sqrt(told.new_target.squares / 32))
    noise = generator.normal(size=(32, 1)).tolist()
    levels = table(np.arange(8.0)[:, None] + 0.1 * generator.normal(size=(8, 4)))
    untold = predict(levels, noise, names=["noise"])
    assert not untold.new_cell.wins
    assert untold.new_cell.r_squared < -1
    assert untold.new_cell.rmse > 5 * untold.new_cell.baseline_rmse


def test_cells_that_nothing_predicts_are_not_counted() -> None:
    cells = table(np.random.default_rng(3).normal(size=(4, 3)))
    alone = [*cells, Cell("t9", "s0", SIZE, 5.0)]
    features = [[float(i % 5)] for i in range(13)]
    found = predict(alone, features, names=["a"])
    # Without its one cell, t9 has no mean; its left-out target still has the grand mean.
    assert (found.new_cell.num_predicted, found.new_cell.num_targets) == (12, 4)
    assert found.new_target.num_predicted == 13
    empty = Comparison(0.0, 0.0, 0, 0, 0)
    assert (empty.rmse, empty.baseline_rmse, empty.r_squared, empty.wins) == (None,) * 3 + (False,)


def test_values_without_logarithm_are_left_out_or_predicted_as_they_are() -> None:
    cells = table(np.random.default_rng(4).normal(size=(4, 3)))
    cells[0] = replace(cells[0], value=-2.0)
    cells[1] = replace(cells[1], censored="at_least")
    features = [[float(i % 5)] for i in range(12)]
    logs = predict(cells, features, names=["a"])
    plain = predict(cells, features, names=["a"], log=False)
    assert (logs.num_cells, logs.num_left_out, logs.unit) == (10, 2, "log")
    assert (plain.num_cells, plain.num_left_out, plain.unit) == (11, 1, "value")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": [[1.0]] * 3}, r"features: expected 12 rows of 1 features, .*got 3 rows of"),
        (
            {"features": [[1.0, 2.0]] * 12},
            r"features: expected 12 rows of 1 .*got 12 rows of \[2\]",
        ),
        ({"features": [[]] * 12, "names": []}, r"expected 12 rows of 0 features, at least one"),
        ({"features": [[math.nan]] * 12}, r"t0 from s0: expected finite features, got a nan"),
        ({"ridge": -1.0}, r"ridge: expected a penalty of 0 or more, got -1.0"),
        ({"ridge": math.inf}, r"ridge: expected a penalty of 0 or more, got inf"),
    ],
)
def test_bad_features_are_refused(change, message) -> None:
    cells = table(np.zeros((4, 3)))
    arguments = {"features": [[1.0]] * 12, "names": ["a"], "ridge": 1.0} | change
    with pytest.raises(InputError, match=message):
        predict(cells, arguments.pop("features"), **arguments)


def test_too_few_or_mixed_cells_are_refused() -> None:
    with pytest.raises(
        InputError,
        match=r"expected at least 10 measured cells of 3 targets for 1 features, got 9 cells of 3",
    ):
        predict(table(np.zeros((3, 3))), [[1.0]] * 9, names=["a"])
    with pytest.raises(InputError, match=r"of 3 targets for 1 features, got 12 cells of 2 targets"):
        predict(table(np.zeros((2, 6))), [[1.0]] * 12, names=["a"])
    with pytest.raises(
        InputError, match=r"expected at least 13 measured .* for 4 features, got 12"
    ):
        predict(table(np.zeros((4, 3))), [[1.0] * 4] * 12, names=list("abcd"))
    cell = table([[1]])[0]
    for function in (variance_shares, commutativity):
        with pytest.raises(InputError, match=r"one data_finetuned_bytes, got 7, 6000000; study"):
            function([cell, replace(cell, data_finetuned_bytes=7)])
        with pytest.raises(InputError, match=r"one num_parameters, got 5, None; study each model"):
            function([cell, replace(cell, num_parameters=5)])
        with pytest.raises(
            InputError, match=r"one cell for each .* got 2 of t0 from s0 at 6000000"
        ):
            function([cell, cell])
