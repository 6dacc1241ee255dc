"""Links and rows of one condition of the study of parallel data."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lingraft.alignment import align, alignment_error_rate, read_links, train_aligner
from lingraft.alignment.tables import Split, TranslationTable
from lingraft.corpus import Pairs, read_pairs
from lingraft.embeddings import (
    EmbeddingMatrix,
    average_rows,
    row_cosines,
    trans_tokenize_rows,
)
from lingraft.errors import InputError
from lingraft.languages import Language
from lingraft.model import load
from lingraft.model.folders import find_vocabulary
from lingraft.model.shards import read_matrix
from lingraft.model.vocabulary_swap import input_rows
from lingraft.pipelines.conditions import DICTIONARY, Sources, link_scores, read_probe
from lingraft.pipelines.corpora import corpus_pairs
from lingraft.pipelines.row_inputs import RowFiles, RowInputs
from lingraft.pipelines.vocabularies import ROW_METHODS, load_rows, vocabulary_rows
from lingraft.runtime import Runtime
from lingraft.tokenizer.words import word_spans

VERSION = 2


def condition_links(
    *,
    corpus: Path,
    gold: Path | None,
    method: str,
    stems: tuple[int, ...],
    source_lang: str,
    target_lang: str,
    seed: int,
    out: Path,
    runtime: Runtime,
) -> dict[str, Any]:
    """Trains an aligner on a condition's pairs, links them, the probe, and the gold pairs.

    Args:
        corpus: A condition's corpus.
        gold: A TSV of source tokens, target tokens and gold links ``i-j``; the aligner is then
            trained once more, on words parted by spaces.
        method: A key of `alignment.METHODS`.
        stems: See `alignment.align`.
        source_lang: Code of the source language.
        target_lang: Code of the new language.
        seed: Recorded in the links.
        out: Folder for `links.safetensors` and `probe.safetensors`.
        runtime: Threads.

    Returns:
        Number of links, the mean link score of a pair, and the sums of the alignment error rate.
    """
    source, target = Language.parse(source_lang), Language.parse(target_lang)
    pairs = corpus_pairs(corpus, source, target)
    probe = read_probe(corpus, source, target)
    trained = train_aligner(pairs, method=method, runtime=runtime, stems=stems)
    links = align(pairs, method=method, seed=seed, runtime=runtime, trained=trained)
    links.save(out / "links.safetensors")
    probed = align(probe, method=method, seed=seed, runtime=runtime, trained=trained)
    probed.save(out / "probe.safetensors")
    return {
        "num_links": len(links),
        "link_score": float(link_scores(links).mean()) if len(pairs) else None,
        "gold": None if gold is None else _gold_sums(gold, pairs, method, stems, seed, runtime),
    }


def condition_rows(
    *,
    method: str,
    sources: Sources,
    split: Split,
    model: Path,
    masked: bool,
    tokenizer: Path,
    corpus: Path,
    links: Path | None,
    second_corpus: Path | None,
    second_links: Path | None,
    source_lang: str,
    second_lang: str,
    target_lang: str,
    seed: int,
    out: Path,
) -> dict[str, Any]:
    """Makes a condition's rows; writes `input/` and, for an untied head, `output/`.

    Args:
        method: A key of `ROW_METHODS`.
        sources: Which source languages' pairs make the rows; see `Condition`.
        split: How tokens inside linked words are linked.
        model: Folder of the source model.
        masked: Whether it is a masked model, whose head must be its input matrix.
        tokenizer: Folder of the new tokenizer.
        corpus: The condition's corpus.
        links: Folder of its links; None for methods without.
        second_corpus: The same with the second source language.
        second_links: Its links.
        source_lang: Code of the first source language.
        second_lang: Code of the second.
        target_lang: Code of the new language.
        seed: Of random rows.
        out: Folder for the matrices.

    Returns:
        Coverage; with the mean of two languages' rows, also the mean cosine between them.
    """
    dictionary = corpus / DICTIONARY
    first = RowFiles(
        model=model,
        tokenizer=tokenizer,
        corpus=corpus,
        links=links,
        dictionary=dictionary if dictionary.exists() else None,
        donor=None,
        source_lang=Language.parse(source_lang),
        target_lang=Language.parse(target_lang),
    )
    if sources == "first":
        return _rows_of_one(method, first, masked, split, seed, out)
    assert second_corpus is not None
    second = replace(
        first,
        corpus=second_corpus,
        links=second_links,
        source_lang=Language.parse(second_lang),
    )
    if sources == "second":
        return _rows_of_one(method, second, masked, split, seed, out)
    if sources == "table":
        return _rows_of_one_table((first, second), split, out)
    return _rows_averaged((first, second), method, split, seed, out)


def sum_tables(tables: Sequence[TranslationTable]) -> TranslationTable:
    """Adds the expected counts of tables of one shape (V_target, V_source)."""
    rows = [np.repeat(np.arange(len(table)), np.diff(table.indptr)) for table in tables]
    return TranslationTable.from_entries(
        np.concatenate(rows).astype(np.int64),
        np.concatenate([table.source for table in tables]).astype(np.int64),
        np.concatenate([table.counts for table in tables]),
        shape=(len(tables[0]), tables[0].num_source),
    )


def compare_rows(one: EmbeddingMatrix, other: EmbeddingMatrix) -> dict[str, Any]:
    """Returns the mean cosine between two matrices' rows of one token, and of different tokens.

    Only over tokens whose rows both come from links (rule ``"table"``): copies are equal anyway.
    The cosine of different tokens, one place on in the order of ids, says how alike any two rows
    of the space are.
    """
    linked = [
        token
        for token in range(len(one))
        if one.origin(token).rule == other.origin(token).rule == "table"
    ]
    if len(linked) < 2:
        return {"num_compared": len(linked), "cosine": None, "cosine_of_others": None}
    moved = replace(other, rows=other.rows.copy())
    moved.rows[linked] = other.rows[np.roll(linked, 1)]
    return {
        "num_compared": len(linked),
        "cosine": float(row_cosines(one, other)[linked].mean()),
        "cosine_of_others": float(row_cosines(one, moved)[linked].mean()),
    }


def _gold_sums(
    gold: Path,
    pairs: Pairs,
    method: str,
    stems: tuple[int, ...],
    seed: int,
    runtime: Runtime,
) -> dict[str, int]:
    """The sums of the alignment error rate on the gold pairs, whose links are all sure."""
    gold_pairs = read_pairs(gold, source_lang=pairs.source_lang, target_lang=pairs.target_lang)
    sure = read_links(gold)
    if len(sure) != len(gold_pairs):
        raise InputError(
            expected="source tokens, target tokens and links in every row",
            got=f"{len(gold_pairs)} pairs and {len(sure)} rows",
            where=str(gold),
        )
    spaced = [replace(p, source=_spaced(p.source), target=_spaced(p.target)) for p in pairs]
    trained = train_aligner(spaced, method=method, runtime=runtime, tokenized=True, stems=stems)
    links = align(
        gold_pairs, method=method, seed=seed, runtime=runtime, tokenized=True, trained=trained
    )
    score = alignment_error_rate(links, sure)
    return {"num_hits": score.num_sure_hits, "num_links": len(links), "num_sure": score.num_sure}


def _spaced(text: str) -> str:
    return " ".join(text[begin:end] for begin, end in word_spans(text))


def _rows_of_one(
    method: str, files: RowFiles, masked: bool, split: Split, seed: int, out: Path
) -> dict[str, Any]:
    if not masked:
        return vocabulary_rows(
            method=method,
            model=files.model,
            tokenizer=files.tokenizer,
            corpus=files.corpus,
            links=files.links,
            dictionary=files.dictionary,
            source_lang=str(files.source_lang),
            target_lang=str(files.target_lang),
            split=split,
            seed=seed,
            out=out,
        )
    # A head with a bias, as masked models have it, is none that `find_vocabulary` takes.
    inputs = RowInputs(files, split=split)
    model = load(files.model, dtype=torch.float32, masked=True).model
    rows = inputs.call(ROW_METHODS[method], input_rows(model).numpy(), seed=seed)
    rows.save(out / "input")
    return _coverage(rows)


def _rows_of_one_table(files: Sequence[RowFiles], split: Split, out: Path) -> dict[str, Any]:
    """Rows of the summed tables of two source languages: the merge before the rows are made."""
    inputs = [RowInputs(one, split=split) for one in files]
    table = sum_tables([one.table for one in inputs])
    source, target = inputs[0].source, inputs[0].target
    stored = find_vocabulary(files[0].model)
    made = {}
    for name, matrix in (("input", stored.input), ("output", stored.output)):
        if matrix is not None:
            own = read_matrix(matrix)[: len(source)]
            made[name] = trans_tokenize_rows(own, table=table, source=source, target=target)
            made[name].save(out / name)
    return _coverage(made["input"])


def _rows_averaged(
    files: Sequence[RowFiles], method: str, split: Split, seed: int, out: Path
) -> dict[str, Any]:
    """The mean of two source languages' rows, and how alike these are."""
    parts = [out / "first", out / "second"]
    for one, part in zip(files, parts, strict=True):
        _rows_of_one(method, one, False, split, seed, part)
    pairs = [load_rows(part) for part in parts]
    averaged = average_rows([rows for rows, _ in pairs])
    averaged.save(out / "input")
    heads = [head for _, head in pairs if head is not None]
    if heads:
        average_rows(heads).save(out / "output")
    for part in parts:
        shutil.rmtree(part)
    return _coverage(averaged) | compare_rows(pairs[0][0], pairs[1][0])


def _coverage(rows: EmbeddingMatrix) -> dict[str, Any]:
    return {
        "by_rule": rows.coverage(),
        "by_depth": {str(depth): num for depth, num in rows.coverage_by_depth().items()},
        "num_rows": len(rows),
        "num_duplicates": rows.num_duplicates,
    }
