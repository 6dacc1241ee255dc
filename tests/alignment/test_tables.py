"""Token tables: a slow oracle over characters, what is conserved, worked examples."""

import random
from collections import defaultdict
from fractions import Fraction

import numpy as np
import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from tokenizers import models, processors

from lingraft.alignment import Links, tables
from lingraft.alignment.tables import (
    TranslationTable,
    in_word_split,
    linked_words,
    table_of_words,
    token_table,
)
from lingraft.corpus.records import Document, Pair
from lingraft.errors import InputError
from lingraft.tokenizer import Tokenizer, train_bpe
from lingraft.tokenizer.words import word_spans

LETTERS = "abγδ가ไก็猫12., 👍🏽"
WordLink = tuple[int, int, int, float]  # pair, source word, target word, posterior


@pytest.fixture(scope="module")
def source() -> Tokenizer:
    return train_bpe([Document("abba aab baba 12 ab, ab. γδ γδγ ไก็ ไก็ " * 5, "1")], vocab_size=275)


@pytest.fixture(scope="module")
def target() -> Tokenizer:
    """As GPT-2 has it: offsets leave out spaces, so that a token of a space has no character."""
    trained = train_bpe([Document("γδδγ γγδ δγδγ 가가 猫猫 ab. ไก็ไก็ " * 5, "1")], vocab_size=275)
    trained.backend.post_processor = processors.ByteLevel(trim_offsets=True)
    assert trained.encode_with_offsets(["a  b"])[0][1] == [(0, 1), (2, 2), (3, 3), (3, 4)]
    return trained


def make_links(pairs: list[Pair], links: list[WordLink]) -> Links:
    ordered = sorted(links)
    source_spans = [word_spans(pair.source) for pair in pairs]
    target_spans = [word_spans(pair.target) for pair in pairs]

    def column(index: int, dtype: type) -> np.ndarray:
        return np.array([link[index] for link in ordered], dtype=dtype)

    def starts(spans: list[list[tuple[int, int]]]) -> np.ndarray:
        return np.cumsum([0, *map(len, spans)]).astype(np.int64)

    def offsets(spans: list[list[tuple[int, int]]]) -> np.ndarray:
        flat = [span for of_text in spans for span in of_text]
        return np.array(flat, dtype=np.int32).reshape(-1, 2)

    return Links(
        pair=column(0, np.int32),
        source_word=column(1, np.int32),
        target_word=column(2, np.int32),
        posterior=column(3, np.float32),
        source_starts=starts(source_spans),
        target_starts=starts(target_spans),
        source_offsets=offsets(source_spans),
        target_offsets=offsets(target_spans),
        segmentation="words-1",
        method="by hand",
        seed=0,
    )


def tokens_of_word(tokenizer: Tokenizer, text: str, word: int) -> list[int]:
    """Every token that shares a character with the word, found by looking at each character."""
    begin, end = word_spans(text)[word]
    encoding = tokenizer.backend.encode(text, add_special_tokens=False)
    return [
        token
        for token, span in zip(encoding.ids, encoding.offsets, strict=True)
        if set(range(*span)) & set(range(begin, end))
    ]


def slow_table(
    pairs: list[Pair], links: list[WordLink], source: Tokenizer, target: Tokenizer
) -> dict[tuple[int, int], float]:
    """Section 3 of arXiv 2408.04303 in fractions: both schemes, half and half."""
    counts: dict[tuple[int, int], Fraction] = defaultdict(Fraction)
    for pair, source_word, target_word, posterior in links:
        sources = tokens_of_word(source, pairs[pair].source, source_word)
        targets = tokens_of_word(target, pairs[pair].target, target_word)
        for i, t in enumerate(targets):
            for j, s in enumerate(sources):
                begin = max(Fraction(i, len(targets)), Fraction(j, len(sources)))
                end = min(Fraction(i + 1, len(targets)), Fraction(j + 1, len(sources)))
                in_order = max(end - begin, Fraction(0)) * len(targets)
                share = (in_order + Fraction(1, len(sources))) / 2
                counts[t, s] += Fraction(float(np.float32(posterior))) * share
    return {key: float(count) for key, count in counts.items() if count}


def as_dict(table: TranslationTable) -> dict[tuple[int, int], float]:
    return {
        (target, int(source)): float(count)
        for target in range(len(table))
        for source, count in zip(*table.row(target), strict=True)
    }


@st.composite
def linked_pairs(draw: st.DrawFn) -> tuple[list[Pair], list[WordLink]]:
    text = st.text(alphabet=LETTERS, max_size=9)
    texts = draw(st.lists(st.tuples(text, text), max_size=5))
    pairs = [Pair(a, b, str(number)) for number, (a, b) in enumerate(texts)]
    places = [
        (number, s, t)
        for number, pair in enumerate(pairs)
        for s in range(len(word_spans(pair.source)))
        for t in range(len(word_spans(pair.target)))
    ]
    chosen = draw(st.lists(st.sampled_from(places), unique=True)) if places else []
    posteriors = st.floats(0.0078125, 1.0, width=32)
    return pairs, [(*place, draw(posteriors)) for place in chosen]


@given(linked_pairs())
def test_counts_equal_the_slow_ones(
    source: Tokenizer, target: Tokenizer, case: tuple[list[Pair], list[WordLink]]
) -> None:
    pairs, links = case
    found = make_links(pairs, links)
    table = token_table(found, iter(pairs), source=source, target=target, split="assumed")
    expected = slow_table(pairs, links, source, target)
    assert as_dict(table) == pytest.approx(expected, rel=1e-9)
    assert (len(table), table.num_source) == (len(target), len(source))


@given(linked_pairs())
def test_posteriors_are_conserved(
    source: Tokenizer, target: Tokenizer, case: tuple[list[Pair], list[WordLink]]
) -> None:
    pairs, links = case
    table = token_table(make_links(pairs, links), pairs, source=source, target=target)
    num_tokens = [len(tokens_of_word(target, pairs[link[0]].target, link[2])) for link in links]
    weights = [link[3] for link in links]
    assert table.counts.sum() == pytest.approx(np.dot(weights, num_tokens), rel=1e-6)
    assert table.support.sum() == pytest.approx(table.counts.sum(), rel=1e-9)
    assert (table.counts > 0).all()


@given(linked_pairs(), st.integers(1, 3))
def test_batches_change_nothing(
    source: Tokenizer, target: Tokenizer, case: tuple[list[Pair], list[WordLink]], at_once: int
) -> None:
    pairs, links = case
    whole = token_table(make_links(pairs, links), pairs, source=source, target=target)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "_PAIRS_AT_ONCE", at_once)
        cut = token_table(make_links(pairs, links), pairs, source=source, target=target)
    for name in ("indptr", "source", "counts"):
        assert_array_equal(getattr(cut, name), getattr(whole, name))


def test_a_worked_example() -> None:
    """Two words of one and of three tokens, and of two and of two."""
    backend = tokenizers.Tokenizer(models.BPE({"a": 0, "b": 1, "c": 2, "ab": 3}, [("a", "b")]))
    backend.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    words = Tokenizer(backend)
    pairs = [Pair("ab cac", "cc ab", "1")]
    links = make_links(pairs, [(0, 0, 1, 0.5), (0, 1, 0, 1.0)])
    table = token_table(links, pairs, source=words, target=words, split="assumed")
    # "cc" has two tokens c over the three of "cac": in order they see c 2/3 a 1/3, a 1/3 c 2/3;
    # evenly each sees c 2/3 and a 1/3.
    assert as_dict(table) == pytest.approx({(3, 3): 0.5, (2, 0): 2 / 3, (2, 2): 4 / 3})
    assert_allclose(table.support, [0, 0, 2, 0.5])
    assert table.row(0)[0].size == 0


def test_parts_of_a_character_belong_to_its_word(target: Tokenizer) -> None:
    plain = train_bpe([Document("a", "1")], vocab_size=256)
    pairs = [Pair("ไก็猫", "ไก็猫", "1")]  # the unspaced text is cut into clusters and characters
    assert len(word_spans("ไก็猫")) == 3
    table = token_table(make_links(pairs, [(0, 2, 2, 1.0)]), pairs, source=plain, target=plain)
    used = {plain.vocabulary.bytes_of([token]) for token, _ in as_dict(table)}
    assert used == {bytes([byte]) for byte in "猫".encode()}
    assert_allclose(sorted(table.support)[-3:], 1.0)


def test_no_links_and_no_pairs_give_an_empty_table(source: Tokenizer, target: Tokenizer) -> None:
    for pairs in ([], [Pair("a", "γ", "1"), Pair("", "", "2")]):
        table = token_table(make_links(pairs, []), pairs, source=source, target=target)
        assert (len(table), table.num_source) == (len(target), len(source))
        assert_array_equal(table.support, np.zeros(len(target)))
        assert table.row(5)[0].size == table.source.size == 0
        assert (table.indptr.dtype, table.source.dtype) == (np.int64, np.int32)


def test_unused_ids_keep_their_columns() -> None:
    """Ids above the number of tokens: a table as wide as that number would mix up rows."""
    backend = tokenizers.Tokenizer(models.WordLevel({"[UNK]": 0, "a": 7}, unk_token="[UNK]"))
    gaps = Tokenizer(backend)
    pairs = [Pair("a", "a", "1")]
    table = token_table(make_links(pairs, [(0, 0, 0, 1.0)]), pairs, source=gaps, target=gaps)
    assert (len(table), table.num_source) == (8, 8)
    assert as_dict(table) == {(7, 7): 1.0}


@pytest.mark.parametrize(("num_pairs", "got"), [(1, "1"), (3, "3 or more")])
def test_links_of_other_pairs_are_refused(
    source: Tokenizer, target: Tokenizer, num_pairs: int, got: str
) -> None:
    links = make_links([Pair("a", "γ", "1")] * 2, [(1, 0, 0, 1.0)])
    with pytest.raises(InputError, match="the 2 pairs that were aligned") as caught:
        token_table(links, [Pair("a", "γ", "1")] * num_pairs, source=source, target=target)
    assert (caught.value.where, caught.value.got) == ("pairs", got)


@given(st.integers(1, 12), st.integers(1, 12))
def test_every_token_shares_itself_out_fully(num_target: int, num_source: int) -> None:
    split = in_word_split(num_target, num_source)
    assert split.shape == (num_target, num_source)
    assert_allclose(split.sum(axis=1), 1.0)
    assert (split > 0).all()
    # The word reads the same from behind.
    assert_allclose(split, split[::-1, ::-1], atol=1e-12)


def test_splits_by_hand() -> None:
    assert_allclose(in_word_split(1, 2), [[0.5, 0.5]])
    assert_allclose(in_word_split(3, 1), [[1.0]] * 3)
    assert_allclose(in_word_split(2, 2), [[0.75, 0.25], [0.25, 0.75]])


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(0, 8))), st.randoms())
def test_entries_are_summed_in_any_order(
    entries: list[tuple[int, int, int]], draw: random.Random
) -> None:
    expected: dict[tuple[int, int], float] = defaultdict(float)
    for target, source, count in entries:
        expected[target, source] += count
    draw.shuffle(entries)
    columns = np.array(entries, dtype=np.int64).reshape(-1, 3).T
    table = TranslationTable.from_entries(
        columns[0], columns[1], columns[2].astype(np.float64), shape=(4, 5)
    )
    assert as_dict(table) == {key: count for key, count in expected.items() if count}
    for target in range(4):
        assert_array_equal(table.row(target)[0], np.unique(table.row(target)[0]))


Words = dict[tuple[tuple[int, ...], tuple[int, ...]], float]


def slow_learned(words: Words, *, rounds: int, smoothing: float) -> dict[tuple[int, int], float]:
    """IBM model 1 inside words by loops, each link's prior being the assumed split."""
    probability: dict[tuple[int, int], float] = defaultdict(lambda: 1.0)
    for round_number in range(rounds + 1):
        counts: dict[tuple[int, int], float] = defaultdict(float)
        for (sources, targets), count in words.items():
            prior = in_word_split(len(targets), len(sources))
            for i, t in enumerate(targets):
                weights = [prior[i, j] * probability[t, s] for j, s in enumerate(sources)]
                for j, s in enumerate(sources):
                    counts[t, s] += count * weights[j] / sum(weights)
        if round_number == rounds:
            return dict(counts)
        total = sum(counts.values())
        of_source: dict[int, float] = defaultdict(float)
        of_target: dict[int, float] = defaultdict(float)
        for (t, s), count in counts.items():
            of_source[s] += count
            of_target[t] += count
        for t, s in counts:
            more = smoothing * of_target[t] / total
            probability[t, s] = (counts[t, s] + more) / (of_source[s] + smoothing)
    raise AssertionError


token_words = st.dictionaries(
    st.tuples(
        st.lists(st.integers(0, 4), min_size=1, max_size=4).map(tuple),
        st.lists(st.integers(0, 5), min_size=1, max_size=4).map(tuple),
    ),
    st.floats(0.0625, 20),
    max_size=8,
)


class TestLearnedSplit:
    @given(token_words)
    def test_shares_equal_the_slow_ones(self, words: Words) -> None:
        table = table_of_words(words, shape=(6, 5), split="learned")
        expected = slow_learned(words, rounds=tables._SPLIT_ROUNDS, smoothing=3.0)
        assert as_dict(table) == pytest.approx(expected, rel=1e-6)

    @given(token_words)
    def test_every_target_token_keeps_its_count(self, words: Words) -> None:
        assumed, learned = (
            table_of_words(words, shape=(6, 5), split=split) for split in ("assumed", "learned")
        )
        assert_allclose(learned.support, assumed.support, rtol=1e-9)
        assert_array_equal(learned.source, assumed.source)

    def test_words_of_one_token_are_as_assumed(self) -> None:
        words: Words = {((0,), (1,)): 2.0, ((1,), (0, 1)): 3.0}
        assumed, learned = (
            table_of_words(words, shape=(2, 2), split=split) for split in ("assumed", "learned")
        )
        assert_array_equal(learned.counts, assumed.counts)

    def test_affixes_that_change_sides_are_found(self) -> None:
        """Stems 0 to 9 and affixes 10 to 13: what comes first here comes last there."""
        words: Words = {
            ((stem, affix), (affix, stem)): 1.0 for stem in range(10) for affix in range(10, 14)
        }
        right = {
            split: sum(
                count
                for (target, source), count in as_dict(
                    table_of_words(words, shape=(14, 14), split=split)
                ).items()
                if target == source
            )
            for split in ("assumed", "learned")
        }
        assert right["assumed"] == pytest.approx(0.25 * 80)
        assert right["learned"] > 0.7 * 80

    def test_tokens_that_say_nothing_keep_the_assumed_split(self) -> None:
        """Two words that never part: which token is which is not to be known."""
        words: Words = {((0, 1), (0, 1)): 5.0, ((2, 3), (2, 3)): 5.0}
        shares = table_of_words(words, shape=(4, 4), split="learned").row(0)[1] / 5
        assert shares[0] > 0.75

    def test_token_tables_can_learn_it(self, source: Tokenizer, target: Tokenizer) -> None:
        pairs = [Pair("abba aab", "γδδγ γγδ", str(number)) for number in range(3)]
        links = make_links(pairs, [(n, 0, 0, 1.0) for n in range(3)] + [(0, 1, 1, 0.5)])
        assumed, learned = (
            token_table(links, pairs, source=source, target=target, split=split)
            for split in ("assumed", "learned")
        )
        assert_allclose(learned.support, assumed.support, rtol=1e-9)

    @pytest.mark.parametrize("words", [{}, {((0,), (0,)): 1.0}])
    def test_an_unknown_split_is_refused(self, words: Words) -> None:
        with pytest.raises(InputError, match="split: expected a split of assumed, learned") as e:
            table_of_words(words, shape=(1, 1), split="guessed")  # type: ignore[arg-type]
        assert e.value.got == "'guessed'"


class TestLinkedWords:
    def test_words_that_are_each_others_best_are_a_pair(self) -> None:
        pairs = [Pair("The Bridge", "Το ΓΕΦΎΡΙ", "1"), Pair("bridge span", "γεφύρι", "2")]
        links = [(0, 0, 0, 1.0), (0, 1, 1, 1.0), (1, 0, 0, 0.5), (1, 1, 0, 1.0)]
        found = linked_words(make_links(pairs, links), pairs, min_count=1.0)
        # "span" has the bridge as its best, but the bridge has a better one.
        assert [(p.source, p.target) for p in found] == [("bridge", "γεφύρι"), ("the", "το")]
        often = linked_words(make_links(pairs, links), pairs, min_count=1.25)
        assert [p.source for p in often] == ["bridge"]

    @given(linked_pairs())
    def test_pairs_are_one_to_one(self, case: tuple[list[Pair], list[WordLink]]) -> None:
        pairs, links = case
        found = linked_words(make_links(pairs, links), iter(pairs), min_count=0.0)
        assert len({p.source for p in found}) == len({p.target for p in found}) == len(found)
        assert bool(found) == bool(links)

    def test_links_of_other_pairs_are_refused(self) -> None:
        links = make_links([Pair("a", "γ", "1")] * 2, [(1, 0, 0, 1.0)])
        with pytest.raises(InputError, match="the 2 pairs that were aligned") as caught:
            linked_words(links, [Pair("a", "γ", "1")])
        assert caught.value.got == "1"
