"""What a member lets through in the end: recall, its floor, its worth in exposures; as JSON values.

Axes: P questions, V values.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lingraft.lab import World
from lingraft.lab.members import Member
from lingraft.measurement.exposures import effective_exposures
from lingraft.measurement.recall import Recall, recall
from lingraft.measurement.score import Score
from lingraft.measurement.unification import Estimate
from lingraft.pipelines.lab_questions import Asked
from lingraft.pipelines.told_values import told_per_sample

Answers = Mapping[int, NDArray[np.float64]]
"""Log probabilities of the values, (P, V), by the language asked in."""

FLOORS = ("same_accuracy", "cross_accuracy", "same_mrr", "cross_mrr")


def score_answers(asked: Asked, answers: Answers, *, world: World, seed: int) -> Recall:
    """Returns the recall of facts by their answers in all languages."""
    langs = sorted(asked)

    def joined(name: str) -> NDArray[np.int64]:
        return np.concatenate([getattr(asked[lang], name) for lang in langs])

    return recall(
        # In single precision a certain answer may come out a rounding above 0.
        np.minimum(np.concatenate([answers[lang] for lang in langs]), 0.0),
        joined("answer_P"),
        home_P=joined("home_P"),
        lang_P=joined("lang_P"),
        fact_P=joined("fact_P"),
        half_V=world.half_V,
        renormalize=False,
        seed=seed,
    )


def recall_record(found: Recall) -> dict[str, Any]:
    """Returns all scores of a recall, and its chances, as JSON values."""
    scores = {
        name: _score(value) for name, value in vars(found).items() if isinstance(value, Score)
    }
    chances = {name: value for name, value in vars(found).items() if name.startswith("chance_")}
    return {**scores, **chances}


def floor_record(member: Member, unseen: Asked, *, world: World, seed: int) -> dict[str, Any]:
    """Returns what is right of subjects that no sample names: the floor of all recall.

    A fact that nobody told has a home too, from whose part its value is drawn: who knows the
    language and the statistics alone is right so often.
    """
    if not unseen:
        nothing = {"value": None, "interval": None, "reason": "the world has no unseen subjects"}
        return {"num_facts": 0, **dict.fromkeys(FLOORS, nothing)}
    answers = {lang: member.log_probs(probes) for lang, probes in unseen.items()}
    found = score_answers(unseen, answers, world=world, seed=seed)
    return {
        "num_facts": found.num_facts,
        **{name: estimate_record(getattr(found, name)) for name in FLOORS},
    }


def exposures_record(
    found: Recall,
    points: Sequence[Mapping[str, Any]],
    *,
    asked: Asked,
    world: World,
    batch_size: int,
) -> dict[str, Any]:
    """Returns how often facts would have to be told in another language for the same bits.

    Read off the curve of the same model in the facts' own language: so many bits after so many
    exposures. Both are of one language: bits of several others are divided by their number.

    Args:
        found: Recall at the end.
        points: Checkpoints with ``step`` and ``same_bits_per_fact``.
        asked: The facts that both are of.
        world: That tells them.
        batch_size: Samples of a step.
    """
    first = asked[min(asked)]
    told_FK = told_per_sample(world).reshape(-1, world.settings.languages)
    per_step = batch_size * float(told_FK[first.fact_P, first.home_P].mean())
    curve = [(point["step"] * per_step, point["same_bits_per_fact"]) for point in points]
    if len({size for size, _ in curve}) < 2:
        return {"num_exposures": None, "reason": "one checkpoint is no curve"}
    num_others = world.settings.languages - 1
    bits = found.bits_per_fact
    edges = bits.interval and (bits.interval[0] / num_others, bits.interval[1] / num_others)
    per_language = replace(bits, scale=bits.scale / num_others, interval=edges)
    return asdict(effective_exposures(per_language, curve))


def estimate_record(found: Estimate | Score) -> dict[str, Any]:
    """Returns a value with its interval or the reason why there is none."""
    interval = found.interval
    return {
        "value": found.value,
        "interval": None if interval is None else list(interval),
        "reason": found.reason,
    }


def _score(score: Score) -> dict[str, Any]:
    return {
        **estimate_record(score),
        "unit": score.unit,
        "numerator": score.numerator,
        "denominator": score.denominator,
        "statistics": dict(score.statistics),
    }
