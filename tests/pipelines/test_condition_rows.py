"""A condition's links and rows: of one source or of two, for models that read on or both ways."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from condition_cases import CODES, ENGLISH, GREEK, ONE, links_of, new_folder

from lingraft.alignment import Links, align
from lingraft.alignment.tables import TranslationTable
from lingraft.corpus import samples
from lingraft.embeddings import EmbeddingMatrix, Origin
from lingraft.errors import InputError
from lingraft.pipelines.condition_figures import measure_rows
from lingraft.pipelines.condition_rows import (
    compare_rows,
    condition_links,
    condition_rows,
    sum_tables,
)
from lingraft.pipelines.corpora import corpus_pairs
from lingraft.pipelines.tiny_models import make_tiny_model
from lingraft.pipelines.vocabularies import load_rows, new_tokenizer
from lingraft.study import NullProgress
from lingraft.tokenizer import Tokenizer


def test_links_are_of_the_pairs_and_of_a_probe_that_was_not_learnt_from(
    make_condition: Callable[..., Path], tmp_path: Path
) -> None:
    condition = make_condition(num_pairs=100)
    links = links_of(condition, tmp_path / "links")
    pairs = corpus_pairs(condition, ENGLISH, GREEK)
    own = Links.load(links / "links.safetensors")
    assert own.num_pairs == len(pairs) == 100
    whole = align(pairs, seed=0, runtime=ONE)
    shared = sum(len(a & b) for a, b in zip(own.sets(), whole.sets(), strict=True))
    assert shared / len(whole) > 0.9
    assert Links.load(links / "probe.safetensors").num_pairs == 50


def test_gold_links_give_an_alignment_error_rate(
    make_condition: Callable[..., Path], tmp_path: Path
) -> None:
    condition = make_condition()
    gold = tmp_path / "gold.tsv"
    rows = ["the file\tτο αρχείο\t0-0 1-1", "and the file\tκαι το αρχείο\t0-0 1-1 2-2"]
    gold.write_text("\n".join(rows) + "\n", encoding="utf-8")
    out = new_folder(tmp_path / "links")
    result = condition_links(
        corpus=condition, gold=gold, method="hmm", stems=(), seed=0, out=out, runtime=ONE, **CODES
    )
    sums = result["gold"]
    assert sums["num_sure"] == 5
    assert 3 <= sums["num_hits"] <= sums["num_links"]
    gold.write_text(rows[0] + "\n\t\t\n", encoding="utf-8")
    with pytest.raises(InputError, match="1 pairs and 2 rows"):
        links_of(condition, tmp_path / "bad", gold=gold)


def test_tables_add_up() -> None:
    def table(*entries: tuple[int, int, float]) -> TranslationTable:
        target, source, counts = zip(*entries, strict=True)
        return TranslationTable.from_entries(
            np.array(target), np.array(source), np.array(counts), shape=(3, 4)
        )

    total = sum_tables([table((0, 1, 2.0), (2, 3, 1.0)), table((0, 1, 0.5), (0, 2, 4.0))])
    assert (len(total), total.num_source) == (3, 4)
    found = [[a.tolist() for a in total.row(n)] for n in range(3)]
    assert found == [[[1, 2], [2.5, 4.0]], [[], []], [[3], [1.0]]]


def test_rows_of_two_languages_are_compared_where_both_have_links() -> None:
    origins = [Origin("table", (0,), (1.0,))] * 2 + [Origin("copied", (0,), (1.0,))]
    one = EmbeddingMatrix.from_origins(
        np.array([[1, 0], [0, 1], [5, 5]], np.float32), origins, method="a"
    )
    other = EmbeddingMatrix.from_origins(
        np.array([[3, 0], [1, 0], [5, 5]], np.float32), origins, method="b"
    )
    assert compare_rows(one, other) == {
        "num_compared": 2,
        "cosine": pytest.approx(0.5),
        "cosine_of_others": pytest.approx(0.5),
    }
    lonely = EmbeddingMatrix.from_origins(other.rows, [*origins[:1], *origins[2:] * 2], method="c")
    assert compare_rows(one, lonely)["cosine"] is None


def rows_of(condition: Path, links: Path | None, out: Path, **changes: Any) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "method": "trans_tokenize",
        "sources": "first",
        "split": "learned",
        "masked": False,
        "second_corpus": condition,
        "second_links": links,
        "second_lang": str(ENGLISH),
        "seed": 0,
    } | changes
    return condition_rows(corpus=condition, links=links, out=new_folder(out), **CODES, **settings)


def test_two_equal_sources_give_the_rows_of_one(
    make_condition: Callable[..., Path], vocabulary: dict[str, Path], tmp_path: Path
) -> None:
    condition = make_condition()
    links = links_of(condition, tmp_path / "links")
    first = rows_of(condition, links, tmp_path / "first", **vocabulary)
    again = rows_of(condition, links, tmp_path / "again", sources="second", **vocabulary)
    mean = rows_of(condition, links, tmp_path / "mean", sources="rows", **vocabulary)
    both = rows_of(condition, links, tmp_path / "both", sources="table", **vocabulary)
    assert first["by_rule"] == again["by_rule"] == mean["by_rule"]
    rows = {name: load_rows(tmp_path / name)[0] for name in ("first", "again", "mean", "both")}
    assert np.array_equal(rows["first"].rows, rows["again"].rows)
    assert np.array_equal(rows["first"].rows, rows["mean"].rows)
    # Twice the counts; the rows differ by the weight of the spelling beside them.
    assert np.allclose(rows["both"].support, 2 * rows["first"].support)
    assert both["num_rows"] == 400
    assert mean["cosine"] == pytest.approx(1.0)
    assert mean["num_compared"] == mean["by_rule"]["table"]
    assert abs(mean["cosine_of_others"]) < 0.5
    assert not (tmp_path / "mean" / "first").exists()


def test_a_masked_model_gets_rows_of_the_same_sources(
    make_condition: Callable[..., Path], corpus: Path, tmp_path: Path
) -> None:
    folders = {}
    for objective in ("causal", "masked"):
        folders[objective] = new_folder(tmp_path / objective)
        made = make_tiny_model(
            objective=objective,  # type: ignore[arg-type]
            text=samples.path("libreoffice-help.test.jsonl.xz"),
            lang="en",
            vocab_size=400,
            width=32,
            num_layers=2,
            budget=None,
            seed=0,
            out=folders[objective],
            runtime=ONE,
            progress=NullProgress(),
        )
        assert made["last_nats_per_token"] is None
    one, other = (Tokenizer.load(path) for path in folders.values())
    assert one.backend.to_str() == other.backend.to_str()
    tokenizer = new_folder(tmp_path / "tokenizer")
    new_tokenizer(
        corpus=corpus,
        model=folders["causal"],
        target_lang=str(GREEK),
        vocab_size=400,
        tokenizer=None,
        out=tokenizer,
    )
    condition = make_condition(num_pairs=200)
    links = links_of(condition, tmp_path / "links")
    rows = {}
    for objective, model in folders.items():
        masked = objective == "masked"
        out = tmp_path / f"rows-{objective}"
        rows_of(condition, links, out, masked=masked, model=model, tokenizer=tokenizer)
        rows[objective] = load_rows(out)[0]
        figures = measure_rows(
            model=model,
            masked=masked,
            tokenizer=tokenizer,
            rows=out,
            corpus=corpus,
            target_lang=str(GREEK),
            out=new_folder(tmp_path / f"measured-{objective}"),
            runtime=ONE,
        )
        assert 0.5 < figures["before_bits_per_byte"] < 8
        assert 0.5 < figures["row_coverage"] <= 1
        assert 0.5 < figures["text_coverage"] <= 1
    for part in ("source", "weights", "indptr", "rule"):
        assert np.array_equal(getattr(rows["causal"], part), getattr(rows["masked"], part))
    assert not np.array_equal(rows["causal"].rows, rows["masked"].rows)
