"""Data sets of a hub: which one, and which subset of it, has a language's text."""

from typing import NamedTuple

from lingraft.errors import InputError
from lingraft.languages import Language

# FineWeb-2 labels text as GlotLID does: by single languages, never by the group whose code they
# share (its list: github.com/huggingface/fineweb-2, configs/).
_MEMBERS = {
    "ara": "arb",
    "est": "ekk",
    "lav": "lvs",
    "msa": "zsm",
    "nor": "nob",
    "sqi": "als",
    "swa": "swh",
    "zho": "cmn",
}
_SCRIPTS = {"Hans": "Hani", "Hant": "Hani", "Kore": "Hang"}
# mC4 in allenai/c4: "en" there is the English-only C4, and Hebrew has its old code.
_MC4_SUBSETS = {"eng": "en-multi", "heb": "iw", "nob": "no"}

HUBS = ("fineweb-2", "mc4")
"""What `hub_subset` knows."""


class HubSubset(NamedTuple):
    """Where a language's text is.

    Attributes:
        dataset: Name on the hub.
        config: Its subset.
    """

    dataset: str
    config: str


def hub_subset(hub: str, lang: Language) -> HubSubset:
    """Returns where a collection of web text has a language.

    Args:
        hub: One of `HUBS`. FineWeb-2 leaves English to FineWeb.
        lang: The language.

    Raises:
        InputError: There is no such collection.

    Example:
        >>> hub_subset("fineweb-2", Language.parse("zh"))
        HubSubset(dataset='HuggingFaceFW/fineweb-2', config='cmn_Hani')
    """
    code, script = lang.iso639_3, lang.script
    if hub == "fineweb-2":
        if code == "eng":
            return HubSubset("HuggingFaceFW/fineweb", "sample-10BT")
        label = f"{_MEMBERS.get(code, code)}_{_SCRIPTS.get(script, script)}"
        return HubSubset("HuggingFaceFW/fineweb-2", label)
    if hub == "mc4":
        return HubSubset("allenai/c4", _MC4_SUBSETS.get(code, lang.iso639_1 or code))
    raise InputError(expected=f"one of {', '.join(HUBS)}", got=repr(hub), where="hub")
