"""Languages by their standard codes: ISO 639-3 and ISO 15924, as in ``ell_Grek``."""

from dataclasses import dataclass
from functools import lru_cache

import langcodes

from lingraft.errors import InputError

NOT_ONE_LANGUAGE = frozenset({"mis", "mul", "und", "zxx"})  # ISO 639's codes for none or many
RIGHT_TO_LEFT_SCRIPTS = frozenset(
    ["Adlm", "Arab", "Hebr", "Mand", "Mend", "Nkoo", "Rohg", "Samr", "Syrc", "Thaa", "Yezi"]
)


@dataclass(frozen=True)
class Language:
    """One language in one script.

    Attributes:
        iso639_3: Three letters, e.g. ``"ell"``.
        script: ISO 15924, e.g. ``"Grek"``.
        region: ISO 3166 or UN M.49 where it matters (``pt-BR``), else empty.
        variant: BCP 47 variant subtags joined by hyphens, else empty.
    """

    iso639_3: str
    script: str
    region: str = ""
    variant: str = ""

    def __str__(self) -> str:
        parts = [f"{self.iso639_3}_{self.script}", self.region, self.variant]
        return "-".join(part for part in parts if part)

    @property
    def tag(self) -> str:
        """The BCP 47 tag with the shortest language code, e.g. ``"el"``: used in ``lang=``."""
        tag = langcodes.standardize_tag(f"{self.iso639_3}-{self.script}")
        short = langcodes.Language.get(tag).simplify_script().to_tag()
        return "-".join(part for part in (short, self.region, self.variant) if part)

    @property
    def iso639_1(self) -> str | None:
        """Two letters where the language has them, else None: the key of many rival tools."""
        short = langcodes.Language.get(langcodes.standardize_tag(self.iso639_3)).language
        return short if short is not None and len(short) == 2 else None

    @property
    def name(self) -> str:
        """The English name, e.g. ``"Greek"``."""
        return langcodes.Language.get(langcodes.standardize_tag(self.iso639_3)).display_name()

    @property
    def is_right_to_left(self) -> bool:
        """Whether the script runs from right to left."""
        return self.script in RIGHT_TO_LEFT_SCRIPTS

    @classmethod
    @lru_cache(maxsize=256)
    def parse(cls, text: str) -> "Language":
        """Returns the language that ``el``, ``ell_Grek``, ``pt-BR`` or ``Finnish`` stands for.

        Raises:
            InputError: No language has that code or English name.
        """
        code = text.strip().replace("_", "-")
        language = _by_code(code) or _by_name(text.strip())
        if language is None:
            raise InputError(
                expected="a language such as el, ell_Grek, pt-BR or Finnish",
                got=repr(text),
                where="language",
                hint="ISO 639-3 codes are listed at https://iso639-3.sil.org",
            )
        iso639_3 = language.to_alpha3()
        full = language.maximize()
        return cls(
            iso639_3=iso639_3,
            script=full.script or "Zyyy",
            region=language.territory or "",
            variant="-".join(language.variants or ()),
        )


def _by_code(code: str) -> langcodes.Language | None:
    if not langcodes.tag_is_valid(code):
        return None
    language = langcodes.Language.get(code)
    known = language.is_valid() and language.language is not None
    return language if known and language.language not in NOT_ONE_LANGUAGE else None


def _by_name(name: str) -> langcodes.Language | None:
    try:
        language = langcodes.find(name)
    except LookupError:
        return None
    return None if language.language in NOT_ONE_LANGUAGE else language
