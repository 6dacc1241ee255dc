"""A cipher changes every letter, keeps bytes and case, and refuses what it cannot change."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lingraft.corpus import Document, Documents
from lingraft.corpus.ciphers import encipher
from lingraft.errors import InputError
from lingraft.languages import Language

TEXTS = {
    "en": "The quick brown Fox jumps over THE LAZY DOG",
    "ru": "Съешь ещё этих мягких ФРАНЦУЗСКИХ булок",
    "el": "Ο άνθρωπος είναι ΕΔΩ ώρα",
    "ko": "대한민국의 국민은 법률이 정하는 바에 의하여 평등하다",
    "ja": "これはひらがなとカタカナと漢字の文です",
    "zh": "我能吞下玻璃而不伤身体",
    "ar": "السلام عليكم ورحمة الله",
    "ka": "ქართული ენა",
}


def enciphered(code: str, text: str, seed: int = 0):
    documents = Documents((Document(text, "d"),), Language.parse(code))
    return encipher(documents, seed=seed)


@pytest.mark.parametrize("code", TEXTS)
def test_every_letter_becomes_another_of_as_many_bytes(code: str) -> None:
    text = TEXTS[code]
    found = enciphered(code, text)
    hidden = found.documents.records[0].text
    assert len(hidden) == len(text)
    for one, other in zip(text, hidden, strict=True):
        assert (one != other) == one.isalpha()
        assert len(one.encode()) == len(other.encode())
        assert (one.isupper(), one.islower()) == (other.isupper(), other.islower())
    assert found.share == 1.0
    assert found.num_letters == sum(map(str.isalpha, text))
    assert enciphered(code, text, seed=1).documents != found.documents


def test_no_letter_of_the_alphabet_stays_under_any_seed() -> None:
    lower = "abcdefghijklmnopqrstuvwxyz"
    for seed in range(30):
        hidden = enciphered("en", lower, seed).documents.records[0].text
        assert sorted(hidden) == sorted(lower)
        assert not [one for one, other in zip(lower, hidden, strict=True) if one == other]


@pytest.mark.parametrize("code", ["en", "ru", "el"])
def test_upper_case_follows_lower_case(code: str) -> None:
    text = TEXTS[code].lower().replace("ς", "σ")
    hidden = enciphered(code, text).documents.records[0].text
    assert enciphered(code, text.upper()).documents.records[0].text == hidden.upper()


@given(st.text(st.characters(max_codepoint=0x2FF, categories=["Lu", "Ll"]), min_size=20))
def test_letters_are_replaced_one_to_one(text: str) -> None:
    try:
        hidden = enciphered("en", text).documents.records[0].text
    except InputError:
        return
    pairs = set(zip(text, hidden, strict=True))
    assert len(pairs) == len(set(text)) == len(set(hidden))


def test_syllables_stay_syllables_and_do_not_compose() -> None:
    hidden = enciphered("ko", TEXTS["ko"] * 20).documents.records[0].text
    assert unicodedata.normalize("NFC", hidden) == hidden
    finals = [
        [len(unicodedata.normalize("NFD", char)) for char in text]
        for text in (TEXTS["ko"] * 20, hidden)
    ]
    assert finals[0] == finals[1]


def test_letters_that_no_script_owns_stay_and_are_counted() -> None:
    found = enciphered("ja", "コーヒはとてもおいしいです")
    assert found.documents.records[0].text[1] == "ー"
    assert (found.num_changed, found.num_letters) == (12, 13)


@pytest.mark.parametrize(
    ("text", "got"),
    [
        ("𐎠𐎡𐎢𐎣 abc", "43% of 7 letters; most of the others are of script Zzzz"),
        ("ーーーーー カ", "17% of 6 letters; most of the others are of script Zyyy"),
        ("123", "0% of 0 letters"),
    ],
)
def test_text_that_would_stay_readable_is_refused(text: str, got: str) -> None:
    with pytest.raises(InputError) as caught:
        enciphered("en", text)
    assert caught.value.expected == (
        "text of which a cipher can change at least 90% of the letters"
    )
    assert caught.value.got == got
    assert caught.value.where == "text of eng_Latn to encipher"
    assert caught.value.hint
