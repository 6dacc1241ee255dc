"""lingraft store"""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="The artifact store.", no_args_is_help=True)


@app.callback()
def store() -> None:
    """Look after the artifact store."""


@app.command("prune")
def prune(
    root: Annotated[Path, typer.Argument(help="The store's folder.")],
    dry_run: Annotated[bool, typer.Option(help="Only say what would go.")] = False,
) -> None:
    """Remove artifacts that no run refers to any more.

    Example: lingraft store prune runs --dry-run
    """
    from lingraft.study import Store

    for folder in Store(root).prune(dry_run=dry_run):
        typer.echo(str(folder))
