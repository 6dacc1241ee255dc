"""Prepared corpora in files: pairs come back as they were written."""

from pathlib import Path

from condition_cases import ENGLISH

from lingraft.corpus import Pair, Pairs
from lingraft.languages import Language
from lingraft.pipelines.corpora import corpus_pairs, write_pairs


def test_indonesian_whose_tag_is_the_name_of_our_ids(tmp_path: Path) -> None:
    indonesian = Language.parse("id")
    pairs = Pairs((Pair("two cats", "dua kucing", "row-1"),), ENGLISH, indonesian)
    write_pairs(tmp_path / "pairs.jsonl", pairs)
    assert corpus_pairs(tmp_path, ENGLISH, indonesian).records == pairs.records
    turned = corpus_pairs(tmp_path, indonesian, ENGLISH)
    assert [(p.source, p.target) for p in turned] == [("two cats", "dua kucing")]
