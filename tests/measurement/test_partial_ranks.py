"""Partial rank correlations: closed forms, calibration with clusters, and what is undefined."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata, spearmanr

from lingraft.errors import InputError
from lingraft.measurement import partial_ranks
from lingraft.measurement.partial_ranks import partial_spearman, spearman


@pytest.fixture(autouse=True, scope="module")
def few_draws():
    """Enough for the claims that are made of them here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(partial_ranks, "NUM_RESAMPLES", 20)
        patch.setattr(partial_ranks, "NUM_PERMUTATIONS", 499)
        yield


@st.composite
def triples(draw):
    num = draw(st.integers(5, 9))
    return [
        draw(
            st.lists(st.integers(0, 6), min_size=num, max_size=num).filter(
                lambda v: len(set(v)) > 1
            )
        )
        for _ in range(3)
    ]


@settings(max_examples=30)
@given(triples())
def test_rho_is_the_closed_form_of_three_correlations(lists) -> None:
    x, y, z = lists
    xy, xz, yz = (spearmanr(a, b).statistic for a, b in ((x, y), (x, z), (y, z)))
    plain = spearman(x, y, seed=0)
    assert plain.rho == pytest.approx(xy, abs=1e-9)
    found = partial_spearman(x, y, [z], seed=0)
    left = (1 - xz**2) * (1 - yz**2)
    if left < 1e-9:
        assert found.rho is None
        assert found.reason.startswith("the covariates explain ")
        return
    assert found.rho == pytest.approx((xy - xz * yz) / np.sqrt(left), abs=1e-7)
    assert (found.num_cells, found.num_clusters, found.num_covariates) == (len(x), len(x), 1)
    # A covariate given twice holds no more than once.
    if len(x) > 5:
        twice = partial_spearman(x, y, [z, z], seed=0)
        assert twice.rho == pytest.approx(found.rho, abs=1e-7)


@settings(max_examples=15)
@given(triples(), st.integers(0, 9))
def test_only_ranks_matter_and_x_and_y_are_alike(lists, seed) -> None:
    x, y, z = (np.array(values, dtype=float) for values in lists)
    found = partial_spearman(x, y, [z], seed=seed)
    moved = partial_spearman(np.exp(x), y**3, [5 * z - 2], seed=seed)
    assert moved == found
    if found.rho is not None:
        assert partial_spearman(y, x, [z], seed=seed).rho == pytest.approx(found.rho)
        assert partial_spearman(x, -y, [z], seed=seed).rho == pytest.approx(-found.rho)


def test_what_two_quantities_owe_to_a_third_is_no_correlation() -> None:
    generator = np.random.default_rng(0)
    z = generator.normal(size=150)
    x, y = z + 0.3 * generator.normal(size=(2, 150))
    plain, held = spearman(x, y, seed=1), partial_spearman(x, y, [z], seed=1)
    assert plain.rho > 0.8
    assert plain.p == 1 / 500
    assert plain.interval[0] > 0.75
    assert abs(held.rho) < 0.2
    assert held.p > 0.05
    assert held.interval[0] < 0 < held.interval[1]


@given(st.integers(0, 500))
@settings(max_examples=15)
def test_without_covariates_p_is_that_of_all_orders(seed) -> None:
    x, y = np.random.default_rng(seed).permuted(np.tile(np.arange(6), (2, 1)), axis=1)
    found = spearman(x, y, seed=seed)
    observed = abs(np.corrcoef(x, y)[0, 1])
    exact = np.mean(
        [abs(np.corrcoef(x, order)[0, 1]) >= observed - 1e-9 for order in itertools.permutations(y)]
    )
    assert found.num_permutations == 499
    assert found.p == pytest.approx(exact, abs=0.09)


def test_p_is_uniform_when_only_the_covariate_counts() -> None:
    generator = np.random.default_rng(2)
    ps = []
    for seed in range(100):
        z = generator.normal(size=20)
        x, y = 2 * z + generator.normal(size=(2, 20))
        ps.append(partial_spearman(x, y, [z], seed=seed).p)
    assert 0.01 <= np.mean(np.array(ps) <= 0.05) <= 0.1
    assert 0.43 <= np.mean(ps) <= 0.57


def test_seeds_of_one_cell_are_no_evidence_of_their_own(monkeypatch) -> None:
    generator = np.random.default_rng(3)
    names = [f"cell {i}" for i in range(8) for _ in range(4)]
    alone, together = [], []
    for seed in range(80):
        x = np.repeat(generator.normal(size=8), 4)
        y = np.repeat(generator.normal(size=8), 4) + 0.1 * generator.normal(size=32)
        alone.append(spearman(x, y, seed=seed).p)
        together.append(spearman(x, y, clusters=names, seed=seed).p)
    assert np.mean(np.array(alone) <= 0.05) > 0.15
    assert 0.01 <= np.mean(np.array(together) <= 0.05) <= 0.11
    monkeypatch.setattr(partial_ranks, "NUM_RESAMPLES", 400)
    found = spearman(x, y, clusters=names, seed=0)
    assert (found.num_cells, found.num_clusters) == (32, 8)
    assert found.rho == spearman(x, y, seed=0).rho
    low, high = spearman(x, y, seed=0).interval
    assert found.interval[1] - found.interval[0] > 1.5 * (high - low)


def test_intervals_are_percentiles_over_whole_clusters() -> None:
    generator = np.random.default_rng(4)
    x, y, z = generator.normal(size=(3, 12))
    names = list("aabbbccdddee")
    found = partial_spearman(x, y, [z], clusters=names, seed=9)
    members = [[i for i, n in enumerate(names) if n == name] for name in "abcde"]
    draws = np.random.default_rng(partial_ranks.derive(9, "bootstrap"))
    values = []
    for _ in range(20):
        at = [i for c in draws.integers(5, size=5) for i in members[c]]
        (xr, yr, zr) = (rankdata(v[at]) for v in (x, y, z))
        design = np.stack([np.ones(len(at)), zr], axis=1)
        left = [r - design @ np.linalg.lstsq(design, r)[0] for r in (xr, yr)]
        if min(np.linalg.norm(r) for r in left) > 1e-6:
            values.append(np.corrcoef(*left)[0, 1])
    assert len(values) >= 18
    assert found.interval == pytest.approx(tuple(np.quantile(values, [0.025, 0.975])))


def test_clusters_are_exchanged_with_clusters_of_their_size_only() -> None:
    # One cluster of each size: nothing can be exchanged, whatever the numbers are.
    x = [1.0, 2, 3, 4, 5, 6]
    found = spearman(x, x, clusters=list("abbccc"), seed=0)
    assert (found.rho, found.p, found.num_permutations) == (1, None, 0)
    assert found.reason == "no two clusters of one size to exchange"
    # Two of one size: of two orders both or one are as extreme.
    two = spearman(x, x, clusters=list("aabbcd"), seed=0)
    assert two.p == pytest.approx(1 / 4, abs=0.05)
    assert spearman(x, x, clusters=["a"] * 6, seed=0).interval is None


@pytest.mark.parametrize(
    ("x", "y", "covariates", "reason"),
    [
        ([1, 1, 1, 1, 1], [1, 2, 3, 4, 5], [], "x is constant"),
        ([1, 2, 3, 4, 5], [1, 1, 1, 1, 1], [], "y is constant"),
        ([1, 2], [1, 2], [], "2 cells, at least 3 are needed"),
        ([1, 2, 3], [1, 3, 2], [[1, 2, 2]], "3 cells, at least 4 are needed"),
        ([1, 2, 3, 4, 5], [1, 3, 2, 5, 4], [[2, 4, 6, 8, 10]], "the covariates explain x wholly"),
        ([1, 3, 2, 5, 4], [1, 2, 3, 4, 5], [[2, 4, 6, 8, 10]], "the covariates explain y wholly"),
    ],
)
def test_undefined_correlations_say_why(x, y, covariates, reason) -> None:
    found = partial_spearman(x, y, covariates, seed=0)
    assert (found.rho, found.p, found.interval) == (None, None, None)
    assert found.reason == reason


def test_what_there_is_too_little_of_is_named() -> None:
    found = partial_spearman([1, 2], [1, 2], [[1, 2]], counted="facts", seed=0)
    assert found.reason == "2 facts, at least 4 are needed"


def test_nearly_all_ties_have_no_interval() -> None:
    found = spearman([1, 2, 3, 4, 5, 6], [1, 1, 1, 1, 1, 0], seed=0)
    assert found.rho is not None
    assert found.interval is None


@pytest.mark.parametrize(
    ("x", "y", "covariates", "clusters", "where", "got"),
    [
        ([1, 2, 3], [1, 2], [], None, "y", "(2,)"),
        ([1, 2, 3], [1, 2, 3], [[1, 2]], None, "covariates, 0", "(2,)"),
        ([1, 2, np.nan], [1, 2, 3], [], None, "x", "nan"),
        ([1, 2, 3], [1, 2, 3], [], ["a"], "clusters", "1"),
    ],
)
def test_lists_that_do_not_fit_are_refused(x, y, covariates, clusters, where, got) -> None:
    with pytest.raises(InputError) as error:
        partial_spearman(x, y, covariates, clusters=clusters, seed=0)
    assert (error.value.where, error.value.got) == (where, got)


@pytest.mark.parametrize(("num_cells", "has_interval"), [(3, False), (4, False), (5, True)])
def test_a_perfect_order_of_few_cells_has_no_interval(num_cells, has_interval) -> None:
    found = spearman(range(num_cells), range(num_cells), seed=0)
    assert found.rho == pytest.approx(1)
    assert (found.interval is not None) == has_interval
    assert found.reason == ("" if has_interval else f"{num_cells} cells, an interval needs 5")
