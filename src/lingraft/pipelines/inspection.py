"""What an adapted model forgot, what it says, and where its rows came from."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from lingraft.corpus import Document, read_documents
from lingraft.files import read_json, write_json
from lingraft.languages import Language
from lingraft.measurement import bits_per_byte
from lingraft.model import CausalScorer, load
from lingraft.pipelines.corpora import corpus_documents
from lingraft.pipelines.vocabularies import describe_row, load_rows
from lingraft.runtime import Runtime
from lingraft.tokenizer import Tokenizer, tokenizer_statistics
from lingraft.tokenizer.words import word_spans

VERSION = 1
NUM_CONTINUATIONS = 3
NUM_SENTENCES = 4
NUM_ROWS = 30
_NEW_TOKENS = 24
_MIN_PROMPT_WORDS = 8


def inspect_model(
    *,
    model: Path,
    adapted: Path,
    rows: Path,
    tokenizer: Path,
    source_choice: Path,
    adapted_choice: Path,
    corpus: Path,
    general_text: Path | None,
    num_general_rows: int,
    source_lang: str,
    target_lang: str,
    out: Path,
    runtime: Runtime,
) -> dict[str, Any]:
    """Measures forgetting, continues held-out prompts, and compares the two vocabularies.

    Forgetting is measured on general text of the source language that was neither trained nor
    replayed: before, after through the new vocabulary, and after with the original rows put back
    on the trained body. The difference of the last two is what the vocabulary alone costs.

    Args:
        model: Folder of the source model.
        adapted: Folder of the trained arm, with its model.
        rows: Folder of the rows before training.
        tokenizer: Folder of the new tokenizer.
        source_choice: The source model's choice of start token.
        adapted_choice: The trained arm's.
        corpus: A prepared corpus.
        general_text: Text of the source language; None measures no forgetting.
        num_general_rows: At most so many of its rows, evenly spaced.
        source_lang: Code of the source language.
        target_lang: Code of the target language.
        out: Folder for `inspection.json`.
        runtime: Threads and device.

    Returns:
        Bits per byte of the general text.
    """
    torch.set_num_threads(runtime.threads)
    source = load(model, dtype=torch.float32)
    grafted = load(adapted / "model", dtype=torch.float32)
    start = int(read_json(source_choice / "choice.json")["start_token"])
    new_start = int(read_json(adapted_choice / "choice.json")["start_token"])
    before = CausalScorer(source.model, source.tokenizer, start_token=start)
    after = CausalScorer(grafted.model, grafted.tokenizer, start_token=new_start)
    test = corpus_documents(corpus, "test", Language.parse(target_lang)).records
    forgetting: dict[str, Any] | None = None
    if general_text is not None:
        general = _evenly(
            read_documents(general_text, lang=Language.parse(source_lang)).records, num_general_rows
        )
        forgetting = {
            "text": general_text.name,
            "before": bits_per_byte(before, general).to_record(),
            "after_new_vocabulary": bits_per_byte(after, general).to_record(),
        }
    continuations = _continuations(test, before, after)
    if forgetting is not None:
        _put_back(source.model, grafted.model)
        restored = CausalScorer(grafted.model, source.tokenizer, start_token=start)
        forgetting["after_original_rows"] = bits_per_byte(restored, general).to_record()
    inspection = {
        "forgetting": forgetting,
        "continuations": continuations,
        "vocabulary": _vocabulary(test, source.tokenizer, Tokenizer.load(tokenizer)),
        "rows": _rows(rows, source.tokenizer, Tokenizer.load(tokenizer)),
    }
    write_json(out / "inspection.json", inspection)
    scores = ("before", "after_new_vocabulary", "after_original_rows")
    return {} if forgetting is None else {name: forgetting[name]["value"] for name in scores}


def _evenly(documents: Sequence[Document], num: int) -> Sequence[Document]:
    """At most `num` documents, from the whole length of the text."""
    return documents[:: max(-(-len(documents) // num), 1)]


def _put_back(source: PreTrainedModel, trained: PreTrainedModel) -> None:
    """Gives the trained body the source model's own rows again."""
    trained.set_input_embeddings(source.get_input_embeddings())
    trained.set_output_embeddings(source.get_output_embeddings())


def _continuations(
    test: Sequence[Document], before: CausalScorer, after: CausalScorer
) -> list[dict[str, str]]:
    """Continues the first half of three held-out texts with both models."""
    cut = []
    for document in test:
        words = word_spans(document.text)
        if len(words) >= 2 * _MIN_PROMPT_WORDS:
            end = words[len(words) // 2 - 1][1]
            cut.append((document.text[:end], document.text[end:]))
    cut = cut[:NUM_CONTINUATIONS] or [(document.text, "") for document in test[:NUM_CONTINUATIONS]]
    prompts = [prompt for prompt, _ in cut]
    return [
        {"prompt": prompt, "reference": reference, "source_model": old, "adapted": new}
        for (prompt, reference), old, new in zip(
            cut,
            before.generate(prompts, max_new_tokens=_NEW_TOKENS),
            after.generate(prompts, max_new_tokens=_NEW_TOKENS),
            strict=True,
        )
    ]


def _vocabulary(test: Sequence[Document], source: Tokenizer, target: Tokenizer) -> dict[str, Any]:
    texts = [document.text for document in test]
    old, new = tokenizer_statistics(source, texts), tokenizer_statistics(target, texts)
    sentences = sorted(texts, key=lambda text: abs(len(text) - 80))[:NUM_SENTENCES]
    return {
        "source_size": len(source),
        "target_size": len(target),
        "source_tokens_per_byte": old.tokens_per_byte,
        "target_tokens_per_byte": new.tokens_per_byte,
        "source_tokens_per_word": old.tokens_per_word,
        "target_tokens_per_word": new.tokens_per_word,
        "sentences": [
            {
                "text": text,
                "source_tokens": [source.vocabulary.describe(i) for i in source.encode(text)],
                "target_tokens": [target.vocabulary.describe(i) for i in target.encode(text)],
            }
            for text in sentences
        ],
    }


def _rows(rows: Path, source: Tokenizer, target: Tokenizer) -> list[dict[str, Any]]:
    """Thirty tokens with letters, evenly from the most frequent merges to the rarest."""
    matrix, _ = load_rows(rows)
    words = [
        number
        for number, piece in enumerate(target.vocabulary.pieces)
        if piece is not None
        and len(text := piece.decode("utf-8", errors="ignore").strip()) > 2
        and text.isalpha()
    ]
    step = max(len(words) // NUM_ROWS, 1)
    return [
        describe_row(number, matrix=matrix, source=source, target=target)
        for number in words[::step][:NUM_ROWS]
    ]
