"""A condition's figures: floors by counting, and a model measured as it stands."""

import json
from dataclasses import replace
from pathlib import Path

import torch
from condition_cases import CODES, GREEK, ONE, SETTINGS

from lingraft.corpus import Document
from lingraft.measurement import bits_per_byte
from lingraft.model import CausalScorer, load
from lingraft.pipelines.condition_figures import condition_floors, measure_rows


def test_floors_are_counted_of_the_training_and_of_all_text(
    corpus: Path, vocabulary: dict[str, Path], tmp_path: Path
) -> None:
    found = condition_floors(
        corpus=corpus,
        tokenizer=vocabulary["tokenizer"],
        settings=replace(SETTINGS, num_bytes=5_000),
        out=tmp_path,
        **CODES,
    )
    assert 2_000 < found["a_bytes"] <= 5_000 < found["b_bytes"]
    assert found["uniform_a"] == found["uniform_b"]
    assert found["trigram_b"] < found["unigram_b"] < found["unigram_a"] < found["uniform_a"]


def test_own_vocabulary_is_measured_as_the_model_stands(
    corpus: Path, tiny_model: Path, tmp_path: Path
) -> None:
    result = measure_rows(
        model=tiny_model,
        masked=False,
        tokenizer=None,
        rows=None,
        corpus=corpus,
        target_lang=str(GREEK),
        out=tmp_path,
        runtime=ONE,
    )
    own = load(tiny_model, dtype=torch.float32)
    tests = [json.loads(line) for line in (corpus / "test.jsonl").read_text("utf-8").splitlines()]
    start = own.tokenizer.role_id("bos_token")
    assert start is not None
    scorer = CausalScorer(own.model, own.tokenizer, start_token=start)
    expected = bits_per_byte(scorer, [Document(row["text"], row["id"]) for row in tests])
    assert result == {"before_bits_per_byte": expected.value}
