"""Arms of a data transfer study: bytes, or a BPE vocabulary in their place.

Are bytes to blame? A byte model reads the same text in several times as many tokens. So a BPE arm
is compared twice: at equal bytes, where every run reads the same text as far as that text goes,
and at equal FLOPs, where every run may compute as much as the byte model's run did. Losses are in
nats per byte in all arms, and each arm has from-scratch curves of its own.
"""

import csv
import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lingraft.corpus import Document
from lingraft.errors import InputError
from lingraft.files import read_json, write_json, write_text
from lingraft.languages import Language
from lingraft.pipelines.transfer_texts import training_prefix
from lingraft.tokenizer import byte_tokenizer, tokenizer_statistics, train_bpe

VERSION = 1
DEFAULT_VOCAB_SIZE = 4_096
EXPECTED_BYTES_PER_TOKEN = 3.0
"""For a plan's costs only, before there is a tokenizer; a run counts its tokens."""

_BPE = re.compile(r"bpe(?::(\d+))?(/flops)?")


@dataclass(frozen=True)
class Arm:
    """What text is cut into, and what a run may cost.

    Attributes:
        vocab_size: Ids of a BPE vocabulary, special tokens included; None for bytes.
        equal: ``"bytes"``: runs read their text up to their best loss. ``"flops"``: they train
            for as many FLOPs as the run of bytes in their place did, and keep their best loss.
    """

    vocab_size: int | None = None
    equal: Literal["bytes", "flops"] = "bytes"

    @classmethod
    def parse(cls, text: str) -> "Arm":
        """Returns what ``bytes``, ``bpe``, ``bpe:4096`` or ``bpe:4096/flops`` stand for.

        Raises:
            InputError: It is none of them.
        """
        if text == "bytes":
            return BYTES
        found = _BPE.fullmatch(text)
        if found is None:
            raise InputError(
                expected="bytes, bpe, bpe:4096, bpe/flops or bpe:4096/flops",
                got=repr(text),
                where="tokenizer",
            )
        vocab_size = int(found[1]) if found[1] else DEFAULT_VOCAB_SIZE
        return cls(vocab_size, "flops" if found[2] else "bytes")

    @property
    def name(self) -> str:
        """How targets and tables call it: ``bytes``, ``bpe-4096``, ``bpe-4096-flops``."""
        if self.vocab_size is None:
            return "bytes"
        return f"bpe-{self.vocab_size}" + ("-flops" if self.equal == "flops" else "")


BYTES = Arm()


def study_tokenizer(
    *,
    texts: Sequence[Path],
    langs: Sequence[str],
    vocab_size: int,
    most_bytes: int,
    seed: int,
    out: Path,
) -> dict[str, Any]:
    """Trains the one BPE vocabulary of a study on training text of all sources and targets.

    One for all, so that the rows of a pretrained model are those that a target needs. It has seen
    more of a target than a run on a small size of it has, in the runs from random weights too.

    Args:
        texts: Folders of `study_text`; only their training text is read.
        langs: Codes of their languages.
        vocab_size: Number of ids, special tokens included.
        most_bytes: Of each text, so that no language outweighs the others by its amount alone.
        seed: Of the choice of text.
        out: Folder of the tokenizer.

    Returns:
        Number of ids, and bytes per token of each text.

    Raises:
        InputError: No room for the 256 bytes and the special tokens.
    """
    parts = [
        _prefix(text, Language.parse(lang), most_bytes, seed)
        for text, lang in zip(texts, langs, strict=True)
    ]
    documents = [document for part in parts for document in part]
    tokenizer = train_bpe(documents, vocab_size=vocab_size, like=byte_tokenizer())
    tokenizer.save(out)
    found = [tokenizer_statistics(tokenizer, [row.text for row in part]) for part in parts]
    return {"size": len(tokenizer), "bytes_per_token": [one.bytes_per_token for one in found]}


def _prefix(text: Path, lang: Language, most_bytes: int, seed: int) -> Sequence[Document]:
    there = int(read_json(text / "facts.json")["train_bytes"])
    return training_prefix(text, lang, min(most_bytes, there), seed).records


def compare_arms(*, reports: Sequence[Path], out: Path) -> dict[str, Any]:
    """Sets the arms of a study side by side: losses in nats per byte, and D_T.

    Args:
        reports: Folders of `transfer_record`, one an arm, of the same runs.
        out: Folder for `arms.csv`, a row for each target, start and size, and `arms.json`.

    Returns:
        Bytes and FLOPs that each arm was trained on, and its ids.
    """
    records = [read_json(folder / "record.json") for folder in reports]
    columns = [_column(record) for record in records]
    names = [record["model"]["arm"] for record in records]
    kinds = list(dict.fromkeys(kind for column in columns for kind in column))
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    titles = ("nats per byte", "D_T, bytes", "bound", "from", "to")
    heads = [f"{name}: {title}" for name in names for title in titles]
    writer.writerow(["target", "init", "dataset_bytes", *heads])
    for kind in kinds:
        cells = [cell for column in columns for cell in column.get(kind, [""] * len(titles))]
        writer.writerow([*kind, *cells])
    facts = {
        record["model"]["arm"]: {
            "num_ids": record["model"]["num_ids"],
            "num_parameters": record["model"]["num_parameters"],
            "processed_bytes": record["cost"]["processed_bytes"],
            "processed_flops": record["cost"]["processed_flops"],
        }
        for record in records
    }
    write_text(out / "arms.csv", stream.getvalue())
    write_json(out / "arms.json", facts)
    return facts


def _column(record: Mapping[str, Any]) -> dict[tuple[str, str, int], list[Any]]:
    """Of one arm, by target, init and size; runs of a kind by their mean log loss."""
    groups: dict[tuple[str, str, int], list[float]] = {}
    for run in record["losses"]:
        kind = (run["target"], run["init"], run["dataset_bytes"])
        groups.setdefault(kind, []).append(math.log(run["nats_per_byte"]))
    found: dict[tuple[str, str, int], list[Any]] = {
        kind: [math.exp(math.fsum(logs) / len(logs)), "", "", "", ""]
        for kind, logs in groups.items()
    }
    for cell in record["transfers"]:
        kind = (cell["target"], cell["source"], cell["data_finetuned_bytes"])
        ends = ["" if end is None else end for end in cell["interval"] or (None, None)]
        found[kind][1:] = [cell["data_transferred_bytes"], cell["censored"] or "", *ends]
    return found
