"""Recipes: Python files that make plans."""

import pytest
import study_functions as functions

from lingraft.errors import InputError
from lingraft.study import Plan, job, load_recipe, parse_setting, plan_recipe

GOOD = """
from __future__ import annotations
from dataclasses import dataclass
import study_functions
from lingraft.study import Plan, job

SCALES = ("tiny", "paper")

@dataclass(frozen=True)
class Sizes:
    size: int

def plan(scale: str, *, seed: int, to: str = "el") -> Plan:
    size = {"tiny": Sizes(2), "paper": Sizes(9)}[scale].size
    return Plan({to: job(study_functions.world, seed=seed, size=size)})
"""


def write(tmp_path, text, name="greek.py"):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_a_recipe_plans_at_each_scale(tmp_path):
    path = write(tmp_path, GOOD)
    plan = plan_recipe(path, "paper", {"seed": 5})
    assert plan.targets == {"el": job(functions.world, seed=5, size=9)}
    assert plan.name.startswith("greek-paper-")
    other = plan_recipe(path, "paper", {"seed": 6})
    assert other.name != plan.name  # each variant keeps its own record of what is in use
    assert plan_recipe(path, "paper", {"seed": 5}).name == plan.name
    free = write(tmp_path, GOOD.replace("seed: int, to: str = 'el'", "**x"), "free.py")
    free.write_text(free.read_text().replace('seed: int, to: str = "el"', "seed=1, to='x', **more"))
    assert plan_recipe(free, "tiny", {"anything": 1}).targets["x"].arguments["size"] == 2
    assert plan_recipe(free, "tiny").name == "free-tiny"


@pytest.mark.parametrize(
    ("scale", "settings", "expected", "got"),
    [
        ("huge", {"seed": 1}, "one of the scales tiny, paper", "'huge'"),
        ("tiny", {"seed": 1, "tu": "x"}, "the settings seed, to", "an unknown tu"),
        ("tiny", {}, "the settings seed, to", "no seed"),
    ],
)
def test_unknown_scales_and_settings_are_refused(tmp_path, scale, settings, expected, got):
    path = write(tmp_path, GOOD)
    with pytest.raises(InputError) as caught:
        plan_recipe(path, scale, settings)
    assert (caught.value.expected, caught.value.got) == (expected, got)
    assert caught.value.where == str(path)


@pytest.mark.parametrize(
    ("text", "expected", "got"),
    [
        ("x = 1", "a function plan(scale, ...)", "none"),
        ("def plan(scale): ...", "SCALES, a tuple of names", "None"),
        ("SCALES = 'tiny'\ndef plan(scale): ...", "SCALES, a tuple of names", "'tiny'"),
        ("x = 1\ndef plan(:", "Python", "invalid syntax"),
    ],
)
def test_files_that_are_no_recipes_are_refused(tmp_path, text, expected, got):
    path = write(tmp_path, text)
    with pytest.raises(InputError) as caught:
        load_recipe(path)
    assert caught.value.expected.startswith(expected)
    assert caught.value.got == got
    assert caught.value.where in (str(path), f"{path}, line 2")


def test_missing_and_misnamed_recipes_are_refused(tmp_path):
    with pytest.raises(InputError, match="got no such file"):
        load_recipe(tmp_path / "none.py")
    with pytest.raises(InputError, match=r"\(\.py\), got recipe\.txt"):
        load_recipe(write(tmp_path, GOOD, "recipe.txt"))


def test_plan_must_return_a_plan(tmp_path):
    path = write(tmp_path, "SCALES = ('tiny',)\ndef plan(scale): return [1]")
    with pytest.raises(InputError, match=r"plan\('tiny'\): expected a study.Plan, got list"):
        plan_recipe(path, "tiny")


def test_functions_of_a_recipe_are_no_jobs(tmp_path):
    text = """
from lingraft.study import Plan, job
SCALES = ("tiny",)
VERSION = 1
def mine(*, out): ...
def plan(scale): return Plan([job(mine)])
"""
    with pytest.raises(InputError, match="top level of an installed module, got <recipe greek>:mi"):
        plan_recipe(write(tmp_path, text), "tiny")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a=1", 1),
        ("a=1.0", 1.0),
        ("a=true", True),
        ("a=null", None),
        ("a=el", "el"),
        ('a="1"', "1"),
        ("a=[1, 2]", [1, 2]),
        ("a=x=y", "x=y"),
        ("a=", ""),
        ("a=NaN", "NaN"),
        ("a=[1", "[1"),
    ],
)
def test_settings_are_json_or_text(text, value):
    name, read = parse_setting(text)
    assert (name, read, type(read)) == ("a", value, type(value))


KINDS = """
from collections.abc import Mapping
from typing import Any, Literal
import study_functions
from lingraft.study import Bytes, Plan, job

SCALES = ("tiny",)

def plan(
    scale: str,
    *,
    count: int | None = None,
    share: float = 0.5,
    whether: bool | None = None,
    names: str | None = None,
    both: str | float = "1",
    text: Bytes | None = None,
    rule: Literal["up", "down"] = "up",
    columns: Mapping[str, Any] | None = None,
    free=None,
) -> Plan:
    given = [count, share, whether, names, both, text, rule, columns, free]
    return Plan([job(study_functions.world, seed=0, size=[[type(x).__name__, x] for x in given])])
"""
PLACES = ["count", "share", "whether", "names", "both", "text", "rule", "columns", "free"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("count=3", 3),
        ("count=3.0", 3),
        ("count=null", None),
        ("share=1", 1.0),
        ("share=.5", 0.5),
        ("whether=true", True),
        ("names=30000", "30000"),
        ("names=0", "0"),
        ("names=el,nl", "el,nl"),
        ("both=0.25", 0.25),
        ("both=0,1", "0,1"),
        ("text=850kB", 850_000),
        ("text=850000", 850_000),
        ("rule=down", "down"),
        ('columns={"a": 1}', {"a": 1}),
        ("free=[1]", [1]),
    ],
)
def test_settings_become_what_the_recipe_declares(tmp_path, text, value):
    name, given = parse_setting(text)
    [done] = plan_recipe(write(tmp_path, KINDS), "tiny", {name: given}).targets.values()
    found = done.arguments["size"][PLACES.index(name)]
    assert found == [type(value).__name__, value]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("count=two", "a whole number or null"),
        ("count=2.5", "a whole number or null"),
        ("count=true", "a whole number or null"),
        ("share=half", "a number"),
        ("share=NaN", "a number"),
        ("share=1" + "0" * 400, "a number"),
        ("whether=True", "true or false or null"),
        ("whether=1", "true or false or null"),
        ("names=true", "text or null"),
        ("names=[1]", "text or null"),
        ("text=850 pages", "bytes such as 150kB, 2MB or 1MiB or null"),
        ("text=0.5", "a whole number or null"),
        ("rule=sideways", "one of up, down"),
        ("columns=a", "a JSON object or null"),
    ],
)
def test_settings_of_another_kind_are_refused(tmp_path, text, expected):
    path = write(tmp_path, KINDS)
    name, value = parse_setting(text)
    with pytest.raises(InputError) as caught:
        plan_recipe(path, "tiny", {name: value})
    assert (caught.value.expected, caught.value.got) == (expected, repr(value))
    assert caught.value.where == f"{path}, setting {name}"
    assert caught.value.hint == "a value is read as JSON, else as text"


def test_kinds_that_cannot_be_read_are_refused(tmp_path):
    path = write(tmp_path, KINDS.replace("free=None", "free: 'Missing' = None"))
    with pytest.raises(InputError, match="expected annotations of names that are imported, got na"):
        plan_recipe(path, "tiny", {"count": 1})


@pytest.mark.parametrize("text", ["a", "=1", "a-b=1", ""])
def test_settings_need_a_name(text):
    with pytest.raises(InputError) as caught:
        parse_setting(text)
    assert (caught.value.expected, caught.value.got) == ("name=value", repr(text))


def test_plans_take_the_name_given():
    assert Plan([job(functions.world, seed=1)], name="mine").name == "mine"
