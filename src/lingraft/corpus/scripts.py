"""Which writing system a character belongs to (Unicode property Script, by ISO 15924 code)."""

from functools import lru_cache

import regex

OTHER_SCRIPT = "Zzzz"

# Scripts in use today (UAX #31, tables 5 and 7); everything else is counted as OTHER_SCRIPT.
_CODES = (
    "Latn Cyrl Grek Arab Hebr Deva Hani Hang Hira Kana Armn Geor Ethi Beng Gujr Guru Knda Mlym "
    "Orya Sinh Taml Telu Thai Laoo Khmr Mymr Tibt Bopo Thaa Adlm Cans Cher Tfng Nkoo Vaii Mong "
    "Syrc Olck Mtei Java Bali Cham Lana Lepc Limb Lisu Mand Newa Osge Plrd Rohg Samr Saur Sund "
    "Sylo Tale Talu Tavt Yiii Hmnp Nand Wcho Cakm Batk Bugi Buhd Tagb Hano Tglg Rjng Kali Bamu "
    "Copt Goth"
)
_PATTERNS = {code: regex.compile(rf"\p{{Script={code}}}") for code in _CODES.split()}
_LETTER = regex.compile(r"\p{L}")
_SHARED = regex.compile(r"[\p{Script=Zyyy}\p{Script=Zinh}]")


@lru_cache(maxsize=2**17)
def letter_script(character: str) -> str | None:
    """Returns the ISO 15924 code of a letter's script, e.g. ``"Grek"``.

    Returns:
        None for what is no letter and for letters that scripts share (``ª``, ``ʼ``, ``ー``);
        `OTHER_SCRIPT` for letters of historic scripts.
    """
    if not _LETTER.match(character) or _SHARED.match(character):
        return None
    found = (code for code, pattern in _PATTERNS.items() if pattern.match(character))
    return next(found, OTHER_SCRIPT)
