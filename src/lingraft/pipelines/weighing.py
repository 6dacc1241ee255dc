"""What a graft was worth in bytes of target text: D_T of the adapted model (arXiv 2404.08191).

The same architecture with the same new vocabulary is trained from random weights on several sizes
of the target text, each to its best; the adapted model's loss is read off that curve.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from lingraft.corpus import Document, Documents, byte_prefixes
from lingraft.errors import InputError
from lingraft.files import read_json, write_json
from lingraft.languages import Language
from lingraft.measurement import Loss, Score, bits_per_byte, data_transfer
from lingraft.measurement.data_transfer import Transfer, signed_bytes
from lingraft.measurement.transfer_losses import SCRATCH
from lingraft.model import CausalScorer, load, swap_vocabulary
from lingraft.pipelines.corpora import corpus_documents, corpus_facts
from lingraft.pipelines.vocabularies import load_rows
from lingraft.runtime import Runtime
from lingraft.seeds import derive
from lingraft.study import Progress, share_reporter
from lingraft.tokenizer import Tokenizer
from lingraft.training import Packing
from lingraft.training.best_loss import (
    BestLoss,
    BestLossSettings,
    train_at_best_rate,
    train_to_best,
)
from lingraft.units import Budget

VERSION = 2
RESULT = "result.json"
MIN_SIZES = 3
GRAFT = "graft"
ONCE = " Runs from random weights read their text once, as the graft did."


@dataclass(frozen=True)
class WeighSettings:
    """How the from-scratch curve is made.

    Attributes:
        sizes: Bytes of target text, rising, at least three.
        batch_bytes: Text of one optimiser step.
        window_tokens: Longest context in training.
        learning_rates: Plateau rates; the smallest size chooses on valid text for all.
        best_loss: How far each run goes.
        num_valid_rows: Valid rows on which runs are stopped.
        num_seeds: Runs at the smallest size: scatter is measured where a run costs least.
        seed: Of the order of the text and of the weights.
    """

    sizes: tuple[int, ...]
    batch_bytes: int = 2_000
    window_tokens: int = 256
    learning_rates: tuple[float, ...] = (3e-4, 1e-3)
    best_loss: BestLossSettings = BestLossSettings(  # noqa: RUF009 - frozen
        evaluation_bytes=20_000, evaluations_per_epoch=1, patience=3, max_epochs=12
    )
    num_valid_rows: int = 16
    num_seeds: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        rising = all(a < b for a, b in pairwise(self.sizes))
        if len(self.sizes) < MIN_SIZES or not rising or self.sizes[0] < 1:
            raise InputError(
                expected=f"at least {MIN_SIZES} rising sizes in bytes",
                got=", ".join(map(str, self.sizes)) or "none",
                where="weigh sizes",
            )


def weigh_sizes(trained_bytes: int, text_bytes: int) -> tuple[int, ...]:
    """Returns three sizes from what the graft was trained on up to all the text, evenly in logs.

    Where the graft saw most of the text there is nothing above it: the sizes end at the text, and
    a good graft's worth is then a bound.
    """
    low = min(trained_bytes, max(text_bytes // 9, 1))
    middle = round(math.sqrt(low * text_bytes))
    return low, middle, text_bytes


def train_scratch(
    *,
    model: Path,
    tokenizer: Path,
    rows: Path,
    corpus: Path,
    choice: Path,
    tuned: Path | None,
    target_lang: str,
    num_bytes: int,
    settings: WeighSettings,
    seed: int,
    out: Path,
    runtime: Runtime,
    progress: Progress,
) -> dict[str, Any]:
    """Trains the graft's architecture and vocabulary from random weights on some text.

    Args:
        model: Folder of the source model, for its architecture.
        tokenizer: Folder of the new tokenizer.
        rows: Folder of the graft's rows, for their shape.
        corpus: The prepared corpus.
        choice: Folder of the graft's choice, for its start token.
        tuned: Folder of a run whose learning rate is taken; None chooses one here.
        target_lang: Code of the new language.
        num_bytes: Target text.
        settings: Of all runs.
        seed: Of the weights, and of the choice and order of the text.
        out: Folder for `result.json`.
        runtime: Threads and device.
        progress: Where to report to.

    Returns:
        Losses on test and valid text, in nats per byte, and bytes processed.
    """
    torch.set_num_threads(runtime.threads)
    lang, target = Language.parse(target_lang), Tokenizer.load(tokenizer)
    start = int(read_json(choice / "choice.json")["start_token"])
    train = corpus_documents(corpus, "train", lang)
    valid = corpus_documents(corpus, "valid", lang).records[: settings.num_valid_rows]
    test = corpus_documents(corpus, "test", lang).records
    documents = _prefix(train, num_bytes, seed)
    rates = settings.learning_rates
    if tuned is not None:
        rates = (read_json(tuned / RESULT)["learning_rate"],)

    def train_one(fresh: PreTrainedModel, rate: float) -> BestLoss:
        return train_to_best(
            fresh,
            target,
            documents,
            evaluate=lambda trained: nats_per_byte(_score(trained, target, start, valid)),
            packing=Packing(
                settings.batch_bytes, settings.window_tokens, start, target.role_id("eos_token")
            ),
            learning_rate=rate,
            settings=settings.best_loss,
            seed=seed,
            runtime=runtime,
            checkpoints=out / "checkpoints" / f"{rate:g}",
            advance=share_reporter(progress, f"from scratch on {num_bytes:,} bytes at {rate:g}"),
        )

    best = train_at_best_rate(
        lambda: random_model(model, target, rows, seed=seed), rates, train_one
    )
    score = _score(best.model, target, start, test)
    result = {
        "nats_per_byte": nats_per_byte(score),
        "valid_nats_per_byte": best.run.best.nats_per_byte,
        "learning_rate": best.learning_rate,
        "processed_bytes": best.processed_bytes,
    }
    write_json(out / RESULT, {**result, "test": score.to_record()})
    return result


train_scratch.RESUMABLE = True  # type: ignore[attr-defined]


def weigh_graft(
    *,
    runs: Sequence[Mapping[str, Any]],
    arm: Path,
    corpus: Path,
    budget: Budget,
    max_epochs: float,
    target_lang: str,
    seed: int,
    out: Path,
) -> dict[str, Any]:
    """Reads the graft's loss off the from-scratch curve; writes `weight.json`.

    Args:
        runs: Size, seed and folder of each from-scratch run.
        arm: Folder of the trained graft.
        corpus: The prepared corpus.
        max_epochs: Most often that a from-scratch run read its text, for the description.
        budget: Of the graft; D_F is the text that it could see, each byte once.
        target_lang: Code of the new language.
        seed: Of the interval's draws.
        out: Folder for `weight.json`.

    Returns:
        D_T in bytes, whether it is a bound, and its interval.
    """
    after = Score.from_record(read_json(arm / "scores.json")["after"])
    losses = [
        Loss(
            target_lang,
            SCRATCH,
            run["num_bytes"],
            float(read_json(run["run"] / RESULT)["nats_per_byte"]),
            str(run["seed"]),
        )
        for run in runs
    ]
    text_bytes = int(corpus_facts(corpus)["train_bytes"])
    finetuned = min(budget.num_bytes or text_bytes, text_bytes)
    losses.append(Loss(target_lang, GRAFT, finetuned, nats_per_byte(after)))
    weighed = data_transfer(losses, seed=seed)
    [transfer] = weighed.transfers
    record = {
        "transfer": transfer.to_record(),
        "described": describe(transfer) + (ONCE if max_epochs <= 1 else ""),
        "repairs": [repair.describe() for repair in weighed.repairs],
        "losses": [
            {
                "init": loss.init,
                "dataset_bytes": loss.dataset_bytes,
                "seed": loss.seed,
                "bits_per_byte": loss.nats_per_byte / math.log(2),
            }
            for loss in losses
        ],
    }
    write_json(out / "weight.json", record)
    return {
        "data_transferred_bytes": transfer.data_transferred_bytes,
        "censored": transfer.censored,
        "interval": None if transfer.interval is None else list(transfer.interval),
    }


def describe(transfer: Transfer) -> str:
    """Says in one sentence what the graft was worth, bounds as bounds."""
    language = Language.parse(transfer.target).name
    bound = {"at_least": "at least ", "at_most": "at most ", None: ""}[transfer.censored]
    beside = (
        f"{bound}{signed_bytes(transfer.data_transferred_bytes)} of {language} text beside the "
        f"{signed_bytes(transfer.data_finetuned_bytes)} that it was trained on"
    )
    if transfer.interval is None:
        return f"The graft was worth {beside}; no interval: {transfer.reason}."
    low, high = (
        signed_bytes(end) if end is not None else "beyond the sizes tried"
        for end in transfer.interval
    )
    return f"The graft was worth {beside} (95 % interval {low} to {high})."


def random_model(model: Path, target: Tokenizer, rows: Path, *, seed: int) -> PreTrainedModel:
    """Returns the graft's architecture and vocabulary with random weights, as its class draws."""
    loaded = load(model, dtype=torch.float32)
    matrix, head = load_rows(rows)
    grafted = swap_vocabulary(loaded.model, target, matrix, head, source_tokenizer=loaded.tokenizer)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "weigh"))
        fresh = type(grafted)(grafted.config)
    return fresh.float()


def nats_per_byte(score: Score) -> float:
    """Total nats by total bytes.

    Raises:
        InputError: The vocabulary loses bytes of the text, so that there is no likelihood of it.
    """
    if score.reason:
        raise InputError(
            expected="a vocabulary that spells all of the text",
            got=score.reason,
            where="weighing",
            hint="byte-level vocabularies, such as lingraft trains, lose nothing",
        )
    return score.numerator / score.denominator


def _prefix(train: Documents, num_bytes: int, seed: int) -> tuple[Document, ...]:
    """Exact bytes where there are more, all of the text where held-out rows left less."""
    if num_bytes >= train.num_bytes:
        return train.records
    return byte_prefixes(train, [num_bytes], seed=seed)[0].documents.records


def _score(
    model: PreTrainedModel, tokenizer: Tokenizer, start: int, rows: Sequence[Document]
) -> Score:
    return bits_per_byte(CausalScorer(model, tokenizer, start_token=start), rows)
