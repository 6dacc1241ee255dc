"""Rows from a word dictionary alone: for languages without parallel text.

The idea of dict_trans_tokenizer: trans-tokenization whose table comes from dictionary entries.
No aligner: an entry says itself which words translate.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lingraft.alignment.tables import Split, TranslationTable, table_of_words
from lingraft.corpus.records import Pair
from lingraft.embeddings.matrix import EmbeddingMatrix
from lingraft.embeddings.trans_tokenize import trans_tokenize_rows
from lingraft.tokenizer.tokenizer import Tokenizer
from lingraft.tokenizer.words import folded


def dictionary_rows(
    source_rows: NDArray[np.float32],
    *,
    dictionary: Iterable[Pair],
    source: Tokenizer,
    target: Tokenizer,
    word_counts: Mapping[str, int] | None = None,
    split: Split = "learned",
) -> EmbeddingMatrix:
    """Carries rows over through the entries of a dictionary.

    Rules and their order are those of `trans_tokenize_rows` without a prior; the support of a row
    is the number of entries behind it, in all their spellings. A dictionary has rare words as often
    as frequent ones, and a token that is a part of words would become a mean over rare ones: counts
    of the words in text put that right (docs/log.md, "rows from a dictionary").

    Args:
        source_rows: float32 (V_source, D).
        dictionary: Words or phrases and their translations; one entry for each translation, and
            an entry that is there twice counts twice.
        source: Tokenizer of the source model.
        target: The new tokenizer.
        word_counts: How often words occur in text of the new language, see `vectors.count_words`;
            an entry counts once more for each. None counts every entry once.
        split: How the tokens inside an entry are linked; see `alignment.tables.table_of_words`.

    Returns:
        Rows (V_target, D).
    """
    table = dictionary_table(
        dictionary, source=source, target=target, word_counts=word_counts, split=split
    )
    # Entries are certain, however few: no prior beside them.
    matrix = trans_tokenize_rows(
        source_rows, table=table, source=source, target=target, prior_links=0.0
    )
    return replace(matrix, method="dictionary")


def dictionary_table(
    dictionary: Iterable[Pair],
    *,
    source: Tokenizer,
    target: Tokenizer,
    word_counts: Mapping[str, int] | None = None,
    split: Split = "learned",
) -> TranslationTable:
    """Counts which source tokens stand behind each target token in the entries of a dictionary.

    Dictionaries have words alone and in lower case; texts have them mostly after a space and
    sometimes capitalised, which are other tokens. Each entry therefore counts once in each of its
    spellings, the same one on both sides.

    Args:
        dictionary: Words or phrases and their translations.
        source: Tokenizer of the source model.
        target: The new tokenizer.
        word_counts: See `dictionary_rows`.
        split: See `alignment.tables.table_of_words`.

    Returns:
        A table of shape (V_target, V_source).
    """
    counted: dict[tuple[tuple[int, ...], tuple[int, ...]], float] = {}
    occurrences = word_counts or {}
    for entry in dictionary:
        weight = 1.0 + occurrences.get(folded(entry.target), 0)
        cut = ((_tokens(one, source), _tokens(other, target)) for one, other in _spellings(entry))
        for key in dict.fromkeys(cut):
            if key[0] and key[1]:
                counted[key] = counted.get(key, 0.0) + weight
    return table_of_words(counted, shape=(len(target), len(source)), split=split)


def _spellings(entry: Pair) -> Iterator[tuple[str, str]]:
    for front in ("", " "):
        yield front + entry.source, front + entry.target
        yield front + _capitalized(entry.source), front + _capitalized(entry.target)


def _capitalized(text: str) -> str:
    """Not `str.capitalize`, which lowers the rest."""
    return text[:1].title() + text[1:]


def _tokens(text: str, tokenizer: Tokenizer) -> tuple[int, ...]:
    """The ids of a text, or none where the vocabulary has no spelling for a part of it."""
    ids = tokenizer.encode(text)
    pieces = tokenizer.vocabulary.pieces
    return tuple(ids) if all(pieces[token] is not None for token in ids) else ()
