"""Every recipe plans at every scale, and runs at `tiny` with the real model."""

import sys
from pathlib import Path

import pytest

from lingraft import study

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.py"))


@pytest.mark.smollm2
@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_recipe_plans_at_every_scale_and_runs_at_tiny(path: Path, tmp_path: Path) -> None:
    module = study.load_recipe(path)
    store = study.Store(tmp_path / "store")
    for scale in module.SCALES:
        plan = study.plan_recipe(path, scale)
        assert plan.order
        assert plan.tree(store)
    tiny = study.plan_recipe(path, "tiny")
    artifacts = study.run(tiny, store=store)
    assert set(artifacts) == set(tiny.targets)
    assert all(row.done for row in tiny.describe(store))


def test_recipes_are_never_imported_by_the_package() -> None:
    assert not any(name.startswith("recipes") for name in sys.modules)
