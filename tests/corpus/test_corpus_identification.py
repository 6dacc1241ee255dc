"""The identifier answers for languages that it knows, and says nothing about others."""

import pytest

from lingraft.corpus import (
    Document,
    Documents,
    check_language,
    identify,
    is_identifiable,
    samples,
)
from lingraft.corpus.identification import MIN_LETTERS, UNIDENTIFIED
from lingraft.languages import Language

EL, EN = Language.parse("el"), Language.parse("en")


@pytest.mark.parametrize(
    "lang", [lang for lang in samples.UDHR_LANGUAGES if str(lang) != "ind_Latn"]
)
def test_the_declaration_of_human_rights_is_identified(lang):
    check = check_language(samples.udhr(lang), seed=0)
    assert check.known
    assert check.num_checked >= 40
    assert check.share_expected > 0.97
    assert next(iter(check.shares)) == str(lang)


def test_foreign_text_shows_in_the_shares():
    greek, dutch = samples.udhr(EL), samples.udhr(Language.parse("nl"))
    mixed = Documents(greek.records[:30] + dutch.records[:10], EL)
    check = check_language(mixed, seed=0)
    num_greek = check.share_expected * check.num_checked
    assert check.share_expected == check.shares["ell_Grek"] == num_greek / check.num_checked
    assert num_greek + check.shares["nld_Latn"] * check.num_checked == pytest.approx(
        check.num_checked
    )
    assert 0.6 < check.share_expected < 0.9


@pytest.mark.parametrize("tag", ["dsb", "apc", "chr", "ckb"])
def test_unknown_languages_get_no_neighbours_name(tag):
    lang = Language.parse(tag)
    check = check_language(Documents(samples.udhr(Language.parse("de")).records, lang), seed=0)
    assert (check.known, check.share_expected, check.shares, check.num_checked) == (
        False,
        None,
        {},
        0,
    )
    assert not is_identifiable(lang)


@pytest.mark.parametrize("tag", ["nb", "nn", "cmn", "arb", "kmr", "tl", "sr-Latn", "zh-Hant"])
def test_members_of_known_macrolanguages_are_known(tag):
    assert is_identifiable(Language.parse(tag))


def test_short_texts_are_not_identified():
    short = Documents((Document("και " * 3, "1"), Document("1234567890 " * 9, "2")), EL)
    check = check_language(short, seed=0)
    assert (check.known, check.share_expected, check.num_checked) == (True, None, 0)
    assert identify("x" * (MIN_LETTERS - 1)).language is None
    assert identify("x" * (MIN_LETTERS - 1)).probability == 0


def test_noise_is_no_language():
    assert identify("qqqq zzxx wwww kjkj xxzz bcdf ghjk").language is None
    noise = Documents((Document("ꓚꓛꓜꓝꓞꓟꓠꓡꓢꓣꓤꓥꓦꓧꓨꓩꓪꓫꓬꓭꓮꓯ", "1"),), EL)
    assert check_language(noise, seed=0).shares == {UNIDENTIFIED: 1.0}


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Ово је реченица на српском језику, довољно дуга да се препозна", "srp_Cyrl"),
        ("Ovo je rečenica na srpskom jeziku koja je duga", "srp_Latn"),
        ("Αυτό είναι ένα ελληνικό κείμενο", "ell_Grek"),
        ("Κάντε κλικ στο LibreOffice Writer Calc Impress Draw Math Base", "ell_Grek"),
        ("이것은 한국어로 쓴 문장입니다 그리고 조금 더 길어요", "kor_Kore"),
    ],
)
def test_the_script_is_the_texts_own(text, language):
    assert str(identify(text).language) == language


def test_the_sample_is_drawn_by_the_seed():
    half_greek = samples.udhr(EL).records + samples.udhr(EN).records
    documents = Documents(half_greek, EL)
    shares = [check_language(documents, seed=s, sample=20).share_expected for s in range(6)]
    assert shares == [check_language(documents, seed=s, sample=20).share_expected for s in range(6)]
    assert len(set(shares)) > 1
    assert check_language(documents, seed=0, sample=20).num_checked == 20
