"""The claims about two forces, put to the test over the members of a study.

They are the reference's acceptance tests for arXiv 2508.11017: informativeness and extractability
each hinder transfer where the other is high, and unification foretells it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from lingraft.measurement.partial_ranks import RankCorrelation, partial_spearman, spearman
from lingraft.measurement.phases import onset_step
from lingraft.seeds import derive

AXES = ("informativeness", "extractability", "parallel_share")

STRONG_CUES, WEAK_CUES, STRONG_TIE = 0.95, 0.5, 0.5
FULL_RECALL = 0.9
WANTED_RHO = 0.8
"""Of U with transfer over cells, by the reference."""

Member = Mapping[str, Any]
Value = Callable[[Member], float | None]
When = Callable[[Member], Mapping[str, Any] | None]


@dataclass(frozen=True)
class _Claim:
    """One claim, and the members that it is about."""

    name: str
    claim: str
    wanted: str
    members: list[Member]
    x: Value
    y: Value
    held: tuple[Value, ...]
    judge: Callable[[RankCorrelation], bool]


def acceptance(
    members: Sequence[Member],
    *,
    middle: int,
    last: int,
    seed: int,
    at_full_recall: bool = False,
) -> list[dict[str, Any]]:
    """Tests the claims by rank correlations over members, the seeds of one cell resampled as one.

    U is that of facts which are not among those asked for recall, centred by language.

    Args:
        members: As `train_cells` writes them.
        middle: Number of the middle layer.
        last: Number of the last layer.
        seed: Of intervals and permutations.
        at_full_recall: Take transfer and U at the first checkpoint with `FULL_RECALL` of the facts
            recalled in their own language, instead of the last one: late repair lifts most cells to
            the ceiling, where ranks are noise.
    """
    transfer, point = (_at_full(_ratio), _full) if at_full_recall else (transfer_ratio, _end)
    claims = [
        *_force_claims(members, transfer),
        *(
            _Claim(
                f"(iii) {name} layer",
                f"U of the {name} layer goes with transfer",
                f"rho at least {WANTED_RHO}",
                list(members),
                unification_of(layer, point),
                transfer,
                (),
                lambda found: found.rho is not None and found.rho >= WANTED_RHO,
            )
            for name, layer in (("middle", middle), ("last", last))
        ),
        _Claim(
            "(iv)",
            "U of the middle layer at the onset of recall foretells the final transfer",
            "rho above 0, with its interval",
            list(members),
            lambda member: unification_at_onset(member, middle),
            transfer_ratio,
            (),
            _is_above_zero,
        ),
        _Claim(
            "(iv) held",
            "the same, with informativeness, extractability and parallel share held",
            "rho above 0, with its interval",
            list(members),
            lambda member: unification_at_onset(member, middle),
            transfer_ratio,
            tuple(axis(name) for name in AXES),
            _is_above_zero,
        ),
    ]
    if at_full_recall:
        early = [claim for claim in claims if not claim.name.startswith("(iv)")]
        claims = [replace(claim, name=f"{claim.name}, at full recall") for claim in early]
    return [_tested(claim, derive(seed, "acceptance", claim.name)) for claim in claims]


def _force_claims(members: Sequence[Member], transfer: Value) -> list[_Claim]:
    """Each force hinders transfer where the other is strong, and does not where it is weak."""
    ties, cues = axis("informativeness"), axis("extractability")
    parallel = axis("parallel_share")

    def chosen(axis: Value, keep: Callable[[float], bool]) -> list[Member]:
        return [m for m in members if (value := axis(m)) is not None and keep(value)]

    low, none = "rho below 0, with its interval", "an interval that holds 0, or transfer constant"
    cases = [
        ("(i) strong cues", "informativeness hinders transfer where cues are strong", low,
         chosen(cues, lambda e: e >= STRONG_CUES), ties, (parallel, cues), _is_below_zero),
        ("(i) weak cues", "informativeness does not matter where cues are weak", none,
         chosen(cues, lambda e: e <= WEAK_CUES), ties, (parallel, cues), _is_nothing),
        ("(ii) tied facts", "cues hinder transfer where facts are tied to a language", low,
         chosen(ties, lambda rho: rho >= STRONG_TIE), cues, (parallel, ties), _is_below_zero),
        ("(ii) free facts", "cues do not matter where facts are not tied", none,
         chosen(ties, lambda rho: rho == 0.0), cues, (parallel,), _is_nothing),
    ]  # fmt: skip
    return [
        _Claim(name, claim, wanted, some, x, transfer, held, judge)
        for name, claim, wanted, some, x, held, judge in cases
    ]


def _tested(claim: _Claim, seed: int) -> dict[str, Any]:
    whole = [row for m in claim.members if (row := _row(claim, m)) is not None]
    x, y = [row[0] for row in whole], [row[1] for row in whole]
    clusters = [row[3] for row in whole]
    columns = [[row[2][place] for row in whole] for place in range(len(claim.held))]
    # A covariate that is the same everywhere holds nothing.
    varying = [column for column in columns if len(set(column)) > 1]
    if not whole:
        found = RankCorrelation(None, None, None, 0, 0, len(claim.held), 0, "no such members")
    elif varying:
        found = partial_spearman(x, y, varying, clusters=clusters, seed=seed)
    else:
        found = spearman(x, y, clusters=clusters, seed=seed)
    is_constant = bool(whole) and len(set(y)) == 1
    holds: bool | None = None
    if is_constant:
        holds = claim.judge is _is_nothing
    elif found.interval is not None:
        holds = claim.judge(found)
    return {
        "name": claim.name,
        "claim": claim.claim,
        "wanted": claim.wanted,
        "found": asdict(found),
        "holds": holds,
    }


def _row(claim: _Claim, member: Member) -> tuple[float, float, list[float], str] | None:
    """x, y, what is held, and the cell; None where one of them is undefined."""
    x, y = claim.x(member), claim.y(member)
    held = [value for hold in claim.held if (value := hold(member)) is not None]
    if x is None or y is None or len(held) < len(claim.held):
        return None
    return x, y, held, cell_name(member)


def _is_below_zero(found: RankCorrelation) -> bool:
    return found.interval is not None and found.interval[1] < 0


def _is_above_zero(found: RankCorrelation) -> bool:
    return found.interval is not None and found.interval[0] > 0


def _is_nothing(found: RankCorrelation) -> bool:
    return found.interval is not None and found.interval[0] <= 0 <= found.interval[1]


def axis(name: str) -> Value:
    """Reads an axis of a member's cell."""
    return lambda member: member["axes"].get(name)


def transfer_ratio(member: Member) -> float | None:
    """Reads the final transfer ratio."""
    value: float | None = member["recall"]["transfer_ratio"]["value"]
    return value


def _end(member: Member) -> Mapping[str, Any] | None:
    last: Mapping[str, Any] = member["curve"][-1]
    return last


def _full(member: Member) -> Mapping[str, Any] | None:
    """The first checkpoint at which facts are recalled in their own language."""
    return next((p for p in member["curve"] if p["same_accuracy"] >= FULL_RECALL), None)


def _ratio(point: Mapping[str, Any]) -> float:
    return float(point["cross_accuracy"] / point["same_accuracy"])


def _at_full(value: Callable[[Mapping[str, Any]], float]) -> Value:
    def found(member: Member) -> float | None:
        point = _full(member)
        return None if point is None else value(point)

    return found


def unification_of(layer: int, when: When = _end) -> Value:
    """Reads U of a layer at one of a member's checkpoints, the last by default."""

    def found(member: Member) -> float | None:
        point = when(member)
        return None if point is None else unification_at(point, layer)

    return found


def unification_at(point: Mapping[str, Any], layer: int) -> float | None:
    """Reads U of a layer, centred by language, at a checkpoint."""
    value: float | None = point["layers"]["by language"][layer]["unification"]
    return value


def onset(member: Member) -> int | None:
    """Finds the first step at which half of the facts are recalled in their own language."""
    curve = member["curve"]
    found = onset_step(
        [point["step"] for point in curve], [point["same_accuracy"] for point in curve]
    )
    return found.step


def unification_at_onset(member: Member, layer: int) -> float | None:
    """Reads U of a layer, centred by language, at the onset of recall."""
    step = onset(member)
    return next((unification_at(p, layer) for p in member["curve"] if p["step"] == step), None)


def cell_name(member: Member) -> str:
    """Names a member's cell; its seeds have the same name."""
    return ", ".join(f"{name} {value}" for name, value in sorted(member["axes"].items()))
