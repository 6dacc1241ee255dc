"""The report of a data transfer study: all of it shown, nothing asked for, no text as markup."""

import copy
import json
import re
import xml.etree.ElementTree as ElementTree

import pytest
from page_reading import PAYLOAD, Tags, assert_asks_for_nothing, assert_draws_alone, digest
from transfer_records import make_record

from lingraft.cli.report import report
from lingraft.errors import InputError
from lingraft.report.formatting import NO_VALUE
from lingraft.report.transfer import transfer_rows, write_transfer_report
from lingraft.report.transfer_tables import build_tables


def render(record, folder):
    write_transfer_report(record, folder / "report.html")
    return (folder / "report.html").read_text("utf-8")


@pytest.fixture
def record():
    return make_record()


def test_parts_and_arms_are_told_where_the_record_has_them(record, tmp_path):
    page = render(record, tmp_path)
    assert "What each part carried" not in page
    assert "vocabulary" not in page
    row = {
        "target": "nl",
        "source": "en",
        "part": "mlp",
        "treatment": "drawn anew",
        "data_finetuned_bytes": 30_000,
        "carried_bytes": -2_500.0,
        "censored": "at_least",
        "interval": [-4_000.0, None],
        "reason": "",
    }
    record["parts"] = [
        row,
        row | {"carried_bytes": None, "censored": None, "interval": None, "reason": "why not"},
    ]
    record["model"] |= {"arm": "bpe-4096", "num_ids": 4_096}
    record["cost"]["processed_flops"] = 6e15
    table = build_tables(record)["parts"]
    assert table.rows == (
        ("Dutch", "English", "mlp", "drawn anew", "30 kB", "≥ −2.5 kB", "−4 kB to …", ""),
        ("Dutch", "English", "mlp", "drawn anew", "30 kB", NO_VALUE, NO_VALUE, "why not"),
    )
    page = render(record, tmp_path)
    assert "What each part carried" in page
    assert "vocabulary bpe-4096, " in page
    assert "FLOPs" in page


def test_the_page_asks_for_nothing_and_runs_nothing(record, tmp_path):
    source = render(record, tmp_path)
    page = Tags(source)
    style = re.search("<style>(.*?)</style>", source, re.DOTALL)[1]
    assert page.policy == (
        f"default-src 'none'; style-src 'sha256-{digest(style)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    assert_asks_for_nothing(page)
    assert page.named("script") == []
    assert len(page.charts) == 1 + 2 + 1 + 1, "the map, two targets, the lines, one covariate"
    assert len(page.named("img")) == len(page.charts)
    for chart in page.charts:
        assert_draws_alone(chart)


def test_the_same_record_gives_the_same_bytes_and_is_left_alone(record, tmp_path):
    before = copy.deepcopy(record)
    source = render(record, tmp_path)
    assert record == before
    assert render(copy.deepcopy(record), tmp_path) == source


def hostile(record, text):
    """The record with `text` for each string that is no code: names, words, free keys."""
    record |= {
        "question": text,
        "scale": text,
        "names": dict.fromkeys(record["names"], text),
        "repairs": [text],
        "prediction": {text: text},
        "variance": {text: 0.5},
        "model": {"size": text, "num_parameters": 1},
    }
    record["units"]["nl"]["byte_premium"]["text"] = text
    for cell in record["transfers"]:
        cell |= {"source": text if cell["source"] == "code" else cell["source"], "reason": text}
        cell["signature"] = {text: text}
    record["sources"] = ["en", text]
    for run in record["losses"]:
        run |= {"seed": text, "trunk": text}
        run["init"] = text if run["init"] == "code" else run["init"]
    for row in record["similarity"]:
        row["source"] = text if row["source"] == "code" else row["source"]
        row[text] = row.pop("script_overlap")
    for row in record["associations"]:
        row |= {"covariate": text, "reason": text}
    for row in record["contamination"]:
        row["described"] = text
    for row in record["contamination"]:
        row |= {"amount": text, "identifier": text}
    for row in record["similarity"]:
        row["reasons"] = {text: text}
    for row in record["texts"]:
        row |= {"name": text, "side": text}
    record |= {"untested": {text: text}, "prediction_from_all": {text: text}}
    record["failures"] = [dict.fromkeys(("name", "evidence", "cause"), text)]
    return record


def test_no_text_of_a_record_becomes_markup(tmp_path):
    harmless = Tags(render(hostile(make_record(), "plain"), tmp_path))
    attacked_source = render(hostile(make_record(), PAYLOAD), tmp_path)
    attacked = Tags(attacked_source)
    assert [tag for tag, _ in attacked.tags] == [tag for tag, _ in harmless.tags]
    assert "<script" not in attacked_source
    assert attacked.text.count(PAYLOAD) > 100
    for chart in attacked.charts:
        ElementTree.fromstring(chart)


@pytest.mark.parametrize("name", ["a\x00\x1b[0m$x^$", "النص", "", "a\ud83dc" * 90])
def test_any_name_is_drawn(name, record, tmp_path):
    record["names"] |= {"nl": name, "en": name}
    for chart in Tags(render(record, tmp_path)).charts:
        ElementTree.fromstring(chart)


def test_missing_parts_are_told(record, tmp_path):
    record |= {
        "losses": [],
        "transfers": [],
        "repairs": [],
        "units": {},
        "texts": [],
        "similarity": [],
        "contamination": [],
        "tested_sources": [],
        "associations": [],
        "untested": {},
        "variance": None,
        "commutativity": [],
        "prediction": None,
        "prediction_from_all": None,
        "failures": [],
        "cost": {"processed_bytes": 5_000, "naive_bytes": None},
    }
    page = Tags(render(record, tmp_path))
    assert page.named("img") == []
    for line in (
        "No model was fine-tuned, so this record says nothing about transfer.",
        "No model was fine-tuned, so there is no map.",
        "No run from scratch was recorded, so there is no curve.",
        "No D_T has a value, so there is nothing to draw.",
        "Likeness was not measured.",
        "The variance of D_T was not split between targets and sources.",
        "No pair was measured in both directions.",
        "D_T was not predicted from bytes alone.",
        "Contamination was not measured.",
        "None fired.",
        "5 kB of target text were processed, pretraining not counted; the naive grid was not",
    ):
        assert line in page.text


def test_what_there_is_is_told(record, tmp_path):
    page = Tags(render(record, tmp_path))
    for line in (
        "1m model, 1,048,576 parameters",
        "Repaired curves. el: the loss from scratch does not fall with the size",
        "48 MB of target text were processed, pretraining not counted; the naive grid would take",
        "plain languages (English), each for targets other than itself",
        "test: 12 rows (3.4 kB) that stand in held-out text too removed",
        "whichever is larger. Lines were labelled by GlotLID.",
        "Prediction from bytes, typology and contamination",
        "No pair with a transfer has this number.",
        "the classifier has no class for it",
        "too few steps",
    ):
        assert line in page.text


@pytest.mark.parametrize(
    ("change", "expected", "got"),
    [
        (
            lambda record: record | {"format": "lingraft-factors-1"},
            "a whole record of format 'lingraft-transfer-1'",
            "'lingraft-factors-1', without nothing",
        ),
        (
            lambda record: {k: v for k, v in record.items() if k not in ("losses", "cost")},
            "a whole record of format 'lingraft-transfer-1'",
            "'lingraft-transfer-1', without cost, losses",
        ),
        (
            lambda record: record | {"failures": [{"name": "x", "cause": "y"}]},
            "entries with name, evidence, cause",
            "one without evidence",
        ),
        (
            lambda record: record | {"sources": ["en"]},
            "a source that the record lists: en",
            "'code'",
        ),
    ],
)
def test_other_records_are_refused(change, expected, got, record, tmp_path):
    for refuse in (lambda r: write_transfer_report(r, tmp_path / "x.html"), transfer_rows):
        with pytest.raises(InputError) as caught:
            refuse(change(record))
        assert (caught.value.expected, caught.value.got) == (expected, got)
    assert not (tmp_path / "x.html").exists()


@pytest.mark.parametrize("section", sorted(make_record().keys() - {"format"}))
def test_every_section_is_needed(section, record):
    del record[section]
    with pytest.raises(InputError) as caught:
        transfer_rows(record)
    assert caught.value.got == f"'lingraft-transfer-1', without {section}"


def test_the_verb_chooses_the_writer_by_the_format(record, tmp_path):
    out = tmp_path / "report.html"
    (tmp_path / "record.json").write_text(json.dumps(record))
    for run in (tmp_path, tmp_path / "record.json"):
        report(run=run, out=out)
        assert "lingraft · data transfer" in out.read_text("utf-8")
        out.unlink()
    (tmp_path / "record.json").write_text(json.dumps({"format": "lingraft-factors-1"}))
    with pytest.raises(InputError) as caught:
        report(run=tmp_path, out=out)
    assert caught.value.expected == "a whole record of format 'lingraft-factors-1'"
    (tmp_path / "record.json").write_text(json.dumps({"format": "unheard of"}))
    with pytest.raises(InputError) as caught:
        report(run=tmp_path, out=out)
    assert caught.value.expected == "a record of format 'lingraft-adaptation-1'"
