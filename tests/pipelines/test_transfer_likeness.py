"""Likeness of a study's languages: every covariate has a value or the reason why it has none."""

import json
from pathlib import Path

import pytest

from lingraft.corpus import Document, Documents
from lingraft.corpus.line_languages import PY3LANGID
from lingraft.languages import Language
from lingraft.pipelines.corpora import write_documents
from lingraft.pipelines.transfer_inputs import Source
from lingraft.pipelines.transfer_likeness import (
    BYTE_COVARIATES,
    CONTAMINATION,
    language_units,
    likeness,
    target_shares,
)

ENGLISH, DUTCH, GREEK = "eng_Latn", "nld_Latn", "ell_Grek"
LINES = {
    ENGLISH: "This is a whole line of plain English text about {}.",
    DUTCH: "Dit is een hele regel gewone Nederlandse tekst over {}.",
    GREEK: "Αυτή είναι μια ολόκληρη γραμμή απλού ελληνικού κειμένου για {}.",
}
WORDS = ("apples", "bears", "clouds", "doors", "engines", "forests", "gardens", "houses")
SOURCES = [Source.parse(name, first=Language.parse("en")) for name in ("en", "nl", "shuffled")]


def write_text(folder: Path, code: str, *, foreign: int = 0) -> Path:
    lang = Language.parse(code)
    facts = {}
    for part in ("train", "valid", "test"):
        lines = [LINES[code].format(word) for word in WORDS * 8]
        if part == "train":
            lines[:foreign] = [LINES[GREEK].format(word) for word in WORDS[:foreign]]
        rows = tuple(Document(line, f"{part}{n}#0") for n, line in enumerate(lines))
        write_documents(folder / f"{part}.jsonl", Documents(rows, lang))
        if part == "train":
            facts = {
                "train_bytes": Documents(rows, lang).num_bytes,
                "train_characters": sum(len(row.text) for row in rows),
            }
    (folder / "facts.json").write_text(json.dumps(facts))
    return folder


@pytest.fixture
def texts(tmp_path: Path) -> dict[str, dict[str, Path]]:
    def made(name: str, code: str, **settings: int) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        return write_text(folder, code, **settings)

    sources = {
        ENGLISH: made("en", ENGLISH, foreign=8),
        DUTCH: made("nl", DUTCH),
        "shuffled": made("shuffled", ENGLISH),
    }
    return {
        "source_texts": sources,
        "target_texts": {code: made(f"to-{code}", code) for code in (DUTCH, GREEK)},
    }


def pairs_file(folder: Path, name: str) -> Path:
    path = folder / name
    rows = [
        {code: LINES[code].format(word) for code in LINES} | {"id": str(n)}
        for n, word in enumerate(WORDS)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def rows_of(texts: dict[str, dict[str, Path]], pairs: dict[str, Path], reference: str = ENGLISH):
    targets = [DUTCH, GREEK]
    units = language_units(targets, texts["target_texts"], pairs, reference, 0)
    contaminations = target_shares(SOURCES, targets, **texts, seed=0)
    alike = likeness(
        SOURCES,
        targets,
        **texts,
        pairs=pairs,
        reference_lang=reference,
        units=units,
        contaminations=contaminations,
        seed=0,
    )
    return units, contaminations, {(row["target"], row["source"]): row for row in alike}


def test_bytes_say_how_alike_two_languages_are(texts, tmp_path) -> None:
    path = pairs_file(tmp_path, "pairs.jsonl")
    units, _, rows = rows_of(texts, {DUTCH: path, GREEK: path})
    english, dutch = (rows[GREEK, source] for source in (ENGLISH, DUTCH))
    greek = units[GREEK]["bytes_per_character"]
    assert english["bytes_per_character_difference"] == pytest.approx(greek - 1, abs=0.01)
    assert english["byte_premium"] == units[GREEK]["byte_premium"]["value"] > 1.5
    assert dutch["byte_premium"] == pytest.approx(
        units[GREEK]["byte_premium"]["value"] / units[DUTCH]["byte_premium"]["value"]
    )
    assert set(english) == {*BYTE_COVARIATES, CONTAMINATION, "target", "source", "reasons"}
    # lang2vec is not among what tests may rely on: distances are numbers, or told to be missing.
    assert "lang2vec" in english["reasons"]["syntactic"]


def test_premiums_of_different_texts_are_not_compared(texts, tmp_path) -> None:
    pairs = {DUTCH: pairs_file(tmp_path, "one.jsonl"), GREEK: pairs_file(tmp_path, "two.jsonl")}
    _, _, rows = rows_of(texts, pairs)
    assert rows[GREEK, ENGLISH]["byte_premium"] is not None
    assert rows[GREEK, DUTCH]["byte_premium"] is None
    assert rows[GREEK, DUTCH]["reasons"]["byte_premium"] == (
        "the byte premiums of ell_Grek and nld_Latn are of different texts"
    )


def test_without_pairs_there_is_no_premium(texts) -> None:
    units, _, rows = rows_of(texts, {})
    assert units[GREEK]["byte_premium"] is None
    assert "byte_premium" not in rows[GREEK, ENGLISH]
    assert rows[GREEK, ENGLISH]["reasons"]["byte_premium"] == "no byte premium of ell_Grek"


def test_contamination_is_a_number_only_where_it_was_detected(texts) -> None:
    _, shares, rows = rows_of(texts, {})
    assert [(row["target"], row["source"]) for row in shares] == [
        (DUTCH, ENGLISH),
        (GREEK, ENGLISH),
        (GREEK, DUTCH),
    ]
    assert {row["identifier"] for row in shares} == {PY3LANGID.name}
    greek = rows[GREEK, ENGLISH][CONTAMINATION]
    assert greek == shares[1]["share"] == pytest.approx(8 / 64, abs=0.02)
    assert shares[1]["amount"] in shares[1]["described"]
    hidden = rows[GREEK, DUTCH]
    assert hidden[CONTAMINATION] is None
    assert hidden["reasons"][CONTAMINATION].startswith("under the detection limit, < ")
    assert shares[2]["share"] is not None
    for pair in ((DUTCH, DUTCH), (GREEK, "shuffled")):
        assert rows[pair]["reasons"][CONTAMINATION] == (
            "not measured in a control or in the target itself"
        )


def test_a_language_that_the_classifier_lacks_is_told(texts, monkeypatch) -> None:
    monkeypatch.setattr(
        "lingraft.pipelines.transfer_likeness.installed_identifier",
        lambda: PY3LANGID.__class__(
            "blind", PY3LANGID.identify, lambda lang: False, PY3LANGID.is_same
        ),
    )
    _, shares, rows = rows_of(texts, {})
    assert {row["identifier"] for row in shares} == {"blind"}
    assert CONTAMINATION not in rows[GREEK, ENGLISH]
    assert rows[GREEK, ENGLISH]["reasons"][CONTAMINATION] == "blind does not know ell_Grek"
