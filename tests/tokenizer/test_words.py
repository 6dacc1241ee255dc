"""Words with their places: the coverage of any text, and worked examples in many scripts."""

import unicodedata

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from lingraft.tokenizer.words import word_spans

SEPARATOR = regex.compile(r"[\s\p{Cc}\u200b\ufeff]")
SCRIPTS = (
    "aßžДжїάΐק׳ا\u064bئक\u094dगกำเລខ\u17d2ကབོ་猫々のーカ゛ｶﾞ한각"
    "👍🏽\u200d\u200c\u200b\u0301'’-._ \n7٣½"
)


def cut(text: str) -> list[str]:
    return [text[begin:end] for begin, end in word_spans(text)]


@settings(deadline=None)
@given(st.one_of(st.text(), st.text(alphabet=SCRIPTS)))
def test_spans_are_ordered_disjoint_and_cover_all_but_space(text: str) -> None:
    spans = word_spans(text)
    places = [place for begin, end in spans for place in range(begin, end)]
    assert all(begin < end for begin, end in spans)
    assert places == sorted(set(places))
    visible = [k for k, character in enumerate(text) if not SEPARATOR.match(character)]
    assert places == visible


@settings(deadline=None)
@given(st.text(alphabet=SCRIPTS), st.text(alphabet=SCRIPTS))
def test_a_space_separates(first: str, second: str) -> None:
    # A mark after a space stands on its own, as it does at the start of a text.
    assert cut(f"{first} {second}") == cut(first) + cut(second)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don't l’homme 'quoted'", ["Don't", "l’homme", "'", "quoted", "'"]),
        ("état-major, 3.14%", ["état", "-", "major", ",", "3", ".", "14", "%"]),
        ("col·lega abc123", ["col·lega", "abc", "123"]),
        ("Съешь м'яту — 5-й", ["Съешь", "м'яту", "—", "5", "-", "й"]),
        ("Ἐν ἀρχῇ ἦν, ὁ λόγος·", ["Ἐν", "ἀρχῇ", "ἦν", ",", "ὁ", "λόγος", "·"]),
        ("한국어를 씁니다.", ["한국어를", "씁니다", "."]),
        ("می‌خواهم، ٤٢", ["می‌خواهم", "،", "٤٢"]),
        ("שָׁלוֹם, צה״ל", ["שָׁלוֹם", ",", "צה״ל"]),
        ("मैं हिन्दी।", ["मैं", "हिन्दी", "।"]),
        ("ภาษา ๑๒ ที่", ["ภ", "า", "ษ", "า", "๑๒", "ที่"]),
        ("ខ្មែរ\u200bយើង", ["ខ្មែ", "រ", "យើ", "ង"]),
        ("བོད་ཡིག", ["བོད་", "ཡིག"]),
        ("猫がカタカナーを12個", ["猫", "が", "カタカナー", "を", "12", "個"]),
        ("我們。〇一", ["我", "們", "。", "〇", "一"]),
        ("ok👨‍👩‍👧✌🏽", ["ok", "👨‍👩‍👧", "✌🏽"]),
        ("", []),
        (" \n\x00", []),
    ],
)
def test_worked_examples(text: str, words: list[str]) -> None:
    assert cut(text) == words


@pytest.mark.parametrize(
    "text", ["Ἐν ἀρχῇ ἦν ὁ λόγος", "Žluťoučký kůň", "한국어를 씁니다", "がぎぐ"]
)
def test_decomposed_text_has_the_same_words(text: str) -> None:
    decomposed = cut(unicodedata.normalize("NFD", text))
    assert [unicodedata.normalize("NFC", word) for word in decomposed] == cut(text)
