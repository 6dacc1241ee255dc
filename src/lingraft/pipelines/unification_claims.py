"""The claims about two forces, put to the test over the cells of a study.

They are the reference's acceptance tests for arXiv 2508.11017: informativeness and extractability
each hinder transfer where the other is high, and unification foretells it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import fmean
from typing import Any

from lingraft.measurement.partial_ranks import RankCorrelation, partial_spearman
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
Judge = Callable[[RankCorrelation], bool]


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
    judge: Judge


@dataclass(frozen=True)
class _Row:
    """What a claim compares, of a member or of a cell."""

    x: float
    y: float
    held: list[float]
    cell: str


def acceptance(
    members: Sequence[Member],
    *,
    middle: int,
    last: int,
    seed: int,
    axes: Sequence[str] = AXES,
    at_full_recall: bool = False,
) -> list[dict[str, Any]]:
    """Tests the claims by rank correlations over cells, as the reference's (iii) has it.

    A cell counts with the means of its seeds, and cells are resampled for the interval that a
    verdict goes by. Beside it stands the correlation over members, the seeds of one cell resampled
    as one: it also asks whether seeds of one cell differ as the claim has it. U is that of facts
    which are not among those asked for recall, centred by language.

    Args:
        members: As `train_cells` writes them.
        middle: Number of the middle layer.
        last: Number of the last layer.
        seed: Of intervals and permutations.
        axes: In which the cells differ; all but the one a claim is about are held.
        at_full_recall: Take transfer and U at the first checkpoint with `FULL_RECALL` of the facts
            recalled in their own language, instead of the last one: late repair lifts most cells to
            the ceiling, where ranks are noise.
    """
    transfer, point = (_at_full(_ratio), _full) if at_full_recall else (transfer_ratio, _end)
    claims = [
        *_force_claims(members, transfer, axes),
        *_unification_claims(members, transfer, point, middle=middle, last=last, axes=axes),
    ]
    if at_full_recall:
        early = [claim for claim in claims if not claim.name.startswith("(iv)")]
        claims = [replace(claim, name=f"{claim.name}, at full recall") for claim in early]
    return [_tested(claim, derive(seed, "acceptance", claim.name)) for claim in claims]


def _unification_claims(
    members: Sequence[Member],
    transfer: Value,
    point: When,
    *,
    middle: int,
    last: int,
    axes: Sequence[str],
) -> list[_Claim]:
    """U goes with transfer and foretells it, also where all axes are held."""
    held = tuple(map(axis, axes))
    high, above = f"rho at least {WANTED_RHO}", "rho above 0, with its interval"
    goes, foretells = "goes with transfer", "at the onset of recall foretells the final transfer"
    holding = f"with {', '.join(name.replace('_', ' ') for name in axes)} held"
    at_onset = _onset_value(middle)
    cases: list[tuple[str, str, str, Value, Value, tuple[Value, ...], Judge]] = [
        ("(iii) middle layer", f"U of the middle layer {goes}", high,
         unification_of(middle, point), transfer, (), _is_strong),
        ("(iii) last layer", f"U of the last layer {goes}", high,
         unification_of(last, point), transfer, (), _is_strong),
        ("(iii) held", f"U of the middle layer {goes}, {holding}", above,
         unification_of(middle, point), transfer, held, _is_above_zero),
        ("(iv)", f"U of the middle layer {foretells}", above, at_onset, transfer_ratio, (),
         _is_above_zero),
        ("(iv) held", f"the same, {holding}", above, at_onset, transfer_ratio, held,
         _is_above_zero),
    ]  # fmt: skip
    return [
        _Claim(name, claim, wanted, list(members), x, y, covariates, judge)
        for name, claim, wanted, x, y, covariates, judge in cases
    ]


def _force_claims(members: Sequence[Member], transfer: Value, axes: Sequence[str]) -> list[_Claim]:
    """Each force hinders transfer where the other is strong, and does not where it is weak."""
    ties, cues = axis("informativeness"), axis("extractability")

    def all_but(name: str) -> tuple[Value, ...]:
        return tuple(axis(other) for other in axes if other != name)

    beside_ties, beside_cues = all_but("informativeness"), all_but("extractability")

    def chosen(axis: Value, keep: Callable[[float], bool]) -> list[Member]:
        return [m for m in members if (value := axis(m)) is not None and keep(value)]

    low, none = "rho below 0, with its interval", "an interval that holds 0, or transfer constant"
    cases = [
        ("(i) strong cues", "informativeness hinders transfer where cues are strong", low,
         chosen(cues, lambda e: e >= STRONG_CUES), ties, beside_ties, _is_below_zero),
        ("(i) weak cues", "informativeness does not matter where cues are weak", none,
         chosen(cues, lambda e: e <= WEAK_CUES), ties, beside_ties, _is_nothing),
        ("(ii) tied facts", "cues hinder transfer where facts are tied to a language", low,
         chosen(ties, lambda rho: rho >= STRONG_TIE), cues, beside_cues, _is_below_zero),
        ("(ii) free facts", "cues do not matter where facts are not tied", none,
         chosen(ties, lambda rho: rho == 0.0), cues, beside_cues, _is_nothing),
    ]  # fmt: skip
    return [
        _Claim(name, claim, wanted, some, x, transfer, held, judge)
        for name, claim, wanted, some, x, held, judge in cases
    ]


def _tested(claim: _Claim, seed: int) -> dict[str, Any]:
    rows = [row for member in claim.members if (row := _row(claim, member)) is not None]
    cells = _over_cells(rows)
    found = _correlated(cells, len(claim.held), seed)
    over_members = asdict(_correlated(rows, len(claim.held), seed))
    num_members = over_members.pop("num_cells")
    return {
        "name": claim.name,
        "claim": claim.claim,
        "wanted": claim.wanted,
        "found": asdict(found),
        "over_members": {**over_members, "num_members": num_members},
        "holds": _verdict(claim, cells, found),
    }


def _over_cells(rows: Sequence[_Row]) -> list[_Row]:
    """The means of each cell over the seeds that have all that the claim asks for."""
    groups: dict[str, list[_Row]] = {}
    for row in rows:
        groups.setdefault(row.cell, []).append(row)
    return [
        _Row(
            fmean(row.x for row in group),
            fmean(row.y for row in group),
            [fmean(values) for values in zip(*(row.held for row in group), strict=True)],
            cell,
        )
        for cell, group in groups.items()
    ]


def _correlated(rows: Sequence[_Row], num_held: int, seed: int) -> RankCorrelation:
    if not rows:
        return RankCorrelation(None, None, None, 0, 0, num_held, 0, "no such members")
    columns = [[row.held[place] for row in rows] for place in range(num_held)]
    # A covariate that is the same everywhere holds nothing.
    varying = [column for column in columns if len(set(column)) > 1]
    return partial_spearman(
        [row.x for row in rows],
        [row.y for row in rows],
        varying,
        clusters=[row.cell for row in rows],
        seed=seed,
    )


def _verdict(claim: _Claim, cells: Sequence[_Row], found: RankCorrelation) -> bool | None:
    num_x, num_y = len({cell.x for cell in cells}), len({cell.y for cell in cells})
    if num_x > 1 and num_y == 1:
        return claim.judge is _is_nothing
    return None if found.interval is None else claim.judge(found)


def _row(claim: _Claim, member: Member) -> _Row | None:
    """What the claim compares of a member; None where a part of it is undefined."""
    x, y = claim.x(member), claim.y(member)
    held = [value for hold in claim.held if (value := hold(member)) is not None]
    if x is None or y is None or len(held) < len(claim.held):
        return None
    return _Row(x, y, held, cell_name(member))


def _is_strong(found: RankCorrelation) -> bool:
    return found.rho is not None and found.rho >= WANTED_RHO


def _is_below_zero(found: RankCorrelation) -> bool:
    return found.interval is not None and found.interval[1] < 0


def _is_above_zero(found: RankCorrelation) -> bool:
    return found.interval is not None and found.interval[0] > 0


def _is_nothing(found: RankCorrelation) -> bool:
    return found.interval is not None and found.interval[0] <= 0 <= found.interval[1]


def axis(name: str) -> Value:
    """Reads an axis of a member's cell; where cells do not name it, what its world has there."""

    def found(member: Member) -> float | None:
        for part in ("axes", "world", "information"):
            if name in member[part]:
                value: float | None = member[part][name]
                return value
        return None

    return found


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


def _onset_value(layer: int) -> Value:
    return lambda member: unification_at_onset(member, layer)


def cell_name(member: Member) -> str:
    """Names a member's cell; its seeds have the same name."""
    return ", ".join(f"{name} {value}" for name, value in sorted(member["axes"].items()))
