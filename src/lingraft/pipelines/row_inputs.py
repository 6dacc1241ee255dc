"""What a transfer method may ask for, each made when the first method asks for it."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel

from lingraft.alignment import Links
from lingraft.alignment.tables import Split, TranslationTable, linked_words, token_table
from lingraft.corpus import Document, Pair, Pairs, read_dictionary
from lingraft.embeddings import (
    EmbeddingMatrix,
    WordVectors,
    train_token_vectors,
    train_word_vectors,
)
from lingraft.embeddings.pieces import copied_origin
from lingraft.embeddings.vectors import count_words, unit_rows
from lingraft.errors import InputError
from lingraft.languages import Language
from lingraft.model import load
from lingraft.model.vocabulary_swap import input_rows
from lingraft.pipelines.corpora import corpus_documents, corpus_pairs
from lingraft.tokenizer import Tokenizer


@dataclass(frozen=True)
class RowFiles:
    """The files behind the inputs; None where the user gave none.

    Attributes:
        model: Folder of the source model.
        tokenizer: Folder of the new tokenizer.
        corpus: A prepared corpus.
        links: Folder of the word links of its pairs.
        dictionary: A TSV of words and translations.
        donor: Folder of a model that has the new tokens.
        source_lang: The language that the model speaks.
        target_lang: The new language.
    """

    model: Path
    tokenizer: Path
    corpus: Path
    links: Path | None
    dictionary: Path | None
    donor: Path | None
    source_lang: Language
    target_lang: Language


class RowInputs:
    """The inputs of all transfer methods by name: a property for each, made once.

    A new method's inputs are either here or become another property.

    Args:
        files: What there is.
        split: How tokens inside linked words are linked.
    """

    def __init__(self, files: RowFiles, *, split: Split = "learned") -> None:
        self._files = files
        self.split = split

    def call(
        self,
        method: Callable[..., EmbeddingMatrix],
        source_rows: NDArray[np.float32],
        *,
        seed: int,
    ) -> EmbeddingMatrix:
        """Calls a method with the inputs that its signature names.

        Raises:
            InputError: The method needs an input that there is no file for.
        """
        asked = list(inspect.signature(method).parameters)[1:]
        inputs = {name: getattr(self, name) for name in asked if hasattr(type(self), name)}
        if "split" in asked:
            inputs["split"] = self.split
        if "seed" in asked:
            inputs["seed"] = seed
        return method(source_rows, **inputs)

    @cached_property
    def source(self) -> Tokenizer:
        """The source model's tokenizer."""
        return Tokenizer.load(self._files.model)

    @cached_property
    def target(self) -> Tokenizer:
        """The new tokenizer."""
        return Tokenizer.load(self._files.tokenizer)

    @cached_property
    def model(self) -> PreTrainedModel:
        """The source model in float32."""
        return load(self._files.model, dtype=torch.float32).model

    @cached_property
    def table(self) -> TranslationTable:
        """Which source tokens each new token translates, by the word links."""
        return token_table(
            self._links, self.pairs, source=self.source, target=self.target, split=self.split
        )

    @cached_property
    def dictionary(self) -> Pairs:
        """The entries of the user's dictionary."""
        if self._files.dictionary is None:
            raise _missing("a dictionary", "dictionary", "trans_tokenize takes pairs instead")
        return read_dictionary(
            self._files.dictionary,
            source_lang=self._files.source_lang,
            target_lang=self._files.target_lang,
        )

    @cached_property
    def word_pairs(self) -> Pairs:
        """Words and their translations: the dictionary's, and those that are linked most."""
        given = () if self._files.dictionary is None else self.dictionary.records
        linked = [] if given and self._files.links is None else self._linked_words()
        return Pairs((*given, *linked), self._files.source_lang, self._files.target_lang)

    @cached_property
    def source_words(self) -> WordVectors:
        """Vectors of the source language's words, trained on its side of the pairs."""
        if len(self.pairs) == 0:
            raise _missing("pairs, for text of the source language,", "pairs")
        return train_word_vectors(pair.source for pair in self.pairs)

    @cached_property
    def target_words(self) -> WordVectors:
        """Vectors of the new language's words, trained on all of its text."""
        return train_word_vectors(document.text for document in self.documents)

    @cached_property
    def target_vectors(self) -> NDArray[np.float32]:
        """Vectors of the new tokens, trained on all text of the new language."""
        texts = (document.text for document in self.documents)
        return train_token_vectors(texts, tokenizer=self.target)

    @cached_property
    def donor_vectors(self) -> NDArray[np.float32]:
        """The donor's rows of the new tokens; without a donor, vectors trained on text.

        The length of a trained vector tells how rare its token is: it would become the length of
        the row (docs/log.md, "omp without a donor").
        """
        if self._files.donor is None:
            return unit_rows(self.target_vectors).astype(np.float32)
        donor = load(self._files.donor, dtype=torch.float32)
        rows = input_rows(donor.model).numpy()
        vectors = np.zeros((len(self.target), rows.shape[1]), dtype=np.float32)
        for token in range(len(self.target)):
            copy = copied_origin(token, donor.tokenizer, self.target)
            if copy is not None:
                vectors[token] = rows[copy.source[0]]
        return vectors

    @cached_property
    def documents(self) -> list[Document]:
        """All text of the new language, each text once."""
        if not self._texts:
            raise _missing("text of the new language", "text")
        return [Document(text, str(number)) for number, text in enumerate(self._texts)]

    @cached_property
    def word_counts(self) -> dict[str, int]:
        """How often the words of the new language occur in its text, if there is any."""
        return count_words(self._texts)

    @cached_property
    def _texts(self) -> list[str]:
        """Documents, then the pairs' side."""
        texts: dict[str, None] = {}
        if (self._files.corpus / "train.jsonl").exists():  # a graft has pairs alone
            train = corpus_documents(self._files.corpus, "train", self._files.target_lang)
            texts.update(dict.fromkeys(document.text for document in train))
        texts.update(dict.fromkeys(pair.target for pair in self.pairs))
        return list(texts)

    def _linked_words(self) -> list[Pair]:
        return linked_words(self._links, self.pairs)

    @cached_property
    def pairs(self) -> Pairs:
        """The corpus's pairs."""
        return corpus_pairs(self._files.corpus, self._files.source_lang, self._files.target_lang)

    @cached_property
    def _links(self) -> Links:
        if self._files.links is None:
            raise _missing("pairs or a dictionary", "pairs")
        return Links.load(self._files.links / "links.safetensors")


def _missing(expected: str, where: str, hint: str = "method pieces needs nothing") -> InputError:
    return InputError(
        expected=f"{expected} for this method of making rows", got="none", where=where, hint=hint
    )
