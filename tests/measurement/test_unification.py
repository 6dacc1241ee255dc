"""Unification: brute force, closed forms, what must not matter, and what is undefined."""

from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ortho_group

from lingraft.errors import InputError
from lingraft.measurement.unification import middle_layer, unification
from lingraft.seeds import derive

CENTRINGS = ("together", "by language", "none")
COSINES = [
    "same_fact",
    "stranger",
    "stranger_a",
    "stranger_b",
    "cross_stranger",
    "unification",
    "normalized",
    "auc",
    "auc_from_a",
    "auc_from_b",
    "reciprocal_rank",
    "reciprocal_rank_from_a",
    "reciprocal_rank_from_b",
]
SCORES = (*COSINES, "cka", "cka_debiased")


def layer(a, b, *, centring="together", seed=0, num_resamples=20):
    (found,) = unification(a, b, centring=centring, seed=seed, num_resamples=num_resamples).layers
    return found


def values(found) -> np.ndarray:
    return np.array([getattr(found, name).value for name in SCORES], dtype=float)


@st.composite
def states(draw, *, least=3, most=7, dims=(2, 5)):
    """Two related (F, D) arrays, no state of which is zero after centring."""
    num, width = draw(st.integers(least, most)), draw(st.integers(*dims))
    generator = np.random.default_rng(draw(st.integers(0, 10**6)))
    shared = draw(st.sampled_from([0.0, 0.5, 2.0]))
    facts = generator.normal(size=(num, width))
    shift = 3 * generator.normal(size=(2, 1, width))
    a, b = shared * facts + generator.normal(size=(2, num, width)) + shift
    return a, b


def centre(a, b, centring):
    if centring == "none":
        return a, b
    if centring == "by language":
        return a - a.mean(axis=0), b - b.mean(axis=0)
    return a - np.vstack([a, b]).mean(axis=0), b - np.vstack([a, b]).mean(axis=0)


def cosine(x, y) -> float:
    return float(x @ y / np.linalg.norm(x) / np.linalg.norm(y))


def brute(a, b, drawn, centring) -> dict[str, float]:
    """The definitions, over a list of facts that may name one more than once."""
    pairs = [(i, j) for i in drawn for j in drawn if i != j]
    num = len(a)
    all_same = sum(cosine(x, y) for x, y in zip(a, b, strict=True)) / num
    k = (1 + all_same) / (2 * (num - 1))
    # What centring took of a fact's cosine with itself in the other language, with a stranger in
    # its own, and with a stranger in the other one.
    nothing = lambda x: x  # noqa: E731
    own, near, far = {
        "none": (nothing, nothing, nothing),
        "by language": (
            nothing,
            lambda x: (1 + (num - 1) * x) / num,
            lambda x: (all_same + (num - 1) * x) / num,
        ),
        "together": (lambda x: (x + k) / (1 + k),) * 3,
    }[centring]

    def mean(items):
        items = list(items)
        return sum(items) / len(items) if items else np.nan

    def win(x, other, stranger):
        lead = own(cosine(x, other)) - near(cosine(x, stranger))
        return 0.5 if abs(lead) < 1e-9 else float(lead > 0)

    def rank(i, x, y):
        return 1 + sum(cosine(x[i], y[j]) > cosine(x[i], y[i]) for j in range(len(y)) if j != i)

    same = own(mean(cosine(a[i], b[i]) for i in drawn))
    in_a = near(mean(cosine(a[i], a[j]) for i, j in pairs))
    in_b = near(mean(cosine(b[i], b[j]) for i, j in pairs))
    auc_a = mean(win(a[i], b[i], a[j]) for i, j in pairs)
    auc_b = mean(win(b[i], a[i], b[j]) for i, j in pairs)
    rank_a = mean(1 / rank(i, a, b) for i in drawn)
    rank_b = mean(1 / rank(i, b, a) for i in drawn)
    stranger = (in_a + in_b) / 2
    return {
        "same_fact": same,
        "stranger": stranger,
        "stranger_a": in_a,
        "stranger_b": in_b,
        "cross_stranger": far(mean(cosine(a[i], b[j]) for i, j in pairs)),
        "unification": same - stranger,
        "normalized": (same - stranger) / (1 - stranger),
        "auc": (auc_a + auc_b) / 2,
        "auc_from_a": auc_a,
        "auc_from_b": auc_b,
        "reciprocal_rank": (rank_a + rank_b) / 2,
        "reciprocal_rank_from_a": rank_a,
        "reciprocal_rank_from_b": rank_b,
    }


def brute_cka(a, b) -> float:
    """Kornblith et al. 2019, section 3, in features."""
    a, b = centre(a, b, "by language")
    return np.sum((b.T @ a) ** 2) / np.linalg.norm(a.T @ a) / np.linalg.norm(b.T @ b)


def brute_debiased_cka(a, b) -> float:
    """The mean over quadruples of facts that all differ, as HSIC is defined."""
    num = range(len(a))

    def hsic(x, y):
        k, m = x @ x.T, y @ y.T
        terms = [
            k[i, j] * (m[i, j] + m[q, r] - 2 * m[i, q])
            for i in num
            for j in num
            for q in num
            for r in num
            if len({i, j, q, r}) == 4
        ]
        return sum(terms) / len(terms)

    return hsic(a, b) / np.sqrt(hsic(a, a) * hsic(b, b))


@settings(max_examples=40)
@given(states(), st.sampled_from(CENTRINGS), st.integers(0, 5))
def test_all_scores_and_intervals_are_the_definitions(pair, centring, seed) -> None:
    a, b = pair
    num = len(a)
    found = layer(a, b, centring=centring, seed=seed)
    centred = centre(a, b, centring)
    expected = brute(*centred, range(num), centring)
    generator = np.random.default_rng(derive(seed, "unification", num))
    counts = generator.multinomial(num, np.full(num, 1 / num), size=20)
    resampled = [brute(*centred, np.repeat(np.arange(num), row), centring) for row in counts]
    for name in COSINES:
        estimate = getattr(found, name)
        assert estimate.value == pytest.approx(expected[name], abs=1e-9)
        drawn = [row[name] for row in resampled if np.isfinite(row[name])]
        if len(drawn) < 18:
            assert estimate.interval is None
        else:
            ends = np.quantile(drawn, [0.025, 0.975])
            assert estimate.interval == pytest.approx(tuple(ends), abs=1e-7)
    assert np.mean(found.by_fact) == pytest.approx(expected["unification"], abs=1e-9)
    if centring == "none":
        first = cosine(a[0], b[0]) - np.mean(
            [(cosine(x[0], x[j])) for x in centred for j in range(1, num)]
        )
        assert found.by_fact[0] == pytest.approx(first, abs=1e-9)


@given(states())
def test_cka_and_its_jackknife_are_the_definitions(pair) -> None:
    a, b = pair
    found = layer(a, b)
    assert found.cka.value == pytest.approx(brute_cka(a, b), abs=1e-9)
    without = [brute_cka(np.delete(a, i, 0), np.delete(b, i, 0)) for i in range(len(a))]
    error = np.sqrt((len(a) - 1) * np.var(without))
    ends = (max(0, brute_cka(a, b) - 1.959964 * error), min(1, brute_cka(a, b) + 1.959964 * error))
    assert found.cka.interval == pytest.approx(ends, abs=1e-6)


@given(states(least=5, most=6))
def test_debiased_cka_is_over_four_facts_that_differ(pair) -> None:
    found = layer(*pair)
    with np.errstate(invalid="ignore"):
        expected = brute_debiased_cka(*pair)
    if np.isfinite(expected) and found.cka_debiased.value is not None:
        assert found.cka_debiased.value == pytest.approx(np.clip(expected, -1, 1), abs=1e-6)
    else:
        assert not np.isfinite(expected)
        assert found.cka_debiased.reason == f"{len(pair[0])} facts do not determine it"


@pytest.mark.parametrize("num", [2, 3, 12])
def test_one_space_of_orthogonal_facts_is_unified(num) -> None:
    facts = np.eye(num)
    for centring in CENTRINGS:
        found = layer(facts, facts, centring=centring)
        for name in ("same_fact", "unification", "normalized", "auc", "reciprocal_rank"):
            assert getattr(found, name).value == pytest.approx(1, abs=1e-12)
            if num > 3:  # fewer are too few for intervals
                assert getattr(found, name).interval == pytest.approx((1, 1), abs=1e-12)
        assert found.stranger.value == pytest.approx(0, abs=1e-12)
        assert found.cross_stranger.value == pytest.approx(0, abs=1e-12)
        assert found.by_fact == pytest.approx([1.0] * num)
        assert found.cka.value == pytest.approx(1)


@pytest.mark.parametrize("centring", CENTRINGS)
def test_facts_of_each_language_in_a_space_of_their_own_are_not(centring) -> None:
    num = 12
    found = layer(np.eye(2 * num)[:num], np.eye(2 * num)[num:], centring=centring)
    for name in ("same_fact", "stranger", "cross_stranger", "unification", "normalized"):
        assert getattr(found, name).value == pytest.approx(0, abs=1e-12)
    assert found.unification.interval == pytest.approx((0, 0), abs=1e-12)
    assert found.auc.value == found.auc_from_a.value == 0.5
    chance = sum(1 / rank for rank in range(1, num + 1)) / num
    assert found.reciprocal_rank_from_b.value == pytest.approx(chance)


@pytest.mark.parametrize("num", [10, 20, 40])
@pytest.mark.parametrize("centring", CENTRINGS)
def test_noise_is_no_unification_and_intervals_say_so(centring, num) -> None:
    """The means of 150 draws, five standard errors wide, and intervals of about the right size."""
    generator = np.random.default_rng(num)
    draws = [
        layer(*generator.normal(size=(2, num, 32)), centring=centring, seed=n, num_resamples=200)
        for n in range(150)
    ]
    for name, chance in (("unification", 0.0), ("normalized", 0.0), ("auc", 0.5)):
        found = [getattr(draw, name) for draw in draws]
        drawn = [one.value for one in found]
        assert abs(np.mean(drawn) - chance) < 5 * np.std(drawn) / np.sqrt(len(drawn))
        covered = [one.interval[0] <= chance <= one.interval[1] for one in found]
        assert 0.86 <= np.mean(covered) <= 1
    assert np.mean([draw.cka.value for draw in draws]) > 0.15
    debiased = [draw.cka_debiased.value for draw in draws]
    assert np.mean(debiased) == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize("centring", ["together", "by language"])
def test_centring_few_facts_measures_what_many_would_show(centring) -> None:
    """Facts, noise of each language and a place of each: U as of a mean that is known."""
    generator = np.random.default_rng(11)
    num, width = 6, 400
    found = []
    for _ in range(150):
        facts = generator.normal(size=(num, width))
        place = np.zeros(width)
        place[0] = 0.0 if centring == "by language" else np.sqrt(width / 2)
        noise = generator.normal(size=(2, num, width))
        found.append(layer(facts + noise[0] + place, facts + noise[1] - place, centring=centring))
    # Squares: of a fact and of noise `width` each, of the place half of that where it counts.
    apart = 0.0 if centring == "by language" else 0.25
    expected = {
        "same_fact": (0.5 - apart) / (1 + apart),
        "stranger": apart / (1 + apart),
        "cross_stranger": -apart / (1 + apart),
        "unification": (0.5 - 2 * apart) / (1 + apart),
    }
    for name, value in expected.items():
        drawn = [getattr(one, name).value for one in found]
        assert np.mean(drawn) == pytest.approx(value, abs=0.012), name


def test_states_that_only_tell_the_language() -> None:
    a, b = np.zeros((5, 3)), np.zeros((5, 3))
    a[:, 0], b[:, 1] = 1, 1
    together = layer(a, b)
    assert together.unification.value == pytest.approx(-2)
    assert together.auc.value == 0
    assert together.normalized.value is None
    assert together.normalized.reason == "strangers in one language are all alike, b = 1"
    apart = layer(a, b, centring="by language")
    for name in COSINES:
        estimate = getattr(apart, name)
        assert (estimate.value, estimate.interval) == (None, None)
        assert estimate.reason == "10 states without direction, the first of fact 0 in A"
    assert apart.by_fact == ()
    assert apart.cka.reason == apart.cka_debiased.reason == "all states of a language are alike"


def test_the_first_state_without_direction_is_named() -> None:
    found = layer(np.eye(3), np.diag([1.0, 1.0, 0.0]), centring="none")
    assert found.auc.reason == "1 states without direction, the first of fact 2 in B"


@pytest.mark.parametrize("centring", CENTRINGS)
def test_permuting_facts_destroys_unification(centring) -> None:
    generator = np.random.default_rng(3)
    facts = generator.normal(size=(60, 20))
    a, b = facts + 0.2 * generator.normal(size=(2, 60, 20))
    found, moved = (layer(a, other, centring=centring) for other in (b, np.roll(b, 1, axis=0)))
    assert found.unification.value > 0.9
    assert found.unification.interval[0] > 0.85
    assert found.auc.value > 0.99
    assert abs(moved.unification.value) < 0.1
    assert moved.auc.value == pytest.approx(0.5, abs=0.1)
    assert moved.cka_debiased.value < 0.1 < found.cka_debiased.value
    # What the mean of both takes depends on whether a fact is one in both.
    within = 0.01 if centring == "together" else 1e-9
    assert moved.stranger.value == pytest.approx(found.stranger.value, abs=within)


@settings(max_examples=40)
@given(states(), st.integers(0, 1000), st.floats(0.01, 100), st.sampled_from(CENTRINGS))
def test_neither_rotation_nor_scale_matters(pair, seed, scale, centring) -> None:
    a, b = pair
    turn = ortho_group.rvs(a.shape[1], random_state=seed)
    ours = layer(a, b, centring=centring)
    theirs = layer(scale * a @ turn, scale * b @ turn, centring=centring)
    assert values(theirs) == pytest.approx(values(ours), abs=1e-6, nan_ok=True)


@settings(max_examples=40)
@given(states(), st.floats(0.01, 100), st.floats(0.01, 100), st.integers(0, 1000))
def test_each_language_may_have_its_own_scale_and_place(pair, scale_a, scale_b, seed) -> None:
    a, b = pair
    ours = layer(a, b, centring="by language")
    theirs = layer(scale_a * a + 3, scale_b * b - 1, centring="by language")
    assert values(theirs) == pytest.approx(values(ours), abs=1e-6, nan_ok=True)
    # To CKA each language may have its own axes too; to cosines across languages it may not.
    turn = ortho_group.rvs(a.shape[1], random_state=seed)
    turned = layer(a, scale_b * b @ turn, centring="by language")
    assert turned.cka.value == pytest.approx(ours.cka.value, abs=1e-6)
    assert turned.stranger_b.value == pytest.approx(ours.stranger_b.value, abs=1e-6)


@settings(max_examples=40)
@given(states(), st.randoms())
def test_the_order_of_facts_does_not_matter_and_languages_may_be_swapped(pair, random) -> None:
    a, b = pair
    order = random.sample(range(len(a)), len(a))
    ours = layer(a, b)
    assert values(layer(a[order], b[order])) == pytest.approx(values(ours), abs=1e-9, nan_ok=True)
    swapped = layer(b, a)
    assert swapped.unification.value == pytest.approx(ours.unification.value)
    assert swapped.auc_from_a.value == pytest.approx(ours.auc_from_b.value)
    assert swapped.reciprocal_rank_from_a.value == pytest.approx(ours.reciprocal_rank_from_b.value)
    assert swapped.stranger_a.value == pytest.approx(ours.stranger_b.value)


def test_layers_are_scored_one_by_one_with_the_same_draws() -> None:
    a, b = np.random.default_rng(4).normal(size=(2, 3, 8, 4))
    before = a.copy()
    found = unification(a, b, seed=7, num_resamples=50)
    assert (found.num_facts, found.centring, found.seed, found.num_resamples) == (
        8,
        "together",
        7,
        50,
    )
    for number, one in enumerate(found.layers):
        alone = layer(a[number], b[number], seed=7, num_resamples=50)
        for name in SCORES:
            ours, theirs = asdict(getattr(one, name)), asdict(getattr(alone, name))
            assert ours["value"] == pytest.approx(theirs["value"])
            assert ours["interval"] == pytest.approx(theirs["interval"])
    assert np.array_equal(a, before)
    again = unification(a, b, seed=8, num_resamples=50)
    assert again.layers[0].unification.interval != found.layers[0].unification.interval


def test_intervals_cover_the_truth() -> None:
    """Of normal facts and noise, cos of a fact with itself is about 1 / (1 + σ²) in many axes."""
    generator = np.random.default_rng(5)
    covered = []
    for _ in range(100):
        facts = generator.normal(size=(40, 200))
        a, b = facts + generator.normal(size=(2, 40, 200))
        one = layer(a, b, centring="none", num_resamples=200).unification
        covered.append(one.interval[0] <= 0.5 <= one.interval[1])
    assert 0.87 <= np.mean(covered) <= 1


@pytest.mark.parametrize("num", [0, 1])
def test_too_few_facts_have_no_scores(num) -> None:
    found = layer(np.ones((num, 3)), np.ones((num, 3)))
    for name in COSINES:
        assert getattr(found, name).value is None
        assert getattr(found, name).reason == f"{num} facts, at least 2 are needed"
    assert found.cka.value is found.cka_debiased.value is None
    assert found.cka.reason == ("no facts" if num == 0 else "all states of a language are alike")


def test_two_facts_have_scores_but_no_intervals_of_pairs() -> None:
    generator = np.random.default_rng(6)
    found = layer(*generator.normal(size=(2, 2, 5)), num_resamples=400)
    assert found.unification.value is not None
    assert found.unification.interval is None
    assert found.same_fact.interval is not None
    assert found.cka_debiased.reason == "2 facts do not determine it"


@pytest.mark.parametrize(
    ("changes", "expected", "got", "where"),
    [
        ({"b": np.ones((3, 4))}, "one shape", "(2, 3, 4) and (3, 4)", "states_a, states_b"),
        ({"a": np.ones(3), "b": np.ones(3)}, "one shape", "(3,) and (3,)", "states_a, states_b"),
        ({"b": np.full((2, 3, 4), np.nan)}, "finite numbers", "nan", "states_b(0, 0, 0)"),
        ({"centring": "apart"}, '"together", "by language" or "none"', "'apart'", "centring"),
        ({"num_resamples": 0}, "at least 1 resample", "0", "num_resamples"),
    ],
)
def test_bad_input_is_refused(changes, expected, got, where) -> None:
    arguments = {"a": np.ones((2, 3, 4)), "b": np.ones((2, 3, 4)), "seed": 0} | changes
    with pytest.raises(InputError) as error:
        unification(arguments.pop("a"), arguments.pop("b"), **arguments)
    assert expected in error.value.expected
    assert (error.value.got, error.value.where) == (got, where)


def test_as_many_layers_lie_below_the_middle_as_above_or_one_more() -> None:
    assert [middle_layer(num) for num in (0, 1, 2, 3, 4, 30)] == [0, 1, 1, 2, 2, 15]
    for num in range(1, 40):
        assert middle_layer(num) - (num - middle_layer(num)) in (0, 1)
