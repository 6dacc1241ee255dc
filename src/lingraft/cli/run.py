"""lingraft run"""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from lingraft.cli.console import Device, Threads, print_json, watching
from lingraft.cli.plan import Root, Settings
from lingraft.errors import InputError


def run(
    recipe: Annotated[Path, typer.Argument(help="A Python file with plan(scale, ...).")],
    scale: Annotated[str, typer.Option(help="One of the recipe's scales: tiny, laptop, paper.")],
    settings: Settings = None,
    root: Root = Path("runs"),
    on: Annotated[
        str, typer.Option(help="Executor: local, or shared with other processes on the store.")
    ] = "local",
    workers: Annotated[int, typer.Option(help="Processes, each with its own threads.")] = 1,
    threads: Threads = 0,
    device: Device = "auto",
) -> None:
    """Run what is missing of a recipe; one JSON record a target on stdout.

    Example: lingraft run recipes/adapt.py --scale tiny
    """
    from lingraft import study
    from lingraft.runtime import Runtime

    if workers < 1:
        raise InputError(expected="at least 1 worker", got=str(workers), where="workers")
    chosen = dict(study.parse_setting(text) for text in settings or ())
    plan = study.plan_recipe(recipe, scale, chosen)
    # Fresh interpreters rather than forks: a fork of a process with threads may never wake up.
    command = ["run", str(recipe), "--scale", scale, "--store", str(root), "--on", "shared"]
    command += ["--threads", str(threads), "--device", device]
    command += [part for text in settings or () for part in ("--set", text)]
    with watching() as progress, _helpers(command, workers - 1):
        artifacts = study.run(
            plan,
            store=study.Store(root),
            on=on if workers == 1 else "shared",
            runtime=Runtime(threads, device),
            progress=progress,
        )
    for name, artifact in artifacts.items():
        print_json({"name": name, "path": str(artifact.path), "result": artifact.result})


@contextlib.contextmanager
def _helpers(command: list[str], num: int) -> Iterator[None]:
    """Runs the command in silent processes beside this one, which tries again what fails there."""
    start = [sys.executable, "-c", "from lingraft.cli import main; main()", *command]
    helpers = [
        subprocess.Popen(start, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(num)
    ]
    try:
        yield
    finally:
        for helper in helpers:
            helper.terminate()
        for helper in helpers:
            helper.wait()
