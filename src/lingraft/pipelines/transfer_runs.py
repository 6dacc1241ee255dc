"""Single runs of a data transfer study: pretraining on a source, training on a size of a target."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import PreTrainedModel

from lingraft.corpus import Document
from lingraft.files import read_json, write_json
from lingraft.languages import Language
from lingraft.measurement import Score, bits_per_byte
from lingraft.model import CausalScorer, load, save
from lingraft.model.byte_lm import ladder_config, ladder_lm, num_flops_per_token
from lingraft.model.parts import names_of_part, reset_part
from lingraft.pipelines.transfer_texts import read_part, training_text
from lingraft.runtime import Runtime
from lingraft.study import Progress, share_reporter
from lingraft.tokenizer import Tokenizer, byte_tokenizer
from lingraft.training import Packing
from lingraft.training.batches import text_of_steps
from lingraft.training.best_loss import (
    BestLoss,
    BestLossSettings,
    drop_runs,
    train_at_best_rate,
    train_to_best,
)
from lingraft.training.trunk import Trunk, TrunkSettings, train_trunk

VERSION = 5
RESULT = "result.json"
ONE_PASS = "one pass"
"""What ended a run on text that is read once; the others are `BestLoss.stopped`."""


@dataclass(frozen=True)
class RunSettings:
    """How every run of a study is trained, random or pretrained weights alike.

    Attributes:
        batch_bytes: Text of one optimiser step.
        window_tokens: Tokens that the model sees at once, start and end tokens included.
        learning_rates: Plateau rates to choose from on valid text.
        best_loss: How far a run goes.
    """

    batch_bytes: int = 2_000
    window_tokens: int = 256
    learning_rates: tuple[float, ...] = (1e-3, 4e-3)
    best_loss: BestLossSettings = field(default_factory=BestLossSettings)


TINY_RUNS = RunSettings(
    batch_bytes=1_000,
    window_tokens=128,
    learning_rates=(4e-3,),
    best_loss=BestLossSettings(
        warmup_bytes=1_000, evaluation_bytes=4_000, patience=1, max_epochs=2
    ),
)
"""A few kB, to see that a study goes through."""

PAPER_RUNS = RunSettings(
    batch_bytes=65_536,
    window_tokens=1024,
    learning_rates=(1e-4, 3e-4, 1e-3),
    best_loss=BestLossSettings(
        warmup_bytes=2_000_000, evaluation_bytes=2_000_000, patience=3, max_epochs=30
    ),
)
"""For the sizes of arXiv 2404.08191, so that each is trained as far as its text goes.

The paper's own batch of 524,288 bytes gives 6 MB twelve steps an epoch and 120 in all: a curve of
steps, not of text. An eighth of it gives 92 an epoch and 2,700 before epochs end the run; patience
ends it earlier, so that 6 GB cost no thirty epochs. The warm-up is a third of the smallest size's
first epoch: 31 steps, as many as the paper's runs on 60 MB had. The paper's rate of 2e-4 lies
within these three; every size chooses its own.
"""


def pretrain(
    *,
    text: Path,
    lang: str,
    size: str,
    tokenizer: Path | None,
    num_bytes: int,
    settings: RunSettings,
    rate: float | None,
    budget: Path | None,
    seed: int,
    out: Path,
    runtime: Runtime,
    progress: Progress,
) -> dict[str, Any]:
    """Trains a model on a source text; the folder is a loadable model.

    Args:
        text: A text of `study_text`.
        lang: Code of its language.
        size: Of the model.
        tokenizer: Folder of its tokenizer; None for bytes.
        num_bytes: Text, the first of the seed's order.
        settings: Of all runs.
        rate: Plateau rate; None chooses on valid text.
        budget: Folder of a run whose FLOPs this one may take; None trains to the best loss.
        seed: Of the weights, and of the choice and order of the text.
        out: Folder of the model.
        runtime: Threads and device.
        progress: Where to report to.

    Returns:
        Loss on valid text, bytes processed, the rate, what ended the run, and its text.
    """
    start = _Start(size, _tokenizer(tokenizer), seed)
    work = _Work(text, lang, num_bytes, settings, rate, _budget(budget))
    return _best_run(start, work, out, runtime, progress, keep=True)


pretrain.RESUMABLE = True  # type: ignore[attr-defined]


def train_target(
    *,
    text: Path,
    lang: str,
    size: str,
    tokenizer: Path | None,
    source: Path | None,
    reset: str | None,
    frozen: str | None,
    num_bytes: int,
    settings: RunSettings,
    tuned: Path | None,
    budget: Path | None,
    seed: int,
    out: Path,
    runtime: Runtime,
    progress: Progress,
) -> dict[str, Any]:
    """Trains on a size of a target text, from random weights or a pretrained model.

    Args:
        text: A text of `study_text`.
        lang: Code of its language.
        size: Of the model.
        tokenizer: Folder of its tokenizer, the source's own; None for bytes.
        source: Folder of the pretrained model; None for random weights.
        reset: Part of it that starts from random weights again, see `model.parts`.
        frozen: Part of it that stays as it is while the others are trained.
        num_bytes: Target text; 0 measures the model as it is.
        settings: Of all runs.
        tuned: Folder of a run of the same size and kind of weights whose rate is taken; None
            chooses one here.
        budget: Folder of a run whose FLOPs this one may take; None trains to the best loss.
        seed: Of random weights, and of the choice and order of the text.
        out: Folder for `result.json`.
        runtime: Threads and device.
        progress: Where to report to.

    Returns:
        Losses on valid and test text, bytes and FLOPs processed, the rate, what ended the run,
        and bytes, characters and documents of its text.
    """
    rate = None if tuned is None else read_json(tuned / RESULT)["learning_rate"]
    start = _Start(size, _tokenizer(tokenizer), seed, source, reset, frozen)
    work = _Work(text, lang, num_bytes, settings, rate, _budget(budget))
    return _best_run(start, work, out, runtime, progress)


train_target.RESUMABLE = True  # type: ignore[attr-defined]


def train_sizes(
    *,
    text: Path,
    lang: str,
    size: str,
    tokenizer: Path | None,
    source: Path | None,
    reset: str | None,
    frozen: str | None,
    sizes: Sequence[int],
    settings: RunSettings,
    tuned: Path | None,
    seed: int,
    out: Path,
    runtime: Runtime,
    progress: Progress,
) -> dict[str, Any]:
    """Reads a target text once and measures the model at several sizes of it; see `train_trunk`.

    Args:
        text: A text of `study_text`.
        lang: Code of its language.
        size: Of the model.
        tokenizer: Folder of its tokenizer, the source's own; None for bytes.
        source: Folder of the pretrained model; None for random weights.
        reset: Part of it that starts from random weights again.
        frozen: Part of it that stays as it is.
        sizes: Bytes of target text, rising.
        settings: Of all runs.
        tuned: Folder of a run of the same kind of weights whose rate is taken; None chooses the
            one that is best on valid text at the largest size.
        seed: Of random weights, and of the order of the text.
        out: Folder for `result.json`.
        runtime: Threads and device.
        progress: Where to report to.

    Returns:
        Losses on valid and test text and amounts of text by size, bytes processed, the rate.
    """
    torch.set_num_threads(runtime.threads)
    start = _Start(size, _tokenizer(tokenizer), seed, source, reset, frozen)
    language = Language.parse(lang)
    valid, test = (read_part(text, name, language).records for name in ("valid", "test"))
    packing = _packing(start.tokenizer, settings)
    documents = training_text(text, language, sizes[-1], seed).documents.records
    rates = settings.learning_rates
    if tuned is not None:
        rates = (float(read_json(tuned / RESULT)["learning_rate"]),)

    def losses(trained: PreTrainedModel) -> dict[str, float]:
        return {
            "valid_nats_per_byte": _nats(_score(trained, start.tokenizer, packing, valid)),
            "nats_per_byte": _nats(_score(trained, start.tokenizer, packing, test)),
        }

    def grow(rate: float) -> Trunk:
        model = start.model()
        return train_trunk(
            model,
            start.tokenizer,
            documents,
            sizes=sizes,
            evaluate=losses,
            packing=packing,
            settings=TrunkSettings(
                rate,
                warmup_bytes=settings.best_loss.warmup_bytes,
                weight_decay=settings.best_loss.weight_decay,
            ),
            seed=seed,
            frozen=start.frozen_names(model),
            runtime=runtime,
            advance=share_reporter(progress, f"{len(sizes)} sizes at {rate:g}"),
        )

    grown = {rate: grow(rate) for rate in rates}
    best = min(grown, key=lambda rate: grown[rate].branches[-1].value["valid_nats_per_byte"])
    result = {
        "learning_rate": best,
        "stopped": ONE_PASS,
        "processed_bytes": sum(trunk.processed_bytes for trunk in grown.values()),
        "processed_flops": start.flops_per_token(settings)
        * sum(trunk.processed_tokens for trunk in grown.values()),
        "sizes": {
            str(branch.asked_bytes): {
                **branch.value,
                **_amounts(_up_to(branch.asked_bytes, documents, packing, seed)),
            }
            for branch in grown[best].branches
        },
    }
    write_json(out / RESULT, result)
    return result


class _Start(NamedTuple):
    """What a run begins with: weights, and the seed that draws them and the text's order."""

    size: str
    tokenizer: Tokenizer
    seed: int
    source: Path | None = None
    reset: str | None = None
    frozen: str | None = None

    def model(self) -> PreTrainedModel:
        fresh = ladder_lm(self.size, self.tokenizer, seed=self.seed)
        if self.source is None:
            return fresh
        model = load(self.source, dtype=torch.float32).model
        if self.reset is not None:
            reset_part(model, fresh, self.reset)
        return model

    def frozen_names(self, model: PreTrainedModel) -> Sequence[str]:
        if self.frozen is None:
            return ()
        return names_of_part((name for name, _ in model.named_parameters()), self.frozen)

    def flops_per_token(self, settings: RunSettings) -> float:
        config = ladder_config(self.size, self.tokenizer)
        return num_flops_per_token(config, window_tokens=settings.window_tokens)


class _Work(NamedTuple):
    """What a run is trained on, how, and what it may cost: FLOPs, or None for its best loss."""

    text: Path
    lang: str
    num_bytes: int
    settings: RunSettings
    rate: float | None
    max_flops: float | None


def _best_run(
    start: _Start,
    work: _Work,
    out: Path,
    runtime: Runtime,
    progress: Progress,
    *,
    keep: bool = False,
) -> dict[str, Any]:
    """Trains once for each rate, keeps the best on valid text, and measures that on test text."""
    torch.set_num_threads(runtime.threads)
    language, settings, num_bytes = Language.parse(work.lang), work.settings, work.num_bytes
    text, tokenizer = work.text, start.tokenizer
    flops = start.flops_per_token(settings)
    valid, test = (read_part(text, name, language).records for name in ("valid", "test"))
    packing = _packing(tokenizer, settings)
    prefix = training_text(text, language, num_bytes, start.seed) if num_bytes else None
    documents = () if prefix is None else prefix.documents.records

    def train_one(model: PreTrainedModel, one: float) -> BestLoss:
        return train_to_best(
            model,
            tokenizer,
            documents,
            evaluate=lambda trained: _nats(_score(trained, tokenizer, packing, valid)),
            packing=packing,
            learning_rate=one,
            settings=settings.best_loss,
            seed=start.seed,
            frozen=start.frozen_names(model),
            max_tokens=None if work.max_flops is None else work.max_flops / flops,
            runtime=runtime,
            checkpoints=out / "checkpoints" / f"{one:g}",
            advance=share_reporter(progress, f"{num_bytes:,} bytes at {one:g}"),
        )

    rates = settings.learning_rates if work.rate is None else (work.rate,)
    best = train_at_best_rate(start.model, rates, train_one) if num_bytes else None
    model = start.model() if best is None else best.model
    reached = (
        _nats(_score(model, tokenizer, packing, valid))
        if best is None
        else best.run.best.nats_per_byte
    )
    score = _score(model, tokenizer, packing, test)
    tried = {0.0: reached} if best is None else best.valid_nats
    result = {
        "nats_per_byte": _nats(score),
        "valid_nats_per_byte": reached,
        "learning_rate": 0.0 if best is None else best.learning_rate,
        "learning_rates": {f"{one:g}": found for one, found in tried.items()},
        "processed_bytes": 0 if best is None else best.processed_bytes,
        "processed_flops": 0.0 if best is None else best.processed_tokens * flops,
        "num_flops": 0.0 if best is None else best.run.processed_tokens * flops,
        "stopped": None if best is None else best.run.stopped,
        **_amounts(documents),
        "text": None if prefix is None else prefix.manifest,
    }
    if keep:
        save(model, tokenizer, out)
    curve = None if best is None else asdict(best.run)
    write_json(out / RESULT, {**result, "test": score.to_record(), "best_run": curve})
    drop_runs(out / "checkpoints")
    return result


def _up_to(
    num_bytes: int, documents: Sequence[Document], packing: Packing, seed: int
) -> list[Document]:
    """What a trunk has read at the end of a size."""
    steps = text_of_steps(
        documents, batch_bytes=packing.batch_bytes, seed=seed, max_bytes=num_bytes
    )
    return [document for step in steps for document in step]


def _amounts(documents: Sequence[Document]) -> dict[str, int]:
    return {
        "num_bytes": sum(len(document.text.encode("utf-8")) for document in documents),
        "num_characters": sum(len(document.text) for document in documents),
        "num_documents": len(documents),
    }


def _tokenizer(folder: Path | None) -> Tokenizer:
    return byte_tokenizer() if folder is None else Tokenizer.load(folder)


def _budget(folder: Path | None) -> float | None:
    """FLOPs of the run that another run kept, without those at other rates."""
    return None if folder is None else float(read_json(folder / RESULT)["num_flops"])


def _packing(tokenizer: Tokenizer, settings: RunSettings) -> Packing:
    start, end = tokenizer.role_id("bos_token"), tokenizer.role_id("eos_token")
    assert start is not None
    return Packing(settings.batch_bytes, settings.window_tokens, start, end)


def _score(
    model: PreTrainedModel, tokenizer: Tokenizer, packing: Packing, rows: Sequence[Document]
) -> Score:
    scorer = CausalScorer(
        model, tokenizer, start_token=packing.start_token, window=packing.window_tokens
    )
    return bits_per_byte(scorer, rows)


def _nats(score: Score) -> float:
    """Nats per byte: neither bytes nor a BPE of bytes lose text, so the score is defined."""
    assert not score.reason
    assert score.denominator > 0
    return score.numerator / score.denominator
