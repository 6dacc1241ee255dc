"""Scores of models on a file of text, or on a file of facts."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from lingraft.corpus import (
    Documents,
    FactData,
    facts_from_dictionary,
    facts_from_pairs,
    read_dictionary,
    read_documents,
    read_facts,
    read_pairs,
)
from lingraft.corpus.fact_records import select_languages
from lingraft.errors import InputError
from lingraft.languages import Language
from lingraft.measurement import bits_per_byte
from lingraft.model import CausalScorer, LoadedModel, load
from lingraft.model.precision import computing_device
from lingraft.pipelines.arms import start_candidates
from lingraft.pipelines.fact_measuring import FACT_MEASURES, FactSettings, measure_facts
from lingraft.pipelines.fact_selection import language_pairs, partner_note, rejected_note
from lingraft.runtime import Runtime

BITS_PER_BYTE = "bits-per-byte"
MEASURES = (BITS_PER_BYTE, *FACT_MEASURES)

# What tells the records of one model apart.
_IDENTITY = ("name", "lang", "langs", "other_lang", "source_lang", "target_lang", "at", "outcome")


def measure_models(
    models: Sequence[str],
    *,
    on: Sequence[str],
    text: Path | None = None,
    lang: str | None = None,
    facts: Path | None = None,
    templates: Sequence[str] = (),
    base: str | None,
    runtime: Runtime,
    seed: int = 0,
    settings: FactSettings | None = None,
    note: Callable[[str], None] | None = None,
) -> list[dict[str, Any]]:
    """Returns records for each model: its scores, and their differences from the base model's.

    Each text is read after the model's own start token, or the first of its end and unknown
    tokens where it has none.

    Args:
        models: Folders or names.
        on: Some of `MEASURES`.
        text: Held-out text, for bits per byte.
        lang: Its language; of facts, the languages to ask in, with commas, all by default.
        facts: Questions on facts, for the other measures: a ``.jsonl``, see
            `corpus.fact_records.read_facts`; or else parallel text in the two languages of `lang`,
            of which prompts are made, see `corpus.made_facts.facts_from_pairs`.
        templates: Makes `facts` a dictionary that is asked for with these prompts, ``LANG=TEXT``
            with one ``{x}``, see `corpus.made_facts.facts_from_dictionary`.
        base: A model to compare the others with.
        runtime: Threads and device.
        seed: Of intervals and of candidates.
        settings: How facts are measured.
        note: Where to say what was left out of the facts.

    Raises:
        InputError: No such measure, model or file; a measure without the file that it needs;
            facts of which none has a partner in another language; parallel text without its two
            languages, or a template without one.
    """
    _check_measures(on, text=text, lang=lang, facts=facts)
    torch.set_num_threads(runtime.threads)
    documents = _documents(text, lang) if BITS_PER_BYTE in on else None
    fact_measures = [name for name in on if name in FACT_MEASURES]
    data = _facts(facts, lang, text, templates, note) if fact_measures else None
    records: list[dict[str, Any]] = []
    bases: dict[str, float | None] = {}
    for place, name in enumerate([*([base] if base else []), *models]):
        loaded = load(name, dtype=torch.float32)
        loaded.model.to(computing_device(runtime))
        found = [] if documents is None else [_bits_per_byte(loaded, documents, seed)]
        if data is not None:
            found += measure_facts(
                loaded.model,
                loaded.tokenizer,
                data,
                on=fact_measures,
                seed=seed,
                settings=settings,
                note=note,
            )
        if base and place == 0:
            bases = {_identity(record): record["value"] for record in found}
        elif base:
            found = [_compared(record, bases.get(_identity(record))) for record in found]
        records += [{"model": name, **record} for record in found]
    return records


def score_table(records: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Returns headers and rows of bits per byte for a terminal."""
    rows = [["model", "bits per byte", "95 % interval", "bytes", "tokens"]]
    for record in records:
        if record["name"] == "bits_per_byte":
            rows.append(
                [
                    record["model"],
                    *_value_cells(record),
                    f"{record['denominator']:.0f}",
                    f"{record['statistics']['num_tokens']:.0f}",
                ]
            )
    return rows


def fact_table(records: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Returns headers and rows of what was measured on facts for a terminal."""
    rows = [["model", "score", "languages", "value", "95 % interval", "facts", "layer"]]
    for record in records:
        if record["name"] == "bits_per_byte":
            continue
        place = [record[key] for key in ("at", "outcome") if key in record]
        num_facts = record.get("num_facts", record.get("denominator", 0))
        rows.append(
            [
                record["model"],
                " ".join([record["name"].replace("_", " "), *(f"({x})" for x in place)]),
                _languages(record),
                *_value_cells(record),
                f"{num_facts:.0f}",
                str(record.get("layer", "")),
            ]
        )
    return rows


def _check_measures(
    on: Sequence[str], *, text: Path | None, lang: str | None, facts: Path | None
) -> None:
    for name in on:
        if name not in MEASURES:
            raise InputError(
                expected=f"measures of {', '.join(MEASURES)}", got=repr(name), where="--on"
            )
        needed = {"--text": text, "--lang": lang} if name == BITS_PER_BYTE else {"--facts": facts}
        for option, given in needed.items():
            if given is None:
                raise InputError(expected=f"{option} for {name}", got="none", where=option)


def _documents(text: Path | None, lang: str | None) -> Documents:
    assert text is not None
    assert lang is not None
    return read_documents(text, lang=Language.parse(lang))


def _facts(
    path: Path | None,
    lang: str | None,
    text: Path | None,
    templates: Sequence[str],
    note: Callable[[str], None] | None,
) -> FactData:
    """The facts in the languages asked for, and a word on what is left out of them."""
    assert path is not None
    # With a text, --lang is the text's.
    chosen = [Language.parse(code) for code in (lang.split(",") if lang and text is None else [])]
    if templates:
        data = select_languages(_dictionary_facts(path, templates), chosen)
    elif ".jsonl" in path.suffixes:
        data = select_languages(read_facts(path), chosen)
    else:
        data = _pair_facts(path, chosen)
    language_pairs(data)  # refused before a model is loaded, and in one line alone
    for told in (rejected_note(data.rejected), partner_note(data)):
        if told and note is not None:
            note(told)
    return data


def _pair_facts(path: Path, langs: Sequence[Language]) -> FactData:
    if len(langs) != 2:
        raise InputError(
            expected="the two languages of parallel text, as in --lang en,el, and no --text",
            got=", ".join(lang.tag for lang in langs) or "none",
            where="--lang",
            hint="questions on facts are a .jsonl",
        )
    pairs = read_pairs(str(path), source_lang=langs[0], target_lang=langs[1])
    made = facts_from_pairs(pairs)
    return FactData(made.facts, (*pairs.rejected, *made.rejected))


def _dictionary_facts(dictionary: Path, templates: Sequence[str]) -> FactData:
    prompts: dict[Language, str] = {}
    for template in templates:
        code, is_given, prompt = template.partition("=")
        if not is_given:
            raise InputError(
                expected="a language and a prompt, as in 'en=The Greek word for \"{x}\" is'",
                got=repr(template),
                where="--template",
            )
        prompts[Language.parse(code)] = prompt
    # What languages the words are in is the prompts' affair.
    lang = next(iter(prompts))
    words = read_dictionary(dictionary, source_lang=lang, target_lang=lang)
    return FactData(facts_from_dictionary(prompts, words).facts, words.rejected)


def _bits_per_byte(loaded: LoadedModel, documents: Documents, seed: int) -> dict[str, Any]:
    start = start_candidates(loaded.tokenizer)[0]
    scorer = CausalScorer(loaded.model, loaded.tokenizer, start_token=start)
    return bits_per_byte(scorer, documents.records, seed=seed).to_record()


def _compared(record: dict[str, Any], before: float | None) -> dict[str, Any]:
    if record["value"] is None or before is None:
        return record
    return {**record, "difference_from_base": record["value"] - before}


def _identity(record: dict[str, Any]) -> str:
    return str([record.get(key) for key in _IDENTITY])


def _value_cells(record: dict[str, Any]) -> list[str]:
    value, interval = record["value"], record["interval"]
    return [
        f"{value:.4f}" if value is not None else f"– ({record['reason']})",
        f"{interval[0]:.3f} to {interval[1]:.3f}" if interval else "–",
    ]


def _languages(record: dict[str, Any]) -> str:
    if "source_lang" in record:
        return f"{record['source_lang']} → {record['target_lang']}"
    if "langs" in record:
        return ", ".join(record["langs"])
    return (
        f"{record['lang']} (not {record['other_lang']})"
        if "other_lang" in record
        else (record["lang"])
    )
