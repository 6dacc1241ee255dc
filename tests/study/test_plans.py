"""Plans: order, rows and the tree that people read."""

import pytest
import study_functions as functions

from lingraft.errors import InputError
from lingraft.study import Plan, job, run


def diamond():
    world = job(functions.world, seed=1, costs={"num_bytes": 2_000_000})
    left = job(functions.train, name="left", data=world, costs={"flops": 1.5e12})
    right = job(functions.train, name="right", data=world, shape=functions.Shape(3))
    return world, left, right, job(functions.join, parts=[left, right], options={})


def test_every_job_comes_once_and_after_its_inputs():
    world, left, right, top = diamond()
    plan = Plan({"result": top, "again": top, "part": left})
    assert len(plan.order) == 4
    assert set(plan.order) == {world, left, right, top}
    for index, item in enumerate(plan.order):
        assert set(item.inputs) <= set(plan.order[:index])


def test_long_chains_have_an_order():
    last = job(functions.world, seed=1)
    for _ in range(1500):
        last = job(functions.train, data=last)
    assert len(Plan([last]).order) == 1501


def test_rows_and_tree(store):
    world, left, right, top = diamond()
    plan = Plan({"result": top, "again": top})
    run(Plan([left]), store=store)
    rows = {row.name: row for row in plan.describe(store)}
    assert {name: (row.depth, row.done) for name, row in rows.items()} == {
        "world": (0, True),
        "left": (1, True),
        "right": (1, False),
        "join": (2, False),
    }
    assert rows["join"].inputs == (left.fingerprint[:16], right.fingerprint[:16])
    assert rows["join"].targets == ("result", "again")
    assert rows["world"].targets == ()
    assert rows["world"].costs == {"num_bytes": 2_000_000}
    w, a, b, t = (x.fingerprint[:16] for x in (world, left, right, top))
    assert Plan([top]).tree(store).splitlines() == [
        f"join  {t}  to do",
        f"├── left  {a}  done  1.5e+12 flops",
        f"│   └── world  {w}  done  2 MB",
        f"└── right  {b}  to do",
        f"    └── world  {w}  done  2 MB",
    ]
    assert Plan({"x": left, "y": left}).tree(store).splitlines() == [
        f"left  {a}  done  1.5e+12 flops",
        f"└── world  {w}  done  2 MB",
        f"left  {a}  done  1.5e+12 flops  (inputs above)",
    ]
    assert not (store.root / "roots" / f"{plan.name}.json").exists()


@pytest.mark.parametrize(
    ("jobs", "got", "where"),
    [
        ([], "none", "plan"),
        ({"a": functions.world}, "function", "plan, job 'a'"),
        ([3], "int", "plan"),
    ],
)
def test_a_plan_holds_jobs(jobs, got, where):
    with pytest.raises(InputError) as caught:
        Plan(jobs)
    assert (caught.value.got, caught.value.where) == (got, where)


def test_names_are_unique_and_fit_a_file():
    jobs = [job(functions.world, seed=1), job(functions.world, seed=2)]
    with pytest.raises(InputError, match="got world twice; give a dictionary"):
        Plan(jobs)
    with pytest.raises(InputError, match=r"name of a plan: .*'a/b'"):
        Plan(jobs[:1], name="a/b")
