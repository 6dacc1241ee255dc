"""Vocabularies made out of one another are told from those that only share tokens."""

import json

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from lingraft.corpus.records import Document
from lingraft.tokenizer import Tokenizer, extend_bpe, prune, train_bpe
from lingraft.tokenizer.descent import descent


@pytest.fixture(scope="module")
def extended(tokenizer: Tokenizer, documents: list[Document]) -> Tokenizer:
    return extend_bpe(tokenizer, documents * 3, new_tokens=10).tokenizer


def test_an_extended_vocabulary_keeps_every_id(tokenizer: Tokenizer, extended: Tokenizer) -> None:
    found = descent(tokenizer, extended)
    assert found is not None
    assert found.kind == "extended"
    assert list(found.kept.items()) == [(number, number) for number in range(402)]
    back = descent(extended, tokenizer)
    assert back is not None
    assert (back.kind, dict(back.kept)) == ("pruned", dict(found.kept))


@settings(max_examples=10, deadline=None)
@given(vocab_size=st.integers(258, 401))
def test_a_pruned_vocabulary_keeps_what_prune_says(
    tokenizer: Tokenizer, documents: list[Document], vocab_size: int
) -> None:
    pruning = prune(tokenizer, documents, vocab_size=vocab_size)
    found = descent(tokenizer, pruning.tokenizer)
    assert found is not None
    assert found.kind == "pruned"
    assert list(found.kept.items()) == [(new, old) for old, new in pruning.id_map.items()]


def test_a_vocabulary_extends_itself_by_nothing(tokenizer: Tokenizer) -> None:
    found = descent(tokenizer, tokenizer)
    assert found is not None
    assert (found.kind, len(found.kept)) == ("extended", len(tokenizer))


def test_vocabularies_that_only_share_tokens_have_no_descent(documents: list[Document]) -> None:
    english, greek = (
        train_bpe(part * 3, vocab_size=300) for part in (documents[:2], documents[2:4])
    )
    shared = english.backend.get_vocab().keys() & greek.backend.get_vocab().keys()
    assert 256 <= len(shared) < 300
    assert descent(english, greek) is None
    assert descent(greek, english) is None


def test_the_same_spelling_of_other_bytes_is_another_token(tokenizer: Tokenizer) -> None:
    content = tokenizer.to_json()
    content["decoder"] = content["pre_tokenizer"] = None
    plain = Tokenizer(tokenizers.Tokenizer.from_str(json.dumps(content)), tokenizer.roles)
    assert plain.backend.get_vocab() == tokenizer.backend.get_vocab()
    assert descent(tokenizer, plain) is None


def test_ids_without_a_token_stay_where_they_are(tokenizer: Tokenizer) -> None:
    def numbered(**ids: int) -> Tokenizer:
        content = tokenizer.to_json()
        content["model"] |= {"vocab": ids, "merges": []}
        content["added_tokens"] = []
        return Tokenizer(tokenizers.Tokenizer.from_str(json.dumps(content)))

    old = numbered(a=0, b=2, c=5)
    filled = descent(old, numbered(a=0, d=1, b=2, c=5, e=6))
    assert filled is not None
    assert dict(filled.kept) == {0: 0, 2: 2, 3: 3, 4: 4, 5: 5}
    moved = descent(old, numbered(a=1, b=0, c=2))
    assert moved is not None
    assert (moved.kind, dict(moved.kept)) == ("extended", {0: 2, 1: 0, 2: 5})
    fewer = descent(old, numbered(b=0, c=3))
    assert fewer is not None
    assert (fewer.kind, dict(fewer.kept)) == ("pruned", {0: 2, 3: 5})
