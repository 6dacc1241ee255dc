"""The study of data transfer: which jobs it takes to weigh sources for targets, in bytes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

from lingraft.errors import InputError
from lingraft.languages import Language
from lingraft.model.byte_lm import byte_config, num_flops_per_token
from lingraft.pipelines.transfer_law import transfer_law
from lingraft.pipelines.transfer_record import transfer_record
from lingraft.pipelines.transfer_runs import RunSettings, pretrain, train_sizes, train_target
from lingraft.pipelines.transfer_texts import CONTROLS, Control, Part, hub_text, study_text
from lingraft.study import File, Job, Plan, job


@dataclass(frozen=True)
class TextFiles:
    """One language's text.

    Attributes:
        train: Files of documents.
        valid: File of held-out documents for choices.
        test: File of held-out documents for losses.
    """

    train: Sequence[Path]
    valid: Path
    test: Path


@dataclass(frozen=True)
class HubText:
    """One language's text on a hub.

    Attributes:
        name: Of the data set.
        config: Its subset.
        num_bytes: Training text to fetch.
    """

    name: str
    config: str | None
    num_bytes: int


@dataclass(frozen=True)
class Source:
    """What a model is pretrained on.

    Attributes:
        name: How tables call it.
        lang: Code of the language of its text.
        control: See `study_text`.
        injected_lang: Language of the text that is mixed in, or None.
        injected_share: Share of the lines that it replaces.
        reset: Part of the pretrained model that starts from random weights again, see
            `model.parts`, or None.
    """

    name: str
    lang: str
    control: Control | None = None
    injected_lang: str | None = None
    injected_share: float = 0.0
    reset: str | None = None

    @classmethod
    def parse(cls, text: str, *, first: Language) -> "Source":
        """Returns what ``en``, ``shuffled``, ``en/mlp`` or ``en+nl:0.01`` stand for.

        Args:
            text: A language; a control, made from text of the first source; either of them
                without a part of the model; or a language with a share of another's lines.
            first: The first source.

        Raises:
            InputError: A share that is not in (0, 1).
        """
        for control in CONTROLS:
            if text == control:
                return cls(control, str(first), control)
        whole, slash, part = text.partition("/")
        if slash:
            return replace(cls.parse(whole, first=first), name=text, reset=part)
        name, plus, mixed = text.partition("+")
        lang = str(Language.parse(name))
        if not plus:
            return cls(lang, lang)
        other, _, share = mixed.partition(":")
        try:
            value = float(share)
        except ValueError:
            value = 0.0
        if not 0.0 < value < 1.0:
            raise InputError(
                expected="a share of lines in (0, 1), such as en+nl:0.01", got=text, where="sources"
            )
        into = str(Language.parse(other))
        return cls(f"{lang}+{value:.2%} {into}", lang, None, into, value)


@dataclass(frozen=True)
class TransferInputs:
    """What the study compares.

    Attributes:
        sources: What models are pretrained on.
        targets: Codes of the target languages.
        texts: Files by code of the language.
        pairs: Files of parallel text by code of the target, for the byte premium.
        reference_lang: Code of the language on the pairs' other side.
        size: Of the byte model.
        scratch_sizes: Bytes of target text that random weights are trained on.
        finetuned_sizes: Bytes that pretrained weights are trained on; 0 for the zero-shot point.
        source_bytes: Text of a pretraining.
        source_epochs: Most often that a pretraining reads it.
        source_share: Share of the pages on the source side.
        held_out_bytes: Valid and test text, each.
        scratch_seeds: Seeds of the runs from random weights.
        most_seeded_bytes: Larger sizes from scratch have the first seed only, since scatter is
            pooled over sizes and costs least at the small ones.
        finetuned_seeds: Seeds of the runs from pretrained weights.
        one_pass: Whether text is read once, so that all sizes of a seed share a trunk, instead of
            each being trained to its best.
        content_factors: Bytes of each target that say as much as a byte of the reference
            language: its `finetuned_sizes` are multiplied by them. None for equal bytes.
        tuned_by: ``"size"`` chooses a learning rate for each size and kind of weights;
            ``"smallest"`` saves the largest runs: random weights take the smallest size's at all
            sizes. Pretrained ones always choose by size, for their best rate changes with it
            (docs/log.md, "data transfer on a laptop").
        rule: How curves are read, see `data_transfer`.
        scale: Name of the scale.
        seed: Of texts, pretraining and intervals.
    """

    sources: Sequence[Source]
    targets: Sequence[str]
    texts: Mapping[str, TextFiles | HubText]
    pairs: Mapping[str, Path]
    reference_lang: str
    size: str
    scratch_sizes: Sequence[int]
    finetuned_sizes: Sequence[int]
    source_bytes: int
    source_epochs: float
    source_share: float
    held_out_bytes: int
    scratch_seeds: Sequence[int]
    most_seeded_bytes: int
    finetuned_seeds: Sequence[int]
    tuned_by: Literal["size", "smallest"]
    rule: str
    scale: str
    seed: int
    one_pass: bool = False
    content_factors: Mapping[str, float] = field(default_factory=dict)


def transfer_plan(
    inputs: TransferInputs, settings: RunSettings, *, sizes: Sequence[str] = ()
) -> Plan:
    """Returns the jobs of the study, without running any.

    The target `report` gathers all runs into `losses.csv`, `record.json` and `report.html`. With
    several sizes of the model there is a `report-SIZE` of each, and `law` fits how transfer grows.

    Args:
        inputs: What is compared.
        settings: How runs are trained.
        sizes: Sizes of the byte model, instead of the inputs' own.

    Raises:
        InputError: Fewer than three sizes from scratch, or a language without text.
    """
    if len(set(inputs.scratch_sizes)) < 3:
        raise InputError(
            expected="at least 3 sizes from scratch",
            got=", ".join(map(str, inputs.scratch_sizes)) or "none",
            where="sizes",
        )
    if len(sizes) < 2:
        one = replace(inputs, size=sizes[0]) if sizes else inputs
        return Plan({"report": _report(one, settings)}, name="data-transfer")
    reports = {f"report-{size}": _report(replace(inputs, size=size), settings) for size in sizes}
    law = job(transfer_law, name="law", reports=list(reports.values()), seed=inputs.seed)
    return Plan({**reports, "law": law}, name="data-transfer")


def _report(inputs: TransferInputs, settings: RunSettings) -> Job:
    builder = _Builder(inputs, settings)
    runs = builder.runs()
    return job(
        transfer_record,
        name="report",
        runs=runs,
        sources=list(inputs.sources),
        targets=list(inputs.targets),
        source_texts={source.name: builder.source_text(source) for source in inputs.sources},
        target_texts={code: builder.target_text(code) for code in inputs.targets},
        pairs={code: File(path) for code, path in inputs.pairs.items() if code in inputs.targets},
        reference_lang=inputs.reference_lang,
        size=inputs.size,
        settings=settings,
        rule=inputs.rule,
        scale=inputs.scale,
        seed=inputs.seed,
    )


class _Builder:
    """Makes the jobs; equal ones are one by their fingerprints."""

    def __init__(self, inputs: TransferInputs, settings: RunSettings) -> None:
        self.inputs, self.settings = inputs, settings
        self._file = cache(File)

    def runs(self) -> list[dict[str, Any]]:
        """Every run with what the table of losses says of it."""
        if self.inputs.one_pass:
            return self._trunks()
        found = []
        for target in self.inputs.targets:
            for num_bytes in self.inputs.scratch_sizes:
                seeds = self.inputs.scratch_seeds
                for seed in seeds if num_bytes <= self.inputs.most_seeded_bytes else seeds[:1]:
                    run = self._run(target, None, num_bytes, seed)
                    found.append(_entry(target, "scratch", num_bytes, seed, "", run))
            for source in self.inputs.sources:
                for num_bytes in self._sizes(source, target):
                    # Before any target text there is nothing that a seed could change.
                    seeds = self.inputs.finetuned_seeds if num_bytes else [self.inputs.seed]
                    for seed in seeds:
                        run = self._run(target, source, num_bytes, seed)
                        # One pretrained model behind all of them: in the bootstrap they are one.
                        trunk = f"pretrained on {source.name}"
                        found.append(_entry(target, source.name, num_bytes, seed, trunk, run))
        return found

    def _trunks(self) -> list[dict[str, Any]]:
        """One run for each target, kind of weights and seed, which holds all sizes."""
        found = []
        for target in self.inputs.targets:
            for source in (None, *self.inputs.sources):
                name = "scratch" if source is None else source.name
                seeds = self.inputs.scratch_seeds if source is None else self.inputs.finetuned_seeds
                for seed in seeds:
                    trunk = f"{name}, seed {seed}"
                    run = self._trunk(target, source, seed)
                    found += [
                        _entry(target, name, num_bytes, seed, trunk, run)
                        for num_bytes in self._sizes(source, target)
                        if num_bytes
                    ]
        return found

    def _trunk(self, target: str, source: Source | None, seed: int) -> Job:
        first = None if source is None else self.inputs.sources[0]
        seeds = self.inputs.scratch_seeds if source is None else self.inputs.finetuned_seeds
        tuned = (self.inputs.targets[0], first, seeds[0])
        sizes = [num_bytes for num_bytes in self._sizes(source, target) if num_bytes]
        return job(
            train_sizes,
            name=f"trunk-{'scratch' if source is None else source.control or source.lang}-{target}",
            text=self.target_text(target),
            lang=target,
            size=self.inputs.size,
            source=None if source is None else self._pretrained(source),
            reset=None if source is None else source.reset,
            sizes=sizes,
            settings=self.settings,
            tuned=None if tuned == (target, source, seed) else self._trunk(*tuned),
            seed=seed,
            costs=self._costs(sum(sizes[:-1]) * 0.2 + sizes[-1]),
        )

    def _sizes(self, source: Source | None, target: str) -> Sequence[int]:
        if source is None:
            return self.inputs.scratch_sizes
        factor = self.inputs.content_factors.get(target, 1.0)
        return [round(size * factor) for size in self.inputs.finetuned_sizes]

    def source_text(self, source: Source) -> Job:
        into = source.injected_lang
        return self._text(
            source.lang,
            "source",
            control=source.control,
            injected=[] if into is None else self._files(into)[0],
            injected_lang=into,
            injected_share=source.injected_share,
        )

    def target_text(self, code: str) -> Job:
        return self._text(code, "target")

    def _text(
        self,
        code: str,
        part: Part,
        *,
        control: Control | None = None,
        injected: Sequence[File | Job] = (),
        injected_lang: str | None = None,
        injected_share: float = 0.0,
    ) -> Job:
        train, valid, test = self._files(code)
        return job(
            study_text,
            name=f"text-{part}-{control or code}",
            text=train,
            valid=valid,
            test=test,
            lang=code,
            part=part,
            source_share=self.inputs.source_share,
            held_out_bytes=self.inputs.held_out_bytes,
            control=control,
            injected=list(injected),
            injected_lang=injected_lang,
            injected_share=injected_share,
            seed=self.inputs.seed,
        )

    def _files(self, code: str) -> tuple[list[File | Job], File | Job, File | Job]:
        """Train, valid and test text of a language."""
        found = self.inputs.texts.get(code)
        if found is None:
            raise InputError(
                expected=f"one of {', '.join(self.inputs.texts)}",
                got=code,
                where="languages with text",
            )
        if isinstance(found, HubText):
            fetched = job(
                hub_text,
                name=f"hub-{code}",
                dataset=found.name,
                config=found.config,
                lang=code,
                num_bytes=found.num_bytes,
                held_out_bytes=self.inputs.held_out_bytes,
            )
            return [fetched], fetched, fetched
        train: list[File | Job] = [self._file(path) for path in found.train]
        return train, self._file(found.valid), self._file(found.test)

    def _pretrained(self, source: Source) -> Job:
        return job(
            pretrain,
            name=f"pretrained-{source.control or source.lang}",
            text=self.source_text(source),
            lang=source.lang,
            size=self.inputs.size,
            num_bytes=self.inputs.source_bytes,
            settings=replace(
                self.settings,
                best_loss=replace(self.settings.best_loss, max_epochs=self.inputs.source_epochs),
            ),
            # The largest size's rate is the best guess, without a second pretraining.
            rate=max(self.settings.learning_rates),
            seed=self.inputs.seed,
            costs=self._costs(self.inputs.source_bytes * self.inputs.source_epochs),
        )

    def _run(self, target: str, source: Source | None, num_bytes: int, seed: int) -> Job:
        tuned = self._tuned(target, source, num_bytes, seed)
        name = "scratch" if source is None else source.control or source.lang
        num_rates = 1 if tuned is not None else len(self.settings.learning_rates)
        return job(
            train_target,
            name=f"run-{name}-{target}",
            text=self.target_text(target),
            lang=target,
            size=self.inputs.size,
            source=None if source is None else self._pretrained(source),
            reset=None if source is None else source.reset,
            num_bytes=num_bytes,
            settings=self.settings,
            tuned=tuned,
            seed=seed,
            costs=self._costs(num_bytes * num_rates * self.settings.best_loss.max_epochs),
        )

    def _tuned(self, target: str, source: Source | None, num_bytes: int, seed: int) -> Job | None:
        """The run whose rate this one takes: the first of its size and kind of weights."""
        if not num_bytes:
            return None
        first = None if source is None else self.inputs.sources[0]
        seeds = self.inputs.scratch_seeds if source is None else self.inputs.finetuned_seeds
        # Sizes of equal content differ in bytes: the first target's size of the same place.
        mine, first_target = self._sizes(source, target), self.inputs.targets[0]
        theirs = self._sizes(source, first_target)
        place = mine.index(num_bytes)
        if self.inputs.tuned_by == "smallest" and source is None:
            place = next(at for at, size in enumerate(theirs) if size)
        tuned = (first_target, first, theirs[place], seeds[0])
        return None if tuned == (target, source, num_bytes, seed) else self._run(*tuned)

    def _costs(self, most_bytes: float) -> dict[str, float]:
        """At most: patience ends most runs earlier. A byte is a token."""
        flops = num_flops_per_token(
            byte_config(self.inputs.size), window_tokens=self.settings.window_tokens
        )
        return {"num_bytes": most_bytes, "num_flops": most_bytes * flops}


def _entry(
    target: str, init: str, num_bytes: int, seed: int, trunk: str, run: Job
) -> dict[str, Any]:
    return {
        "target": target,
        "init": init,
        "dataset_bytes": num_bytes,
        "seed": str(seed),
        "trunk": trunk,
        "run": run,
    }
