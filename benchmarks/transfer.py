"""Transfer methods side by side: right after the swap and after equal bytes of training.

    make bench-transfer ARGS="nl el eu"
    make bench-transfer ARGS="nl --methods pieces trans_tokenize --seeds 0 1 2"

SmolLM2-135M; the first 100 test rows of the bundled software help that have the language, shuffled
with random.Random(0), each alone after one <|im_start|>, the end token not scored; a byte-level
BPE of 8,000 tokens from the train split; 50 kB of training text in steps of 2 kB at 3e-4, all
layers. Each method stands as it is published, then with one fitted unigram output bias, then with
that bias written into its rows, from which it is trained. What was measured once stays in --out and
is not measured again. Prints Markdown.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from lingraft.corpus import Document, hold_out, samples
from lingraft.languages import Language
from lingraft.measurement import NgramScorer, bits_per_byte
from lingraft.model import CausalScorer, load, locate, swap_vocabulary
from lingraft.model.calibration import calibrate, fit_calibration
from lingraft.pipelines.corpora import prepare_corpus
from lingraft.pipelines.demo import VOCAB_SIZE, demo_inputs
from lingraft.pipelines.planning import AdaptationInputs
from lingraft.pipelines.vocabularies import (
    ROW_METHODS,
    load_rows,
    new_tokenizer,
    vocabulary_rows,
    word_links,
)
from lingraft.runtime import Runtime
from lingraft.study import File, Job, Plan, Store, job, run
from lingraft.tokenizer import Tokenizer
from lingraft.training import Packing, Schedule, Stage, continue_pretraining
from lingraft.units import Budget

START = "<|im_start|>"
SOURCE = "own vocabulary"
TRAINED_BYTES, BATCH_BYTES, RATE, WINDOW = 50_000, 2_000, 3e-4, 256
NUM_FIT_ROWS = 40
# `learned` needs a model that knows the language, `dictionary` a file that may not be bundled.
METHODS = tuple(name for name in ROW_METHODS if name not in ("learned", "dictionary"))


def main() -> None:
    """Measures what is missing and prints one table for each language."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("languages", nargs="*", default=["nl"])
    parser.add_argument("--methods", nargs="*", default=[SOURCE, *METHODS])
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--out", type=Path, default=Path("runs/bench-transfer"))
    parser.add_argument("--one", nargs=3, metavar=("LANGUAGE", "METHOD", "SEED"))
    arguments = parser.parse_args()
    if arguments.one:
        tag, method, seed = arguments.one
        measure(tag, method, int(seed), arguments.out)
        return
    for tag in arguments.languages:
        records = []
        for seed in arguments.seeds:
            for method in arguments.methods:
                path = _path(arguments.out, tag, method, seed)
                if not path.exists():
                    # A process each: its peak memory is its own.
                    command = [sys.executable, __file__, "--out", str(arguments.out)]
                    subprocess.run([*command, "--one", tag, method, str(seed)], check=True)
                records.append(json.loads(path.read_text()))
        print_table(tag, records, floors(tag, arguments.out))


def measure(tag: str, method: str, seed: int, out: Path) -> None:
    """Measures one method on one language and writes its record."""
    torch.set_num_threads(Runtime().threads)
    texts = _texts(tag)
    source = load("smollm2-135m", dtype=torch.float32)
    record: dict[str, Any] = {"method": method, "seed": seed}
    if method == SOURCE:
        model, tokenizer, seconds = source.model, source.tokenizer, 0.0
    else:
        done = run(_plan(tag, method, seed), store=Store(out / "store"), runtime=Runtime())
        artifacts = [done[name] for name in ("links", "rows") if name in done]
        seconds = sum(float(artifact.run["wall_seconds"]) for artifact in artifacts)
        tokenizer = Tokenizer.load(done["tokenizer"].path)
        matrix, head = load_rows(done["rows"].path)
        model = swap_vocabulary(
            source.model, tokenizer, matrix, head, source_tokenizer=source.tokenizer
        )
        record["coverage"] = done["rows"].result
    start = tokenizer.backend.token_to_id(START)

    def value(bias_V: torch.Tensor | None = None) -> dict[str, Any]:
        scorer = CausalScorer(model, tokenizer, start_token=start, bias_V=bias_V)
        return bits_per_byte(scorer, texts["test"]).to_record()

    calibration = fit_calibration(
        model, tokenizer, train=texts["train"], valid=texts["fit"], start_token=start
    )
    record |= {"before": value(), "biased": value(calibration.bias), "row_seconds": seconds}
    for name in ("plain", "calibrated"):
        if name == "calibrated":
            if method == SOURCE:
                break
            model = swap_vocabulary(
                source.model, tokenizer, matrix, head, source_tokenizer=source.tokenizer
            )
            calibrate(model, calibration)
            record["calibrated"] = value()
        started = time.monotonic()
        _train(model, tokenizer, texts["train"], start, seed)
        record[f"{name}_trained"] = value()
        record[f"{name}_seconds"] = time.monotonic() - started
    record["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    path = _path(out, tag, method, seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record))


def _train(
    model: Any, tokenizer: Tokenizer, documents: Sequence[Document], start: int, seed: int
) -> None:
    continue_pretraining(
        model,
        tokenizer,
        documents,
        budget=Budget(num_bytes=TRAINED_BYTES),
        packing=Packing(BATCH_BYTES, WINDOW, start, tokenizer.role_id("eos_token")),
        schedule=Schedule(RATE),
        stages=(Stage("all", 1.0),),
        seed=seed,
        runtime=Runtime(),
    )


def _plan(tag: str, method: str, seed: int) -> Plan:
    """Corpus, tokenizer, links and rows: the first three are made once for all methods."""
    inputs = demo_inputs(tag)
    languages = {"source_lang": str(inputs.source_lang), "target_lang": str(inputs.target_lang)}
    corpus = _corpus(inputs, languages)
    model = File(locate("smollm2-135m"))
    tokenizer = job(
        new_tokenizer,
        name="tokenizer",
        corpus=corpus,
        model=model,
        target_lang=languages["target_lang"],
        vocab_size=VOCAB_SIZE,
        tokenizer=None,
    )
    links = job(word_links, name="links", corpus=corpus, method="hmm", seed=0, **languages)
    aligned = method in ("trans_tokenize", "wechsel")
    rows = job(
        vocabulary_rows,
        name="rows",
        method=method,
        model=model,
        tokenizer=tokenizer,
        corpus=corpus,
        links=links if aligned else None,
        seed=seed,
        **languages,
    )
    targets = {"corpus": corpus, "tokenizer": tokenizer, "rows": rows}
    return Plan(targets | ({"links": links} if aligned else {}), name="bench-transfer")


def _corpus(inputs: AdaptationInputs, languages: dict[str, str]) -> Job:
    return job(
        prepare_corpus,
        name="corpus",
        text=[File(path) for path in inputs.text],
        pairs=[[File(path) for path in files] for files in inputs.pairs],
        dictionary=None,
        test=File(inputs.test),
        valid=File(inputs.valid),
        num_held_out=100,
        normalization=[],
        seed=0,
        **languages,
    )


def _texts(tag: str) -> dict[str, list[Document]]:
    """Returns training text without held-out matches, the 100 test rows and rows to fit on."""
    lang = Language.parse(tag)
    held_out = [samples.load_pairs(split, target_lang=lang) for split in ("valid", "test")]
    train = hold_out(samples.load_documents("train", lang=lang), held_out).kept
    valid = samples.load_documents("valid", lang=lang)
    return {
        "train": list(train),
        "test": list(samples.test_rows(lang=lang)),
        "fit": list(valid)[:NUM_FIT_ROWS],
    }


def floors(tag: str, out: Path) -> dict[str, float]:
    """Returns what counting reaches: of the training bytes (a) and of all text (b)."""
    path = out / tag / "floors.json"
    if not path.exists():
        texts = _texts(tag)
        done = run(_plan(tag, "pieces", 0), store=Store(out / "store"), runtime=Runtime())
        tokenizer = Tokenizer.load(done["tokenizer"].path)
        trained, num_bytes = [], 0
        for document in texts["train"]:
            if num_bytes >= TRAINED_BYTES:
                break
            trained.append(document)
            num_bytes += len(document.text.encode("utf-8"))
        values = {}
        for name, documents in (("a", trained), ("b", texts["train"])):
            for order in (1, 3):
                scorer = NgramScorer(documents, tokenizer=tokenizer, order=order)
                values[f"{order}-gram ({name})"] = bits_per_byte(scorer, texts["test"]).value
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))
    found: dict[str, float] = json.loads(path.read_text())
    return found


def print_table(tag: str, records: list[dict[str, Any]], counted: dict[str, float]) -> None:
    """Prints one language's methods, a line for each method and seed, and the floors."""
    print(f"\n### {tag}\n")
    print(
        "| method | seed | right after | with bias | in rows | trained 50 kB "
        "| from calibrated rows | rows, s | peak MB |\n| --- |" + " --- |" * 8
    )
    for record in records:
        figures = [
            f"{record[key]['value']:.3f}" if key in record else "–"
            for key in ("before", "biased", "calibrated", "plain_trained", "calibrated_trained")
        ]
        print(
            f"| {record['method']} | {record['seed']} | {' | '.join(figures)} "
            f"| {record['row_seconds']:.1f} | {record['peak_mb']:,.0f} |"
        )
    print(f"\nCounting: {', '.join(f'{name} {value:.3f}' for name, value in counted.items())}")


def _path(out: Path, tag: str, method: str, seed: int) -> Path:
    return out / tag / f"{method.replace(' ', '-')}-{seed}.json"


if __name__ == "__main__":
    main()
