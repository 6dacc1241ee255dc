"""Bits per byte right after the swap: every row method, on the rows of docs/log.md.

    python benchmarks/rows.py nl el eu

The first 100 test rows of the bundled software help that have the language, shuffled with
random.Random(0); each row alone after one <|im_start|>, the end token not scored; a byte-level
BPE of 8,000 tokens from the train split. Beside them what counting reaches in that vocabulary.
"""

import sys
import time

import torch

from lingraft.alignment import align, token_table
from lingraft.corpus import Documents, hold_out, samples
from lingraft.embeddings import mean_rows, pieces_rows, random_rows, trans_tokenize_rows
from lingraft.languages import Language
from lingraft.measurement import NgramScorer, Scorer, bits_per_byte
from lingraft.model import CausalScorer, load, swap_vocabulary
from lingraft.model.vocabulary_swap import input_rows
from lingraft.tokenizer import train_bpe

VOCAB_SIZE = 8_000
START = "<|im_start|>"


def bench(tag: str) -> None:
    """Prints one language's table."""
    lang = Language.parse(tag)
    test = samples.test_rows(lang=lang)
    held_out = [samples.load_pairs(split, target_lang=lang) for split in ("valid", "test")]
    train = hold_out(samples.load_documents("train", lang=lang), held_out).kept
    pairs = hold_out(samples.load_pairs("train", target_lang=lang), held_out).kept
    source = load("smollm2-135m", dtype=torch.float32)
    target = train_bpe(train, vocab_size=VOCAB_SIZE, like=source.tokenizer)
    started = time.monotonic()
    links = align(pairs, seed=0)
    table = token_table(links, pairs, source=source.tokenizer, target=target)
    seconds = time.monotonic() - started
    rows = input_rows(source.model).numpy()
    methods = {
        "random": random_rows(rows, target=target.vocabulary, seed=0),
        "mean (= uniform)": mean_rows(rows, target=target.vocabulary),
        "pieces": pieces_rows(rows, source=source.tokenizer, target=target),
        "trans_tokenize": trans_tokenize_rows(
            rows, table=table, source=source.tokenizer, target=target
        ),
    }
    start = source.tokenizer.backend.token_to_id(START)
    print(f"\n{tag}: {len(test)} rows, {test.num_bytes} bytes; alignment {seconds:.1f} s")
    _line("own vocabulary", CausalScorer(source.model, source.tokenizer, start_token=start), test)
    for name, matrix in methods.items():
        model = swap_vocabulary(source.model, target, matrix, source_tokenizer=source.tokenizer)
        new_start = target.backend.token_to_id(START)
        _line(name, CausalScorer(model, target, start_token=new_start), test)
    for name, order in (("unigram counts", 1), ("Kneser-Ney trigrams", 3)):
        _line(f"{name}, all text", NgramScorer(train, tokenizer=target, order=order), test)


def _line(name: str, scorer: Scorer, test: Documents) -> None:
    score = bits_per_byte(scorer, test)
    low, high = score.interval or (float("nan"), float("nan"))
    print(f"  {name:<32} {score.value:.3f}  [{low:.3f}, {high:.3f}]", flush=True)


if __name__ == "__main__":
    torch.set_num_threads(2)
    for argument in sys.argv[1:] or ["nl"]:
        bench(argument)
