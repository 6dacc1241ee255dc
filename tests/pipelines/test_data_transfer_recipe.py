"""The recipe of data transfer: it plans at every scale, and takes arms, sizes and hubs."""

from pathlib import Path

import pytest
from transfer_study_cases import runs_of

from lingraft.corpus import samples
from lingraft.errors import InputError
from lingraft.languages import Language
from lingraft.study import Store, load_recipe, plan_recipe

RECIPE = Path(__file__).parents[2] / "recipes" / "data_transfer.py"


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """A folder with text of every language of the scale `paper`, under long and short codes."""
    folder = tmp_path / "texts"
    folder.mkdir()
    for tag in ("eng_Latn", "ru", "zh", "ara", "de", "es", "fi", "id", "ja", "ko"):
        for part in samples.SPLITS:
            (folder / f"{tag}.{part}.txt").write_text("text\n", encoding="utf-8")
    return folder


@pytest.mark.parametrize("scale", ["tiny", "laptop", "paper"])
def test_the_recipe_plans_at_every_scale(texts: Path, tmp_path: Path, scale: str) -> None:
    recipe = load_recipe(RECIPE)
    settings = {"texts": str(texts)} if scale == "paper" else {}
    plan = plan_recipe(RECIPE, scale, settings)
    assert plan.tree(Store(tmp_path / "store"))
    scratch, finetuned = recipe.SIZES[scale]
    num_sources = len(recipe.SOURCES[scale].split(","))
    num_targets = len(recipe.TARGETS[scale].split(","))
    most = recipe.MOST_SEEDED_BYTES[scale]
    num_scratch = sum(recipe.SCRATCH_SEEDS[scale] if size <= most else 1 for size in scratch)
    assert len(runs_of(plan)) == num_targets * (num_scratch + len(finetuned) * num_sources)
    assert {x.arguments["size"] for x in runs_of(plan)} == {recipe.MODELS[scale]}


def test_the_recipe_takes_sizes() -> None:
    chosen = {"scratch_sizes": "1kB,2kB,4kB", "finetuned_sizes": "0,1kB", "targets": "el"}
    plan = plan_recipe(RECIPE, "tiny", chosen)
    sizes = {(x.arguments["source"] is None, x.arguments["num_bytes"]) for x in runs_of(plan)}
    assert sizes == {(True, 1_000), (True, 2_000), (True, 4_000), (False, 0), (False, 1_000)}


def test_the_recipe_takes_arms() -> None:
    plan = plan_recipe(RECIPE, "tiny", {"tokenizer": "bytes,bpe:300/flops"})
    assert set(plan.targets) == {"report-bytes", "report-bpe-300-flops", "arms"}


def test_the_recipe_weighs_content_by_the_bundled_translations(tmp_path: Path) -> None:
    plans = {
        equal: plan_recipe(RECIPE, "laptop", {"targets": "nl,el", "equal": equal})
        for equal in ("bytes", "content")
    }
    sizes = {
        equal: sorted(
            {
                j.arguments["num_bytes"]
                for j in plan.order
                if j.name.endswith("-ell_Grek") and j.name.startswith("run-eng")
            }
        )
        for equal, plan in plans.items()
    }
    assert sizes["bytes"] == [0, 30_000, 100_000, 300_000]
    assert 60_000 < sizes["content"][1] < 70_000
    with pytest.raises(InputError, match="equal: expected bytes, or content") as caught:
        plan_recipe(RECIPE, "laptop", {"equal": "words"})
    assert caught.value.got == "words with bundled text"


def test_the_recipe_names_the_hubs(texts: Path) -> None:
    plan = plan_recipe(RECIPE, "paper", {"hub": "mc4", "targets": "ar", "sources": "en"})
    fetched = {j.name: j.arguments for j in plan.order if j.name.startswith("hub-")}
    assert fetched[f"hub-{Language.parse('ar')}"]["config"] == "ar"
    recipe = load_recipe(RECIPE)
    for arguments in fetched.values():  # each side of the pages is enough for its runs
        share = recipe.SOURCE_SHARE
        assert arguments["num_bytes"] * share > recipe.SOURCE_BYTES["paper"]
        assert arguments["num_bytes"] * (1 - share) > recipe.SIZES["paper"][0][-1]
    chosen = {"hub": "mc4", "targets": "ar", "sources": "en", "source_bytes": 9_000_000_000}
    more = next(j for j in plan_recipe(RECIPE, "paper", chosen).order if j.name == "hub-eng_Latn")
    assert more.arguments["num_bytes"] * recipe.SOURCE_SHARE > 9_000_000_000
    plan = plan_recipe(RECIPE, "paper", {"hub": "fineweb-2", "targets": "nl", "sources": "en"})
    fetched = {j.name: j.arguments for j in plan.order if j.name.startswith("hub-")}
    assert fetched["hub-eng_Latn"]["dataset"] == "HuggingFaceFW/fineweb"
    assert fetched["hub-nld_Latn"]["config"] == "nld_Latn"
    with pytest.raises(InputError, match="hub: expected one of fineweb-2, mc4, got 'pile'"):
        plan_recipe(RECIPE, "paper", {"hub": "pile"})


def test_the_papers_scale_streams_or_reads_a_whole_folder(texts: Path) -> None:
    assert any(job.name == "hub-fin_Latn" for job in plan_recipe(RECIPE, "paper").order)
    (texts / "zh.valid.txt").unlink()
    with pytest.raises(InputError) as caught:
        plan_recipe(RECIPE, "paper", {"texts": str(texts)})
    assert caught.value.expected.startswith("a file zho_Hans.valid")
    assert (caught.value.got, caught.value.where) == ("none", str(texts))


def test_a_language_that_is_not_bundled_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        plan_recipe(RECIPE, "tiny", {"targets": "sw"})
    assert caught.value.expected.startswith("one of en, ")
    assert caught.value.got.startswith("sw")
    assert caught.value.where == "languages of the bundled text"
