"""Averages of rows: the arithmetic, the account of it, and what is left alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from lingraft.embeddings import EmbeddingMatrix, Origin, average_rows, random_rows, row_cosines
from lingraft.embeddings.matrix import mix
from lingraft.errors import InputError

SOURCE_ROWS = np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)


def matrix(*origins: Origin) -> EmbeddingMatrix:
    return EmbeddingMatrix.from_origins(mix(SOURCE_ROWS, origins), origins, method="made")


@st.composite
def origins(draw: st.DrawFn) -> Origin:
    ids = draw(st.lists(st.integers(0, 5), min_size=1, max_size=4, unique=True))
    counts = np.array(draw(st.lists(st.integers(1, 9), min_size=len(ids), max_size=len(ids))))
    weights = tuple((counts / counts.sum()).tolist())
    rule = draw(st.sampled_from(["table", "relatives"]))
    return Origin(rule, tuple(ids), weights, support=2.0, depth=int(rule == "relatives"))


@given(st.lists(st.tuples(origins(), origins()), min_size=1, max_size=5))
def test_the_account_reproduces_the_rows(pairs: list[tuple[Origin, Origin]]) -> None:
    one, other = (matrix(*side) for side in zip(*pairs, strict=True))
    averaged = average_rows([one, other])
    for token, (a, b) in enumerate(pairs):
        origin = averaged.origin(token)
        rebuilt = np.asarray(origin.weights) @ SOURCE_ROWS[list(origin.source)]
        assert_allclose(averaged.rows[token], rebuilt, atol=1e-5)
        chosen = [one, other] if a.depth == b.depth else [one if a.depth < b.depth else other]
        expected = np.mean([m.rows[token].astype(float) for m in chosen], axis=0)
        assert_allclose(averaged.rows[token], expected, atol=1e-6)
        assert origin.depth == min(a.depth, b.depth)
        assert origin.support == 2.0 * len(chosen)
        assert origin.rule == (a.rule if len(chosen) == 2 else chosen[0].origin(token).rule)


def test_copies_stay_to_the_bit_and_rules_that_differ_are_called_averaged() -> None:
    copied = Origin("copied", (2,), (1.0,))
    one = matrix(copied, Origin("table", (1,), (1.0,)), Origin("mean", depth=3))
    other = matrix(copied, Origin("copied", (4,), (1.0,)), Origin("mean", depth=3))
    averaged = average_rows([one, other])
    assert_array_equal(averaged.rows[0], SOURCE_ROWS[2])
    assert [averaged.origin(token).rule for token in range(3)] == ["copied", "averaged", "mean"]
    assert averaged.origin(1).source == (1, 4)
    assert_array_equal(averaged.rows[2], one.rows[2])
    assert averaged.method == "averaged"


def test_rows_of_nothing_and_of_other_shapes_are_refused() -> None:
    one = matrix(Origin("table", (1,), (1.0,)))
    drawn = random_rows(SOURCE_ROWS, target=range(1), seed=0)
    with pytest.raises(InputError, match="row 0: expected rows made of source rows") as caught:
        average_rows([one, drawn])
    assert caught.value.got == "rule random and table"
    with pytest.raises(InputError) as caught:
        average_rows([one, matrix(*[Origin("mean")] * 2)])
    assert caught.value.got == "(1, 4), (2, 4)"
    with pytest.raises(InputError, match="one or more matrices of one shape, got none"):
        average_rows([])


def test_cosines_by_hand() -> None:
    rows = np.array([[1, 0], [1, 1], [0, 0]], dtype=np.float32)
    others = np.array([[2, 0], [-1, 1], [1, 0]], dtype=np.float32)
    a, b = (
        EmbeddingMatrix.from_origins(values, [Origin("mean")] * 3, method="made")
        for values in (rows, others)
    )
    assert_allclose(row_cosines(a, b), [1, 0, 0])
