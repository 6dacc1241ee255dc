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
from lingraft.pipelines.weighing import (
    WeighSettings,
    train_scratch,
    weigh_graft,
)
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
    num_general_rows: int = 40,
    normalization: Sequence[str] = (),
    weigh: WeighSettings | None = None,
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
        weigh: Sizes on which the same architecture is trained from random weights, to say what
            the graft was worth in bytes; None for none.

    Raises:
        InputError: No such model, file or method, or the method lacks the pairs it needs.
    """
    folder = locate(inputs.model)
    check_folder(folder)
    load_tokenizer(folder)  # refuse a tokenizer that lies before hours go into it
    method = _method(method, inputs)
    corpus = _corpus_job(inputs, settings, num_held_out, normalization)
    builder = _Builder(inputs, settings, method, File(folder), corpus, vocab_size, aligner)
    builder.arm(method)
    if controls:
        builder.arm("source")
        builder.arm(TRAINED_CONTROL)
        builder.untrained(UNTRAINED_CONTROL)
    else:
        # The inspection needs the source model's start token; no learning rate is tried for it.
        builder.choice("source", replace(settings, learning_rates=settings.learning_rates[:1]))
    builder.floors()
    builder.inspection(num_general_rows)
    if weigh is not None:
        builder.weigh(weigh)
    return Plan(builder.jobs, name=f"adapt-{inputs.target_lang}")


class _Builder:
    """Adds jobs by name; what several of them read is kept at hand."""

    def __init__(
        self,
        inputs: AdaptationInputs,
        settings: ArmSettings,
        method: str,
        model: File,
        corpus: Job,
        vocab_size: int | None,
        aligner: str,
    ) -> None:
        self._inputs, self._settings, self._method = inputs, settings, method
        self._target: dict[str, Any] = {"target_lang": str(inputs.target_lang)}
        self._languages = {**self._target, "source_lang": str(inputs.source_lang)}
        self._model = model
        self.jobs: dict[str, Job] = {"corpus": corpus}
        self.jobs["tokenizer"] = job(
            new_tokenizer,
            name="tokenizer",
            corpus=corpus,
            model=model,
            vocab_size=vocab_size,
            tokenizer=_file(inputs.tokenizer),
            **self._target,
        )
        if method == "trans_tokenize":
            self.jobs["links"] = job(
                word_links,
                name="links",
                corpus=corpus,
                method=aligner,
                seed=settings.seed,
                **self._languages,
            )
        self.jobs[f"rows-{method}"] = self._rows(method)

    def choice(self, name: str, settings: ArmSettings) -> Job:
        """Start token and learning rate of an arm."""
        self.jobs[f"choice-{name}"] = job(
            choose_settings,
            name=f"choice-{name}",
            settings=settings,
            **self._vocabulary(name),
            **self._target,
        )
        return self.jobs[f"choice-{name}"]

    def arm(self, name: str) -> None:
        """An arm that is trained; the graft's model is kept."""
        self.jobs[f"arm-{name}"] = job(
            run_arm,
            name=f"arm-{name}",
            choice=self.choice(name, self._settings),
            settings=self._settings,
            keep_model=name == self._method,
            fit_bias=name == self._method,
            costs={"num_bytes": self._settings.budget.num_bytes or 0},
            **self._vocabulary(name),
            **self._target,
        )

    def untrained(self, name: str) -> None:
        """An arm that is only measured."""
        self.jobs[f"arm-{name}"] = job(
            measure_untrained, name=f"arm-{name}", **self._vocabulary(name), **self._target
        )

    def floors(self) -> None:
        """What counting reaches."""
        self.jobs["floors"] = job(
            count_floors,
            name="floors",
            corpus=self.jobs["corpus"],
            tokenizer=self.jobs["tokenizer"],
            trained=self.jobs[f"arm-{self._method}"],
            settings=self._settings,
            **self._languages,
        )

    def inspection(self, num_general_rows: int) -> None:
        """Forgetting, continuations, rows."""
        self.jobs["inspection"] = job(
            inspect_model,
            name="inspection",
            model=self._model,
            adapted=self.jobs[f"arm-{self._method}"],
            rows=self.jobs[f"rows-{self._method}"],
            tokenizer=self.jobs["tokenizer"],
            source_choice=self.jobs["choice-source"],
            adapted_choice=self.jobs[f"choice-{self._method}"],
            corpus=self.jobs["corpus"],
            general_text=_general_text(self._inputs),
            num_general_rows=num_general_rows,
            **self._languages,
        )

    def weigh(self, settings: WeighSettings) -> None:
        """The from-scratch curve, and the graft's loss read off it."""
        seeds = range(settings.seed, settings.seed + settings.num_seeds)
        # The first run of a size tries all rates; at the smallest, others take its choice.
        firsts = {size: self._scratch(size, seeds[0], settings, None) for size in settings.sizes}
        smallest = settings.sizes[0]
        runs = [(size, seeds[0], first) for size, first in firsts.items()]
        runs += [
            (smallest, seed, self._scratch(smallest, seed, settings, firsts[smallest]))
            for seed in seeds[1:]
        ]
        self.jobs["weight"] = job(
            weigh_graft,
            name="weight",
            runs=[{"num_bytes": size, "seed": seed, "run": run} for size, seed, run in runs],
            arm=self.jobs[f"arm-{self._method}"],
            corpus=self.jobs["corpus"],
            max_epochs=settings.best_loss.max_epochs,
            own_vocabulary=self._inputs.tokenizer is None,
            seed=self._settings.seed,
            **self._languages,
        )

    def _scratch(
        self, num_bytes: int, seed: int, settings: WeighSettings, tuned: Job | None
    ) -> Job:
        num_rates = len(settings.learning_rates) if tuned is None else 1
        return job(
            train_scratch,
            name=f"scratch-{num_bytes}",
            choice=self.jobs[f"choice-{self._method}"],
            tuned=tuned,
            num_bytes=num_bytes,
            settings=settings,
            seed=seed,
            costs={"num_bytes": num_bytes * num_rates * settings.best_loss.max_epochs},
            **self._vocabulary(self._method),
            **self._target,
        )

    def _vocabulary(self, name: str) -> dict[str, Any]:
        """Model, vocabulary and rows of an arm; the source model keeps its own."""
        own = name == "source"
        return {
            "model": self._model,
            "tokenizer": None if own else self.jobs["tokenizer"],
            "rows": None if own else self._rows(name),
            "corpus": self.jobs["corpus"],
        }

    def _rows(self, name: str) -> Job:
        return job(
            vocabulary_rows,
            name=f"rows-{name}",
            method=name,
            model=self._model,
            tokenizer=self.jobs["tokenizer"],
            corpus=self.jobs["corpus"],
            links=self.jobs.get("links") if name == self._method else None,
            seed=self._settings.seed,
            **self._languages,
        )


def _corpus_job(
    inputs: AdaptationInputs,
    settings: ArmSettings,
    num_held_out: int,
    normalization: Sequence[str],
) -> Job:
    return job(
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
        target_lang=str(inputs.target_lang),
        source_lang=str(inputs.source_lang),
    )


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
