"""The contrastive loss: by hand, in any company, and drawing parallel facts together."""

import math
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lingraft.errors import InputError, ModelError
from lingraft.lab import TinyDecoder, World, make_world, matched_probes
from lingraft.lab.contrast import LANGUAGES, Contrast, ContrastSettings, info_nce
from lingraft.lab.ensembles import train_ensemble
from lingraft.lab.members import Member
from lingraft.lab.probes import Probes
from lingraft.runtime import Runtime

MODEL = TinyDecoder(width=8, num_layers=2, num_heads=2, feed_forward=3)
ONE = Runtime(num_threads=1, device="cpu", precision="float32")
SETTINGS = ContrastSettings(weight=1.0, temperature=0.2, num_pairs=4, layer=1)


@cache
def world(**changes: object) -> World:
    settings = {
        "subjects": 12, "relations": 2, "values": 4, "unseen_subjects": 2, "parallel_share": 0.5,
        "seed": 3,
    }  # fmt: skip
    return make_world(**{**settings, **changes})  # type: ignore[arg-type]


@given(st.integers(0, 2**30), st.integers(2, 5), st.sampled_from([0.1, 1.0]))
def test_info_nce_is_the_mean_over_both_sides(seed: int, pairs: int, temperature: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    a_MND, b_MND = torch.randn(2, 3, pairs, 4, generator=generator, dtype=torch.float64)
    found_M = info_nce(a_MND, b_MND, temperature=temperature)
    for model in range(3):
        nats = []
        for ours, theirs in ((a_MND[model], b_MND[model]), (b_MND[model], a_MND[model])):
            for i in range(pairs):
                scores = [
                    float(torch.cosine_similarity(ours[i], theirs[j], dim=0)) / temperature
                    for j in range(pairs)
                ]
                nats.append(math.log(sum(map(math.exp, scores))) - scores[i])
        assert float(found_M[model]) == pytest.approx(sum(nats) / len(nats), abs=1e-9)


def test_equal_states_cost_a_guess_and_orthogonal_pairs_little() -> None:
    same = torch.ones(1, 6, 3)
    assert float(info_nce(same, same, temperature=0.1)) == pytest.approx(math.log(6))
    apart = torch.eye(4)[None]
    wanted = math.log(1 + 3 * math.exp(-1 / 0.5))
    assert float(info_nce(apart, apart, temperature=0.5)) == pytest.approx(wanted)


def test_prompts_are_the_same_parallel_facts_in_both_languages() -> None:
    one = world(template_cues=0.5)
    contrast = Contrast(MODEL, [one], [7], SETTINGS)
    drawn = set()
    for step in range(20):
        first, second = contrast.prompts(0, step)
        assert first.fact_P.tolist() == second.fact_P.tolist()
        assert len(set(first.fact_P.tolist())) == SETTINGS.num_pairs
        assert one.is_parallel_SR.ravel()[first.fact_P].all()
        assert (first.lang_P == LANGUAGES[0]).all()
        assert (second.lang_P == LANGUAGES[1]).all()
        drawn.add(tuple(first.fact_P.tolist()))
    assert len(drawn) > 10
    again = Contrast(MODEL, [world(), one], [1, 7], SETTINGS).prompts(1, 19)
    np.testing.assert_array_equal(again[0].tokens_PT, first.tokens_PT)


def test_company_changes_nothing_with_an_extra_loss() -> None:
    worlds = [world(seed=n, parallel_share=0.4 + n / 10) for n in range(3)]

    def losses(chosen: list[int], at_once: int | None, dtype: torch.dtype) -> np.ndarray:
        some = [worlds[n] for n in chosen]
        seeds = [20 + n for n in chosen]
        run = train_ensemble(
            some, model=MODEL, steps=15, seeds=seeds, batch_size=8, warmup_steps=2,
            extra_loss=Contrast(MODEL, some, seeds, SETTINGS), members_at_once=at_once,
            dtype=dtype, runtime=ONE,
        )  # fmt: skip
        return run.nats_MS

    for dtype, tolerance in ((torch.float64, 1e-9), (torch.float32, 1e-4)):
        together = losses([0, 1, 2], None, dtype)
        for member in range(3):
            alone = losses([member], None, dtype)[0]
            np.testing.assert_allclose(together[member], alone, rtol=0, atol=tolerance)
        backwards = losses([2, 1, 0], 2, dtype)[::-1]
        np.testing.assert_allclose(backwards, together, rtol=0, atol=tolerance)


def test_an_extra_loss_steers_training_and_stays_out_of_the_reported_one() -> None:
    def losses(nats: float, slope: float) -> np.ndarray:
        def extra(weights: object, members: object, step: int) -> torch.Tensor:
            assert isinstance(weights, dict)
            assert list(members) == [0, 1]  # type: ignore[call-overload]
            return nats * (step + 1) + slope * weights["embedding"].square().sum((1, 2))

        return train_ensemble(
            [world()] * 2, model=MODEL, steps=4, seeds=[0, 1], batch_size=8, warmup_steps=0,
            extra_loss=extra, runtime=ONE,
        ).nats_MS  # fmt: skip

    plain = train_ensemble(
        [world()] * 2, model=MODEL, steps=4, seeds=[0, 1], batch_size=8, warmup_steps=0, runtime=ONE
    ).nats_MS
    np.testing.assert_array_equal(losses(5.0, 0.0), plain)
    steered = losses(0.0, 10.0)
    np.testing.assert_allclose(steered[:, 0], plain[:, 0], rtol=1e-6)
    assert (np.abs(steered[:, 1:] - plain[:, 1:]) > 1e-4).all()


def test_a_member_whose_extra_loss_diverges_is_named() -> None:
    def extra(weights: object, members: object, step: int) -> torch.Tensor:
        return torch.tensor([0.0, math.inf if step == 1 else 0.0])

    with pytest.raises(ModelError) as error:
        train_ensemble(
            [world()] * 2, model=MODEL, steps=4, seeds=[0, 11], batch_size=8, extra_loss=extra,
            runtime=ONE,
        )  # fmt: skip
    assert error.value.where == "step 2 of the member with seed 11"
    assert error.value.got == "inf nats per token"


def test_the_loss_draws_the_states_of_parallel_facts_together() -> None:
    one = world(subjects=20)
    rng = np.random.default_rng(0)
    fact_P = rng.permutation(np.flatnonzero(one.is_parallel_SR.ravel()))[:10]
    nats: dict[float, float] = {}

    def states(member: Member, probes: Probes) -> torch.Tensor:
        return torch.from_numpy(member.states(probes)[SETTINGS.layer])[None]

    for weight in (0.0, 1.0):
        settings = ContrastSettings(weight=weight, temperature=0.2, num_pairs=8, layer=1)

        def observe(number: int, step: int, member: Member, weight: float = weight) -> None:
            asked = matched_probes(one, fact_P)
            a_MND, b_MND = (states(member, asked[lang]) for lang in LANGUAGES)
            nats[weight] = float(info_nce(a_MND, b_MND, temperature=0.2))

        train_ensemble(
            [one], model=MODEL, steps=60, seeds=[1], checkpoints=[60], observe=observe,
            batch_size=16, learning_rates=5e-3, warmup_steps=5,
            extra_loss=Contrast(MODEL, [one], [1], settings), runtime=ONE,
        )  # fmt: skip
    assert nats[1.0] < nats[0.0] - 0.2


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"weight": -1.0}, "a number of 0 or more"),
        ({"weight": math.nan}, "a number of 0 or more"),
        ({"weight": math.inf}, "a number of 0 or more"),
        ({"weight": True}, "a number of 0 or more"),
        ({"temperature": 0.0}, "a number above 0"),
        ({"temperature": math.nan}, "a number above 0"),
        ({"temperature": math.inf}, "a number above 0"),
        ({"temperature": "x"}, "a number above 0"),
        ({"num_pairs": 1}, "a whole number of 2 or more"),
        ({"num_pairs": 2.5}, "a whole number of 2 or more"),
        ({"layer": -1}, "a whole number of 0 or more"),
        ({"layer": math.nan}, "a whole number of 0 or more"),
    ],
)
def test_settings_without_sense_are_refused(change: dict[str, object], expected: str) -> None:
    given = {"weight": 1.0, "temperature": 0.1, "num_pairs": 4, "layer": 1, **change}
    with pytest.raises(InputError) as error:
        ContrastSettings(**given)  # type: ignore[arg-type]
    ((name, value),) = change.items()
    assert str(error.value) == f"{name}: expected {expected}, got {value!r}"


def test_numbers_of_numpy_make_the_same_settings() -> None:
    theirs = ContrastSettings(
        weight=np.float64(1), temperature=np.float32(0.2), num_pairs=np.int64(4), layer=np.int8(1)
    )
    assert repr(theirs) == repr(SETTINGS)


def test_another_number_of_seeds_than_worlds_is_refused() -> None:
    with pytest.raises(InputError) as error:
        Contrast(MODEL, [world()], [0, 1], SETTINGS)
    assert str(error.value) == "seeds: expected 1 seeds, one for each world, got 2"


@pytest.mark.parametrize(
    ("layer", "pairs", "where", "got"),
    [(3, 4, "layer", "3"), (1, 13, "parallel_share=0.5", "12")],
)
def test_what_a_world_or_model_lacks_is_named(layer: int, pairs: int, where: str, got: str) -> None:
    settings = ContrastSettings(weight=1.0, temperature=0.1, num_pairs=pairs, layer=layer)
    with pytest.raises(InputError) as error:
        Contrast(MODEL, [world()], [0], settings)
    assert (error.value.where, error.value.got) == (where, got)
