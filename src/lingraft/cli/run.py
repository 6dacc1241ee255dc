"""lingraft run"""

from pathlib import Path
from typing import Annotated

import typer

from lingraft.cli.console import Device, Threads, print_json, watching
from lingraft.cli.plan import Root, Settings


def run(
    recipe: Annotated[Path, typer.Argument(help="A Python file with plan(scale, ...).")],
    scale: Annotated[str, typer.Option(help="One of the recipe's scales: tiny, laptop, paper.")],
    settings: Settings = None,
    root: Root = Path("runs"),
    on: Annotated[str, typer.Option(help="Executor: local.")] = "local",
    workers: Annotated[int, typer.Option(help="Jobs at the same time.")] = 1,
    threads: Threads = 0,
    device: Device = "auto",
) -> None:
    """Run what is missing of a recipe; one JSON record a target on stdout.

    Example: lingraft run recipes/adapt.py --scale tiny
    """
    from lingraft import study
    from lingraft.runtime import Runtime

    chosen = dict(study.parse_setting(text) for text in settings or ())
    plan = study.plan_recipe(recipe, scale, chosen)
    with watching() as progress:
        artifacts = study.run(
            plan,
            store=study.Store(root),
            on=on,
            workers=workers,
            runtime=Runtime(threads, device),
            progress=progress,
        )
    for name, artifact in artifacts.items():
        print_json({"name": name, "path": str(artifact.path), "result": artifact.result})
