"""A study of unification as one HTML file: where facts cross languages, and what states look like.

The only report with a script, of a few lines: it shows the checkpoint that a slider points at.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lingraft.files import write_text
from lingraft.report.figures import data_uri
from lingraft.report.page import render
from lingraft.report.records import whole
from lingraft.report.unification_answers import answers
from lingraft.report.unification_cells import RECALLED
from lingraft.report.unification_figures import (
    draw_curves,
    draw_early,
    draw_patching,
    draw_phase_diagram,
    early_points,
)
from lingraft.report.unification_frames import SIDE, build_films, film_steps
from lingraft.report.unification_tables import build_tables

FORMAT = "lingraft-unification-2"
SECTIONS = frozenset(
    [
        *("scale", "question", "model", "num_parameters", "steps", "middle_layer", "last_layer"),
        *("axes", "members", "cells", "acceptance", "phases", "subgrid", "subgrid_acceptance"),
    ]
)
_CLAIM = "name claim wanted found over_members holds"
ENTRIES = {
    "members": "axes seed information curve pictures recall effective_exposures patching",
    "cells": "axes num_seeds values",
    "acceptance": _CLAIM,
    "phases": "axes statistics_end plateau_start plateau_end recall_onset full_recall "
    "unification_change repair outcome num_repaired num_seeds",
    "subgrid": "axes num_seeds values",
    "subgrid_acceptance": _CLAIM,
}


def write_unification_report(record: Mapping[str, Any], path: Path) -> None:
    """Writes the report of a study of unification (arXiv 2508.11017) as one HTML file.

    Like `write_report`: no request, the same bytes for the same record. Its one script moves
    between checkpoints; without it the first is shown.

    Args:
        record: A record of format ``"lingraft-unification-2"``.
        path: The file to write, atomically.

    Raises:
        InputError: The record is of another format or incomplete.
        StoreError: The file cannot be written; what was there is as it was.
    """
    record = whole(record, format=FORMAT, sections=SECTIONS, entries=ENTRIES)
    films = build_films(record)
    page = render(
        "unification.html.jinja",
        stylesheet="unification.css",
        script="unification.js" if films else None,
        record=record,
        answers=answers(record),
        tables=build_tables(record),
        figures=_figures(record),
        films=films,
        steps=film_steps(films),
        side=SIDE,
        early=_early(record),
        recalled=RECALLED,
    )
    write_text(path, page)


def _figures(record: Mapping[str, Any]) -> dict[str, str | None]:
    drawn = {
        "diagram": draw_phase_diagram(record),
        "curves": draw_curves(record),
        "early": draw_early(record),
        "patching": draw_patching(record),
    }
    return {name: svg and data_uri(svg) for name, svg in drawn.items()}


def _early(record: Mapping[str, Any]) -> dict[str, Any]:
    """How many models are drawn, and the claim that their rank correlation decides."""
    claims = [claim for claim in record["acceptance"] if claim["name"] == "(iv)"]
    return {"num_drawn": len(early_points(record)), "claim": claims[0] if claims else None}
