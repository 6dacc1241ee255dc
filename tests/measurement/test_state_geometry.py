"""Pictures of states: the order of a checkerboard, and principal components."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lingraft.errors import InputError
from lingraft.measurement.state_geometry import checkerboard, components


@given(st.integers(2, 6), st.integers(0, 1000))
def test_cells_are_cosines_in_the_order_fact_by_fact(num, seed) -> None:
    a, b = np.random.default_rng(seed).normal(size=(2, num, 4))
    cells = checkerboard(a, b, centring="by language")
    rows = [x for i in range(num) for x in (a[i] - a.mean(axis=0), b[i] - b.mean(axis=0))]
    for i, x in enumerate(rows):
        for j, y in enumerate(rows):
            cosine = x @ y / np.linalg.norm(x) / np.linalg.norm(y)
            assert cells[i, j] == pytest.approx(cosine, abs=1e-9)


def test_separate_languages_make_a_checkerboard_and_unified_facts_blocks() -> None:
    facts = np.eye(3)
    blocks = checkerboard(facts, facts, centring="none")
    assert np.array_equal(blocks, np.kron(np.eye(3), np.ones((2, 2))))
    one = np.array([[1.0, 0.0]] * 3)
    board = checkerboard(one, one[:, ::-1])
    assert board == pytest.approx(np.tile([[1.0, -1.0], [-1.0, 1.0]], (3, 3)))


def test_a_state_without_direction_is_near_nothing() -> None:
    cells = checkerboard([[0.0, 0.0], [1.0, 0.0]], [[0.0, 1.0], [1.0, 1.0]], centring="none")
    assert np.array_equal(cells[0], np.zeros(4))
    assert np.array_equal(cells[:, 0], np.zeros(4))
    assert cells[2, 2] == pytest.approx(1)


@given(st.integers(2, 6), st.integers(2, 5), st.integers(0, 1000))
def test_components_are_those_of_the_covariance(num, width, seed) -> None:
    a, b = np.random.default_rng(seed).normal(size=(2, num, width))
    found = components(a, b)
    both = np.vstack([a, b])
    sizes, axes = np.linalg.eigh(np.cov(both.T))
    points = np.vstack([found.points_a, found.points_b])
    for at in (0, 1):
        axis = axes[:, -1 - at]
        expected = (both - both.mean(axis=0)) @ axis * np.sign(axis[np.abs(axis).argmax()])
        assert points[:, at] == pytest.approx(expected, abs=1e-6)
        assert found.shares[at] == pytest.approx(sizes[-1 - at] / sizes.sum())


def test_one_axis_has_one_component_and_equal_states_have_no_shares() -> None:
    line = components([[0.0], [1.0]], [[2.0], [5.0]])
    assert line.points_a == pytest.approx(np.array([[-2.0, 0.0], [-1.0, 0.0]]))
    assert line.points_b == pytest.approx(np.array([[0.0, 0.0], [3.0, 0.0]]), abs=1e-12)
    assert line.shares == (1.0, 0.0)
    alike = components(np.full((2, 3), 0.1), np.full((2, 3), 0.1))
    assert (alike.shares, alike.reason) == (None, "all states are alike")


@pytest.mark.parametrize("picture", [checkerboard, components])
@pytest.mark.parametrize("shape", [(2, 3, 4), (0, 4)])
def test_several_layers_or_no_facts_are_refused(picture, shape) -> None:
    with pytest.raises(InputError) as error:
        picture(np.ones(shape), np.ones(shape))
    assert error.value.expected == "states of one layer and at least one fact, (facts, dimensions)"
    assert error.value.got == str(shape if len(shape) == 3 else (1, *shape))
    assert error.value.where == "states_a"


def test_an_unknown_centring_is_refused() -> None:
    with pytest.raises(InputError) as error:
        checkerboard(np.ones((2, 2)), np.ones((2, 2)), centring="apart")
    assert (error.value.got, error.value.where) == ("'apart'", "centring")
