"""One vocabulary to leave, one to go to, and how each method is called on the two."""

import inspect
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import tokenizers
from numpy.typing import NDArray
from tokenizers import decoders, models, pre_tokenizers

from lingraft.alignment.tables import TranslationTable
from lingraft.corpus.records import Pair
from lingraft.embeddings import METHODS, EmbeddingMatrix, WordVectors
from lingraft.tokenizer import Tokenizer
from lingraft.tokenizer.vocabulary import byte_alphabet

Rows = NDArray[np.float32]


# Words of the texts that the shared tokenizers were trained on, and what they mean.
DICTIONARY = (
    ("the", "το"),
    ("old", "παλιό"),
    ("bridge", "γεφύρι"),
    ("bridge", "पुल"),
    ("river", "ποτάμι"),
    ("river", "แม่น้ำ"),
    ("town", "πόλη"),
    ("town", "도시를"),
    ("every morning", "κάθε πρωί"),
    ("bridge", "橋"),
    ("river", "النهر"),
    ("12", "12"),
)


@dataclass(frozen=True)
class Transfer:
    """All that any method may ask for."""

    source_rows: Rows
    source: Tokenizer
    target: Tokenizer
    table: TranslationTable
    dictionary: tuple[Pair, ...]
    source_words: WordVectors
    target_words: WordVectors
    target_vectors: Rows

    def run(self, method: str, *, seed: int = 3) -> EmbeddingMatrix:
        """Calls one of `METHODS` with the inputs that its signature names."""
        inputs = {
            "source": self.source,
            "target": self.target,
            "table": self.table,
            "dictionary": self.dictionary,
            "word_pairs": self.dictionary,
            "source_words": self.source_words,
            "target_words": self.target_words,
            "target_vectors": self.target_vectors,
            "donor_vectors": self.target_vectors,
            "seed": seed,
        }
        function = METHODS[method]
        asked = inspect.signature(function).parameters
        return function(self.source_rows, **{n: x for n, x in inputs.items() if n in asked})


def make_transfer(source: Tokenizer, target: Tokenizer, *, evidence: bool = True) -> Transfer:
    """Two vocabularies with random evidence about each other, or with none."""
    entries = [Pair(*entry, str(number)) for number, entry in enumerate(DICTIONARY)]
    return Transfer(
        source_rows=random_rows_of(source),
        source=source,
        target=target,
        table=random_table(source, target) if evidence else table_of([], source, target),
        dictionary=tuple(entries) if evidence else (),
        source_words=words_of([entry[0] for entry in DICTIONARY] if evidence else []),
        target_words=words_of([entry[1] for entry in DICTIONARY] if evidence else []),
        target_vectors=random_vectors(len(target)) * np.float32(evidence),
    )


def words_of(names: Sequence[str], *, dimensions: int = 6) -> WordVectors:
    """Random vectors of these words, each counted by its place."""
    distinct = tuple(dict.fromkeys(names))
    draw = np.random.default_rng(17)
    vectors = draw.normal(size=(len(distinct), dimensions)).astype(np.float32)
    return WordVectors(distinct, np.arange(1, len(distinct) + 1), vectors)


def random_vectors(num_tokens: int, *, dimensions: int = 9) -> Rows:
    """Vectors of most tokens; every tenth has none."""
    vectors = np.random.default_rng(23).normal(size=(num_tokens, dimensions)).astype(np.float32)
    vectors[::10] = 0.0
    return vectors


def random_rows_of(tokenizer: Tokenizer, *, width: int = 7) -> Rows:
    draw = np.random.default_rng(11)
    return draw.normal(size=(len(tokenizer), width)).astype(np.float32)


def table_of(
    entries: Sequence[tuple[int, int, float]], source: Tokenizer, target: Tokenizer
) -> TranslationTable:
    """A table from (target id, source id, count)."""
    columns = np.array(entries, dtype=np.float64).reshape(-1, 3).T
    ids = columns[:2].astype(np.int64)
    return TranslationTable.from_entries(
        ids[0], ids[1], columns[2], shape=(len(target), len(source))
    )


def random_table(source: Tokenizer, target: Tokenizer, *, seed: int = 5) -> TranslationTable:
    """Up to five translations for about half of the target tokens, with very unequal counts."""
    draw = np.random.default_rng(seed)
    chosen = draw.permutation(len(target))[: len(target) // 2]
    entries = [
        (int(token), int(draw.integers(len(source))), float(draw.exponential() ** 3 + 0.01))
        for token in chosen
        for _ in range(draw.integers(1, 6))
    ]
    return table_of(entries, source, target)


def permuted(tokenizer: Tokenizer, new_ids: NDArray[np.int64]) -> Tokenizer:
    """The same tokenizer with id i renamed to new_ids[i]."""
    content = tokenizer.to_json()
    vocab = content["model"]["vocab"]
    content["model"]["vocab"] = {piece: int(new_ids[number]) for piece, number in vocab.items()}
    for entry in content["added_tokens"]:
        entry["id"] = int(new_ids[entry["id"]])
    content["added_tokens"].sort(key=lambda entry: entry["id"])
    # The library gives an added token the next free id unless the model has it too.
    for entry in content["added_tokens"]:
        content["model"]["vocab"][entry["content"]] = entry["id"]
    backend = tokenizers.Tokenizer.from_str(json.dumps(content))
    return replace(tokenizer, backend=backend)


def sentencepiece(*pieces: str, byte_fallback: bool = True) -> Tokenizer:
    """A vocabulary in SentencePiece's spelling: <unk>, raw bytes, and pieces by greedy merges."""
    names = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256) if byte_fallback), *pieces]
    ids = {name: number for number, name in enumerate(names)}
    backend = tokenizers.Tokenizer(
        models.BPE(
            vocab=ids, merges=[], unk_token="<unk>", byte_fallback=byte_fallback, fuse_unk=True
        )
    )
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()])
    backend.add_special_tokens(["<unk>"])
    return Tokenizer(backend, roles={"unk_token": "<unk>"})


def words(
    *names: str, special: Sequence[str] = (), roles: dict[str, str] | None = None
) -> Tokenizer:
    """A vocabulary of whole words in plain spelling, special tokens first."""
    ids = {name: number for number, name in enumerate([*special, *names])}
    backend = tokenizers.Tokenizer(models.WordLevel(ids, unk_token=next(iter(ids))))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.add_special_tokens(list(special))
    return Tokenizer(backend, roles=roles or {})


def byte_level(*pieces: bytes) -> Tokenizer:
    """A vocabulary of these byte strings in GPT-2's spelling."""
    table = byte_alphabet()
    ids = {"".join(table[byte] for byte in piece): number for number, piece in enumerate(pieces)}
    backend = tokenizers.Tokenizer(models.BPE(ids, []))
    backend.decoder = decoders.ByteLevel()
    return Tokenizer(backend)
