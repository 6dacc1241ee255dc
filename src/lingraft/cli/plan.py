"""lingraft plan"""

from pathlib import Path
from typing import Annotated

import typer

Settings = Annotated[
    list[str] | None, typer.Option("--set", help="A setting of the recipe, name=value.")
]
Root = Annotated[Path, typer.Option("--store", help="Folder of the artifacts.")]


def plan(
    recipe: Annotated[Path, typer.Argument(help="A Python file with plan(scale, ...).")],
    scale: Annotated[str, typer.Option(help="One of the recipe's scales: tiny, laptop, paper.")],
    settings: Settings = None,
    root: Root = Path("runs"),
) -> None:
    """Print the tree of a recipe's jobs, which are done, and what they cost in all.

    Example: lingraft plan recipes/adapt.py --scale laptop --set to=nl
    """
    from lingraft import study

    chosen = dict(study.parse_setting(text) for text in settings or ())
    made, store = study.plan_recipe(recipe, scale, chosen), study.Store(root)
    print(made.tree(store))
    print()
    for line in study.describe_totals(made.describe(store)):
        print(line)
