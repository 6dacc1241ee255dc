"""The table: one truth for page, card and terminal; marks that claim no more than was measured."""

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_records import make_record, make_score

from lingraft.errors import InputError
from lingraft.report import render_table, write_model_card, write_report

GRAFT = 4  # its line in the table, headers being line 0
values = st.floats(0.5, 2.5).map(lambda value: round(value, 4))


def graft_after(record):
    return record["table"][GRAFT - 1]["after_bytes"]


def test_headers_arms_and_floors_stand_in_order():
    table = render_table(make_record())
    assert table[0] == ["", "before training", "after 50 kB", "after 34 s"]
    assert [row[0] for row in table[1:]] == [
        "source model, its own vocabulary",
        "new vocabulary, random rows",
        "new vocabulary, mean row",
        "new vocabulary, carried over by alignment",
        "uniform over the new vocabulary",
        "unigram counts, (a) of 49.9 kB",
        "unigram counts, (b) of 5.59 MB",
        "Kneser-Ney trigram counts, (a) of 49.9 kB",
        "Kneser-Ney trigram counts, (b) of 5.59 MB",
    ]


def test_figures_carry_interval_bias_and_marks():
    table = render_table(make_record())
    assert table[1][1:] == [
        "2.184 (2.154–2.214)",
        "1.121 (1.091–1.151)",
        "1.110 (1.080–1.140)",
    ]
    assert table[GRAFT][1:] == [
        "1.183 (1.153–1.213); with unigram bias 1.051 (1.021–1.081) ↓a; "
        "calibrated rows 1.071 (1.041–1.101)",
        "0.902 (0.872–0.932) ↓a",
        "0.891 (0.861–0.921)",
    ]
    assert table[5][1:] == ["1.413 (1.383–1.443)", "", ""]
    assert table[9][1:] == ["", "0.871 (0.841–0.901)", ""]


@given(graft=values, unigram_a=values, trigram_a=values, unigram_b=values, trigram_b=values)
def test_a_mark_means_below_every_ngram_of_that_floor(
    graft, unigram_a, trigram_a, unigram_b, trigram_b
):
    record = make_record()
    record["table"][GRAFT - 1]["after_bytes"] = make_score(graft)
    _, unigram, trigram = record["floors"]["rows"]
    unigram["a"], unigram["b"] = make_score(unigram_a), make_score(unigram_b)
    trigram["a"], trigram["b"] = make_score(trigram_a), make_score(trigram_b)
    cell = render_table(record)[GRAFT][2]
    assert ("↓a" in cell) == (graft < min(unigram_a, trigram_a))
    assert ("↓b" in cell) == (graft < min(unigram_b, trigram_b))


@pytest.mark.parametrize("change", ["data", "bytes"])
def test_a_figure_of_another_text_is_never_marked(change):
    record = make_record()
    assert "↓a" in render_table(record)[GRAFT][2]
    if change == "data":
        graft_after(record)["signature"]["data"] = "another"
    else:
        graft_after(record)["denominator"] += 1
    assert render_table(record)[GRAFT][2] == "0.902 (0.872–0.932)"


@pytest.mark.parametrize("lost", [None, make_score(None, reason="a token is unknown")])
def test_no_mark_where_one_ngram_floor_is_unknown(lost):
    record = make_record()
    record["floors"]["rows"][1]["a"] = lost
    table = render_table(record)
    assert table[6][2] == "–"
    assert not any("↓a" in cell for row in table for cell in row)


def test_an_undefined_score_is_a_dash_and_its_reason_is_told(tmp_path):
    record = make_record()
    record["table"][0]["after_bytes"] = make_score(None, reason="the tokenizer loses <UNK>")
    record["table"][1]["after_bytes"] = None
    table = render_table(record)
    assert table[1][2] == table[2][2] == "–"
    write_report(record, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text("utf-8")
    assert '<span class="none" title="the tokenizer loses &lt;UNK&gt;">–</span>' in page
    assert '<span class="none" title="not measured">–</span>' in page
    note = "source model, its own vocabulary, after 50 kB: the tokenizer loses &lt;UNK&gt;"
    assert f"<li>{note}</li>" in page
    write_model_card(record, tmp_path / "README.md")
    assert f"- {note}" in (tmp_path / "README.md").read_text("utf-8")


def test_page_card_and_table_show_the_same_figures(tmp_path):
    record = make_record()
    write_report(record, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text("utf-8")
    main = page[page.index('<table class="main">') : page.index("</table>")]
    write_model_card(record, tmp_path / "README.md")
    card = (tmp_path / "README.md").read_text("utf-8")
    for header, *row in zip(*render_table(record), strict=True):
        assert header in main
        assert header in card
        for cell in row:
            assert cell in card
            for number in re.findall(r"\d+\.\d{3}", cell):
                assert number in main
    in_page = re.findall(r"\d\.\d{3}", html.unescape(main))
    in_table = re.findall(r"\d\.\d{3}", str(render_table(record)))
    assert sorted(in_page) == sorted(in_table)


def test_a_label_stays_on_its_line():
    record = make_record()
    record["table"][0]["label"] = "two\n lines"
    assert render_table(record)[1][0] == "two lines"


@pytest.mark.parametrize("write", [write_report, write_model_card])
def test_a_record_of_another_format_is_refused(write, tmp_path):
    record = {**make_record(), "format": "lingraft-adaptation-0"}
    with pytest.raises(InputError) as caught:
        write(record, tmp_path / "out")
    assert caught.value.expected == "a record of format 'lingraft-adaptation-1'"
    assert caught.value.got == "'lingraft-adaptation-0'"
    assert not (tmp_path / "out").exists()


def test_missing_sections_are_named():
    record = make_record()
    del record["floors"], record["curves"]
    with pytest.raises(InputError) as caught:
        render_table(record)
    assert caught.value.got == "a record without curves, floors"
