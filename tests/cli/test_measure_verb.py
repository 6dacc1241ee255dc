"""`lingraft measure` on facts: one record a score, and one line where the facts will not do."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def facts(tmp_path: Path) -> Path:
    """Four facts in English and Dutch, and one in German alone."""
    rows = [
        {"id": word, "lang": lang, "prompt": f"{start} {word} {end}", "answer": answer}
        for word, answer in zip(("file", "page", "text"), ("open", "red", "long"), strict=True)
        for lang, start, end in (("en", "The", "is"), ("nl", "De", "van"))
    ]
    rows.append({"id": "x", "lang": "de", "prompt": "Der Text", "answer": "ist"})
    path = tmp_path / "facts.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def refused(result: tuple[int, str, str], *parts: str) -> None:
    code, out, err = result
    assert (code, out) == (2, "")
    assert err.startswith("lingraft: ")
    assert err.count("\n") == 1
    for part in parts:
        assert part in err


def test_one_json_record_a_score(run: Run, model: Path, facts: Path) -> None:
    code, out, err = run(
        "measure", model, "--on", "unification,recall", "--facts", facts, "--lang", "en,nl",
        "--json", "--threads", "1",
    )  # fmt: skip
    assert code == 0, err
    records = [json.loads(line) for line in out.splitlines()]
    assert [record["name"] for record in records] == [
        *("recall", "recall", "transfer", "transfer"),
        "unification",
        *("patching", "logit_lens", "unification_transfer", "unification_transfer") * 2,
    ]
    assert {record["model"] for record in records} == {str(model)}
    assert all((record["value"] is None) == bool(record["reason"]) for record in records[:5])
    transfers = [(r["source_lang"], r["target_lang"]) for r in records[2:4]]
    assert transfers == [("en", "nl"), ("nl", "en")]


def test_the_table_and_the_difference_from_a_base(run: Run, model: Path, facts: Path) -> None:
    text = facts.with_name("en.txt")
    text.write_text("The file is open.\nThe page is long.\n", encoding="utf-8")
    options = ["--on", "recall,bits-per-byte", "--facts", facts, "--text", text, "--lang", "en"]
    code, out, err = run("measure", model, *options, "--threads", "1")
    assert code == 0, err
    assert "bits per byte" in out
    assert "recall" in out
    assert "en → nl" in out
    code, out, err = run("measure", model, *options, "--base", model, "--json", "--threads", "1")
    assert code == 0, err
    records = [json.loads(line) for line in out.splitlines()]
    half = len(records) // 2
    assert not any("difference_from_base" in record for record in records[:half])
    assert all(r["difference_from_base"] == 0 for r in records[half:] if r["value"] is not None)


def test_facts_that_will_not_do_are_refused(run: Run, model: Path, facts: Path) -> None:
    refused(run("measure", model, "--on", "recall"), "--facts: expected --facts for recall", "none")
    empty = facts.with_name("empty.jsonl")
    empty.touch()
    refused(run("measure", model, "--on", "recall", "--facts", empty), "an empty file", str(empty))
    alone = run("measure", model, "--on", "unification", "--facts", facts, "--lang", "en,de")
    refused(alone, "--facts", "the same id", "4 facts in en, de without any")
    refused(
        run("measure", model, "--on", "recall", "--facts", facts, "--lang", "fi"),
        "--lang: expected languages of the facts: en, nl, de, got fi",
    )


def test_bits_per_byte_needs_a_text_and_its_language(run: Run, model: Path, facts: Path) -> None:
    refused(run("measure", model), "--text: expected --text for bits-per-byte, got none")
    refused(run("measure", model, "--text", facts), "--lang: expected --lang for bits-per-byte")
