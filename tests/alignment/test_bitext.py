"""Words and where they stand, however they are parted."""

import regex
from hypothesis import example, given
from hypothesis import strategies as st

from lingraft.alignment.bitext import number_words
from lingraft.corpus.records import Pair
from lingraft.tokenizer.words import folded, word_spans

# Letters with and without case or accents, and every kind of space that text may hold.
texts = st.text("aAéb ,\t\n\r\x1c\x85\xa0\u2003\u2028\u200b", max_size=12)


@given(st.lists(st.tuples(texts, texts), max_size=6))
@example([("", "a"), ("a b", ""), ("b", "a a")])  # one blank between words: the common case
@example([("a\x1cb", "a  b")])
def test_tokens_stand_where_a_search_for_them_finds_them(given_pairs: list) -> None:
    check(given_pairs, lambda text: [match.span() for match in regex.finditer(r"\S+", text)], True)


@given(st.lists(st.tuples(texts, texts), max_size=6))
def test_words_stand_where_they_are_cut(given_pairs: list) -> None:
    check(given_pairs, word_spans, False)


def check(given_pairs, spans_of, tokenized):
    pairs = [Pair(source, target, "") for source, target in given_pairs]
    bitext = number_words(pairs, tokenized=tokenized)
    for side, column in ((bitext.source, 0), (bitext.target, 1)):
        assert len(side.starts) == len(pairs) + 1
        for number, row in enumerate(given_pairs):
            span = slice(*side.starts[number : number + 2].tolist())
            spans = spans_of(row[column])
            assert [tuple(offsets) for offsets in side.offsets[span].tolist()] == spans
            words = [side.vocabulary[word] for word in side.types[span].tolist()]
            assert words == [folded(row[column][begin:end]) for begin, end in spans]
