"""The tokens and merges of a BPE tokenizer, taken out of `tokenizer.json` and put back changed."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import tokenizers

from lingraft.errors import InputError
from lingraft.tokenizer.tokenizer import Tokenizer


@dataclass(frozen=True)
class BpeRules:
    """What a BPE tokenizer knows.

    Attributes:
        ids: Spelling to id, by id, added tokens included.
        merges: Pairs of spellings, the first to be applied first.
        added: Spellings of added tokens: special ones, and text that is cut out before BPE.
        byte_fallback: Whether characters without a token are spelt as ``<0xNN>``.
    """

    ids: Mapping[str, int]
    merges: tuple[tuple[str, str], ...]
    added: frozenset[str]
    byte_fallback: bool


def read_rules(tokenizer: Tokenizer) -> BpeRules:
    """Reads the rules of a tokenizer.

    Raises:
        InputError: It is no BPE, or one that marks the parts of words or drops merges at random.
    """
    content = tokenizer.to_json()
    model = content["model"]
    marks = [key for key in ("continuing_subword_prefix", "end_of_word_suffix") if model.get(key)]
    if model["type"] != "BPE" or marks or model.get("dropout"):
        raise InputError(
            expected="a BPE tokenizer without word marks or dropout",
            got=", ".join([model["type"], *marks, *(["dropout"] if model.get("dropout") else [])]),
            where="base",
            hint="train a new vocabulary instead, and swap it in whole",
        )
    vocabulary = tokenizer.backend.get_vocab(with_added_tokens=True)
    return BpeRules(
        ids=dict(sorted(vocabulary.items(), key=lambda item: item[1])),
        merges=tuple((left, right) for left, right in model["merges"]),
        added=frozenset(entry["content"] for entry in content["added_tokens"]),
        byte_fallback=bool(model.get("byte_fallback")),
    )


def with_rules(
    base: Tokenizer, ids: Mapping[str, int], merges: Sequence[tuple[str, str]]
) -> Tokenizer:
    """Returns a tokenizer with other tokens and merges, and everything else as it was.

    Added tokens become entries of the vocabulary too: the library numbers those that are not by
    the vocabulary's size when it reads the file, which would move them off their rows.

    Raises:
        InputError: Plain text would then spell a special token.
    """
    content = base.to_json()
    content["model"]["vocab"] = dict(ids)
    content["model"]["merges"] = [list(pair) for pair in merges]
    content["added_tokens"] = [
        {**entry, "id": ids[entry["content"]]} for entry in content["added_tokens"]
    ]
    content["post_processor"] = with_ids_of(content["post_processor"], ids.get)
    backend = tokenizers.Tokenizer.from_str(json.dumps(content, ensure_ascii=False))
    rebuilt = replace(base, backend=backend)
    for token in rebuilt.vocabulary.special.values():
        known = base.backend.token_to_id(token)
        if ids[token] in rebuilt.encode(token) and known not in base.encode(token):
            raise InputError(
                expected="special tokens that text cannot spell",
                got=repr(token),
                where="base",
                hint="the tokenizer takes whole words from its list of tokens, which has to "
                "hold this one",
            )
    return rebuilt


def with_ids_of(part: Any, id_of: Callable[[str], int | None]) -> Any:
    """Rewrites the ids inside a post-processor: a copy would put the old vocabulary's ids in."""
    if isinstance(part, list):
        return [with_ids_of(item, id_of) for item in part]
    if not isinstance(part, dict):
        return part
    if {"id", "ids", "tokens"} <= part.keys():
        return {**part, "ids": [id_of(token) for token in part["tokens"]]}
    if part.get("type") in ("BertProcessing", "RobertaProcessing"):
        pairs = {name: [part[name][0], id_of(part[name][0])] for name in ("sep", "cls")}
        return {**part, **pairs}
    return {key: with_ids_of(value, id_of) for key, value in part.items()}
