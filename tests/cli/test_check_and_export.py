"""`graft --check` and `export`: exit codes, a JSON record or one line a problem."""

import json
from collections.abc import Callable
from pathlib import Path

Run = Callable[..., tuple[int, str, str]]


def test_a_sound_folder_is_a_json_record_and_exit_code_0(run: Run, model: Path) -> None:
    code, out, err = run("graft", "--check", model)
    assert (code, err) == (0, "")
    assert json.loads(out) == {"folder": str(model), "sound": True, "findings": []}


def test_problems_are_lines_and_exit_code_1(run: Run, model: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    changed = {"vocab_size": 999, "eos_token_id": 5000}
    (model / "config.json").write_text(json.dumps(config | changed))
    code, out, err = run("graft", "--check", model)
    assert (code, err) == (1, "")
    lines = out.splitlines()
    codes = {line.split(": ")[1] for line in lines}
    assert codes == {"vocab-size-differs", "special-id-unknown"}
    assert all(line.startswith("error: ") and str(model) in line for line in lines)


def test_bad_input_is_exit_code_2(run: Run, model: Path, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    for arguments, parts in (
        (("graft", "--check", gone), (str(gone), "expected a model folder")),
        (("graft", model, "--to", "el"), ("--tokenizer", "--out", "--check DIR")),
        (("export", gone, "--to", "gguf", "--out", tmp_path / "o"), (str(gone),)),
        (("export", model, "--to", "onnx", "--out", tmp_path / "o"), ("'onnx'", "safetensors")),
    ):
        code, out, err = run(*arguments)
        assert (code, out) == (2, "")
        assert err.startswith("lingraft: ")
        assert err.count("\n") == 1
        assert all(part in err for part in parts), err


def test_an_export_prints_what_it_wrote(run: Run, model: Path, tmp_path: Path) -> None:
    code, out, err = run("export", model, "--to", "safetensors", "--out", tmp_path / "o")
    assert (code, err) == (0, "")
    record = json.loads(out)
    assert record["format"] == "safetensors"
    assert {path.name for path in (tmp_path / "o").iterdir()} == set(record["files"])
