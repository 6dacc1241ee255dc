"""The study of how rows depend on parallel data: one factor varied at a time, one job a result."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from lingraft.errors import InputError
from lingraft.languages import Language
from lingraft.pipelines.condition_figures import (
    FigureSettings,
    condition_floors,
    measure_rows,
    train_rows,
)
from lingraft.pipelines.condition_record import study_record
from lingraft.pipelines.condition_rows import condition_links, condition_rows
from lingraft.pipelines.conditions import (
    Condition,
    clean_corpus,
    condition_corpus,
    make_dictionary,
)
from lingraft.pipelines.corpora import prepare_corpus
from lingraft.pipelines.factors import Factor
from lingraft.pipelines.tiny_models import make_tiny_model
from lingraft.pipelines.vocabularies import new_tokenizer, uses_links
from lingraft.study import File, Job, Plan, job
from lingraft.training.loop import Objective
from lingraft.units import Budget


@dataclass(frozen=True)
class LanguageFiles:
    """Text and pairs of one new language.

    Attributes:
        text: Files of its text.
        pairs: Files of pairs with the first source language.
        second_pairs: Files of pairs with the second one.
        test: Held-out rows; drawn from the text if None.
        valid: Rows for calibration.
    """

    text: Sequence[Path]
    pairs: Sequence[Path]
    second_pairs: Sequence[Path] = ()
    test: Path | None = None
    valid: Path | None = None


@dataclass(frozen=True)
class TinyModels:
    """How the tiny models of the objectives' factor are made.

    Attributes:
        text: File of text of the source language.
        vocab_size: Ids of their tokenizer.
        width: Of the models.
        num_layers: Layers.
        budget: Text to train on; None leaves them random.
    """

    text: Path
    vocab_size: int
    width: int
    num_layers: int
    budget: Budget | None


@dataclass(frozen=True)
class StudyInputs:
    """What the study starts from.

    Attributes:
        model: Folder of the source model; None for the causal one of `tiny`.
        tiny: The tiny models.
        source_lang: The source model's main language.
        second_lang: A second language with pairs, for the factor of source languages.
        languages: Files by code of the new language.
        other_pairs: File of pairs of another domain.
        dictionary: A TSV of words and translations; None takes the words that are linked most.
        gold: A TSV of gold links, see `condition_rows.condition_links`.
        vocab_size: Ids of the new vocabularies.
        num_test: Rows that are measured on.
        num_probe: Pairs on which links are compared.
        seed: Of splits, shuffles and random rows.
    """

    model: Path | None
    tiny: TinyModels
    source_lang: Language
    second_lang: Language
    languages: Mapping[str, LanguageFiles]
    other_pairs: Path | None = None
    dictionary: Path | None = None
    gold: Path | None = None
    vocab_size: int = 8_000
    num_test: int = 40
    num_probe: int = 500
    seed: int = 0


def study_plan(inputs: StudyInputs, factors: Sequence[Factor], settings: FigureSettings) -> Plan:
    """Returns the jobs of the study, without running any.

    Jobs that conditions have in common are there once. The target `report` gathers all figures
    into `record.json` and `report.html`.

    Args:
        inputs: Model, text and pairs.
        factors: What is varied.
        settings: How conditions are trained.

    Raises:
        InputError: A factor names a language, a second source or a domain without files.
    """
    builder = _Builder(inputs, settings)
    tables = [
        {
            "name": factor.name,
            "question": factor.question,
            "levels": [
                {
                    "label": level.label,
                    "condition": asdict(level.condition),
                    **builder.results(level.condition),
                    "reference": builder.figures(level.reference),
                }
                for level in factor.levels
            ],
        }
        for factor in factors
    ]
    report = job(
        study_record,
        name="report",
        model=str(inputs.model.name) if inputs.model else "a tiny model",
        source_lang=str(inputs.source_lang),
        factors=tables,
        floors=builder.floors(factors),
        settings=settings,
        num_test=inputs.num_test,
        seed=inputs.seed,
    )
    return Plan({"report": report}, name="parallel-data")


class _Language(NamedTuple):
    """What all conditions of a language share."""

    corpus: Job
    tokenizer: Job


class _Builder:
    """Makes each condition's jobs; equal ones are one by their fingerprints."""

    def __init__(self, inputs: StudyInputs, settings: FigureSettings) -> None:
        self.inputs, self.settings = inputs, settings
        # A file is read for its hash: a model's weights once, not once for each condition.
        self._file = cache(File)

    def results(self, condition: Condition) -> dict[str, Job | list[Job] | None]:
        """A condition's jobs that the record reads, by name."""
        links = self._links(condition) if _is_aligned(condition) else None
        whole = Condition(condition.target_lang)
        comparable = links is not None and condition.sources == "first"
        return {
            "corpora": self._corpora(condition) if _has_pairs(condition) else [],
            "links": links,
            "reference_links": self._links(whole) if comparable else None,
            "rows": self._rows(condition),
            "measured": self._measured(condition),
            "trained": self._trained(condition),
            "pieces": self._measured(_pieces(condition)),
        }

    def figures(self, condition: Condition) -> Job:
        """The scores that a condition is compared by: after training where it is trained."""
        return self._trained(condition) or self._measured(condition)

    def floors(self, factors: Sequence[Factor]) -> list[dict[str, Any]]:
        """Counts, and the given model with its own vocabulary, of every language and vocabulary."""
        kinds = dict.fromkeys(
            (level.condition.target_lang, level.condition.objective is not None)
            for factor in factors
            for level in factor.levels
        )
        found = []
        for code, is_tiny in kinds:
            shared = Condition(code, objective="causal" if is_tiny else None)
            language = self._language(shared)
            counts = job(
                condition_floors,
                name=f"floors-{code}",
                corpus=language.corpus,
                tokenizer=language.tokenizer,
                settings=self.settings,
                **self._codes(code),
            )
            found.append(
                {
                    "target_lang": code,
                    "is_tiny": is_tiny,
                    "counts": counts,
                    "pieces": self._measured(_pieces(shared)),
                    "own": self._measure(shared, tokenizer=None, rows=None),
                }
            )
        return found

    def _files(self, code: str) -> LanguageFiles:
        found = self.inputs.languages.get(code)
        if found is None:
            raise InputError(
                expected=f"text and pairs of one of {', '.join(self.inputs.languages)}",
                got=code,
                where="languages",
            )
        return found

    def _codes(self, code: str) -> dict[str, Any]:
        return {"source_lang": str(self.inputs.source_lang), "target_lang": code}

    def _model(self, objective: Objective | None) -> File | Job:
        """The given model, or a tiny one."""
        if objective is None and self.inputs.model is not None:
            return self._file(self.inputs.model)
        tiny, kind = self.inputs.tiny, objective or "causal"
        return job(
            make_tiny_model,
            name=f"model-{kind}",
            objective=kind,
            text=self._file(tiny.text),
            lang=str(self.inputs.source_lang),
            vocab_size=tiny.vocab_size,
            width=tiny.width,
            num_layers=tiny.num_layers,
            budget=tiny.budget,
            seed=self.inputs.seed,
            costs={"num_bytes": tiny.budget.num_bytes or 0} if tiny.budget else None,
        )

    def _corpus(self, code: str, *, second: bool = False) -> Job:
        files = self._files(code)
        pairs = files.second_pairs if second else files.pairs
        if not pairs:
            raise InputError(
                expected=f"pairs with {self.inputs.second_lang.name}",
                got="none",
                where="second_pairs",
                hint="give them, or leave the factor out",
            )
        source = self.inputs.second_lang if second else self.inputs.source_lang
        return job(
            prepare_corpus,
            name=f"corpus-{'second-' if second else ''}{code}",
            text=[self._file(path) for path in files.text],
            pairs=[[self._file(path)] for path in pairs],
            dictionary=None,
            test=None if files.test is None else self._file(files.test),
            valid=None if files.valid is None else self._file(files.valid),
            num_held_out=self.inputs.num_test,
            normalization=[],
            seed=self.inputs.seed,
            source_lang=str(source),
            target_lang=code,
        )

    def _language(self, condition: Condition) -> _Language:
        code = condition.target_lang
        corpus = self._corpus(code)
        # Both tiny models have one tokenizer, so that they can have one new vocabulary.
        kind: Objective | None = None if condition.objective is None else "causal"
        tokenizer = job(
            new_tokenizer,
            name=f"tokenizer-{code}",
            corpus=corpus,
            model=self._model(kind),
            target_lang=code,
            vocab_size=self.inputs.vocab_size,
            tokenizer=None,
        )
        return _Language(corpus, tokenizer)

    def _condition_corpus(self, condition: Condition, *, second: bool = False) -> Job:
        """The pairs of a condition, cleaned if it says so."""
        made = self._spoilt_corpus(condition, second=second)
        if not condition.cleaning:
            return made
        by_links = "links" in condition.cleaning
        return job(
            clean_corpus,
            name=f"cleaned-{condition.target_lang}",
            corpus=made,
            links=self._align(condition, made, gold=None, second=second) if by_links else None,
            rules=condition.cleaning,
            **self._sides(condition.target_lang, second),
        )

    def _corpora(self, condition: Condition) -> list[Job]:
        """The corpora that a condition's rows come from, one a source language."""
        seconds = {"first": (False,), "second": (True,)}.get(condition.sources, (False, True))
        return [self._condition_corpus(condition, second=second) for second in seconds]

    def _spoilt_corpus(self, condition: Condition, *, second: bool = False) -> Job:
        other = None
        if condition.domain == "other":
            if self.inputs.other_pairs is None:
                raise InputError(
                    expected="pairs of another domain", got="none", where="other_pairs"
                )
            other = self._file(self.inputs.other_pairs)
        code = condition.target_lang
        return job(
            condition_corpus,
            name=f"pairs-{code}",
            corpus=self._corpus(code, second=second),
            other_pairs=other,
            dictionary=None if condition.kind == "parallel" else self._dictionary(code),
            kind=condition.kind,
            num_pairs=condition.num_pairs,
            noise=condition.noise,
            untranslated=condition.untranslated,
            num_probe=self.inputs.num_probe,
            seed=self.inputs.seed,
            **self._sides(code, second),
        )

    def _dictionary(self, code: str) -> Job:
        given = self.inputs.dictionary
        base = Condition(code)
        return job(
            make_dictionary,
            name=f"dictionary-{code}",
            file=None if given is None else self._file(given),
            corpus=self._condition_corpus(base),
            links=None if given is not None else self._links(base),
            **self._codes(code),
        )

    def _links(self, condition: Condition, *, second: bool = False) -> Job:
        corpus = self._condition_corpus(condition, second=second)
        gold = None if self.inputs.gold is None or second else self._file(self.inputs.gold)
        return self._align(condition, corpus, gold=gold, second=second)

    def _align(self, condition: Condition, corpus: Job, *, gold: File | None, second: bool) -> Job:
        return job(
            condition_links,
            name=f"links-{condition.target_lang}",
            corpus=corpus,
            gold=gold,
            method=condition.aligner,
            stems=condition.stems,
            seed=self.inputs.seed,
            **self._sides(condition.target_lang, second),
        )

    def _sides(self, code: str, second: bool) -> dict[str, Any]:
        source = self.inputs.second_lang if second else self.inputs.source_lang
        return {"source_lang": str(source), "target_lang": code}

    def _rows(self, condition: Condition) -> Job:
        language = self._language(condition)
        both = condition.sources != "first"
        with_pairs = _has_pairs(condition)
        aligned = _is_aligned(condition)
        return job(
            condition_rows,
            name=f"rows-{condition.target_lang}",
            method=condition.method,
            sources=condition.sources,
            split=condition.split,
            model=self._model(condition.objective),
            masked=condition.objective == "masked",
            tokenizer=language.tokenizer,
            corpus=self._condition_corpus(condition) if with_pairs else language.corpus,
            links=self._links(condition) if aligned else None,
            second_corpus=self._condition_corpus(condition, second=True) if both else None,
            second_links=self._links(condition, second=True) if both and aligned else None,
            second_lang=str(self.inputs.second_lang),
            seed=self.inputs.seed,
            **self._codes(condition.target_lang),
        )

    def _measured(self, condition: Condition) -> Job:
        tokenizer = self._language(condition).tokenizer
        return self._measure(condition, tokenizer=tokenizer, rows=self._rows(condition))

    def _measure(self, condition: Condition, *, tokenizer: Job | None, rows: Job | None) -> Job:
        return job(
            measure_rows,
            name=f"measured-{condition.target_lang}",
            model=self._model(condition.objective),
            masked=condition.objective == "masked",
            tokenizer=tokenizer,
            rows=rows,
            corpus=self._corpus(condition.target_lang),
            target_lang=condition.target_lang,
        )

    def _trained(self, condition: Condition) -> Job | None:
        if condition.part is None:
            return None
        return job(
            train_rows,
            name=f"trained-{condition.target_lang}",
            model=self._model(condition.objective),
            masked=condition.objective == "masked",
            tokenizer=self._language(condition).tokenizer,
            rows=self._rows(condition),
            corpus=self._corpus(condition.target_lang),
            target_lang=condition.target_lang,
            part=condition.part,
            learning_rate=condition.learning_rate,
            settings=self.settings,
            costs={"num_bytes": self.settings.num_bytes},
        )


def _pieces(condition: Condition) -> Condition:
    """Rows of the same model that need no pairs, against which every condition is weighed."""
    return Condition(condition.target_lang, method="pieces", objective=condition.objective)


def _has_pairs(condition: Condition) -> bool:
    return condition.method == "dictionary" or uses_links(condition.method)


def _is_aligned(condition: Condition) -> bool:
    return condition.kind != "dictionary" and uses_links(condition.method)
