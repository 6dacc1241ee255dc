"""A study of data transfer that is smaller than the recipe's `tiny`."""

from pathlib import Path
from typing import Any

from lingraft.languages import Language
from lingraft.pipelines.transfer_inputs import Source, TextFiles, TransferInputs
from lingraft.pipelines.transfer_runs import RunSettings
from lingraft.runtime import Runtime
from lingraft.study import Job, Plan
from lingraft.training.best_loss import BestLossSettings

ENGLISH = Language.parse("en")
DUTCH, GREEK = "nld_Latn", "ell_Grek"
MIXED = f"{DUTCH}+5.00% {GREEK}"
SIZES = (200, 400, 800)
RUNTIME = Runtime(num_threads=1, device="cpu", precision="float32")
SETTINGS = RunSettings(
    batch_bytes=100,
    window_tokens=32,
    learning_rates=(1e-3, 4e-3),
    best_loss=BestLossSettings(
        warmup_bytes=100, evaluation_bytes=800, patience=1, max_epochs=1, decay_share=0.25
    ),
)


def make_inputs(files: dict[str, Path], **changes: Any) -> TransferInputs:
    text = TextFiles([files["train"]], files["valid"], files["test"])
    settings: dict[str, Any] = {
        "sources": [Source.parse(x, first=ENGLISH) for x in ("en", "shuffled", "nl+el:0.05")],
        "targets": [DUTCH, GREEK],
        "texts": {str(ENGLISH): text, DUTCH: text, GREEK: text},
        "pairs": {GREEK: files["valid"], DUTCH: files["valid"]},
        "reference_lang": str(ENGLISH),
        "size": "1m",
        "scratch_sizes": SIZES,
        "finetuned_sizes": (0, 200),
        "source_bytes": 400,
        "source_epochs": 2,
        "source_share": 0.5,
        "held_out_bytes": 400,
        "scratch_seeds": (0, 1),
        "most_seeded_bytes": 200,
        "finetuned_seeds": (0,),
        "rule": "log-log",
        "scale": "test",
        "seed": 0,
    }
    return TransferInputs(**settings | changes)


def runs_of(plan: Plan) -> list[Job]:
    return [job for job in plan.order if job.function.endswith(":train_target")]
