"""Where in a model two languages meet: unification, patches and lenses, layer by layer.

Axes: L + 1 states of L layers, P prompts, D width, K continuations.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lingraft.corpus.fact_records import Fact
from lingraft.measurement.protocols import Position, Prompt, StateReader
from lingraft.measurement.state_geometry import Centring
from lingraft.measurement.unification import VERSION, Unification, middle_layer, unification
from lingraft.model.states import CausalStateReader
from lingraft.pipelines.fact_recall import facts_hash, share_score
from lingraft.seeds import derive

CENTRING: Centring = "by language"
"""What language and question have in common says nothing of the fact."""

Matched = Sequence[tuple[Fact, Fact]]


def as_prompt(fact: Fact) -> Prompt:
    """Returns the question as a reader of states takes it."""
    return Prompt(fact.prompt, fact.subject)


def pair_unification(
    reader: StateReader,
    pairs: Matched,
    *,
    at: Position,
    seed: int,
    num_resamples: int,
) -> Unification:
    """Measures how unified two languages are in each layer, see `measurement.unification`.

    Args:
        reader: The model.
        pairs: The same facts in two languages.
        at: At the prompts' last tokens, or at their subjects'.
        seed: Of the intervals.
        num_resamples: Of the intervals.
    """
    one_LPD, other_LPD = (
        reader.read([as_prompt(pair[side]) for pair in pairs], at=at) for side in (0, 1)
    )
    return unification(
        one_LPD, other_LPD, centring=CENTRING, seed=seed, num_resamples=num_resamples
    )


def unification_record(found: Unification, *, signature: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the scores of all layers; the value is U of the middle one."""
    layers = [
        {"layer": number, **{k: v for k, v in asdict(layer).items() if k != "by_fact"}}
        for number, layer in enumerate(found.layers)
    ]
    at = middle_layer(len(found.layers) - 1)
    return {
        "name": "unification",
        "unit": "difference of cosines",
        "layer": at,
        **asdict(found.layers[at].unification),
        "num_facts": found.num_facts,
        "layers": layers,
        "signature": {
            **signature,
            "method": "unification",
            "method_version": VERSION,
            "centring": found.centring,
            "seed": found.seed,
            "num_resamples": found.num_resamples,
        },
    }


def patching_record(
    reader: StateReader,
    pairs: Matched,
    *,
    num_facts: int,
    num_layers: int,
    signature: Mapping[str, Any],
    seed: int,
) -> dict[str, Any]:
    """Measures what a state of the source language is worth to the target language's answer.

    The state at the last token of the target's question is replaced by that of the same fact's
    question in the source language, and once more by that of another fact with another answer:
    the gain is how many nats less the right answer costs with the own fact. Above 0, the layers
    above can read in the source's state what the fact is.

    Args:
        reader: The model.
        pairs: Facts as the source and the target language ask for them.
        num_facts: At most so many are patched.
        num_layers: So many layers, evenly spaced, the middle one among them.
        signature: What the figures depend on.
        seed: Of the choice of facts and strangers, and of the interval.

    Returns:
        A record with the gain of every layer, in nats; the value is the middle layer's.
    """
    chosen, strangers = _strangers(pairs, num_facts, seed)
    reason = "" if chosen else "no two facts with different answers"
    states_LPD = reader.read([as_prompt(source) for source, _ in pairs]) if chosen else None
    requests = [(as_prompt(pairs[place][1]), pairs[place][1].continuation) for place in chosen]
    layers = []
    for layer in _spaced(reader.num_layers, num_layers):
        items = []
        if states_LPD is not None:
            own = reader.patched(requests, states_LPD[layer, chosen], layer=layer)
            other = reader.patched(requests, states_LPD[layer, strangers], layer=layer)
            items = [
                (b.nats - a.nats, 1.0)
                for a, b in zip(own, other, strict=True)
                if a.nats is not None and b.nats is not None
            ]
        score = share_score(
            "patching", items, unit="nats", reason=reason, signature=signature, seed=seed
        )
        layers.append({"layer": layer, **_estimate(score.to_record()), "num_facts": len(items)})
    told = next(row for row in layers if row["layer"] == middle_layer(reader.num_layers))
    return {
        "name": "patching",
        "unit": "nats",
        **told,
        "layers": layers,
        "signature": {**_signature(pairs, signature), "method": "patching", "seed": seed},
    }


def lens_record(
    reader: CausalStateReader, pairs: Matched, *, signature: Mapping[str, Any], seed: int
) -> dict[str, Any]:
    """Measures which language the layers speak: whose answer is the more probable next token.

    Every layer's state is read through the final norm and the head. Facts whose answers begin with
    one token in both languages tell nothing and are left out; ties count half.

    Args:
        reader: The model.
        pairs: Facts in the asking language, and in another one.
        signature: What the figures depend on.
        seed: Of the interval.

    Returns:
        A record with the asking language's share in every layer; the value is the middle layer's.
    """
    lens = reader.logit_lens([(as_prompt(a), [a.continuation, a.gap + b.answer]) for a, b in pairs])
    apart_P = lens.first_ids_PK[:, 0] != lens.first_ids_PK[:, 1]
    reason = "" if apart_P.any() else "all answers begin with the same token in both languages"
    layers = []
    for layer, log_probs_PK in enumerate(lens.log_probs_LPK[:, apart_P]):
        own_P, other_P = log_probs_PK[:, 0], log_probs_PK[:, 1]
        wins_P = np.where(own_P == other_P, 0.5, own_P > other_P)
        score = share_score(
            "logit_lens",
            [(float(win), 1.0) for win in wins_P],
            reason=reason,
            signature=signature,
            seed=seed,
        )
        layers.append({"layer": layer, **_estimate(score.to_record()), **_means(log_probs_PK)})
    return {
        "name": "logit_lens",
        "unit": "share",
        **layers[middle_layer(reader.num_layers)],
        "num_facts": int(apart_P.sum()),
        "num_undefined": int((~apart_P).sum()),
        "layers": layers,
        "signature": {**_signature(pairs, signature), "method": "logit_lens", "seed": seed},
    }


def _means(log_probs_PK: NDArray[np.float32]) -> dict[str, float | None]:
    """Mean probability of the first token of each language's answer."""
    means = np.exp(log_probs_PK.astype(np.float64)).mean(axis=0) if len(log_probs_PK) else None
    return {
        "own_probability": None if means is None else float(means[0]),
        "other_probability": None if means is None else float(means[1]),
    }


def _estimate(record: Mapping[str, Any]) -> dict[str, Any]:
    return {key: record[key] for key in ("value", "interval", "reason")}


def _signature(pairs: Matched, signature: Mapping[str, Any]) -> dict[str, Any]:
    return {**signature, "data": facts_hash([fact for pair in pairs for fact in pair])}


def _spaced(num_layers: int, num_wanted: int) -> list[int]:
    """Layers from 0 to the last, the middle one among them."""
    spaced = np.linspace(0, num_layers, max(min(num_wanted, num_layers + 1), 2)).round()
    return sorted({*spaced.astype(int).tolist(), middle_layer(num_layers)})


def _strangers(pairs: Matched, num_facts: int, seed: int) -> tuple[list[int], list[int]]:
    """Facts to patch, and for each another one whose answer differs in both languages."""
    order = np.random.default_rng(derive(seed, "patching")).permutation(len(pairs)).tolist()
    chosen: list[int] = []
    strangers: list[int] = []
    for at, place in enumerate(order):
        ours = pairs[place]
        others = (
            other
            for other in [*order[at + 1 :], *order[:at]]
            if all(a.answer != b.answer for a, b in zip(pairs[other], ours, strict=True))
        )
        stranger = next(others, None)
        if stranger is not None and len(chosen) < num_facts:
            chosen.append(place)
            strangers.append(stranger)
    return chosen, strangers
