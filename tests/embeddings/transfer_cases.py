"""One vocabulary to leave, one to go to, and how each method is called on the two."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import tokenizers
from numpy.typing import NDArray
from tokenizers import decoders, models, pre_tokenizers

from lingraft.alignment.tables import TranslationTable
from lingraft.embeddings import METHODS, EmbeddingMatrix
from lingraft.tokenizer import Tokenizer
from lingraft.tokenizer.vocabulary import byte_alphabet

Rows = NDArray[np.float32]


@dataclass(frozen=True)
class Transfer:
    """All that any method may ask for."""

    source_rows: Rows
    source: Tokenizer
    target: Tokenizer
    table: TranslationTable

    def run(self, method: str, *, seed: int = 3) -> EmbeddingMatrix:
        """Calls one of `METHODS` with the inputs that it asks for."""
        return METHODS[method](self.source_rows, **_INPUTS[method](self, seed))


_INPUTS: dict[str, Callable[[Transfer, int], dict[str, object]]] = {
    "random": lambda case, seed: {"target": case.target.vocabulary, "seed": seed},
    "mean": lambda case, seed: {"target": case.target.vocabulary},
    "pieces": lambda case, seed: {"source": case.source, "target": case.target},
    "trans_tokenize": lambda case, seed: {
        "table": case.table,
        "source": case.source,
        "target": case.target,
    },
}


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
