"""Invented facts taught in one language by continued pretraining, and asked in another.

The idea of LiveCLKTBench (arXiv 2511.14774) with nothing to leak: no text of any training can hold
what was drawn just now.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from lingraft.corpus import Document, read_documents, take_bytes
from lingraft.corpus.fact_records import Fact
from lingraft.files import atomic_writer, write_json
from lingraft.languages import Language
from lingraft.model import LoadedModel, byte_lm, load, save
from lingraft.pipelines.arms import start_candidates
from lingraft.pipelines.fact_measuring import FACT_MEASURES, FactSettings, measure_facts
from lingraft.pipelines.invented_facts import GROUPS, InventedFacts, invent_facts
from lingraft.runtime import Runtime
from lingraft.seeds import derive
from lingraft.study import Progress, share_reporter
from lingraft.tokenizer.byte_vocabulary import byte_tokenizer
from lingraft.training import Packing, Schedule, Stage, continue_pretraining
from lingraft.units import Budget

VERSION = 2
RECORD = "record.json"
QUESTIONS = "questions.jsonl"
STATEMENTS = "statements.jsonl"


@dataclass(frozen=True)
class TeachingSettings:
    """What is taught and how; see `invent_facts` for the first five.

    Attributes:
        num_subjects: Invented people, four facts each.
        parallel_share: Share of them that is told in both languages.
        untaught_share: Share of them that is never told: the floor.
        num_exposures: How often a fact is told in a language.
        shared_names: Whether names have one spelling.
        ordinary_bytes: Ordinary text of each language that is mixed in, so that the model does not
            come to speak of invented people only.
        batch_bytes: Text of one step.
        window_tokens: Tokens that the model sees at once.
        learning_rate: On the plateau.
        facts: How facts are measured.
    """

    num_subjects: int
    parallel_share: float
    untaught_share: float
    num_exposures: int
    ordinary_bytes: int
    batch_bytes: int
    window_tokens: int
    learning_rate: float
    shared_names: bool = True
    facts: FactSettings = field(default_factory=FactSettings)


def make_byte_model(*, size: str, seed: int, out: Path) -> dict[str, Any]:
    """Makes a byte language model with random weights, in a folder.

    Args:
        size: One of `model.byte_lm.SIZES`.
        seed: Of the weights.
        out: The folder.
    """
    model = byte_lm(size, seed=seed)
    save(model, byte_tokenizer(), out)
    return {"num_parameters": sum(p.numel() for p in model.parameters())}


def teach_facts(
    *,
    model: Path,
    text: Sequence[Path],
    taught_lang: str,
    asked_lang: str,
    settings: TeachingSettings,
    seed: int,
    out: Path,
    runtime: Runtime,
    progress: Progress,
) -> dict[str, Any]:
    """Teaches a model invented facts in one language and asks in both, before and after.

    Args:
        model: Folder of a causal model.
        text: Files of ordinary text that have both languages.
        taught_lang: Code of the language that facts are taught in.
        asked_lang: Code of the other one.
        settings: See `TeachingSettings`.
        seed: Of facts, of the order of the text and of intervals.
        out: Folder for `record.json`, the questions (a file for ``measure --facts``) and the
            statements.
        runtime: Threads and device.
        progress: Where to report to.

    Returns:
        Recall in the taught language and in the other (P(right there | right here)), the floor of
        the facts that nobody told, U of the middle layer, all before and after, and its partial
        rank correlation with transfer.

    Raises:
        InputError: As `invent_facts` and `continue_pretraining`.
    """
    langs = (Language.parse(taught_lang), Language.parse(asked_lang))
    invented = invent_facts(
        taught_lang=langs[0],
        asked_lang=langs[1],
        num_subjects=settings.num_subjects,
        parallel_share=settings.parallel_share,
        untaught_share=settings.untaught_share,
        num_exposures=settings.num_exposures,
        shared_names=settings.shared_names,
        seed=derive(seed, "facts"),
    )
    torch.set_num_threads(runtime.threads)
    loaded = load(model, dtype=torch.float32)
    records = _measured(loaded, invented, "before", settings, seed)
    ordinary = _ordinary(text, langs, settings.ordinary_bytes)
    trained = _teach(loaded, [*invented.statements, *ordinary], settings, seed, runtime, progress)
    records += _measured(loaded, invented, "after", settings, seed)
    _write_lines(out / QUESTIONS, [question_row(fact) for fact in invented.questions.facts])
    _write_lines(out / STATEMENTS, [asdict(document) for document in invented.statements])
    summary = {
        "taught_lang": langs[0].tag,
        "asked_lang": langs[1].tag,
        "num_statements": len(invented.statements),
        **trained,
        "before": _summary(records, "before", langs),
        "after": _summary(records, "after", langs),
    }
    write_json(out / RECORD, {"summary": summary, "scores": records, "settings": asdict(settings)})
    return summary


def question_row(fact: Fact) -> dict[str, Any]:
    """Returns the row that `corpus.fact_records.read_facts` reads the fact from."""
    row = {"id": fact.id, "lang": fact.lang.tag, "prompt": fact.prompt, "answer": fact.answer}
    subject = None if fact.subject is None else fact.prompt[slice(*fact.subject)]
    optional = {
        "alternatives": list(fact.alternatives) or None,
        "subject": subject,
        "source_lang": None if fact.source_lang is None else fact.source_lang.tag,
        "frequency": fact.frequency,
    }
    return row | {key: value for key, value in optional.items() if value is not None}


def _measured(
    loaded: LoadedModel, invented: InventedFacts, when: str, settings: TeachingSettings, seed: int
) -> list[dict[str, Any]]:
    """Scores of each group that has facts."""
    records = []
    for group in GROUPS:
        data = invented.of(group)
        found = (
            measure_facts(
                loaded.model,
                loaded.tokenizer,
                data,
                on=FACT_MEASURES if group != "untaught" else ["recall"],
                seed=derive(seed, "measuring", group),
                settings=settings.facts,
            )
            if len(data)
            else []
        )
        records += [{"when": when, "group": group, **record} for record in found]
    return records


def _teach(
    loaded: LoadedModel,
    documents: list[Document],
    settings: TeachingSettings,
    seed: int,
    runtime: Runtime,
    progress: Progress,
) -> dict[str, Any]:
    start = start_candidates(loaded.tokenizer)[0]
    end = loaded.tokenizer.role_id("eos_token")
    num_bytes = sum(len(document.text.encode("utf-8")) for document in documents)
    run = continue_pretraining(
        loaded.model,
        loaded.tokenizer,
        documents,
        budget=Budget(num_bytes=num_bytes),
        packing=Packing(settings.batch_bytes, settings.window_tokens, start, end),
        schedule=Schedule(settings.learning_rate),
        stages=(Stage("all", 1.0),),
        seed=derive(seed, "teaching"),
        runtime=runtime,
        advance=share_reporter(progress, "teaching"),
    )
    return {
        "num_steps": run.step,
        "num_bytes": run.num_bytes,
        "first_nats_per_token": run.train_nats[0],
        "last_nats_per_token": run.train_nats[-1],
    }


def _ordinary(text: Sequence[Path], langs: Sequence[Language], num_bytes: int) -> list[Document]:
    """The first documents of each language."""
    found: list[Document] = []
    for lang in langs:
        found += take_bytes(read_documents(list(text), lang=lang), num_bytes)
    return found


def _summary(
    records: Sequence[dict[str, Any]], when: str, langs: Sequence[Language]
) -> dict[str, Any]:
    taught, asked = (lang.tag for lang in langs)

    def value(name: str, group: str, **fields: Any) -> dict[str, Any] | None:
        fields |= {"name": name, "group": group, "when": when}
        for record in records:
            if all(record.get(key) == wanted for key, wanted in fields.items()):
                return {key: record[key] for key in ("value", "interval", "reason")}
        return None

    return {
        **{
            f"recall_{group}_{place}": value("recall", group, lang=lang)
            for group in GROUPS
            for place, lang in (("taught_lang", taught), ("asked_lang", asked))
        },
        "transfer": value("transfer", "taught", source_lang=taught),
        "unification_taught": value("unification", "taught", at="last"),
        "unification_parallel": value("unification", "parallel", at="last"),
        "unification_transfer": value("unification_transfer", "taught", outcome="log_prob"),
    }


def _write_lines(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    with atomic_writer(path) as stream:
        for row in rows:
            stream.write(json.dumps(row, ensure_ascii=False).encode("utf-8") + b"\n")
