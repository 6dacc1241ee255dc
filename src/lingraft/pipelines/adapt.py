"""The main job: make a model work in a language it does not speak, with numbers and a report."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lingraft.corpus import read_documents, samples
from lingraft.errors import InputError, StoreError
from lingraft.files import atomic_writer, write_json
from lingraft.languages import Language
from lingraft.model.loading import PACKAGED
from lingraft.pipelines.planning import AdaptationInputs, adaptation_plan, graft_method
from lingraft.pipelines.records import assemble
from lingraft.pipelines.settings import ArmSettings, default_settings
from lingraft.pipelines.weighing import WeighSettings, weigh_sizes
from lingraft.report import write_model_card, write_report
from lingraft.runtime import Runtime
from lingraft.study import Plan, Progress, Store, run
from lingraft.units import Budget

PathLike = str | Path
STATE = ".lingraft"
_COPY_BYTES = 1 << 22


@dataclass(frozen=True)
class Adaptation:
    """A finished adaptation.

    Attributes:
        model_path: The adapted model, loadable with plain transformers.
        report_path: The HTML report.
        record: Every number, as JSON values.
    """

    model_path: Path
    report_path: Path
    record: dict[str, Any]


def adapt(
    model: PathLike,
    *,
    to: str | Language,
    text: PathLike | Sequence[PathLike],
    pairs: PathLike | Sequence[PathLike] | None = None,
    out: PathLike,
    dictionary: PathLike | None = None,
    source_lang: str | Language = "en",
    budget: Budget | None = None,
    vocab_size: int | None = None,
    method: str | None = None,
    controls: bool = True,
    test: PathLike | None = None,
    valid: PathLike | None = None,
    general_text: PathLike | None = None,
    tokenizer: PathLike | None = None,
    settings: ArmSettings | None = None,
    normalization: Sequence[str] = (),
    licences: Sequence[str] = (),
    weigh: bool | WeighSettings = False,
    seed: int = 0,
    runtime: Runtime | None = None,
    progress: Progress | None = None,
) -> Adaptation:
    """Grafts a new language onto a model and measures what carried over.

    Trains a vocabulary on the text, carries embedding rows over through word alignment of the
    pairs, trains on the text, and measures against the source model, random rows, mean rows and
    n-gram counts. The same call again goes on where it stopped.

    Args:
        model: A model folder, a packaged model such as ``"smollm2-135m"``, or a hub name.
        to: The new language.
        text: Files of its text, ``.txt`` or ``.jsonl``, also compressed.
        pairs: Files of translations: ``.tsv``, ``.jsonl``, ``.tmx`` or ``"FILE1,FILE2"``.
        out: Folder of the adapted model; made, or one of ours.
        dictionary: A TSV of words and translations, instead of pairs or beside them.
        source_lang: The language that the model speaks and the pairs translate from.
        budget: Target text to train on; all the text once if None.
        vocab_size: Ids of the new vocabulary; chosen by a rule that is printed if None.
        method: ``"trans_tokenize"`` or ``"pieces"``; the first where there are pairs.
        controls: Whether to train the source model and random rows too, on the same bytes.
        test: Held-out rows; drawn from the text if None. Needs `valid`.
        valid: Rows for choosing settings; drawn from the text if None.
        general_text: Text of the source language on which forgetting is measured.
        tokenizer: Folder of a tokenizer to use instead of training one.
        settings: How arms are trained; fitted to the budget if None.
        normalization: What to normalise in training text: ``"nfc"``, ``"zwnj"``,
            ``"homoglyphs"``, or an apostrophe. Nothing by default.
        licences: Licences of the user's own files, for the model card, as ``"FILE=SPDX"``.
        weigh: Whether to say what the graft was worth in bytes of target text (D_T): trains the
            same architecture from random weights on three sizes, which takes longer than all the
            rest. Settings choose sizes and rates.
        seed: Of splits, orders and random rows.
        runtime: Threads and device.
        progress: Where to report to.

    Returns:
        Where the model and the report are, and the record of every number.

    Raises:
        InputError: A file, a language or a setting is not what it has to be.
        ModelError: The model folder is unsafe or inconsistent.
        StoreError: `out` is not ours, or the disk is full; what was done before is kept.

    Example:
        >>> import lingraft
        >>> lingraft.adapt(
        ...     "smollm2-135m", to="el", text="greek.txt", pairs="en-el.tsv", out="smollm2-el"
        ... )  # doctest: +SKIP
    """
    inputs = AdaptationInputs(
        model=model,
        text=_paths(text),
        pairs=[pair_files(entry) for entry in _paths(pairs)],
        source_lang=_language(source_lang),
        target_lang=_language(to),
        dictionary=_path(dictionary),
        test=_path(test),
        valid=_path(valid),
        general_text=_path(general_text),
        tokenizer=_path(tokenizer),
    )
    _check(inputs)
    folder = Path(out)
    check_out(folder)
    if settings is None:
        settings = default_settings(budget or Budget(num_bytes=_size(inputs)), seed=seed)
    elif budget is not None:
        settings = replace(settings, budget=budget)
    plan = adaptation_plan(
        inputs,
        settings,
        vocab_size=vocab_size,
        method=method,
        controls=controls,
        normalization=normalization,
        weigh=_weigh_settings(weigh, settings, inputs),
    )
    return run_adaptation(
        plan,
        inputs,
        out=folder,
        licences=licences,
        runtime=runtime or Runtime(),
        progress=progress,
    )


def run_adaptation(
    plan: Plan,
    inputs: AdaptationInputs,
    *,
    out: Path,
    licences: Sequence[str] = (),
    runtime: Runtime,
    progress: Progress | None = None,
) -> Adaptation:
    """Runs an adaptation's plan and puts model, card and report into a folder."""
    check_out(out)
    store = Store(out / STATE / "store")
    artifacts = run(plan, store=store, runtime=runtime, progress=progress)
    method = graft_method(plan)
    record = assemble(
        artifacts,
        method=method,
        model_name=str(inputs.model),
        source_lang=inputs.source_lang,
        target_lang=inputs.target_lang,
        inputs=_licences(inputs, licences),
        runtime=runtime,
        model_path=str(out),
    )
    publish(artifacts[f"arm-{method}"].path / "model", out)
    write_json(out / STATE / "record.json", record)
    write_model_card(record, out / "README.md")
    write_report(record, out / "report.html")
    return Adaptation(out, out / "report.html", record)


def _weigh_settings(
    weigh: bool | WeighSettings, settings: ArmSettings, inputs: AdaptationInputs
) -> WeighSettings | None:
    if isinstance(weigh, WeighSettings):
        return weigh
    if not weigh:
        return None
    text_bytes = _size(inputs)
    sizes = weigh_sizes(settings.budget.num_bytes or text_bytes, text_bytes)
    return WeighSettings(sizes, batch_bytes=settings.batch_bytes, seed=settings.seed)


def check_out(folder: Path) -> None:
    """Refuses an output folder that exists, has something in it, and is not ours.

    Raises:
        StoreError: The folder is somebody else's.
    """
    if folder.exists() and not folder.is_dir():
        raise StoreError(expected="a folder", got="a file", where=str(folder))
    if folder.is_dir() and any(folder.iterdir()) and not (folder / STATE).is_dir():
        raise StoreError(
            expected="an empty or new output folder, or one that lingraft made",
            got="a folder with other files",
            where=str(folder),
            hint="choose another --out; nothing was touched",
        )


def publish(model: Path, out: Path) -> None:
    """Copies the model's files, each atomically, `config.json` last."""
    files = sorted(model.iterdir(), key=lambda path: (path.name == "config.json", path.name))
    for path in files:
        with path.open("rb") as source, atomic_writer(out / path.name) as target:
            while block := source.read(_COPY_BYTES):
                target.write(block)


def _check(inputs: AdaptationInputs) -> None:
    if not inputs.text:
        raise InputError(expected="at least one file of text", got="none", where="text")
    if (inputs.test is None) != (inputs.valid is None):
        raise InputError(
            expected="both test and valid, or neither",
            got="test alone" if inputs.test else "valid alone",
            where="test",
        )
    if inputs.source_lang == inputs.target_lang:
        raise InputError(
            expected="a target language other than the source language",
            got=str(inputs.target_lang),
            where="to",
        )


def _size(inputs: AdaptationInputs) -> int:
    """Bytes of the text once: the default budget.

    The held-out rows are drawn from it, so that the budget is a little more than one epoch.
    """
    return read_documents(list(inputs.text), lang=inputs.target_lang).num_bytes


def _licences(inputs: AdaptationInputs, given: Sequence[str]) -> list[dict[str, str]]:
    """Name, licence and origin of the model and of every file."""
    stated = dict(entry.split("=", 1) for entry in given if "=" in entry)
    packaged = PACKAGED.get(str(inputs.model).lower())
    name = str(inputs.model)
    entries = [
        {
            "name": name,
            "licence": packaged.licence if packaged else stated.get(name, "not stated"),
            "origin": packaged.origin if packaged else "given by the user",
        }
    ]
    files = [*inputs.text, *(path for group in inputs.pairs for path in group)]
    files += [path for path in (inputs.dictionary, inputs.test, inputs.valid) if path is not None]
    for path in dict.fromkeys(files):
        bundled = samples.LICENCES.get(path.name) if _is_bundled(path) else None
        for licence in bundled or (None,):
            entries.append(
                {
                    "name": path.name,
                    "licence": licence.spdx
                    if licence
                    else stated.get(str(path), stated.get(path.name, "not stated")),
                    "origin": licence.origin if licence else "given by the user",
                }
            )
    return entries


def _is_bundled(path: Path) -> bool:
    return path.name in samples.LICENCES and path.resolve() == samples.path(path.name).resolve()


def _language(value: str | Language) -> Language:
    return value if isinstance(value, Language) else Language.parse(value)


def _path(value: PathLike | None) -> Path | None:
    return None if value is None else Path(value)


def _paths(value: PathLike | Sequence[PathLike] | None) -> list[Path]:
    if value is None:
        return []
    return [Path(value)] if isinstance(value, str | Path) else [Path(path) for path in value]


def pair_files(path: Path) -> list[Path]:
    """Two files of a Moses pair, written with a comma, or the one file."""
    if path.exists() or "," not in str(path):
        return [path]
    return [Path(part) for part in str(path).split(",", 1)]
