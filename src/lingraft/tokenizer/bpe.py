"""Byte-level BPE for a new language, trained by the `tokenizers` library.

Byte-level, so that no text of any script is lost. Each digit is a token of its own, so that digit
rows can be copied one to one. Words are cut by rules that llama.cpp knows by name, or else no model
with such a vocabulary could be exported to it: by GPT-2's, which every version of it has, or, since
these tear Thai and Devanagari words apart at every vowel sign and digits of other scripts into
bytes, by Qwen3.5's, in which combining marks belong to the letters (docs/deploy.md).
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import regex
import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from lingraft.corpus.records import Document
from lingraft.errors import InputError
from lingraft.tokenizer.bpe_rules import with_ids_of
from lingraft.tokenizer.tokenizer import Tokenizer
from lingraft.tokenizer.vocabulary import byte_alphabet

WORD_RULES = ("gpt-2", "qwen35")
"""llama.cpp's names of the rules that words can be cut by."""

_QWEN35 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}"
    r"| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
MIN_TORN_PER_LETTER = 0.001  # fewer are strays in a language that is written without them
MIN_OCCURRENCES = 10
MAX_CHOSEN_VOCAB_SIZE = 32_000
_NUM_BYTES = 256
_TORN, _LETTER = regex.compile(r"(?V1)\p{M}|[\p{Nd}--[0-9]]"), regex.compile(r"\p{L}")


def train_bpe(
    documents: Iterable[Document],
    *,
    vocab_size: int | None,
    like: Tokenizer | None = None,
    words: str | None = None,
) -> Tokenizer:
    """Trains a byte-level BPE vocabulary on documents.

    The result is the same under any hash seed and number of threads: the library breaks ties
    between equally frequent pairs by their ids, and ids start from the sorted byte alphabet.

    Args:
        documents: The text to learn from.
        vocab_size: Number of ids, special tokens included. None follows the printed rule
            `vocabulary_rule`: merge as long as a new token occurs `MIN_OCCURRENCES` times.
        like: A tokenizer whose special tokens, roles, chat template and post-processing the new
            one takes over; its special tokens get the first ids, in their order.
        words: One of `WORD_RULES`. None takes ``"qwen35"`` for text with combining marks or digits
            other than 0 to 9, more than `MIN_TORN_PER_LETTER` of them, else ``"gpt-2"``.

    Returns:
        A tokenizer with at most `vocab_size` ids.

    Raises:
        InputError: No text, no such rules, or no room for the 256 bytes and the special tokens.
    """
    special = _special_tokens(like)
    smallest = _NUM_BYTES + len(special)
    if vocab_size is not None and vocab_size < smallest:
        raise InputError(
            expected=f"at least {smallest} ids (256 bytes and {len(special)} special tokens)",
            got=str(vocab_size),
            where="vocab_size",
        )
    if words not in (None, *WORD_RULES):
        raise InputError(
            expected=f"one of the rules {', '.join(WORD_RULES)}", got=repr(words), where="words"
        )
    texts = [document.text for document in documents]
    if not any(texts):
        raise InputError(expected="text to train a tokenizer on", got="no text", where="documents")
    backend = tokenizers.Tokenizer(models.BPE())
    rules = _pre_tokenizer(words or _fitting_rules(texts))
    digits = pre_tokenizers.Split(tokenizers.Regex(r"\p{N}"), behavior="isolated")
    # GPT-2's rules leave runs of digits whole, which fall apart where no merge was learnt in them.
    backend.pre_tokenizer = pre_tokenizers.Sequence([digits, rules])
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size or MAX_CHOSEN_VOCAB_SIZE,
        min_frequency=2 if vocab_size else MIN_OCCURRENCES,
        special_tokens=special,
        initial_alphabet=sorted(byte_alphabet().values()),
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer=trainer)
    backend.pre_tokenizer = rules
    return _dressed(backend, like)


def vocabulary_rule(vocab_size: int | None) -> str:
    """Returns the sentence that tells a user where the size of the vocabulary came from."""
    if vocab_size is not None:
        return f"{vocab_size} ids, as asked"
    return (
        f"merged as long as a new token occurs {MIN_OCCURRENCES} times in the training text, "
        f"at most {MAX_CHOSEN_VOCAB_SIZE} ids"
    )


def _fitting_rules(texts: Sequence[str]) -> str:
    num_torn, num_letters = (
        sum(len(kind.findall(text)) for text in texts) for kind in (_TORN, _LETTER)
    )
    return "qwen35" if num_torn > MIN_TORN_PER_LETTER * num_letters else "gpt-2"


def _pre_tokenizer(words: str) -> pre_tokenizers.PreTokenizer:
    if words == "gpt-2":
        return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    split = pre_tokenizers.Split(tokenizers.Regex(_QWEN35), behavior="isolated")
    return pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )


def _special_tokens(like: Tokenizer | None) -> list[tokenizers.AddedToken]:
    return [
        tokenizers.AddedToken(
            entry["content"],
            single_word=entry["single_word"],
            lstrip=entry["lstrip"],
            rstrip=entry["rstrip"],
            normalized=entry["normalized"],
            special=entry["special"],
        )
        for entry in _added_entries(like)
    ]


def _added_entries(like: Tokenizer | None) -> list[dict[str, Any]]:
    """The added tokens in the order of their ids, and roles whose token is not among them."""
    if like is None:
        return []
    entries = sorted(like.to_json()["added_tokens"], key=lambda entry: int(entry["id"]))
    known = {entry["content"] for entry in entries}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    missing = [text for text in dict.fromkeys(like.roles.values()) if text not in known]
    return entries + [{**flags, "content": text, "special": True} for text in missing]


def _dressed(backend: tokenizers.Tokenizer, like: Tokenizer | None) -> Tokenizer:
    """Gives a bare vocabulary the roles, template and post-processing of another tokenizer."""
    bare = Tokenizer(backend)
    if like is None:
        return bare
    content = bare.to_json()
    # The trainer marks every added token special, also those that are text (runs of spaces, say).
    content["added_tokens"] = [
        {**entry, "id": backend.token_to_id(entry["content"])} for entry in _added_entries(like)
    ]
    content["post_processor"] = with_ids_of(like.to_json()["post_processor"], backend.token_to_id)
    rebuilt = tokenizers.Tokenizer.from_str(json.dumps(content, ensure_ascii=False))
    # Cleaning up spaces would make transformers lose some that byte-level tokens spell.
    return replace(
        like, backend=rebuilt, settings={**like.settings, "clean_up_tokenization_spaces": False}
    )
