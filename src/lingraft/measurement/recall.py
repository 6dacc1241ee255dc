"""What was learned in one language and is known in another: accuracies, pairs, bits.

Section 3.5 of the reference on unification. A probe asks one monolingual fact in one language; it
is a same-language probe in the language in which the fact was written, else a cross-language one.

Axes: P probes, V candidate values, F facts.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp

from lingraft.corpus.records import data_hash
from lingraft.errors import InputError
from lingraft.measurement.score import Score, bootstrap_interval

VERSION = 1

_SLACK = 1e-4  # what single precision loses in a softmax

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Recall:
    """What a model knows of facts in the language they were written in, and in the others.

    All scores have intervals over facts. Candidates of equal probability count by the mean over
    their orders, so that a model that knows nothing scores its chance exactly.

    Attributes:
        same_accuracy: Share of same-language probes whose answer is the likeliest candidate.
        cross_accuracy: The same of cross-language probes.
        same_mrr: Mean reciprocal rank of the answer among the V candidates.
        cross_mrr: The same of cross-language probes.
        transfer_ratio: Cross-language accuracy over same-language accuracy. Its interval holds
            the numbers of probes, which matters only where facts have unequal numbers of them.
        overall: Share of pairs, of a cross-language probe with its fact's same-language one, in
            which both are right (ECLeKTic, arXiv 2502.21228).
        transfer: Of the pairs whose same-language probe is right, the share whose cross-language
            probe is right too.
        wrong_half_rate: Share of cross-language errors that are values of the asking language.
            Its statistics hold ``expected``: so many there would be by chance.
        transferred_bits: Sum of log2(V · p) of the answers of cross-language probes; 0 where
            nothing is known, negative where the model is worse than a uniform guess. Its
            statistics hold ``clipped_bits``, the sum without the negative ones, ``most_bits``,
            the sum at p = 1, and ``num_negative``.
        bits_per_fact: The same by fact, all its cross languages together.
        chance_accuracy: 1 / V.
        chance_mrr: H_V / V, with H_V the V-th harmonic number.
        chance_accuracy_in_half: Accuracy of a guess among the values of the answer's language.
        chance_mrr_in_half: Its mean reciprocal rank.
        num_facts: Facts.
        num_same: Same-language probes.
        num_cross: Cross-language probes.
    """

    same_accuracy: Score
    cross_accuracy: Score
    same_mrr: Score
    cross_mrr: Score
    transfer_ratio: Score
    overall: Score
    transfer: Score
    wrong_half_rate: Score
    transferred_bits: Score
    bits_per_fact: Score
    chance_accuracy: float
    chance_mrr: float
    chance_accuracy_in_half: float
    chance_mrr_in_half: float
    num_facts: int
    num_same: int
    num_cross: int


def recall(
    log_probs_PV: ArrayLike,
    answer_P: ArrayLike,
    *,
    home_P: ArrayLike,
    lang_P: ArrayLike,
    fact_P: ArrayLike,
    half_V: ArrayLike,
    renormalize: bool,
    seed: int,
) -> Recall:
    """Scores what was recalled, in the language of a fact and in the others.

    Parallel facts and subjects never seen are controls: they have no language that they were
    never written in, and are scored by calls of their own, with a home of the caller's choice.

    Args:
        log_probs_PV: Natural logarithms of the candidates' probabilities, (P, V); -inf is none.
        answer_P: Column of the right candidate.
        home_P: Number of the language in which the probe's fact was written.
        lang_P: Number of the language in which it is asked.
        fact_P: Number of the fact; intervals resample facts.
        half_V: Number of the language whose part of the values a candidate is in; (P, V) where
            the relations' values are parted differently.
        renormalize: Whether to divide the probabilities by their sum over the V candidates. False
            takes them as they stand, such as those over a whole vocabulary; then bits also pay
            for what the model gives to words that are no candidates.
        seed: Of the bootstrap over facts.

    Returns:
        The scores; each is None with a reason where it is undefined.

    Raises:
        InputError: The arrays do not fit together, there are no probes, a number is no logarithm
            of a probability, a fact has two homes, or lacks probes in its own or another language.
    """
    probes = _probes(log_probs_PV, answer_P, home_P, lang_P, fact_P, half_V, renormalize)
    hits_P, ranks_P = _hits_and_ranks(probes.log_probs_PV, probes.answer_P)
    frame = _Frame(probes, renormalize, seed)
    same_P, cross_P = ~probes.is_cross_P, probes.is_cross_P
    own_P = (frame.sums(hits_P * same_P) / frame.sums(same_P))[probes.fact_P]
    nothing = "nothing is recalled in the same language"
    num_values, in_half_P = probes.log_probs_PV.shape[1], probes.num_in_half
    return Recall(
        same_accuracy=frame.score("same_accuracy", hits_P * same_P, same_P),
        cross_accuracy=frame.score("cross_accuracy", hits_P * cross_P, cross_P),
        same_mrr=frame.score("same_mrr", ranks_P * same_P, same_P),
        cross_mrr=frame.score("cross_mrr", ranks_P * cross_P, cross_P),
        transfer_ratio=frame.score(
            "transfer_ratio",
            hits_P * cross_P,
            hits_P * same_P,
            scale=float(same_P.sum() / cross_P.sum()),
            undefined=nothing,
        ),
        overall=frame.score("overall", hits_P * own_P * cross_P, cross_P),
        transfer=frame.score(
            "transfer", hits_P * own_P * cross_P, own_P * cross_P, undefined=nothing
        ),
        wrong_half_rate=_wrong_half_rate(probes, hits_P, frame),
        **_bits(probes, frame),
        chance_accuracy=1 / num_values,
        chance_mrr=float(_harmonic(np.array(num_values)) / num_values),
        chance_accuracy_in_half=float(np.mean(1 / in_half_P)),
        chance_mrr_in_half=float(np.mean(_harmonic(in_half_P) / in_half_P)),
        num_facts=frame.num_facts,
        num_same=int(same_P.sum()),
        num_cross=int(cross_P.sum()),
    )


def reciprocal_ranks(num_better: ArrayLike, num_tied: ArrayLike) -> Floats:
    """Returns the mean of 1 / rank over the orders of those that are tied.

    Args:
        num_better: How many are strictly better, any shape.
        num_tied: How many others are as good, the same shape.

    Example:
        >>> reciprocal_ranks([0, 2, 0], [0, 0, 1]).round(4).tolist()
        [1.0, 0.3333, 0.75]
    """
    better = np.asarray(num_better, dtype=np.int64)
    block = np.asarray(num_tied, dtype=np.int64) + 1
    return np.asarray((_harmonic(better + block) - _harmonic(better)) / block)


@dataclass(frozen=True)
class _Probes:
    log_probs_PV: Floats
    answer_P: Integers
    lang_P: Integers
    fact_P: Integers
    half_PV: Integers
    is_cross_P: NDArray[np.bool_]

    @property
    def num_in_half(self) -> Integers:
        """How many candidates are in the answer's part."""
        part_P = self.half_PV[np.arange(len(self.answer_P)), self.answer_P]
        return np.asarray(np.sum(self.half_PV == part_P[:, None], axis=1), dtype=np.int64)


class _Frame:
    """Adds what was counted for each probe up, fact by fact, into scores."""

    def __init__(self, probes: _Probes, renormalize: bool, seed: int) -> None:
        self._fact_P, self._seed = probes.fact_P, seed
        self.num_facts = int(probes.fact_P.max()) + 1
        arrays = (probes.log_probs_PV, probes.answer_P, probes.lang_P, probes.fact_P)
        data = [array.tobytes().hex() for array in (*arrays, probes.half_PV, probes.is_cross_P)]
        self._signature: dict[str, Any] = {
            "data": data_hash(data),
            "version": VERSION,
            "seed": seed,
            "renormalize": renormalize,
        }

    def sums(self, values_P: NDArray[Any]) -> Floats:
        return np.bincount(self._fact_P, values_P, self.num_facts).astype(np.float64)

    def score(
        self,
        name: str,
        above_P: NDArray[Any],
        below_P: NDArray[Any] | None,
        *,
        unit: str = "fraction",
        scale: float = 1.0,
        undefined: str = "",
        reason: str = "",
        statistics: Mapping[str, float] | None = None,
    ) -> Score:
        """Divides two sums over probes, or one by the number of facts.

        `undefined` says what it means when there is nothing to divide by; `reason` holds anyway.
        """
        above_F = self.sums(above_P)
        below_F = np.ones(self.num_facts) if below_P is None else self.sums(below_P)
        items = tuple(zip(above_F.tolist(), below_F.tolist(), strict=True))
        denominator = math.fsum(below_F)
        if denominator == 0:
            reason = reason or undefined
        return Score(
            name=name,
            unit=unit,
            numerator=math.fsum(above_F),
            denominator=denominator,
            scale=scale,
            items=items,
            signature={"method": name, **self._signature},
            interval=None if reason else bootstrap_interval(items, scale=scale, seed=self._seed),
            reason=reason,
            statistics={"num_facts": self.num_facts, **(statistics or {})},
        )


def _bits(probes: _Probes, frame: _Frame) -> dict[str, Score]:
    num_values = probes.log_probs_PV.shape[1]
    nats_P = probes.log_probs_PV[np.arange(len(probes.answer_P)), probes.answer_P]
    impossible_P = np.isneginf(nats_P) & probes.is_cross_P
    reason = f"{impossible_P.sum()} answers have no probability" if impossible_P.any() else ""
    # Undefined nats count nothing, so that records stay JSON; the reason stands beside them.
    finite_P = probes.is_cross_P & ~impossible_P
    gained_P = np.where(finite_P, np.where(finite_P, nats_P, 0.0) + math.log(num_values), 0.0)
    statistics = {
        "clipped_bits": math.fsum(np.maximum(gained_P, 0.0)) / math.log(2),
        "most_bits": int(probes.is_cross_P.sum()) * math.log2(num_values),
        "num_negative": int(np.sum((gained_P < 0) | impossible_P)),
    }
    total = frame.score(
        "transferred_bits",
        gained_P,
        None,
        unit="bits",
        scale=frame.num_facts / math.log(2),
        reason=reason,
        statistics=statistics,
    )
    per_fact = frame.score(
        "bits_per_fact", gained_P, None, unit="bits/fact", scale=1 / math.log(2), reason=reason
    )
    return {"transferred_bits": total, "bits_per_fact": per_fact}


def _hits_and_ranks(log_probs_PV: Floats, answer_P: Integers) -> tuple[Floats, Floats]:
    """Returns the chance that the answer comes first, and its mean reciprocal rank, each (P,)."""
    own_P = log_probs_PV[np.arange(len(answer_P)), answer_P]
    better_P = np.sum(log_probs_PV > own_P[:, None], axis=1)
    tied_P = np.sum(log_probs_PV == own_P[:, None], axis=1) - 1
    hits_P = np.where(better_P == 0, 1 / (tied_P + 1), 0.0)
    return hits_P, reciprocal_ranks(better_P, tied_P)


def _wrong_half_rate(probes: _Probes, hits_P: Floats, frame: _Frame) -> Score:
    first_PV = probes.log_probs_PV == probes.log_probs_PV.max(axis=1, keepdims=True)
    given_PV = first_PV / first_PV.sum(axis=1, keepdims=True)
    others_PV = np.arange(given_PV.shape[1]) != probes.answer_P[:, None]
    asked_PV = (probes.half_PV == probes.lang_P[:, None]) & others_PV
    errors_P = (1 - hits_P) * probes.is_cross_P
    by_chance_P = asked_PV.sum(axis=1) / np.maximum(others_PV.sum(axis=1), 1)
    return frame.score(
        "wrong_half_rate",
        np.sum(given_PV * asked_PV, axis=1) * probes.is_cross_P,
        errors_P,
        undefined="no cross-language probe is wrong",
        statistics={"expected": math.fsum(by_chance_P * errors_P)},
    )


def _harmonic(counts: Integers) -> Floats:
    """H_n = 1 + 1/2 + … + 1/n of each n."""
    numbers = np.cumsum(1 / np.arange(1, int(np.max(counts, initial=0)) + 1))
    return np.asarray(np.append(0.0, numbers)[counts])


def _probes(
    log_probs_PV: ArrayLike,
    answer_P: ArrayLike,
    home_P: ArrayLike,
    lang_P: ArrayLike,
    fact_P: ArrayLike,
    half_V: ArrayLike,
    renormalize: bool,
) -> _Probes:
    log_probs = _log_probs(log_probs_PV, renormalize)
    num_probes, num_values = log_probs.shape
    given = {"answer_P": answer_P, "home_P": home_P, "lang_P": lang_P, "fact_P": fact_P}
    answer, home, lang, fact = (_numbers(x, (num_probes,), name) for name, x in given.items())
    shape = (num_values,) if np.ndim(half_V) == 1 else (num_probes, num_values)
    half = np.broadcast_to(_numbers(half_V, shape, "half_V"), log_probs.shape)
    if answer.min() < 0 or answer.max() >= num_values:
        raise InputError(
            expected=f"columns from 0 to {num_values - 1}",
            got=f"{answer.min()} to {answer.max()}",
            where="answer_P",
        )
    names, index = np.unique(fact, return_inverse=True)
    is_cross = lang != home
    _check_facts(names, index, home, is_cross)
    return _Probes(log_probs, answer, lang, index.astype(np.int64), half, is_cross)


def _check_facts(
    names: Integers, index: Integers, home: Integers, is_cross: NDArray[np.bool_]
) -> None:
    for at, name in enumerate(names.tolist()):
        homes = np.unique(home[index == at])
        kinds = is_cross[index == at]
        if len(homes) > 1:
            raise InputError(
                expected="one home for each fact", got=str(homes.tolist()), where=f"fact {name}"
            )
        if kinds.all() or not kinds.any():
            raise InputError(
                expected="probes in the fact's own language and in another one",
                got=f"{int(kinds.sum())} of {len(kinds)} in another one",
                where=f"fact {name}",
                hint="leave out facts without a partner language",
            )


def _log_probs(log_probs_PV: ArrayLike, renormalize: bool) -> Floats:
    values = np.asarray(log_probs_PV, dtype=np.float64)
    if values.ndim != 2 or 0 in values.shape:
        raise InputError(
            expected="(probes, candidates), at least one of each",
            got=str(values.shape),
            where="log_probs_PV",
        )
    if np.any(np.isnan(values)) or np.any(np.isposinf(values)):
        raise InputError(expected="logarithms", got="nan or inf", where="log_probs_PV")
    totals = logsumexp(values, axis=1, keepdims=True)
    if not renormalize and totals.max() > _SLACK:
        raise InputError(
            expected="probabilities that sum to 1 or less",
            got=f"{math.exp(min(float(totals.max()), 700.0)):.3g}",
            where=f"log_probs_PV, probe {int(totals.argmax())}",
            hint="renormalize=True takes scores of any size",
        )
    if renormalize and np.any(np.isneginf(totals)):
        raise InputError(
            expected="a candidate with some probability",
            got="none",
            where=f"log_probs_PV, probe {int(totals.argmin())}",
        )
    return np.asarray(values - totals if renormalize else values)


def _numbers(values: ArrayLike, shape: tuple[int, ...], where: str) -> Integers:
    array = np.asarray(values)
    if array.shape != shape or array.dtype.kind not in "iu":
        raise InputError(
            expected=f"integers of shape {shape}",
            got=f"{array.dtype} of shape {array.shape}",
            where=where,
        )
    return array.astype(np.int64)
