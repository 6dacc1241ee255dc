"""The claims are judged as they hold, and cells are means over seeds."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lingraft.errors import InputError
from lingraft.files import read_json
from lingraft.lab import TinyDecoder, make_world
from lingraft.measurement import partial_ranks
from lingraft.pipelines.lab_outcomes import FLOORS
from lingraft.pipelines.lab_runs import Cell, LabSettings, train_cells
from lingraft.pipelines.unification_claims import acceptance
from lingraft.pipelines.unification_record import (
    RECORD,
    REPORT,
    _cells,
    _phases,
    _subgrid_claims,
    _values,
    unification_record,
)
from lingraft.runtime import Runtime
from lingraft.study.progress import NullProgress


@pytest.fixture(autouse=True)
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Verdicts here are clear: a tenth of the draws will do."""
    monkeypatch.setattr(partial_ranks, "NUM_RESAMPLES", 100)
    monkeypatch.setattr(partial_ranks, "NUM_PERMUTATIONS", 100)


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
        "bits_per_fact", "wrong_half_rate", "same_mrr", "cross_mrr",
    )  # fmt: skip
    at_end = {"value": u, "interval": None, "reason": ""}
    return {
        "axes": {"informativeness": rho, "extractability": cues, "parallel_share": share},
        "world": {"values": 8, "parallel_share": share},
        "statistics_nats": 2.0,
        "num_asked": 10,
        "num_monolingual": 300,
        "seed": seed,
        "information": {"value_bits": rho, "subject_bits": 0.5, "extractability": cues},
        "curve": points,
        "recall": {
            **{name: {"value": transfer} for name in names},
            "chance_accuracy": 0.125,
            "chance_mrr": 0.34,
        },
        "floor": {name: {"value": 0.25} for name in FLOORS},
        "language_probe": [at_end] * 4,
        "subject_language_probe": [at_end] * 4,
        "subject_unification": {"by language": [{"unification": at_end}] * 4},
        "patching": [{"same_fact_nats": at_end, "stranger_nats": {"value": -2.0}}] * 4,
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
        "(iii) held": found["(iii) held"],
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
            "(iii) middle layer", "(iii) last layer", "(iii) held",
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
    assert claims["(iv)"]["num_cells"] == len(RHOS) * len(CUES) * len(SHARES)


def test_the_verdict_is_over_cells_and_members_stand_beside_it() -> None:
    """Seeds of a cell scatter without U: over members rho falls short, over cells it does not."""
    rng = np.random.default_rng(2)
    members = []
    for rho, cues, share in itertools.product(RHOS, CUES, SHARES):
        mean = 1.0 - rho * cues * (1 - share)
        for seed, noise in enumerate(rng.permutation([-0.3, 0.0, 0.3])):
            members.append(member(rho, cues, share, seed, mean + noise, mean))
    [claim] = [
        c
        for c in acceptance(members, middle=2, last=3, seed=1)
        if c["name"] == "(iii) middle layer"
    ]
    assert claim["holds"] is True
    assert claim["found"]["rho"] > 0.9
    assert claim["found"]["num_cells"] == claim["found"]["num_clusters"] == 24
    assert claim["over_members"]["rho"] < 0.8
    assert claim["over_members"]["num_members"] == 72
    assert claim["over_members"]["num_clusters"] == 24
    low, high = claim["found"]["interval"]
    assert low <= claim["found"]["rho"] <= high


def test_seeds_without_a_figure_leave_their_cell_to_the_others() -> None:
    members = grid(lambda rho, cues, share: 1.0 - rho * cues)
    members[0]["recall"]["transfer_ratio"]["value"] = None
    [claim] = [c for c in acceptance(members, middle=2, last=3, seed=1) if c["name"] == "(iv)"]
    assert claim["over_members"]["num_members"] == len(members) - 1
    assert claim["found"]["num_cells"] == len(members) / 3


def overlapping(
    transfer: Callable[[float, float], float], u: Callable[[float, float], float]
) -> Any:
    """Members over shared and separate tokens; both quantities have noise of their own."""
    rng = np.random.default_rng(3)
    found = []
    for rho, subjects, values, seed in itertools.product(
        (0.0, 1.0), (0.0, 1.0), (0.0, 1.0), range(3)
    ):
        noise = 0.02 * rng.standard_normal(2)
        one = member(
            rho,
            1.0,
            0.2,
            seed,
            transfer(subjects, values) + noise[0],
            u(subjects, values) + noise[1],
        )
        one["axes"] = {"informativeness": rho, "subject_overlap": subjects, "value_overlap": values}
        found.append(one)
    return found


def test_overlaps_are_held_where_tokens_are_crossed() -> None:
    members = overlapping(lambda s, v: s + 0.5 * v, lambda s, v: s + 0.5 * v)
    claims = {c["name"]: c for c in _subgrid_claims(members, 2, 3, 1)}
    assert claims["(iii) middle layer"]["holds"] is True
    held = claims["(iii) held"]
    assert held["found"]["num_covariates"] == 3
    assert "subject overlap, value overlap held" in held["claim"]
    assert held["holds"] is not True
    # The world says how strong cues are where no axis does.
    assert claims["(i) strong cues"]["found"]["num_cells"] == 8
    assert claims["(ii) tied facts"]["found"]["rho"] is None
    assert claims["(ii) tied facts"]["holds"] is None
    assert _subgrid_claims([], 2, 3, 1) == []


def test_transfer_without_exception_says_nothing_matters() -> None:
    members = [
        member(rho, cues, 0.0, seed, 1.0, 1.0)
        for rho, cues, seed in itertools.product(RHOS, CUES, range(3))
    ]
    found = judged(members)
    assert found["(i) weak cues"] is True
    assert found["(ii) free facts"] is True
    assert found["(i) strong cues"] is False
    assert found["(iii) middle layer"] is None  # U does not differ either


def test_claims_without_members_are_open() -> None:
    members = [member(rho, 0.8, 0.0, seed, 1 - rho, 1.0) for rho in RHOS for seed in range(3)]
    claims = {c["name"]: c for c in acceptance(members, middle=2, last=3, seed=1)}
    assert claims["(i) strong cues"]["holds"] is None
    assert claims["(i) strong cues"]["found"]["reason"] == "no such members"


def test_few_clusters_leave_a_claim_open() -> None:
    members = [member(rho, 1.0, 0.0, seed, 1 - rho, rho) for rho in (0.0, 1.0) for seed in (0, 1)]
    claims = {c["name"]: c for c in acceptance(members, middle=2, last=3, seed=1)}
    assert claims["(i) strong cues"]["over_members"]["rho"] == pytest.approx(-1.0)
    assert claims["(i) strong cues"]["over_members"]["interval"] is None
    assert claims["(i) strong cues"]["found"]["reason"] == "2 cells, at least 3 are needed"
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
    assert tied["values"]["num_asked"]["mean"] == 10
    assert tied["values"]["estimated_bits"]["mean"] == pytest.approx(0.5 * 300)
    assert tied["values"]["floor_same_accuracy"]["mean"] == 0.25
    assert tied["values"]["chance_mrr"]["mean"] == 0.34
    assert tied["values"]["patched_stranger_nats"]["mean"] == -2.0
    assert tied["values"]["subject_unification"]["mean"] == 0.5


def phase_member(seed: int, *, full: bool = True) -> dict[str, Any]:
    """Losses are at 2 nats, what statistics leave, from step 100 to 300."""
    one = member(1.0, 1.0, 0.0, seed, 1.0, 0.5)
    template = one["curve"][0]
    losses = (4.0, 2.0, 2.0, 2.0, 1.0, 0.1, 0.0)
    accuracies = (0.0, 0.0, 0.0, 0.0, 0.6, 1.0, 1.0)
    one["curve"] = [
        {**template, "step": 100 * step, "loss_nats": loss, "same_accuracy": same if full else 0.0}
        for step, (loss, same) in enumerate(zip(losses, accuracies, strict=True))
    ]
    return one


def test_phases_go_by_what_cues_leave_and_say_of_how_many_seeds() -> None:
    [found] = _phases([phase_member(0), phase_member(1), phase_member(2, full=False)], 2, seed=0)
    assert found["floor_nats"] == 2.0
    assert found["statistics_end"]["value"] == 100
    assert found["plateau_end"]["value"] == 300
    assert found["plateau_end"]["num_defined"] == found["num_seeds"] == 3
    assert found["recall_onset"]["value"] == 400
    assert found["recall_onset"]["interval"] == [400, 400]
    assert found["recall_onset"]["by_seed"] == [400, 400, None]
    assert found["recall_onset"]["num_defined"] == 2
    assert found["recall_onset"]["reason"] == "defined for 2 of 3 seeds"
    at_ln_v = phase_member(0)
    at_ln_v["statistics_nats"] = float(np.log(8))
    [wrong] = _phases([at_ln_v], 2, seed=0)
    assert wrong["plateau_end"]["value"] is None


def test_what_is_undefined_is_not_zero() -> None:
    one = phase_member(0)
    for point in one["curve"]:
        point["layers"] = {"by language": [{"unification": None}] * 4}
        point["language_probe"] = [None] * 4
    [found] = _phases([one], 2, seed=0)
    for name in ("unification_change", "unification_at_onset", "probe_at_onset"):
        assert found[name]["value"] is None
        assert "undefined" in found[name]["reason"]
    assert found["recall_onset"]["value"] == 400


def test_trained_members_make_a_whole_record_and_report(tmp_path: Any) -> None:
    settings = LabSettings(
        TinyDecoder(width=16, num_layers=4, num_heads=2),
        steps=20,
        checkpoints=(0, 10, 20),
        batch_size=16,
        num_facts=10,
        num_resamples=10,
    )

    def trained(name: str, **axes: float) -> Any:
        cells = []
        for rho in (0.0, 1.0):
            knobs = {"subjects": 20, "relations": 2, "values": 4, "unseen_subjects": 2, **axes}
            world = make_world(**knobs, informativeness=rho, seed=1).settings  # type: ignore[arg-type]
            cells.append(Cell(world, 5, {"informativeness": rho, **axes}))
        (tmp_path / name).mkdir()
        train_cells(
            cells=cells,
            settings=settings,
            out=tmp_path / name,
            runtime=Runtime(1, device="cpu", precision="float32"),
            progress=NullProgress(),
        )
        return tmp_path / name

    out = tmp_path / "out"
    out.mkdir()
    unification_record(
        runs=[trained("grid")],
        subgrid_runs=[trained("crossed", subject_overlap=0.0)],
        scale="tiny",
        seed=0,
        out=out,
    )
    record = read_json(out / RECORD)
    assert (record["middle_layer"], record["last_layer"]) == (2, 4)
    assert record["compared_languages"] == [0, 1]
    assert record["subgrid_acceptance"][0]["name"] == "(i) strong cues"
    assert [row["floor_nats"] for row in record["phases"]] == pytest.approx([np.log(4), np.log(2)])
    page = (out / REPORT).read_text("utf-8")
    assert "Where values and subjects share their tokens or not" in page


def test_a_study_without_members_is_refused(tmp_path: Any) -> None:
    with pytest.raises(InputError) as error:
        unification_record(runs=[], subgrid_runs=[], scale="tiny", seed=0, out=tmp_path)
    assert error.value.where == "runs"
