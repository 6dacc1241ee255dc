"""The verbs of `lingraft tokenizer`: what they write, what they print, what they refuse."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tiny_models import TEMPLATE, english_tokenizer

from lingraft.tokenizer import Tokenizer

Call = Callable[..., tuple[int, str, str]]
GREEK = "Το αρχείο ανοίγει σε νέο παράθυρο του προγράμματος.\n" * 5
ENGLISH = "The file opens in a new window of the program.\n"


@pytest.fixture
def call(run: Call) -> Call:
    return partial(run, "tokenizer")


@pytest.fixture
def base(tmp_path: Path) -> Path:
    english_tokenizer().save(tmp_path / "base")
    return tmp_path / "base"


@pytest.fixture
def texts(tmp_path: Path) -> tuple[Path, Path]:
    greek, english = tmp_path / "el.txt", tmp_path / "en.txt"
    greek.write_text(GREEK, encoding="utf-8")
    english.write_text(ENGLISH, encoding="utf-8")
    return greek, english


def record_of(result: tuple[int, str, str]) -> dict[str, Any]:
    code, out, err = result
    assert code == 0, err
    assert out.count("\n") == 1
    record: dict[str, Any] = json.loads(out)
    return record


def refused(result: tuple[int, str, str], *parts: str) -> None:
    code, out, err = result
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert err.startswith("lingraft: ")
    for part in parts:
        assert part in err


def test_extend(call: Call, base: Path, texts: tuple[Path, Path], tmp_path: Path) -> None:
    greek, english = texts
    out = tmp_path / "out"
    record = record_of(
        call("extend", base, "--text", greek, "--lang", "el", "--new-tokens", 40,
             "--keep", english, "--out", out)
    )  # fmt: skip
    old, new = Tokenizer.load(base), Tokenizer.load(out)
    assert len(new) == record["size"] == len(old) + record["num_new"] == len(old) + 40
    assert new.encode(ENGLISH) == old.encode(ENGLISH)
    assert (record["num_changed_tokens"], record["changed_share"]) == (0, 0.0)
    assert record["num_old_tokens"] == len(old.encode(ENGLISH.strip()))
    assert record["tokens_per_byte"] < record["tokens_per_byte_before"]
    assert record["num_unreachable"] == record["num_characters"] == 0
    assert (new.roles, new.chat_template) == (old.roles, TEMPLATE)


def test_extend_may_change_old_text(
    call: Call, base: Path, texts: tuple[Path, Path], tmp_path: Path
) -> None:
    _, english = texts
    arguments = ("extend", base, "--text", english, "--new-tokens", 5, "--keep", english)
    english.write_text(ENGLISH * 3, encoding="utf-8")
    strict = record_of(call(*arguments, "--out", tmp_path / "strict"))
    assert (strict["num_new"], strict["num_changed_tokens"]) == (0, 0)
    assert strict["num_refused"] > 0
    free = record_of(call(*arguments, "--max-changed-share", 1, "--out", tmp_path / "free"))
    assert free["num_new"] == 5
    assert free["changed_share"] > 0


def test_prune(call: Call, base: Path, texts: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    record = record_of(call("prune", base, "--text", texts[1], "--vocab-size", 400, "--out", out))
    old, new = Tokenizer.load(base), Tokenizer.load(out)
    assert (len(new), record["num_removed"]) == (400, len(old) - 400)
    id_map = json.loads((out / "id_map.json").read_text())
    assert len(id_map) == 400
    for before, after in id_map.items():
        assert old.backend.id_to_token(int(before)) == new.backend.id_to_token(after)
    assert record["num_tokens_before"] == len(old.encode(ENGLISH.strip()))
    assert record["num_tokens_after"] == len(new.encode(ENGLISH.strip()))
    assert new.decode(new.encode(GREEK)) == GREEK


def test_stats(call: Call, base: Path, texts: tuple[Path, Path]) -> None:
    record = record_of(call("stats", base, "--text", *texts))
    tokenizer = Tokenizer.load(base)
    lines = [*GREEK.splitlines(), *ENGLISH.splitlines()]
    num_tokens = sum(len(tokenizer.encode(line)) for line in lines)
    num_bytes = sum(len(line.encode()) for line in lines)
    assert (record["num_tokens"], record["num_bytes"]) == (num_tokens, num_bytes)
    assert record["num_words"] == 5 * 9 + 11
    assert record["tokens_per_byte"] == num_tokens / num_bytes
    assert record["bytes_per_token"] == num_bytes / num_tokens
    assert record["tokens_per_word"] == num_tokens / record["num_words"]
    assert (record["size"], record["num_special"]) == (len(tokenizer), 2)


def test_bad_input_is_one_line(
    call: Call, base: Path, texts: tuple[Path, Path], tmp_path: Path
) -> None:
    greek, out = texts[0], tmp_path / "out"
    gone = tmp_path / "gone.txt"
    refused(call("stats", base, "--text", gone), str(gone))
    refused(call("stats", tmp_path, "--text", greek), "a readable tokenizer.json", str(tmp_path))
    refused(
        call("extend", base, "--text", greek, "--new-tokens", 0, "--out", out),
        "new_tokens", "got 0",
    )  # fmt: skip
    refused(
        call("prune", base, "--text", greek, "--vocab-size", 100, "--out", out),
        "vocab_size: expected from 258 ids", "got 100",
    )  # fmt: skip
    assert not out.exists()
    taken = texts[0].parent
    refused(
        call("extend", base, "--text", greek, "--new-tokens", 5, "--out", taken),
        "a folder with other files", str(taken),
    )  # fmt: skip
    refused(
        call("prune", base, "--text", greek, "--vocab-size", 300, "--out", taken),
        "a folder with other files",
    )  # fmt: skip


@pytest.mark.parametrize("verb", ["train", "extend", "prune", "stats"])
def test_help_shows_an_example(call: Call, verb: str) -> None:
    code, out, _ = call(verb, "--help")
    assert code == 0
    assert f"Example: lingraft tokenizer {verb} " in out
