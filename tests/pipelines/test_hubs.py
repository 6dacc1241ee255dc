"""Names of a hub's subsets: those of the hub, which are not always our codes."""

import pytest

from lingraft.errors import InputError
from lingraft.languages import Language
from lingraft.pipelines.hubs import hub_subset

# As github.com/huggingface/fineweb-2 (configs/) and the data card of allenai/c4 list them.
PAPER = {
    "ar": ("arb_Arab", "ar"),
    "de": ("deu_Latn", "de"),
    "es": ("spa_Latn", "es"),
    "fi": ("fin_Latn", "fi"),
    "id": ("ind_Latn", "id"),
    "ja": ("jpn_Jpan", "ja"),
    "ko": ("kor_Hang", "ko"),
    "ru": ("rus_Cyrl", "ru"),
    "zh": ("cmn_Hani", "zh"),
}


@pytest.mark.parametrize("code", PAPER)
def test_a_language_of_the_paper_has_a_subset_on_each_hub(code: str) -> None:
    fineweb, mc4 = PAPER[code]
    lang = Language.parse(code)
    assert hub_subset("fineweb-2", lang) == ("HuggingFaceFW/fineweb-2", fineweb)
    assert hub_subset("mc4", lang) == ("allenai/c4", mc4)


def test_english_is_elsewhere() -> None:
    assert hub_subset("fineweb-2", Language.parse("en")) == ("HuggingFaceFW/fineweb", "sample-10BT")
    # "en" of allenai/c4 is C4, cleaned otherwise than the other languages' text.
    assert hub_subset("mc4", Language.parse("en")) == ("allenai/c4", "en-multi")


@pytest.mark.parametrize(
    ("code", "fineweb", "mc4"),
    [
        ("nl", "nld_Latn", "nl"),
        ("el", "ell_Grek", "el"),
        ("zh-Hant", "cmn_Hani", "zh"),
        ("sw", "swh_Latn", "sw"),
        ("no", "nob_Latn", "no"),
        ("nb", "nob_Latn", "no"),
        ("he", "heb_Hebr", "iw"),
        ("fil", "fil_Latn", "fil"),
    ],
)
def test_groups_of_languages_and_codes_of_three_letters(code: str, fineweb: str, mc4: str) -> None:
    lang = Language.parse(code)
    assert (hub_subset("fineweb-2", lang).config, hub_subset("mc4", lang).config) == (fineweb, mc4)


def test_an_unknown_hub_is_refused() -> None:
    with pytest.raises(InputError, match="hub: expected one of fineweb-2, mc4, got 'pile'"):
        hub_subset("pile", Language.parse("nl"))
