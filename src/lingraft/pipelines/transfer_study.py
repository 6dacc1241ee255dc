"""The study of data transfer: which jobs it takes to weigh sources for targets, in bytes."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache, cached_property
from typing import Any

from lingraft.errors import InputError
from lingraft.model.byte_lm import byte_config, num_flops_per_token, num_rows
from lingraft.pipelines.transfer_arms import (
    BYTES,
    EXPECTED_BYTES_PER_TOKEN,
    Arm,
    compare_arms,
    study_tokenizer,
)
from lingraft.pipelines.transfer_checks import check_inputs
from lingraft.pipelines.transfer_inputs import HubText, Source, TransferInputs
from lingraft.pipelines.transfer_law import transfer_law
from lingraft.pipelines.transfer_record import transfer_record
from lingraft.pipelines.transfer_runs import RunSettings, pretrain, train_sizes, train_target
from lingraft.pipelines.transfer_texts import Control, Part, hub_text, study_text
from lingraft.study import File, Job, Plan, job

# Of each text: the trainer holds all of it in memory.
_TOKENIZER_BYTES = 10_000_000


def transfer_plan(
    inputs: TransferInputs,
    settings: RunSettings,
    *,
    sizes: Sequence[str] = (),
    arms: Sequence[Arm] = (),
) -> Plan:
    """Returns the jobs of the study, without running any.

    The target `report` gathers all runs into `losses.csv`, `record.json` and `report.html`. With
    several sizes of the model there is a `report-SIZE` of each, and `law` fits how transfer grows.
    With several arms there is a `report-ARM` of each, and `arms` sets them side by side; with
    both, names end in ``-SIZE-ARM``.

    Args:
        inputs: What is compared.
        settings: How runs are trained.
        sizes: Sizes of the model, instead of the inputs' own.
        arms: What text is cut into, instead of the inputs' own.

    Raises:
        InputError: A language without text, or what `check_inputs` refuses.
    """
    sizes = sizes or [inputs.size]
    arms = arms or [inputs.arm]
    check_inputs(inputs, sizes=sizes, arms=arms, batch_bytes=settings.batch_bytes)
    # A name says what there are several of.
    size_ends = {size: f"-{size}" if len(sizes) > 1 else "" for size in sizes}
    arm_ends = {arm: f"-{arm.name}" if len(arms) > 1 else "" for arm in arms}
    reports = {
        (size, arm): _report(replace(inputs, size=size, arm=arm), settings)
        for size in size_ends
        for arm in arm_ends
    }
    targets = {
        f"report{size_ends[size]}{arm_ends[arm]}": report for (size, arm), report in reports.items()
    }
    if len(size_ends) > 1:
        for arm, end in arm_ends.items():
            grown = [reports[size, arm] for size in size_ends]
            targets[f"law{end}"] = job(transfer_law, name="law", reports=grown, seed=inputs.seed)
    if len(arm_ends) > 1:
        for size, end in size_ends.items():
            beside = [reports[size, arm] for arm in arm_ends]
            targets[f"arms{end}"] = job(compare_arms, name="arms", reports=beside)
    return Plan(targets, name="data-transfer")


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
        arm=inputs.arm,
        tokenizer=builder.tokenizer,
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
        # At equal FLOPs every run has a run of bytes whose FLOPs it may take.
        self._bytes = (
            _Builder(replace(inputs, arm=BYTES), settings) if inputs.arm.equal == "flops" else None
        )

    @cached_property
    def tokenizer(self) -> Job | None:
        """The one vocabulary of the study; none for bytes."""
        if self.inputs.arm.vocab_size is None:
            return None
        texts = {self.source_text(source): source.lang for source in self.inputs.sources}
        texts |= {self.target_text(code): code for code in self.inputs.targets}
        return job(
            study_tokenizer,
            name=f"tokenizer-bpe-{self.inputs.arm.vocab_size}",
            texts=list(texts),
            langs=list(texts.values()),
            vocab_size=self.inputs.arm.vocab_size,
            most_bytes=_TOKENIZER_BYTES,
            seed=self.inputs.seed,
        )

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
                    found.append(_entry(target, "scratch", num_bytes, seed, "", run, num_bytes))
            for source in self.inputs.sources:
                for nominal, num_bytes in self._named_sizes(source, target):
                    # Before any target text a seed changes nothing but a pretraining of its own.
                    is_seeded = num_bytes or self.inputs.own_pretraining
                    seeds = self.inputs.finetuned_seeds if is_seeded else [self.inputs.seed]
                    for seed in seeds:
                        run = self._run(target, source, num_bytes, seed)
                        trunk = self._trunk_name(source, seed)
                        found.append(
                            _entry(target, source.name, num_bytes, seed, trunk, run, nominal)
                        )
        return found

    def _trunk_name(self, source: Source | None, seed: int) -> str:
        """What runs have in common beyond chance: in the bootstrap such runs are one."""
        if source is None:
            return f"scratch, seed {seed}"
        own = f", seed {seed}" if self.inputs.own_pretraining else ""
        return f"pretrained on {source.name}{own}"

    def _trunks(self) -> list[dict[str, Any]]:
        """One run for each target, kind of weights and seed, which holds all sizes."""
        found = []
        for target in self.inputs.targets:
            for source in (None, *self.inputs.sources):
                name = "scratch" if source is None else source.name
                seeds = self.inputs.scratch_seeds if source is None else self.inputs.finetuned_seeds
                for seed in seeds:
                    trunk = self._trunk_name(source, seed)
                    run = self._trunk(target, source, seed)
                    found += [
                        _entry(target, name, num_bytes, seed, trunk, run, nominal)
                        for nominal, num_bytes in self._named_sizes(source, target)
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
            tokenizer=self.tokenizer,
            source=None if source is None else self._pretrained(source, seed),
            reset=None if source is None else source.reset,
            frozen=None if source is None else source.frozen,
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

    def _named_sizes(self, source: Source | None, target: str) -> list[tuple[int, int]]:
        """Sizes as they were asked for, and the bytes of this target that say as much."""
        asked = self.inputs.scratch_sizes if source is None else self.inputs.finetuned_sizes
        return list(zip(asked, self._sizes(source, target), strict=True))

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

    def _pretrained(self, source: Source, run_seed: int) -> Job:
        seed = run_seed if self.inputs.own_pretraining else self.inputs.seed
        return job(
            pretrain,
            name=f"pretrained-{source.control or source.lang}",
            text=self.source_text(source),
            lang=source.lang,
            size=self.inputs.size,
            tokenizer=self.tokenizer,
            num_bytes=self.inputs.source_bytes,
            settings=replace(
                self.settings,
                best_loss=replace(self.settings.best_loss, max_epochs=self.inputs.source_epochs),
            ),
            # The largest size's rate is the best guess, without a second pretraining.
            rate=max(self.settings.learning_rates),
            budget=None if self._bytes is None else self._bytes._pretrained(source, run_seed),
            seed=seed,
            costs=self._costs(self.inputs.source_bytes * self.inputs.source_epochs),
        )

    def _run(self, target: str, source: Source | None, num_bytes: int, seed: int) -> Job:
        tuned = self._tuned(target, source, num_bytes, seed)
        name = "scratch" if source is None else source.control or source.lang
        num_rates = 1 if tuned is not None else len(self.settings.learning_rates)
        budget = None
        if self._bytes is not None and num_bytes:
            budget = self._bytes._run(target, source, num_bytes, seed)
        return job(
            train_target,
            name=f"run-{name}-{target}",
            text=self.target_text(target),
            lang=target,
            size=self.inputs.size,
            tokenizer=self.tokenizer,
            source=None if source is None else self._pretrained(source, seed),
            reset=None if source is None else source.reset,
            frozen=None if source is None else source.frozen,
            num_bytes=num_bytes,
            settings=self.settings,
            tuned=tuned,
            budget=budget,
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
        place, first_target = self._sizes(source, target).index(num_bytes), self.inputs.targets[0]
        tuned = (first_target, first, self._sizes(source, first_target)[place], seeds[0])
        return None if tuned == (target, source, num_bytes, seed) else self._run(*tuned)

    def _costs(self, most_bytes: float) -> dict[str, float]:
        """At most: patience ends most runs earlier, and equal FLOPs are those of such runs."""
        config, bytes_per_token = byte_config(self.inputs.size), 1.0
        window = self.settings.window_tokens
        of_bytes = num_flops_per_token(config, window_tokens=window)
        if self.inputs.arm.vocab_size is not None:
            config.vocab_size = num_rows(self.inputs.arm.vocab_size)
            bytes_per_token = EXPECTED_BYTES_PER_TOKEN
        flops = num_flops_per_token(config, window_tokens=window) / bytes_per_token
        if self.inputs.arm.equal == "flops":
            most_bytes *= of_bytes / flops
        return {"num_bytes": most_bytes, "num_flops": most_bytes * flops}


def _entry(
    target: str, init: str, num_bytes: int, seed: int, trunk: str, run: Job, nominal: int
) -> dict[str, Any]:
    """A run's line: where it stands, the size that was asked for, and the job."""
    return {
        "target": target,
        "init": init,
        "dataset_bytes": num_bytes,
        "nominal_bytes": nominal,
        "seed": str(seed),
        "trunk": trunk,
        "run": run,
    }
