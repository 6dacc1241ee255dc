"""`lingraft data-transfer` on anyone's table, and `adapt --weigh-sizes`."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., tuple[int, str, str]]
GOLDEN = Path(__file__).parent.parent / "golden" / "data-transfer-perplexities.csv"
LINES = [
    "target,init,dataset_bytes,perplexity_per_byte,seed",
    *(f"nl,scratch,{size},{value},{seed}" for size, value, seed in (
        (1000, 9.0, 0), (1000, 9.4, 1), (3000, 7.0, 0), (9000, 5.0, 0), (27000, 5.1, 0),
    )),
    "nl,en,1000,6.0,0",
    "nl,ru,1000,4.0,0",
]  # fmt: skip


@pytest.fixture
def losses(tmp_path: Path) -> Path:
    path = tmp_path / "losses.csv"
    path.write_text("\n".join(LINES) + "\n", encoding="utf-8")
    return path


def test_one_json_record_a_cell(run: Run, losses: Path) -> None:
    code, out, err = run("data-transfer", losses, "--json")
    assert code == 0
    assert err == (
        "repaired: nl: the loss from scratch does not fall with the size; the points at 9,000, "
        "27,000 bytes were pooled\n"
    )
    english, russian = (json.loads(line) for line in out.splitlines())
    assert (english["target"], english["source"], english["data_finetuned_bytes"]) == (
        "nl",
        "en",
        1000,
    )
    assert 3000 < english["data_effective_bytes"] < 9000
    assert english["data_transferred_bytes"] == english["data_effective_bytes"] - 1000
    assert english["censored"] is None
    assert len(english["interval"]) == 2
    assert (russian["censored"], russian["interval"][1]) == ("at_least", None)


def test_the_table_marks_bounds(run: Run, losses: Path) -> None:
    code, out, _ = run("data-transfer", losses, "--rule", "power")
    assert code == 0
    assert "≥ 26 kB" in out
    assert "to …" in out


def test_the_published_rule_is_there_to_compare(run: Run) -> None:
    code, out, err = run("data-transfer", GOLDEN, "--rule", "published", "--json")
    assert code == 0
    assert err.endswith("for comparison only; weigh with another rule\n")
    found = [json.loads(line) for line in out.splitlines()]
    [cell] = [
        x
        for x in found
        if (x["target"], x["source"], x["data_finetuned_bytes"]) == ("zh", "en", 6e6)
    ]
    assert cell["data_transferred_bytes"] / 2**20 == pytest.approx(29.2, abs=0.3)
    assert cell["comparison_only"] is True
    code, out, err = run("data-transfer", GOLDEN, "--rule", "published")
    assert code == 0
    assert out.endswith(err)
    assert "– ar, de, en" in out
    assert ": the published rule has no interval\n" in out
    code, out, err = run("data-transfer", GOLDEN, "--json")
    assert "for comparison" not in out + err
    assert all(json.loads(line)["comparison_only"] is False for line in out.splitlines())


def test_the_table_says_why_there_is_no_interval(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "losses.csv"
    other = [line.replace("nl,", "tr,") for line in LINES[1:] if line != LINES[2]]
    path.write_text("\n".join([*LINES, *other]) + "\n", encoding="utf-8")
    code, out, _ = run("data-transfer", path)
    assert code == 0
    assert out.splitlines()[-1] == "– tr: no kind of run has several seeds"
    assert "– nl" not in out


def test_targets_that_are_left_out_are_told(run: Run, losses: Path) -> None:
    with losses.open("a", encoding="utf-8") as stream:
        stream.write("tr,scratch,1000,9,0\n")
    code, out, err = run("data-transfer", losses, "--json")
    assert code == 0
    assert {json.loads(line)["target"] for line in out.splitlines()} == {"nl"}
    assert err.startswith("left out: tr: runs from scratch alone, nothing to weigh\n")


def test_curves_that_tell_nothing_are_told(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "flat.csv"
    flat = [f"nl,scratch,{size},5,0" for size in (1000, 3000, 9000)]
    path.write_text("\n".join([LINES[0], *flat, LINES[6]]) + "\n", encoding="utf-8")
    code, _, err = run("data-transfer", path)
    assert code == 0
    assert "nl: the loss from scratch is the same at all sizes" in err


def test_any_case_of_scratch_stays_on_the_curve(run: Run, losses: Path, tmp_path: Path) -> None:
    shouted = tmp_path / "shouted.csv"
    table = losses.read_text(encoding="utf-8")
    shouted.write_text(table.replace("scratch,3000", "Scratch,3000"), encoding="utf-8")
    assert run("data-transfer", shouted, "--json") == run("data-transfer", losses, "--json")


def test_bad_rules_and_tables_are_one_line(run: Run, losses: Path, tmp_path: Path) -> None:
    code, out, err = run("data-transfer", losses, "--rule", "cubic")
    assert (code, out) == (2, "")
    assert err.startswith("lingraft: rule: expected one of log-log, power, linear, published")
    code, _, err = run("data-transfer", tmp_path / "none.csv")
    assert code == 2
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("kept", "where", "got"),
    [
        ([*LINES[1:4], LINES[6]], ", target nl", "2: 1000, 3000"),
        (LINES[1:6], ", init", "5 runs, all from scratch"),
        (LINES[6:], ", target nl", "init en, ru and no other"),
        ([*LINES[1:], "nl,scratch,1000,9,5,0"], ":9", "6"),
    ],
)
def test_refusals_name_the_file(
    run: Run, tmp_path: Path, kept: list[str], where: str, got: str
) -> None:
    path = tmp_path / "losses.csv"
    path.write_text("\n".join([LINES[0], *kept]) + "\n", encoding="utf-8")
    code, out, err = run("data-transfer", path)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"lingraft: {path}{where}: expected ")
    assert f", got {got}" in err


def test_sizes_that_make_no_curve_are_refused(run: Run, model: Path, tmp_path: Path) -> None:
    text = tmp_path / "el.txt"
    text.write_text("Το αρχείο ανοίγει.\n", encoding="utf-8")
    code, _, err = run(
        *("adapt", model, "--to", "el", "--text", text, "--out", tmp_path / "out"),
        *("--weigh-sizes", "2kB,1kB,3kB"),
    )
    assert code == 2
    assert "expected at least 3 rising sizes in bytes, got 2000, 1000, 3000" in err


def test_workers_are_processes_beside_this_one(run: Run, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.py"
    recipe.write_text(
        "import study_workers\n"
        "from lingraft.study import Plan, job\n"
        "SCALES = ('tiny',)\n"
        "def plan(scale, *, texts='abc'):\n"
        "    made = [job(study_workers.shout, name=x, text=x) for x in texts]\n"
        "    return Plan({'all': job(study_workers.join, name='all', parts=made)})\n"
    )
    helper = tmp_path / "study_workers.py"
    helper.write_text(
        "from lingraft.files import write_text\n"
        "VERSION = 1\n"
        "def shout(*, text, out):\n"
        "    write_text(out / 'text.txt', text.upper())\n"
        "    return {}\n"
        "def join(*, parts, out):\n"
        "    return {'text': ''.join((x / 'text.txt').read_text() for x in parts)}\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(tmp_path))
        patch.syspath_prepend(str(tmp_path))
        options = ("--scale", "tiny", "--store", tmp_path / "runs", "--set", "texts=xyz")
        code, out, err = run("run", recipe, *options, "--workers", 3)
        assert code == 0, err
        assert json.loads(out)["result"] == {"text": "XYZ"}
        code, _, err = run("run", recipe, *options, "--workers", 0)
    assert code == 2
    assert "workers: expected at least 1 worker, got 0" in err
