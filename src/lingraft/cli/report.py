"""lingraft report"""

from pathlib import Path
from typing import Annotated

import typer


def report(
    run: Annotated[Path, typer.Argument(help="An adapted model's folder, or a record.json.")],
    out: Annotated[Path, typer.Option(help="The HTML file.")],
) -> None:
    """Write the report of an adaptation again, from its record.

    Example: lingraft report lingraft-demo --out report.html
    """
    from lingraft.files import read_json
    from lingraft.pipelines.adapt import STATE
    from lingraft.report import write_report

    record = run / STATE / "record.json" if run.is_dir() else run
    write_report(read_json(record), out)
    typer.echo(str(out))
