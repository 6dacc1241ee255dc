"""One adaptation as one HTML file that asks nothing of any network."""

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from lingraft.files import write_text
from lingraft.report import answers, formatting
from lingraft.report.figures import arm_colours, data_uri, draw_bars, draw_curves
from lingraft.report.records import checked, ngram_floor, scores_of
from lingraft.report.table import build_table
from lingraft.units import format_bytes

_TEMPLATE = "adaptation.html.jinja"
_STYLESHEET = "adaptation.css"


def write_report(record: Mapping[str, Any], path: Path) -> None:
    """Writes the report of an adaptation as one self-contained HTML file.

    The file holds its style and figures, runs no script, and its content security policy forbids
    every request. The same record gives the same bytes under the same version of matplotlib.

    Args:
        record: An adaptation record, as in ``record.json``.
        path: The file to write, atomically.

    Raises:
        InputError: The record is of another format or incomplete.
        StoreError: The file cannot be written; what was there is as it was.
    """
    write_text(path, _render(checked(record)))


def render(
    template: str, *, stylesheet: str | None = None, script: str | None = None, **values: Any
) -> str:
    """Returns a page made of a template of this package, the style sheet and its policy.

    Args:
        template: File of this package.
        stylesheet: Another file of this package, whose rules follow the shared ones.
        script: File of this package, the one script that the page's policy lets run: it has to
            stand in the page as it is, as `script`. None forbids all.
        values: What the template is filled with.
    """
    # The loader reads by itself in a wheel, a zip or a source tree; autoescape is on for all names.
    environment = Environment(
        loader=PackageLoader("lingraft", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "bytes": _bytes,
        "figure": formatting.figure,
        "interval": formatting.interval,
        "licence": formatting.licence,
        "quantity": formatting.quantity,
        "seconds": formatting.seconds,
        "visible": formatting.visible,
        "words": formatting.words,
    }
    loader = environment.loader
    assert loader is not None

    def read(*names: str | None) -> str:
        return "".join(loader.get_source(environment, name)[0] for name in names if name)

    style, code = read(_STYLESHEET, stylesheet), read(script)
    page = environment.get_template(template)
    return page.render(style=style, script=code, policy=_policy(style, code), **values)


def _render(record: dict[str, Any]) -> str:
    return render(
        _TEMPLATE,
        record=record,
        table=build_table(record),
        answer=answers.answer(record),
        tiles=answers.tiles(record),
        verdict_words=answers.VERDICT_WORDS,
        floor_a=ngram_floor(record, "a"),
        floor_b=ngram_floor(record, "b"),
        forgetting=answers.forgetting_rows(record),
        vocabulary_loss=answers.vocabulary_loss(record),
        non_commercial=[
            item for item in record["inputs"] if formatting.is_non_commercial(item["licence"])
        ],
        scores=list(scores_of(record)),
        colours=arm_colours(record),
        figures=_figures(record),
    )


def _figures(record: Mapping[str, Any]) -> dict[str, str | None]:
    coverage = record["coverage"]
    by_depth = sorted(coverage["by_depth"].items(), key=_depth_order)
    drawn = {
        "bytes": draw_curves(record, "num_bytes"),
        "seconds": draw_curves(record, "seconds"),
        "rules": draw_bars(list(coverage["by_rule"].items()), "rows"),
        "depths": draw_bars([(f"depth {depth}", num) for depth, num in by_depth], "rows"),
    }
    return {name: svg and data_uri(svg) for name, svg in drawn.items()}


def _depth_order(item: tuple[str, int]) -> tuple[bool, int, str]:
    depth = item[0]
    is_number = depth.isascii() and depth.isdigit()
    return (not is_number, int(depth) if is_number else 0, depth)


def _policy(style: str, script: str) -> str:
    runs = f"script-src {_source(script)}; " if script else ""
    return (
        f"default-src 'none'; style-src {_source(style)}; {runs}img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _source(code: str) -> str:
    digest = base64.b64encode(hashlib.sha256(code.encode("utf-8")).digest()).decode("ascii")
    return f"'sha256-{digest}'"


def _bytes(num_bytes: float | None) -> str:
    return formatting.NO_VALUE if num_bytes is None else format_bytes(num_bytes)
