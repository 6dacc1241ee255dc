"""What a state of language A does to the answer in language B, layer by layer.

Axes: P questions, T tokens, L layers and the embeddings, D width.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lingraft.lab import Probes
from lingraft.lab.members import Member
from lingraft.measurement.score import bootstrap_interval
from lingraft.seeds import derive

NO_STRANGER = -1

Ints = NDArray[np.int64]


def patch_states(
    member: Member, asked: Probes, states_LPD: NDArray[np.float32], *, seed: int
) -> dict[str, Any]:
    """Returns what the right answer gains when the last prompt state of B is replaced by one of A.

    Args:
        member: Patched.
        asked: Questions in B.
        states_LPD: Last prompt states of the same facts, in the same order, asked in A.
        seed: Of the strangers and of intervals.

    Returns:
        ``patching``, by layer the mean gain in nats with its interval over facts: of A's state of
        the same fact, and of a stranger's; and ``strangers``, how many facts have one and how
        many of these of the same relation.
    """
    rows = np.arange(len(asked.fact_P))
    stranger_P = strangers(asked, seed=seed)
    plain_P = member.log_probs(asked)[rows, asked.answer_P]
    found: list[dict[str, Any]] = []
    for layer, states_PD in enumerate(states_LPD):
        gains = {}
        for name, order_P in (("same_fact", rows), ("stranger", stranger_P)):
            put = _Replaced(layer, states_PD[order_P], asked.length_P - 1)
            patched_P = member.log_probs(asked, patch=put)[rows, asked.answer_P]
            gain_P = (patched_P - plain_P)[order_P != NO_STRANGER]
            gains[f"{name}_nats"] = _mean(gain_P, derive(seed, "patching", name))
        found.append(gains)
    has_P = stranger_P != NO_STRANGER
    is_alike_P = asked.relation_P == asked.relation_P[stranger_P]
    return {
        "patching": found,
        "strangers": {
            "num_facts": int(has_P.sum()),
            "num_same_relation": int((has_P & is_alike_P).sum()),
        },
    }


def strangers(probes: Probes, *, seed: int) -> Ints:
    """Draws for each question one about another subject, of the same relation where there is one.

    A state of the same subject holds part of the right fact, and one of another relation asks
    for other values: neither is the harm that a wrong fact does.

    Returns:
        Numbers of questions, (P,); `NO_STRANGER` where all are about one subject.
    """
    rng = np.random.default_rng(derive(seed, "strangers"))
    found_P = np.full(len(probes.fact_P), NO_STRANGER)
    for place, subject in enumerate(probes.subject_P):
        is_other_P = probes.subject_P != subject
        is_best_P = is_other_P & (probes.relation_P == probes.relation_P[place])
        candidates = np.flatnonzero(is_best_P if is_best_P.any() else is_other_P)
        if len(candidates):
            found_P[place] = rng.choice(candidates)
    return found_P


def _mean(gain_P: NDArray[np.float64], seed: int) -> dict[str, Any]:
    if not len(gain_P):
        reason = "all facts are of one subject"
        return {"value": None, "interval": None, "reason": reason}
    interval = bootstrap_interval([(gain, 1.0) for gain in gain_P.tolist()], scale=1.0, seed=seed)
    return {
        "value": float(gain_P.mean()),
        "interval": None if interval is None else list(interval),
        "reason": "" if interval else "one fact has no interval",
    }


@dataclass(frozen=True)
class _Replaced:
    """Puts states in the place of those after a layer."""

    layer: int
    states_PD: NDArray[np.float32]
    place_P: Ints

    def __call__(self, layer: int, x_PTD: Any) -> Any:
        if layer != self.layer:
            return x_PTD
        changed_PTD = x_PTD.clone()
        changed_PTD[np.arange(len(self.place_P)), self.place_P] = x_PTD.new_tensor(self.states_PD)
        return changed_PTD
