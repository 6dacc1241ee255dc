"""`lingraft graft` with tokenizers from `lingraft tokenizer extend` and `prune`."""

import json
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file

Run = Callable[..., tuple[int, str, str]]
INPUT = "model.embed_tokens.weight"


def rows_of(folder: Path) -> torch.Tensor:
    return load_file(folder / "model.safetensors")[INPUT]


def test_an_extended_tokenizer_gives_a_longer_model(run: Run, model: Path, tmp_path: Path) -> None:
    text, tokenizer, out = tmp_path / "el.txt", tmp_path / "tokenizer", tmp_path / "out"
    text.write_text("Το αρχείο ανοίγει σε νέο παράθυρο.\n" * 5, encoding="utf-8")
    arguments = ("--text", text, "--lang", "el", "--new-tokens", 20, "--out", tokenizer)
    assert run("tokenizer", "extend", model, *arguments)[0] == 0
    code, printed, _ = run(
        "graft", model, "--tokenizer", tokenizer, "--to", "el", "--pad-to", 64, "--out", out
    )
    assert code == 0
    assert json.loads(printed)["by_rule"] == {"kept": 502, "pieces": 20}
    before, after = rows_of(model), rows_of(out)
    assert after.shape == (576, 32)
    assert torch.equal(after[:502], before)
    assert run("graft", "--check", out)[0] == 0


def test_a_pruned_tokenizer_gives_a_shorter_model(run: Run, model: Path, tmp_path: Path) -> None:
    text, tokenizer, out = tmp_path / "en.txt", tmp_path / "tokenizer", tmp_path / "out"
    text.write_text("The file opens in a new window.\n" * 5, encoding="utf-8")
    arguments = ("--text", text, "--vocab-size", 400, "--out", tokenizer)
    assert run("tokenizer", "prune", model, *arguments)[0] == 0
    assert run("graft", model, "--tokenizer", tokenizer, "--to", "en", "--out", out)[0] == 0
    before, after = rows_of(model), rows_of(out)
    id_map = json.loads((tokenizer / "id_map.json").read_text())
    assert len(after) == len(id_map) == 400
    for old, new in id_map.items():
        assert torch.equal(after[new], before[int(old)])
    assert run("graft", "--check", out)[0] == 0


def test_a_bad_multiple_is_one_line(run: Run, model: Path, tmp_path: Path) -> None:
    code, out, err = run(
        "graft", model, "--tokenizer", model, "--to", "en", "--pad-to", 0, "--out", tmp_path / "o"
    )
    assert (code, out) == (2, "")
    assert err == "lingraft: pad_to: expected a multiple of 1 or more, got 0\n"
