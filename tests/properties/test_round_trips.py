"""Any text goes through a trained byte-level vocabulary without loss."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lingraft.corpus.records import Document
from lingraft.tokenizer import Tokenizer, train_bpe

# Unicode blocks: (first, last) code point of letters, marks and digits of one script.
SCRIPTS = {
    "latin": (0x41, 0x24F),
    "greek": (0x370, 0x3FF),
    "cyrillic": (0x400, 0x4FF),
    "hebrew": (0x591, 0x5F4),
    "arabic": (0x600, 0x6FF),
    "devanagari": (0x900, 0x97F),
    "thai": (0xE01, 0xE5B),
    "chinese": (0x4E00, 0x9FFF),
    "hangul": (0xAC00, 0xD7A3),
}
SPACES = " \n\t  \u200b\u200d\ufeff"
TRAINING = (
    "the old river, the old town 12",
    "το παλιό ποτάμι, η παλιά πόλη",
    "старая река, старый город",
    "הנהר הישן, העיר הישנה",
    "النهر القديم، المدينة القديمة",
    "पुरानी नदी, पुराना शहर १२",
    "แม่น้ำเก่า เมืองเก่า",
    "古老的河，古老的城",
    "오래된 강, 오래된 도시",
)
# A surrogate is no character: no UTF-8 text has one.
any_text = st.text(alphabet=st.characters(exclude_categories=["Cs"]))


@pytest.fixture(scope="module")
def trained() -> Tokenizer:
    documents = [Document(text, str(number)) for number, text in enumerate(TRAINING * 3)]
    return train_bpe(documents, vocab_size=450)


def in_script(name: str) -> st.SearchStrategy[str]:
    first, last = SCRIPTS[name]
    letters = st.characters(min_codepoint=first, max_codepoint=last)
    return st.text(alphabet=st.one_of(letters, st.sampled_from(SPACES + "0123456789.,")))


def assert_lossless(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    assert tokenizer.vocabulary.bytes_of(ids) == text.encode()
    assert tokenizer.decode(ids) == text


@given(any_text)
def test_any_text_round_trips(trained: Tokenizer, text: str) -> None:
    assert_lossless(trained, text)


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_round_trips(trained: Tokenizer, script: str) -> None:
    @given(in_script(script))
    def round_trip(text: str) -> None:
        assert_lossless(trained, text)

    round_trip()


@given(st.lists(any_text, max_size=5))
def test_a_batch_is_its_texts_one_by_one(trained: Tokenizer, texts: list[str]) -> None:
    alone = [trained.encode(text) for text in texts]
    assert trained.encode_batch(texts) == alone
    assert [ids for ids, _ in trained.encode_with_offsets(texts)] == alone


@given(any_text)
def test_each_token_lies_within_its_characters(trained: Tokenizer, text: str) -> None:
    [(ids, spans)] = trained.encode_with_offsets([text])
    assert len(ids) == len(spans)
    for token, (begin, end) in zip(ids, spans, strict=True):
        assert trained.vocabulary.bytes_of([token]) in text[begin:end].encode()
    assert spans == sorted(spans)
    assert {place for begin, end in spans for place in range(begin, end)} == set(range(len(text)))


@given(st.text(alphabet="aβ7٣१²½ ", max_size=12))
def test_each_digit_is_alone(trained: Tokenizer, text: str) -> None:
    [(ids, spans)] = trained.encode_with_offsets([text])
    numeric = {place for place, character in enumerate(text) if character.isnumeric()}
    for begin, end in spans:
        places = set(range(begin, end))
        assert not places & numeric or len(places) == 1
    assert len(ids) >= len(numeric)
