"""FOCUS: sparsemax against its definition, mixes against a slow loop."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from transfer_cases import random_rows_of, words

from lingraft.embeddings import Origin, focus_rows
from lingraft.embeddings.focus import sparsemax
from lingraft.errors import InputError

rows_of_scores = st.integers(1, 7).flatmap(
    lambda width: st.lists(
        st.lists(st.floats(-4, 4), min_size=width, max_size=width), min_size=1, max_size=4
    )
)


def slow_projection(scores: np.ndarray) -> np.ndarray:
    """The nearest point of the simplex, by trying every set of columns that may be above zero."""
    best, nearest = np.inf, scores
    for chosen in range(1, 1 << len(scores)):
        inside = np.array([bool(chosen >> column & 1) for column in range(len(scores))])
        point = np.where(inside, scores - (scores[inside].sum() - 1) / inside.sum(), 0.0)
        distance = float(((point - scores) ** 2).sum())
        if (point >= 0).all() and distance < best:
            best, nearest = distance, point
    return nearest


@given(rows_of_scores)
def test_sparsemax_is_the_nearest_point_of_the_simplex(scores: list[list[float]]) -> None:
    found = sparsemax(np.array(scores))
    for row, shares in zip(np.array(scores), found, strict=True):
        assert_allclose(shares, slow_projection(row), atol=1e-9)
    assert_allclose(found.sum(axis=1), 1.0)
    assert (found >= 0).all()


@given(rows_of_scores, st.floats(-3, 3))
def test_sparsemax_knows_differences_alone(scores: list[list[float]], shift: float) -> None:
    assert_allclose(sparsemax(np.array(scores) + shift), sparsemax(np.array(scores)), atol=1e-9)


@given(st.integers(0, 2**32 - 1))
def test_mixes_equal_slow_ones(seed: int) -> None:
    draw = np.random.default_rng(seed)
    shared = [f"s{number}" for number in range(6)]
    source = words(*shared, "only here")
    target = words(*draw.permutation([*shared, "ж", "з", "и", "silent"]).tolist())
    names = target.vocabulary.pieces
    vectors = draw.normal(size=(len(target), 3)).astype(np.float32)
    for silent in ("silent", "s2"):
        vectors[names.index(silent.encode())] = 0.0
    matrix = focus_rows(
        random_rows_of(source), target_vectors=vectors, source=source, target=target
    )
    anchors = [f"s{number}" for number in (0, 1, 3, 4, 5)]
    for token, name in enumerate(piece.decode() for piece in names):
        origin = matrix.origin(token)
        if name in shared:
            assert origin == Origin("copied", (shared.index(name),), (1.0,))
        elif name == "silent":
            assert origin == Origin("mean", depth=3)
        else:
            one = vectors[token].astype(np.float64)
            others = [
                vectors[names.index(anchor.encode())].astype(np.float64) for anchor in anchors
            ]
            cosines = [
                float(one @ other / np.linalg.norm(one) / np.linalg.norm(other)) for other in others
            ]
            expected = {
                shared.index(anchor): share
                for anchor, share in zip(anchors, slow_projection(np.array(cosines)), strict=True)
                if share > 1e-6
            }
            found = {i: w for i, w in zip(origin.source, origin.weights, strict=True) if w > 1e-6}
            assert origin.rule == "similar"
            assert found == pytest.approx(expected, abs=1e-5)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = words("a", "b", "c"), words("a", "b", "c", *map(str, range(20, 40)))
    vectors = np.random.default_rng(2).normal(size=(len(target), 4)).astype(np.float32)
    rows = random_rows_of(source)
    whole = focus_rows(rows, target_vectors=vectors, source=source, target=target)
    monkeypatch.setattr("lingraft.embeddings.focus._TOKENS_AT_ONCE", 3)
    cut = focus_rows(rows, target_vectors=vectors, source=source, target=target)
    assert whole.coverage() == {"copied": 3, "similar": 20}
    assert_allclose(cut.rows, whole.rows, rtol=1e-6)


def test_without_shared_tokens_there_are_pieces() -> None:
    source, target = words("a"), words("ж", "aa")
    vectors = np.ones((2, 3), dtype=np.float32)
    matrix = focus_rows(
        random_rows_of(source), target_vectors=vectors, source=source, target=target
    )
    assert matrix.coverage() == {"mean": 1, "pieces": 1}


@pytest.mark.parametrize("shape", [(1, 3), (3, 3), (2,)])
def test_vectors_of_another_vocabulary_are_refused(shape: tuple[int, ...]) -> None:
    two = words("a", "b")
    with pytest.raises(InputError, match="one vector for each of the 2 ids") as caught:
        focus_rows(
            random_rows_of(two), target_vectors=np.ones(shape, np.float32), source=two, target=two
        )
    assert (caught.value.where, caught.value.got) == ("target_vectors", f"shape {shape}")
