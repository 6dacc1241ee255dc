"""`lingraft plan`: the tree and its totals, and settings that are none in one line."""

from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., tuple[int, str, str]]
RECIPE = Path(__file__).parents[2] / "recipes" / "data_transfer.py"


def test_the_tree_ends_with_totals(run: Run, tmp_path: Path) -> None:
    code, out, err = run("plan", RECIPE, "--scale", "tiny", "--store", tmp_path / "runs")
    assert (code, err) == (0, "")
    *_, blank, to_do, in_all, costs, hours = out.splitlines()
    assert blank == ""
    assert to_do.removeprefix("to do: ") == in_all.removeprefix("in all: ")
    # The source of 8 kB read once; from scratch (2 kB + 4 kB + 8 kB) twice and 2 kB, twice each.
    assert " jobs, 68 kB, " in in_all
    assert in_all.endswith(" GPU hours")
    assert costs.startswith("costs: at most, as ")
    assert hours.startswith("GPU hours: FLOPs at an assumed 40 % of 989 TFLOP/s")


@pytest.mark.parametrize(
    ("setting", "parts"),
    [
        ("scratch_seeds=two", ("expected a whole number or null, got 'two'", "scratch_seeds")),
        ("finetuned_sizes=-5", ("expected bytes such as 150kB", "got '-5'")),
        ("one_pass=yes", ("expected true or false, got 'yes'", "one_pass")),
        ("source_bytes=850pages", ("expected bytes such as 150kB", "source_bytes")),
    ],
)
def test_settings_of_another_kind_end_with_one_line(
    run: Run, tmp_path: Path, setting: str, parts: tuple[str, ...]
) -> None:
    place = ("--store", tmp_path / "runs")
    code, out, err = run("plan", RECIPE, "--scale", "tiny", *place, "--set", setting)
    assert (code, out) == (2, "")
    [line] = err.strip().splitlines()
    assert line.startswith("lingraft: ")
    assert all(part in line for part in parts)
    assert not (tmp_path / "runs").exists()
