"""The linear probe for language: against another solver, chance, invariances and refusals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ortho_group

from lingraft.errors import InputError
from lingraft.measurement.language_probe import linear_probe


def halves(num, width, *, shift, num_langs=2, seed=0):
    """Train and test states of languages that lie `shift` apart."""
    generator = np.random.default_rng(seed)
    langs = np.arange(num) % num_langs
    centres = shift * generator.normal(size=(num_langs, width))
    train, test = (centres[langs] + generator.normal(size=(num, width)) for _ in range(2))
    return train, langs, test, langs


@settings(max_examples=25)
@given(st.integers(4, 30), st.integers(1, 12), st.integers(2, 3), st.integers(0, 99))
def test_it_is_ridge_regression_of_one_hot_languages(num, width, num_langs, seed) -> None:
    train, langs, test, _ = halves(num, width, shift=1, num_langs=num_langs, seed=seed)
    centred = train - train.mean(axis=0)
    targets = np.eye(num_langs)[langs]
    penalty = 0.1 * np.sum(centred**2) / width
    # Ridge as least squares with rows added, which shares no step with the solver.
    rows = np.vstack([centred, np.sqrt(penalty) * np.eye(width)])
    padded = np.vstack([targets - targets.mean(axis=0), np.zeros((width, num_langs))])
    weights = np.linalg.lstsq(rows, padded)[0]
    outputs = (test - train.mean(axis=0)) @ weights + targets.mean(axis=0)
    found = linear_probe(train, langs, test, langs, ridge=0.1, seed=0)
    assert found.value == pytest.approx(np.mean(outputs.argmax(axis=1) == langs))


def test_languages_apart_are_told_and_languages_alike_are_not() -> None:
    assert linear_probe(*halves(60, 8, shift=10), seed=0).value == 1
    noise = linear_probe(*halves(600, 8, shift=0), seed=0)
    assert noise.value == pytest.approx(0.5, abs=0.06)
    assert noise.interval[0] < 0.5 < noise.interval[1]
    assert noise.statistics == {
        "num_states": 600,
        "num_languages": 2,
        "largest_share_count": 300,
    }
    assert (noise.name, noise.unit, noise.signature["method"]) == (
        "language_probe",
        "fraction",
        "ridge",
    )


@settings(max_examples=20)
@given(st.floats(0.01, 100), st.integers(0, 99), st.sampled_from([3, 40]))
def test_rotation_scale_and_place_do_not_matter(scale, seed, width) -> None:
    train, langs, test, _ = halves(30, width, shift=0.5, seed=seed)
    turn = scale * ortho_group.rvs(width, random_state=seed)
    ours = linear_probe(train, langs, test, langs, seed=0).value
    moved = linear_probe(train @ turn + 7, 3 + langs, test @ turn + 7, 3 + langs, seed=0)
    assert moved.value == pytest.approx(ours)


def test_states_of_one_fact_are_resampled_as_one() -> None:
    train, langs, test, _ = halves(40, 4, shift=0.3)
    facts = np.repeat(np.arange(10), 4)
    whole = linear_probe(train, langs, test, langs, facts_test=facts, seed=0)
    single = linear_probe(train, langs, test, langs, seed=0)
    assert whole.value == single.value
    assert (len(whole.items), len(single.items)) == (10, 40)
    assert {below for _, below in whole.items} == {4}


def test_equal_outputs_share_the_vote() -> None:
    # The test state lies where the training states' mean is: both outputs are ½.
    found = linear_probe([[0.0], [2.0]], [0, 1], [[1.0]], [1], seed=0)
    assert found.value == 0.5


@pytest.mark.parametrize(
    ("train", "langs", "test", "langs_test", "reason"),
    [
        (np.eye(2), [1, 1], np.eye(2), [1, 1], "1 languages to tell apart"),
        (np.ones((2, 2)), [0, 1], np.eye(2), [0, 1], "all training states are alike"),
        (np.eye(2), [0, 1], np.ones((0, 2)), [], "nothing to divide by"),
    ],
)
def test_undefined_probes_say_why(train, langs, test, langs_test, reason) -> None:
    found = linear_probe(train, langs, test, langs_test, seed=0)
    assert (found.value, found.interval, found.reason) == (None, None, reason)


@pytest.mark.parametrize(
    ("changes", "where", "got"),
    [
        ({"states_train": np.ones(3)}, "states_train", "(3,)"),
        ({"states_train": np.full((2, 2), np.inf)}, "states_train", "inf"),
        ({"states_test": np.ones((2, 3))}, "states_test", "3"),
        ({"langs_train": [0, 1, 1]}, "langs_train", "int64 of shape (3,)"),
        ({"langs_test": [0.0, 1.0]}, "langs_test", "float64 of shape (2,)"),
        ({"langs_test": [0, 2]}, "langs_test", "[2]"),
        ({"facts_test": [0]}, "facts_test", "int64 of shape (1,)"),
        ({"ridge": 0.0}, "ridge", "0.0"),
    ],
)
def test_bad_input_is_refused(changes, where, got) -> None:
    arguments = {
        "states_train": np.eye(2),
        "langs_train": [0, 1],
        "states_test": np.eye(2),
        "langs_test": [0, 1],
    }
    with pytest.raises(InputError) as error:
        linear_probe(**arguments | changes, seed=0)
    assert (error.value.where, error.value.got) == (where, got)
