"""The model card of an adapted model: README.md with the front matter that model hubs read."""

import html
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lingraft.files import write_text
from lingraft.report import answers
from lingraft.report.formatting import (
    NOT_STATED,
    figure,
    interval,
    is_non_commercial,
    licence,
    one_line,
    quantity,
)
from lingraft.report.records import checked, graft
from lingraft.report.table import build_table
from lingraft.units import format_bytes

# The identifiers that model hubs take as they are; others go under `other` with their name.
_HUB_LICENCES = frozenset(
    {
        *("apache-2.0", "mit", "mpl-2.0", "gpl-3.0", "lgpl-3.0", "agpl-3.0", "bsd-3-clause"),
        *("cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0"),
        *("bsd-2-clause", "unlicense"),
    }
)
_MARKUP = re.compile(r"([\\`*_\[\]|~$])")
_BLOCK_START = re.compile(r"^(\d*)([-+=#]|[.)](?=\s|$))")
_LOADING = """\
```python
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

folder = {folder}  # where this file is
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
```"""
_LIMITS = """\
- The figures are of one test text of {num_test} rows; other kinds of text can cost more or less.
- Bits per byte say how well the model foresees text, not whether what it writes is true.
- The model continues text. It was not taught to follow instructions in {target}.
- It keeps the biases of its source model and of the text that it was trained on."""


def write_model_card(record: Mapping[str, Any], path: Path) -> None:
    """Writes the model card of an adapted model, in Markdown with YAML front matter.

    Args:
        record: An adaptation record, as in ``record.json``.
        path: The file to write, atomically; model hubs expect ``README.md``.

    Raises:
        InputError: The record is of another format or incomplete.
        StoreError: The file cannot be written; what was there is as it was.
    """
    known = checked(record)
    source, target = (_text(known[f"{side}_lang"]["name"]) for side in ("source", "target"))
    parts = [
        _front_matter(known),
        f"# {_text(known['source_model'])}, adapted to {target}",
        *_licence_warnings(known["inputs"]),
        f"`lingraft` gave a model of {source} a vocabulary of {target}, carried its embedding rows"
        f" over, and trained it on {_trained(known)} of {target} text.",
        _text(answers.answer(known)),
        "## How to load it",
        _LOADING.format(folder=_literal(Path(known["model_path"]).name or ".")),
        f"## Bits per byte of unseen {target}",
        _table(known),
        "## What was claimed, and whether it holds",
        _bullets(answers.verdict_line(verdict) for verdict in known["verdicts"]),
        f"## What it forgot of {source}",
        _forgetting(known),
        "## Inputs and their licences",
        _inputs(known["inputs"]),
        "## Limits",
        _LIMITS.format(num_test=quantity(known["corpus"]["num_test"]), target=target),
        "Warnings of the run:" if known["warnings"] else "",
        _bullets(known["warnings"]),
    ]
    write_text(path, "\n\n".join(part for part in parts if part) + "\n")


def _front_matter(record: Mapping[str, Any]) -> str:
    languages = [record[f"{side}_lang"]["tag"].split("-")[0] for side in ("target", "source")]
    lines = ["---", "language:", *(f"- {_literal(tag)}" for tag in dict.fromkeys(languages))]
    lines.append(f"base_model: {_literal(record['source_model'])}")
    name = _source_licence(record)
    if name != NOT_STATED:
        is_known = name.casefold() in _HUB_LICENCES
        lines.append(f"license: {name.casefold() if is_known else 'other'}")
        lines += [] if is_known else [f"license_name: {_literal(name)}"]
    lines += ["library_name: transformers", "pipeline_tag: text-generation"]
    return "\n".join([*lines, "tags:", "- lingraft", "- vocabulary-transfer", "---"])


def _trained(record: Mapping[str, Any]) -> str:
    arm = graft(record)
    return format_bytes(record["budget_bytes"] if arm is None else arm["trained_bytes"])


def _source_licence(record: Mapping[str, Any]) -> str:
    wanted = record["source_model"].casefold()
    names = {wanted, wanted.rstrip("/").rpartition("/")[2]}
    found = (item["licence"] for item in record["inputs"] if item["name"].casefold() in names)
    return licence(next(found, None))


def _licence_warnings(inputs: Sequence[Mapping[str, Any]]) -> list[str]:
    barred = [item for item in inputs if is_non_commercial(item["licence"])]
    unknown = [item for item in inputs if licence(item["licence"]) == NOT_STATED]
    warnings = []
    if barred:
        names = ", ".join(f"{_text(item['name'])} ({_text(item['licence'])})" for item in barred)
        warnings.append(f"**Not for commercial use: the licence of {names} forbids it.**")
    if unknown:
        names = ", ".join(_text(item["name"]) for item in unknown)
        warnings.append(f"**Licence not stated: {names}. Ask before you share this model.**")
    return warnings


def _table(record: Mapping[str, Any]) -> str:
    table = build_table(record)
    lines = [_line(table.headers), "| --- | ---: | ---: | ---: |"]
    for row in table.rows:
        cells = [_text(row.label), *(_text(cell.text) for cell in row.cells)]
        bold = [f"**{cell}**" if cell and row.is_graft else cell for cell in cells]
        lines.append(f"| {' | '.join(bold)} |")
    reading = (
        "Lower is better; 95 % intervals in brackets. **Only a figure below the n-grams counts as"
        " transfer**: ↓a marks figures below all n-gram counts of the training bytes, ↓b those"
        " below the counts of all target text that any stage saw."
    )
    return "\n\n".join(filter(None, ["\n".join(lines), reading, _bullets(table.notes)]))


def _forgetting(record: Mapping[str, Any]) -> str:
    rows = answers.forgetting_rows(record)
    if not rows:
        return "Not measured."
    lines = [_line([record["forgetting"]["text"], "bits per byte"]), "| --- | ---: |"]
    for row in rows:
        edges = interval(row.score["interval"]) if row.score else ""
        value = figure(row.score["value"] if row.score else None)
        lines.append(_line([row.label, f"{value} ({edges})" if edges else value]))
    explanation = (
        "The difference between the last two is vocabulary loss, which goes away with the original"
        " rows."
    )
    return "\n".join(lines) + "\n\n" + explanation


def _inputs(inputs: Sequence[Mapping[str, Any]]) -> str:
    rows = [_line([item["name"], licence(item["licence"]), item["origin"]]) for item in inputs]
    return "\n".join([_line(["input", "licence", "origin"]), "| --- | --- | --- |", *rows])


def _line(cells: Sequence[Any]) -> str:
    return f"| {' | '.join(_text(quantity(cell)) for cell in cells)} |"


def _bullets(texts: Any) -> str:
    return "\n".join(f"- {_text(text)}" for text in texts)


def _text(text: str) -> str:
    """Returns text that Markdown shows as it is: no markup, no HTML, no line of its own."""
    marked = _MARKUP.sub(r"\\\1", one_line(text))
    return html.escape(_BLOCK_START.sub(r"\1\\\2", marked), quote=False)


def _literal(text: str) -> str:
    # A JSON string is a YAML and a Python one too, but for characters that YAML cannot print.
    printable = "".join(c for c in one_line(text) if unicodedata.category(c) != "Cc")
    return json.dumps(printable, ensure_ascii=False)
