"""The claims are judged as they hold, and cells are means over seeds."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lingraft.errors import InputError
from lingraft.pipelines.unification_claims import acceptance
from lingraft.pipelines.unification_record import _cells, _values, unification_record

RHOS, CUES, SHARES = (0.0, 0.5, 1.0), (0.0, 0.5, 0.95, 1.0), (0.0, 0.1)


def member(
    rho: float, cues: float, share: float, seed: int, transfer: float | None, u: float
) -> dict[str, Any]:
    """As `train_cells` writes one, as far as claims read it."""
    layers = [{"unification": value} for value in (1.0, u, u, u)]
    points = [
        {
            "step": step,
            "same_accuracy": same,
            "cross_accuracy": same * (transfer or 0.0),
            "loss_nats": loss,
            "layers": {"together": layers, "by language": layers},
            "language_probe": [0.5, 0.9, 0.9, 0.9],
        }
        for step, same, loss in ((0, 0.0, 6.0), (100, 0.6, 2.0), (200, 1.0, 0.1))
    ]
    names = (
        "same_accuracy", "cross_accuracy", "transfer_ratio", "overall", "transfer",
        "bits_per_fact", "transferred_bits", "wrong_half_rate",
    )  # fmt: skip
    return {
        "axes": {"informativeness": rho, "extractability": cues, "parallel_share": share},
        "world": {"values": 8},
        "seed": seed,
        "information": {"value_bits": rho, "subject_bits": 0.5, "extractability": cues},
        "curve": points,
        "recall": {name: {"value": transfer} for name in names},
        "effective_exposures": {"num_exposures": None, "reason": "none"},
    }


def grid(
    transfer: Callable[[float, float, float], float], *, foretold: bool = True
) -> list[dict[str, Any]]:
    """Members over the whole grid, three seeds, with noise; U follows transfer or nothing."""
    rng = np.random.default_rng(0)
    found = []
    for rho, cues, share, seed in itertools.product(RHOS, CUES, SHARES, range(3)):
        value = transfer(rho, cues, share) + 0.02 * rng.standard_normal()
        u = value if foretold else rng.standard_normal()
        found.append(member(rho, cues, share, seed, value, u + 0.02 * rng.standard_normal()))
    return found


def judged(members: list[dict[str, Any]]) -> dict[str, bool | None]:
    return {c["name"]: c["holds"] for c in acceptance(members, middle=2, last=3, seed=1)}


def test_two_forces_are_found_where_they_are() -> None:
    found = judged(grid(lambda rho, cues, share: 1.0 - rho * max(cues - 0.5, 0.0) * (1 - share)))
    assert found == {
        "(i) strong cues": True,
        "(i) weak cues": True,
        "(ii) tied facts": True,
        "(ii) free facts": True,
        "(iii) middle layer": True,
        "(iii) last layer": True,
        "(iv)": True,
        "(iv) held": found["(iv) held"],
    }


def test_claims_are_asked_before_repair_too() -> None:
    members = grid(lambda rho, cues, share: 1.0 - rho * max(cues - 0.5, 0.0) * (1 - share))
    for one in members:
        one["recall"]["transfer_ratio"]["value"] = 1.0  # repaired in the end
    late = judged(members)
    assert late["(i) strong cues"] is False
    early = acceptance(members, middle=2, last=3, seed=1, at_full_recall=True)
    found = {claim["name"]: claim["holds"] for claim in early}
    assert found == {
        f"{name}, at full recall": True
        for name in (
            "(i) strong cues", "(i) weak cues", "(ii) tied facts", "(ii) free facts",
            "(iii) middle layer", "(iii) last layer",
        )
    }  # fmt: skip
    for one in members:
        for point in one["curve"]:
            point["same_accuracy"] = min(point["same_accuracy"], 0.8)
    early = acceptance(members, middle=2, last=3, seed=1, at_full_recall=True)
    assert {claim["holds"] for claim in early} == {None}


def test_one_force_alone_is_told_from_two() -> None:
    ties = judged(grid(lambda rho, cues, share: 1.0 - rho))
    assert ties["(i) strong cues"] is True
    assert ties["(i) weak cues"] is False
    assert ties["(ii) tied facts"] is False
    cues = judged(grid(lambda rho, cues, share: 1.0 - cues))
    assert cues["(i) strong cues"] is False
    assert cues["(ii) free facts"] is False


def test_the_wrong_direction_does_not_hold() -> None:
    found = judged(grid(lambda rho, cues, share: rho * max(cues - 0.5, 0.0)))
    assert found["(i) strong cues"] is False
    assert found["(ii) tied facts"] is False


def test_unification_that_goes_with_nothing_foretells_nothing() -> None:
    found = judged(grid(lambda rho, cues, share: 1.0 - rho * cues, foretold=False))
    assert [found[name] for name in ("(iii) middle layer", "(iii) last layer", "(iv)")] == [
        False,
        False,
        False,
    ]


def test_what_is_left_beside_the_forces_is_asked_too() -> None:
    rng = np.random.default_rng(1)
    members = []
    for rho, cues, share, seed in itertools.product(RHOS, CUES, SHARES, range(3)):
        own = 0.2 * rng.standard_normal()
        members.append(member(rho, cues, share, seed, 1 - rho * cues + own, 1 - rho * cues + own))
    assert judged(members)["(iv) held"] is True
    claims = {c["name"]: c["found"] for c in acceptance(members, middle=2, last=3, seed=1)}
    assert claims["(iv) held"]["num_covariates"] == 3
    assert claims["(iv)"]["num_clusters"] == len(RHOS) * len(CUES) * len(SHARES)


def test_transfer_without_exception_says_nothing_matters() -> None:
    members = [
        member(rho, cues, 0.0, seed, 1.0, 1.0)
        for rho, cues, seed in itertools.product(RHOS, CUES, range(3))
    ]
    found = judged(members)
    assert found["(i) weak cues"] is True
    assert found["(ii) free facts"] is True
    assert found["(i) strong cues"] is False
    assert found["(iii) middle layer"] is False


def test_claims_without_members_are_open() -> None:
    members = [member(rho, 0.8, 0.0, seed, 1 - rho, 1.0) for rho in RHOS for seed in range(3)]
    claims = {c["name"]: c for c in acceptance(members, middle=2, last=3, seed=1)}
    assert claims["(i) strong cues"]["holds"] is None
    assert claims["(i) strong cues"]["found"]["reason"] == "no such members"


def test_few_clusters_leave_a_claim_open() -> None:
    members = [member(rho, 1.0, 0.0, seed, 1 - rho, rho) for rho in (0.0, 1.0) for seed in (0, 1)]
    claims = {c["name"]: c for c in acceptance(members, middle=2, last=3, seed=1)}
    assert claims["(i) strong cues"]["found"]["rho"] == pytest.approx(-1.0)
    assert claims["(i) strong cues"]["found"]["interval"] is None
    assert claims["(i) strong cues"]["holds"] is None


def test_cells_are_means_over_seeds() -> None:
    members = [
        member(1.0, 1.0, 0.0, seed, value, 0.5) for seed, value in enumerate((0.2, 0.4, 0.9))
    ]
    members.append(member(0.0, 1.0, 0.0, 0, None, 0.5))
    tied, free = _cells(members, _values(2, 3), seed=0)
    assert tied["axes"] == {"informativeness": 1.0, "extractability": 1.0, "parallel_share": 0.0}
    assert tied["num_seeds"] == 3
    ratio = tied["values"]["transfer_ratio"]
    assert ratio["mean"] == pytest.approx(0.5)
    assert 0.2 <= ratio["low"] < 0.5 < ratio["high"] <= 0.9
    assert tied["values"]["onset_step"]["mean"] == 100
    assert tied["values"]["effective_exposures"]["reason"] == "defined for no seed"
    assert free["values"]["transfer_ratio"]["mean"] is None
    assert free["values"]["unification"] == {
        "mean": 0.5, "low": None, "high": None, "reason": "one seed"
    }  # fmt: skip


def test_a_study_without_members_is_refused(tmp_path: Any) -> None:
    with pytest.raises(InputError) as error:
        unification_record(runs=[], subgrid_runs=[], scale="tiny", seed=0, out=tmp_path)
    assert error.value.where == "runs"
