"""The page: asks nobody for anything, runs nothing, and says no as plainly as yes."""

import base64
import hashlib
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path

import pytest
from report_records import TOKENS, make_record, make_score

from lingraft.report import write_report

PAYLOAD = "<script>alert(1)</script>\"'>&amp;{{ 7 * 7 }}"
VOID = {"meta", "img", "br", "wbr", "link", "input", "hr", "rect"}


class Page(HTMLParser):
    """Every tag with its attributes, and every text with the elements that it stands in."""

    def __init__(self, source):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.texts = [], [], []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append((tag, dict(attrs)))

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open[-1][0] == tag
        self.open.pop()

    def handle_data(self, data):
        self.texts.append((data, tuple(self.open)))

    @property
    def text(self):
        return "".join(data for data, _ in self.texts)

    @property
    def shape(self):
        return [(tag, sorted(attrs)) for tag, attrs in self.tags]


def render(record, folder: Path) -> str:
    write_report(record, folder / "report.html")
    return (folder / "report.html").read_text("utf-8")


def with_every_string(value, text, keep=("format",)):
    """The record with each string, free keys included, replaced by `text`."""
    if isinstance(value, str):
        return text
    if isinstance(value, list):
        return [with_every_string(item, text) for item in value]
    if isinstance(value, dict):
        return {
            key: item
            if key in keep
            else {text: 7}
            if key in ("rejected", "by_rule", "by_depth", "orthography")
            else {text: text}
            if key in ("signature", "environment")
            else with_every_string(item, text)
            for key, item in value.items()
        }
    return value


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return render(make_record(), tmp_path_factory.mktemp("page"))


def test_every_element_is_closed(source):
    page = Page(source)
    assert not page.open
    assert page.tags[0][0] == "html"


def test_the_policy_forbids_every_request_and_allows_our_style(source):
    page = Page(source)
    policies = [
        attrs["content"]
        for tag, attrs in page.tags
        if tag == "meta" and attrs.get("http-equiv") == "Content-Security-Policy"
    ]
    style = re.search(r"<style>(.*?)</style>", source, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policies == [
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    ]
    head = source[: source.index("Content-Security-Policy")]
    assert not re.search("<(style|img|link)", head), "the policy must come before what it governs"


def test_the_page_holds_all_that_it_shows(source):
    for tag, attrs in Page(source).tags:
        assert tag not in {"script", "link", "iframe", "object", "embed", "base", "form"}
        assert "style" not in attrs, "the policy would ignore it"
        assert not any(name.startswith("on") for name in attrs)
        for name in ("src", "href", "srcset", "action", "poster"):
            assert attrs.get(name, "data:").startswith("data:")
    assert "url(" not in source
    assert "@import" not in source


def test_figures_are_well_formed_and_name_nothing_outside(source):
    images = [attrs["src"] for tag, attrs in Page(source).tags if tag == "img"]
    assert len(images) == 4
    for image in images:
        svg = base64.b64decode(image.removeprefix("data:image/svg+xml;base64,"))
        for element in ElementTree.fromstring(svg).iter():
            assert not element.tag.endswith("}script")
            for name, value in element.attrib.items():
                assert not name.endswith("href") or value.startswith("#")


def test_the_same_record_gives_the_same_bytes(source, tmp_path):
    assert render(make_record(), tmp_path) == source
    assert len(source.encode()) < 2_000_000


def test_no_text_of_a_record_becomes_markup(tmp_path):
    harmless = Page(render(with_every_string(make_record(), "plain"), tmp_path))
    attacked_source = render(with_every_string(make_record(), PAYLOAD), tmp_path)
    attacked = Page(attacked_source)
    assert attacked.shape == harmless.shape
    assert "<script" not in attacked_source
    assert attacked.text.count(PAYLOAD) > 50


@pytest.mark.parametrize("name", ["$x^$", "a\x00b", "\x1b[0m", "<&>", "النص"])
def test_a_rule_of_any_name_is_drawn(name, tmp_path):
    record = make_record()
    record["coverage"]["by_rule"] = {name: 3}
    images = [attrs for tag, attrs in Page(render(record, tmp_path)).tags if tag == "img"]
    rules = next(attrs["src"] for attrs in images if attrs["alt"].startswith("Rows by rule"))
    drawn = ElementTree.fromstring(base64.b64decode(rules.partition(",")[2]))
    shown = "".join(c for c in name if c.isprintable())
    assert shown in "".join(drawn.itertext())


def test_half_a_surrogate_pair_does_not_stop_the_report(tmp_path):
    record = make_record()
    record["continuations"][0]["adapted"] = "ab\ud83dcd"
    assert "ab\ufffdcd" in render(record, tmp_path)


@pytest.mark.parametrize(("tag", "text"), [("el", "Κάντε κλικ"), ("fa", "می‌خواهم این پرونده")])
def test_target_text_names_its_language_and_finds_its_direction(tag, text, tmp_path):
    record = make_record()
    record["target_lang"] |= {"tag": tag, "right_to_left": tag == "fa"}
    record["rows"][0]["token"] = text
    record["vocabulary"]["sentences"] = [
        {"text": text, "source_tokens": list(text), "target_tokens": [text]}
    ]
    record["continuations"] = [
        dict.fromkeys(("prompt", "reference", "source_model", "adapted"), text)
    ]
    page = Page(render(record, tmp_path))
    shown = text.replace(" ", "␣")
    places = [opened for data, opened in page.texts if data.strip() in (text, shown)]
    assert len(places) == 1 + 2 + 4
    for opened in places:
        assert any(attrs.get("lang") == tag and attrs.get("dir") == "auto" for _, attrs in opened)


def test_source_tokens_name_their_language(source):
    places = [opened for data, opened in Page(source).texts if data == "␣file"]
    assert places
    assert all(opened[-1][1]["lang"] == "en" for opened in places)
    assert all(f">{token.replace(' ', '␣')}<" in source for token in TOKENS)


@pytest.mark.parametrize("holds", [True, False, None])
def test_an_answer_looks_the_same_whichever_way_it_falls(holds, tmp_path):
    record = make_record()
    record["verdicts"] = [{"claim": "It works", "holds": holds, "detail": "1 against 2"}]
    word = {True: "holds", False: "does not hold", None: "undecided"}[holds]
    page = render(record, tmp_path)
    line = f'<li><b class="verdict">{word}</b><span>It works<small>1 against 2</small></span></li>'
    assert line in page
    counts = {
        True: "1 holds, 0 do not hold.",
        False: "0 hold, 1 does not hold.",
        None: "0 hold, 0 do not hold, 1 could not be decided.",
    }
    assert f"Of the 1 claim put to the test, {counts[holds]}" in page


def test_sections_stand_in_order(source):
    ids = [attrs["id"] for tag, attrs in Page(source).tags if tag == "section"]
    assert ids[:6] == ["answer", "table", "curves", "vocabulary", "rows", "coverage"]
    assert ids[6:] == ["forgetting", "continuations", "corpus", "stages", "inputs", "lineage"]
    assert "Only a figure below the n-grams counts as transfer." in source


def test_the_difference_of_the_two_readings_is_the_vocabulary_loss(source):
    assert "differ by <b>+0.930</b> bits per byte" in source
    assert ">+0.963<" in source
    assert ">+0.033<" in source


def test_every_score_shows_its_signature(source):
    page = Page(source)
    assert "27 scores: sums and signatures" in page.text
    assert "table › trans_tokenize › after_bytes" in page.text
    assert page.text.count("77aa01d9c3be") == 4


def test_a_poor_record_is_told_all_the_same(tmp_path):
    record = make_record()
    record |= {
        "table": [],
        "forgetting": None,
        "verdicts": [],
        "continuations": [],
        "stages": [],
        "warnings": [],
        "rows": [],
        "curves": [],
        "inputs": [],
    }
    record["floors"]["rows"] = []
    record["coverage"] |= {"by_rule": {}, "by_depth": {}}
    record["corpus"] |= {
        "rejected": {},
        "orthography": {},
        "language_check": {"share_expected": None, "known": False, "num_checked": 0},
    }
    text = Page(render(record, tmp_path)).text
    for line in (
        "No graft was among the models measured. No claim was put to the test.",
        "No curve was measured.",
        "Forgetting was not measured.",
        "The language identifier does not know Greek, so nothing was checked.",
    ):
        assert line in text


def test_a_graft_without_a_figure_is_admitted(tmp_path):
    record = make_record()
    record["table"][-1]["after_bytes"] = make_score(None, reason="it diverged")
    record["forgetting"]["after_new_vocabulary"] = make_score(None, reason="too long")
    text = Page(render(record, tmp_path)).text
    assert "After 50 kB of Greek text there is no figure for" in text
    assert "differ by" not in text


@pytest.mark.parametrize(
    ("licence", "barred"),
    [
        ("CC-BY-NC-4.0", True),
        ("cc by-nc-sa", True),
        ("for non-commercial use", True),
        ("NCSA", False),
        ("CC-BY-SA-4.0", False),
        (None, False),
    ],
)
def test_non_commercial_inputs_are_called_out(licence, barred, tmp_path):
    record = make_record()
    record["inputs"][1]["licence"] = licence
    assert ("Not for commercial use." in Page(render(record, tmp_path)).text) == barred
