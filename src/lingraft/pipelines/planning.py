"""The plan of an adaptation: which jobs there are and what each reads."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lingraft.corpus import samples
from lingraft.errors import InputError
from lingraft.languages import Language
from lingraft.model.loading import check_folder, load_tokenizer, locate
from lingraft.pipelines.arms import choose_settings, measure_untrained, run_arm
from lingraft.pipelines.corpora import prepare_corpus
from lingraft.pipelines.floors import count_floors
from lingraft.pipelines.inspection import inspect_model
from lingraft.pipelines.settings import ArmSettings
from lingraft.pipelines.vocabularies import new_tokenizer, vocabulary_rows, word_links
from lingraft.study import File, Job, Plan, job

UNTRAINED_CONTROL = "mean"
TRAINED_CONTROL = "random"


@dataclass(frozen=True)
class AdaptationInputs:
    """What an adaptation starts from.

    Attributes:
        model: A folder, a packaged model or a hub name.
        text: Files of target-language text.
        pairs: Files of pairs; two together stand for a Moses pair.
        dictionary: A TSV of words and translations.
        test: Held-out rows; drawn from the text if None.
        valid: Rows for choosing settings.
        general_text: Text of the source language for forgetting; None takes the bundled general
            English where the source language is English.
        tokenizer: Folder of a tokenizer to use instead of training one.
        source_lang: The source model's main language.
        target_lang: The new language.
    """

    model: str | Path
    text: Sequence[Path]
    pairs: Sequence[Sequence[Path]]
    source_lang: Language
    target_lang: Language
    dictionary: Path | None = None
    test: Path | None = None
    valid: Path | None = None
    general_text: Path | None = None
    tokenizer: Path | None = None


def adaptation_plan(
    inputs: AdaptationInputs,
    settings: ArmSettings,
    *,
    vocab_size: int | None = None,
    method: str | None = None,
    aligner: str = "hmm",
    controls: bool = True,
    num_held_out: int = 100,
    num_general_rows: int = 60,
    normalization: Sequence[str] = (),
) -> Plan:
    """Returns the jobs of an adaptation, without running any.

    Args:
        inputs: Model, text and pairs.
        settings: Budget and training.
        vocab_size: Ids of the new vocabulary; None follows the rule.
        method: Transfer method; None takes `trans_tokenize` where there are pairs or a
            dictionary, else `pieces`.
        aligner: One of `alignment.METHODS`.
        controls: Whether to train the source model and random rows too, at the same bytes.
        num_held_out: Rows of test and of valid.
        num_general_rows: Rows on which forgetting is measured.
        normalization: What to normalise in training text.

    Raises:
        InputError: No such model, file or method, or the method lacks the pairs it needs.
    """
    folder = locate(inputs.model)
    check_folder(folder)
    load_tokenizer(folder)  # refuse a tokenizer that lies before hours go into it
    model = File(folder)
    method = _method(method, inputs)
    target: dict[str, Any] = {"target_lang": str(inputs.target_lang)}
    languages = {**target, "source_lang": str(inputs.source_lang)}
    corpus = job(
        prepare_corpus,
        name="corpus",
        text=[File(path) for path in inputs.text],
        pairs=[[File(path) for path in files] for files in inputs.pairs],
        dictionary=_file(inputs.dictionary),
        test=_file(inputs.test),
        valid=_file(inputs.valid),
        num_held_out=num_held_out,
        normalization=list(normalization),
        seed=settings.seed,
        **languages,
    )
    tokenizer = job(
        new_tokenizer,
        name="tokenizer",
        corpus=corpus,
        model=model,
        vocab_size=vocab_size,
        tokenizer=_file(inputs.tokenizer),
        **target,
    )
    links = (
        job(
            word_links,
            name="links",
            corpus=corpus,
            method=aligner,
            seed=settings.seed,
            **languages,
        )
        if method == "trans_tokenize"
        else None
    )

    def rows_of(name: str) -> Job:
        return job(
            vocabulary_rows,
            name=f"rows-{name}",
            method=name,
            model=model,
            tokenizer=tokenizer,
            corpus=corpus,
            links=links if name == method else None,
            seed=settings.seed,
            **languages,
        )

    jobs = {"corpus": corpus, "tokenizer": tokenizer}
    if links is not None:
        jobs["links"] = links

    def choose(name: str, rows: Job | None, settings: ArmSettings = settings) -> Job:
        jobs[f"choice-{name}"] = job(
            choose_settings,
            name=f"choice-{name}",
            model=model,
            tokenizer=tokenizer if rows else None,
            rows=rows,
            corpus=corpus,
            settings=settings,
            **target,
        )
        return jobs[f"choice-{name}"]

    def train(name: str, rows: Job | None) -> Job:
        jobs[f"arm-{name}"] = job(
            run_arm,
            name=f"arm-{name}",
            model=model,
            tokenizer=tokenizer if rows else None,
            rows=rows,
            corpus=corpus,
            choice=choose(name, rows),
            settings=settings,
            keep_model=name == method,
            fit_bias=name == method,
            costs={"num_bytes": settings.budget.num_bytes or 0},
            **target,
        )
        return jobs[f"arm-{name}"]

    rows = jobs[f"rows-{method}"] = rows_of(method)
    graft = train(method, rows)
    if controls:
        train("source", None)
        train(TRAINED_CONTROL, rows_of(TRAINED_CONTROL))
        jobs[f"arm-{UNTRAINED_CONTROL}"] = job(
            measure_untrained,
            name=f"arm-{UNTRAINED_CONTROL}",
            model=model,
            tokenizer=tokenizer,
            rows=rows_of(UNTRAINED_CONTROL),
            corpus=corpus,
            **target,
        )
    else:
        # The inspection needs the source model's start token; no learning rate is tried for it.
        choose("source", None, replace(settings, learning_rates=settings.learning_rates[:1]))
    jobs["floors"] = job(
        count_floors,
        name="floors",
        corpus=corpus,
        tokenizer=tokenizer,
        trained=graft,
        settings=settings,
        **languages,
    )
    jobs["inspection"] = job(
        inspect_model,
        name="inspection",
        model=model,
        adapted=graft,
        rows=rows,
        tokenizer=tokenizer,
        source_choice=jobs["choice-source"],
        adapted_choice=jobs[f"choice-{method}"],
        corpus=corpus,
        general_text=_general_text(inputs),
        num_general_rows=num_general_rows,
        **languages,
    )
    return Plan(jobs, name=f"adapt-{inputs.target_lang}")


def graft_method(plan: Plan) -> str:
    """Returns the transfer method of a plan's graft."""
    return next(name.removeprefix("rows-") for name in plan.targets if name.startswith("rows-"))


def _method(method: str | None, inputs: AdaptationInputs) -> str:
    bilingual = bool(inputs.pairs) or inputs.dictionary is not None
    allowed = ("trans_tokenize", "pieces")
    if method is None:
        return "trans_tokenize" if bilingual else "pieces"
    if method not in allowed:
        raise InputError(
            expected=f"one of the methods {', '.join(allowed)}", got=repr(method), where="method"
        )
    if method == "trans_tokenize" and not bilingual:
        raise InputError(
            expected="pairs or a dictionary for trans_tokenize",
            got="neither",
            where="pairs",
            hint="without them, method pieces still works",
        )
    return method


def _general_text(inputs: AdaptationInputs) -> File | None:
    if inputs.general_text is not None:
        return File(inputs.general_text)
    if inputs.source_lang.iso639_3 == "eng":
        return File(samples.path("general-english.jsonl.xz"))
    return None


def _file(path: Path | None) -> File | None:
    return None if path is None else File(path)
