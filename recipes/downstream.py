"""What is pretraining worth on a task? Entailment, tagging, named entities, questions.

    lingraft run recipes/downstream.py --scale laptop
    lingraft run recipes/downstream.py --scale laptop --set lang=ko --set sources=en,ko
        --set train=nli.jsonl --set 'columns={"task": "nli", "label": "gold_label"}'
    lingraft run recipes/downstream.py --scale laptop --set model=FOLDER --set lang=nl
        --set kind=tagging --set train=train.conllu --set test=test.conllu --set text=nl.txt

Every arm is fine-tuned on the task and scored beside the majority floor and beside random
weights. Arms of a byte model: random weights, pretrained on each source, and that after target
text. Arms of `model`: random weights of its architecture, the model as it is, and after target
text. Without `train` the task is made of bundled text: is the second half of a sentence its own?
The `paper` scale takes ASSIN 2 of the hub, as arXiv 2404.08191 does; `hub` takes another data set
of sentence pairs, for which the package `datasets` is needed. The target `report` holds
`record.json` and `report.html`.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lingraft.corpus import samples
from lingraft.corpus.task_examples import TaskKind
from lingraft.errors import InputError
from lingraft.languages import Language
from lingraft.model.loading import locate
from lingraft.pipelines.downstream_study import DownstreamSettings, downstream_plan, split_text
from lingraft.pipelines.hubs import hub_subset
from lingraft.pipelines.task_parts import (
    CONTINUATION,
    check_columns,
    fetch_task,
    make_continuations,
    prepare_task,
)
from lingraft.pipelines.transfer_runs import PAPER_RUNS, TINY_RUNS, RunSettings
from lingraft.pipelines.transfer_texts import Part, hub_text, study_text
from lingraft.study import Bytes, File, Job, Plan, job
from lingraft.training import PAPER_SETTINGS, AnswerSettings
from lingraft.training.best_loss import BestLossSettings

SCALES = ("tiny", "laptop", "paper")
SETTINGS = {
    "tiny": DownstreamSettings(
        texts=TINY_RUNS,
        source_bytes=8_000,
        source_epochs=1,
        target_bytes=4_000,
        answers=AnswerSettings(
            batch_size=16,
            num_epochs=1,
            learning_rate=1e-3,
            window_tokens=192,
            dropout=0.1,
            weight_decay=0.1,
            patience=1,
        ),
        learning_rates=(1e-3,),
        num_seeds=2,
    ),
    "laptop": DownstreamSettings(
        texts=RunSettings(
            best_loss=BestLossSettings(
                evaluation_bytes=75_000, evaluations_per_epoch=2, patience=2, max_epochs=3
            )
        ),
        source_bytes=500_000,
        source_epochs=2,
        target_bytes=300_000,
        answers=AnswerSettings(
            batch_size=16,
            num_epochs=10,
            learning_rate=1e-3,
            window_tokens=512,
            dropout=0.1,
            weight_decay=0.1,
            patience=3,
        ),
        learning_rates=(3e-4, 1e-3),
        num_seeds=3,
    ),
    "paper": DownstreamSettings(
        texts=PAPER_RUNS,
        source_bytes=6_000_000_000,
        source_epochs=1,
        target_bytes=600_000_000,
        answers=PAPER_SETTINGS,
        learning_rates=(PAPER_SETTINGS.learning_rate, 2e-4),
        num_seeds=3,
    ),
}
MODELS = {"tiny": "1m", "laptop": "1m", "paper": "65m"}
SOURCES = {"tiny": "en", "laptop": "en", "paper": "en,ru,zh"}
LANGUAGES = {"tiny": "eu", "laptop": "eu", "paper": "pt"}
# Examples of the made task.
NUM_MADE = {"tiny": 64, "laptop": None}
HELD_OUT_BYTES = {"tiny": 1_000, "laptop": 15_000, "paper": 10_000_000}
# English pages that are also translated belong to one side, as in the study of data transfer.
SOURCE_SHARE = 0.5
ASSIN_2 = "nilc-nlp/assin2"
ASSIN_2_COLUMNS = {"task": "assin2", "label": "entailment_judgment"}


def plan(
    scale: str,
    *,
    lang: str | None = None,
    kind: TaskKind = "entailment",
    train: str | None = None,
    valid: str | None = None,
    test: str | None = None,
    columns: Mapping[str, Any] | None = None,
    hub: str | None = None,
    hub_config: str | None = None,
    hub_valid: str | None = "validation",
    hub_test: str | None = "test",
    model: str | None = None,
    size: str | None = None,
    sources: str | None = None,
    text: str | None = None,
    num_train: int | None = None,
    num_seeds: int | None = None,
    num_epochs: int | None = None,
    learning_rates: str | float | None = None,
    source_bytes: Bytes | None = None,
    target_bytes: Bytes | None = None,
    seed: int = 0,
) -> Plan:
    """Returns the jobs of the comparison.

    Args:
        scale: `tiny` and `laptop` make a task of bundled text and pretrain the smallest byte
            model on 8 kB or 500 kB; `paper` takes the paper's task, model and text from a hub.
        lang: Language of the task.
        kind: entailment (any sentence pairs), tagging (CoNLL-U), ner (CoNLL) or qa (SQuAD).
        train: File to learn from.
        valid: File to choose by; a tenth of `train` by default.
        test: File to be scored; a quarter of `train` by default, no premise or passage on both
            sides.
        columns: What the reader has to know, as JSON: `task`, `premise`, `hypothesis`, `label`
            and `labels` of sentence pairs; `column` of CoNLL-U; `context`, `question` and
            `answers` of SQuAD rows.
        hub: A data set of sentence pairs instead of files.
        hub_config: Its subset.
        hub_valid: Its split to choose by; null to draw it.
        hub_test: Its split to be scored; null to draw it.
        model: Folder or name of a causal model, instead of a byte model.
        size: Of the byte model: 1m, 4m, 16m, 65m, 250m, 1b.
        sources: What byte models are pretrained on, with commas.
        text: File of target text; bundled or hub text of `lang` by default, where there is some.
        num_train: Examples to learn from, at most; of the made task, examples in all.
        num_seeds: Runs of each arm.
        num_epochs: Of fine-tuning, at most.
        learning_rates: Of fine-tuning, with commas; each arm chooses on valid.
        source_bytes: Text of a pretraining.
        target_bytes: Target text.
        seed: Of everything that is drawn.
    """
    counts = {
        "num_train": num_train,
        "num_seeds": num_seeds,
        "num_epochs": num_epochs,
        "source_bytes": source_bytes,
        "target_bytes": target_bytes,
    }
    for name, count in counts.items():
        if count is not None and count < 1:
            raise InputError(expected="1 or more", got=str(count), where=name)
    target = Language.parse(lang or LANGUAGES[scale])
    chosen = _changed(
        SETTINGS[scale], num_seeds, num_epochs, learning_rates, source_bytes, target_bytes
    )
    is_paper = scale == "paper"
    task, name = _task(
        target,
        kind=kind,
        files={"train": train, "valid": valid, "test": test},
        columns=columns,
        hub=hub or (ASSIN_2 if is_paper and train is None else None),
        hub_config=hub_config,
        hub_splits={"train": "train", "valid": hub_valid, "test": hub_test},
        num_train=num_train,
        num_made=NUM_MADE.get(scale) if num_train is None else num_train,
        seed=seed,
    )
    texts = _Texts(scale, seed)
    codes = [Language.parse(code) for code in (sources or SOURCES[scale]).split(",")]
    return downstream_plan(
        task=task,
        task_name=name,
        lang=str(target),
        model=None if model is None else locate(model),
        size=size or MODELS[scale],
        source_texts={} if model else {str(code): texts.of(code, "source") for code in codes},
        target_text=texts.of_target(target, text),
        settings=chosen,
        scale=scale,
        seed=seed,
    )


def _changed(
    settings: DownstreamSettings,
    num_seeds: int | None,
    num_epochs: int | None,
    learning_rates: str | float | None,
    source_bytes: int | None,
    target_bytes: int | None,
) -> DownstreamSettings:
    rates = settings.learning_rates
    if learning_rates is not None:
        rates = tuple(float(rate) for rate in str(learning_rates).split(","))
    return replace(
        settings,
        learning_rates=rates,
        num_seeds=settings.num_seeds if num_seeds is None else num_seeds,
        source_bytes=settings.source_bytes if source_bytes is None else source_bytes,
        target_bytes=settings.target_bytes if target_bytes is None else target_bytes,
        answers=replace(
            settings.answers,
            num_epochs=settings.answers.num_epochs if num_epochs is None else num_epochs,
        ),
    )


def _task(
    lang: Language,
    *,
    kind: TaskKind,
    files: Mapping[str, str | None],
    columns: Mapping[str, Any] | None,
    hub: str | None,
    hub_config: str | None,
    hub_splits: Mapping[str, str | None],
    num_train: int | None,
    num_made: int | None,
    seed: int,
) -> tuple[Job, str]:
    """The job that makes the task, and what reports call it."""
    drawn = {"num_train": num_train, "seed": seed}
    if files["train"] is not None:
        check_columns(kind, columns or {})
        given = {name: None if path is None else File(Path(path)) for name, path in files.items()}
        made = job(prepare_task, name="task", kind=kind, columns=columns or {}, **given, **drawn)
        return made, Path(files["train"]).name
    if given := [name for name, path in files.items() if path is not None]:
        raise InputError(expected="a file to learn from", got=" and ".join(given), where="train")
    if hub is not None:
        keys = columns or (ASSIN_2_COLUMNS if hub == ASSIN_2 else {})
        check_columns("entailment", keys)
        splits = {name: split for name, split in hub_splits.items() if split is not None}
        made = job(
            fetch_task, name="task", dataset=hub, config=hub_config, splits=splits, columns=keys,
            **drawn,
        )  # fmt: skip
        return made, hub
    _check_bundled(lang, "bring your own task with --set train=FILE")
    # The pages of valid and test text are not among those that models are pretrained on.
    text = [File(samples.path(f"libreoffice-help.{part}.jsonl.xz")) for part in ("valid", "test")]
    made = job(
        make_continuations, name="task", text=text, lang=str(lang), num_examples=num_made, seed=seed
    )
    return made, CONTINUATION


class _Texts:
    """The jobs that prepare text: bundled, from a hub, or the user's."""

    def __init__(self, scale: str, seed: int) -> None:
        self._is_hub, self._seed = scale == "paper", seed
        self._held_out_bytes = HELD_OUT_BYTES[scale]
        self._most_bytes = SETTINGS[scale].source_bytes

    def of(self, lang: Language, part: Part) -> Job:
        """Text of one side."""
        if self._is_hub:
            name, config = hub_subset("fineweb-2", lang)
            fetched = job(
                hub_text,
                name=f"hub-{lang}",
                dataset=name,
                config=config,
                lang=str(lang),
                # Half of the pages are on either side.
                num_bytes=round(1.05 * self._most_bytes / SOURCE_SHARE),
                held_out_bytes=self._held_out_bytes,
            )
            files: list[Any] = [fetched] * 3
        else:
            _check_bundled(lang, "the paper scale takes text of a hub")
            paths = [samples.path(f"libreoffice-help.{name}.jsonl.xz") for name in samples.SPLITS]
            files = [File(path) for path in paths]
        return job(
            study_text,
            name=f"text-{part}-{lang}",
            text=files[:1],
            valid=files[1],
            test=files[2],
            lang=str(lang),
            part=part,
            source_share=SOURCE_SHARE,
            held_out_bytes=self._held_out_bytes,
            control=None,
            injected=[],
            injected_lang=None,
            injected_share=0.0,
            seed=self._seed,
        )

    def of_target(self, lang: Language, text: str | None) -> Job | None:
        """The user's target text, or that of the target's side, or none."""
        if text is not None:
            return job(
                split_text,
                name=f"text-{lang}",
                text=[File(Path(text))],
                lang=str(lang),
                seed=self._seed,
            )
        is_there = self._is_hub or lang in (samples.ENGLISH, *samples.LANGUAGES)
        return self.of(lang, "target") if is_there else None


def _check_bundled(lang: Language, hint: str) -> None:
    known = (samples.ENGLISH, *samples.LANGUAGES)
    if lang not in known:
        raise InputError(
            expected=f"one of {', '.join(str(each.iso639_1) for each in known)}",
            got=str(lang),
            where="languages of the bundled text",
            hint=hint,
        )
