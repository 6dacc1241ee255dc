"""Rows with provenance: what is counted from it, and files that are none."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from safetensors.numpy import save_file

from lingraft.embeddings import EmbeddingMatrix, Origin
from lingraft.embeddings.matrix import mix, weighted_origin
from lingraft.errors import StoreError

ORIGINS = [
    Origin("copied", (1,), (1.0,)),
    Origin("table", (2, 0), (0.75, 0.25), support=4.0),
    Origin("mean", depth=3),
    Origin("copied", (1,), (1.0,)),
]
SOURCE_ROWS = np.array([[0, 4], [3, 4], [8, 0]], dtype=np.float32)


@pytest.fixture
def matrix() -> EmbeddingMatrix:
    return EmbeddingMatrix.from_origins(mix(SOURCE_ROWS, ORIGINS), ORIGINS, method="by hand")


def test_origins_come_back(matrix: EmbeddingMatrix) -> None:
    assert [matrix.origin(token) for token in range(len(matrix))] == ORIGINS


def test_facts_about_rows(matrix: EmbeddingMatrix) -> None:
    assert_allclose(matrix.rows, [[3, 4], [6, 1], [11 / 3, 8 / 3], [3, 4]], rtol=1e-6)
    assert_allclose(matrix.norm, [5, 37**0.5, (185 / 9) ** 0.5, 5], rtol=1e-6)
    in_nats = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    assert_allclose(matrix.entropy_nats, [0, in_nats, 0, 0], rtol=1e-6)
    assert matrix.num_duplicates == 1
    assert matrix.coverage() == {"copied": 2, "mean": 1, "table": 1}
    assert matrix.coverage_by_depth() == {0: 3, 3: 1}


def test_entropies_stay_exact_over_many_rows() -> None:
    """A float32 running sum over a vocabulary is off in the third digit at its end."""
    tenth = Origin("table", tuple(range(10)), (0.1,) * 10)
    copy = Origin("copied", (0,), (1.0,))
    origins = [tenth] * 30_000 + [copy]
    rows = np.zeros((len(origins), 1), dtype=np.float32)
    entropies = EmbeddingMatrix.from_origins(rows, origins, method="m").entropy_nats
    assert_allclose(entropies[:-1], np.log(10), rtol=1e-6)
    assert entropies[-1] == 0


def test_a_copy_passes_no_product() -> None:
    odd = np.array([[np.float32(1) / 3, -0.0, 1e-42]], dtype=np.float32)
    assert mix(odd, [Origin("copied", (0,), (1.0,))]).tobytes() == odd.tobytes()


def test_weights_are_shares_with_the_heaviest_first() -> None:
    ids, counts = np.array([4, 7, 9]), np.array([1.0, 2.0, 1.0])
    assert weighted_origin("table", ids, counts, support=4.0, depth=1) == Origin(
        "table", (7, 4, 9), (0.5, 0.25, 0.25), support=4.0, depth=1
    )


def test_no_rows_are_rows(tmp_path: Path) -> None:
    empty = EmbeddingMatrix.from_origins(np.zeros((0, 3), np.float32), [], method="none")
    empty.save(tmp_path)
    assert_array_equal(EmbeddingMatrix.load(tmp_path).rows, empty.rows)
    assert (empty.coverage(), empty.num_duplicates, len(empty.norm)) == ({}, 0, 0)


def test_files_that_hold_no_rows_are_refused(matrix: EmbeddingMatrix, tmp_path: Path) -> None:
    path = tmp_path / "rows.safetensors"
    with pytest.raises(StoreError, match=r"rows\.json: expected a readable JSON file"):
        EmbeddingMatrix.load(tmp_path)
    matrix.save(tmp_path)
    whole = path.read_bytes()
    path.unlink()
    with pytest.raises(StoreError, match=r"rows\.safetensors: expected rows with their origins"):
        EmbeddingMatrix.load(tmp_path)
    path.write_bytes(whole[:-3])
    with pytest.raises(StoreError, match=r"rows\.safetensors: expected rows with their origins"):
        EmbeddingMatrix.load(tmp_path)
    save_file({"rows": matrix.rows}, path)
    with pytest.raises(StoreError, match=r"got .*missing 6 required positional arguments"):
        EmbeddingMatrix.load(tmp_path)
