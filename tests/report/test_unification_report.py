"""The report of a study of unification: every frame in the page, one script, nothing invented."""

import copy
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from page_reading import PAYLOAD, Tags, assert_asks_for_nothing, assert_draws_alone, digest
from unification_records import GRID, NUM_LAYERS, STEPS, WORST, make_cell, make_record

from lingraft.errors import InputError
from lingraft.report.unification import write_unification_report

PARTS = ("members", "cells", "acceptance", "phases", "subgrid", "subgrid_acceptance")


def render(record, folder):
    write_unification_report(record, folder / "report.html")
    return (folder / "report.html").read_text("utf-8")


@pytest.fixture
def record():
    return make_record()


def small():
    """Two cells, one that fails, of one seed each."""
    return make_record(grid=[GRID[0], WORST], num_seeds=1, steps=(0, 400, 800))


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return render(make_record(), tmp_path_factory.mktemp("page"))


def test_the_policy_lets_one_script_run_and_nothing_else(source):
    page = Tags(source)
    style = re.search("<style>(.*?)</style>", source, re.DOTALL)[1]
    [script] = re.findall("<script>(.*?)</script>", source, re.DOTALL)
    assert page.policy == (
        f"default-src 'none'; style-src 'sha256-{digest(style)}'; "
        f"script-src 'sha256-{digest(script)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    assert_asks_for_nothing(page)
    assert page.named("script") == [{}]
    assert "url(" not in source
    for name in re.findall(r'getElementById\("(.*?)"\)', script):
        assert any(attrs.get("id") == name for _, attrs in page.tags)


def test_without_pictures_there_is_no_script_and_none_may_run(tmp_path):
    record = small()
    for member in record["members"]:
        member["pictures"] = []
    page = Tags(render(record, tmp_path))
    assert "script-src" not in page.policy
    assert page.named("script") == []
    assert page.named("input") == []
    assert "No model’s states were kept for pictures." in page.text
    assert "runs no script" in page.text


def test_every_frame_is_in_the_page_and_the_first_alone_shows(source):
    page = Tags(source)
    frames = [attrs for attrs in page.named("div") if "data-step" in attrs]
    assert len(frames) == 6 * len(STEPS)
    for number, attrs in enumerate(frames):
        assert attrs["data-step"] == str(STEPS[number % len(STEPS)])
        assert ("hidden" in attrs) == (number % len(STEPS) > 0)
    boards = [a for a in page.named("img") if a["src"].startswith("data:image/png")]
    assert len(boards) == 6 * len(STEPS) * NUM_LAYERS
    [slider] = page.named("input")
    assert slider["data-steps"] == "0 100 200 400 800"
    assert (slider["min"], slider["max"], slider["value"]) == ("0", "4", "0")
    assert "hidden" in next(a for a in page.named("p") if a.get("id") == "slider")
    assert "only the first checkpoint is shown" in page.text


def test_figures_are_well_formed_and_name_nothing_outside(source):
    charts = Tags(source).charts
    assert len(charts) == 4
    for chart in charts:
        assert_draws_alone(chart)


def test_the_same_record_gives_the_same_bytes_and_is_left_alone(record, source, tmp_path):
    before = copy.deepcopy(record)
    assert render(record, tmp_path) == source
    assert record == before


def test_the_page_stays_small_with_all_that_is_pictured(tmp_path):
    grid = [axes for axes in GRID if axes["extractability"] != 0.8][:6]
    record = make_record(grid=grid, steps=tuple(range(12)), num_layers=4, num_facts=12, num_seeds=1)
    generator = np.random.default_rng(1)
    for member in record["members"]:
        for picture in member["pictures"]:
            for layer in picture["layers"]:  # noise is what compresses worst
                layer["checkerboard"] = generator.uniform(-1, 1, (24, 24)).round(2).tolist()
    page = render(record, tmp_path)
    assert page.count("data:image/png") == 6 * 12 * 4
    assert len(page.encode()) < 3_000_000


def hostile(record, text):
    """The record with `text` for each string that is no code, one axis included."""
    record |= {"question": text, "scale": text, "model": {text: text}}
    for part in ("members", "cells", "phases", "subgrid"):
        for row in record[part]:
            axes = row["axes"]
            axes[text] = text
    record["axes"] = [text, record["axes"][1], text]  # ticks and titles
    for cell in record["cells"]:
        cell["values"]["transfer_ratio"] |= {"reason": text}
        cell["values"]["wrong_half_rate"] |= {"reason": text}
    for row in record["acceptance"]:
        row |= {"claim": text, "wanted": text}
        row["found"] |= {"reason": text}
    for row in record["phases"]:
        row["outcome"] = text
        row["repair"] |= {"reason": text}
    for member in record["members"]:
        member["seed"] = text
        member["information"]["reason"] = text
    return record


def test_no_text_of_a_record_becomes_markup(tmp_path):
    harmless = Tags(render(hostile(small(), "plain"), tmp_path))
    attacked_source = render(hostile(small(), PAYLOAD), tmp_path)
    attacked = Tags(attacked_source)
    assert [tag for tag, _ in attacked.tags] == [tag for tag, _ in harmless.tags]
    assert attacked_source.count("<script") == 1
    assert attacked.text.count(PAYLOAD) > 50
    for chart in attacked.charts:
        ElementTree.fromstring(chart)


@pytest.mark.parametrize("name", ["a\x00\x1b[0m$x^$", "النص", "", "a\ud83dc" * 90])
def test_an_axis_of_any_name_is_drawn(name, tmp_path):
    charts = Tags(render(hostile(small(), name), tmp_path)).charts
    assert len(charts) == 4
    for chart in charts:
        ElementTree.fromstring(chart)


def test_missing_parts_are_told(record, tmp_path):
    record |= {key: [] for key in PARTS}
    page = Tags(render(record | {"axes": []}, tmp_path))
    assert page.named("img") == []
    for line in (
        "No cell was measured, so nothing can be said about transfer.",
        "No claim was put to the test.",
        "No cell was measured, so there is no diagram.",
        "No checkpoint was looked at, so there are no curves.",
        "Phases were not looked for.",
        "No model has both, so there is nothing to draw.",
        "Their rank correlation was not tested.",
        "No state was patched.",
    ):
        assert line in page.text


def test_a_poor_record_is_told_all_the_same(tmp_path):
    record = make_record(grid=[WORST], num_seeds=1, steps=(800,))
    for member in record["members"]:
        member["patching"] = []
        member["effective_exposures"] = {"value": None, "reason": "one checkpoint is no curve"}
        member["recall"]["transfer_ratio"]["value"] = None
    record["cells"][0]["values"] = {}
    page = Tags(render(record, tmp_path))
    assert "No cell has a transfer ratio (not in the record), so nothing can be said." in page.text
    assert "that differ in no axis" in page.text
    assert "transfer ratio, every cell: not in the record" in page.text
    assert "No model has both, so there is nothing to draw." in page.text


def test_the_correlation_of_the_claim_is_printed(source, tmp_path):
    record = small()
    assert (
        "Rank correlation +0.77 (+0.55 to +0.91), over 17 cells. "
        "Over 51 single models: +0.39 (+0.55 to +0.91)."
    ) in Tags(source).text
    record["acceptance"][3]["found"] |= {"interval": None, "reason": "one cluster"}
    text = Tags(render(record, tmp_path)).text
    assert "Rank correlation +0.77 (no interval: one cluster), over 17 cells." in text
    record["acceptance"][3]["found"] |= {"rho": None, "reason": "x is constant"}
    text = Tags(render(record, tmp_path)).text
    assert "The rank correlation is undefined: x is constant." in text


def test_intervals_stand_below_their_figures(source):
    assert '<td class="n">0.70<small>0.69 to 0.71</small></td>' in source
    assert '<td class="n">60</td>' in source


@pytest.mark.parametrize(
    ("change", "expected", "got", "where"),
    [
        (
            lambda record: record | {"format": "lingraft-factors-1"},
            "a whole record of format 'lingraft-unification-2'",
            "'lingraft-factors-1', without nothing",
            "record",
        ),
        (
            lambda record: {k: v for k, v in record.items() if k not in ("cells", "axes")},
            "a whole record of format 'lingraft-unification-2'",
            "'lingraft-unification-2', without axes, cells",
            "record",
        ),
        (
            lambda record: record | {"subgrid": [make_cell({}, ratio=1), {"axes": {}}]},
            "entries with axes, num_seeds, values",
            "one without num_seeds, values",
            "record, subgrid[1]",
        ),
    ],
)
def test_other_records_are_refused(change, expected, got, where, record, tmp_path):
    with pytest.raises(InputError) as caught:
        write_unification_report(change(record), tmp_path / "x.html")
    assert (caught.value.expected, caught.value.got) == (expected, got)
    assert caught.value.where == where
    assert not (tmp_path / "x.html").exists()


@pytest.mark.parametrize("section", sorted(make_record(grid=GRID[:1]).keys() - {"format"}))
def test_every_section_is_needed(section, record, tmp_path):
    del record[section]
    with pytest.raises(InputError) as caught:
        write_unification_report(record, tmp_path / "x.html")
    assert caught.value.got == f"'lingraft-unification-2', without {section}"
