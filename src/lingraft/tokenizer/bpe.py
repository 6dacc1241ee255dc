"""Byte-level BPE for a new language, trained by the `tokenizers` library.

Byte-level, so that no text of any script is lost. Words are cut by Unicode classes in which
combining marks belong to the letters (GPT-2's pattern tears Thai and Devanagari words apart at
every vowel sign), and each digit stands alone, so that digit rows can be copied one to one.
"""

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from lingraft.corpus.records import Document
from lingraft.errors import InputError
from lingraft.tokenizer.bpe_rules import with_ids_of
from lingraft.tokenizer.tokenizer import Tokenizer
from lingraft.tokenizer.vocabulary import byte_alphabet

WORD_PATTERN = r" ?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+|\s+(?!\S)|\s+"
MIN_OCCURRENCES = 10
MAX_CHOSEN_VOCAB_SIZE = 32_000
_NUM_BYTES = 256


def train_bpe(
    documents: Iterable[Document],
    *,
    vocab_size: int | None,
    like: Tokenizer | None = None,
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

    Returns:
        A tokenizer with at most `vocab_size` ids.

    Raises:
        InputError: No text, or no room for the 256 bytes and the special tokens.
    """
    special = _special_tokens(like)
    smallest = _NUM_BYTES + len(special)
    if vocab_size is not None and vocab_size < smallest:
        raise InputError(
            expected=f"at least {smallest} ids (256 bytes and {len(special)} special tokens)",
            got=str(vocab_size),
            where="vocab_size",
        )
    backend = tokenizers.Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(tokenizers.Regex(WORD_PATTERN), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size or MAX_CHOSEN_VOCAB_SIZE,
        min_frequency=2 if vocab_size else MIN_OCCURRENCES,
        special_tokens=special,
        initial_alphabet=sorted(byte_alphabet().values()),
        show_progress=False,
    )
    texts = [document.text for document in documents]
    if not any(texts):
        raise InputError(expected="text to train a tokenizer on", got="no text", where="documents")
    backend.train_from_iterator(texts, trainer=trainer)
    return _dressed(backend, like)


def vocabulary_rule(vocab_size: int | None) -> str:
    """Returns the sentence that tells a user where the size of the vocabulary came from."""
    if vocab_size is not None:
        return f"{vocab_size} ids, as asked"
    return (
        f"merged as long as a new token occurs {MIN_OCCURRENCES} times in the training text, "
        f"at most {MAX_CHOSEN_VOCAB_SIZE} ids"
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
