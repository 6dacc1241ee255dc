"""Recall: brute force over orders of ties, chance, hand-worked pairs, and refusals."""

import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lingraft.errors import InputError
from lingraft.measurement import score as scores
from lingraft.measurement.recall import Recall, recall, reciprocal_ranks
from lingraft.measurement.score import Score, bootstrap_interval

SCORES = [
    "same_accuracy",
    "cross_accuracy",
    "same_mrr",
    "cross_mrr",
    "transfer_ratio",
    "overall",
    "transfer",
    "wrong_half_rate",
    "transferred_bits",
    "bits_per_fact",
]


@pytest.fixture(autouse=True, scope="module")
def few_resamples():
    """No claim here depends on how many there are, and ten scores are drawn for each example."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scores, "NUM_RESAMPLES", 40)
        yield


def probe_set(num_facts, num_langs=2, num_values=4):
    """Each fact in all languages, its home by turns; values parted by turns."""
    fact_P, lang_P = (x.ravel() for x in np.indices((num_facts, num_langs)))
    return {
        "home_P": fact_P % num_langs,
        "lang_P": lang_P,
        "fact_P": fact_P,
        "half_V": np.arange(num_values) % num_langs,
        "answer_P": fact_P % num_values,
    }


def found(log_probs, probes, **changes) -> Recall:
    return recall(log_probs, **({"renormalize": True, "seed": 0} | probes | changes))


def brute(log_probs, probes) -> dict[str, tuple[float, float]]:
    """Numerators and denominators as means over all orders of tied candidates."""
    hit, rank, given_first = [], [], []
    for row, answer in zip(log_probs, probes["answer_P"], strict=True):
        orders = [
            order
            for order in itertools.permutations(range(len(row)))
            if all(row[i] >= row[j] for i, j in itertools.pairwise(order))
        ]
        hit.append(np.mean([order[0] == answer for order in orders]))
        rank.append(np.mean([1 / (1 + order.index(answer)) for order in orders]))
        given_first.append([np.mean([o[0] == v for o in orders]) for v in range(len(row))])
    cross = probes["home_P"] != probes["lang_P"]
    sums = dict.fromkeys(SCORES, (0.0, 0.0))

    def add(name, above, below):
        sums[name] = (sums[name][0] + above, sums[name][1] + below)

    for p, lang in enumerate(probes["lang_P"]):
        kind = "cross" if cross[p] else "same"
        add(f"{kind}_accuracy", hit[p], 1)
        add(f"{kind}_mrr", rank[p], 1)
        if not cross[p]:
            continue
        (own,) = (
            hit[q]
            for q in range(len(hit))
            if probes["fact_P"][q] == probes["fact_P"][p] and not cross[q]
        )
        add("overall", hit[p] * own, 1)
        add("transfer", hit[p] * own, own)
        for value, share in enumerate(given_first[p]):
            if value != probes["answer_P"][p]:
                add("wrong_half_rate", share * (probes["half_V"][value] == lang), share)
        chances = np.exp(log_probs[p]) / np.exp(log_probs[p]).sum()
        bits = math.log2(len(chances) * chances[probes["answer_P"][p]])
        add("transferred_bits", bits, 0)
    return sums


@st.composite
def cases(draw):
    num_langs = draw(st.integers(2, 3))
    probes = probe_set(draw(st.integers(1, 4)), num_langs, draw(st.integers(2, 4)))
    shape = (len(probes["fact_P"]), len(probes["half_V"]))
    numbers = st.lists(st.integers(-2, 0), min_size=shape[1], max_size=shape[1])
    rows = draw(st.lists(numbers, min_size=shape[0], max_size=shape[0]))
    return np.array(rows, dtype=float), probes


@given(cases())
def test_scores_are_means_over_the_orders_of_ties(case) -> None:
    log_probs, probes = case
    ours, sums = found(log_probs, probes), brute(log_probs, probes)
    for name in set(SCORES) - {"transferred_bits", "bits_per_fact", "transfer_ratio"}:
        above, below = sums[name]
        score = getattr(ours, name)
        assert (score.numerator, score.denominator) == pytest.approx((above, below), abs=1e-9)
    bits = sums["transferred_bits"][0]
    assert ours.transferred_bits.value == pytest.approx(bits, abs=1e-9)
    assert ours.bits_per_fact.value == pytest.approx(bits / ours.num_facts, abs=1e-9)
    same, cross = ours.same_accuracy.value, ours.cross_accuracy.value
    if same == 0:
        assert ours.transfer_ratio.value is ours.transfer.value is None
        assert ours.transfer_ratio.reason == "nothing is recalled in the same language"
        assert ours.transfer.reason == ours.transfer_ratio.reason
    else:
        assert ours.transfer_ratio.value == pytest.approx(cross / same)


@given(st.integers(1, 6), st.integers(2, 3), st.integers(2, 6), st.floats(-5, 0))
def test_a_model_that_knows_nothing_scores_chance(facts, langs, values, level) -> None:
    probes = probe_set(facts, langs, values)
    ours = found(np.full((facts * langs, values), level), probes)
    assert ours.same_accuracy.value == pytest.approx(ours.chance_accuracy)
    assert ours.cross_accuracy.value == pytest.approx(1 / values)
    harmonic = sum(1 / n for n in range(1, values + 1))
    assert ours.cross_mrr.value == pytest.approx(ours.chance_mrr)
    assert ours.chance_mrr == pytest.approx(harmonic / values)
    assert ours.transfer_ratio.value == pytest.approx(1)
    assert ours.transferred_bits.value == pytest.approx(0, abs=1e-9)
    wrong = ours.wrong_half_rate
    assert wrong.numerator == pytest.approx(wrong.statistics["expected"])


def test_a_model_that_knows_the_half_scores_the_chance_in_it() -> None:
    probes = probe_set(8, 2, 6)
    half_P = probes["half_V"][probes["answer_P"]]
    ours = found(np.where(probes["half_V"] == half_P[:, None], 0.0, -9.0), probes)
    assert ours.cross_accuracy.value == ours.chance_accuracy_in_half == pytest.approx(1 / 3)
    expected = (1 + 1 / 2 + 1 / 3) / 3
    assert ours.cross_mrr.value == pytest.approx(ours.chance_mrr_in_half)
    assert ours.chance_mrr_in_half == pytest.approx(expected)


def test_parts_may_differ_between_probes() -> None:
    probes = probe_set(2, 2, 4)
    parts = np.array([[0, 0, 0, 1], [0, 0, 0, 1], [0, 1, 1, 0], [0, 1, 1, 0]])
    ours = found(np.zeros((4, 4)), probes, half_V=parts)
    assert ours.chance_accuracy_in_half == pytest.approx((1 / 3 + 1 / 2) / 2)
    assert ours.wrong_half_rate.numerator == pytest.approx(1 / 4 + 2 / 4)


def test_pairs_by_hand() -> None:
    """Three facts of home 0: both right, only home right, only the other language right."""
    probes = probe_set(3) | {"home_P": np.zeros(6, dtype=int)}
    right = np.array([True, True, True, False, False, True])
    # A wrong answer is the next value but one, of the same part, except at the fourth probe.
    given_P = np.where(right, probes["answer_P"], (probes["answer_P"] + 2) % 4)
    given_P[3] = 0  # of the home's part, asked in the other language
    log_probs = np.log(np.where(np.arange(4) == given_P[:, None], 0.7, 0.1))
    ours = found(log_probs, probes, renormalize=False)
    assert ours.same_accuracy.value == ours.cross_accuracy.value == pytest.approx(2 / 3)
    assert ours.transfer_ratio.value == pytest.approx(1)
    assert ours.overall.value == pytest.approx(1 / 3)
    assert ours.transfer.value == pytest.approx(1 / 2)
    assert (ours.wrong_half_rate.numerator, ours.wrong_half_rate.denominator) == (0, 1)
    assert ours.wrong_half_rate.statistics["expected"] == pytest.approx(1 / 3)
    gains = [math.log2(4 * p) for p in (0.7, 0.1, 0.7)]
    assert ours.transferred_bits.value == pytest.approx(sum(gains))
    statistics = ours.transferred_bits.statistics
    assert statistics["clipped_bits"] == pytest.approx(2 * gains[0])
    assert (statistics["num_negative"], statistics["most_bits"]) == (1, 6)
    assert (ours.num_facts, ours.num_same, ours.num_cross) == (3, 3, 3)
    asked = found(log_probs, probes, half_V=np.array([1, 0, 0, 0]))
    assert asked.wrong_half_rate.value == 1


def test_intervals_resample_facts() -> None:
    generator = np.random.default_rng(1)
    probes = probe_set(30, 3, 4)
    answers = np.arange(4) == probes["answer_P"][:, None]
    ours = found(generator.normal(size=(90, 4)) + answers, probes, seed=5)
    for name in SCORES:
        score = getattr(ours, name)
        assert len(score.items) == 30
        expected = bootstrap_interval(score.items, scale=score.scale, seed=5)
        assert score.interval == expected
        assert score.interval[0] <= score.value <= score.interval[1]
        assert Score.from_record(json.loads(json.dumps(score.to_record()))) == score
        assert score.signature["method"] == name
    bits = ours.transferred_bits
    assert bits.interval == pytest.approx(tuple(30 * x for x in ours.bits_per_fact.interval))
    # The same facts, told apart as 90, are not as sure.
    assert ours.cross_accuracy.denominator == 60


@settings(max_examples=40)
@given(cases(), st.floats(-50, 50), st.randoms())
def test_renormalizing_forgets_the_level_and_probes_have_no_order(case, level, random) -> None:
    log_probs, probes = case
    order = random.sample(range(len(log_probs)), len(log_probs))
    moved = {k: v if k == "half_V" else v[order] for k, v in probes.items()}
    ours, theirs = found(log_probs, probes), found(log_probs[order] + level, moved)
    for name in SCORES:
        one, other = getattr(ours, name).value, getattr(theirs, name).value
        assert one == pytest.approx(other, abs=1e-9)


def test_without_renormalizing_the_rest_of_the_vocabulary_costs_bits() -> None:
    probes = probe_set(2)
    log_probs = np.log(np.full((4, 4), 0.125))
    assert found(log_probs, probes).transferred_bits.value == pytest.approx(0)
    taken = found(log_probs, probes, renormalize=False)
    assert taken.transferred_bits.value == pytest.approx(-2)
    assert taken.transferred_bits.signature["renormalize"] is False


def test_an_impossible_answer_has_no_bits() -> None:
    probes = probe_set(2)
    log_probs = np.where(np.arange(4) == probes["answer_P"][:, None], -np.inf, 0.0)
    ours = found(log_probs, probes)
    for score in (ours.transferred_bits, ours.bits_per_fact):
        assert (score.value, score.interval) == (None, None)
        assert score.reason == "2 answers have no probability"
    assert ours.transferred_bits.statistics["num_negative"] == 2
    assert ours.cross_accuracy.value == 0
    # In the home language it takes nothing from what crossed.
    home = np.where(probes["home_P"] == probes["lang_P"], True, False)[:, None]
    assert found(np.where(home, log_probs, 0.0), probes).transferred_bits.value == pytest.approx(0)


def test_a_model_that_is_always_right_has_no_errors_to_part() -> None:
    probes = probe_set(3)
    ours = found(np.where(np.arange(4) == probes["answer_P"][:, None], 0.0, -5.0), probes)
    assert ours.wrong_half_rate.value is None
    assert ours.wrong_half_rate.reason == "no cross-language probe is wrong"
    assert ours.overall.value == ours.transfer.value == ours.transfer_ratio.value == 1


@given(st.integers(0, 20), st.integers(0, 20))
def test_tied_ranks_are_averaged(better, tied) -> None:
    ranks = range(better + 1, better + tied + 2)
    assert reciprocal_ranks(better, tied) == pytest.approx(np.mean([1 / r for r in ranks]))


@pytest.mark.parametrize(
    ("changes", "where", "got"),
    [
        ({"answer_P": np.array([0, 0, 1, 4])}, "answer_P", "0 to 4"),
        ({"answer_P": np.zeros(4)}, "answer_P", "float64 of shape (4,)"),
        ({"lang_P": np.zeros(3, dtype=int)}, "lang_P", "int64 of shape (3,)"),
        ({"half_V": np.zeros(3, dtype=int)}, "half_V", "int64 of shape (3,)"),
        ({"half_V": np.zeros((2, 4), dtype=int)}, "half_V", "int64 of shape (2, 4)"),
        ({"home_P": np.array([0, 1, 1, 1])}, "fact 0", "[0, 1]"),
        ({"lang_P": np.array([0, 1, 1, 1])}, "fact 1", "0 of 2 in another one"),
        ({"lang_P": np.array([0, 1, 0, 0])}, "fact 1", "2 of 2 in another one"),
    ],
)
def test_probes_that_do_not_fit_are_refused(changes, where, got) -> None:
    with pytest.raises(InputError) as error:
        found(np.zeros((4, 4)), probe_set(2) | changes)
    assert (error.value.where, error.value.got) == (where, got)


@pytest.mark.parametrize(
    ("log_probs", "renormalize", "got", "where"),
    [
        (np.zeros((0, 4)), True, "(0, 4)", "log_probs_PV"),
        (np.zeros(4), True, "(4,)", "log_probs_PV"),
        (np.full((4, 4), np.nan), True, "nan or inf", "log_probs_PV"),
        (np.full((4, 4), np.inf), True, "nan or inf", "log_probs_PV"),
        (np.zeros((4, 4)), False, "4", "log_probs_PV, probe 0"),
        (np.full((4, 4), -np.inf), True, "none", "log_probs_PV, probe 0"),
    ],
)
def test_what_is_no_logarithm_of_probabilities_is_refused(
    log_probs, renormalize, got, where
) -> None:
    with pytest.raises(InputError) as error:
        found(log_probs, probe_set(2), renormalize=renormalize)
    assert (error.value.got, error.value.where) == (got, where)
