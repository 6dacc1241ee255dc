"""Records as `record.json` holds them: checked, then read as plain values."""

from collections.abc import Iterator, Mapping, Set
from typing import Any

from lingraft.errors import InputError

FORMAT = "lingraft-adaptation-1"
SECTIONS = frozenset(
    [
        "question",
        "source_model",
        "source_lang",
        "target_lang",
        "budget_bytes",
        "budget_seconds",
        "timed",
        "table",
        "floors",
        "verdicts",
        "curves",
        "vocabulary",
        "rows",
        "coverage",
        "stages",
        "forgetting",
        "continuations",
        "corpus",
        "inputs",
        "warnings",
        "lineage",
        "environment",
        "model_path",
    ]
)
BASELINES = frozenset({"source", "random", "mean"})
_SCORE_KEYS = frozenset({"value", "unit", "numerator", "denominator", "signature"})


def checked(record: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a copy of a record whose text can be written as UTF-8.

    Half a surrogate pair, which JSON can carry and UTF-8 cannot, becomes U+FFFD.

    Raises:
        InputError: The record is of another format, or sections are missing.
    """
    found = record.get("format")
    if found != FORMAT:
        raise InputError(
            expected=f"a record of format {FORMAT!r}",
            got=repr(found),
            where="record",
            hint="write the report with the version of lingraft that made the run",
        )
    missing = sorted(SECTIONS - record.keys())
    if missing:
        raise InputError(
            expected="every section of an adaptation record",
            got=f"a record without {', '.join(missing)}",
            where="record",
        )
    copy: dict[str, Any] = encodable(record)
    return copy


def whole(
    record: Mapping[str, Any],
    *,
    format: str,
    sections: Set[str],
    entries: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Returns a copy of a study's record whose text can be written as UTF-8.

    Args:
        record: Any record.
        format: What it has to be.
        sections: Keys that it has to have.
        entries: Keys, with spaces, that every entry of a section has to have.

    Raises:
        InputError: The record is of another format or incomplete.
    """
    missing = sorted(sections - record.keys())
    if record.get("format") != format or missing:
        raise InputError(
            expected=f"a whole record of format {format!r}",
            got=f"{record.get('format')!r}, without {', '.join(missing) or 'nothing'}",
            where="record",
        )
    for section, keys in (entries or {}).items():
        for number, entry in enumerate(record[section]):
            if lacking := sorted(set(keys.split()) - entry.keys()):
                raise InputError(
                    expected=f"entries with {', '.join(keys.split())}",
                    got=f"one without {', '.join(lacking)}",
                    where=f"record, {section}[{number}]",
                )
    copy: dict[str, Any] = encodable(record)
    return copy


def graft(record: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Returns the arm that the record is about: the last that is no baseline, if there is one."""
    arms = [row for row in record["table"] if row["arm"] not in BASELINES]
    return arms[-1] if arms else None


def ngram_floor(record: Mapping[str, Any], which: str) -> Mapping[str, Any] | None:
    """Returns the lowest score that counting n-grams reaches.

    Args:
        record: A checked record.
        which: ``"a"``, counts of the training bytes, or ``"b"``, of all text that a stage saw.

    Returns:
        The score; None unless every n-gram floor has a value, for the lowest is not known then.
    """
    scores = [row[which] for row in record["floors"]["rows"] if row["key"] != "uniform"]
    if not scores or any(score is None or score["value"] is None for score in scores):
        return None
    lowest: Mapping[str, Any] = min(scores, key=lambda score: score["value"])
    return lowest


def same_text(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Returns whether two scores were measured on the same text, so that they may be compared."""
    keys = one["signature"].get("data"), other["signature"].get("data")
    return keys[0] == keys[1] and bool(one["denominator"] == other["denominator"])


def scores_of(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yields each score of a record, with the place where it stands, in the order of the record."""
    if isinstance(value, Mapping):
        if value.keys() >= _SCORE_KEYS:
            yield " › ".join(path), value
            return
        for key, item in value.items():
            yield from scores_of(item, (*path, key))
    elif isinstance(value, list):
        for number, item in enumerate(value, 1):
            yield from scores_of(item, (*path, _name(item) or str(number)))


def _name(item: Any) -> str | None:
    return (item.get("arm") or item.get("key")) if isinstance(item, Mapping) else None


def encodable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, Mapping):
        return {encodable(str(key)): encodable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [encodable(item) for item in value]
    return value
