"""The report of a study of unification: every frame in the page, one script, nothing invented."""

import base64
import copy
import hashlib
import io
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.image import imread
from unification_records import (
    GRID,
    NUM_LAYERS,
    STEPS,
    make_cell,
    make_record,
    make_value,
    ratio_of,
)

from lingraft.errors import InputError
from lingraft.report import unification_figures
from lingraft.report.formatting import NO_VALUE
from lingraft.report.unification import write_unification_report
from lingraft.report.unification_answers import answers, verdict
from lingraft.report.unification_cells import cell_name, chosen_members, early_unification
from lingraft.report.unification_figures import SHADES
from lingraft.report.unification_frames import SIDE, build_films, film_steps
from lingraft.report.unification_tables import build_tables

PAYLOAD = "<script>alert(1)</script>\"'>&amp;{{ 7 * 7 }}$x^$"
WORST = {"informativeness": 1.0, "extractability": 1.0, "parallel_share": 0.0}


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

    def named(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]

    @property
    def charts(self):
        head = "data:image/svg+xml;base64,"
        return [a["src"].removeprefix(head) for a in self.named("img") if head in a["src"]]


def render(record, folder):
    write_unification_report(record, folder / "report.html")
    return (folder / "report.html").read_text("utf-8")


def digest(code):
    return base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()


def plain(text):
    return text.replace("\u00a0", " ")


def cell_at(record, axes):
    return next(cell for cell in record["cells"] if cell["axes"] == axes)


@pytest.fixture(scope="module")
def whole():
    return make_record()


@pytest.fixture
def record(whole):
    return copy.deepcopy(whole)


def small():
    """Two cells, one that fails, of one seed each."""
    return make_record(grid=[GRID[0], WORST], num_seeds=1, steps=(0, 400, 800))


@pytest.fixture(scope="module")
def source(whole, tmp_path_factory):
    return render(whole, tmp_path_factory.mktemp("page"))


@pytest.fixture
def charts(monkeypatch):
    """Makes the drawing functions return matplotlib figures, whose data can be read."""
    monkeypatch.setattr(unification_figures, "svg", lambda chart: chart)


# The page


def test_the_policy_lets_one_script_run_and_nothing_else(source):
    page = Tags(source)
    style = re.search("<style>(.*?)</style>", source, re.DOTALL)[1]
    [script] = re.findall("<script>(.*?)</script>", source, re.DOTALL)
    policy = next(attrs["content"] for attrs in page.named("meta") if "http-equiv" in attrs)
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digest(style)}'; "
        f"script-src 'sha256-{digest(script)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    for tag, attrs in page.tags:
        assert tag not in {"link", "iframe", "object", "embed", "base", "form"}
        assert "style" not in attrs, "the policy would ignore it"
        assert not any(name.startswith("on") for name in attrs)
        assert attrs.get("src", "data:").startswith("data:")
    assert page.named("script") == [{}]
    assert "url(" not in source
    for name in re.findall(r'getElementById\("(.*?)"\)', script):
        assert any(attrs.get("id") == name for _, attrs in page.tags)


def test_without_pictures_there_is_no_script_and_none_may_run(tmp_path):
    record = small()
    for member in record["members"]:
        member["pictures"] = []
    page = Tags(render(record, tmp_path))
    policy = next(attrs["content"] for attrs in page.named("meta") if "http-equiv" in attrs)
    assert "script-src" not in policy
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
        for element in ElementTree.fromstring(base64.b64decode(chart)).iter():
            assert not element.tag.endswith("}script")
            for name, value in element.attrib.items():
                assert not name.endswith("href") or value.startswith("#")


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
        ElementTree.fromstring(base64.b64decode(chart))


@pytest.mark.parametrize("name", ["a\x00\x1b[0m$x^$", "النص", "", "a\ud83dc" * 90])
def test_an_axis_of_any_name_is_drawn(name, tmp_path):
    charts = Tags(render(hostile(small(), name), tmp_path)).charts
    assert len(charts) == 4
    for chart in charts:
        ElementTree.fromstring(base64.b64decode(chart))


def test_missing_parts_are_told(record, tmp_path):
    record |= {key: [] for key in ("members", "cells", "acceptance", "phases", "subgrid")}
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


@pytest.mark.parametrize(
    ("change", "expected", "got", "where"),
    [
        (
            lambda record: record | {"format": "lingraft-factors-1"},
            "a whole record of format 'lingraft-unification-1'",
            "'lingraft-factors-1', without nothing",
            "record",
        ),
        (
            lambda record: {k: v for k, v in record.items() if k not in ("cells", "axes")},
            "a whole record of format 'lingraft-unification-1'",
            "'lingraft-unification-1', without axes, cells",
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
    assert caught.value.got == f"'lingraft-unification-1', without {section}"


# In words


def test_answers_name_where_transfer_fails_and_what_heals_it(whole):
    told = [plain(line) for line in answers(whole)]
    assert told == [
        "Each model was told facts in one language and asked in another it never saw them in: "
        "54 models in 18 cells of synthetic worlds that differ in informativeness ρ, "
        "extractability E and parallel share π.",
        "Transfer fails, with less than half of what is recalled in the told language, in "
        "1 of 18 cells: ρ 1, E 1, π 0 (0.12).",
        "It is whole, nine tenths or more, in 16 of 18 cells: ρ 0, E 1, π 0 (0.95); "
        "ρ 0, E 0, π 0 (0.96); ρ 0.5, E 0, π 0 (0.96); ρ 1, E 0, π 0 (0.96); "
        "ρ 0, E 0, π 0.1 (0.96); ρ 0.5, E 0, π 0.1 (0.96); and 10 more.",
        "Between these, or not told apart from them by its seeds: ρ 0.5, E 1, π 0 (0.70).",
        "From ρ 1, E 1, π 0 it heals with ρ 0, E 0.8 or π 0.1 alone, the rest as it was.",
        "Late repair: after recall was full, accuracy in the other language still rose in "
        "1 of 18 cells: ρ 1, E 1, π 0 (+0.24).",
        "Of the 4 claims put to the test, (i) and (iv) hold; (ii) does not hold; "
        "(iii) is undecided.",
    ]


def test_a_few_answers_more_at_the_ceiling_are_no_repair(whole):
    row = next(row for row in whole["phases"] if row["repair"]["interval"] is not None)
    for value, is_told in ((0.04, False), (0.06, True)):
        repair = {"value": value, "interval": [0.01, 0.2], "reason": ""}
        only = {**whole, "phases": [{**row, "repair": repair}]}
        assert any("Late repair" in line for line in answers(only)) == is_told


def test_answers_admit_what_cannot_be_said(record):
    for cell in record["cells"]:
        cell["values"]["transfer_ratio"] = make_value(None, reason="nothing is recalled")
    record["acceptance"] = record["acceptance"][:2]
    told = answers(record)
    assert told[1] == (
        "No cell has a transfer ratio (nothing is recalled), so nothing can be said."
    )
    assert told[2] == "Of the 2 claims put to the test, (i) holds; (ii) does not hold."
    assert len(told) == 3


def test_answers_of_one_seed_say_that_the_mean_decides():
    record = make_record(num_seeds=1)
    told = [plain(line) for line in answers(record)]
    assert "Where there is no interval over seeds, the mean alone decides." in told
    record["cells"] = [make_cell(WORST, 1), make_cell(WORST | {"extractability": 0.0}, ratio=0.6)]
    cell_at(record, WORST)["values"]["same_accuracy"] = make_value(0.75, 1)
    told = [plain(line) for line in answers(record)]
    assert "No change of one axis alone heals ρ 1, E 1, π 0 (0.12)." in told
    assert "In no cell is it whole, nine tenths or more." in told
    cell_at(record, WORST)["values"]["same_accuracy"] = make_value(0.25, 1)
    told = [plain(line) for line in answers(record)]
    assert told[1] == "In no cell does transfer fail: nowhere is the ratio told to be below 0.5."
    assert (
        "Less than half is recalled even in the told language, so that nothing can be said of "
        "transfer, in 1 of 2 cells: ρ 1, E 1, π 0 (0.12)."
    ) in told


@given(
    mean=st.floats(0, 1),
    below=st.floats(0, 0.3),
    above=st.floats(0, 0.3),
    has_interval=st.booleans(),
)
def test_a_verdict_is_that_of_every_ratio_in_the_interval(mean, below, above, has_interval):
    cell = make_cell(WORST)
    edges = (mean - below, mean + above) if has_interval else (None, None)
    cell["values"]["transfer_ratio"] |= {"mean": mean, "low": edges[0], "high": edges[1]}
    ratios = np.linspace(*edges, 7) if has_interval else [mean]
    single = {("fails" if r < 0.5 else "whole" if r >= 0.9 else "between") for r in ratios}
    ends = {"fails": {"fails"}, "whole": {"whole"}}
    assert verdict(cell) in ("fails", "whole", "between")
    for name, only in ends.items():
        assert (verdict(cell) == name) == (single == only)


def test_no_more_than_six_models_of_different_cells_are_chosen(record):
    chosen = chosen_members(record)
    assert len(chosen) == 6
    assert all(member["pictures"] for member in chosen)
    names = [cell_name(member["axes"]) for member in chosen]
    assert len(set(names)) == 6
    for member in record["members"]:
        member["pictures"] = []
    assert [m["axes"] for m in chosen_members(record)] == GRID[:6]
    assert {m["seed"] for m in chosen_members(record)} == {0}


def test_early_unification_is_that_of_the_first_half_recalled(record):
    member = record["members"][0]
    accuracies = [point["same_accuracy"] for point in member["curve"]]
    assert [accuracy >= 0.5 for accuracy in accuracies] == [False, False, True, True, True]
    member["curve"][2]["layers"]["by language"] = [{"unification": u} for u in (0.1, 0.2, 0.3)]
    assert early_unification(record, member) == 0.2
    for point in member["curve"]:
        point["same_accuracy"] = 0.49
    assert early_unification(record, member) is None


# Pictures


def test_a_checkerboard_is_drawn_pixel_by_pixel(whole):
    film = build_films(whole)[-1]
    member = chosen_members(whole)[-1]
    assert film.title == f"{cell_name(member['axes'])}; seed 0"
    for (step, pictures), recorded in zip(film.frames, member["pictures"], strict=True):
        assert step == recorded["step"]
        names = [picture.layer for picture in pictures]
        assert names == ["embeddings", "layer 1", "layer 2"]
        for picture, layer in zip(pictures, recorded["layers"], strict=True):
            png = base64.b64decode(picture.checkerboard.removeprefix("data:image/png;base64,"))
            pixels = imread(io.BytesIO(png))
            expected = SHADES((np.array(layer["checkerboard"]) + 1) / 2)
            assert np.abs(pixels - expected).max() <= 1 / 255


def test_components_keep_their_places_and_join_each_fact(record):
    member = chosen_members(record)[0]
    flat = member["pictures"][1]["layers"][0]["components"]
    flat |= {"a": [[1.0, 0.0], [0.0, 1.0]], "b": [[-1.0, 0.0], [0.0, -0.5]]}
    picture = build_films(record)[0].frames[1][1][0]
    assert SIDE == 100
    assert picture.languages == ("M94 50h0M50 6h0", "M6 50h0M50 72h0")
    assert [paths for _, *paths in picture.facts] == [
        ["M94 50h0M6 50h0", "M94 50L6 50"],
        ["M50 6h0M50 72h0", "M50 6L50 72"],
    ]
    assert picture.shares == "75 % across, 25 % up"
    assert build_films(record)[0].frames[0][1][0].shares == "all states are alike"


def test_models_looked_at_at_other_steps_share_the_slider(record):
    chosen = chosen_members(record)
    chosen[0]["pictures"] = chosen[0]["pictures"][:1]
    chosen[1]["pictures"][0]["step"] = 50
    assert film_steps(build_films(record)) == [0, 50, 100, 200, 400, 800]


# Figures


def texts(axes):
    return [text.get_text() for text in axes.texts]


def test_the_diagram_puts_each_ratio_in_its_place(record, charts):
    cell_at(record, WORST)["values"]["transfer_ratio"] = make_value(None, reason="x")
    record["cells"].remove(cell_at(record, GRID[0]))
    chart = unification_figures.draw_phase_diagram(record)
    assert [plain(axes.get_title()) for axes in chart.axes] == ["π 0", "π 0.1"]
    for axes, share in zip(chart.axes, (0.0, 0.1), strict=True):
        assert [t.get_text() for t in axes.get_xticklabels()] == ["0", "0.8", "1"]
        assert [t.get_text() for t in axes.get_yticklabels()] == ["0", "0.5", "1"]
        assert axes.get_xlabel() == "E, extractability"
        assert axes.get_ylabel() == "ρ, informativeness"
        large = {
            (int(text.get_position()[0]), int(text.get_position()[1])): text.get_text()
            for text in axes.texts
            if "–" not in text.get_text()[1:]
        }
        for y, rho in enumerate((0.0, 0.5, 1.0)):
            for x, cues in enumerate((0.0, 0.8, 1.0)):
                at = {"informativeness": rho, "extractability": cues, "parallel_share": share}
                absent = at in (WORST, GRID[0])
                assert large[x, y] == (NO_VALUE if absent else f"{ratio_of(at):.2f}")
    assert "0.69–0.71" in texts(chart.axes[0])


def test_the_diagram_of_fewer_axes_has_one_place_on_the_others(charts):
    record = make_record(grid=[WORST, WORST | {"informativeness": 0.0}])
    for cell in record["cells"]:
        cell["axes"] = {"informativeness": cell["axes"]["informativeness"]}
    [axes] = unification_figures.draw_phase_diagram(record | {"axes": ["informativeness"]}).axes
    assert [text for text in texts(axes) if "–" not in text] == ["0.95", "0.12"]
    assert axes.get_title() == ""


def test_curves_show_every_quantity_and_the_phases(record, charts):
    member = chosen_members(record)[0]
    member["curve"][1]["layers"]["together"] = [{"unification": None}] * NUM_LAYERS
    axes = unification_figures.draw_curves(record).axes[0]
    drawn = [np.array(line.get_ydata(), dtype=float) for line in axes.lines[:5]]
    curve = member["curve"]
    expected = [
        [point["same_accuracy"] for point in curve],
        [point["cross_accuracy"] for point in curve],
        [point["layers"]["by language"][1]["unification"] for point in curve],
        [point["layers"]["together"][1]["unification"] for point in curve],
        [point["language_probe"][1] for point in curve],
    ]
    np.testing.assert_array_equal(drawn, np.array(expected, dtype=float))
    assert list(axes.lines[0].get_xdata()) == list(STEPS)
    assert texts(axes) == ["S", "R", "F"]
    assert [line.get_xdata()[0] for line in axes.lines[-3:]] == [50.0, 150.0, 400.0]
    assert sum(type(patch).__name__ == "Rectangle" for patch in axes.patches) == 1
    record["phases"] = []
    axes = unification_figures.draw_curves(record).axes[0]
    assert texts(axes) == []
    assert not axes.patches


def test_early_unification_stands_against_the_ratio(record, charts):
    record["members"][0]["recall"]["transfer_ratio"]["value"] = None
    record["members"][1]["axes"] = {"value_overlap": 1.0}
    [axes] = unification_figures.draw_early(record).axes
    drawn = {tuple(map(float, point)) for line in axes.lines for point in line.get_xydata()}
    assert drawn == {
        (early_unification(record, member), member["recall"]["transfer_ratio"]["value"])
        for member in record["members"][2:]
    }
    assert [plain(line.get_label()) for line in axes.lines] == ["π 0", "π 0.1"]
    assert sum(len(line.get_xdata()) for line in axes.lines) == len(record["members"]) - 2


def test_the_correlation_of_the_claim_is_printed(source, tmp_path):
    record = small()
    assert "Rank correlation +0.77 (+0.55 to +0.91), of 17 cells." in Tags(source).text
    record["acceptance"][3]["found"] |= {"interval": None, "reason": "one cluster"}
    text = Tags(render(record, tmp_path)).text
    assert "Rank correlation +0.77 (no interval: one cluster), of 17 cells." in text
    record["acceptance"][3]["found"] |= {"rho": None, "reason": "x is constant"}
    text = Tags(render(record, tmp_path)).text
    assert "The rank correlation is undefined: x is constant." in text


def test_patching_is_the_mean_over_the_models_of_a_cell(record, charts):
    for seed, member in enumerate(record["members"][:3]):
        member["patching"][1] = {"same_fact_nats": float(seed), "stranger_nats": -3.0 * seed}
    axes = unification_figures.draw_patching(record).axes[0]
    means = [line.get_ydata() for line in axes.lines if line.get_linestyle() == "-"][1:]
    np.testing.assert_allclose(means, [[0.0, 1.0, -0.2], [0.0, -3.0, -4.0]])


# Tables


def test_tables_show_every_figure_with_its_interval(whole):
    tables = build_tables(whole)
    worst = tables["recall"].rows[[*GRID].index(WORST)]
    assert worst == (
        *("1", "1", "0", "3", "0.98 (0.96 to 0.99)", "0.12 (0.12 to 0.12)"),
        *("0.12 (0.12 to 0.13)", NO_VALUE, "150 (147 to 152)"),
    )
    assert tables["recall"].notes == ("wrong half, every cell: nothing is wrong",)
    assert tables["acceptance"].rows[1] == (
        *("(ii)", "claim (ii)", "wanted of (ii)", "−0.10", "−0.40 to +0.30", "0.0123", "17"),
        "does not hold",
    )
    assert tables["acceptance"].rows[2][3:] == (*[NO_VALUE] * 3, "17", "undecided")
    assert tables["acceptance"].notes == ("(iii): y is constant",)
    assert tables["information"].rows[-1] == (
        *("1", "1", "0.1", "3", "1.000", "1.090", "1.000", "0.875", "1.000"),
    )
    assert tables["knowledge"].rows[-1][4:] == (
        *("4.85 (4.75 to 4.90)", "970.0 (950.6 to 979.7)", "38.8 (38.0 to 39.2)"),
    )
    assert tables["states"].rows[0][4] == "0.77 (0.76 to 0.78)"
    assert tables["subgrid"].rows[1][:3] == ("0", "1", "3")
    assert len(tables["subgrid_states"].rows) == 4


def test_phases_are_steps_and_changes_and_the_outcome(whole):
    table = build_tables(whole)["phases"]
    assert table.rows[[*GRID].index(WORST)] == (
        *("1", "1", "0", "50 (40 to 60)", "60", "90", "150 (140 to 160)", "400"),
        *("−0.31 (−0.40 to −0.20)", "+0.24 (+0.10 to +0.40)", "separation"),
    )
    assert table.notes == ("late repair, in 17 of 18 cells: recall is never full",)


def test_few_cells_are_named_in_notes_and_bounds_are_told(record):
    record["members"][0]["effective_exposures"]["censored"] = "at_least"
    record["cells"][1]["values"]["transferred_bits"] = make_value(None, reason="no fact")
    notes = [plain(note) for note in build_tables(record)["knowledge"].notes]
    assert notes == [
        "bits transferred, in ρ 0, E 0.8, π 0: no fact",
        "effective exposures, in ρ 0, E 0, π 0: bounds in 1 of 3 runs",
    ]


def test_intervals_stand_below_their_figures(source):
    assert '<td class="n">0.70<small>0.69 to 0.71</small></td>' in source
    assert '<td class="n">60</td>' in source
