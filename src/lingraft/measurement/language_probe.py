"""How plainly does a state tell its language? Accuracy of a linear probe.

Section 3.3 of the reference on unification: the model's side of extractability.

Axes: N training states, M test states, D dimensions, K languages.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import solve

from lingraft.corpus.records import data_hash
from lingraft.errors import InputError
from lingraft.measurement.score import Score, bootstrap_interval

VERSION = 1

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def linear_probe(
    states_train: ArrayLike,
    langs_train: ArrayLike,
    states_test: ArrayLike,
    langs_test: ArrayLike,
    *,
    facts_test: ArrayLike | None = None,
    ridge: float = 1e-3,
    seed: int,
) -> Score:
    """Measures how often a linear classifier names the language of a state.

    Ridge regression of one-hot languages on centred states, the largest output wins (equal ones
    count by their share). It is solved exactly, so that it needs no seed and no number of steps.
    Test on facts that the probe was not trained on, else it may know the states by heart.

    Args:
        states_train: States to learn from, (N, D).
        langs_train: Number of the language of each, (N,).
        states_test: States to name the languages of, (M, D).
        langs_test: Their languages, (M,), all of them among the training languages.
        facts_test: Number of the fact that each test state asks, (M,): states of one fact are
            resampled as one. None makes each its own.
        ridge: Penalty on squared weights, times the mean variance of a dimension and N: the
            scale of the states does not matter.
        seed: Of the bootstrap for the interval.

    Returns:
        Accuracy, with the share of the commonest test language as ``largest_share_count`` of
        ``num_states`` in its statistics; undefined with one language, without test states, or
        where training states are all alike.

    Raises:
        InputError: Shapes do not fit, a number is not finite, labels are no integers, a test
            language was not trained, or `ridge` is not positive.
    """
    train_ND = _states(states_train, "states_train")
    test_MD = _states(states_test, "states_test")
    if train_ND.shape[1] != test_MD.shape[1]:
        raise InputError(
            expected=f"states of {train_ND.shape[1]} dimensions",
            got=str(test_MD.shape[1]),
            where="states_test",
        )
    if not (math.isfinite(ridge) and ridge > 0):
        raise InputError(expected="a number above 0", got=str(ridge), where="ridge")
    langs_N = _labels(langs_train, len(train_ND), "langs_train")
    langs_M = _labels(langs_test, len(test_MD), "langs_test")
    facts = np.arange(len(test_MD)) if facts_test is None else facts_test
    facts_M = _labels(facts, len(test_MD), "facts_test")
    langs_K = np.unique(langs_N)
    unknown = np.setdiff1d(langs_M, langs_K)
    if len(unknown):
        raise InputError(
            expected="languages that were trained", got=str(unknown.tolist()), where="langs_test"
        )
    reason = ""
    if len(langs_K) < 2:
        reason = f"{len(langs_K)} languages to tell apart"
    elif not np.ptp(train_ND, axis=0).any():
        reason = "all training states are alike"
    hits_M = np.zeros(len(test_MD))
    if not reason:
        targets_NK = (langs_N[:, None] == langs_K).astype(np.float64)
        outputs_MK = _outputs(train_ND, targets_NK, test_MD, ridge)
        best_MK = outputs_MK >= outputs_MK.max(axis=1, keepdims=True, initial=-np.inf)
        right_MK = langs_M[:, None] == langs_K
        hits_M = np.sum(best_MK & right_MK, axis=1) / best_MK.sum(axis=1)
    _, index_M = np.unique(facts_M, return_inverse=True)
    items = tuple(
        zip(np.bincount(index_M, hits_M).tolist(), np.bincount(index_M).tolist(), strict=True)
    )
    arrays = (train_ND, langs_N, test_MD, langs_M, facts_M)
    return Score(
        name="language_probe",
        unit="fraction",
        numerator=math.fsum(hits_M),
        denominator=float(len(hits_M)),
        items=items,
        signature={
            "data": data_hash([array.tobytes().hex() for array in arrays]),
            "method": "ridge",
            "ridge": ridge,
            "version": VERSION,
            "seed": seed,
        },
        interval=None if reason else bootstrap_interval(items, scale=1.0, seed=seed),
        reason=reason,
        statistics={
            "num_states": len(hits_M),
            "num_languages": len(langs_K),
            "largest_share_count": int(np.unique(langs_M, return_counts=True)[1].max(initial=0)),
        },
    )


def _outputs(train_ND: Floats, targets_NK: Floats, test_MD: Floats, ridge: float) -> Floats:
    mean_D, mean_K = train_ND.mean(axis=0), targets_NK.mean(axis=0)
    centred_ND, shifted_MD = train_ND - mean_D, test_MD - mean_D
    penalty = ridge * float(np.sum(centred_ND**2)) / centred_ND.shape[1]
    # The smaller of the two equivalent systems: deep states have more dimensions than there are.
    if len(centred_ND) <= centred_ND.shape[1]:
        gram = centred_ND @ centred_ND.T + penalty * np.eye(len(centred_ND))
        weights_DK = centred_ND.T @ solve(gram, targets_NK - mean_K, assume_a="pos")
    else:
        gram = centred_ND.T @ centred_ND + penalty * np.eye(centred_ND.shape[1])
        weights_DK = solve(gram, centred_ND.T @ (targets_NK - mean_K), assume_a="pos")
    return np.asarray(shifted_MD @ weights_DK + mean_K)


def _states(states: ArrayLike, where: str) -> Floats:
    array = np.asarray(states, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] == 0:
        raise InputError(expected="(states, dimensions)", got=str(array.shape), where=where)
    if not np.all(np.isfinite(array)):
        raise InputError(
            expected="finite numbers", got=str(array[~np.isfinite(array)][0]), where=where
        )
    return array


def _labels(labels: ArrayLike, num: int, where: str) -> Integers:
    array = np.asarray(labels)
    if array.shape != (num,) or (array.size and array.dtype.kind not in "iu"):
        raise InputError(
            expected=f"{num} integers", got=f"{array.dtype} of shape {array.shape}", where=where
        )
    return array.astype(np.int64)
