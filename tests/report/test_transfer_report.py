"""The report of a data transfer study: bounds told as bounds, nothing hidden, nothing asked for."""

import base64
import copy
import hashlib
import json
import math
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transfer_records import SIZES, loss_of, make_record

from lingraft.cli.report import report
from lingraft.errors import InputError
from lingraft.report import transfer_figures, transfer_heat_map
from lingraft.report.formatting import NO_VALUE
from lingraft.report.transfer import (
    answers,
    pair_sentences,
    transfer_rows,
    write_transfer_report,
)
from lingraft.report.transfer_amounts import signed_bytes, span
from lingraft.report.transfer_tables import build_tables

PAYLOAD = "<script>alert(1)</script>\"'>&amp;{{ 7 * 7 }}$x^$"


class Tags(HTMLParser):
    """Every tag with its attributes, and all text."""

    def __init__(self, source):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    @property
    def images(self):
        return [attrs["src"] for tag, attrs in self.tags if tag == "img"]


def render(record, folder):
    write_transfer_report(record, folder / "report.html")
    return (folder / "report.html").read_text("utf-8")


def svg_of(image):
    return base64.b64decode(image.removeprefix("data:image/svg+xml;base64,"))


def cell_of(record, target, source, size):
    return next(
        cell
        for cell in record["transfers"]
        if (cell["target"], cell["source"], cell["data_finetuned_bytes"]) == (target, source, size)
    )


@pytest.fixture
def record():
    return make_record()


@pytest.fixture
def charts(monkeypatch):
    """Makes the drawing functions return matplotlib figures, whose data can be read."""
    monkeypatch.setattr(transfer_figures, "svg", lambda chart: chart)
    monkeypatch.setattr(transfer_heat_map, "svg", lambda chart: chart)


def texts(axes):
    return [text.get_text() for text in axes.texts]


def lines(axes):
    return [np.array(line.get_xydata(), dtype=float) for line in axes.lines]


def joined(line):
    return line.get_linestyle() != "None"


# The page


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
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = next(attrs["content"] for tag, attrs in page.tags if "http-equiv" in attrs)
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    for tag, attrs in page.tags:
        assert tag not in {"script", "link", "iframe", "object", "embed", "base", "form"}
        assert "style" not in attrs
        assert not any(name.startswith("on") for name in attrs)
        assert attrs.get("src", "data:").startswith("data:")
    assert len(page.images) == 1 + 2 + 1 + 1, "the map, two targets, the lines, one covariate"
    for image in page.images:
        for element in ElementTree.fromstring(svg_of(image)).iter():
            assert not element.tag.endswith("}script")
            for name, value in element.attrib.items():
                assert not name.endswith("href") or value.startswith("#")


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
    record["failures"] = [dict.fromkeys(("name", "evidence", "cause"), text)]
    return record


def test_no_text_of_a_record_becomes_markup(tmp_path):
    harmless = Tags(render(hostile(make_record(), "plain"), tmp_path))
    attacked_source = render(hostile(make_record(), PAYLOAD), tmp_path)
    attacked = Tags(attacked_source)
    assert [tag for tag, _ in attacked.tags] == [tag for tag, _ in harmless.tags]
    assert "<script" not in attacked_source
    assert attacked.text.count(PAYLOAD) > 100
    for image in attacked.images:
        ElementTree.fromstring(svg_of(image))


@pytest.mark.parametrize("name", ["a\x00\x1b[0m$x^$", "النص", "", "a\ud83dc" * 90])
def test_any_name_is_drawn(name, record, tmp_path):
    record["names"] |= {"nl": name, "en": name}
    for image in Tags(render(record, tmp_path)).images:
        ElementTree.fromstring(svg_of(image))


def test_missing_parts_are_told(record, tmp_path):
    record |= {
        "losses": [],
        "transfers": [],
        "repairs": [],
        "units": {},
        "similarity": [],
        "contamination": [],
        "associations": [],
        "variance": None,
        "commutativity": [],
        "prediction": None,
        "failures": [],
        "cost": {"processed_bytes": 5_000, "naive_bytes": None},
    }
    page = Tags(render(record, tmp_path))
    assert page.images == []
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
        "5 kB of text were processed; the naive grid was not counted.",
    ):
        assert line in page.text


def test_what_there_is_is_told(record, tmp_path):
    page = Tags(render(record, tmp_path))
    for line in (
        "1m model, 1,048,576 parameters",
        "Repaired curves. el: the loss from scratch does not fall with the size",
        "48 MB of text were processed; the naive grid would take 96 MB.",
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


# Words and tables


@given(st.integers(1, 10**12))
def test_a_minus_is_all_that_a_sign_changes(num_bytes):
    assert signed_bytes(-num_bytes) == "−" + signed_bytes(num_bytes)
    assert span([-num_bytes, None]) == f"−{signed_bytes(num_bytes)} to …"
    assert span([None, num_bytes]) == f"… to {signed_bytes(num_bytes)}"


def test_rows_show_every_number_and_mark_every_bound(record):
    headers, *rows = transfer_rows(record)
    assert headers[:6] == ["target", "source", "D_F", "D_T", "95 % interval", "D_E"]
    assert rows[1] == [
        *("Dutch", "English", "30 kB", "120 kB", "90 kB to 165 kB", "150 kB", "80 %", "5.00", ""),
    ]
    assert rows[4][3:8] == ["≥ 0 B", "−200 kB to …", "≥ 1 MB", "≥ 0 %", "≥ 1.00"]
    assert rows[4][8] == "a bound: the loss is better than the curve’s best"
    assert rows[5][3:8] == ["≤ 30 kB", "… to 39 kB", "≤ 30 kB", "≤ 100 %", "–"]
    assert rows[16][4] == "–"
    assert rows[16][8] == "no kind of run has several seeds"
    for row, cell in zip(rows, record["transfers"], strict=True):
        mark = {None: "", "at_least": "≥", "at_most": "≤"}[cell["censored"]]
        assert re.match("[≥≤]?", row[3])[0] == mark


def test_units_of_content_and_characters(record):
    rows = build_tables(record)["content"].rows
    assert rows[1][3:] == ("120 kB", "120,000", "96 kB", "")
    assert rows[9][3:] == ("−10 kB", "−10,000", "−8 kB", "")
    assert rows[10][3:] == ("≤ 30 kB", "≤ 17,143", "–", "no parallel text, so no byte premium")
    del record["units"]["nl"]
    row = build_tables(record)["content"].rows[1]
    assert row[4:] == ("–", "–", "the target’s bytes per character are not recorded")


def test_losses_by_byte_and_by_character(record):
    row = build_tables(record)["means"].rows[4]
    nats = math.exp(np.mean(np.log(loss_of("el", 30_000) * np.array([0.99, 1.0, 1.01]))))
    expected = [
        nats / math.log(2),
        1.75 * nats / math.log(2),
        math.exp(nats),
        math.exp(1.75 * nats),
    ]
    assert row[:4] == ("Greek", "scratch", "30 kB", "3")
    assert row[4:] == tuple(f"{value:.3f}" for value in expected)


def test_a_share_under_the_limit_is_only_a_limit(record):
    rows = build_tables(record)["contamination"].rows
    assert [row[2] for row in rows] == ["0.5 %", "< 0.1 %", "–"]


def test_a_pooled_test_is_called_no_evidence(record):
    rows = build_tables(record)["associations"].rows
    assert rows[0][1:] == ("30 kB", "0.80", "0.034", "4", "")
    assert rows[1][2:] == ("–", "–", "3", "3 cells of 2 targets")
    record["associations"][2]["reason"] = "two cells"
    assert build_tables(record)["associations"].rows[2][5] == "two cells"
    assert rows[2][1:] == (
        *("pooled", "0.41", "0.0021", "16"),
        "all sizes; no evidence, for both grow with the size",
    )


def test_parts_without_a_number_are_dashes_with_their_reason(record):
    tables = build_tables(record)
    assert tables["variance"].rows == (
        *(("target", "62 %"), ("source", "–"), ("num cells", "4"), ("reason", "one source")),
    )
    assert tables["prediction"].rows[2] == ("wins", "no")
    assert tables["commutativity"].rows == (("Dutch", "Greek", "−4 kB", "12 kB", "–"),)
    record["variance"]["reason"] = ""
    assert len(build_tables(record)["variance"].rows) == 3


def test_answers_tell_gain_loss_and_nothing(record):
    assert answers(record) == [
        "Pretraining on English was worth 700 kB (500 kB to …) of Dutch beside 300 kB of "
        "fine-tuning text, the most that was seen.",
        "The most harmful: pretraining on code was worth −300 kB (−440 kB to −90 kB) of Greek "
        "beside 1 MB of fine-tuning text.",
        "Cells: 16, of which gains, their whole interval above 0: 4; losses, below 0: 2; not told "
        "from 0, which their interval contains: 9; without an interval: 1. Bounds instead of "
        "values: 2.",
        "Nothing that this study can show (every interval contains 0): English → Greek.",
    ]
    for cell in record["transfers"]:
        cell |= {"interval": None, "reason": "one seed"}
    told = answers(record)
    assert told[0] == "In no cell does the whole interval of D_T lie above 0."
    assert len(told) == 2
    assert "without an interval: 16" in told[1]


@given(
    st.none() | st.integers(-(10**6), 10**6),
    st.none() | st.integers(-(10**6), 10**6),
)
def test_only_an_interval_off_zero_tells_anything(low, high):
    if low is not None and high is not None and low > high:
        low, high = high, low
    record = make_record()
    cell = cell_of(record, "nl", "en", 30_000)
    record["transfers"] = [cell | {"interval": [low, high]}]
    told = " ".join(answers(record))
    assert ("was worth 120 kB" in told and "the most that" in told) == (low is not None and low > 0)
    assert ("most harmful" in told) == (high is not None and high < 0)
    assert ("Nothing that this study can show" in told) == (
        (low is None or low <= 0) and (high is None or high >= 0)
    )


def test_every_pair_is_told_in_words_bounds_as_bounds(record):
    cell_of(record, "el", "code", 1_000_000)["data_transferred_bytes"] = None
    cell_of(record, "el", "code", 1_000_000)["reason"] = "it diverged"
    told = pair_sentences(record)
    assert told[0] == (
        "English → Dutch: 45 kB (36 kB to 58.5 kB) without text of the target; "
        "120 kB (90 kB to 165 kB) beside 30 kB; 320 kB (236 kB to 446 kB) beside 100 kB; "
        "700 kB (500 kB to …) beside 300 kB; "
        "at least 0 B (−200 kB to …), not told from 0, beside 1 MB."
    )
    assert told[3].startswith(
        "code → Greek: at most 30 kB (… to 39 kB), not told from 0, without text of the target; "
        "0 B (no interval: no kind of run has several seeds) beside 30 kB; "
    )
    assert told[3].endswith("; undefined (it diverged) beside 1 MB.")


# Figures


@pytest.mark.usefixtures("charts")
def test_the_map_prints_each_cell_and_hatches_bounds(record):
    record["transfers"].remove(cell_of(record, "el", "code", 100_000))
    (axes,) = transfer_heat_map.draw_heat_map(record).axes
    shown = {text.get_position(): text.get_text() for text in axes.texts}
    assert shown[0.5, 0.5] == "120 kB\n90 kB\nto 165 kB"
    assert shown[3.5, 0.5] == "≥ 0 B\n−200 kB\nto …"
    assert shown[4.5, 1.5] == "0 B\nno interval"
    assert shown[5.5, 1.5] == "–"
    hatched = {patch.get_xy() for patch in axes.patches if patch.get_hatch()}
    assert hatched == {(3, 0), (3, 1)}
    faces = {patch.get_xy(): patch.get_facecolor() for patch in axes.patches if patch.get_fill()}
    (gain_red, _, gain_blue, _), (loss_red, _, loss_blue, _) = faces[2, 0], faces[7, 1]
    assert gain_blue > gain_red
    assert loss_red > loss_blue
    assert [label.get_text() for label in axes.get_yticklabels()] == ["Dutch", "Greek"]
    sizes = [label.get_text() for label in axes.get_xticklabels()]
    assert sizes == ["30 kB", "100 kB", "300 kB", "1 MB"] * 2


@pytest.mark.usefixtures("charts")
def test_many_sources_stand_in_bands(record):
    record["sources"] = [f"s{number}" for number in range(5)]
    first = [cell for cell in record["transfers"] if cell["source"] == "en"]
    record["transfers"] = [cell | {"source": s} for s in record["sources"] for cell in first]
    bands = transfer_heat_map.draw_heat_map(record).axes
    assert [len(axes.get_xticks()) for axes in bands] == [8, 8, 4]
    record["sources"] = ["s0"]
    record["transfers"] = [cell | {"source": "s0"} for cell in first[:2]]
    chart = transfer_heat_map.draw_heat_map(record)
    assert chart.get_figwidth() < 5, "no empty columns"


@pytest.mark.usefixtures("charts")
def test_inversions_run_to_the_curve_and_drop_to_the_effective_size(record):
    panels = transfer_figures.draw_scratch_curves(record, "nl").axes
    assert [axes.get_title() for axes in panels] == ["English", "code"]
    for source, axes in zip(("en", "code"), panels, strict=True):
        curve, points = lines(axes)[:2]
        expected = {(s, loss_of("nl", s) * f / math.log(2)) for s in SIZES for f in (0.99, 1, 1.01)}
        assert points[np.lexsort(points.T[::-1])] == pytest.approx(np.array(sorted(expected)))
        drawn = [xy for xy, line in zip(lines(axes), axes.lines, strict=True) if joined(line)][1:]
        assert len(drawn) == 2 * len((0, *SIZES))
        for size, level, drop in zip((0, *SIZES), drawn[::2], drawn[1::2], strict=True):
            cell = cell_of(record, "nl", source, size)
            end, loss = level[1]
            assert size == 0 or level[0, 0] == size
            assert level[0, 1] == loss
            assert end == cell["data_effective_bytes"]
            assert drop.tolist() == [[end, loss], [end, axes.get_ylim()[0]]]
            on_curve = math.exp(np.interp(math.log(end), np.log(curve[:, 0]), np.log(curve[:, 1])))
            side = {None: 0, "at_least": -1, "at_most": 1}[cell["censored"]]
            assert np.sign(round(math.log(loss / on_curve), 2)) == side
    assert [texts(axes).count("→") for axes in panels] == [1, 0]
    assert [texts(axes).count("←") for axes in panels] == [0, 1]
    assert all("no text" in texts(axes) for axes in panels)


@pytest.mark.usefixtures("charts")
def test_a_curve_that_rises_is_drawn_as_it_was_repaired(record):
    for run in record["losses"]:
        if run["init"] == "scratch" and run["dataset_bytes"] == 300_000:
            run["nats_per_byte"] *= 1.5
    axes = transfer_figures.draw_scratch_curves(record, "nl").axes[0]
    assert (np.diff(lines(axes)[0][:, 1]) <= 1e-12).all()


@pytest.mark.usefixtures("charts")
def test_a_curve_without_fine_tuned_models_is_drawn_alone(record):
    record["losses"] = [run for run in record["losses"] if run["init"] == "scratch"]
    (axes,) = transfer_figures.draw_scratch_curves(record, "nl").axes
    assert len(lines(axes)) == 2


@pytest.mark.usefixtures("charts")
def test_lines_show_values_intervals_and_open_ends(record):
    dutch, greek = transfer_figures.draw_transfer_lines(record).axes
    values = [cell_of(record, "nl", "en", size)["data_transferred_bytes"] for size in SIZES]
    drawn = next(xy for xy in lines(dutch) if len(xy) == 4)
    assert drawn[:, 1].tolist() == values
    bars = {tuple(xy[:, 1]) for xy in lines(dutch) if len(xy) == 2 and xy[0, 0] == xy[1, 0]}
    assert (90_000, 165_000) in bars
    assert (500_000, 700_000) in bars, "from the low end to the value, then an arrow"
    decades = [10_000 * 10**number for number in range(3)]
    assert dutch.get_yticks().tolist() == [*(-x for x in reversed(decades)), 0, *decades]
    assert texts(dutch) == ["↑", "↑", "↑"], "300 kB and 1 MB of English, 1 MB of code"
    assert texts(greek) == ["↑"]
    cell_of(record, "el", "code", 300_000).update(interval=[None, -40_000], censored="at_most")
    assert sorted(texts(transfer_figures.draw_transfer_lines(record).axes[1])) == ["↑", "↓"]
    hollow = [line for line in dutch.lines if line.get_markerfacecolor() == "white"]
    assert len(hollow) == 1


@pytest.mark.usefixtures("charts")
def test_correlations_stand_within_each_size(record):
    panels = transfer_figures.draw_correlations(record, "script_overlap").axes
    assert [axes.get_title() for axes in panels] == [
        "D_F = 30 kB: ρ = 0.80, p = 0.034",
        "D_F = 100 kB: no test, see the table",
        "D_F = 300 kB: not tested",
        "D_F = 1 MB: not tested",
    ]
    points = sorted(tuple(xy[0]) for xy in lines(panels[0])[1:])
    assert points == [(0.2, 0.0), (0.21, 3_000.0), (0.8, 8_000.0), (0.97, 120_000.0)]
    assert texts(panels[3]) == ["↑", "↑"]
    assert transfer_figures.draw_correlations(record, "divergence") is None
