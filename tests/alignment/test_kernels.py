"""The aligner's kernels against the enumeration of every alignment."""

import itertools
import os
import stat
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lingraft.alignment import kernels
from lingraft.alignment.kernels import MAX_JUMP, NUM_JUMPS, NUM_MOVES, NUM_STARTS
from lingraft.errors import StoreError

sizes = st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(0, 2**32 - 1))


def enumerate_chain(emissions, jumps, starts, null):
    """Posteriors and expected moves, straight from the definition of the model."""
    num_targets, width = emissions.shape
    num_sources = width - 1
    posteriors = np.zeros_like(emissions)
    jump_counts, start_counts = np.zeros(NUM_JUMPS), np.zeros(NUM_STARTS)

    def weight(place, last):
        if last is None:
            return starts[min(place, MAX_JUMP)]
        return jumps[MAX_JUMP + max(-MAX_JUMP, min(MAX_JUMP, place - last))]

    for path in itertools.product(range(width), repeat=num_targets):
        probability, last, moves = 1.0, None, []
        for j, choice in enumerate(path):
            probability *= emissions[j, choice]
            if choice == 0:
                probability *= null
                continue
            place = choice - 1
            total = sum(weight(k, last) for k in range(num_sources))
            probability *= (1 - null) * weight(place, last) / total
            moves.append((place, last))
            last = place
        for j, choice in enumerate(path):
            posteriors[j, choice] += probability
        for place, before in moves:
            if before is None:
                start_counts[min(place, MAX_JUMP)] += probability
            else:
                bucket = MAX_JUMP + max(-MAX_JUMP, min(MAX_JUMP, place - before))
                jump_counts[bucket] += probability
    total = posteriors[0].sum()
    return posteriors / total, jump_counts / total, start_counts / total


@given(sizes)
@settings(max_examples=30, deadline=None)
def test_chain_posteriors_equal_enumeration(size: tuple[int, int, int]) -> None:
    num_sources, num_targets, seed = size
    rng = np.random.default_rng(seed)
    emissions = rng.uniform(0.01, 1, (num_targets, num_sources + 1))
    jumps, starts = rng.uniform(0.01, 1, NUM_JUMPS), rng.uniform(0.01, 1, NUM_STARTS)
    null = rng.uniform(0.05, 0.9)
    counts = np.zeros(NUM_MOVES)
    found = kernels.chain_posteriors(emissions, jumps, starts, null, counts)
    expected = enumerate_chain(emissions, jumps, starts, null)
    np.testing.assert_allclose(found, expected[0], atol=1e-12)
    np.testing.assert_allclose(counts[:NUM_JUMPS], expected[1], atol=1e-12)
    np.testing.assert_allclose(counts[NUM_JUMPS:], expected[2], atol=1e-12)


def test_jumps_beyond_the_outermost_bucket_share_it() -> None:
    rng = np.random.default_rng(0)
    num_sources = MAX_JUMP + 5
    emissions = rng.uniform(0.01, 1, (2, num_sources + 1))
    jumps, starts = rng.uniform(0.01, 1, NUM_JUMPS), rng.uniform(0.01, 1, NUM_STARTS)
    counts = np.zeros(NUM_MOVES)
    found = kernels.chain_posteriors(emissions, jumps, starts, 0.2, counts)
    expected = enumerate_chain(emissions, jumps, starts, 0.2)
    np.testing.assert_allclose(found, expected[0], atol=1e-12)
    np.testing.assert_allclose(counts[:NUM_JUMPS], expected[1], atol=1e-12)
    np.testing.assert_allclose(counts[NUM_JUMPS:], expected[2], atol=1e-12)


def test_a_long_and_improbable_sentence_does_not_underflow() -> None:
    emissions = np.full((400, 401), 1e-9)
    found = kernels.chain_posteriors(
        emissions, np.ones(NUM_JUMPS), np.ones(NUM_STARTS), 0.2, np.zeros(NUM_MOVES)
    )
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-9)


@given(sizes, st.sampled_from([0.0, 2.0, 9.0]))
@settings(max_examples=40, deadline=None)
def test_diagonal_posteriors_equal_enumeration(size: tuple[int, int, int], tension: float) -> None:
    num_sources, num_targets, seed = size
    rng = np.random.default_rng(seed)
    emissions = rng.uniform(0.01, 1, (num_targets, num_sources + 1))
    null = rng.uniform(0.05, 0.9)
    nearness = np.array(
        [
            [-abs((i + 1) / num_sources - (j + 1) / num_targets) for i in range(num_sources)]
            for j in range(num_targets)
        ]
    )
    places = np.exp(tension * nearness)
    places /= places.sum(axis=1, keepdims=True)
    expected = np.zeros_like(emissions)
    for path in itertools.product(range(num_sources + 1), repeat=num_targets):
        prior = [null if i == 0 else (1 - null) * places[j, i - 1] for j, i in enumerate(path)]
        probability = np.prod(prior) * np.prod(emissions[np.arange(num_targets), list(path)])
        for j, i in enumerate(path):
            expected[j, i] += probability
    expected /= expected[0].sum()
    counts = np.zeros(3)
    found = kernels.diagonal_posteriors(emissions, tension, null, counts)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    linked = expected[:, 1:].sum(axis=1)
    sums = [linked.sum(), (expected[:, 1:] * nearness).sum(), linked @ (places * nearness).sum(1)]
    np.testing.assert_allclose(counts, sums, atol=1e-12)


def test_float32_changes_the_posteriors_of_long_sentences_by_rounding_alone() -> None:
    rng = np.random.default_rng(0)
    for num_sources, num_targets in ((60, 50), (350, 400)):
        # As sparse as trained tables are: one word in twenty is a likely translation.
        likely = rng.random((num_targets, num_sources + 1)) < 0.05
        emissions = np.where(likely, rng.uniform(0.01, 1, likely.shape), 1e-9)
        jumps, starts = rng.uniform(1e-6, 1, NUM_JUMPS), rng.uniform(1e-6, 1, NUM_STARTS)
        counts = np.zeros((2, NUM_MOVES))
        exact = kernels.chain_posteriors(emissions, jumps, starts, 0.2, counts[0])
        single = emissions.astype(np.float32)
        rounded = kernels.chain_posteriors(single, jumps, starts, 0.2, counts[1])
        assert rounded.dtype == np.float32
        np.testing.assert_allclose(rounded, exact, atol=1e-4)
        np.testing.assert_allclose(counts[1], counts[0], atol=1e-3)


def test_mark_best_chooses_each_words_partner_unless_that_is_null() -> None:
    # Two source words, three target words; row and column 0 are NULL's.
    forward = [[0, 0.5, 0.1, 0.2], [0, 0.3, 0.7, 0.2], [0, 0.2, 0.2, 0.6]]
    backward = [[0, 0, 0, 0], [0.1, 0.2, 0.3, 0.4], [0.9, 0.1, 0, 0]]
    cells = np.array([np.ravel(forward), np.ravel(backward)], dtype=np.float32)
    chosen = np.zeros(cells.shape, dtype=np.bool_)
    kernels.mark_best(np.array([[3, 4]]), cells, chosen)
    assert np.argwhere(chosen[0].reshape(3, 4)).tolist() == [[1, 2], [2, 3]]
    assert np.argwhere(chosen[1].reshape(3, 4)).tolist() == [[1, 3]]


def test_scatter_adds_repeated_slots() -> None:
    counts = np.zeros(3)
    cells = np.array([0.5, 0.25, 1.0], dtype=np.float32)
    kernels.scatter(np.array([2, 0, 2], dtype=np.int64), cells, counts)
    assert counts.tolist() == [0.25, 0.0, 1.5]


def test_the_cache_folder_is_the_users_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINGRAFT_CACHE", str(tmp_path))
    (tmp_path / "numba").mkdir(mode=0o777)
    (tmp_path / "numba").chmod(0o777)
    folder = kernels.cache_folder()
    assert folder == tmp_path / "numba"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_cache_folder_of_someone_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINGRAFT_CACHE", str(tmp_path))
    owner = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: owner + 1)
    message = rf"numba: expected a cache folder of your own, got one of user {owner}; set LINGRAFT"
    with pytest.raises(StoreError, match=message):
        kernels.cache_folder()


def test_a_cache_folder_that_cannot_be_made_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LINGRAFT_CACHE", str(tmp_path / "file"))
    with pytest.raises(StoreError, match=r"expected a cache folder of your own, got .*director"):
        kernels.cache_folder()
