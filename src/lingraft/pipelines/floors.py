"""What counting alone reaches on the held-out rows: the floor of honesty."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lingraft.corpus import Document
from lingraft.files import read_json, write_json
from lingraft.languages import Language
from lingraft.measurement import NgramScorer, Score, bits_per_byte
from lingraft.pipelines.corpora import all_target_text, corpus_documents
from lingraft.pipelines.settings import ArmSettings
from lingraft.tokenizer import Tokenizer
from lingraft.training.batches import text_of_steps

VERSION = 1
ORDERS = {"unigram": 1, "trigram": 3}


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
    counted = {
        "a": _trained_text(corpus_documents(corpus, "train", lang).records, settings, steps),
        "b": all_target_text(corpus, lang, Language.parse(source_lang)),
    }
    floors: dict[str, Any] = {
        f"{name}_bytes": sum(len(document.text.encode("utf-8")) for document in documents)
        for name, documents in counted.items()
    }
    floors["uniform"] = _uniform(test, vocabulary).to_record()
    for key, order in ORDERS.items():
        for name, documents in counted.items():
            scorer = NgramScorer(documents, tokenizer=vocabulary, order=order)
            floors[f"{key}_{name}"] = bits_per_byte(scorer, test).to_record()
    write_json(out / "floors.json", floors)
    return {
        key: value["value"] if isinstance(value, dict) else value for key, value in floors.items()
    }


def _trained_text(
    documents: Sequence[Document], settings: ArmSettings, num_steps: int
) -> list[Document]:
    """The text of the first steps, each document once however often it came round."""
    stream = text_of_steps(
        documents,
        batch_bytes=settings.batch_bytes,
        seed=settings.seed,
        max_bytes=settings.budget.num_bytes,
    )
    seen = {}
    for _, texts in zip(range(num_steps), stream, strict=False):
        seen.update({id(document): document for document in texts})
    return list(seen.values())


def _uniform(test: Sequence[Document], tokenizer: Tokenizer) -> Score:
    """The uniform distribution over the whole vocabulary, special tokens included.

    That is what equal rows give: log V nats a token.
    """
    nats_per_token = math.log(len(tokenizer.vocabulary))
    items = tuple(
        (len(ids) * nats_per_token, float(len(document.text.encode("utf-8"))))
        for document, ids in zip(test, tokenizer.encode_batch([d.text for d in test]), strict=True)
    )
    return Score(
        name="bits_per_byte",
        unit="bits/byte",
        numerator=math.fsum(nats for nats, _ in items),
        denominator=math.fsum(num_bytes for _, num_bytes in items),
        scale=1 / math.log(2),
        items=items,
        signature={"method": "bits_per_byte", "model": "uniform", "vocab_size": len(tokenizer)},
    )
