"""The aligner's kernels against the enumeration of every alignment."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lingraft.alignment import kernels, lexicon_kernels
from lingraft.alignment.kernels import MAX_JUMP, NUM_BAND, NUM_JUMPS, NUM_MOVES

sizes = st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(0, 2**32 - 1))


def posteriors_of(shape, tables, places, *, model, null, agreeing=False):
    """One pair's cells (2, I + 1, J + 1) and counts; cell n has row n of the tables."""
    cells = np.full((2, tables.shape[0]), np.nan, dtype=tables.dtype)
    counts = np.zeros((2, 2, NUM_MOVES))
    shapes, slots = np.array([shape]), np.arange(tables.shape[0], dtype=np.int32)
    kind = kernels.MODELS.index(model)
    kernels.expect(shapes, slots, tables, kind, null, places, agreeing, cells, counts)
    return cells.reshape(2, *shape), counts


def both_directions(shape, tables):
    """Emissions (J, I + 1) of target words and (I, J + 1) of source words, NULL first."""
    square = tables.reshape(*shape, 2)
    return square[:, 1:, 0].T, square[1:, :, 1]


def laid_out(posteriors):
    """Posteriors by direction, as emissions are, in the order of the cells."""
    forward, backward = posteriors
    shape = forward.shape[1], backward.shape[1]
    cells = np.zeros((2, *shape))
    cells[0, :, 1:], cells[1, 1:, :] = forward.T, backward
    return cells


def enumerate_chain(emissions, moves, null):
    """Posteriors and counts of moves, straight from the definition of the model."""
    num_targets, width = emissions.shape
    num_sources = width - 1
    posteriors, counts = np.zeros_like(emissions), np.zeros((2, NUM_MOVES))

    def bucket(place, last):
        if last is None:
            return NUM_JUMPS + min(place, MAX_JUMP)
        return place - last + MAX_JUMP if abs(place - last) <= MAX_JUMP else NUM_BAND

    for path in itertools.product(range(width), repeat=num_targets):
        probability, last, found = 1.0, None, np.zeros((2, NUM_MOVES))
        for j, choice in enumerate(path):
            probability *= emissions[j, choice]
            if choice == 0:
                probability *= null
                continue
            place = choice - 1
            buckets = [bucket(k, last) for k in range(num_sources)]
            probability *= (1 - null) * moves[buckets[place]] / moves[buckets].sum()
            found[0, buckets[place]] += 1
            for other in buckets:
                found[1, other] += 1 / moves[buckets].sum()
            last = place
        for j, choice in enumerate(path):
            posteriors[j, choice] += probability
        counts += probability * found
    total = posteriors[0].sum()
    return posteriors / total, counts / total


def check_chain(shape, seed):
    rng = np.random.default_rng(seed)
    tables = rng.uniform(0.01, 1, (shape[0] * shape[1], 2))
    places, null = rng.uniform(0.01, 1, (2, NUM_MOVES)), rng.uniform(0.05, 0.9)
    cells, counts = posteriors_of(shape, tables, places, model="chain", null=null)
    expected = [
        enumerate_chain(emissions, moves, null)
        for emissions, moves in zip(both_directions(shape, tables), places, strict=True)
    ]
    np.testing.assert_allclose(cells, laid_out([found for found, _ in expected]), atol=1e-12)
    np.testing.assert_allclose(counts, [moves for _, moves in expected], atol=1e-12)


@given(sizes)
@settings(max_examples=30, deadline=None)
def test_chain_posteriors_equal_enumeration(size: tuple[int, int, int]) -> None:
    num_sources, num_targets, seed = size
    check_chain((num_sources + 1, num_targets + 1), seed)


@pytest.mark.parametrize("num_sources", [MAX_JUMP, MAX_JUMP + 1, MAX_JUMP + 2, MAX_JUMP + 7])
def test_jumps_beyond_the_band_share_a_weight(num_sources: int) -> None:
    # Two target words: the other direction's 2^27 paths are left out.
    rng = np.random.default_rng(num_sources)
    shape = num_sources + 1, 3
    tables = rng.uniform(0.01, 1, (shape[0] * shape[1], 2))
    places = rng.uniform(0.01, 1, (2, NUM_MOVES))
    cells, counts = posteriors_of(shape, tables, places, model="chain", null=0.2)
    expected = enumerate_chain(both_directions(shape, tables)[0], places[0], 0.2)
    np.testing.assert_allclose(cells[0, :, 1:].T, expected[0], atol=1e-12)
    np.testing.assert_allclose(counts[0], expected[1], atol=1e-12)
    assert (counts[0, 0, NUM_BAND] > 1e-12) == (num_sources > MAX_JUMP + 1)


def test_a_long_and_improbable_sentence_does_not_underflow() -> None:
    tables = np.full((401 * 401, 2), 1e-9, dtype=np.float32)
    places = np.ones((2, NUM_MOVES))
    cells, counts = posteriors_of((401, 401), tables, places, model="chain", null=0.2)
    np.testing.assert_allclose(cells[0, :, 1:].sum(axis=0), 1, atol=1e-5)
    np.testing.assert_allclose(cells[1, 1:, :].sum(axis=1), 1, atol=1e-5)
    assert np.isfinite(counts).all()


@given(sizes, st.sampled_from([None, 0.0, 2.0, 9.0]))
@settings(max_examples=40, deadline=None)
def test_posteriors_of_independent_places_equal_enumeration(
    size: tuple[int, int, int], tension: float | None
) -> None:
    num_sources, num_targets, seed = size
    rng = np.random.default_rng(seed)
    shape = num_sources + 1, num_targets + 1
    tables, null = rng.uniform(0.01, 1, (shape[0] * shape[1], 2)), rng.uniform(0.05, 0.9)
    places = np.full((2, NUM_MOVES), tension or 0.0)
    model = "anywhere" if tension is None else "diagonal"
    cells, counts = posteriors_of(shape, tables, places, model=model, null=null)
    expected = []
    for direction, emissions in enumerate(both_directions(shape, tables)):
        found, sums = enumerate_independent(emissions, tension or 0.0, null)
        expected.append(found)
        if tension is not None:
            np.testing.assert_allclose(counts[direction, 0, :3], sums, atol=1e-12)
    np.testing.assert_allclose(cells, laid_out(expected), atol=1e-12)


def enumerate_independent(emissions, tension, null):
    num_targets, width = emissions.shape
    steps = (np.arange(num_targets) + 1)[:, None] / num_targets
    nearness = -np.abs((np.arange(width - 1) + 1) / (width - 1) - steps)
    places = np.exp(tension * nearness)
    places /= places.sum(axis=1, keepdims=True)
    expected = np.zeros_like(emissions)
    for path in itertools.product(range(width), repeat=num_targets):
        prior = [null if i == 0 else (1 - null) * places[j, i - 1] for j, i in enumerate(path)]
        probability = np.prod(prior) * np.prod(emissions[np.arange(num_targets), list(path)])
        for j, i in enumerate(path):
            expected[j, i] += probability
    expected /= expected[0].sum()
    linked = expected[:, 1:].sum(axis=1)
    means = (places * nearness).sum(1)
    return expected, [linked.sum(), (expected[:, 1:] * nearness).sum(), linked @ means]


@pytest.mark.parametrize("model", kernels.MODELS)
def test_float32_changes_the_posteriors_of_long_sentences_by_rounding_alone(model: str) -> None:
    rng = np.random.default_rng(0)
    for shape in ((61, 51), (351, 401)):
        # As sparse as trained tables are: one word in twenty is a likely translation.
        size = shape[0] * shape[1], 2
        tables = np.where(rng.random(size) < 0.05, rng.uniform(0.01, 1, size), 1e-9)
        places = rng.uniform(1e-6, 1, (2, NUM_MOVES))
        exact = posteriors_of(shape, tables, places, model=model, null=0.2)
        single = tables.astype(np.float32)
        rounded = posteriors_of(shape, single, places, model=model, null=0.2)
        assert rounded[0].dtype == np.float32
        np.testing.assert_allclose(rounded[0], exact[0], atol=1e-4)
        np.testing.assert_allclose(rounded[1], exact[1], atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("model", kernels.MODELS)
def test_agreement_multiplies_posteriors_except_those_of_null(model: str) -> None:
    rng = np.random.default_rng(0)
    tables, places = rng.uniform(0.01, 1, (12, 2)), rng.uniform(0.01, 1, (2, NUM_MOVES))
    own, _ = posteriors_of((3, 4), tables, places, model=model, null=0.2)
    joint, _ = posteriors_of((3, 4), tables, places, model=model, null=0.2, agreeing=True)
    for direction in range(2):
        np.testing.assert_allclose(joint[direction, 1:, 1:], own[0, 1:, 1:] * own[1, 1:, 1:])
        np.testing.assert_array_equal(joint[direction, 0], own[direction, 0])
        np.testing.assert_array_equal(joint[direction, :, 0], own[direction, :, 0])


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
    counts = np.zeros((3, 2), dtype=np.float32)
    cells = np.array([[0.5, 0.25, 1.0], [1.0, 2.0, 3.0]], dtype=np.float32)
    kernels.scatter(np.array([2, 0, 2], dtype=np.int32), cells, counts)
    assert counts.tolist() == [[0.25, 2.0], [0.0, 0.0], [1.5, 4.0]]


def test_cells_get_the_slots_of_their_words_however_often_a_word_occurs() -> None:
    # Rows of a lexicon by source word 0 (NULL) to 2; words 2 and 3 have no slot.
    row_starts = np.array([0, 3, 6, 8])
    columns = np.array([3, 1, 2, 0, 1, 3, 0, 2], dtype=np.int32)
    source = np.array([2, 1, 2, 1, 1], dtype=np.int32)
    target = np.array([1, 3, 2], dtype=np.int32)
    bounds = np.array([[0, 3, 0, 2], [3, 5, 2, 3]])
    slots = np.full(18, -1, dtype=np.int32)
    starts = np.array([0, 12, 18])
    lexicon_kernels.place_cells(source, target, bounds, starts, row_starts, columns, 4, slots)
    none = len(columns)
    first = [[none, 1, 0], [6, none, none], [3, 4, 5], [6, none, none]]
    assert slots[:12].reshape(4, 3).tolist() == first
    assert slots[12:].reshape(3, 2).tolist() == [[none, 2], [3, none], [3, none]]
