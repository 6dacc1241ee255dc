"""Orthogonal matching pursuit: a slow loop with least squares, sums that are known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from transfer_cases import random_rows_of, words

from lingraft.embeddings import Origin, omp_rows
from lingraft.embeddings.omp import pursue
from lingraft.errors import InputError

seeds = st.integers(0, 2**32 - 1)


def slow_pursuit(
    vector: np.ndarray, anchors: np.ndarray, num_anchors: int
) -> tuple[list[int], np.ndarray]:
    """The definition: the best cosine with what is left, then least squares over all chosen."""
    chosen: list[int] = []
    weights, left = np.zeros(0), vector
    while len(chosen) < num_anchors and np.linalg.norm(left) > 1e-8 * np.linalg.norm(vector):
        cosines = np.abs(anchors @ left) / np.linalg.norm(anchors, axis=1)
        cosines[chosen] = -1
        chosen.append(int(cosines.argmax()))
        weights = np.linalg.lstsq(anchors[chosen].T, vector, rcond=None)[0]
        left = vector - weights @ anchors[chosen]
    return chosen, weights


@given(seeds, st.integers(2, 8), st.integers(1, 9), st.integers(1, 9))
def test_sums_equal_the_slow_ones(seed: int, width: int, num_known: int, num_anchors: int) -> None:
    draw = np.random.default_rng(seed)
    anchors = draw.normal(size=(num_known, width)) * draw.exponential(size=(num_known, 1))
    vectors = draw.normal(size=(5, width))
    found = pursue(vectors, anchors, num_anchors=num_anchors)
    assert len(found) == 5
    for vector, (chosen, weights) in zip(vectors, found, strict=True):
        expected, slow_weights = slow_pursuit(vector, anchors, min(num_anchors, num_known, width))
        assert chosen.tolist() == expected
        assert_allclose(weights, slow_weights, rtol=1e-5, atol=1e-6 * np.abs(slow_weights).max())


@given(seeds)
def test_a_sum_of_few_orthogonal_anchors_is_found_exactly(seed: int) -> None:
    draw = np.random.default_rng(seed)
    anchors = np.linalg.qr(draw.normal(size=(9, 9)))[0] * draw.uniform(0.5, 2, size=(9, 1))
    planted = np.zeros(9)
    planted[draw.permutation(9)[:3]] = draw.choice([-1, 1], 3) * draw.uniform(0.5, 2, 3)
    [(chosen, weights)] = pursue((planted @ anchors)[None], anchors, num_anchors=9)
    assert sorted(chosen.tolist()) == np.flatnonzero(planted).tolist()
    assert_allclose(weights, planted[chosen], atol=1e-9)


def test_what_is_rebuilt_asks_for_no_more_beside_others_that_do() -> None:
    anchors = np.array([[2.0, 0, 0], [0, 1, 0], [0, 0, 1]])
    vectors = np.array([[1.0, 0, 0], [3, 2, 1], [0, 0, 0]])
    found = pursue(vectors, anchors, num_anchors=3)
    assert [chosen.tolist() for chosen, _ in found] == [[0], [0, 1, 2], []]
    assert_allclose(found[0][1], [0.5])
    assert_allclose(found[1][1], [1.5, 2, 1])


def test_anchors_in_a_line_are_taken_once() -> None:
    anchors = np.array([[1.0, 0, 0], [2.0, 0, 0], [-1.0, 0, 0], [0, 1, 0]])
    [(chosen, weights)] = pursue(np.array([[3.0, 1, 1]]), anchors, num_anchors=4)
    assert chosen.tolist() == [0, 3]
    assert_allclose(weights, [3, 1])


def test_sums_of_the_donor_are_carried_over() -> None:
    source, target = words("a", "b", "c"), words("c", "a", "ж", "b", "silent")
    donor = np.array([[0, 0, 1], [1, 0, 0], [2, 0, -3], [0, 1, 0], [0, 0, 0]], dtype=np.float32)
    rows = random_rows_of(source)
    matrix = omp_rows(rows, donor_vectors=donor, source=source, target=target)
    assert matrix.origin(2) == Origin("combined", (2, 0), (-3.0, 2.0))
    assert_allclose(matrix.rows[2], 2 * rows[0] - 3 * rows[2], rtol=1e-5)
    assert_array_equal(matrix.rows[[0, 1, 3]], rows[[2, 0, 1]])
    assert matrix.origin(4) == Origin("mean", depth=3)
    assert matrix.entropy_nats[2] == pytest.approx(-(0.6 * np.log(0.6) + 0.4 * np.log(0.4)))
    one = omp_rows(rows, donor_vectors=donor, source=source, target=target, num_anchors=1)
    assert one.origin(2) == Origin("combined", (2,), (-3.0,))


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = words("a", "b", "c"), words("a", "b", "c", *map(str, range(20, 40)))
    donor = np.random.default_rng(2).normal(size=(len(target), 4)).astype(np.float32)
    rows = random_rows_of(source)
    whole = omp_rows(rows, donor_vectors=donor, source=source, target=target)
    monkeypatch.setattr("lingraft.embeddings.omp._TOKENS_AT_ONCE", 3)
    cut = omp_rows(rows, donor_vectors=donor, source=source, target=target)
    assert whole.coverage() == {"combined": 20, "copied": 3}
    assert_allclose(cut.rows, whole.rows, rtol=1e-5)


def test_without_shared_tokens_there_are_pieces() -> None:
    source, target = words("a"), words("ж", "aa")
    donor = np.ones((2, 3), dtype=np.float32)
    matrix = omp_rows(random_rows_of(source), donor_vectors=donor, source=source, target=target)
    assert matrix.coverage() == {"mean": 1, "pieces": 1}


def test_what_cannot_work_is_refused() -> None:
    two = words("a", "b")
    rows = random_rows_of(two)
    with pytest.raises(InputError, match="one vector for each of the 2 ids") as caught:
        omp_rows(rows, donor_vectors=np.ones((3, 2), np.float32), source=two, target=two)
    assert caught.value.got == "shape (3, 2)"
    with pytest.raises(InputError, match="num_anchors: expected at least 1 anchor") as caught:
        omp_rows(
            rows, donor_vectors=np.ones((2, 2), np.float32), source=two, target=two, num_anchors=0
        )
    assert caught.value.got == "0"
