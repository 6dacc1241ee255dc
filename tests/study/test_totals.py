"""What a plan costs in all: sums over jobs, each once, by what is done."""

import pytest
import study_functions as functions

from lingraft.study import Plan, describe_totals, job, run
from lingraft.study.totals import gpu_hours


def test_totals_count_each_job_once_and_part_what_is_done(store):
    world = job(functions.world, seed=1, costs={"num_bytes": 2_000_000, "num_flops": 4e18})
    left = job(functions.train, name="left", data=world, costs={"num_flops": 1e21})
    right = job(functions.train, name="right", data=world, shape=functions.Shape(3))
    plan = Plan({"a": left, "b": right, "c": world})
    run(Plan([world]), store=store)
    assert describe_totals(plan.describe(store)) == [
        "to do: 2 jobs, 1e+21 flops, 702 GPU hours",
        "in all: 3 jobs, 2 MB, 1e+21 flops, 705 GPU hours",
        "costs: at most, as 2 of 3 jobs state them",
        "GPU hours: FLOPs at an assumed 40 % of 989 TFLOP/s, the peak of an H100 or H200 in "
        "bfloat16; small models reach less",
    ]


def test_jobs_without_costs_make_no_hours(store):
    plan = Plan([job(functions.world, seed=1)])
    assert describe_totals(plan.describe(store)) == [
        "to do: 1 job",
        "in all: 1 job",
        "costs: at most, as 0 of 1 jobs state them",
    ]


def test_an_hour_is_3600_seconds_at_the_stated_speed():
    assert gpu_hours(0.4 * 989e12 * 3600) == pytest.approx(1.0)
