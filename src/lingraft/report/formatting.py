"""Numbers, tokens and licences as a reader sees them."""

import re
import unicodedata
from typing import Any

NO_VALUE = "–"
NOT_STATED = "not stated"
_VISIBLE = {" ": "␣", "\n": "↵", "\r": "↵", "\t": "⇥"}
# Persian and Indic spelling needs the joiners; drawn as code points they would break words apart.
_JOINERS = "\u200c\u200d"
_NON_COMMERCIAL = re.compile(r"(?<![a-z])nc(?![a-z])|non-?\s?commercial", re.IGNORECASE)
_UNKNOWN = frozenset({"", "unknown", "none", "n/a", "?", NOT_STATED})


def figure(value: float | None, digits: int = 3) -> str:
    """Returns a measured value with a fixed number of digits, or a dash."""
    return NO_VALUE if value is None else f"{value:.{digits}f}"


def interval(edges: Any) -> str:
    """Returns ``low–high``, or nothing where there is no interval."""
    return "" if edges is None else f"{edges[0]:.3f}–{edges[1]:.3f}"


def quantity(value: Any) -> str:
    """Returns any scalar of a record: counts with separators, fractions short, none as a dash."""
    if value is None:
        return NO_VALUE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        if abs(value) >= 1000 or value == 0:
            return f"{value:,.1f}".removesuffix(".0")
        return f"{value:.4g}"
    if isinstance(value, dict):
        return ", ".join(f"{key}: {quantity(item)}" for key, item in value.items()) or NO_VALUE
    if isinstance(value, list):
        return ", ".join(quantity(item) for item in value) or NO_VALUE
    return str(value)


def seconds(value: float | None) -> str:
    """Returns a duration for a person to read."""
    if value is None:
        return NO_VALUE
    if value < 120:
        return f"{value:.1f} s"
    return f"{value / 60:.1f} min" if value < 7200 else f"{value / 3600:.1f} h"


def words(key: str) -> str:
    """Returns a key of a record as words: ``num_pairs`` is "pairs"."""
    return key.removeprefix("num_").replace("_", " ").strip() or key


def one_line(text: str) -> str:
    """Returns a text with every run of white space as one space."""
    return " ".join(text.split())


def visible(token: str) -> str:
    """Returns a token with its spaces and control characters shown as signs."""
    return "".join(_visible_character(character) for character in token)


def licence(text: str | None) -> str:
    """Returns a licence, or "not stated" where nobody knows it."""
    known = (text or "").strip()
    return NOT_STATED if known.casefold() in _UNKNOWN else known


def is_non_commercial(text: str | None) -> bool:
    """Returns whether a licence forbids commercial use, as CC-BY-NC-4.0 does and NCSA does not."""
    return bool(_NON_COMMERCIAL.search(text or ""))


def _visible_character(character: str) -> str:
    if character in _VISIBLE:
        return _VISIBLE[character]
    if unicodedata.category(character) in ("Cc", "Cf", "Zs", "Zl", "Zp"):
        return character if character in _JOINERS else f"⟨{ord(character):04X}⟩"
    return character
