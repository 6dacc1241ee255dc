"""The scaling law: recovered from cells that obey it, with intervals that cover."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lingraft.errors import InputError
from lingraft.measurement.scaling_law import fit_scaling_law
from lingraft.measurement.transfer_cells import Cell

SIZES = (30_000, 100_000, 300_000, 1_000_000)
MODELS = (1_000_000, 4_000_000, 16_000_000)
# Hernandez et al. 2021, English text to Python.
K, ALPHA, BETA = 1.9e4, 0.18, 0.38


def law(*, targets=1, models=MODELS, noise=0.0, shared=0.0, seed=0, alpha=ALPHA) -> list[Cell]:
    """Cells that obey the law, with noise of each cell and of each target, in logarithms."""
    generator = np.random.default_rng(seed)
    cells = []
    for t in range(targets):
        tilt = shared * generator.normal()
        for model in models:
            for size in SIZES:
                error = noise * generator.normal() + tilt * math.log(size / SIZES[0])
                scale = 1.0 if model is None else model**BETA
                value = K * size**alpha * scale * math.exp(error)
                cells.append(Cell(f"t{t}", "s", size, value, num_parameters=model))
    return cells


@given(st.floats(-1, 1), st.integers(2, 4))
def test_the_law_is_found_again(alpha, num_sizes) -> None:
    cells = [c for c in law(alpha=alpha) if c.data_finetuned_bytes in SIZES[:num_sizes]]
    found = fit_scaling_law(cells, seed=0)
    assert found.k == pytest.approx(K, rel=1e-6)
    assert (found.alpha, found.beta) == pytest.approx((alpha, BETA), abs=1e-9)
    assert found.residual == pytest.approx(0, abs=1e-9)
    assert (found.num_used, found.num_left_out, found.num_censored) == (len(cells), 0, 0)
    assert (found.reason, found.beta_reason) == ("", "")
    assert found.alpha_interval == pytest.approx((alpha, alpha), abs=1e-9)
    assert found.predict(5e4, num_parameters=10**6) == pytest.approx(
        K * 5e4**alpha * 1e6**BETA, rel=1e-6
    )


def test_it_is_the_least_squares_fit() -> None:
    cells = law(noise=0.3, seed=1)
    found = fit_scaling_law(cells, seed=0)
    design = np.array(
        [[1, math.log(c.data_finetuned_bytes), math.log(c.num_parameters)] for c in cells]
    )
    logs = np.log([c.value for c in cells])
    expected, squares, *_ = np.linalg.lstsq(design, logs, rcond=None)
    assert (math.log(found.k), found.alpha, found.beta) == pytest.approx(tuple(expected))
    assert found.residual == pytest.approx(math.sqrt(squares[0] / (len(cells) - 3)))


def test_intervals_cover_what_is_true() -> None:
    inside = []
    for seed in range(100):
        cells = law(targets=4, noise=0.2, seed=seed)
        found = fit_scaling_law(cells, seed=seed)
        ends = (found.k_interval, found.alpha_interval, found.beta_interval)
        inside.append(
            [low <= x <= high for (low, high), x in zip(ends, (K, ALPHA, BETA), strict=True)]
        )
    assert np.all(np.mean(inside, axis=0) >= 0.88)
    assert np.all(np.mean(inside, axis=0) <= 0.99)


def test_cells_that_share_a_target_are_resampled_as_one() -> None:
    apart, together = [], []
    for seed in range(50):
        cells = law(targets=10, noise=0.02, shared=0.1, seed=seed)
        cells.sort(key=lambda cell: cell.data_finetuned_bytes)
        for found, groups in ((apart, None), (together, [c.target for c in cells])):
            result = fit_scaling_law(cells, groups=groups, seed=seed)
            assert result.num_groups == (len(cells) if groups is None else 10)
            low, high = result.alpha_interval
            found.append(low <= ALPHA <= high)
    assert np.mean(together) > 0.8 > np.mean(apart)


def test_one_model_leaves_beta_open() -> None:
    for models, reason in (
        ((None,), "no cell names its number of parameters"),
        ((MODELS[0],), "all cells are of one model size"),
    ):
        found = fit_scaling_law(law(targets=3, models=models), seed=0)
        assert (found.beta, found.beta_interval, found.beta_reason) == (None, None, reason)
        scale = 1 if models[0] is None else models[0] ** BETA
        assert found.k == pytest.approx(K * scale, rel=1e-6)
        assert found.alpha == pytest.approx(ALPHA)
        assert found.alpha_interval is not None
        assert found.predict(1e6) == pytest.approx(K * scale * 1e6**ALPHA, rel=1e-6)


def test_what_has_no_logarithm_is_left_out_and_counted() -> None:
    cells = law(targets=2)
    bad = [
        Cell("x", "a", SIZES[0], -5.0, num_parameters=MODELS[0]),
        Cell("x", "b", 0, 5.0, num_parameters=MODELS[0]),
        Cell("x", "c", SIZES[0], 5.0),
        Cell("x", "d", SIZES[0], 5.0, num_parameters=MODELS[0], censored="at_least"),
    ]
    found, pure = fit_scaling_law(cells + bad, seed=0), fit_scaling_law(cells, seed=0)
    assert (found.num_used, found.num_left_out, found.num_censored) == (24, 3, 1)
    assert (found.k, found.alpha, found.beta) == (pure.k, pure.alpha, pure.beta)


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ([], "0 cells with positive D_T and D_F, at least 2 are needed"),
        (law()[:1], "1 cells with positive D_T and D_F, at least 2 are needed"),
        (law()[::4], "all cells are of one fine-tuning size"),
        (
            [replace(c, num_parameters=7 * c.data_finetuned_bytes) for c in law(models=(None,))],
            "fine-tuning and model sizes grow in step, so alpha and beta cannot be told apart",
        ),
        (
            [law()[0], law()[5]],
            "2 cells with positive D_T and D_F, at least 3 are needed",
        ),
    ],
)
def test_undetermined_laws_have_a_reason(cells, reason) -> None:
    found = fit_scaling_law(cells, seed=0)
    assert (found.k, found.alpha, found.beta, found.k_interval) == (None,) * 4
    assert (found.reason, found.num_used) == (reason, len(cells))
    with pytest.raises(InputError, match=rf"expected a law that was fitted, got {reason}"):
        found.predict(1e6)


def test_few_cells_give_no_interval() -> None:
    one = fit_scaling_law(law(noise=0.1), groups=["t"] * 12, seed=0)
    assert (one.num_groups, one.k_interval, one.alpha_interval) == (1, None, None)
    assert one.alpha is not None
    exact = fit_scaling_law(law(models=(None,))[:2], seed=0)
    assert (exact.residual, exact.alpha_interval) == (None, None)
    assert exact.alpha == pytest.approx(ALPHA)


def test_the_seed_draws_the_intervals_only() -> None:
    cells = law(targets=2, noise=0.2)
    first, again, other = (fit_scaling_law(cells, seed=s) for s in (0, 0, 1))
    assert first == again
    assert first.alpha_interval != other.alpha_interval
    assert (first.k, first.alpha) == (other.k, other.alpha)


def test_bad_input_is_refused() -> None:
    cells = law()
    with pytest.raises(InputError, match=r"groups: expected one group for each of 12 cells, got 1"):
        fit_scaling_law(cells, groups=["a"], seed=0)
    with pytest.raises(InputError, match=r"expected one cell for each .* got 2 of t0 from s at 30"):
        fit_scaling_law([*cells, cells[0]], seed=0)
    found = fit_scaling_law(cells, seed=0)
    with pytest.raises(InputError, match=r"data_finetuned_bytes: expected bytes above 0, got 0"):
        found.predict(0, num_parameters=1)
    for number in (None, 0):
        with pytest.raises(InputError, match=rf"num_parameters: expected a .* got {number}"):
            found.predict(1e6, num_parameters=number)
