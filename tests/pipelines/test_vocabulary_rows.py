"""Rows by every method, called with what its signature names; what is missing is named."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from tiny_models import save_tiny_llama

from lingraft.alignment import Links, align
from lingraft.alignment.tables import linked_words, token_table
from lingraft.corpus import Document, read_dictionary, read_documents, read_pairs
from lingraft.embeddings import (
    EmbeddingMatrix,
    Origin,
    dictionary_rows,
    focus_rows,
    mean_rows,
    omp_rows,
    pieces_rows,
    random_rows,
    train_token_vectors,
    train_word_vectors,
    trans_tokenize_rows,
    wechsel_rows,
)
from lingraft.embeddings.vectors import count_words, unit_rows
from lingraft.errors import InputError
from lingraft.languages import Language
from lingraft.model import load, save, swap_vocabulary
from lingraft.model.vocabulary_swap import input_rows, output_rows
from lingraft.pipelines.corpora import write_pairs
from lingraft.pipelines.vocabularies import (
    ROW_METHODS,
    load_rows,
    vocabulary_rows,
    word_links,
)
from lingraft.runtime import Runtime
from lingraft.tokenizer import Tokenizer, train_bpe
from lingraft.training.distilled_rows import learned_rows

ENGLISH, GREEK = Language.parse("en"), Language.parse("el")
LANGUAGES = {"source_lang": "eng_Latn", "target_lang": "ell_Grek"}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, greek: dict[str, Path]) -> dict[str, Any]:
    """What `vocabulary_rows` reads, in a small size; the head is untied."""
    root = tmp_path_factory.mktemp("rows")
    save_tiny_llama(root / "model", tied=False)
    pairs = read_pairs(greek["pairs"], source_lang=ENGLISH, target_lang=GREEK)
    few = type(pairs)(pairs.records[:60], ENGLISH, GREEK)
    (root / "corpus").mkdir()
    write_pairs(root / "corpus" / "pairs.jsonl", few)
    lines = greek["text"].read_text(encoding="utf-8").splitlines(keepends=True)
    (root / "corpus" / "train.jsonl").write_text("".join(lines[40:80]), encoding="utf-8")
    texts = [Document(pair.target, pair.id) for pair in few]
    train_bpe(texts, vocab_size=420, like=Tokenizer.load(root / "model")).save(root / "tokenizer")
    (root / "links").mkdir()
    word_links(
        corpus=root / "corpus",
        method="hmm",
        seed=0,
        out=root / "links",
        runtime=Runtime(num_threads=1),
        **LANGUAGES,
    )
    return {
        "model": root / "model",
        "tokenizer": root / "tokenizer",
        "corpus": root / "corpus",
        "links": root / "links",
        "dictionary": greek["dictionary"],
    }


def test_rows_come_from_links_of_whole_words(folders: dict[str, Any]) -> None:
    pairs = read_pairs(folders["corpus"] / "pairs.jsonl", source_lang=ENGLISH, target_lang=GREEK)
    links = Links.load(folders["links"] / "links.safetensors")
    assert links == align(pairs, seed=0, stems=()) != align(pairs, seed=0)


def rows_by(method: str, folders: dict[str, Any], out: Path, **changes: Any) -> EmbeddingMatrix:
    vocabulary_rows(method=method, seed=7, out=out, **LANGUAGES, **(folders | changes))
    return load_rows(out)[0]


def by_hand(method: str, folders: dict[str, Any]) -> Callable[..., EmbeddingMatrix]:
    """The same method with its inputs made step by step."""
    source, target = Tokenizer.load(folders["model"]), Tokenizer.load(folders["tokenizer"])
    both: dict[str, Any] = {"source": source, "target": target}
    pairs = read_pairs(folders["corpus"] / "pairs.jsonl", source_lang=ENGLISH, target_lang=GREEK)
    train = read_documents(folders["corpus"] / "train.jsonl", lang=GREEK)
    links = Links.load(folders["links"] / "links.safetensors")
    texts = list(dict.fromkeys([*(d.text for d in train), *(p.target for p in pairs)]))
    entries = read_dictionary(folders["dictionary"], source_lang=ENGLISH, target_lang=GREEK)
    vectors = train_token_vectors(texts, tokenizer=target)
    if method == "wechsel":
        both |= {
            "source_words": train_word_vectors(pair.source for pair in pairs),
            "target_words": train_word_vectors(texts),
            "word_pairs": [*entries, *linked_words(links, pairs)],
        }
    more: dict[str, Any] = {
        "random": {"target": target, "seed": 7},
        "mean": {"target": target},
        "pieces": both,
        "wechsel": both,
        "focus": both | {"target_vectors": vectors},
        "omp": both | {"donor_vectors": unit_rows(vectors).astype(np.float32)},
        "dictionary": both | {"dictionary": entries, "word_counts": count_words(texts)},
        "trans_tokenize": both | {"table": token_table(links, pairs, **both)}
        if method == "trans_tokenize"
        else {},
        "learned": both
        | {
            "model": load(folders["model"], dtype=torch.float32).model,
            "documents": [Document(text, "1") for text in texts],
            "seed": 7,
        },
    }
    functions = {
        "random": random_rows,
        "mean": mean_rows,
        "pieces": pieces_rows,
        "wechsel": wechsel_rows,
        "focus": focus_rows,
        "omp": omp_rows,
        "dictionary": dictionary_rows,
        "trans_tokenize": trans_tokenize_rows,
        "learned": learned_rows,
    }
    return lambda rows, **changes: functions[method](rows, **(more[method] | changes))


def small_corpus(folders: dict[str, Any], folder: Path) -> Path:
    """The first texts of the corpus, for the method that runs the model."""
    folder.mkdir()
    for name in ("train.jsonl", "pairs.jsonl"):
        lines = (folders["corpus"] / name).read_text(encoding="utf-8").splitlines(keepends=True)
        (folder / name).write_text("".join(lines[:3]), encoding="utf-8")
    return folder


def model_rows(folders: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    loaded = load(folders["model"], dtype=torch.float32)
    head = output_rows(loaded.model)
    num_ids = len(loaded.tokenizer)
    assert head is not None
    return input_rows(loaded.model).numpy()[:num_ids], head.numpy()[:num_ids]


@pytest.mark.parametrize("method", sorted(ROW_METHODS))
def test_every_method_gets_what_it_asks_for(
    method: str, folders: dict[str, Any], tmp_path: Path
) -> None:
    if method == "learned":
        folders = folders | {"corpus": small_corpus(folders, tmp_path / "small")}
    matrix = rows_by(method, folders, tmp_path)
    head = load_rows(tmp_path)[1]
    rows, head_rows = model_rows(folders)
    expected = by_hand(method, folders)
    assert matrix.method == method
    assert_array_equal(matrix.rows, expected(rows).rows)
    assert head is not None
    if method == "learned":
        assert matrix.coverage()["learned"] > 5
        expected = by_hand("pieces", folders)
    assert_array_equal(
        head.rows, expected(head_rows, **({"seed": 8} if method == "random" else {})).rows
    )


def test_a_tied_model_has_one_matrix(
    folders: dict[str, Any], tiny_model: Path, tmp_path: Path
) -> None:
    vocabulary_rows(
        method="focus", seed=0, out=tmp_path, **LANGUAGES, **(folders | {"model": tiny_model})
    )
    assert load_rows(tmp_path)[1] is None


def test_without_a_dictionary_linked_words_turn_the_spaces(
    folders: dict[str, Any], tmp_path: Path
) -> None:
    matrix = rows_by("wechsel", folders, tmp_path / "linked", dictionary=None)
    pairs = read_pairs(folders["corpus"] / "pairs.jsonl", source_lang=ENGLISH, target_lang=GREEK)
    words = linked_words(Links.load(folders["links"] / "links.safetensors"), pairs)
    expected = by_hand("wechsel", folders)(model_rows(folders)[0], word_pairs=words)
    assert_array_equal(matrix.rows, expected.rows)
    tiny = tmp_path / "words.tsv"
    tiny.write_text("the\tκαι\nto\tτο\n", encoding="utf-8")
    alone = rows_by("wechsel", folders, tmp_path / "alone", dictionary=tiny, links=None)
    entries = read_dictionary(tiny, source_lang=ENGLISH, target_lang=GREEK)
    expected = by_hand("wechsel", folders)(model_rows(folders)[0], word_pairs=entries)
    assert_array_equal(alone.rows, expected.rows)


def test_a_donor_gives_the_space_of_omp(folders: dict[str, Any], tmp_path: Path) -> None:
    source, target = Tokenizer.load(folders["model"]), Tokenizer.load(folders["tokenizer"])
    own = load(folders["model"], dtype=torch.float32).model
    wide = random_rows(model_rows(folders)[0], target=target, seed=3)
    save(
        swap_vocabulary(own, target, wide, wide, source_tokenizer=source),
        target,
        tmp_path / "donor",
    )
    matrix = rows_by("omp", folders, tmp_path / "rows", donor=tmp_path / "donor")
    expected = by_hand("omp", folders)(model_rows(folders)[0], donor_vectors=wide.rows)
    assert_array_equal(matrix.rows, expected.rows)
    # The source itself as a donor has no rows for the new tokens.
    poor = rows_by("omp", folders, tmp_path / "poor", donor=folders["model"])
    assert_array_equal(poor.rows, rows_by("pieces", folders, tmp_path / "pieces").rows)


def test_a_split_that_is_learned_gives_other_rows(folders: dict[str, Any], tmp_path: Path) -> None:
    for method in ("trans_tokenize", "dictionary"):
        assumed = rows_by(method, folders, tmp_path / f"{method}-assumed", split="assumed")
        learned = rows_by(method, folders, tmp_path / f"{method}-learned", split="learned")
        assert (assumed.rows != learned.rows).any()
        assert assumed.coverage() == learned.coverage()


def test_a_graft_of_pairs_alone_has_text_too(folders: dict[str, Any], tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    shutil.copy(folders["corpus"] / "pairs.jsonl", corpus)
    matrix = rows_by("focus", folders, tmp_path / "rows", corpus=corpus)
    assert matrix.coverage()["similar"] > 20


@pytest.mark.parametrize(
    ("method", "changes", "expected", "where"),
    [
        ("trans_tokenize", {"links": None}, "pairs or a dictionary", "pairs"),
        ("wechsel", {"links": None, "dictionary": None}, "pairs or a dictionary", "pairs"),
        ("dictionary", {"dictionary": None}, "a dictionary", "dictionary"),
        ("wechsel", {"corpus": "empty"}, "pairs, for text of the source language,", "pairs"),
        ("focus", {"corpus": "empty"}, "text of the new language", "text"),
        ("omp", {"corpus": "empty"}, "text of the new language", "text"),
        ("learned", {"corpus": "empty"}, "text of the new language", "text"),
    ],
)
def test_what_is_missing_is_named(
    method: str,
    changes: dict[str, Any],
    expected: str,
    where: str,
    folders: dict[str, Any],
    tmp_path: Path,
) -> None:
    if changes.get("corpus") == "empty":
        (tmp_path / "pairs.jsonl").touch()
        changes = {"corpus": tmp_path}
    with pytest.raises(InputError) as caught:
        rows_by(method, folders, tmp_path / "out", **changes)
    error = caught.value
    assert error.expected == f"{expected} for this method of making rows"
    assert (error.where, error.got) == (where, "none")
    assert not (tmp_path / "out").exists()


def test_an_unknown_method_is_refused(folders: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="method: expected one of the methods random, mean, ") as e:
        rows_by("magic", folders, tmp_path)
    assert e.value.got == "'magic'"


def test_a_method_of_ones_own_is_one_function_and_one_line(
    folders: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As CONTRIBUTING has it: inputs are taken by the names in the signature."""

    def frequent_rows(
        source_rows: np.ndarray, *, target: Tokenizer, documents: list[Document]
    ) -> EmbeddingMatrix:
        num_tokens = sum(map(len, target.encode_batch(d.text for d in documents)))
        rows = np.full((len(target), source_rows.shape[1]), num_tokens, dtype=np.float32)
        return EmbeddingMatrix.from_origins(rows, [Origin("mean")] * len(target), method="own")

    monkeypatch.setitem(ROW_METHODS, "own", frequent_rows)
    matrix = rows_by("own", folders, tmp_path)
    assert matrix.method == "own"
    assert (matrix.rows > 500).all()
