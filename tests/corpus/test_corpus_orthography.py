"""Spelling is reported as it is, and changed only where that was asked for."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lingraft.corpus import Document, Documents, inspect_orthography, normalize
from lingraft.corpus.orthography import APOSTROPHES
from lingraft.corpus.scripts import OTHER_SCRIPT, letter_script
from lingraft.errors import InputError
from lingraft.languages import Language

RU, EL = Language.parse("ru"), Language.parse("el")


def _documents(*texts, lang=RU):
    return Documents(tuple(Document(text, str(i)) for i, text in enumerate(texts)), lang)


def test_the_report_counts_what_splits_words():
    report = inspect_orthography(
        _documents(
            "cafe\u0301 café",
            "l'eau l’eau d’or 'quoted' 5'",
            "می\u200cشود क्\u200dष",
            "стoл USB-кабель",
        )
    )
    assert (report.num_texts, report.num_not_nfc, report.share_not_nfc) == (4, 1, 0.25)
    assert (report.num_zwnj, report.num_zwj) == (1, 1)
    assert report.apostrophes == {"U+0027": 1, "U+2019": 2}
    assert report.mixes_apostrophes
    assert (report.num_mixed_words, report.mixed_words) == (1, ("стoл",))
    latin = len("cafecafé" + "leauleaudorquoted" + "oUSB")
    letters = {"Latn": latin, "Cyrl": 9, "Arab": 5, "Deva": 2}
    assert report.script_shares == pytest.approx(
        {script: n / sum(letters.values()) for script, n in letters.items()}
    )


def test_an_empty_corpus_has_no_shares():
    report = inspect_orthography(_documents())
    assert (report.share_not_nfc, report.script_shares, report.mixes_apostrophes) == (
        None,
        {},
        False,
    )


@pytest.mark.parametrize(
    ("character", "script"),
    [
        ("a", "Latn"),
        ("ж", "Cyrl"),
        ("ω", "Grek"),
        ("한", "Hang"),
        ("漢", "Hani"),
        ("ꦲ", "Java"),
        ("𐤀", OTHER_SCRIPT),
        ("1", None),
        ("ー", None),
        ("ʼ", None),
        ("\u0301", None),
    ],
)
def test_letters_belong_to_their_script(character, script):
    assert letter_script(character) == script


@given(texts=st.lists(st.text(), max_size=4))
def test_nothing_changes_unless_asked(texts):
    documents = _documents(*texts)
    same, report = normalize(documents)
    assert same == documents
    assert report.num_changed_texts == 0


@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=4))
def test_normal_form_is_that_of_unicode_and_counted(texts):
    changed, report = normalize(_documents(*texts), nfc=True)
    assert [d.text for d in changed] == [unicodedata.normalize("NFC", text) for text in texts]
    num_changed = sum(d.text != text for d, text in zip(changed, texts, strict=True))
    assert report.num_nfc == report.num_changed_texts == num_changed


@pytest.mark.parametrize("apostrophe", APOSTROPHES)
def test_apostrophes_become_one_and_quotation_marks_stay(apostrophe):
    changed, report = normalize(_documents("o'z o’z oʼz ’q’ 'q' 5’"), apostrophe=apostrophe)
    assert changed.records[0].text == "o'z o'z o'z ’q’ 'q' 5’".replace("o'z", f"o{apostrophe}z")
    assert report.num_apostrophes == 2
    assert not inspect_orthography(changed).mixes_apostrophes


def test_an_unknown_apostrophe_is_refused():
    with pytest.raises(InputError, match=r"expected one of U\+0027, U\+2019, U\+02BC, got '`'"):
        normalize(_documents("a"), apostrophe="`")


def test_joiners_are_removed_and_counted():
    changed, report = normalize(_documents("می\u200cشود\u200d", "x"), strip_zwnj=True)
    assert changed.records[0].text == "میشود\u200d"
    assert (report.num_zwnj, report.num_changed_texts) == (1, 1)


@pytest.mark.parametrize(
    ("lang", "word", "repaired"),
    [
        (RU, "стoл", "стол"),  # Latin o in a Cyrillic word
        (RU, "wоrld", "world"),  # Cyrillic о in a Latin word
        (EL, "Kλάση", "Κλάση"),  # Latin K in a Greek word
        (RU, "оx", "ох"),  # one of each: the language decides
        (EL, "oύ", "ού"),
        (RU, "листt", "листt"),  # t has no Cyrillic lookalike
        (RU, "USB-кабель", "USB-кабель"),
        (RU, "кафе", "кафе"),
    ],
)
def test_lookalikes_join_the_script_of_their_word(lang, word, repaired):
    changed, report = normalize(_documents(f"a {word}, б", lang=lang), homoglyphs=True)
    assert changed.records[0].text == f"a {repaired}, б"
    assert report.num_homoglyph_words == (word != repaired)
