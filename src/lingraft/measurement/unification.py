"""Does a model hold a fact once, or once in each language?

The states of the same facts, asked in two languages, are compared by their cosines. Section 3.4
of the reference on unification (a rebuilding of arXiv 2508.11017, whose own score is unpublished):
the same fact across languages (a) against another fact in the same language (b).

The mean that centring subtracts is one of few facts, and holds each of them: the cosine of two
facts that have nothing in common is then no more 0 but about -1 / (F - 1), and U = a - b would find
unification in noise. So what the mean takes is given back. Where states are of one length, the
mean of a language takes 1 / F from every product within it, and from those across what facts have
in common with themselves there, a / F:

    b' = (1 + (F - 1) b) / F,    c' = (a + (F - 1) c) / F,    a' = a.

These are the means over all pairs, a fact with itself included, which centring sets to zero. The
mean of both languages takes the same, (1 + ρ) / 2F of a product ρ of a fact with itself across
languages, from a, b and c: their differences stay, their scale does not.

    x' = (x + k) / (1 + k),    k = (1 + a) / (2 (F - 1)),    for x = a, b, c.

Either way noise has U = 0, facts that are held once and otherwise unrelated have U = 1, and b = 1
stays 1.

Axes: L layers, F facts, D dimensions, R resamples.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from lingraft.errors import InputError
from lingraft.measurement.recall import reciprocal_ranks
from lingraft.measurement.score import COVERAGE, NUM_RESAMPLES
from lingraft.measurement.state_geometry import (
    Centring,
    Floats,
    centred,
    check_centring,
    checked_states,
    directions,
    rounding_norm,
)
from lingraft.seeds import derive

VERSION = 2
"""Of the scores: since 2, what centring takes of the cosines is given back."""

MIN_DETERMINED = 0.9
"""Least share of the resamples in which a quantity has to be defined to have an interval."""

_TIE = 1e-9  # cosines this close are one cosine, missed by rounding
_NORMAL = 1.959964  # 97.5 % point of the normal distribution


@dataclass(frozen=True)
class Estimate:
    """A number, its 95 % interval over facts (None where too few tell), or why it is undefined."""

    value: float | None
    interval: tuple[float, float] | None = None
    reason: str = ""


@dataclass(frozen=True)
class LayerUnification:
    """How unified two languages are in one layer, without what centring takes of the cosines.

    Attributes:
        same_fact: a, mean cosine of a fact in A with itself in B.
        stranger: b, mean cosine of two facts in one language, the mean of the next two.
        stranger_a: The same within A.
        stranger_b: The same within B.
        cross_stranger: c, mean cosine of a fact in A with another one in B.
        unification: U = a - b.
        normalized: U' = (a - b) / (1 - b): 1 where a = 1.
        auc: Chance that a fact is nearer to itself in the other language than to a stranger in
            its own, ties half; the mean of the next two. 0.5 is chance.
        auc_from_a: Facts in A, against strangers in A.
        auc_from_b: Facts in B, against strangers in B.
        reciprocal_rank: Mean reciprocal rank of a fact in the other language by cosine, the mean
            of the next two. Ties have the mean over their orders. Of cosines as they are.
        reciprocal_rank_from_a: Facts in A, searched among all in B.
        reciprocal_rank_from_b: Facts in B, searched among all in A.
        cka: Linear CKA (Kornblith et al. 2019, arXiv 1905.00414, eq. 4), languages centred
            apart; near 1 by chance where D is far above F.
        cka_debiased: The same without the pairs of a fact with itself (Song et al. 2012); chance
            is 0.
        by_fact: U of each fact, whose mean is `unification`; empty where undefined.
    """

    same_fact: Estimate
    stranger: Estimate
    stranger_a: Estimate
    stranger_b: Estimate
    cross_stranger: Estimate
    unification: Estimate
    normalized: Estimate
    auc: Estimate
    auc_from_a: Estimate
    auc_from_b: Estimate
    reciprocal_rank: Estimate
    reciprocal_rank_from_a: Estimate
    reciprocal_rank_from_b: Estimate
    cka: Estimate
    cka_debiased: Estimate
    by_fact: tuple[float, ...]


@dataclass(frozen=True)
class Unification:
    """The layers' scores and how they were found."""

    layers: tuple[LayerUnification, ...]
    num_facts: int
    centring: Centring
    seed: int
    num_resamples: int


def unification(
    states_a: ArrayLike,
    states_b: ArrayLike,
    *,
    centring: Centring = "together",
    seed: int,
    num_resamples: int = NUM_RESAMPLES,
) -> Unification:
    """Measures, layer by layer, whether two languages share their states of facts.

    U is near 1 before facts are learned, when all states are alike but for the language: read it
    beside the same-language accuracy. Where the language sets states apart, centring together
    takes U below zero, down to -2; centring by language asks about the facts alone. U of unrelated
    states is 0 under every centring, see the top of this module.

    Intervals resample facts, the same ones in all layers, with means, states and what is given
    back held; a fact drawn twice is no stranger to itself. Two quantities are no averages of
    pairs, and drawing a fact twice would bias them: for reciprocal ranks the facts that are
    searched among are held, and CKA has a jackknife interval (normal, clipped to the range of CKA).

    Args:
        states_a: States of the facts asked in language A, (L, F, D), or (F, D) of one layer.
        states_b: The same facts, in the same order, asked in language B.
        centring: What is subtracted first: the mean over both languages, each language's own, or
            nothing.
        seed: Of the resampling.
        num_resamples: How many resamples.

    Returns:
        The scores by layer. A score is None with a reason where there are fewer than two facts,
        where a state has no direction (zero after centring), and U' where b = 1.

    Raises:
        InputError: The shapes differ or are no (L, F, D), a number is not finite, `centring` is
            unknown, or there are no resamples.
    """
    a_LFD, b_LFD = checked_states(states_a, states_b)
    check_centring(centring)
    if num_resamples < 1:
        raise InputError(
            expected="at least 1 resample", got=str(num_resamples), where="num_resamples"
        )
    num_facts = a_LFD.shape[1]
    generator = np.random.default_rng(derive(seed, "unification", num_facts))
    shares = np.full(max(num_facts, 1), 1 / max(num_facts, 1))
    drawn = generator.multinomial(num_facts, shares, size=num_resamples)[:, :num_facts]
    weights_RF = np.vstack([np.ones(num_facts), drawn])
    layers = tuple(
        _layer(a_FD, b_FD, centring, weights_RF) for a_FD, b_FD in zip(a_LFD, b_LFD, strict=True)
    )
    return Unification(layers, num_facts, centring, seed, num_resamples)


def middle_layer(num_layers: int) -> int:
    """Returns the layer that figures are told of, chosen before looking: half of them lie below.

    Layer 0 is what the embeddings give, so that the middle of 3 layers is 2 and of 30 is 15.

    Args:
        num_layers: Layers above the embeddings, 0 or more.
    """
    return (num_layers + 1) // 2


def _layer(a_FD: Floats, b_FD: Floats, centring: Centring, weights_RF: Floats) -> LayerUnification:
    num_facts = len(a_FD)
    (unit_a_FD, zeros_a), (unit_b_FD, zeros_b) = directions(a_FD, b_FD, centring)
    zeros = [("A", i) for i in zeros_a] + [("B", i) for i in zeros_b]
    reason = ""
    if num_facts < 2:
        reason = f"{num_facts} facts, at least 2 are needed"
    elif zeros:
        lang, fact = zeros[0]
        reason = f"{len(zeros)} states without direction, the first of fact {fact} in {lang}"
    cka = _cka(a_FD, b_FD)
    if reason:
        missing = dict.fromkeys(_COSINES, Estimate(None, None, reason))
        return LayerUnification(**missing, **cka, by_fact=())
    cosines = _Cosines(
        np.clip(unit_a_FD @ unit_a_FD.T, -1.0, 1.0),
        np.clip(unit_b_FD @ unit_b_FD.T, -1.0, 1.0),
        np.clip(unit_a_FD @ unit_b_FD.T, -1.0, 1.0),
    )
    ranks = _reciprocal_ranks(cosines.cross_FF), _reciprocal_ranks(cosines.cross_FF.T)
    cosines = cosines.given_back(centring)
    values = _weighted(cosines, ranks, weights_RF)
    estimates = {name: _estimate(values_R) for name, values_R in values.items()}
    if estimates["normalized"].value is None:
        alike = "strangers in one language are all alike, b = 1"
        estimates["normalized"] = Estimate(None, None, alike)
    return LayerUnification(**estimates, **cka, by_fact=cosines.by_fact())


_COSINES = tuple(
    name
    for name in LayerUnification.__dataclass_fields__
    if name not in ("cka", "cka_debiased", "by_fact")
)


@dataclass(frozen=True)
class _Cosines:
    """Cosines within A, within B and of A (rows) with B, each (F, F)."""

    a_FF: Floats
    b_FF: Floats
    cross_FF: Floats

    def given_back(self, centring: Centring) -> "_Cosines":
        """Returns them with what centring took of each; those of a state with itself stay 1."""
        num = len(self.a_FF)
        if centring == "none":
            return self
        if centring == "together":
            k = (1 + np.diag(self.cross_FF).mean()) / (2 * (num - 1))
            raw = (self.a_FF, self.b_FF, self.cross_FF)
            return _Cosines(*((cosines_FF + k) / (1 + k) for cosines_FF in raw))
        own_F = np.diag(self.cross_FF)
        cross_FF = self.cross_FF + (own_F.mean() - self.cross_FF) / num
        np.fill_diagonal(cross_FF, own_F)
        return _Cosines(
            self.a_FF + (1 - self.a_FF) / num, self.b_FF + (1 - self.b_FF) / num, cross_FF
        )

    def by_fact(self) -> tuple[float, ...]:
        both_FF = self.a_FF + self.b_FF
        strangers_F = both_FF.sum(axis=1) - np.diag(both_FF)
        own_F = np.diag(self.cross_FF)
        return tuple((own_F - strangers_F / (2 * (len(own_F) - 1))).tolist())


def _weighted(
    cosines: _Cosines, ranks: tuple[Floats, Floats], weights_RF: Floats
) -> dict[str, Floats]:
    """Returns each quantity under each row of weights, (R,); NaN where no two facts are left."""
    squares_RF = weights_RF**2
    totals_R = weights_RF.sum(axis=1)
    pairs_R = totals_R**2 - squares_RF.sum(axis=1)
    pairs_R = np.where(pairs_R > 0, pairs_R, np.nan)

    def over_facts(values_F: Floats) -> Floats:
        return np.asarray(weights_RF @ values_F / totals_R)

    def over_strangers(values_FF: Floats) -> Floats:
        # Without the diagonal, so that a fact drawn twice does not meet itself.
        sums_R = np.sum((weights_RF @ values_FF) * weights_RF, axis=1)
        return np.asarray((sums_R - squares_RF @ np.diag(values_FF)) / pairs_R)

    own_F = np.diag(cosines.cross_FF)
    a_R = over_facts(own_F)
    b_in_a_R, b_in_b_R = over_strangers(cosines.a_FF), over_strangers(cosines.b_FF)
    auc_a_R = over_strangers(_preferred(own_F, cosines.a_FF))
    auc_b_R = over_strangers(_preferred(own_F, cosines.b_FF))
    rank_a_R, rank_b_R = (over_facts(ranks_F) for ranks_F in ranks)
    b_R = (b_in_a_R + b_in_b_R) / 2
    return {
        "same_fact": a_R,
        "stranger": b_R,
        "stranger_a": b_in_a_R,
        "stranger_b": b_in_b_R,
        "cross_stranger": over_strangers(cosines.cross_FF),
        "unification": a_R - b_R,
        "normalized": (a_R - b_R) / np.where(1 - b_R > _TIE, 1 - b_R, np.nan),
        "auc": (auc_a_R + auc_b_R) / 2,
        "auc_from_a": auc_a_R,
        "auc_from_b": auc_b_R,
        "reciprocal_rank": (rank_a_R + rank_b_R) / 2,
        "reciprocal_rank_from_a": rank_a_R,
        "reciprocal_rank_from_b": rank_b_R,
    }


def _preferred(own_F: Floats, strangers_FF: Floats) -> Floats:
    """1 where a fact is nearer to itself than to the stranger, ½ at a tie, else 0, (F, F)."""
    lead_FF = own_F[:, None] - strangers_FF
    return np.where(np.abs(lead_FF) <= _TIE, 0.5, np.where(lead_FF > 0, 1.0, 0.0))


def _reciprocal_ranks(cosines_FF: Floats) -> Floats:
    lead_FF = cosines_FF - np.diag(cosines_FF)[:, None]
    tied_F = np.sum(np.abs(lead_FF) <= _TIE, axis=1) - 1
    return reciprocal_ranks(np.sum(lead_FF > _TIE, axis=1), tied_F)


def _estimate(values_R: Floats) -> Estimate:
    """The first value is that of all facts, the others are of resamples."""
    if not np.isfinite(values_R[0]):
        return Estimate(None, None, "nothing to divide by")
    resampled = values_R[1:][np.isfinite(values_R[1:])]
    if len(resampled) < MIN_DETERMINED * (len(values_R) - 1):
        return Estimate(float(values_R[0]))
    low, high = np.quantile(resampled, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2])
    return Estimate(float(values_R[0]), (float(low), float(high)))


def _cka(a_FD: Floats, b_FD: Floats) -> dict[str, Estimate]:
    num = len(a_FD)
    grams = []
    for raw_FD, states_FD in zip((a_FD, b_FD), centred(a_FD, b_FD, "by language"), strict=True):
        size = np.linalg.norm(states_FD)
        if num < 2 or size <= rounding_norm(raw_FD) * np.sqrt(num):
            reason = "all states of a language are alike" if num else "no facts"
            return dict.fromkeys(("cka", "cka_debiased"), Estimate(None, None, reason))
        grams.append((states_FD / size) @ (states_FD / size).T)
    return {
        "cka": _jackknife(*_alignments(grams, debiased=False), lowest=0.0),
        "cka_debiased": _jackknife(*_alignments(grams, debiased=True), lowest=-1.0),
    }


def _alignments(grams: list[Floats], *, debiased: bool) -> tuple[Floats, Floats, Floats]:
    """Returns HSIC of A with B, of A with itself and of B with itself, each (R,).

    First of all F facts, then of all but each in turn, R = F + 1, by taking its row and column out
    of the sums. Sums, not means: their common factor is lost in CKA.
    """
    k_FF, l_FF = grams
    num_facts = len(k_FF)
    num_R = np.concatenate([[num_facts], np.full(num_facts, num_facts - 1.0)])
    by_total_R, by_row_R = num_R**2, num_R
    if debiased:
        k_FF, l_FF = (gram - np.diag(np.diag(gram)) for gram in grams)
        enough_R = np.where(num_R >= 4, num_R, np.nan)  # four facts that differ
        by_total_R, by_row_R = (enough_R - 1) * (enough_R - 2), enough_R - 2

    def total(one_FF: Floats) -> Floats:
        row_F = one_FF.sum(axis=1)
        return np.concatenate([[row_F.sum()], row_F.sum() - 2 * row_F + np.diag(one_FF)])

    def by_rows(one_FF: Floats, other_FF: Floats) -> Floats:
        """The sum over facts of the products of their row sums."""
        one_F, other_F = one_FF.sum(axis=1), other_FF.sum(axis=1)
        own_F = (one_F - np.diag(one_FF)) * (other_F - np.diag(other_FF))
        shared_F = one_FF @ other_F + other_FF @ one_F - np.sum(one_FF * other_FF, axis=1)
        return np.concatenate([[one_F @ other_F], one_F @ other_F - shared_F - own_F])

    def hsic(one_FF: Floats, other_FF: Floats) -> Floats:
        products_R = total(one_FF * other_FF)
        totals_R = total(one_FF) * total(other_FF)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(
                products_R + totals_R / by_total_R - 2 * by_rows(one_FF, other_FF) / by_row_R
            )

    return hsic(k_FF, l_FF), hsic(k_FF, k_FF), hsic(l_FF, l_FF)


def _jackknife(cross_R: Floats, one_R: Floats, other_R: Floats, *, lowest: float) -> Estimate:
    with np.errstate(invalid="ignore", divide="ignore"):
        enough_R = np.minimum(one_R, other_R) > _TIE * max(one_R[0], other_R[0])
        values_R = np.where(enough_R, cross_R / np.sqrt(one_R * other_R), np.nan)
    if not np.isfinite(values_R[0]):
        return Estimate(None, None, f"{len(values_R) - 1} facts do not determine it")
    value, without = float(np.clip(values_R[0], lowest, 1.0)), values_R[1:]
    if not np.all(np.isfinite(without)):
        return Estimate(value)
    num = len(without)
    error = np.sqrt((num - 1) / num * np.sum((without - without.mean()) ** 2))
    low, high = value - _NORMAL * error, value + _NORMAL * error
    return Estimate(value, (float(max(low, lowest)), float(min(high, 1.0))))
