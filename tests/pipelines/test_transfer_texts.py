"""The texts of a data transfer study: two sides without a page in common, and held-out text."""

import ast
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lingraft.corpus.splits import matching_key
from lingraft.errors import InputError
from lingraft.files import read_json
from lingraft.languages import Language
from lingraft.pipelines.transfer_texts import read_part, study_text, training_prefix

ENGLISH, DUTCH = Language.parse("en"), Language.parse("nl")
WORDS, CIPHER = {"control": "words"}, {"control": "enciphered"}
LETTERS = "abcdefghijklmnopqrstuvwxyz"
Write = Callable[..., Path]


def word(number: int) -> str:
    """Numbers would not tell texts apart: `matching_key` passes over digits."""
    return LETTERS[number // 26 % 26] + LETTERS[number % 26]


def row(number: int, page: str) -> dict[str, str]:
    """One page's row in both languages; lines are long enough for the language detector."""
    name = f"{page} {word(number)} {word(number)} {word(number)}"
    return {
        "id": f"{page}#{number}",
        "en": f"the {name} is written in English\n",
        "nl": f"de {name} is geschreven in het Nederlands\n",
    }


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def file(name: str, rows: list[dict[str, str]]) -> Path:
        path = tmp_path / f"{name}.jsonl"
        path.write_text("".join(json.dumps(x) + "\n" for x in rows), encoding="utf-8")
        return path

    return file


@pytest.fixture
def make(write: Write, tmp_path: Path) -> Callable[..., Path]:
    """Writes one side's text and returns its folder."""
    pages = [f"page {word(number)}" for number in range(40)]
    rows = [row(number, page) for page in pages for number in range(3)]
    files = {
        "text": [write("train", rows)],
        "valid": write("valid", [row(number, "choice") for number in range(8)]),
        "test": write("test", [row(number, "exam") for number in range(8)]),
    }

    def made(lang: str, part: str, **changes: Any) -> Path:
        out = tmp_path / "-".join([lang, part, *map(str, changes)])
        settings: dict[str, Any] = files | {
            "lang": lang,
            "part": part,
            "source_share": 0.4,
            "held_out_bytes": 1_000,
            "control": None,
            "injected": [],
            "injected_lang": None,
            "injected_share": 0.0,
            "seed": 0,
        }
        facts = study_text(**settings | changes, out=out)
        assert facts == read_json(out / "facts.json")
        return out

    return made


def texts(folder: Path, name: str = "train", lang: Language = ENGLISH) -> list[str]:
    return [document.text for document in read_part(folder, name, lang)]


def pages(folder: Path, lang: Language) -> set[str]:
    return {document.id.partition("#")[0] for document in read_part(folder, "train", lang)}


def test_no_page_is_on_both_sides_whatever_the_languages(make: Callable[..., Path]) -> None:
    sides = [
        pages(make("en", "source"), ENGLISH),
        pages(make("nl", "source"), DUTCH),
        pages(make("en", "target"), ENGLISH),
        pages(make("nl", "target"), DUTCH),
    ]
    assert sides[0] == sides[1]
    assert sides[2] == sides[3]
    assert not sides[0] & sides[2]
    assert len(sides[0] | sides[2]) == 40
    assert 8 <= len(sides[0]) <= 24  # about 40 %
    larger = pages(make("en", "source", source_share=0.6), ENGLISH)
    assert sides[0] < larger
    assert pages(make("en", "source", seed=1), ENGLISH) != sides[0]


def test_facts_count_what_was_written(make: Callable[..., Path]) -> None:
    folder = make("en", "target", held_out_bytes=100)
    facts = read_json(folder / "facts.json")
    for name in ("train", "valid", "test"):
        rows = texts(folder, name)
        assert facts[f"{name}_bytes"] == sum(len(x.encode("utf-8")) for x in rows)
        assert facts[f"{name}_characters"] == sum(map(len, rows))
        assert facts[f"{name}_documents"] == len(rows)
    assert facts["valid_bytes"] == facts["test_bytes"] == 100
    assert "injected_share" not in facts


@pytest.mark.parametrize("control", [None, "shuffled", "code"])
@pytest.mark.parametrize("part", ["source", "target"])
def test_parts_share_no_text(
    make: Callable[..., Path], write: Write, control: str | None, part: str
) -> None:
    # Every held-out row stands in the training file too, with another page and other digits.
    rows = [row(number, page) for page in ("choice", "exam") for number in range(8)]
    again = [x | {"id": f"again {n}#1", "en": x["en"].upper() + "7"} for n, x in enumerate(rows)]
    fine = [row(number, f"page {word(number)}") for number in range(30)]
    folder = make("en", part, control=control, text=[write("more", again + fine)])
    keys = [
        {matching_key(text) for text in texts(folder, name)} for name in ("train", "valid", "test")
    ]
    assert all(keys)
    assert not keys[0] & keys[1]
    assert not keys[0] & keys[2]
    assert not keys[1] & keys[2]


def test_rows_that_stand_in_held_out_text_too_are_counted(
    make: Callable[..., Path], write: Write
) -> None:
    exam = [row(number, "exam") for number in range(8)]
    twice = [x | {"id": f"twice {n}#1"} for n, x in enumerate(exam)]
    fine = [row(number, f"page {word(number)}") for number in range(30)]
    held = [row(number, "exam") for number in range(3)] + [row(number, "choice") for number in (4,)]
    train, valid = write("train with exam", twice + fine), write("valid with exam", held)
    folder = make("en", "target", text=[train], valid=valid, source_share=0.0)
    facts = read_json(folder / "facts.json")

    def sizes(rows: list[dict[str, str]]) -> dict[str, int]:
        return {"rows": len(rows), "bytes": sum(len(x["en"].encode()) for x in rows)}

    assert facts["removed"] == {"train": sizes(exam), "test": sizes(exam[:3])}
    assert (facts["train_documents"], facts["test_documents"]) == (30, 5)
    sound = read_json(make("en", "target") / "facts.json")
    assert sound["removed"] == {name: {"rows": 0, "bytes": 0} for name in ("train", "test")}


@pytest.mark.parametrize(
    ("name", "changed", "others", "num"),
    [("train", "text", "valid or test", 8), ("test", "test", "valid", 8)],
)
def test_text_that_is_all_held_out_elsewhere_is_refused(
    make: Callable[..., Path], write: Write, name: str, changed: str, others: str, num: int
) -> None:
    same = write("choice again", [row(number, "choice") for number in range(num)])
    with pytest.raises(InputError) as caught:
        make("en", "target", source_share=0.0, **{changed: [same] if changed == "text" else same})
    assert caught.value.expected == f"{name} text that is not all in {others} text too"
    assert caught.value.got == f"{num} documents, each with a match there"
    assert caught.value.where == f"eng_Latn, {name}"
    assert "source_share" not in str(caught.value)


def test_marks_are_removed_from_users_text_and_counted(
    make: Callable[..., Path], write: Write
) -> None:
    rows = [row(number, f"page {word(number)}") for number in range(30)]
    marked = [x | {"en": f"\ufeff{x['en']}"} for x in rows[:4]] + rows[4:]
    marked[5] = marked[5] | {"en": "caf\ufffd " + marked[5]["en"]}
    folder = make("en", "target", text=[write("marked", marked)], source_share=0.0)
    assert [text.replace("caf\ufffd ", "") for text in texts(folder)] == [x["en"] for x in rows]
    repairs = read_json(folder / "facts.json")["repairs"]
    none = dict.fromkeys(repairs["train"], 0)
    assert repairs["train"] == {
        "byte_order_marks_removed": 4,
        "rows_of_nothing_else_removed": 0,
        "replacement_characters_left": 1,
    }
    assert repairs["valid"] == repairs["test"] == none


def test_a_swapped_mark_or_another_encoding_is_refused(
    make: Callable[..., Path], tmp_path: Path, write: Write
) -> None:
    swapped = write("swapped", [row(1, "exam") | {"en": "swapped \ufffe here"}])  # as an escape
    with pytest.raises(InputError, match=r"eng_Latn, exam#1: expected text in one byte order"):
        make("en", "target", test=swapped)
    raw = tmp_path / "raw.txt"
    raw.write_bytes("een\ufffe\n".encode())
    with pytest.raises(InputError, match=r"raw.txt: expected text in one byte order"):
        make("nl", "target", valid=raw)
    raw.write_bytes(b"een lange regel\n" * 9 + "twee".encode("utf-16-le"))
    with pytest.raises(InputError, match=r"raw.txt: expected text without NUL, got 4 NUL bytes"):
        make("nl", "source", injected=[raw], injected_lang="en", injected_share=0.1)


def test_shuffled_keeps_every_documents_characters(make: Callable[..., Path]) -> None:
    plain, shuffled = make("en", "source"), make("en", "source", control="shuffled")
    for name in ("train", "valid", "test"):
        before, after = (texts(folder, name) for folder in (plain, shuffled))
        assert [Counter(x) for x in before] == [Counter(x) for x in after]
        assert before != after
        assert sum(one == other for one, other in zip(before, after, strict=True)) == 0


def test_dealt_words_keep_form_and_lose_content(make: Callable[..., Path]) -> None:
    plain, dealt = (read_part(make("en", "source", **c), "train", ENGLISH) for c in ({}, WORDS))
    words = [
        Counter(w for d in documents for w in d.text.split(" ")) for documents in (plain, dealt)
    ]
    assert words[1].keys() <= words[0].keys()
    assert sum((words[0] - words[1]).values()) < 0.1 * words[0].total()  # few rows came to match
    of = {d.id: d.text for d in plain}
    assert all(d.text.count(" ") == of[d.id].count(" ") for d in dealt)
    assert sum(d.text != of[d.id] for d in dealt) > 0.9 * len(dealt)


def test_a_cipher_keeps_content_and_changes_every_form(make: Callable[..., Path]) -> None:
    plain, hidden = (read_part(make("en", "source", **c), "train", ENGLISH) for c in ({}, CIPHER))
    of = {d.id: d.text for d in plain}
    cipher: dict[str, str] = {}
    for document in hidden:
        for one, other in zip(of[document.id], document.text, strict=True):
            assert cipher.setdefault(one, other) == other  # one to one, the same everywhere
            assert len(one.encode()) == len(other.encode())
            assert one.isupper() == other.isupper()
            assert one.isalpha() or one == other
    assert len(set(cipher.values())) == len(cipher)
    assert all(cipher[letter] != letter for letter in cipher if letter.isalpha())
    facts = read_json(make("en", "source", **CIPHER) / "facts.json")
    assert facts["enciphered_share"] == 1.0


def test_shuffled_rows_that_come_to_match_a_held_out_one_are_left_out(
    make: Callable[..., Path], write: Write
) -> None:
    """Of two letters every second shuffle gives the other word."""
    short = [{"id": f"{one}{two}#0", "en": one + two} for one in LETTERS[:13] for two in "xyz"]
    turned = [{"id": "v#0", "en": x["en"][::-1]} for x in short]
    folder = make(
        "en", "source", control="shuffled", text=[write("s", short)], valid=write("v", turned)
    )
    kept = texts(folder)
    assert kept
    assert not set(kept) & set(texts(folder, "valid"))
    assert len(kept) < len(pages(make("en", "source", text=[write("s", short)]), ENGLISH))


def test_code_reads_python_of_other_modules_for_each_part(make: Callable[..., Path]) -> None:
    folder = make("en", "source", control="code", held_out_bytes=20_000)
    library = Path(ast.__file__).parent
    modules: dict[str, set[str]] = {}
    for name in ("train", "valid", "test"):
        for document in read_part(folder, name, ENGLISH):
            module = document.id.partition("#")[0]
            source = (library / module).read_text(encoding="utf-8", errors="ignore")
            assert document.text.strip() in source
            modules.setdefault(name, set()).add(module)
    assert len(modules["train"]) > 20
    assert not modules["train"] & (modules["valid"] | modules["test"])
    assert not modules["valid"] & modules["test"]
    assert read_json(folder / "facts.json")["valid_bytes"] == 20_000


def test_injection_replaces_its_share_of_the_lines(make: Callable[..., Path], write: Write) -> None:
    train = write("other", [row(n, f"page {word(m)}") for m in range(40) for n in range(3)])
    plain = texts(make("en", "source"))
    folder = make("en", "source", injected=[train], injected_lang="nl", injected_share=0.25)
    mixed = texts(folder)
    dutch = [text for text in mixed if text.startswith("de ")]
    assert len(mixed) == len(plain)
    assert len(dutch) == round(0.25 * len(plain))
    assert read_json(folder / "facts.json")["injected_share"] == len(dutch) / len(plain)
    assert sum(one == other for one, other in zip(plain, mixed, strict=True)) == len(plain) - len(
        dutch
    )
    # What is put in is from pages of the source's own side.
    assert {text.strip() for text in dutch} <= {
        x.strip() for x in texts(make("nl", "source"), lang=DUTCH)
    }


@pytest.mark.parametrize(("part", "share"), [("source", 0.0), ("target", 1.0)])
def test_a_side_without_documents_is_refused(
    make: Callable[..., Path], part: str, share: float
) -> None:
    with pytest.raises(InputError) as caught:
        make("en", part, source_share=share)
    assert caught.value.expected == f"documents on the {part} side"
    assert caught.value.got == "none of 120"
    assert caught.value.where == f"eng_Latn, source_share {share}"


def test_prefixes_lie_inside_each_other_and_seeds_draw_others(make: Callable[..., Path]) -> None:
    folder = make("en", "target")
    small, large, other = (
        "".join(document.text for document in training_prefix(folder, ENGLISH, size, seed))
        for size, seed in ((300, 0), (900, 0), (300, 1))
    )
    assert (len(small), len(large)) == (300, 900)
    assert large.startswith(small)
    assert other != small
