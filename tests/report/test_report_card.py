"""The model card: metadata that a hub can read, licences that nobody can overlook."""

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from report_records import make_record

from lingraft.report import write_model_card
from lingraft.report.card import _literal, _text

HOSTILE = "a|b\n\n# c `d` <script>alert(1)</script> **e** [f](javascript:g) --- \\ 1. h"
markdown = MarkdownIt("commonmark", {"html": True}).enable("table")


def read(record, folder):
    write_model_card(record, folder / "README.md")
    card = (folder / "README.md").read_text("utf-8")
    _, front, body = card.split("---\n", 2)
    return yaml.safe_load(front), body


def test_the_front_matter_tells_a_hub_what_it_is(tmp_path):
    front, _ = read(make_record(), tmp_path)
    assert front == {
        "language": ["el", "en"],
        "base_model": "smollm2-135m",
        "license": "apache-2.0",
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["lingraft", "vocabulary-transfer"],
    }


@pytest.mark.parametrize(
    ("licence", "expected"),
    [
        (None, {}),
        ("unknown", {}),
        ("MIT", {"license": "mit"}),
        ("Our: own #1", {"license": "other", "license_name": "Our: own #1"}),
    ],
)
def test_the_licence_is_the_source_models_or_nothing(licence, expected, tmp_path):
    record = make_record()
    record["inputs"][0]["licence"] = licence
    front, _ = read(record, tmp_path)
    assert {key: front[key] for key in front if key.startswith("license")} == expected


def test_a_model_that_is_no_input_has_no_licence(tmp_path):
    record = make_record()
    record["inputs"][0]["name"] = "something else"
    assert "license" not in read(record, tmp_path)[0]


@pytest.mark.parametrize(("licence", "warned"), [("CC-BY-NC-4.0", True), ("CC-BY-4.0", False)])
def test_non_commercial_inputs_are_called_out(licence, warned, tmp_path):
    record = make_record()
    record["inputs"][1]["licence"] = licence
    _, body = read(record, tmp_path)
    line = "**Not for commercial use: the licence of LibreOffice help (CC-BY-NC-4.0) forbids it.**"
    assert (line in body) == warned
    assert ("Not for commercial use" in body) == warned


@pytest.mark.parametrize(("licence", "warned"), [("", True), (None, True), ("MPL-2.0", False)])
def test_licences_that_nobody_stated_are_called_out(licence, warned, tmp_path):
    record = make_record()
    record["inputs"][1]["licence"] = licence
    _, body = read(record, tmp_path)
    assert ("**Licence not stated: LibreOffice help." in body) == warned
    assert ("| LibreOffice help | not stated | LibreOffice 7.4 |" in body) == warned


def test_the_card_names_what_a_user_needs(tmp_path):
    _, body = read(make_record(), tmp_path)
    for line in (
        'folder = "smollm2-greek"',
        "trained it on 49.9 kB of Greek text",
        "| English after it, with the original rows put back | 0.944 (0.904–0.984) |",
        "(b): does not hold. 0.902 against 0.871 bits per byte",
        "**0.902 (0.872–0.932) ↓a**",
        "- The budget of 50 kB is 2 % of the text at hand.",
    ):
        assert line in body
    assert "/home/someone" not in body


def test_forgetting_that_was_not_measured_is_not_claimed(tmp_path):
    record = {**make_record(), "forgetting": None}
    assert "## What it forgot of English\n\nNot measured." in read(record, tmp_path)[1]


def test_text_of_a_record_stays_text(tmp_path):
    record = make_record()
    shape = [token.type for token in markdown.parse(read(record, tmp_path)[1])]
    for key in ("source_model", "model_path"):
        record[key] = HOSTILE
    for side in ("source_lang", "target_lang"):
        record[side] |= {"name": HOSTILE}
    for arm in record["table"]:
        arm["label"] = HOSTILE
    for item in record["inputs"]:
        item |= {"name": HOSTILE, "origin": HOSTILE}
    for verdict in record["verdicts"]:
        verdict |= {"claim": HOSTILE, "detail": HOSTILE}
    record["forgetting"]["text"] = HOSTILE
    record["warnings"] = [HOSTILE]
    front, body = read(record, tmp_path)
    assert front["base_model"] == " ".join(HOSTILE.split())
    assert [token.type for token in markdown.parse(body)] == shape
    page = markdown.render(body)
    assert "<script" not in page
    assert 'href="' not in page


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=40))
@settings(max_examples=300)
def test_escaped_text_reads_as_it_was_written(text):
    expected = " ".join(text.split())
    tokens = markdown.parse(f"- {_text(text)}")
    assert [token.type for token in tokens if token.type.endswith("_open")] in (
        ["bullet_list_open", "list_item_open", "paragraph_open"],
        ["bullet_list_open", "list_item_open"],
    )
    inline = next((token for token in tokens if token.type == "inline"), None)
    children = inline.children if inline else []
    assert all(child.type in ("text", "text_special") for child in children)
    assert "".join(child.content for child in children) == expected


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=40))
def test_a_quoted_text_is_the_same_in_yaml_and_python(text):
    expected = " ".join(text.split())
    assert eval(_literal(text)) == expected
    assert yaml.safe_load(_literal(text)) == expected
