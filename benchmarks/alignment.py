"""Word aligners side by side: error rate on gold sets, pairs per processor second, memory.

    make bench-alignment                      # gold sets, then speed on 30,353 pairs en-nl
    make bench-alignment ARGS="--growth"      # lingraft alone, from 1k to 1M pairs (10 minutes)

Every tool runs in a process of its own, starts included, on the same tokenized text; each gold set
is trained on its own sentences. Prints Markdown. A rival's links are taken in the symmetrization
that suits it best on the whole of each set.
"""

import argparse
import json
import lzma
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lingraft.alignment import AlignmentScore, alignment_error_rate, read_pharaoh
from lingraft.alignment.bitext import number_words
from lingraft.alignment.lexicon import build_lexicon
from lingraft.alignment.symmetrization import grow_diag_final_and, intersection, union
from lingraft.corpus import Pair, samples
from lingraft.tokenizer.words import word_spans

HERE = Path(__file__).parent
GOLD = {
    "en-sv": "en-sv.ges.gold.jsonl.xz",
    "grc-en": "grc-en.bible-gospels.gold.jsonl.xz",
    "en-ja": "en-ja.kftt.gold.jsonl.xz",
}
OURS = ("ibm1", "diagonal", "hmm")
RIVALS = ("eflomal", "systran-align", "thot-fast-align", "thot-eflomal")
COMBINED = (grow_diag_final_and, intersection, union)
NUM_RUNS = 3
RARE = 10  # occurrences up to which a word is renamed as the corpus grows
GROWTH = (1_000, 10_000, 30_000, 100_000, 300_000, 1_000_000)


@dataclass(frozen=True)
class Run:
    """One process: its links by symmetrization, processor seconds, seconds, peak memory."""

    links: dict[str, list[set[tuple[int, int]]]]
    cpu_seconds: float
    wall_seconds: float
    peak_mb: float


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--growth", action="store_true", help="1k to 1M pairs, lingraft alone")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--tools", nargs="+", choices=(*OURS, *RIVALS), default=(*OURS, *RIVALS))
    parser.add_argument(
        "--runs", type=int, default=NUM_RUNS, help="runs of which the median counts"
    )
    parser.add_argument("--on", choices=("gold", "speed", "both"), default="both")
    arguments = parser.parse_args()
    if arguments.growth:
        print_growth(arguments.threads)
        return
    if arguments.on != "speed":
        print_quality(arguments.tools, arguments.threads)
    if arguments.on != "gold":
        print_speed(arguments.tools, arguments.threads, arguments.runs)


def print_quality(tools: Sequence[str], threads: int) -> None:
    """Prints the error rates on the gold sets."""
    print("| tool | " + " | ".join(f"{name} AER (P, R; odd half)" for name in GOLD) + " |")
    print("| --- |" + " --- |" * len(GOLD))
    for tool in tools:
        cells = []
        for file in GOLD.values():
            pairs, sure = read_gold(HERE / "data" / file)
            cells.append(best_score(run(tool, pairs, threads), sure))
        print(f"| {tool} | " + " | ".join(cells) + " |", flush=True)


def print_speed(tools: Sequence[str], threads: int, num_runs: int) -> None:
    """Prints processor seconds and memory on the bundled English and Dutch."""
    pairs = english_dutch()
    print(f"\n| tool | pairs per CPU s ({len(pairs)} en-nl) | CPU s | wall s | peak MB |")
    print("| --- | --- | --- | --- | --- |")
    run("hmm", pairs[:100], threads)  # compiled kernels are on disk from here on
    for tool in tools:
        runs = [run(tool, pairs, threads) for _ in range(num_runs)]
        cpu = statistics.median(done.cpu_seconds for done in runs)
        wall = statistics.median(done.wall_seconds for done in runs)
        peak = max(done.peak_mb for done in runs)
        rate = len(pairs) / cpu
        print(f"| {tool} | {rate:,.0f} | {cpu:.1f} | {wall:.1f} | {peak:,.0f} |", flush=True)


def best_score(done: Run, sure: list[set[tuple[int, int]]]) -> str:
    """Returns the error rate of the symmetrization with the lowest one, and its parts."""
    scores = {name: alignment_error_rate(links, sure) for name, links in done.links.items()}
    name = min(scores, key=lambda name: _value(scores[name]))
    odd = alignment_error_rate(done.links[name][1::2], sure[1::2])
    whole = scores[name]
    rates = f"{whole.precision:.3f}, {whole.recall:.3f}; {_value(odd):.3f}"
    return f"{_value(whole):.3f} ({rates}) {name}"


def _value(score: AlignmentScore) -> float:
    assert score.value is not None
    return score.value


def run(tool: str, pairs: list[tuple[str, str]], threads: int) -> Run:
    """Aligns tokenized pairs by one tool in a process of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, target = folder / "text.source", folder / "text.target"
        source.write_text("".join(a + "\n" for a, _ in pairs), encoding="utf-8")
        target.write_text("".join(b + "\n" for _, b in pairs), encoding="utf-8")
        forward, backward = folder / "forward", folder / "backward"
        if tool in OURS:
            command = [
                str(Path(sys.executable).with_name("lingraft")),
                "align",
                f"{source},{target}",
            ]
            command += ["--source-lang", "en", "--target-lang", "nl", "--tokenized"]
            command += ["--method", tool, "--threads", str(threads), "--out", str(forward)]
        else:
            script = str(HERE / "rival_aligners.py")
            command = [sys.executable, script, tool, *map(str, (source, target, forward, backward))]
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        # One child of a child: its memory and time are told apart from those of earlier runs.
        measured = [sys.executable, "-c", _MEASURE, json.dumps(command)]
        started = time.perf_counter()
        done = subprocess.run(
            measured, env=environment, check=False, capture_output=True, text=True
        )
        wall = time.perf_counter() - started
        if done.returncode != 0:
            raise SystemExit(f"{tool} failed:\n{done.stderr}")
        usage = json.loads(done.stdout.splitlines()[-1])
        links = read_pharaoh(forward)
        if tool in OURS:
            found = {"posterior": links}
        else:
            others = read_pharaoh(backward)
            found = {
                combine.__name__: [combine(a, b) for a, b in zip(links, others, strict=True)]
                for combine in COMBINED
            }
        return Run(found, usage["cpu"], wall, usage["peak"])


_MEASURE = """
import json, resource, subprocess, sys
done = subprocess.run(json.loads(sys.argv[1]), stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps({"cpu": used.ru_utime + used.ru_stime, "peak": used.ru_maxrss / 1000}))
sys.exit(done.returncode)
"""


def read_gold(path: Path) -> tuple[list[tuple[str, str]], list[set[tuple[int, int]]]]:
    """Returns the tokenized pairs of a gold set and their sure links."""
    pairs, sure = [], []
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            pairs.append((" ".join(row["src"]), " ".join(row["tgt"])))
            links = row["sure"].split() if isinstance(row["sure"], str) else row["sure"]
            sure.append({(int(i), int(j)) for i, j in (link.split("-") for link in links)})
    return pairs, sure


def english_dutch() -> list[tuple[str, str]]:
    """Returns the bundled en-nl training pairs, cut into words."""
    pairs = []
    with lzma.open(samples.path("libreoffice-help.train.jsonl.xz"), "rt", encoding="utf-8") as rows:
        for row in map(json.loads, rows):
            if "nl" in row:
                pairs.append((_tokenized(row["en"]), _tokenized(row["nl"])))
    return pairs


def _tokenized(text: str) -> str:
    return " ".join(text[begin:end] for begin, end in word_spans(text)).replace("\u2028", " ")


def print_growth(threads: int) -> None:
    """Prints time and memory from 1k to 1M pairs of about 20 words."""
    columns = ("pairs", "words en, nl", "types en, nl", "pairs of types", "slots", "cells")
    print("| " + " | ".join(columns) + " | CPU s | wall s | peak MB | pairs per CPU s |")
    print("| --- |" + " --- |" * 9)
    base = [pair for pair in english_dutch() if 10 <= len(pair[0].split()) <= 30]
    run("hmm", base[:100], threads)  # compiled kernels are on disk from here on
    for num_pairs in GROWTH:
        pairs = grown(base, num_pairs)
        done = run("hmm", pairs, threads)
        bitext = number_words((Pair(a, b, "") for a, b in pairs), tokenized=True)
        del pairs
        lexicon = build_lexicon(bitext)
        sides = bitext.source, bitext.target
        sizes = [
            f"{num_pairs:,}",
            ", ".join(f"{len(side.types):,}" for side in sides),
            ", ".join(f"{len(side.vocabulary):,}" for side in sides),
            f"{lexicon.num_met:,}",
            f"{len(lexicon):,}",
            f"{(np.diff(bitext.bounds())[:, [0, 2]] + 1).prod(axis=1).sum():,}",
        ]
        print(
            "| " + " | ".join(sizes) + f" | {done.cpu_seconds:.1f} | {done.wall_seconds:.1f} "
            f"| {done.peak_mb:,.0f} | {num_pairs / done.cpu_seconds:,.0f} |",
            flush=True,
        )


def grown(base: list[tuple[str, str]], num_pairs: int) -> list[tuple[str, str]]:
    """Samples pairs with replacement and renames rare words, so that words grow as sqrt(n).

    The same word gets the same new name on both sides of a copy, and one pair in a hundred gets
    another pair's translation.
    """
    counts: dict[str, int] = {}
    for pair in base:
        for side in pair:
            for word in side.split():
                counts[word] = counts.get(word, 0) + 1
    rare = {word for word, count in counts.items() if count <= RARE and word.isalpha()}
    generator = random.Random(0)
    num_names = max(1, round((num_pairs / len(base)) ** 0.5))
    result = []
    for _ in range(num_pairs):
        source, target = base[generator.randrange(len(base))]
        if generator.random() < 0.01:
            target = base[generator.randrange(len(base))][1]
        name = _name(generator.randrange(num_names))
        result.append((_renamed(source, rare, name), _renamed(target, rare, name)))
    return result


def _name(number: int) -> str:
    letters = "bcdfghklmnprstvz"
    return letters[number % 16] + "aeiou"[number // 16 % 5] + letters[number // 80 % 16]


def _renamed(text: str, rare: set[str], name: str) -> str:
    return " ".join(name + word if word in rare else word for word in text.split())


if __name__ == "__main__":
    main()
