"""Conditions of parallel data: what of a corpus they keep, spoil, add and clean away."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from condition_cases import CODES, ENGLISH, GREEK, links_of, new_folder
from hypothesis import given
from hypothesis import strategies as st

from lingraft.alignment import Links
from lingraft.corpus import Pair, Pairs
from lingraft.errors import InputError
from lingraft.files import read_json
from lingraft.pipelines.conditions import (
    DICTIONARY,
    clean_corpus,
    link_scores,
    make_dictionary,
    read_probe,
    spoil,
)
from lingraft.pipelines.corpora import corpus_pairs


def ids(pairs: Pairs) -> list[str]:
    return [pair.id for pair in pairs]


@given(
    st.integers(0, 30), st.floats(0, 1), st.floats(0, 1), st.integers(0, 3), st.integers(0, 1 << 30)
)
def test_spoiling_changes_the_shares_that_were_asked_for(
    num: int, noise: float, untranslated: float, num_words: int, seed: int
) -> None:
    untranslated = min(untranslated, 1 - noise)
    pairs = [Pair(f"s{n}", f"t{n}", str(n)) for n in range(num)]
    changed, spoilt = spoil(pairs, noise=noise, untranslated=untranslated, seed=seed)
    shuffled = [p.id for p in changed if p.target not in (f"t{p.id}", p.source)]
    copied = [p.id for p in changed if p.target == p.source]
    wanted = round(noise * num)
    assert len(shuffled) == (wanted if wanted > 1 else 0), "one alone has no other to swap with"
    assert len(copied) == min(round(untranslated * num), num - wanted)
    assert spoilt == {*shuffled, *copied}
    assert [(p.id, p.source) for p in changed] == [(p.id, p.source) for p in pairs]
    of_shuffled = {f"t{n}" for n in shuffled}
    assert {p.target for p in changed if p.id in shuffled} == of_shuffled


def test_smaller_conditions_are_parts_of_larger_ones_and_the_probe_is_in_none(
    corpus: Path, make_condition: Callable[..., Path]
) -> None:
    whole, some, few = (make_condition(num_pairs=num) for num in (None, 200, 50))
    found = [corpus_pairs(path, ENGLISH, GREEK) for path in (whole, some, few)]
    assert ids(found[1])[:50] == ids(found[2])
    assert ids(found[0])[:200] == ids(found[1])
    probe = read_probe(whole, ENGLISH, GREEK)
    assert probe == read_probe(few, ENGLISH, GREEK)
    assert len(probe) == 50
    everything = ids(corpus_pairs(corpus, ENGLISH, GREEK))
    assert sorted(ids(found[0]) + ids(probe)) == sorted(everything)
    assert (whole / "test.jsonl").read_bytes() == (corpus / "test.jsonl").read_bytes()


def test_another_domain_is_cleared_of_what_is_measured(
    corpus: Path, make_condition: Callable[..., Path], tmp_path: Path
) -> None:
    tests = [json.loads(line) for line in (corpus / "test.jsonl").read_text("utf-8").splitlines()]
    probe = read_probe(make_condition(), ENGLISH, GREEK)
    other = tmp_path / "other.tsv"
    rows = [
        ("a new pair", "ένα νέο ζεύγος"),
        ("leaked", tests[0]["text"]),
        (probe.records[0].source, "άλλο"),
    ]
    other.write_text("".join(f"{a}\t{b}\n" for a, b in rows), encoding="utf-8")
    made = make_condition(other_pairs=other)
    found = corpus_pairs(made, ENGLISH, GREEK)
    assert [pair.source for pair in found] == ["a new pair"]
    assert read_probe(made, ENGLISH, GREEK) == probe


def test_dictionaries_given_and_linked(
    greek: dict[str, Path], make_condition: Callable[..., Path], tmp_path: Path
) -> None:
    whole = make_condition()
    links = links_of(whole, tmp_path / "links")
    given, linked = new_folder(tmp_path / "given"), new_folder(tmp_path / "linked")
    make_dictionary(file=greek["dictionary"], corpus=whole, links=None, out=given, **CODES)
    assert (given / DICTIONARY).read_text("utf-8").splitlines()[0] == "file\tαρχείο"
    result = make_dictionary(file=None, corpus=whole, links=links, out=linked, **CODES)
    words = dict(line.split("\t") for line in (linked / DICTIONARY).read_text("utf-8").splitlines())
    assert result == {"num_entries": len(words), "origin": "linked words"}
    assert len(words) > 50
    assert words["and"] == "και"
    alone = make_condition(kind="dictionary", dictionary=given)
    assert len(corpus_pairs(alone, ENGLISH, GREEK)) == 0
    assert (alone / DICTIONARY).read_bytes() == (given / DICTIONARY).read_bytes()
    both = corpus_pairs(make_condition(kind="both", dictionary=given, num_pairs=10), ENGLISH, GREEK)
    assert [(p.source, p.target) for p in both][10:] == [
        ("file", "αρχείο"),
        ("window", "παράθυρο"),
        ("text", "κείμενο"),
    ]


@pytest.mark.parametrize(
    ("changes", "expected", "got"),
    [
        ({"noise": 0.7, "untranslated": 0.4}, "shares of at least 0", "noise 0.7, untranslated"),
        ({"noise": -0.1}, "shares of at least 0", "noise -0.1"),
        ({"num_pairs": 0}, "pairs to align", "none"),
    ],
)
def test_impossible_conditions_are_refused(
    changes: dict[str, Any], expected: str, got: str, make_condition: Callable[..., Path]
) -> None:
    with pytest.raises(InputError) as caught:
        make_condition(**changes)
    assert caught.value.expected.startswith(expected)
    assert caught.value.got.startswith(got)


def test_cleaning_by_links_finds_the_spoilt_pairs(
    make_condition: Callable[..., Path], tmp_path: Path
) -> None:
    dirty = make_condition(noise=0.3, untranslated=0.1)
    links = links_of(dirty, tmp_path / "links")
    out = new_folder(tmp_path / "cleaned")
    result = clean_corpus(
        corpus=dirty, links=links, rules=("language", "length", "links"), out=out, **CODES
    )
    spoilt = set(read_json(dirty / "spoilt.json"))
    kept = corpus_pairs(out, ENGLISH, GREEK)
    before = corpus_pairs(dirty, ENGLISH, GREEK)
    assert result["num_spoilt"] == len(spoilt) > 200
    assert result["num_pairs"] == len(kept) == len(before) - result["num_removed"]
    assert result["num_removed_spoilt"] == len(spoilt - set(ids(kept)))
    assert result["num_removed_spoilt"] > 0.5 * len(spoilt)
    assert result["num_removed"] - result["num_removed_spoilt"] < 0.1 * (len(before) - len(spoilt))


def test_link_scores_by_hand() -> None:
    def array(*values: float) -> Any:
        return np.array(values)

    links = Links(
        pair=array(0, 0, 2).astype(np.int32),
        source_word=array(0, 1, 0).astype(np.int32),
        target_word=array(0, 0, 0).astype(np.int32),
        posterior=array(0.5, 0.25, 1.0).astype(np.float32),
        source_starts=array(0, 2, 3, 4, 4).astype(np.int64),
        target_starts=array(0, 1, 1, 2, 2).astype(np.int64),
        source_offsets=np.zeros((4, 2), np.int32),
        target_offsets=np.zeros((2, 2), np.int32),
        segmentation="words-1",
        method="hmm",
        seed=0,
    )
    assert link_scores(links).tolist() == pytest.approx([2 * 0.75 / 3, 0.0, 1.0, 0.0])
