"""lingraft data-transfer"""

from pathlib import Path
from typing import Annotated

import typer

from lingraft.cli.console import print_json, print_note, print_table


def data_transfer(
    losses: Annotated[
        Path,
        typer.Argument(
            metavar="LOSSES.csv",
            help="Columns target,init,dataset_bytes,perplexity_per_byte[,seed][,trunk] between "
            "commas, semicolons or tabs; init is 'scratch' or a source, sizes are bytes or 30kB.",
        ),
    ],
    rule: Annotated[
        str, typer.Option(help="log-log, power, linear, or published (to compare only).")
    ] = "log-log",
    seed: Annotated[int, typer.Option(help="Of the intervals' draws.")] = 0,
    json: Annotated[bool, typer.Option(help="One JSON record a cell on stdout.")] = False,
) -> None:
    """Weigh in bytes what pretraining was worth, from anyone's table of losses.

    Example: lingraft data-transfer losses.csv --rule log-log --json
    """
    from typing import cast

    from lingraft.measurement.data_transfer import Rule, transfer_table
    from lingraft.measurement.weighed_file import weigh_file

    weighed = weigh_file(losses, rule=cast(Rule, rule), seed=seed)
    for note in weighed.notes:
        print_note(note)
    if json:
        for record in weighed.to_records():
            print_json(record)
    else:
        print_table(transfer_table(weighed.transfers))
        for footnote in weighed.footnotes:
            print(footnote)
