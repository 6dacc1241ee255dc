"""The study of unification asks of the worlds that it says it asks of."""

from pathlib import Path
from typing import Any

import pytest

from lingraft import study
from lingraft.errors import InputError
from lingraft.lab import build_world

RECIPE = Path(__file__).parents[2] / "recipes" / "unification.py"


def cells(scale: str, *, overlaps: bool = False, **given: Any) -> list[Any]:
    """All cells of a plan, of the grid or of the crossed overlaps."""
    report = study.plan_recipe(RECIPE, scale, given).targets["report"]
    jobs = report.arguments["subgrid_runs" if overlaps else "runs"]
    return [cell for job in jobs for cell in job.arguments["cells"]]


def test_the_laptops_grid_is_the_one_that_was_asked_for() -> None:
    grid = cells("laptop")
    assert len(grid) == 3 * 5 * 4 * 3
    axes = {name: sorted({cell.axes[name] for cell in grid}) for name in grid[0].axes}
    assert axes == {
        "informativeness": [0.0, 0.5, 1.0],
        "extractability": [0.0, 0.5, 0.8, 0.95, 1.0],
        "parallel_share": [0.0, 0.02, 0.1, 0.2],
    }
    assert {cell.world.seed for cell in grid} == {0, 1, 2} == {cell.seed for cell in grid}
    assert sum(cell.is_pictured for cell in grid) == 5
    assert len(cells("full")) == 450
    crossed = cells("laptop", overlaps=True)
    assert {(c.world.subject_overlap, c.world.value_overlap) for c in crossed} == {
        (one, other) for one in (0.0, 1.0) for other in (0.0, 1.0)
    }


def test_a_worlds_cues_tell_as_much_as_its_cell_says() -> None:
    for cell in cells("laptop", seeds=1, parallel_share="0.1", overlaps=False):
        found = build_world(cell.world).information()
        assert found.extractability == pytest.approx(cell.axes["extractability"], abs=1e-9)
        assert cell.world.informativeness == cell.axes["informativeness"]


def test_cells_may_be_named_one_by_one() -> None:
    chosen = cells("laptop", cells="0:1:0,1:1:0,1:0.5:0.2", seeds=1)
    assert [tuple(cell.axes.values()) for cell in chosen] == [
        (0.0, 1.0, 0.0),
        (1.0, 1.0, 0.0),
        (1.0, 0.5, 0.2),
    ]
    assert all(cell.is_pictured for cell in chosen)
    for bad in ("0:1", "0:1:x", "0;1;0"):
        with pytest.raises(InputError) as error:
            cells("laptop", cells=bad)
        assert (error.value.where, error.value.got) == ("cells", bad)


def test_the_pilot_has_the_references_rows() -> None:
    pilot = cells("pilot")
    assert len(pilot) == 26
    disjoint = [cell for cell in pilot if cell.world.subject_overlap == 0]
    assert {cell.world.parallel_share for cell in disjoint} == {0.2, 0.6, 0.8}
    assert len(cells("pilot", seeds=1)) == 14


def test_steps_shorten_the_checkpoints() -> None:
    report = study.plan_recipe(RECIPE, "laptop", {"steps": 120}).targets["report"]
    settings = report.arguments["runs"][0].arguments["settings"]
    assert settings.checkpoints == (0, 25, 50, 75, 100, 120)


@pytest.mark.parametrize(
    ("scale", "given", "where", "got"),
    [
        ("laptop", {"informativeness": "abc"}, "informativeness", "'abc'"),
        ("laptop", {"informativeness": ""}, "informativeness", "none"),
        ("laptop", {"extractability": "1,0.5,1.0"}, "extractability", "1.0 twice"),
        ("laptop", {"cells": "0:1:0,0:1:0"}, "cells", "(0.0, 1.0, 0.0) twice"),
        ("laptop", {"cells": "0:1:1"}, "parallel_share", "0"),
        ("laptop", {"parallel_share": 1.0}, "parallel_share", "0"),
        ("laptop", {"cells": "0:1:0", "parallel_share": "0"}, "cells",
         "both cells and parallel_share"),
        ("laptop", {"seeds": 0}, "seeds", "0"),
        ("laptop", {"seeds": -1}, "seeds", "-1"),
        ("laptop", {"steps": -5}, "steps", "-5"),
        ("laptop", {"steps": 0}, "steps", "0"),
        ("pilot", {"cells": "0:1:0"}, "cells", "cells=0:1:0"),
        ("pilot", {"informativeness": "1"}, "informativeness", "informativeness=1"),
        ("pilot", {"seeds": 4}, "seeds", "4"),
    ],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused_before_anything_runs(
    scale: str, given: dict[str, Any], where: str, got: str
) -> None:
    with pytest.raises(InputError) as error:
        cells(scale, **given)
    assert (error.value.where, error.value.got) == (where, got)


@pytest.mark.parametrize("given", [{"informativeness": 1}, {"informativeness": "1"}])
def test_one_value_may_come_as_a_number(given: dict[str, Any]) -> None:
    chosen = cells("laptop", extractability="1", parallel_share=0, seeds=1, **given)
    assert [cell.axes for cell in chosen] == [
        {"informativeness": 1.0, "extractability": 1.0, "parallel_share": 0.0}
    ]
