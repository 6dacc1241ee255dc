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
from lingraft.pipelines.corpora import all_target_text, corpus_documents, corpus_facts
from lingraft.pipelines.vocabularies import load_rows
from lingraft.runtime import Runtime
from lingraft.seeds import derive
from lingraft.study import Progress, share_reporter
from lingraft.tokenizer import Tokenizer
from lingraft.training import Packing
from lingraft.training.best_loss import (
    BestLoss,
    BestLossSettings,
    drop_runs,
    train_at_best_rate,
    train_to_best,
)
from lingraft.units import format_bytes

VERSION = 3
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
        learning_rates: Plateau rates; every size chooses its own on valid text. A larger size at
            the rate of a smaller one is worse than its text allows, which flatters the graft.
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
        tuned: Folder of a run on as much text whose learning rate is taken; None chooses one.
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
    drop_runs(out / "checkpoints")
    return result


train_scratch.RESUMABLE = True  # type: ignore[attr-defined]


def weigh_graft(
    *,
    runs: Sequence[Mapping[str, Any]],
    arm: Path,
    corpus: Path,
    max_epochs: float,
    own_vocabulary: bool,
    source_lang: str,
    target_lang: str,
    seed: int,
    out: Path,
) -> dict[str, Any]:
    """Reads the graft's loss off the from-scratch curve; writes `weight.json`.

    D_F is the text that the graft was trained on, each byte once: an epoch more adds nothing.

    Args:
        runs: Size, seed and folder of each from-scratch run.
        arm: Folder of the trained graft.
        corpus: The prepared corpus.
        max_epochs: Most often that a from-scratch run read its text, for the description.
        own_vocabulary: Whether the vocabulary was made from the corpus, for the description.
        source_lang: Code of the source model's main language.
        target_lang: Code of the new language.
        seed: Of the interval's draws.
        out: Folder for `weight.json`.

    Returns:
        D_T in bytes, whether it is a bound, and its interval.
    """
    scores = read_json(arm / "scores.json")
    after = Score.from_record(scores["after"])
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
    finetuned = min(int(scores["trained_bytes"]), int(corpus_facts(corpus)["train_bytes"]))
    losses.append(Loss(target_lang, GRAFT, finetuned, nats_per_byte(after)))
    weighed = data_transfer(losses, seed=seed)
    [transfer] = weighed.transfers
    record = {
        "transfer": transfer.to_record(),
        "described": describe(transfer)
        + _describe_origin(transfer, _all_bytes(corpus, source_lang, target_lang), own_vocabulary)
        + (ONCE if max_epochs <= 1 else ""),
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


def _describe_origin(transfer: Transfer, made_from_bytes: int, own_vocabulary: bool) -> str:
    """Says what a graft has seen of the language before its training, where that is more."""
    if made_from_bytes <= transfer.data_finetuned_bytes:
        return ""
    made = "vocabulary and rows" if own_vocabulary else "rows"
    language = Language.parse(transfer.target).name
    return f" Its {made} were made with {format_bytes(made_from_bytes)} of {language} text."


def _all_bytes(corpus: Path, source_lang: str, target_lang: str) -> int:
    """Target text of the corpus and its pairs, each text once: calibration reads all of it."""
    source, target = Language.parse(source_lang), Language.parse(target_lang)
    texts = all_target_text(corpus, target, source)
    return sum(len(document.text.encode("utf-8")) for document in texts)


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
