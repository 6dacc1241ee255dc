"""Associations: exact p-values, calibration with target effects, and what pooling does."""

import itertools
from dataclasses import replace
from math import factorial, prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata, spearmanr

from lingraft.errors import InputError
from lingraft.measurement.associations import MIN_CELLS, POOLED_WARNING, associations
from lingraft.measurement.transfer_cells import Cell

SIZE = 6_000_000


def table(values, *, size: int = SIZE) -> list[Cell]:
    """Cells of a (num_targets, num_sources) table."""
    return [
        Cell(f"t{t}", f"s{s}", size, float(value))
        for t, row in enumerate(values)
        for s, value in enumerate(row)
    ]


def one_size(cells, covariates, *, seed=0):
    (found,) = associations(cells, covariates, seed=seed).by_size
    return found


numbers = st.integers(0, 4)


@given(
    st.lists(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=3), min_size=1, max_size=3)
)
def test_rho_and_p_are_those_of_all_orders(rows) -> None:
    cells = table([[value for value, _ in row] for row in rows])
    covariates = [float(x) for row in rows for _, x in row]
    found = one_size(cells, covariates)
    used = [row for row in rows if len(row) > 1]
    ends = np.cumsum([0, *map(len, used)])
    groups = list(itertools.pairwise(ends))
    values = rankdata([v for row in used for v, _ in row])
    ranks = rankdata([x for row in used for _, x in row])

    def statistic(order) -> float:
        moved = np.asarray(ranks)[list(order)]
        return sum(
            float(np.sum((values[a:b] - values[a:b].mean()) * (moved[a:b] - moved[a:b].mean())))
            for a, b in groups
        )

    orders = [
        [i for part in parts for i in part]
        for parts in itertools.product(*(itertools.permutations(range(a, b)) for a, b in groups))
    ]
    sums = np.array([statistic(order) for order in orders])
    assert (found.num_cells, found.num_targets) == (ends[-1], len(used))
    assert found.num_left_out == sum(len(row) == 1 for row in rows)
    if found.reason:
        assert (found.rho, found.p, found.num_permutations) == (None, None, 0)
        assert ends[-1] < MIN_CELLS or np.all(np.abs(sums) < 1e-9)
        return
    observed = statistic(range(ends[-1]))
    assert found.is_exact
    assert found.num_permutations == prod(factorial(len(row)) for row in used)
    assert found.p == pytest.approx(np.mean(np.abs(sums) >= abs(observed) - 1e-6))
    spread = [sum(float(np.var(x[a:b]) * (b - a)) for a, b in groups) for x in (values, ranks)]
    assert found.rho == pytest.approx(observed / np.sqrt(spread[0] * spread[1]))


def test_targets_levels_do_not_matter() -> None:
    generator = np.random.default_rng(0)
    inner = generator.permuted(np.arange(4), axis=0)
    covariates = np.tile(inner, (5, 1))
    apart = covariates + 100 * np.arange(5)[:, None]
    found = one_size(table(apart), list(map(float, covariates.ravel())))
    assert found.rho == pytest.approx(1)
    assert found.plain_rho < 0.5
    assert found.plain_rho == pytest.approx(spearmanr(apart.ravel(), covariates.ravel()).statistic)
    # Targets alone, without any order among their sources, are no association.
    level = np.repeat(np.arange(5.0), 4) + np.tile([0, 1e-3, 2e-3, 3e-3], 5)
    none = one_size(table(apart), list(level - 2 * np.tile([0, 1e-3, 2e-3, 3e-3], 5)))
    assert none.plain_rho > 0.9


def test_many_orders_are_drawn_by_the_seed() -> None:
    generator = np.random.default_rng(1)
    values, covariates = generator.normal(size=(2, 9, 3))
    cells, flat = table(values), list(map(float, covariates.ravel()))
    first, again, other = (one_size(cells, flat, seed=s) for s in (0, 0, 1))
    assert first == again
    assert first.p != other.p
    assert first.p == pytest.approx(other.p, abs=0.03)
    assert not first.is_exact
    assert first.num_permutations == 9_999
    strongest = one_size(cells, list(map(float, values.ravel())))
    assert strongest.p == 1 / 10_000


def test_p_values_are_uniform_under_target_effects() -> None:
    generator = np.random.default_rng(2)
    ps = []
    for _ in range(300):
        effects, moods = generator.normal(size=(2, 6, 1)) * 5
        values = effects + generator.normal(size=(6, 3))
        covariates = moods + 3 * effects + generator.normal(size=(6, 3))
        # 6 targets of 3 sources, two of them unmeasured: 2 592 orders, all enumerated.
        cells = table(values)[:-2]
        ps.append(one_size(cells, list(map(float, covariates.ravel()[:-2]))).p)
    assert 0.02 <= np.mean(np.array(ps) <= 0.05) <= 0.09
    # Few orders make p-values coarse, and so a little too large.
    assert 0.45 <= np.mean(ps) <= 0.58
    assert 0.4 <= np.mean(np.array(ps) <= 0.5) <= 0.55


def test_pooling_finds_what_is_not_there() -> None:
    generator = np.random.default_rng(3)
    pooled, within = [], []
    for seed in range(40):
        cells, covariates = [], []
        for step in range(5):
            cells += table(generator.normal(size=(4, 3)) + step, size=10**step)
            covariates += list(map(float, (generator.normal(size=(4, 3)) + step).ravel()))
        found = associations(cells, covariates, seed=seed)
        assert [x.data_finetuned_bytes for x in found.by_size] == [10**s for s in range(5)]
        pooled.append(found.pooled.p)
        within += [x.p for x in found.by_size]
    assert np.mean(np.array(pooled) <= 0.05) > 0.9
    assert np.mean(np.array(within) <= 0.05) < 0.1


def test_the_pooled_number_is_scipys_and_warns() -> None:
    cells = table([[1, 2, 4], [3, 5, 6]])
    covariates = [6.0, 5.0, 3.0, 4.0, 1.0, 2.0]
    pooled = associations(cells, covariates, seed=0).pooled
    values = [cell.value for cell in cells]
    assert pooled.rho == pytest.approx(spearmanr(covariates, values).statistic)
    assert pooled.p == pytest.approx(spearmanr(covariates, values).pvalue)
    # The paper's alternative looks for nothing but a positive correlation.
    assert pooled.p_greater == pytest.approx(1 - pooled.p / 2)
    assert (pooled.num_cells, pooled.warning) == (6, POOLED_WARNING)
    assert "no evidence" in pooled.warning


def test_undefined_tests_have_a_reason() -> None:
    few = associations(table([[1, 2, 3]]), [1.0, 2.0, 3.0], seed=0)
    assert few.by_size[0].reason == "3 cells in targets of two or more, at least 4 are needed"
    assert few.pooled.reason == "3 cells, at least 4 are needed"
    assert (few.pooled.rho, few.pooled.p, few.pooled.p_greater) == (None, None, None)
    tied = associations(table([[1, 1], [2, 2]]), [1.0, 2.0, 3.0, 4.0], seed=0)
    assert tied.by_size[0].reason == "values or covariates are all tied within targets"
    assert tied.by_size[0].rho is None
    assert tied.by_size[0].plain_rho is not None
    flat = associations(table([[1, 1], [1, 1]]), [1.0, 2.0, 3.0, 4.0], seed=0)
    assert flat.by_size[0].plain_rho is None
    assert flat.pooled.reason == "values or covariates are all tied"


def test_bounded_and_unknown_cells_are_left_out_and_counted() -> None:
    cells = table([[1, 2, 4], [3, 5, 6], [9, 8, 7]])
    covariates = [1.0, 2.0, 3.0, 1.0, 3.0, 2.0, 1.0, None, float("nan")]
    cells[0] = replace(cells[0], censored="at_least")
    found = one_size(cells, covariates)
    # Two of the last target's three are unknown, so that it tells nothing.
    assert (found.num_cells, found.num_targets, found.num_left_out) == (5, 2, 4)
    assert found == replace(one_size(cells[1:6], covariates[1:6]), num_left_out=4)


def test_bad_tables_are_refused() -> None:
    cells = table([[1, 2], [3, 4]])
    with pytest.raises(InputError, match=r"expected one covariate for each of 4 cells, got 3"):
        associations(cells, [1.0] * 3, seed=0)
    with pytest.raises(
        InputError,
        match=r"cells: expected one cell for each target, source, size and model, got 2 of t0 from "
        r"s0 at 6000000 bytes; average over seeds first",
    ):
        associations([*cells, cells[0]], [1.0] * 5, seed=0)
    mixed = [*cells, replace(cells[0], num_parameters=7)]
    with pytest.raises(
        InputError, match=r"expected cells of one num_parameters, got 7, None; test"
    ):
        associations(mixed, [1.0] * 5, seed=0)
