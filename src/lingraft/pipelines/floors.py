"""What counting alone reaches on the held-out rows: the floor of honesty."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lingraft.corpus import Document
from lingraft.files import read_json, write_json
from lingraft.languages import Language
from lingraft.measurement import NgramScorer, bits_per_byte
from lingraft.pipelines.corpora import all_target_text, corpus_documents
from lingraft.pipelines.settings import ArmSettings
from lingraft.tokenizer import Tokenizer
from lingraft.training.batches import text_of_steps

VERSION = 2
# The floors, in the order of tables: name, order of the n-grams. Order 0 is what equal rows give.
ORDERS = {"uniform": 0, "unigram": 1, "trigram": 3}


def count_floors(
    *,
    corpus: Path,
    tokenizer: Path,
    trained: Path,
    source_lang: str,
    target_lang: str,
    settings: ArmSettings,
    out: Path,
) -> dict[str, Any]:
    """Counts n-grams in the new vocabulary: (a) of the bytes trained on, (b) of all target text.

    Args:
        corpus: A prepared corpus.
        tokenizer: Folder of the new tokenizer.
        trained: Folder of the trained arm, which says how many steps were made.
        source_lang: Code of the source language.
        target_lang: Code of the target language.
        settings: The arms' settings.
        out: Folder for `floors.json`.

    Returns:
        The bytes counted and the bits per byte of each order.
    """
    lang = Language.parse(target_lang)
    vocabulary = Tokenizer.load(tokenizer)
    test = corpus_documents(corpus, "test", lang).records
    steps = len(read_json(trained / "scores.json")["train_nats"])
    train = corpus_documents(corpus, "train", lang).records
    counted = {
        "a": trained_text(
            train, settings.batch_bytes, settings.seed, settings.budget.num_bytes, num_steps=steps
        ),
        "b": all_target_text(corpus, lang, Language.parse(source_lang)),
    }
    return write_floors(out, counted, test, vocabulary)


def trained_text(
    documents: Sequence[Document],
    batch_bytes: int,
    seed: int,
    max_bytes: int | None,
    *,
    num_steps: int | None = None,
) -> list[Document]:
    """The text of a training's first steps, each document once however often it came round."""
    stream = text_of_steps(documents, batch_bytes=batch_bytes, seed=seed, max_bytes=max_bytes)
    read = itertools.islice(stream, num_steps)
    return list({id(document): document for texts in read for document in texts}.values())


def write_floors(
    out: Path,
    counted: Mapping[str, Sequence[Document]],
    test: Sequence[Document],
    tokenizer: Tokenizer,
) -> dict[str, Any]:
    """Scores a text with the counts of others and writes `floors.json`.

    Args:
        out: Its folder.
        counted: The texts that are counted, by the letter that the report gives them.
        test: The text that is scored.
        tokenizer: The vocabulary of the counts.

    Returns:
        ``a_bytes`` and the like, and bits per byte by ``unigram_a`` and the like.
    """
    floors: dict[str, Any] = {
        f"{name}_bytes": sum(len(document.text.encode("utf-8")) for document in documents)
        for name, documents in counted.items()
    }
    for key, order in ORDERS.items():
        for name, documents in counted.items():
            scorer = NgramScorer(documents, tokenizer=tokenizer, order=order)
            floors[f"{key}_{name}"] = bits_per_byte(scorer, test).to_record()
    write_json(out / "floors.json", floors)
    return {
        key: value["value"] if isinstance(value, dict) else value for key, value in floors.items()
    }
