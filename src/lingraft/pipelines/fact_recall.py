"""What a model knows in each language: right answers among wrong ones, and what crosses over."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import logsumexp

from lingraft.corpus.fact_records import Fact, FactData
from lingraft.corpus.records import data_hash
from lingraft.languages import Language
from lingraft.measurement import Score, Scorer, bootstrap_interval
from lingraft.pipelines.fact_selection import NOT_ASKED
from lingraft.seeds import derive


@dataclass(frozen=True)
class Answered:
    """How one question was answered.

    Attributes:
        fact: The question.
        nats: Cost of the right answer by itself.
        log_prob: Natural logarithm of the right answer's share of the candidates' probability.
        is_right: Whether it costs less than every other candidate.
        num_candidates: The right answer included.
        reason: Why the three are None, or empty.
    """

    fact: Fact
    nats: float | None
    log_prob: float | None
    is_right: bool | None
    num_candidates: int
    reason: str = ""


def answer_facts(
    scorer: Scorer, data: FactData, *, num_candidates: int, seed: int
) -> dict[tuple[str, Language], Answered]:
    """Asks every question.

    The candidates are the answer and its alternatives; where a question has none, other facts'
    answers in its language, drawn by the fact's id, so that a fact has the same strangers in every
    language. A candidate's cost is the sum over its tokens, which favours short ones: candidates
    of one kind and like length are a fair choice.

    Args:
        scorer: The model.
        data: The facts.
        num_candidates: For questions without alternatives, the right answer included.
        seed: Of the draw.

    Returns:
        The answers by id and language.
    """
    choices = [_candidates(fact, data, num_candidates, seed) for fact in data.facts]
    requests = [
        (fact.prompt, fact.gap + text)
        for fact, texts in zip(data.facts, choices, strict=True)
        for text in texts
    ]
    scored = iter(scorer.score(requests))
    found = {}
    for fact, texts in zip(data.facts, choices, strict=True):
        costs = [next(scored) for _ in texts]
        reason = "no wrong answer to choose among" if len(texts) < 2 else ""
        reason = reason or next((c.reason for c in costs if c.nats is None), "")
        nats = [c.nats for c in costs if c.nats is not None]
        found[fact.id, fact.lang] = (
            Answered(fact, None, None, None, len(texts), reason)
            if reason
            else Answered(
                fact,
                nats[0],
                float(-nats[0] - logsumexp(-np.array(nats))),
                nats[0] < min(nats[1:]),
                len(texts),
            )
        )
    return found


def recall_score(answered: Sequence[Answered], *, signature: Mapping[str, Any], seed: int) -> Score:
    """Returns the share of questions that are answered right.

    Its statistics hold the sum of the chances of a blind guess, and of the right answers' log
    probabilities among their candidates.
    """
    told = [a for a in answered if a.is_right is not None]
    return share_score(
        "recall",
        [(float(bool(a.is_right)), 1.0) for a in told],
        reason="" if told else next((a.reason for a in answered), "no questions"),
        signature={**signature, "data": facts_hash([a.fact for a in answered])},
        statistics={
            "num_facts": len(answered),
            "num_undefined": len(answered) - len(told),
            "sum_chance": math.fsum(1 / a.num_candidates for a in told),
            "sum_log_prob_nats": math.fsum(a.log_prob or 0.0 for a in told),
        },
        seed=seed,
    )


def transfer_score(
    pairs: Sequence[tuple[Answered, Answered]], *, signature: Mapping[str, Any], seed: int
) -> Score:
    """Returns P(right in the target | right in the source) (ECLeKTic's and LiveCLKTBench's).

    Its statistics hold the four cells, so that the same share of the facts that the source does
    not know, and the share that is right in both, can be read off. Without pairs, the facts are not
    asked in their source language.
    """
    told = [(a, b) for a, b in pairs if a.is_right is not None and b.is_right is not None]
    cells = {
        f"num_source_{'right' if one else 'wrong'}_target_{'right' if other else 'wrong'}": sum(
            (a.is_right, b.is_right) == (one, other) for a, b in told
        )
        for one in (True, False)
        for other in (True, False)
    }
    known = [(a, b) for a, b in told if a.is_right]
    reason = "no fact is right in the source language" if pairs else NOT_ASKED
    return share_score(
        "transfer",
        [(float(bool(b.is_right)), 1.0) for _, b in known],
        reason="" if known else reason,
        signature={**signature, "data": facts_hash([x.fact for pair in pairs for x in pair])},
        statistics={"num_facts": len(pairs), "num_undefined": len(pairs) - len(told), **cells},
        seed=seed,
    )


def share_score(
    name: str,
    items: Sequence[tuple[float, float]],
    *,
    signature: Mapping[str, Any],
    seed: int,
    unit: str = "share",
    reason: str = "",
    statistics: Mapping[str, float] | None = None,
) -> Score:
    """Returns a mean over facts with its bootstrap interval."""
    return Score(
        name=name,
        unit=unit,
        numerator=math.fsum(above for above, _ in items),
        denominator=math.fsum(below for _, below in items),
        items=tuple(items),
        signature={**signature, "seed": seed},
        interval=None if reason else bootstrap_interval(items, scale=1.0, seed=seed),
        reason=reason,
        statistics=statistics or {},
    )


def facts_hash(facts: Sequence[Fact]) -> str:
    """Returns a hash of questions and answers."""
    return data_hash([text for f in facts for text in (f.id, str(f.lang), f.prompt, f.answer)])


def _candidates(fact: Fact, data: FactData, num_candidates: int, seed: int) -> list[str]:
    """Returns the right answer and the wrong ones."""
    if fact.alternatives:
        return [fact.answer, *fact.alternatives]
    others = {f.id: f.answer for f in data.facts if f.lang == fact.lang}
    ids = sorted({f.id for f in data.facts})
    generator = np.random.default_rng(derive(seed, "candidates", fact.id))
    seen = {fact.answer.casefold()}
    found = [fact.answer]
    for place in generator.permutation(len(ids)).tolist():
        text = others.get(ids[place])
        if len(found) < num_candidates and text is not None and text.casefold() not in seen:
            seen.add(text.casefold())
            found.append(text)
    return found
