"""What samples tell of values is counted in samples."""

from typing import Any

import numpy as np
import pytest

from lingraft.lab import World, make_world, template_cues_for
from lingraft.lab.information import count_told
from lingraft.pipelines.told_values import statistics_nats, tokens_per_value, told_per_sample


def world_of(**changes: Any) -> World:
    return make_world(**{"unseen_subjects": 0, "seed": 1, **changes})


@pytest.mark.parametrize(
    ("changes", "nats"),
    [
        ({"informativeness": 1.0}, np.log(20)),
        ({"informativeness": 0.0}, np.log(40)),
        ({"template_cues": 0.0}, np.log(40)),
        ({"template_cues": template_cues_for(0.5, 2)}, np.log(40) - 0.5 * np.log(2)),
        ({"parallel_share": 1.0}, np.log(40)),
        ({"value_overlap": 0.0, "template_cues": 0.0}, np.log(40)),
        ({"value_overlap": 0.0, "informativeness": 0.0, "template_cues": 0.0}, np.log(80)),
        ({"languages": 4}, np.log(10)),
    ],
)
def test_statistics_leave_what_cues_do_not_tell(changes: dict[str, Any], nats: float) -> None:
    assert statistics_nats(world_of(**changes)) == pytest.approx(nats, abs=1e-9)


def test_statistics_are_those_of_drawn_samples() -> None:
    """An oracle: the entropy of value tokens, by relation and shown language, in samples."""
    world = world_of(
        subjects=4_000, relations=2, values=4, parallel_share=0.3, informativeness=0.6,
        template_cues=template_cues_for(0.7, 2), value_overlap=0.5,
    )  # fmt: skip
    samples = world.sample(60_000, np.random.default_rng(0))
    own_WK = world.grammar.lexicon.own_WK
    shown_B = np.full(len(samples.lang_B), -1)
    for lang in (0, 1):
        shown_B[np.isin(samples.tokens_BT[:, 1:3], own_WK[:, lang]).any(axis=1)] = lang
    entropy = 0.0
    for shown in (-1, 0, 1):
        for relation in (0, 1):
            is_here_B = (shown_B == shown) & (samples.fact_B % 2 == relation)
            counts = np.unique(samples.tokens_BT[is_here_B, -1], return_counts=True)[1]
            share = counts / counts.sum()
            entropy -= is_here_B.mean() * float((share * np.log(share)).sum())
    assert statistics_nats(world) == pytest.approx(entropy, abs=0.01)


@pytest.mark.parametrize("tokens", ["symbols", "bytes", "bpe"])
def test_tokens_of_a_value_are_those_that_samples_predict(tokens: str) -> None:
    world = world_of(tokens=tokens, subjects=40, relations=2, values=8, exposure_shares=(0.9, 0.1))
    samples = world.sample(4_000, np.random.default_rng(0))
    counted = samples.predicted_BT.sum() / len(samples.fact_B)
    assert tokens_per_value(world) == pytest.approx(counted, rel=0.02)


@pytest.mark.parametrize("style", ["triples", "biographies"])
@pytest.mark.parametrize("shares", [None, (0.8, 0.2)])
def test_facts_are_told_as_often_as_samples_tell_them(
    style: str, shares: tuple[float, ...] | None
) -> None:
    world = world_of(
        subjects=6, relations=3, values=4, parallel_share=0.3, style=style, exposure_shares=shares
    )
    num = 20_000
    samples = world.sample(num, np.random.default_rng(0))
    counted = count_told(world.settings, world.facts, samples) / num
    np.testing.assert_allclose(told_per_sample(world), counted, atol=0.01)
