"""Transfer methods side by side: right after the swap and after equal bytes of training.

    make bench-transfer ARGS="nl el eu"
    make bench-transfer ARGS="nl --methods pieces trans_tokenize --seeds 1"

SmolLM2-135M; the first 100 test rows of the bundled software help that have the language, shuffled
with random.Random(0), each alone after one <|im_start|>, the end token not scored; a byte-level
BPE of 8,000 tokens from the train split; 50 kB of training text in steps of 2 kB at 3e-4, all
layers. Every method and every published tool is measured once; the best three (by their figure
after training) with further seeds, which change the order of training. "calibrated" is the method
before it with the tokens' frequencies written into its rows. The source model also trains with its
own vocabulary, on more text too, to see how much it needs to reach the default. Seconds are CPU
seconds, alignment included. What stands in --out is not measured again. Prints Markdown.
"""

import argparse
import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rival_rows import RIVALS
from transformers import PreTrainedModel

from lingraft.corpus import Document, hold_out, samples
from lingraft.embeddings import EmbeddingMatrix
from lingraft.embeddings.matrix import Origin
from lingraft.languages import Language
from lingraft.measurement import NgramScorer, bits_per_byte
from lingraft.model import CausalScorer, load, swap_vocabulary
from lingraft.model.calibration import calibrate, fit_calibration, unigram_shift
from lingraft.model.folders import find_vocabulary
from lingraft.model.loading import locate
from lingraft.model.shards import read_matrix
from lingraft.pipelines.corpora import prepare_corpus
from lingraft.pipelines.demo import VOCAB_SIZE, demo_inputs
from lingraft.pipelines.row_inputs import RowFiles, RowInputs
from lingraft.pipelines.vocabularies import (
    ROW_METHODS,
    load_rows,
    new_tokenizer,
    uses_links,
    vocabulary_rows,
    word_links,
)
from lingraft.runtime import Runtime
from lingraft.study import File, Plan, Store, job, run
from lingraft.tokenizer import Tokenizer
from lingraft.training import Packing, Schedule, Stage, continue_pretraining
from lingraft.units import Budget

MODEL, START = "smollm2-135m", "<|im_start|>"
TRAINED_BYTES, BATCH_BYTES, RATE, WINDOW = 50_000, 2_000, 3e-4, 256
NUM_FIT_ROWS, NUM_RESAMPLES = 40, 2000
DEFAULT = "trans_tokenize"
CALIBRATED = f"{DEFAULT}, calibrated"
# The source model with its own vocabulary, and the bytes that it trains on.
OWN = {"own vocabulary": TRAINED_BYTES, "own vocabulary, 200 kB": 4 * TRAINED_BYTES}
# `learned` needs a model that knows the language, `dictionary` a file that may not be bundled.
METHODS = tuple(name for name in ROW_METHODS if name not in ("learned", "dictionary"))


def main() -> None:
    """Measures what is missing and prints one table for each language."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("languages", nargs="*", default=["nl"])
    everything = [*OWN, *METHODS, CALIBRATED, *RIVALS]
    parser.add_argument("--methods", nargs="*", default=everything, choices=everything)
    parser.add_argument("--best", type=int, default=3, help="how many get further seeds")
    parser.add_argument("--seeds", nargs="*", type=int, default=[1, 2], help="further seeds")
    parser.add_argument("--out", type=Path, default=Path("runs/bench-transfer"))
    parser.add_argument("--one", nargs=3, metavar=("LANGUAGE", "METHOD", "SEED"))
    arguments = parser.parse_args()
    if arguments.one:
        tag, method, seed = arguments.one
        measure(tag, method, int(seed), arguments.out)
        return
    for tag in arguments.languages:
        record_of = partial(_record, tag, arguments.out)
        records = {method: [record_of(method, 0)] for method in arguments.methods}
        rivals = [method for method in _ranked(records) if method not in OWN]
        for seed in arguments.seeds:
            for method in rivals[: arguments.best]:
                records[method].append(record_of(method, seed))
        print_table(tag, records, floors(tag, arguments.out))


def _record(tag: str, out: Path, method: str, seed: int) -> dict[str, Any]:
    """Measures one method in a process of its own, whose peak memory is then its own."""
    path = out / tag / f"{method.replace(', ', '-').replace(' ', '-')}-{seed}.json"
    if not path.exists():
        command = [sys.executable, __file__, "--out", str(out), "--one", tag, method, str(seed)]
        subprocess.run(command, check=True)
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def measure(tag: str, method: str, seed: int, out: Path) -> None:
    """Measures one method on one language and writes its record."""
    torch.set_num_threads(Runtime().threads)
    record: dict[str, Any] = {"method": method, "seed": seed}
    matrix, head, tokenizer = None, None, None
    if method not in OWN:
        done = _prepared(tag, out)
        tokenizer = Tokenizer.load(done["tokenizer"])
        started = _cpu_seconds()
        matrix, head = _rows(method, done, _scratch(out, tag, method, seed), tag)
        record["row_seconds"] = _cpu_seconds() - started
        if not np.isfinite(matrix.rows).all():
            num_bad = int((~np.isfinite(matrix.rows)).any(axis=1).sum())
            record["reason"] = f"{num_bad:,} of {len(matrix):,} rows are not finite"
    record["row_peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    if "reason" not in record:
        record |= _scores(method, seed, matrix, head, tokenizer, _texts(tag))
    path = _scratch(out, tag, method, seed).with_suffix(".json")
    path.write_text(json.dumps(record))


def _scores(
    method: str,
    seed: int,
    matrix: EmbeddingMatrix | None,
    head: EmbeddingMatrix | None,
    tokenizer: Tokenizer | None,
    texts: dict[str, list[Document]],
) -> dict[str, Any]:
    """Scores the 100 rows before and after training; without rows, in the source vocabulary."""
    source = load(MODEL, dtype=torch.float32)
    model = source.model
    if matrix is None or tokenizer is None:
        tokenizer = source.tokenizer
    else:
        model = swap_vocabulary(model, tokenizer, matrix, head, source_tokenizer=source.tokenizer)
    start = tokenizer.backend.token_to_id(START)

    def value(bias_V: torch.Tensor | None = None) -> dict[str, Any]:
        scorer = CausalScorer(model, tokenizer, start_token=start, bias_V=bias_V)
        return bits_per_byte(scorer, texts["test"]).to_record()

    record = {}
    counted = {"train": texts["train"], "valid": texts["fit"], "start_token": start}
    if method == CALIBRATED:
        calibrate(model, fit_calibration(model, tokenizer, **counted))
        record["before"] = value()
    else:
        bias_V = unigram_shift(model, tokenizer, **counted)
        record |= {"before": value(), "biased": value(bias_V)}
    started = _cpu_seconds()
    _train(model, tokenizer, texts["train"], start, seed, OWN.get(method, TRAINED_BYTES))
    return record | {"train_seconds": _cpu_seconds() - started, "trained": value()}


def _rows(
    method: str, done: dict[str, Path], folder: Path, tag: str
) -> tuple[EmbeddingMatrix, EmbeddingMatrix | None]:
    """Makes rows in this process, links included where the method asks for them."""
    name = DEFAULT if method == CALIBRATED else method
    languages = _languages(tag)
    links = None
    if name in RIVALS or uses_links(name):
        links = folder / "links"
        links.mkdir(parents=True, exist_ok=True)
        word_links(
            corpus=done["corpus"], method="hmm", seed=0, out=links, runtime=Runtime(), **languages
        )
    if name not in RIVALS:
        vocabulary_rows(
            method=name,
            model=locate(MODEL),
            tokenizer=done["tokenizer"],
            corpus=done["corpus"],
            links=links,
            seed=0,
            out=folder,
            **languages,
        )
        return load_rows(folder)
    files = RowFiles(
        model=locate(MODEL),
        tokenizer=done["tokenizer"],
        corpus=done["corpus"],
        links=links,
        dictionary=None,
        donor=None,
        **{side: Language.parse(code) for side, code in languages.items()},
    )
    source_rows = read_matrix(find_vocabulary(locate(MODEL)).input)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        rows = RIVALS[name](RowInputs(files), source_rows, Path(scratch).resolve())
    # What a tool's rows are made of only the tool knows.
    return EmbeddingMatrix.from_origins(rows, [Origin(name)] * len(rows), method=name), None


def _train(
    model: PreTrainedModel,
    tokenizer: Tokenizer,
    documents: Sequence[Document],
    start: int,
    seed: int,
    num_bytes: int,
) -> None:
    continue_pretraining(
        model,
        tokenizer,
        documents,
        budget=Budget(num_bytes=num_bytes),
        packing=Packing(BATCH_BYTES, WINDOW, start, tokenizer.role_id("eos_token")),
        schedule=Schedule(RATE),
        stages=(Stage("all", 1.0),),
        seed=seed,
        runtime=Runtime(),
    )


def _prepared(tag: str, out: Path) -> dict[str, Path]:
    """Returns the folders of corpus and tokenizer, which all methods share."""
    inputs, languages = demo_inputs(tag), _languages(tag)
    corpus = job(
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
    tokenizer = job(
        new_tokenizer,
        name="tokenizer",
        corpus=corpus,
        model=File(locate(MODEL)),
        target_lang=languages["target_lang"],
        vocab_size=VOCAB_SIZE,
        tokenizer=None,
    )
    plan = Plan({"corpus": corpus, "tokenizer": tokenizer}, name="bench-transfer")
    done = run(plan, store=Store(out / "store"), runtime=Runtime())
    return {name: done[name].path for name in ("corpus", "tokenizer")}


def _languages(tag: str) -> dict[str, str]:
    inputs = demo_inputs(tag)
    return {"source_lang": str(inputs.source_lang), "target_lang": str(inputs.target_lang)}


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
        tokenizer = Tokenizer.load(_prepared(tag, out)["tokenizer"])
        trained, num_bytes = [], 0
        for document in texts["train"]:
            if num_bytes >= TRAINED_BYTES:
                break
            trained.append(document)
            num_bytes += len(document.text.encode("utf-8"))
        values = {}
        for name, documents in (("a", trained), ("b", texts["train"])):
            for order, counts in ((1, "unigram"), (3, "trigram")):
                scorer = NgramScorer(documents, tokenizer=tokenizer, order=order)
                values[f"{counts} ({name})"] = bits_per_byte(scorer, texts["test"]).value
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))
    found: dict[str, float] = json.loads(path.read_text())
    return found


def print_table(
    tag: str, records: dict[str, list[dict[str, Any]]], counted: dict[str, float]
) -> None:
    """Prints one language's methods, the best after training first, and the floors."""
    print(f"\n### {tag}\n")
    print(
        "| method | right after | with fitted bias | after 50 kB (each seed) "
        f"| minus {DEFAULT} | rows, CPU s | training, CPU s | peak of rows, MB |\n| ---"
        + " | ---" * 7
        + " |"
    )
    for method in _ranked(records):
        first = records[method][0]
        trained = ", ".join(_figure(record, "trained") for record in records[method])
        print(
            f"| {method} | {first.get('reason') or _figure(first, 'before')} "
            f"| {_figure(first, 'biased')} | {trained} "
            f"| {_margin(records[method], records.get(DEFAULT, []))} "
            f"| {first.get('row_seconds', 0.0):.1f} | {first.get('train_seconds', 0.0):.0f} "
            f"| {first['row_peak_mb']:,.0f} |"
        )
    print(f"\nCounting: {', '.join(f'{name} {value:.3f}' for name, value in counted.items())}.")
    print(_bytes_needed(records))


def _margin(records: list[dict[str, Any]], others: list[dict[str, Any]]) -> str:
    """The difference after training on the same rows and seeds, with a 95 % interval.

    Seeds and rows are drawn anew 2,000 times, the same for both sides.
    """
    shared = min(len(records), len(others))
    if shared == 0 or records is others or "reason" in records[0]:
        return "–"
    sides = (records[:shared], others[:shared])
    nats, num_bytes = (
        np.stack([[row[column] for row in record["trained"]["items"]] for record in side])
        for side, column in ((sides[0], 0), (sides[0], 1))
    )
    nats -= np.stack([[row[0] for row in record["trained"]["items"]] for record in sides[1]])
    generator = np.random.default_rng(0)

    def difference(seeds: NDArray[np.int64], rows: NDArray[np.int64]) -> float:
        chosen = np.ix_(seeds, rows)
        return float(nats[chosen].sum() / num_bytes[chosen].sum() / math.log(2))

    size = nats.shape[1]
    drawn = [
        difference(generator.integers(shared, size=shared), generator.integers(size, size=size))
        for _ in range(NUM_RESAMPLES)
    ]
    low, high = np.quantile(drawn, [0.025, 0.975])
    value = difference(np.arange(shared), np.arange(size))
    return f"{value:+.3f} [{low:+.3f}, {high:+.3f}], {shared} seed{'s' if shared > 1 else ''}"


def _bytes_needed(records: dict[str, list[dict[str, Any]]]) -> str:
    """How much text the source vocabulary needs for the default's figures, or at least needs."""
    points = {
        0 if key == "before" else num_bytes: _value(records[name][0], key)
        for name, num_bytes in OWN.items()
        if name in records
        for key in ("before", "trained")
    }
    lines = []
    for method in (DEFAULT, CALIBRATED):
        for key in ("before", "trained"):
            if method not in records or len(points) < 2:
                continue
            wanted = _value(records[method][0], key)
            within = [num_bytes for num_bytes, value in sorted(points.items()) if value <= wanted]
            most = max(points)
            needs = f"at most {within[0]:,}" if within else f"more than {most:,}"
            when = "right after the swap" if key == "before" else "after training"
            lines.append(f"{method} {when} ({wanted:.3f}): {needs} bytes.")
    return "Training that the source vocabulary needs to reach: " + " ".join(lines)


def _ranked(records: dict[str, list[dict[str, Any]]]) -> list[str]:
    """The methods, the best after training first; those without figures last."""
    trained = {method: _value(found[0], "trained") for method, found in records.items()}
    return sorted(trained, key=lambda method: (math.isnan(trained[method]), trained[method]))


def _figure(record: dict[str, Any], key: str) -> str:
    return f"{_value(record, key):.3f}" if key in record else "–"


def _value(record: dict[str, Any], key: str) -> float:
    return float(record[key]["value"]) if key in record else math.nan


def _cpu_seconds() -> float:
    """Seconds that this process and its children computed."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _scratch(out: Path, tag: str, method: str, seed: int) -> Path:
    folder = out / tag / f"{method.replace(', ', '-').replace(' ', '-')}-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


if __name__ == "__main__":
    main()
