"""Arms of a study: how they are written, whose text a vocabulary is of, and the common table."""

import csv
import math
from pathlib import Path
from typing import Any

import pytest

from lingraft.errors import InputError
from lingraft.files import read_json, write_json
from lingraft.pipelines.transfer_arms import BYTES, Arm, compare_arms, study_tokenizer
from lingraft.tokenizer import Tokenizer


@pytest.mark.parametrize(
    ("text", "arm", "name"),
    [
        ("bytes", BYTES, "bytes"),
        ("bpe", Arm(4_096), "bpe-4096"),
        ("bpe:512", Arm(512), "bpe-512"),
        ("bpe/flops", Arm(4_096, "flops"), "bpe-4096-flops"),
        ("bpe:512/flops", Arm(512, "flops"), "bpe-512-flops"),
    ],
)
def test_arms_are_written_in_several_forms(text: str, arm: Arm, name: str) -> None:
    assert Arm.parse(text) == arm
    assert arm.name == name


@pytest.mark.parametrize("text", ["", "byte", "bytes/flops", "bpe:", "bpe:x", "bpe:512/bytes"])
def test_other_arms_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="tokenizer: expected bytes, bpe, bpe:4096") as caught:
        Arm.parse(text)
    assert caught.value.got == repr(text)


def text_folder(folder: Path, word: str) -> Path:
    """A prepared text whose parts repeat words of their own."""
    folder.mkdir()
    for part in ("train", "valid", "test"):
        line = " ".join([f"{word}{part}"] * 3)
        rows = [{"id": f"{n}", "text": f"{line} {'abcdefghij'[n]}"} for n in range(10)]
        text = "".join(f'{{"id": "{row["id"]}", "text": "{row["text"]}"}}\n' for row in rows)
        (folder / f"{part}.jsonl").write_text(text, encoding="utf-8")
    size = sum(len(f"{line} x") for _ in range(10))
    write_json(folder / "facts.json", {"train_bytes": size})
    return folder


def made(tmp_path: Path, **changes: Any) -> tuple[dict[str, Any], Tokenizer]:
    texts = [text_folder(tmp_path / word, word) for word in ("zug", "vlak")]
    given: dict[str, Any] = {
        "texts": texts,
        "langs": ["deu_Latn", "ces_Latn"],
        "vocab_size": 300,
        "most_bytes": 10_000,
        "seed": 0,
    }
    out = tmp_path / "out"
    facts = study_tokenizer(**(given | changes), out=out)
    return facts, Tokenizer.load(out)


def test_one_vocabulary_is_of_all_training_text_and_of_nothing_else(tmp_path: Path) -> None:
    facts, tokenizer = made(tmp_path)
    assert facts["size"] == len(tokenizer) <= 300
    assert [tokenizer.role_id(role) for role in ("bos_token", "eos_token")] == [0, 1]
    assert len(tokenizer.encode(" zugtrain")) == len(tokenizer.encode(" vlaktrain")) == 1
    assert len(tokenizer.encode(" zugvalid")) > 3
    assert len(tokenizer.encode(" zugtest")) > 3
    assert tokenizer.decode(tokenizer.encode("ζώο 🦬")) == "ζώο 🦬"
    assert len(facts["bytes_per_token"]) == 2
    assert all(ratio > 2 for ratio in facts["bytes_per_token"])


def test_no_text_gives_more_than_its_share(tmp_path: Path) -> None:
    # With less than two occurrences there is nothing to merge.
    facts, tokenizer = made(tmp_path, most_bytes=4)
    assert len(tokenizer.encode(" zugtrain")) > 1
    assert facts["size"] < 270


def test_a_vocabulary_without_room_for_bytes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="vocab_size: expected at least 259 ids") as caught:
        made(tmp_path, vocab_size=258)
    assert caught.value.got == "258"


def record_of(folder: Path, arm: str, nats: float, **changes: Any) -> Path:
    cell = {
        "target": "nl",
        "source": "en",
        "data_finetuned_bytes": 100,
        "data_transferred_bytes": 1_000 * nats,
        "censored": None,
        "interval": [10.0, None],
    }
    runs = [("scratch", nats), ("scratch", nats * math.e), ("en", nats / 2)]
    folder.mkdir()
    record = {
        "model": {"arm": arm, "num_ids": 259, "num_parameters": 7},
        "losses": [
            {"target": "nl", "init": init, "dataset_bytes": 100, "nats_per_byte": value}
            for init, value in runs
        ],
        "transfers": [cell | changes],
        "cost": {"processed_bytes": 5, "processed_flops": 6.0, "naive_bytes": None},
    }
    write_json(folder / "record.json", record)
    return folder


def test_arms_stand_side_by_side(tmp_path: Path) -> None:
    one = record_of(tmp_path / "one", "bytes", 2.0)
    other = record_of(tmp_path / "other", "bpe-512", 1.0, censored="at_least", interval=None)
    facts = compare_arms(reports=[one, other], out=tmp_path)
    with (tmp_path / "arms.csv").open(encoding="utf-8") as stream:
        scratch, tuned = csv.DictReader(stream)
    assert float(scratch["bytes: nats per byte"]) == pytest.approx(2 * math.sqrt(math.e))
    assert float(scratch["bpe-512: nats per byte"]) == pytest.approx(math.sqrt(math.e))
    assert scratch["bytes: D_T, bytes"] == scratch["bpe-512: D_T, bytes"] == ""
    assert (tuned["target"], tuned["init"], tuned["dataset_bytes"]) == ("nl", "en", "100")
    heads = ("nats per byte", "D_T, bytes", "bound", "from", "to")
    assert [tuned[f"bytes: {x}"] for x in heads] == ["1.0", "2000.0", "", "10.0", ""]
    assert [tuned[f"bpe-512: {x}"] for x in heads] == ["0.5", "1000.0", "at_least", "", ""]
    assert facts == read_json(tmp_path / "arms.json")
    assert facts["bpe-512"] == {
        "num_ids": 259,
        "num_parameters": 7,
        "processed_bytes": 5,
        "processed_flops": 6.0,
    }
