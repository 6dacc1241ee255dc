"""Bytes per second of training byte models: lingraft against transformers.Trainer.

    python benchmarks/training.py [--sizes 1m 4m] [--precision bfloat16] [--threads 2] [--runs 3]
        [--steps 8]

All cores that it may use, or `--threads` of them, on both sides, each run in a process of its own;
model, precision, optimiser and learning rate are the same, and so is the text of every step. Two
kinds of text from the bundled Dutch train split:

- `windows`: pieces that fill a window to the last byte. Both compute the same tensors, so this
  compares the loops alone.
- `documents`: whole short documents, as they are. lingraft packs them; Trainer gets them padded,
  which is the same loss to rounding (checked), or joined and cut into windows, which is not: there
  documents see each other and their starts and ends fall anywhere.

Runs are interleaved and the median counts; the first step of each is not timed. On one thread time
is that of the processor, which others do not disturb; on several it is the wall clock's, and the
machine has to be idle.
Trainer's text is tokenised and laid out beforehand; lingraft's is not.
"""

import argparse
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from typing import Any

import torch
import transformers
from torch.utils.data import DataLoader

from lingraft.corpus import Document, samples
from lingraft.languages import Language
from lingraft.model.byte_lm import byte_lm
from lingraft.runtime import Runtime
from lingraft.tokenizer.byte_vocabulary import byte_tokenizer
from lingraft.training import Packing, Schedule, Stage, continue_pretraining
from lingraft.training.batches import IGNORED, text_of_steps
from lingraft.units import Budget

WINDOWS = {"1m": 256, "4m": 1024}
"""Tokens of a window by size."""

BATCH_TOKENS, LEARNING_RATE, WEIGHT_DECAY, BETAS, SEED = 4096, 1e-3, 0.1, (0.9, 0.95), 0
BAR = 1.2
TOLERANCE = 0.005
"""Of the first losses, which bfloat16 rounds differently in rows of another length."""

TOKENIZER = byte_tokenizer()
START, END, PADDING = (TOKENIZER.role_id(f"{role}_token") for role in ("bos", "eos", "pad"))

Step = list[Document]
Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Text:
    """What a run trains on: the documents and, drawn from them, those of each step."""

    documents: list[Document]
    batch_bytes: int
    window: int
    end: int | None
    steps: list[Step]


@dataclass(frozen=True)
class Timed:
    """One run: bytes per second after the first step, and the first step's loss."""

    bytes_per_second: float
    first_nats: float


def main() -> None:
    """Prints a table of the medians and ratios."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=list(WINDOWS), choices=list(WINDOWS))
    parser.add_argument("--precision", default="bfloat16", choices=["bfloat16", "float32"])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--threads", type=int, default=0)
    given = parser.parse_args()
    runtime = Runtime(num_threads=given.threads, device="cpu", precision=given.precision)
    documents = list(samples.load_documents("train", lang=Language.parse("nl")))
    print(
        f"{given.precision}, {runtime.threads} threads, {given.runs} runs of {given.steps} steps, "
        f"{BATCH_TOKENS} tokens each"
    )
    print(f"{'size':<5}{'text':<11}{'arm':<17}{'bytes/s':>9}  {'range':<15}{'ratio':>6}")
    for size in given.sizes:
        for kind, text in texts_of(documents, WINDOWS[size], given.steps).items():
            arms: dict[str, Callable[[], Timed]] = {
                "lingraft": partial(run_lingraft, size, text, runtime),
                "Trainer, padded": partial(run_trainer, size, text, runtime, padded),
            }
            if kind == "documents":
                arms["Trainer, joined"] = partial(run_trainer, size, text, runtime, joined)
            compare(size, kind, arms, given.runs)


def texts_of(documents: list[Document], window: int, num_steps: int) -> dict[str, Text]:
    """The two kinds of text."""
    room = window - 1
    ascii_text = (
        " ".join(document.text for document in documents).encode("ascii", "ignore").decode()
    )
    pieces = [
        Document(ascii_text[at : at + room], f"piece {at}")
        for at in range(0, len(ascii_text) - room, room)
    ]
    kinds = {
        "windows": (pieces, BATCH_TOKENS // window * room, None),
        "documents": ([d for d in documents if len(d.text.encode()) <= room], BATCH_TOKENS, END),
    }
    texts = {}
    for kind, (chosen, batch_bytes, end) in kinds.items():
        stream = text_of_steps(chosen, batch_bytes=batch_bytes, seed=SEED, max_bytes=None)
        steps = list(itertools.islice(stream, num_steps))
        texts[kind] = Text(chosen, batch_bytes, window, end, steps)
    return texts


def compare(size: str, kind: str, arms: dict[str, Callable[[], Timed]], num_runs: int) -> None:
    """Runs the arms in turn and prints a line for each."""
    runs: dict[str, list[Timed]] = {name: [] for name in arms}
    for _ in range(num_runs):
        for name, run in arms.items():
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
                runs[name].append(alone.submit(run).result())
    ours = statistics.median(run.bytes_per_second for run in runs["lingraft"])
    for name, timed in runs.items():
        rates = [run.bytes_per_second for run in timed]
        median = statistics.median(rates)
        verdict = "" if name == "lingraft" else f"{ours / median:6.2f}"
        if verdict:
            verdict += " pass" if ours / median >= BAR else " below"
        spread = f"{min(rates):.0f}-{max(rates):.0f}"
        print(f"{size:<5}{kind:<11}{name:<17}{median:9.0f}  {spread:<15}{verdict}", flush=True)
        first, wanted = timed[0].first_nats, runs["lingraft"][0].first_nats
        if name != "Trainer, joined" and abs(first - wanted) > TOLERANCE * wanted:
            print(f"FAIL: {name} starts at {first:.4f} nats per token, lingraft at {wanted:.4f}")


def run_lingraft(size: str, text: Text, runtime: Runtime) -> Timed:
    """Trains with lingraft, which tokenises and packs within the measured time."""
    clock: list[float] = []
    run = continue_pretraining(
        byte_lm(size, seed=SEED),
        TOKENIZER,
        text.documents,
        budget=Budget(num_steps=len(text.steps)),
        packing=Packing(text.batch_bytes, text.window, START, text.end),
        schedule=Schedule(LEARNING_RATE, warmup_share=0.0, decay_share=0.0),
        stages=(Stage("all", 1.0),),
        seed=SEED,
        weight_decay=WEIGHT_DECAY,
        runtime=runtime,
        advance=lambda done, note: clock.append(seconds(runtime)),
    )
    return Timed(bytes_per_second(text, clock), run.train_nats[0])


def run_trainer(
    size: str, text: Text, runtime: Runtime, lay_out: Callable[[Step, Text], Tensors]
) -> Timed:
    """Trains with transformers.Trainer, every step's tensors laid out beforehand."""
    torch.set_num_threads(runtime.threads)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    clock = StepClock(runtime)
    with tempfile.TemporaryDirectory() as folder:
        arguments = transformers.TrainingArguments(
            output_dir=folder,
            use_cpu=True,
            bf16=runtime.precision == "bfloat16",
            per_device_train_batch_size=1,
            max_steps=len(text.steps),
            learning_rate=LEARNING_RATE,
            lr_scheduler_type="constant",
            weight_decay=WEIGHT_DECAY,
            adam_beta1=BETAS[0],
            adam_beta2=BETAS[1],
            max_grad_norm=1.0,
            seed=SEED,
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        trainer = InOrder(
            model=byte_lm(size, seed=SEED).train(),
            args=arguments,
            train_dataset=[lay_out(step, text) for step in text.steps],
            data_collator=lambda steps: steps[0],
            callbacks=[clock],
        )
        trainer.remove_callback(transformers.PrinterCallback)
        trainer.train()
    return Timed(bytes_per_second(text, clock.times), trainer.state.log_history[0]["loss"])


class InOrder(transformers.Trainer):
    """A Trainer that takes the steps as they come."""

    def get_train_dataloader(self) -> Any:
        """Returns a loader whose batches are the rows of one step."""
        loader = DataLoader(self.train_dataset, batch_size=1, collate_fn=self.data_collator)
        return self.accelerator.prepare(loader)


class StepClock(transformers.TrainerCallback):
    """The time at the end of every step."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.times: list[float] = []

    def on_step_end(self, *arguments: Any, **named: Any) -> None:
        """Notes the time."""
        self.times.append(seconds(self.runtime))


def padded(step: Step, text: Text) -> Tensors:
    """A document a row, filled up to the longest."""
    rows = [[START, *TOKENIZER.encode(d.text), *([] if text.end is None else [END])] for d in step]
    longest = max(map(len, rows))
    shape = (len(rows), longest)
    x_RT, labels_RT = torch.full(shape, PADDING), torch.full(shape, IGNORED)
    seen_RT = torch.zeros(shape, dtype=torch.long)
    for row, ids in enumerate(rows):
        x_RT[row, : len(ids)] = torch.tensor(ids)
        labels_RT[row, 1 : len(ids)] = torch.tensor(ids[1:])
        seen_RT[row, : len(ids)] = 1
    return {"input_ids": x_RT, "labels": labels_RT, "attention_mask": seen_RT}


def joined(step: Step, text: Text) -> Tensors:
    """Documents end to end, cut into windows; the last window's rest is filled up."""
    ids = [token for d in step for token in (START, *TOKENIZER.encode(d.text), END)]
    num_rows = -(-len(ids) // text.window)
    x_RT = torch.full((num_rows * text.window,), PADDING)
    x_RT[: len(ids)] = torch.tensor(ids)
    x_RT = x_RT.view(num_rows, text.window)
    labels_RT = x_RT.masked_fill(x_RT == PADDING, IGNORED)
    return {"input_ids": x_RT, "labels": labels_RT}


def seconds(runtime: Runtime) -> float:
    """The processor's time on one thread, else the wall clock's."""
    return time.process_time() if runtime.threads == 1 else time.monotonic()


def bytes_per_second(text: Text, clock: list[float]) -> float:
    """Bytes of the steps after the first over their time."""
    num_bytes = sum(len(d.text.encode()) for step in text.steps[1:] for d in step)
    return num_bytes / (clock[-1] - clock[0])


if __name__ == "__main__":
    main()
