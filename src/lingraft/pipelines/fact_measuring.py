"""Does a model hold its facts once for all its languages, and does that help it to answer?"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats
from transformers import PreTrainedModel

from lingraft.corpus.fact_records import Fact, FactData
from lingraft.corpus.rejects import summarize_rejected
from lingraft.languages import Language
from lingraft.measurement.bits_per_byte import VERSION
from lingraft.measurement.partial_ranks import partial_spearman
from lingraft.measurement.protocols import Position
from lingraft.measurement.unification import Unification, middle_layer
from lingraft.model import CausalScorer
from lingraft.model.states import CausalStateReader
from lingraft.pipelines.arms import start_candidates
from lingraft.pipelines.fact_recall import Answered, answer_facts, recall_score, transfer_score
from lingraft.pipelines.fact_selection import (
    NOT_ASKED,
    Direction,
    at_home,
    directions,
    language_pairs,
    num_without_partner,
    readable_facts,
    rejected_note,
    unasked_directions,
)
from lingraft.pipelines.fact_states import (
    lens_record,
    pair_unification,
    patching_record,
    unification_record,
)
from lingraft.seeds import derive
from lingraft.tokenizer import Tokenizer

FACT_MEASURES = ("unification", "recall")


@dataclass(frozen=True)
class FactSettings:
    """How facts are measured.

    Attributes:
        num_candidates: Answers to choose among where a question has no alternatives of its own.
        num_patched_facts: Facts of a pair of languages whose states are patched, at most.
        num_patched_layers: Layers that are patched, evenly spaced; the middle one comes on top.
        num_resamples: Of the intervals of unification.
        window_tokens: Tokens that the model sees at once.
    """

    num_candidates: int = 10
    num_patched_facts: int = 40
    num_patched_layers: int = 7
    num_resamples: int = 1000
    window_tokens: int = 512


@dataclass(frozen=True)
class _Asked:
    """A model and what is asked of it."""

    tokenizer: Tokenizer
    scorer: CausalScorer
    reader: CausalStateReader
    data: FactData
    settings: FactSettings
    signature: Mapping[str, Any]
    seed: int


_Answers = Mapping[tuple[str, Language], Answered]


def measure_facts(
    model: PreTrainedModel,
    tokenizer: Tokenizer,
    data: FactData,
    *,
    on: Sequence[str],
    seed: int,
    settings: FactSettings | None = None,
    note: Callable[[str], None] | None = None,
) -> list[dict[str, Any]]:
    """Measures recall and transfer, unification, and how the two go together.

    ``"recall"`` gives a record `recall` for every language and `transfer` for every direction;
    ``"unification"`` gives `unification` for every pair of languages (and for the subjects, where
    all questions name one), `patching` and `logit_lens` for every direction; both give
    `unification_transfer` for every direction. Where facts state a source language, transfer is
    measured from there only; a source language that is not asked has records without a value.
    Facts that the model cannot read at once are left out. Every record counts by reason, under
    `rejected`, what was left out here and in reading; records of two languages count facts that
    only one of them asks for as `num_without_partner`, those of transfer facts at home only.

    Args:
        model: Any causal language model of transformers.
        tokenizer: Its tokenizer.
        data: The facts.
        on: Some of `FACT_MEASURES`.
        seed: Of candidates, strangers and intervals.
        settings: See `FactSettings`.
        note: Where to say which facts the model cannot read.

    Returns:
        One JSON record for each score.

    Raises:
        InputError: There are no facts, or none has a partner in another language; or the model is
            none that `CausalStateReader` can read.
    """
    asked = _asked(model, tokenizer, data, settings or FactSettings(), seed, note)
    records: list[dict[str, Any]] = []
    answers: _Answers = {}
    if "recall" in on:
        answers = answer_facts(
            asked.scorer,
            asked.data,
            num_candidates=asked.settings.num_candidates,
            seed=derive(seed, "recall"),
        )
        records += _recall_records(asked, answers)
    if "unification" in on:
        for one, other in language_pairs(asked.data):
            records += _pair_records(asked, one, other, answers)
    if "unification" in on and answers:
        for direction in unasked_directions(asked.data):
            records += _transfer_correlations(asked, answers, direction, [])
    rejected = summarize_rejected(asked.data.rejected)
    return [{**record, "rejected": rejected} for record in records]


def _asked(
    model: PreTrainedModel,
    tokenizer: Tokenizer,
    data: FactData,
    settings: FactSettings,
    seed: int,
    note: Callable[[str], None] | None,
) -> _Asked:
    """The model with those facts that it can read; refused where no two languages share one."""
    start = start_candidates(tokenizer)[0]
    scorer = CausalScorer(model, tokenizer, start_token=start, window=settings.window_tokens)
    reader = CausalStateReader(model, tokenizer, start_token=start, window=settings.window_tokens)
    readable = readable_facts(data, tokenizer, window_tokens=reader.window_tokens)
    language_pairs(readable)
    told = rejected_note(readable.rejected[len(data.rejected) :])
    if told and note is not None:
        note(told)
    signature = {"version": VERSION, "num_candidates": settings.num_candidates, **scorer.signature}
    return _Asked(tokenizer, scorer, reader, readable, settings, signature, seed)


def _recall_records(asked: _Asked, answers: _Answers) -> list[dict[str, Any]]:
    records = []
    for lang in asked.data.langs:
        told = [a for (_, its), a in answers.items() if its == lang]
        score = recall_score(told, signature=asked.signature, seed=asked.seed)
        records.append({**score.to_record(), "lang": lang.tag})
    for source, target in [*directions(asked.data), *unasked_directions(asked.data)]:
        found = _answered(asked, answers, source, target)
        score = transfer_score(found, signature=asked.signature, seed=asked.seed)
        records.append({**score.to_record(), **_direction(asked, source, target)})
    return records


def _pair_records(
    asked: _Asked, one: Language, other: Language, answers: _Answers
) -> list[dict[str, Any]]:
    matched = asked.data.matched(one, other)
    alone = {"num_without_partner": num_without_partner(asked.data, one, other)}
    places: list[Position] = ["last"]
    if all(fact.subject is not None for pair in matched for fact in pair):
        places.append("subject")
    records, found = [], {}
    for at in places:
        found[at] = pair_unification(
            asked.reader,
            matched,
            at=at,
            seed=derive(asked.seed, "unification", one.tag, other.tag),
            num_resamples=asked.settings.num_resamples,
        )
        record = unification_record(found[at], signature=asked.signature)
        records.append({**record, "langs": [one.tag, other.tag], "at": at, **alone})
    for source, target in ((one, other), (other, one)):
        directed = asked.data.matched(source, target)
        patched = patching_record(
            asked.reader,
            directed,
            num_facts=asked.settings.num_patched_facts,
            num_layers=asked.settings.num_patched_layers,
            signature=asked.signature,
            seed=asked.seed,
        )
        lens = lens_record(asked.reader, directed, signature=asked.signature, seed=asked.seed)
        records.append({**patched, "source_lang": source.tag, "target_lang": target.tag, **alone})
        records.append({**lens, "lang": source.tag, "other_lang": target.tag, **alone})
        if answers and (source, target) in directions(asked.data):
            by_layer = _by_id(found["last"], matched)
            records += _transfer_correlations(asked, answers, (source, target), by_layer)
    return records


def _by_id(found: Unification, matched: Sequence[tuple[Fact, Fact]]) -> list[dict[str, float]]:
    """U of each fact by its id, for every layer; nothing for a layer where U is undefined."""
    ids = [fact.id for fact, _ in matched]
    return [
        dict(zip(ids, layer.by_fact, strict=True)) if layer.by_fact else {}
        for layer in found.layers
    ]


def _transfer_correlations(
    asked: _Asked,
    answers: _Answers,
    direction: Direction,
    by_layer: Sequence[Mapping[str, float]],
) -> list[dict[str, Any]]:
    """Asks whether more unified facts transfer better, among those that the source knows.

    Facts with like words and frequent answers may be both more unified and easier: the token
    overlap of the two questions with their answers, and the answer's frequency, are held.
    """
    pairs = [
        (a, b)
        for a, b in _answered(asked, answers, *direction)
        if a.is_right and b.log_prob is not None
    ]
    frequencies, frequency = _frequencies([b.fact for _, b in pairs], asked.data)
    covariates = [[_overlap(asked.tokenizer, a.fact, b.fact) for a, b in pairs], frequencies]
    at = middle_layer(asked.reader.num_layers)
    signature = {**asked.signature, "method": "partial_spearman", "answer_frequency": frequency}
    records = []
    for outcome in ("log_prob", "is_right"):
        values = [float(getattr(b, outcome)) for _, b in pairs]
        rows = [[layer[a.fact.id] for a, _ in pairs] if layer else [] for layer in by_layer]
        records.append(
            {
                "name": "unification_transfer",
                "unit": "partial rank correlation",
                "outcome": outcome,
                "layer": at,
                **_correlated(rows[at] if rows else None, values, covariates, asked.seed),
                "covariates": ["token_overlap", "answer_frequency"],
                "answer_frequency": frequency,
                "num_facts": len(pairs),
                "plain_by_layer": [_plain(row, values) for row in rows],
                "signature": {**signature, "seed": asked.seed},
                **_direction(asked, *direction),
            }
        )
    return records


def _correlated(
    scores: Sequence[float] | None,
    values: Sequence[float],
    covariates: Sequence[Sequence[float]],
    seed: int,
) -> dict[str, Any]:
    if scores is None or (values and not scores):
        reason = NOT_ASKED if scores is None else "unification is undefined in this layer"
        return {"value": None, "interval": None, "p": None, "plain": None, "reason": reason}
    found = partial_spearman(scores, values, covariates, seed=seed, counted="facts")
    return {
        "value": found.rho,
        "interval": None if found.interval is None else list(found.interval),
        "p": found.p,
        "plain": _plain(scores, values),
        "reason": found.reason,
    }


def _plain(scores: Sequence[float], values: Sequence[float]) -> float | None:
    """Spearman's correlation with nothing held, None where it is undefined."""
    if len(scores) < 2 or len(set(scores)) == 1 or len(set(values)) == 1:
        return None
    return float(stats.spearmanr(scores, values).statistic)


def _answered(
    asked: _Asked, answers: _Answers, source: Language, target: Language
) -> list[tuple[Answered, Answered]]:
    """The answers of a direction, of the facts that are at home in the source or nowhere."""
    return [
        (answers[a.id, source], answers[b.id, target])
        for a, b in at_home(asked.data, source).matched(source, target)
    ]


def _direction(asked: _Asked, source: Language, target: Language) -> dict[str, Any]:
    home = at_home(asked.data, source)
    return {
        "source_lang": source.tag,
        "target_lang": target.tag,
        "num_without_partner": num_without_partner(home, source, target),
    }


def _overlap(tokenizer: Tokenizer, one: Fact, other: Fact) -> float:
    """Shared kinds of tokens over all kinds (Jaccard) of the two questions with their answers."""
    ours, theirs = (set(tokenizer.encode(fact.prompt + fact.continuation)) for fact in (one, other))
    return len(ours & theirs) / len(ours | theirs)


def _frequencies(facts: Sequence[Fact], data: FactData) -> tuple[list[float], str]:
    """Logarithms of how frequent the answers are, and what that is.

    Frequencies that the file states, where it states all of them; two measures do not mix. Or else
    how many facts of the file have the answer.
    """
    stated = [math.log1p(fact.frequency) for fact in facts if fact.frequency is not None]
    if len(stated) == len(facts):
        return stated, "stated in the file"
    counts: dict[tuple[Language, str], int] = {}
    for fact in data.facts:
        counts[fact.lang, fact.answer] = counts.get((fact.lang, fact.answer), 0) + 1
    num_missing = len(facts) - len(stated)
    how = f"facts of the file with the answer; {num_missing} of {len(facts)} state no frequency"
    return [float(np.log1p(counts[fact.lang, fact.answer])) for fact in facts], how
