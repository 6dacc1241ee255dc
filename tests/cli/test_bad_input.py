"""Bad input ends with exit code 2, one line that says what to do, and nothing lost."""

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_models import save_tiny_llama

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "model"
    save_tiny_llama(folder)
    return folder


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "el.txt"
    rows = [f"Το αρχείο {n} ανοίγει σε νέο παράθυρο του προγράμματος.\n" for n in "αβγδεζηθικλμν"]
    path.write_text("".join(rows), encoding="utf-8")
    return path


def refused(result: tuple[int, str, str], *parts: str) -> None:
    code, out, err = result
    assert code == 2, err
    assert out == ""
    last = [line for line in err.splitlines() if line.startswith("lingraft: ")]
    assert len(last) == 1, err
    assert err.strip("\n").count("\n") == sum(": building" in line for line in err.splitlines())
    assert "Traceback" not in err
    for part in parts:
        assert part in last[0], last[0]


def test_missing_text(run: Run, model: Path, tmp_path: Path) -> None:
    gone = tmp_path / "gone.txt"
    refused(run("adapt", model, "--to", "el", "--text", gone, "--out", tmp_path / "o"), str(gone))
    assert not (tmp_path / "o").exists()


def test_bad_utf8_names_file_and_line(run: Run, model: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.txt"
    bad.write_bytes("καλό\n".encode() + b"\xff\xfe\n")
    refused(
        run("adapt", model, "--to", "el", "--text", bad, "--out", tmp_path / "o"),
        "UTF-8",
        str(bad),
        "2",
    )


def test_unequal_moses_files(run: Run, model: Path, text: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "a.en", tmp_path / "a.el"
    one.write_text("a\nb\nc\n", encoding="utf-8")
    two.write_text("α\nβ\n", encoding="utf-8")
    refused(
        run("adapt", model, "--to", "el", "--text", text, "--pairs", f"{one},{two}",
            "--out", tmp_path / "o"),
        "3", "2",
    )  # fmt: skip


def test_mostly_rejected_pairs(run: Run, tmp_path: Path) -> None:
    pairs = tmp_path / "p.tsv"
    pairs.write_text("a\tα\n\tβ\nc\t\nd\t\n", encoding="utf-8")
    refused(
        run("align", pairs, "--source-lang", "en", "--target-lang", "el",
            "--out", tmp_path / "links"),
        "50%",
        "3 of 4",
    )  # fmt: skip


def test_unknown_language(run: Run, model: Path, text: Path, tmp_path: Path) -> None:
    refused(
        run("adapt", model, "--to", "xx", "--text", text, "--out", tmp_path / "o"), "'xx'", "el"
    )


def test_pickled_weights(run: Run, model: Path, text: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pickled"
    shutil.copytree(model, folder)
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"cos\nsystem\n")
    refused(
        run("adapt", folder, "--to", "el", "--text", text, "--out", tmp_path / "o"),
        "pytorch_model.bin",
        "safetensors",
    )


def test_code_in_the_model_folder(run: Run, model: Path, text: Path, tmp_path: Path) -> None:
    folder = tmp_path / "coded"
    shutil.copytree(model, folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["auto_map"] = {"AutoModelForCausalLM": "evil.Model"}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    refused(run("adapt", folder, "--to", "el", "--text", text, "--out", tmp_path / "o"), "auto_map")


def test_foreign_output_folder(run: Run, model: Path, text: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine"
    out.mkdir()
    (out / "thesis.tex").write_text("years of work", encoding="utf-8")
    refused(run("adapt", model, "--to", "el", "--text", text, "--out", out), str(out), "--out")
    assert [path.name for path in out.iterdir()] == ["thesis.tex"]


def test_budget_below_one_batch(run: Run, model: Path, text: Path, tmp_path: Path) -> None:
    refused(
        run("adapt", model, "--to", "el", "--text", text, "--budget", "10parsecs",
            "--out", tmp_path / "o"),
        "'10parsecs'",
    )  # fmt: skip


def test_full_disk_is_one_line_and_keeps_what_was_there(
    run: Run, model: Path, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    refused(
        run("adapt", model, "--to", "el", "--text", text, "--out", tmp_path / "o"),
        os.strerror(errno.ENOSPC),
    )
    assert text.exists()


def test_text_of_another_language_is_a_warning_with_the_share(
    run: Run, model: Path, tmp_path: Path
) -> None:
    english = tmp_path / "en.txt"
    words = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    rows = [
        f"The {words[n % 10]} {words[n // 10]} windows of this program open with a click.\n"
        for n in range(60)
    ]
    english.write_text("".join(rows), encoding="utf-8")
    code, _, err = run(
        "adapt", model, "--to", "el", "--text", english, "--no-controls", "--budget", "2000B",
        "--out", tmp_path / "o", "--threads", "1",
    )  # fmt: skip
    assert code == 0, err
    assert "warning: Only 0%" in err


def test_unknown_token_to_explain(run: Run, model: Path, tmp_path: Path) -> None:
    refused(
        run("graft", model, "--tokenizer", model, "--to", "el", "--explain", "ξξξξ",
            "--out", tmp_path / "o"),
        "'ξξξξ'", "cut into",
    )  # fmt: skip


def test_unknown_measure(run: Run, model: Path, text: Path) -> None:
    refused(run("measure", model, "--on", "vibes", "--text", text, "--lang", "el"), "'vibes'")


def test_rejected_pairs_keep_their_place_in_the_links(run: Run, tmp_path: Path) -> None:
    pairs, links = tmp_path / "p.tsv", tmp_path / "links"
    rows = ["red house\tκόκκινο σπίτι", "\tσπίτι", "house\tσπίτι", "red\tκόκκινο"]
    pairs.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    code, out, err = run(
        "align", pairs, "--source-lang", "en", "--target-lang", "el", "--out", links
    )
    assert code == 0, err
    assert out == ""
    lines = links.read_text(encoding="utf-8").split("\n")
    assert len(lines) == 5
    assert lines[1] == ""
    assert lines[2] == lines[3] == "0-0"
