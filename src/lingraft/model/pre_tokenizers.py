"""The names under which llama.cpp has the rules that cut text into words.

A GGUF names the pre-tokenizer instead of holding its rules. llama.cpp has its own code for every
name, and under a wrong one it cuts text in other places than the model was trained on, without a
word (llama.cpp#8649). So only rules that are known to be llama.cpp's own, character for character,
get a name here, and all others are refused.
"""

from dataclasses import dataclass
from typing import Any

from lingraft.errors import ModelError
from lingraft.tokenizer.tokenizer import Tokenizer

_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_LINES = r"\s*[\r\n]+|\s+(?!\S)|\s+"


@dataclass(frozen=True)
class PreTokenizer:
    """Rules that llama.cpp has under a name.

    Attributes:
        name: What llama.cpp calls them.
        patterns: Each cuts what the one before it left, in the spelling of `tokenizer.json`.
        ignore_merges: Whether a word that is a token is never put together from its parts.
    """

    name: str
    patterns: tuple[str, ...]
    ignore_merges: bool = False


# llama.cpp, src/llama-vocab.cpp, by hand. Left out are names under which it only comes close to
# the original rules: tekken and gpt-4o, which there tell letters' cases apart in ASCII alone.
PRE_TOKENIZERS = (
    PreTokenizer("gpt-2", (_GPT2,)),
    PreTokenizer("smollm", (r"\p{N}", _GPT2)),
    PreTokenizer(
        "llama-bpe",
        (
            _CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
            r"| ?[^\s\p{L}\p{N}]+[\r\n]*|" + _LINES,
        ),
        ignore_merges=True,
    ),
    PreTokenizer(
        "smaug-bpe",
        (
            _CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
            r"| ?[^\s\p{L}\p{N}]+[\r\n]*|" + _LINES,
        ),
    ),
    PreTokenizer(
        "qwen2",
        (
            _CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
            r"| ?[^\s\p{L}\p{N}]+[\r\n]*|" + _LINES,
        ),
    ),
    PreTokenizer(
        "qwen35",
        (
            _CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}"
            r"| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|" + _LINES,
        ),
    ),
)


def pre_tokenizer_name(tokenizer: Tokenizer) -> str:
    """Returns llama.cpp's name for a tokenizer's rules.

    Raises:
        ModelError: Not a byte-level BPE, or one whose rules llama.cpp does not have.
    """
    content = tokenizer.to_json()
    model = content["model"]
    patterns = _patterns(content["pre_tokenizer"])
    plain = (
        model["type"] == "BPE"
        and patterns is not None
        and not model.get("byte_fallback")
        and not model.get("continuing_subword_prefix")
        and not model.get("end_of_word_suffix")
        and not model.get("dropout")
        and content["normalizer"] is None
    )
    if not plain:
        raise ModelError(
            expected="a byte-level BPE tokenizer without a normalizer",
            got=f"{model['type']} with normalizer {_type(content['normalizer'])} and "
            f"pre-tokenizer {_type(content['pre_tokenizer'])}",
            where="tokenizer.json",
            hint="export to safetensors instead, which vLLM and transformers read",
        )
    trimming = [
        entry["content"]
        for entry in content["added_tokens"]
        if not entry["special"] and (entry["lstrip"] or entry["rstrip"] or entry["single_word"])
    ]
    if trimming:
        raise ModelError(
            expected="added tokens that match as they are spelt",
            got=f"{trimming[0]!r}, which takes the spaces beside it or stands only as a word",
            where="tokenizer.json",
        )
    ignore = bool(model.get("ignore_merges"))
    for known in PRE_TOKENIZERS:
        if (known.patterns, known.ignore_merges) == (patterns, ignore):
            return known.name
    raise ModelError(
        expected=f"one of the pre-tokenizers {', '.join(known.name for known in PRE_TOKENIZERS)}",
        got=f"{' then '.join(patterns or ())} (ignore_merges {str(ignore).lower()})",
        where="tokenizer.json",
        hint="llama.cpp has no code for these rules and under another name would cut text "
        "elsewhere (llama.cpp#8649); export to safetensors instead",
    )


def _patterns(part: dict[str, Any] | None) -> tuple[str, ...] | None:
    """The regular expressions of a pre-tokenizer that ends in bytes, or None if it is another."""
    steps = (part.get("pretokenizers") or [part]) if part is not None else []
    patterns = []
    for number, step in enumerate(steps):
        last = number == len(steps) - 1
        if last != (step["type"] == "ByteLevel"):
            return None
        if step["type"] == "Split" and step["behavior"] == "Isolated" and not step["invert"]:
            patterns.append(step["pattern"].get("Regex"))
        elif step["type"] == "Digits" and step["individual_digits"]:
            patterns.append(r"\p{N}")
        elif step["type"] == "ByteLevel" and not step["add_prefix_space"]:
            patterns += [_GPT2] if step["use_regex"] else []
        else:
            return None
    return tuple(patterns) if steps and None not in patterns else None


def _type(part: dict[str, Any] | None) -> str:
    return "none" if part is None else str(part["type"])
