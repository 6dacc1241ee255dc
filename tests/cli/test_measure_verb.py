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


def test_what_is_left_out_is_told_on_stderr_and_in_the_records(
    run: Run, model: Path, facts: Path
) -> None:
    with facts.open("a", encoding="utf-8") as stream:
        stream.write('{"id": "file", "lang": "en"\n')
        stream.write(json.dumps({"id": "y", "lang": "xx", "prompt": "p", "answer": "a"}) + "\n")
        stream.write('{"id": "z", "lang": "en", "prompt": "p", "answer": "a", "frequency": NaN}\n')
    result = run("measure", model, "--on", "recall", "--facts", facts, "--json", "--threads", "1")
    code, out, err = result
    assert code == 0, err
    assert err == (
        f"left out 1 x bad JSON ({facts}:8), 1 x unknown language 'xx' ({facts}:9), "
        f"1 x frequency is no number of 0 or more ({facts}:10)\n"
        "asked in one language only, in recall but not in transfer: 1 in de\n"
    )
    records = [json.loads(line) for line in out.splitlines()]
    rejected = {"bad JSON": 1, "unknown language 'xx'": 1, "frequency is no number of 0 or more": 1}
    assert all(record["rejected"] == rejected for record in records)


def test_parallel_text_and_dictionaries_are_asked_for(run: Run, model: Path) -> None:
    pairs = model.with_name("pairs.tsv")
    pairs.write_text(
        "The file is open now\tDe tekst is nu open\nThe page is red now\tDe pagina is nu rood\n"
        "Short\tKort\n",
        encoding="utf-8",
    )
    on = ["--on", "recall", "--json", "--threads", "1"]
    code, out, err = run("measure", model, "--facts", pairs, "--lang", "en,nl", *on)
    assert code == 0, err
    assert err == "left out 1 x fewer than 4 words between spaces (pairs:3)\n"
    [english, dutch, *_] = [json.loads(line) for line in out.splitlines()]
    assert (english["lang"], dutch["lang"]) == ("en", "nl")
    assert english["statistics"]["num_facts"] == dutch["statistics"]["num_facts"] == 2
    words = model.with_name("words.txt")
    words.write_text("house\thuis\nred\trood\nno tab\n", encoding="utf-8")
    templates = [
        "--template", 'en=The Dutch word for "{x}" is', "--template", 'nl="{x}" in het Nederlands:',
    ]  # fmt: skip
    code, out, err = run("measure", model, "--facts", words, *templates, *on)
    assert code == 0, err
    assert err.startswith("left out 1 x ")
    assert f"({words}:3)" in err
    [english, *_] = [json.loads(line) for line in out.splitlines()]
    assert english["statistics"]["num_facts"] == 2


def test_facts_of_other_files_that_will_not_do_are_refused(run: Run, model: Path) -> None:
    pairs = model.with_name("pairs.tsv")
    pairs.write_text("The file is open\tDe tekst is open\n", encoding="utf-8")
    facts = ["--on", "recall", "--facts", pairs]
    for given, got in ((["--lang", "en"], "got en"), ([], "got none")):
        two = "--lang: expected the two languages of parallel text"
        refused(run("measure", model, *facts, *given), two, got)
    one = "--template: expected a language and a prompt"
    refused(run("measure", model, *facts, "--template", "The {x} is"), one, "got 'The {x} is'")
