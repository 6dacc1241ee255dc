"""What a record answers, in sentences: the same sentence whether the answer is yes or no."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lingraft.report.formatting import figure, one_line
from lingraft.report.records import graft, ngram_floor
from lingraft.units import format_bytes

VERDICT_WORDS = {True: "holds", False: "does not hold", None: "undecided"}


@dataclass(frozen=True)
class Tile:
    """One figure that stands for a part of the answer, and what it is."""

    figure: str
    caption: str


@dataclass(frozen=True)
class ForgettingRow:
    """Bits per byte of the source language at one point, and the change since the first one."""

    label: str
    score: Mapping[str, Any]
    change: float | None


def answer(record: Mapping[str, Any]) -> str:
    """Returns the answer to a record's question as one paragraph of plain text."""
    sentences = [*_graft_sentences(record), *_floor_sentences(record), _verdict_sentence(record)]
    return " ".join(sentences)


def tiles(record: Mapping[str, Any]) -> list[Tile]:
    """Returns the few figures that a reader who reads nothing else should see."""
    found: list[Tile] = []
    main, floor = graft(record), ngram_floor(record, "a")
    budget = format_bytes(record["budget_bytes"])
    if main is not None and (value := _value(main["after_bytes"])) is not None:
        found.append(Tile(figure(value), f"bits per byte of the graft after {budget}"))
    if floor is not None:
        found.append(Tile(figure(floor["value"]), "bits per byte by counting the same bytes (a)"))
    sizes = record["vocabulary"]
    before, after = sizes["source_tokens_per_byte"], sizes["target_tokens_per_byte"]
    if before and after:
        found.append(Tile(f"{after / before:.0%}", "of the tokens that the same text took before"))
    return found


def forgetting_rows(record: Mapping[str, Any]) -> list[ForgettingRow]:
    """Returns the three measurements of forgetting, none where forgetting was not measured."""
    measured = record["forgetting"]
    if measured is None:
        return []
    name = record["source_lang"]["name"]
    labels = {
        "before": f"{name} before the adaptation",
        "after_new_vocabulary": f"{name} after it, through the new vocabulary",
        "after_original_rows": f"{name} after it, with the original rows put back",
    }
    start = _value(measured["before"])
    rows = []
    for key, label in labels.items():
        change = None if key == "before" else _difference(_value(measured[key]), start)
        rows.append(ForgettingRow(label=label, score=measured[key], change=change))
    return rows


def vocabulary_loss(record: Mapping[str, Any]) -> float | None:
    """Returns the bits per byte of the source language that the change of vocabulary cost."""
    measured = record["forgetting"]
    if measured is None:
        return None
    return _difference(
        _value(measured["after_new_vocabulary"]), _value(measured["after_original_rows"])
    )


def verdict_line(verdict: Mapping[str, Any]) -> str:
    """Returns a claim, whether it holds, and the figures, in one line."""
    word = VERDICT_WORDS[verdict["holds"]]
    return one_line(f"{verdict['claim']}: {word}. {verdict['detail']}")


def _graft_sentences(record: Mapping[str, Any]) -> list[str]:
    main = graft(record)
    if main is None:
        return ["No graft was among the models measured."]
    budget = format_bytes(record["budget_bytes"])
    name, language = one_line(main["label"]), one_line(record["target_lang"]["name"])
    after, before = _value(main["after_bytes"]), _value(main["before"])
    if after is None:
        return [f"After {budget} of {language} text there is no figure for “{name}”."]
    earlier = "" if before is None else f", against {figure(before)} before any training"
    return [
        f"After {budget} of {language} text, “{name}” needs {figure(after)} bits for each byte of"
        f" unseen text{earlier}."
    ]


def _floor_sentences(record: Mapping[str, Any]) -> list[str]:
    known = {
        which: floor for which in ("a", "b") if (floor := ngram_floor(record, which)) is not None
    }
    texts = {"a": "of the same training bytes (a)", "b": "of all text that any stage saw (b)"}
    told = [
        f"{figure(floor['value'])} from counts {texts[which]}" for which, floor in known.items()
    ]
    return [f"Counting n-grams alone reaches {' and '.join(told)}."] if told else []


def _verdict_sentence(record: Mapping[str, Any]) -> str:
    holds = [verdict["holds"] for verdict in record["verdicts"]]
    if not holds:
        return "No claim was put to the test."
    parts = [
        f"{holds.count(True)} {'holds' if holds.count(True) == 1 else 'hold'}",
        f"{holds.count(False)} {'does' if holds.count(False) == 1 else 'do'} not hold",
    ]
    if holds.count(None):
        parts.append(f"{holds.count(None)} could not be decided")
    claims = "the 1 claim" if len(holds) == 1 else f"the {len(holds)} claims"
    return f"Of {claims} put to the test, {', '.join(parts)}."


def _difference(value: float | None, start: float | None) -> float | None:
    return None if value is None or start is None else value - start


def _value(score: Mapping[str, Any] | None) -> float | None:
    return None if score is None else score["value"]
