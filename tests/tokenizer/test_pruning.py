"""Pruned tokenizers: what stays is reached as before, and no text is lost."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from surgery_tokenizers import NEW, OLD, SPACE_MARK, SPELLINGS, documents_of, make_tokenizer
from tiny_tokenizers import TEXTS
from tokenizers import models

from lingraft.errors import InputError
from lingraft.tokenizer import Tokenizer, extend_bpe, prune
from lingraft.tokenizer.bpe_rules import read_rules

any_text = st.text(alphabet=st.characters(exclude_categories=["Cs"]))


def large(spelling: str) -> Tokenizer:
    """English, Greek and Thai tokens."""
    return extend_bpe(make_tokenizer(spelling), documents_of(*NEW * 2), new_tokens=60).tokenizer


BASES = {spelling: large(spelling) for spelling in SPELLINGS}
PRUNED = {
    spelling: prune(base, documents_of(*OLD), vocab_size=len(base) - 70)
    for spelling, base in BASES.items()
}
both = pytest.mark.parametrize("spelling", SPELLINGS)


@both
def test_ids_are_renumbered_without_gaps(spelling: str) -> None:
    base, done = BASES[spelling], PRUNED[spelling]
    assert len(done.tokenizer) == len(base) - 70
    assert list(done.id_map.values()) == list(range(len(done.tokenizer)))
    assert list(done.id_map) == sorted(done.id_map)
    for old, new in done.id_map.items():
        assert done.tokenizer.backend.id_to_token(new) == base.backend.id_to_token(old)
        assert done.tokenizer.vocabulary.pieces[new] == base.vocabulary.pieces[old]


@both
def test_special_tokens_keep_their_roles_and_places(spelling: str) -> None:
    base, pruned = BASES[spelling], PRUNED[spelling].tokenizer
    assert set(pruned.vocabulary.special.values()) == set(base.vocabulary.special.values())
    start, end = pruned.role_id("bos_token"), pruned.role_id("eos_token")
    assert start != base.role_id("bos_token")
    assert pruned.backend.encode("the").ids == [start, *pruned.encode("the"), end]
    assert pruned.chat_template == base.chat_template
    text = "<tab>the <s>"
    assert pruned.decode(pruned.encode(text)) == base.decode(base.encode(text))
    assert pruned.backend.token_to_id("<tab>") in pruned.encode(text)
    assert start not in pruned.encode(text)


@both
def test_every_token_that_stayed_is_reached_as_before(spelling: str) -> None:
    base, done = BASES[spelling], PRUNED[spelling]
    num_reached = 0
    for old, new in done.id_map.items():
        token = base.backend.id_to_token(old)
        if [found.id for found in base.backend.model.tokenize(token)] == [old]:
            num_reached += 1
            assert [found.id for found in done.tokenizer.backend.model.tokenize(token)] == [new]
    assert num_reached > 50


@both
def test_only_leaves_are_cut(spelling: str) -> None:
    rules = read_rules(PRUNED[spelling].tokenizer)
    before = read_rules(BASES[spelling])
    for pair in rules.merges:
        assert {*pair, "".join(pair)} <= rules.ids.keys()
    kept = [pair for pair in before.merges if "".join(pair) in rules.ids]
    assert list(rules.merges) == kept


@both
def test_any_text_round_trips(spelling: str) -> None:
    base, pruned = BASES[spelling], PRUNED[spelling].tokenizer

    @settings(deadline=None)
    @given(st.one_of(any_text, st.sampled_from(TEXTS)))
    def round_trip(text: str) -> None:
        before, after = base.encode(text), pruned.encode(text)
        assert pruned.vocabulary.bytes_of(after) == base.vocabulary.bytes_of(before)
        assert pruned.decode(after) == base.decode(before)

    round_trip()


@both
def test_text_without_cut_tokens_is_cut_as_before(spelling: str) -> None:
    base = BASES[spelling]
    counts = Counter(token for ids in base.encode_batch(OLD) for token in ids)
    done = prune(base, documents_of(*OLD), vocab_size=len(base) - 30)
    cut = set(range(len(base))) - done.id_map.keys()
    assert not cut & counts.keys()
    assert done.num_tokens_before == done.num_tokens_after == counts.total()
    for text in OLD:
        expected = [done.id_map[token] for token in base.encode(text)]
        assert done.tokenizer.encode(text) == expected


@both
def test_the_rarest_leaf_goes_first(spelling: str) -> None:
    base = BASES[spelling]
    size = len(base) - 75
    done = prune(base, documents_of(*OLD, NEW[0]), vocab_size=size)
    assert set(done.id_map) == leaf_by_leaf(base, (*OLD, NEW[0]), size)


def leaf_by_leaf(base: Tokenizer, texts: tuple[str, ...], size: int) -> set[int]:
    """The ids that stay, by looking through all tokens again for each that goes."""
    rules = read_rules(base)
    merges, left = list(rules.merges), dict(rules.ids)
    counts = Counter(token for ids in base.encode_batch(texts) for token in ids)
    fallback = {base.backend.id_to_token(token) for token in base.vocabulary.fallback}
    while len(left) > size:
        leaves = [
            token
            for token in left
            if not any(token in pair for pair in merges)
            and token not in rules.added | fallback
            and (len(token) > 1 or (fallback and token != SPACE_MARK))
        ]
        worst = min(leaves, key=lambda token: (counts[left[token]], -left[token]))
        ways = [pair for pair in merges if "".join(pair) == worst]
        for part in ways[0] if ways else ():
            counts[rules.ids[part]] += counts[left[worst]]
        merges = [pair for pair in merges if pair not in ways]
        del left[worst]
    return set(left.values())


def test_what_a_text_costs_is_told() -> None:
    base = BASES["byte_level"]
    done = prune(base, documents_of(*NEW), vocab_size=270)
    before, after = (
        sum(len(ids) for ids in tokenizer.encode_batch(NEW)) for tokenizer in (base, done.tokenizer)
    )
    assert (done.num_tokens_before, done.num_tokens_after) == (before, after)
    assert before < after


def test_the_smallest_vocabulary_is_bytes_and_added_tokens() -> None:
    done = prune(BASES["byte_level"], documents_of("a"), vocab_size=256 + 3)
    assert done.tokenizer.to_json()["model"]["merges"] == []
    assert done.tokenizer.decode(done.tokenizer.encode(NEW[0])) == NEW[0]
    # Characters can be spelt in raw bytes; the space mark has to stay.
    done = prune(BASES["no_pre_tokenizer"], documents_of("a"), vocab_size=256 + 1 + 4)
    assert set(read_rules(done.tokenizer).ids) == {
        *(f"<0x{byte:02X}>" for byte in range(256)),
        *("<unk>", SPACE_MARK, "<s>", "</s>", "<tab>"),
    }


def test_the_whole_vocabulary_may_stay() -> None:
    base = BASES["metaspace"]
    done = prune(base, documents_of("a"), vocab_size=len(base))
    assert done.tokenizer.encode_batch(TEXTS) == base.encode_batch(TEXTS)
    assert dict(done.id_map) == {token: token for token in range(len(base))}


def test_a_pruned_tokenizer_is_saved_and_loaded(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    for spelling, done in PRUNED.items():
        done.tokenizer.save(tmp_path / spelling)
        other = AutoTokenizer.from_pretrained(tmp_path / spelling)
        for text in TEXTS:
            ids = done.tokenizer.encode(text)
            assert other(text, add_special_tokens=False)["input_ids"] == ids
            assert Tokenizer.load(tmp_path / spelling).encode(text) == ids


def test_roles_that_are_no_added_tokens_stay() -> None:
    base = BASES["byte_level"]
    # The longest token is several merges deep.
    last = max((token for token in base.backend.get_vocab() if "<" not in token), key=len)
    assert last not in read_rules(prune(base, documents_of("q"), vocab_size=270).tokenizer).ids
    named = replace(base, roles={**base.roles, "pad_token": last})
    with pytest.raises(InputError) as caught:
        prune(named, documents_of("q"), vocab_size=0)
    smallest = int(caught.value.expected.split()[1])
    done = prune(named, documents_of("q"), vocab_size=smallest)
    # What leads to the token stays with it, and nothing else.
    pad = done.tokenizer.role_id("pad_token")
    assert pad is not None
    assert [found.id for found in done.tokenizer.backend.model.tokenize(last)] == [pad]
    assert len(read_rules(done.tokenizer).merges) == smallest - 256 - 3


def test_a_token_goes_with_all_the_merges_that_make_it() -> None:
    ids = {token: number for number, token in enumerate(["a", "b", "c", "bc", "ab", "abc"])}
    merges = [("a", "b"), ("b", "c"), ("ab", "c"), ("a", "bc")]
    base = Tokenizer(tokenizers.Tokenizer(models.BPE(ids, merges)))
    texts = documents_of("abc", "ab", "bc")
    done = prune(base, texts, vocab_size=5)
    assert read_rules(done.tokenizer).merges == (("a", "b"), ("b", "c"))
    # The text "abc" counts for "ab", the first way to it, and not for "bc".
    done = prune(base, texts, vocab_size=4)
    assert list(done.id_map) == [0, 1, 2, 4]
    assert (done.num_tokens_before, done.num_tokens_after) == (3, 5)


@pytest.mark.parametrize("size", [0, 258, 381, 10_000])
def test_sizes_out_of_reach_are_refused(size: int) -> None:
    base = BASES["byte_level"]
    assert len(base) == 380
    with pytest.raises(InputError) as caught:
        prune(base, documents_of(*OLD), vocab_size=size)
    assert caught.value.where == "vocab_size"
    assert caught.value.got == str(size)
    assert caught.value.expected.startswith("from 259 ids (bytes or characters, and added tokens)")
    assert caught.value.expected.endswith("to 380, which the tokenizer has")


@pytest.mark.parametrize("texts", [(), ("",)])
def test_no_text_is_refused(texts: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match="documents: expected text that says which tokens are ra"):
        prune(BASES["byte_level"], documents_of(*texts), vocab_size=300)


def test_other_kinds_of_tokenizers_are_refused(lossy_tokenizer: Tokenizer) -> None:
    with pytest.raises(
        InputError, match=r"base: expected a BPE tokenizer without .*, got WordPiec"
    ):
        prune(lossy_tokenizer, documents_of("a"), vocab_size=100)
