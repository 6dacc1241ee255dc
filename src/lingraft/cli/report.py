"""lingraft report"""

from pathlib import Path
from typing import Annotated

import typer


def report(
    run: Annotated[
        Path, typer.Argument(help="An adapted model's or a study's folder, or a record.json.")
    ],
    out: Annotated[Path, typer.Option(help="The HTML file.")],
) -> None:
    """Write the report of an adaptation or a study again, from its record.

    Example: lingraft report lingraft-demo --out report.html
    """
    from lingraft.files import read_json
    from lingraft.pipelines.adapt import STATE
    from lingraft.report import (
        downstream,
        factors,
        interventions,
        transfer,
        unification,
        write_report,
    )

    writers = {
        downstream.FORMAT: downstream.write_downstream_report,
        factors.FORMAT: factors.write_factor_report,
        interventions.FORMAT: interventions.write_intervention_report,
        transfer.FORMAT: transfer.write_transfer_report,
        unification.FORMAT: unification.write_unification_report,
    }
    inside = [run / STATE / "record.json", run / "record.json"] if run.is_dir() else [run]
    record = read_json(next((path for path in inside if path.exists()), inside[0]))
    writers.get(record.get("format"), write_report)(record, out)
    typer.echo(str(out))
