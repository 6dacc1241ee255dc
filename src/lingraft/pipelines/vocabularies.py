"""The new vocabulary of an adaptation and its rows: tokenizer, word links, embedding matrices."""

import inspect
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lingraft.alignment import align
from lingraft.alignment.tables import Split
from lingraft.embeddings import METHODS, EmbeddingMatrix, pieces_rows
from lingraft.errors import InputError
from lingraft.languages import Language
from lingraft.model.folders import find_vocabulary
from lingraft.model.loading import load_tokenizer
from lingraft.model.shards import read_matrix
from lingraft.pipelines.corpora import corpus_documents, corpus_pairs
from lingraft.pipelines.row_inputs import RowFiles, RowInputs
from lingraft.runtime import Runtime
from lingraft.tokenizer import Tokenizer, train_bpe, vocabulary_rule
from lingraft.training.distilled_rows import learned_rows

VERSION = 3
# All of `embeddings.METHODS`, and the one that runs the model and may not live beside them.
ROW_METHODS: dict[str, Callable[..., EmbeddingMatrix]] = {**METHODS, "learned": learned_rows}
# Views of stems lower the alignment error rate and make worse rows (docs/log.md, "rows want whole
# words").
ROW_STEMS: tuple[int, ...] = ()
# What is learned from hidden states is a row to read: a head of its own takes another method.
_HEAD_METHODS: dict[str, Callable[..., EmbeddingMatrix]] = {"learned": pieces_rows}


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
    check_beside_model(out, model)
    return {"size": len(chosen), "rule": rule}


def check_beside_model(tokenizer: Path, model: Path) -> None:
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
    """Aligns the words of the corpus's pairs, without stems; writes `links.safetensors`."""
    pairs = corpus_pairs(corpus, Language.parse(source_lang), Language.parse(target_lang))
    links = align(pairs, method=method, seed=seed, runtime=runtime, stems=ROW_STEMS)
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
    dictionary: Path | None = None,
    donor: Path | None = None,
    split: Split = "learned",
) -> dict[str, Any]:
    """Makes the new vocabulary's rows by one transfer method; writes `input/` and `output/`.

    Args:
        method: One of `ROW_METHODS`.
        model: Folder of the source model.
        tokenizer: Folder of the new tokenizer.
        corpus: A prepared corpus, for its text and its pairs.
        links: Folder of the pairs' word links, for methods that use them.
        source_lang: Code of the source language.
        target_lang: Code of the target language.
        seed: Of random rows and of the order of learning.
        out: Folder for the matrices. `output/` is there for models with an untied head.
        dictionary: A TSV of words and translations, for methods that use entries as such.
        donor: Folder of a model that has the new tokens, for `omp`.
        split: How the tokens inside linked words are linked, ``"assumed"`` or ``"learned"``.

    Returns:
        The rows' coverage and the number of duplicates.

    Raises:
        InputError: There is no such method, or the method needs an input that is not there.
    """
    if method not in ROW_METHODS:
        raise InputError(
            expected=f"one of the methods {', '.join(ROW_METHODS)}",
            got=repr(method),
            where="method",
        )
    files = RowFiles(
        model=model,
        tokenizer=tokenizer,
        corpus=corpus,
        links=links,
        dictionary=dictionary,
        donor=donor,
        source_lang=Language.parse(source_lang),
        target_lang=Language.parse(target_lang),
    )
    inputs = RowInputs(files, split=split)
    # Only these tensors are read, one after the other: the model may be larger than the memory.
    stored = find_vocabulary(model)
    # Rows beyond the ids are padding that nothing trained: they belong in no mean.
    num_ids = len(inputs.source)
    rows = inputs.call(ROW_METHODS[method], read_matrix(stored.input)[:num_ids], seed=seed)
    rows.save(out / "input")
    result = {
        "by_rule": rows.coverage(),
        "by_depth": {str(depth): num for depth, num in rows.coverage_by_depth().items()},
        "num_rows": len(rows),
        "num_duplicates": rows.num_duplicates,
        "num_unknown": rows.coverage().get("mean", 0) if method != "mean" else len(rows),
    }
    del rows
    if stored.output is not None:
        of_head = _HEAD_METHODS.get(method, ROW_METHODS[method])
        head = inputs.call(of_head, read_matrix(stored.output)[:num_ids], seed=seed + 1)
        head.save(out / "output")
    return result


def uses_links(method: str) -> bool:
    """Whether a row method asks for word links, or for words that are linked."""
    return not {"table", "word_pairs"}.isdisjoint(inspect.signature(ROW_METHODS[method]).parameters)


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
