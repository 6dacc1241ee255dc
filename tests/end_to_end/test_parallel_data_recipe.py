"""The study of parallel data at its smallest: a random model made on the spot, few pairs."""

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from lingraft import study
from lingraft.errors import InputError
from lingraft.runtime import Runtime
from lingraft.study import Artifact, Plan, Store

RECIPE = Path(__file__).parents[2] / "recipes" / "parallel_data.py"
FACTORS = (
    "controls",
    "size",
    "noise",
    "kind",
    "domain",
    "sources",
    "cleaning",
    "language",
    "training",
    "lasting",
    "objective",
)


class Notes(study.NullProgress):
    """What was told of each job."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        """Keeps a line."""
        self.lines.append(text)


class Rows(HTMLParser):
    """The number of rows of each section's tables, and everything that a page could load."""

    def __init__(self) -> None:
        super().__init__()
        self.section, self.rows = "", dict[str, int]()
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Counts."""
        found = dict(attrs)
        if tag == "section":
            self.section = found["id"] or ""
        if tag == "tr":
            self.rows[self.section] = self.rows.get(self.section, 0) + 1
        links = [found.get("src"), found.get("href")]
        self.loads += [link for link in links if link and not link.startswith("#")]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Store, Artifact]:
    """The recipe's plan at `tiny`, its store and its report."""
    plan = study.plan_recipe(RECIPE, "tiny")
    store = Store(tmp_path_factory.mktemp("runs") / "store")
    return plan, store, study.run(plan, store=store, runtime=Runtime(1))["report"]


@pytest.fixture(scope="module")
def record(ran: tuple[Plan, Store, Artifact]) -> dict[str, Any]:
    """What the report was made of."""
    found: dict[str, Any] = json.loads((ran[2].path / "record.json").read_text("utf-8"))
    return found


def test_every_level_of_every_factor_has_its_figures(record: dict[str, Any]) -> None:
    assert tuple(factor["name"] for factor in record["factors"]) == FACTORS
    for factor in record["factors"]:
        for level in factor["levels"]:
            condition = level["condition"]
            assert 2 < level["before"]["value"] < 9
            assert 0 <= level["row_coverage"] <= 1
            assert level["change"]["value"] is not None
            trained = condition["part"] is not None
            calibrated = trained and condition["objective"] != "masked"
            assert (level["after"] is not None) == trained
            assert (level["calibrated"] is not None) == calibrated
            aligned = condition["method"] == "trans_tokenize" and condition["sources"] == "first"
            assert (level["disagreement"] is not None) == aligned


def level_of(record: dict[str, Any], factor: str, label: str) -> dict[str, Any]:
    levels = next(f["levels"] for f in record["factors"] if f["name"] == factor)
    found: dict[str, Any] = next(level for level in levels if level["label"] == label)
    return found


def test_the_levels_are_what_their_labels_say(record: dict[str, Any]) -> None:
    base = level_of(record, "size", "300 pairs, trans_tokenize")
    few = level_of(record, "size", "100 pairs, trans_tokenize")
    assert base["change"]["value"] == 0
    assert (few["num_pairs"], base["num_pairs"]) == (100, 300)
    assert few["disagreement"]["value"] > base["disagreement"]["value"] > 0
    assert few["row_coverage"] < base["row_coverage"]
    random = level_of(record, "controls", "no pairs, random")
    assert random["row_coverage"] == 0
    dirty = level_of(record, "cleaning", "cleaned by links")["cleaning"]
    assert dirty["num_removed_spoilt"] > 10 * (dirty["num_removed"] - dirty["num_removed_spoilt"])
    both = level_of(record, "sources", "mean of both languages' rows")
    assert both["cosine"] > both["cosine_of_others"]
    assert both["num_pairs"] == 2 * level_of(record, "sources", "English alone")["num_pairs"] == 600
    other = level_of(record, "domain", "as many of another domain")
    assert other["num_pairs"] == 51
    for part in ("embeddings", "edges", "all", "adapters"):
        trained = level_of(record, "training", f"{part}, rate 0.001")
        assert trained["after"]["value"] < trained["calibrated"]["value"]


def test_floors_stand_beside_the_figures(record: dict[str, Any]) -> None:
    floors = {(floor["language"], floor["model"]): floor for floor in record["floors"]}
    assert set(floors) == {
        ("Dutch", "given model"),
        ("Dutch", "tiny causal model"),
        ("Turkish", "given model"),
    }
    rows = floors["Dutch", "given model"]["rows"]
    assert rows["unigram (b)"]["value"] < rows["uniform (b)"]["value"]
    pieces = level_of(record, "controls", "no pairs, pieces")["before"]["value"]
    assert rows["rows from source pieces, no pairs"]["value"] == pieces


def test_the_page_shows_all_of_it_and_loads_nothing(
    ran: tuple[Plan, Store, Artifact], record: dict[str, Any]
) -> None:
    page = (ran[2].path / "report.html").read_text("utf-8")
    parser = Rows()
    parser.feed(page)
    for factor in record["factors"]:
        assert parser.rows[factor["name"]] == 1 + len(factor["levels"])
    assert parser.loads == []
    assert "<script" not in page
    assert 'content="default-src &#39;none&#39;' in page


def test_the_same_again_does_no_work(ran: tuple[Plan, Store, Artifact]) -> None:
    plan, store, report = ran
    assert study.plan_recipe(RECIPE, "tiny").targets == plan.targets
    notes = Notes()
    again = study.run(plan, store=store, runtime=Runtime(1), progress=notes)["report"]
    assert again.path == report.path
    assert len(notes.lines) == len(plan.order)
    assert all("done before" in line for line in notes.lines)


def test_a_factor_alone_shares_the_store(ran: tuple[Plan, Store, Artifact]) -> None:
    plan, store, _ = ran
    alone = study.plan_recipe(RECIPE, "tiny", {"only": "noise"})
    rows = alone.describe(store)
    assert len(rows) < len(plan.order) / 3
    assert [row.name for row in rows if not row.done] == ["report"]


def test_a_factor_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match="only: expected factors among controls, size") as caught:
        study.plan_recipe(RECIPE, "tiny", {"only": "noise,luck"})
    assert caught.value.got == "luck"


def test_own_files_take_the_place_of_the_samples(tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("two cats\tdaou gazh\n" * 3, encoding="utf-8")
    settings = {"to": "br", "text": str(pairs.with_suffix(".txt")), "pairs": str(pairs)}
    pairs.with_suffix(".txt").write_text("daou gazh\n", encoding="utf-8")
    plan = study.plan_recipe(RECIPE, "tiny", {**settings, "only": "size,language"})
    assert {
        job.arguments["target_lang"] for job in plan.order if "target_lang" in job.arguments
    } == {"bre_Latn"}
    with pytest.raises(InputError, match="second_pairs: expected pairs with Indonesian"):
        study.plan_recipe(RECIPE, "tiny", {**settings, "only": "sources"})
