"""The new vocabulary of an adaptation and its rows: tokenizer, word links, embedding matrices."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lingraft.alignment import Links, align, token_table
from lingraft.embeddings import (
    EmbeddingMatrix,
    mean_rows,
    pieces_rows,
    random_rows,
    trans_tokenize_rows,
)
from lingraft.errors import InputError
from lingraft.languages import Language
from lingraft.model import load
from lingraft.model.loading import load_tokenizer
from lingraft.model.vocabulary_swap import input_rows, output_rows
from lingraft.pipelines.corpora import corpus_documents, corpus_pairs
from lingraft.runtime import Runtime
from lingraft.tokenizer import Tokenizer, train_bpe, vocabulary_rule

VERSION = 1


def new_tokenizer(
    *,
    corpus: Path,
    model: Path,
    target_lang: str,
    vocab_size: int | None,
    tokenizer: Path | None,
    out: Path,
) -> dict[str, Any]:
    """Trains the new tokenizer on the target text, or takes over the user's own.

    Args:
        corpus: A prepared corpus.
        model: Folder of the source model, whose special tokens and chat template live on.
        target_lang: Code of the new language.
        vocab_size: Number of ids; None follows the rule that is returned and printed.
        tokenizer: Folder of a tokenizer to use instead.
        out: Folder for the tokenizer.

    Returns:
        Its size and the rule that chose it.
    """
    lang = Language.parse(target_lang)
    if tokenizer is not None:
        chosen, rule = Tokenizer.load(tokenizer), "as the given tokenizer has it"
    else:
        documents = corpus_documents(corpus, "train", lang)
        source = Tokenizer.load(model)
        chosen = train_bpe(documents, vocab_size=vocab_size, like=source)
        rule = vocabulary_rule(vocab_size)
    chosen.save(out)
    _check_beside_model(out, model)
    return {"size": len(chosen), "rule": rule}


def _check_beside_model(tokenizer: Path, model: Path) -> None:
    """Loads the tokenizer as transformers will load it from the adapted model's folder.

    For some model types transformers puts its own rules in place of the file's, whatever class
    the folder names; told now, it costs no training.
    """
    with tempfile.TemporaryDirectory() as folder:
        for path in (*tokenizer.iterdir(), model / "config.json"):
            if path.is_file():
                shutil.copy(path, folder)
        load_tokenizer(Path(folder))


def word_links(
    *,
    corpus: Path,
    source_lang: str,
    target_lang: str,
    method: str,
    seed: int,
    out: Path,
    runtime: Runtime,
) -> dict[str, Any]:
    """Aligns the words of the corpus's pairs; writes `links.safetensors`."""
    pairs = corpus_pairs(corpus, Language.parse(source_lang), Language.parse(target_lang))
    links = align(pairs, method=method, seed=seed, runtime=runtime)
    links.save(out / "links.safetensors")
    return {"num_pairs": links.num_pairs, "num_links": len(links), "method": method}


def vocabulary_rows(
    *,
    method: str,
    model: Path,
    tokenizer: Path,
    corpus: Path,
    links: Path | None,
    source_lang: str,
    target_lang: str,
    seed: int,
    out: Path,
) -> dict[str, Any]:
    """Makes the new vocabulary's rows by one transfer method; writes `input/` and `output/`.

    Args:
        method: One of `embeddings.METHODS`.
        model: Folder of the source model.
        tokenizer: Folder of the new tokenizer.
        corpus: A prepared corpus, for its pairs.
        links: Folder of their word links, for methods that use pairs.
        source_lang: Code of the source language.
        target_lang: Code of the target language.
        seed: Of random rows.
        out: Folder for the matrices. `output/` is there for models with an untied head.

    Returns:
        The rows' coverage and the number of duplicates.
    """
    source, target = Tokenizer.load(model), Tokenizer.load(tokenizer)
    table = None
    if method == "trans_tokenize":
        if links is None:
            raise InputError(
                expected="pairs or a dictionary for trans_tokenize", got="neither", where="pairs"
            )
        table = token_table(
            Links.load(links / "links.safetensors"),
            corpus_pairs(corpus, Language.parse(source_lang), Language.parse(target_lang)),
            source=source,
            target=target,
        )

    def rows_of(source_rows: NDArray[np.float32], seed: int) -> EmbeddingMatrix:
        if table is not None:
            return trans_tokenize_rows(source_rows, table=table, source=source, target=target)
        if method == "pieces":
            return pieces_rows(source_rows, source=source, target=target)
        if method == "random":
            return random_rows(source_rows, target=target.vocabulary, seed=seed)
        return mean_rows(source_rows, target=target.vocabulary)

    loaded = load(model, dtype=torch.float32).model
    head = output_rows(loaded)
    # Rows beyond the ids are padding that nothing trained: they belong in no mean.
    matrix = rows_of(input_rows(loaded).numpy()[: len(source)], seed)
    matrix.save(out / "input")
    if head is not None:
        rows_of(head.numpy()[: len(source)], seed + 1).save(out / "output")
    return {
        "by_rule": matrix.coverage(),
        "by_depth": {str(depth): num for depth, num in matrix.coverage_by_depth().items()},
        "num_rows": len(matrix),
        "num_duplicates": matrix.num_duplicates,
        "num_unknown": matrix.coverage().get("mean", 0) if method != "mean" else len(matrix),
    }


def load_rows(folder: Path) -> tuple[EmbeddingMatrix, EmbeddingMatrix | None]:
    """Reads the input rows and, for untied heads, the output rows of a rows artifact."""
    output = folder / "output"
    return (
        EmbeddingMatrix.load(folder / "input"),
        EmbeddingMatrix.load(output) if output.is_dir() else None,
    )


def explain(token: str, *, rows: Path, source: Tokenizer, target: Tokenizer) -> dict[str, Any]:
    """Returns where one token's row came from, as JSON values.

    Raises:
        InputError: The vocabulary has no such token; its nearest spellings are named.
    """
    vocabulary = target.vocabulary
    number = vocabulary.ids_by_bytes.get(token.encode("utf-8"))
    if number is None:
        number = target.backend.token_to_id(token)
    if number is None:
        pieces = [vocabulary.describe(i) for i in target.encode(token)]
        raise InputError(
            expected="a token of the new vocabulary",
            got=repr(token),
            where="--explain",
            hint=f"it is cut into {pieces}; mind the leading space of words",
        )
    matrix, _ = load_rows(rows)
    return describe_row(number, matrix=matrix, source=source, target=target)


def describe_row(
    number: int, *, matrix: EmbeddingMatrix, source: Tokenizer, target: Tokenizer
) -> dict[str, Any]:
    """Returns one row's provenance for people and records."""
    origin = matrix.origin(number)
    return {
        "token": target.vocabulary.describe(number),
        "id": number,
        "rule": origin.rule,
        "depth": origin.depth,
        "support": origin.support,
        "entropy_nats": float(matrix.entropy_nats[number]),
        "norm": float(matrix.norm[number]),
        "sources": [
            {"token": source.vocabulary.describe(i), "weight": weight}
            for i, weight in zip(origin.source, origin.weights, strict=True)
        ],
    }
