"""The tables of a data transfer study: every number behind its figures, in plain text."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lingraft.report.formatting import NO_VALUE, figure, one_line, quantity
from lingraft.report.transfer_amounts import MARKS, Transfer, name_of, signed_bytes, span
from lingraft.units import format_bytes

_REMARKS = {
    None: "",
    "at_least": "a bound: the loss is better than the curve’s best",
    "at_most": "a bound: the loss is worse than the curve’s worst",
}
POOLED = "all sizes; no evidence, for both grow with the size"


@dataclass(frozen=True)
class NumberTable:
    """Headers and rows of text.

    Attributes:
        headers: One for each column.
        rows: Cells, as many as headers.
        num_labels: Leading columns that name the row.
        num_remarks: Trailing columns that hold words.
    """

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    num_labels: int = 1
    num_remarks: int = 0

    def is_number(self, column: int) -> bool:
        """Whether a column, counted from 0, holds numbers."""
        return self.num_labels <= column < len(self.headers) - self.num_remarks


def build_tables(record: Mapping[str, Any]) -> dict[str, NumberTable]:
    """Returns the tables of a checked record by name; those of missing parts have no rows."""
    return {
        "transfers": transfer_table(record),
        "parts": _parts(record),
        "content": _content(record),
        "texts": _texts(record),
        "units": _units(record),
        "means": _means(record),
        "runs": _runs(record),
        "similarity": _similarity(record),
        "associations": _associations(record),
        "untested": NumberTable(
            ("covariate", "why it was not tested"),
            tuple(
                (name.replace("_", " "), one_line(reason))
                for name, reason in record["untested"].items()
            ),
            num_remarks=1,
        ),
        "contamination": _contamination(record),
        "commutativity": _commutativity(record),
        "variance": _facts("share of the variance", record["variance"], share=True),
        "prediction": _facts("prediction", record["prediction"]),
        "prediction_from_all": _facts("prediction", record["prediction_from_all"]),
        "failures": NumberTable(
            ("failure", "evidence", "likely cause"),
            tuple((row["name"], row["evidence"], row["cause"]) for row in record["failures"]),
            num_remarks=2,
        ),
        "signatures": _signatures(record),
    }


def covariates(record: Mapping[str, Any]) -> list[str]:
    """Returns the names of the similarity's numbers, in the order of the record."""
    names = dict.fromkeys(key for row in record["similarity"] for key in row)
    return [
        name
        for name in names
        if all(isinstance(row.get(name), int | float | None) for row in record["similarity"])
    ]


def transfer_table(record: Mapping[str, Any]) -> NumberTable:
    """Returns D_T and all that goes with it, a row for each target, source and size."""
    headers = (
        "target",
        "source",
        "D_F",
        "D_T",
        "95 % interval",
        "D_E",
        "D_T / D_E or 0",
        "D_E / D_F",
    )
    rows = [(*_pair(record, cell), *_transfer_cells(cell)) for cell in record["transfers"]]
    return NumberTable((*headers, "remark"), tuple(rows), num_labels=2, num_remarks=1)


def _transfer_cells(cell: Transfer) -> tuple[str, ...]:
    no_ratio = "" if cell["data_finetuned_bytes"] else "no D_F to divide by"
    return (
        format_bytes(cell["data_finetuned_bytes"]),
        _marked(cell, cell["data_transferred_bytes"]),
        NO_VALUE if cell["interval"] is None else span(cell["interval"]),
        _marked(cell, cell["data_effective_bytes"]),
        _bound(cell, _percent(cell["fraction"])),
        _bound(cell, figure(cell["multiplier"], 2)),
        "; ".join(filter(None, (_REMARKS[cell["censored"]], one_line(cell["reason"]), no_ratio))),
    )


def _parts(record: Mapping[str, Any]) -> NumberTable:
    """Returns what each part carried; records of studies that name no part have no rows."""
    headers = ("target", "source", "part", "which was", "D_F", "D_T lost", "95 % interval")
    rows = [
        (
            *_pair(record, row),
            row["part"],
            row["treatment"],
            format_bytes(row["data_finetuned_bytes"]),
            _marked(row, row["carried_bytes"]),
            NO_VALUE if row["interval"] is None else span(row["interval"]),
            one_line(row["reason"]),
        )
        for row in record.get("parts", ())
    ]
    return NumberTable((*headers, "remark"), tuple(rows), num_labels=4, num_remarks=1)


def _content(record: Mapping[str, Any]) -> NumberTable:
    headers = ("target", "source", "D_F", "D_T", "D_T, characters", "D_T, bytes of equal content")
    rows = []
    for cell in record["transfers"]:
        worth, units = cell["data_transferred_bytes"], record["units"].get(cell["target"])
        characters, premium, remark = NO_VALUE, None, ""
        if units is None:
            remark = "the target’s bytes per character are not recorded"
        elif units["byte_premium"] is None or not units["byte_premium"]["value"]:
            remark = "no parallel text, so no byte premium"
        else:
            premium = units["byte_premium"]["value"]
        if worth is not None and units is not None:
            characters = f"{worth / units['bytes_per_character']:,.0f}".replace("-", "−")
        row = (
            format_bytes(cell["data_finetuned_bytes"]),
            _marked(cell, worth),
            _bound(cell, characters),
            _marked(cell, None if worth is None or premium is None else worth / premium),
            remark,
        )
        rows.append((*_pair(record, cell), *row))
    return NumberTable((*headers, "remark"), tuple(rows), num_labels=2, num_remarks=1)


def _units(record: Mapping[str, Any]) -> NumberTable:
    headers = ("target", "bytes per character", "byte premium", "95 % interval", "measured on")
    rows = []
    for target, units in record["units"].items():
        premium = units["byte_premium"] or {"value": None, "interval": None, "text": ""}
        edges = premium["interval"]
        row = (
            name_of(record, target),
            figure(units["bytes_per_character"]),
            figure(premium["value"]),
            NO_VALUE if edges is None else f"{edges[0]:.3f} to {edges[1]:.3f}",
            one_line(premium["text"]) or "no parallel text",
        )
        rows.append(row)
    return NumberTable(headers, tuple(rows), num_remarks=1)


def _means(record: Mapping[str, Any]) -> NumberTable:
    columns = ("target", "start", "text", "runs", "bits per byte", "bits per character")
    headers = (*columns, "perplexity per byte", "perplexity per character")
    groups: dict[tuple[str, str, int], list[float]] = {}
    for run in record["losses"]:
        key = (run["target"], run["init"], run["dataset_bytes"])
        groups.setdefault(key, []).append(run["nats_per_byte"])
    rows = []
    for (target, init, size), losses in groups.items():
        # In log loss, as the curve takes the mean of its runs.
        nats = math.exp(sum(map(math.log, losses)) / len(losses))
        units = record["units"].get(target)
        by_character = None if units is None else nats * units["bytes_per_character"]
        row = (
            name_of(record, target),
            name_of(record, init),
            format_bytes(size),
            str(len(losses)),
            figure(nats / math.log(2)),
            figure(by_character and by_character / math.log(2)),
            figure(math.exp(nats)),
            figure(by_character and math.exp(by_character)),
        )
        rows.append(row)
    return NumberTable(headers, tuple(rows), num_labels=2)


def _runs(record: Mapping[str, Any]) -> NumberTable:
    columns = ("target", "start", "seed", "text", "bits per byte, test", "bits per byte, valid")
    amounts = ("num_bytes", "num_characters", "num_documents")
    headers = (
        *(*columns, "bytes", "characters", "documents", "bytes processed", "learning rate"),
        *("ended by", "trunk"),
    )
    rows = []
    for run in record["losses"]:
        valid = run["valid_nats_per_byte"]
        row = (
            name_of(record, run["target"]),
            name_of(record, run["init"]),
            quantity(run["seed"]),
            format_bytes(run["dataset_bytes"]),
            figure(run["nats_per_byte"] / math.log(2), 4),
            figure(None if valid is None else valid / math.log(2), 4),
            *(quantity(run[amount]) for amount in amounts),
            quantity(run["processed_bytes"]),
            quantity(run["learning_rate"]),
            quantity(run["stopped"]),
            quantity(run["trunk"] or None),
        )
        rows.append(row)
    return NumberTable(headers, tuple(rows), num_labels=3, num_remarks=2)


def _texts(record: Mapping[str, Any]) -> NumberTable:
    """Returns every text's amount, and what was taken out of it or repaired."""
    headers = ("text", "side", "training text", "characters", "documents")
    rows = []
    for text in record["texts"]:
        row = (
            name_of(record, text["name"]),
            text["side"],
            quantity(text["train_bytes"]),
            quantity(text["train_characters"]),
            quantity(text["train_documents"]),
            _changes(text),
        )
        rows.append(row)
    return NumberTable(
        (*headers, "taken out or repaired"), tuple(rows), num_labels=2, num_remarks=1
    )


def _changes(text: Mapping[str, Any]) -> str:
    told = [
        f"{part}: {count['rows']:,} rows ({format_bytes(count['bytes'])}) that stand in held-out "
        "text too removed"
        for part, count in text["removed"].items()
        if count["rows"]
    ]
    told += [
        f"{part}: {found:,} {kind.replace('_', ' ')}"
        for part, kinds in text["repairs"].items()
        for kind, found in kinds.items()
        if found
    ]
    if "enciphered_share" in text:
        told.append(f"{text['enciphered_share']:.1%} of the letters enciphered")
    return "; ".join(told) or "nothing"


def _similarity(record: Mapping[str, Any]) -> NumberTable:
    names = covariates(record)
    rows = [
        (*_pair(record, row), *(quantity(row.get(name)) for name in names), _unknown(row))
        for row in record["similarity"]
    ]
    words = [name.replace("_", " ") for name in names]
    headers = ("target", "source", *words, "unknown")
    return NumberTable(headers, tuple(rows), num_labels=2, num_remarks=1)


def _unknown(row: Mapping[str, Any]) -> str:
    """Returns why numbers of a pair are missing, each reason once."""
    names: dict[str, list[str]] = {}
    for name, reason in row["reasons"].items():
        names.setdefault(one_line(reason), []).append(name.replace("_", " "))
    return "; ".join(f"{', '.join(of)}: {reason}" for reason, of in names.items())


def _associations(record: Mapping[str, Any]) -> NumberTable:
    headers = ("covariate", "D_F", "ρ", "p, two-sided", "cells", "remark")
    rows = []
    for row in record["associations"]:
        size = row["data_finetuned_bytes"]
        cells = (
            row["covariate"].replace("_", " "),
            "pooled" if size is None else format_bytes(size),
            figure(row["rho"], 2),
            NO_VALUE if row["p"] is None else f"{row['p']:.2g}",
            str(row["num_cells"]),
            one_line(row["reason"]) or ("" if size is not None else POOLED),
        )
        rows.append(cells)
    return NumberTable(headers, tuple(rows), num_remarks=1)


def _contamination(record: Mapping[str, Any]) -> NumberTable:
    headers = ("target", "source", "share of lines", "detection limit", "found")
    rows = [
        (
            *_pair(record, row),
            one_line(row["amount"]) or NO_VALUE,
            _percent(row["limit"]),
            one_line(row["described"]),
        )
        for row in record["contamination"]
    ]
    return NumberTable(headers, tuple(rows), num_labels=2, num_remarks=1)


def _commutativity(record: Mapping[str, Any]) -> NumberTable:
    headers = ("one", "other", "one to other", "other to one", "fold")
    rows = [
        (
            name_of(record, row["one"]),
            name_of(record, row["other"]),
            *(NO_VALUE if row[key] is None else signed_bytes(row[key]) for key in _WAYS),
            figure(row["fold"], 2),
        )
        for row in record["commutativity"]
    ]
    return NumberTable(headers, tuple(rows), num_labels=2)


_WAYS = ("there", "back")


def _signatures(record: Mapping[str, Any]) -> NumberTable:
    rows = [
        (
            *_pair(record, cell),
            format_bytes(cell["data_finetuned_bytes"]),
            f"rule: {cell['rule']}, {quantity(cell['signature'])}",
        )
        for cell in record["transfers"]
    ]
    return NumberTable(
        ("target", "source", "D_F", "signature"), tuple(rows), num_labels=2, num_remarks=1
    )


def _facts(title: str, facts: Mapping[str, Any] | None, *, share: bool = False) -> NumberTable:
    rows = [
        (
            key.replace("_", " "),
            _percent(value) if share and isinstance(value, float) else quantity(value),
        )
        for key, value in (facts or {}).items()
        if value != ""
    ]
    return NumberTable((title, "value"), tuple(rows), num_remarks=1)


def _pair(record: Mapping[str, Any], row: Mapping[str, Any]) -> Sequence[str]:
    return name_of(record, row["target"]), name_of(record, row["source"])


def _marked(cell: Transfer, num_bytes: float | None) -> str:
    return _bound(cell, NO_VALUE if num_bytes is None else signed_bytes(num_bytes))


def _bound(cell: Transfer, figure: str) -> str:
    return figure if figure == NO_VALUE else MARKS[cell["censored"]] + figure


def _percent(share: float | None) -> str:
    return NO_VALUE if share is None else f"{100 * share:.3g} %"
