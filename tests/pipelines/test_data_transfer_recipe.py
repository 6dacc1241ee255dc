"""The recipe of data transfer: it plans at every scale, and takes arms, sizes and hubs."""

import re
from pathlib import Path
from typing import Any

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
def test_the_recipe_plans_at_every_scale(tmp_path: Path, scale: str) -> None:
    recipe = load_recipe(RECIPE)
    plan = plan_recipe(RECIPE, scale)
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
    assert sizes["bytes"] == [0, 30_000, 100_000]
    assert 60_000 < sizes["content"][1] < 70_000
    with pytest.raises(InputError, match="equal: expected bytes, or content") as caught:
        plan_recipe(RECIPE, "paper", {"equal": "content"})
    assert caught.value.got == "content with other text"


def test_the_recipe_names_the_hubs() -> None:
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
    assert more.arguments["config"] == "en-multi"
    assert more.arguments["num_bytes"] * recipe.SOURCE_SHARE > 9_000_000_000
    plan = plan_recipe(RECIPE, "paper", {"hub": "fineweb-2", "targets": "nl", "sources": "en"})
    fetched = {j.name: j.arguments for j in plan.order if j.name.startswith("hub-")}
    assert fetched["hub-eng_Latn"]["dataset"] == "HuggingFaceFW/fineweb"
    assert fetched["hub-nld_Latn"]["config"] == "nld_Latn"
    with pytest.raises(InputError, match="hub: expected one of fineweb-2, mc4, got 'pile'"):
        plan_recipe(RECIPE, "paper", {"hub": "pile"})


def test_the_papers_scale_streams_or_reads_a_whole_folder(texts: Path) -> None:
    plan = plan_recipe(RECIPE, "paper")
    fetched = {job.name: job.arguments["config"] for job in plan.order if "hub-" in job.name}
    assert len(fetched) == 10
    # Not the codes of our languages: Chinese there is cmn_Hani.
    assert [fetched[f"hub-{code}"] for code in ("fin_Latn", "zho_Hans", "kor_Kore")] == [
        "fin_Latn",
        "cmn_Hani",
        "kor_Hang",
    ]
    with pytest.raises(InputError, match="source_bytes: expected at most 5 bytes"):
        plan_recipe(RECIPE, "paper", {"texts": str(texts)})
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


@pytest.mark.parametrize("scale", ["tiny", "laptop", "paper"])
def test_every_size_has_the_steps_that_its_text_is_worth(scale: str) -> None:
    recipe = load_recipe(RECIPE)
    settings, smallest = recipe.SETTINGS[scale], min(recipe.SIZES[scale][0])
    best = settings.best_loss
    assert best.warmup_bytes <= smallest * 2 / 3
    if scale != "tiny":
        # The paper gave its smallest size 120 steps: a curve of steps, not of text.
        assert best.max_epochs * smallest / settings.batch_bytes >= 300
        assert smallest / settings.batch_bytes >= 15
        # Where an epoch is long it has several evaluations, so that patience may end a run in it.
        assert best.evaluations_per_epoch > 1


def test_the_papers_sizes_are_six_for_both_kinds_of_weights() -> None:
    scratch, finetuned = load_recipe(RECIPE).SIZES["paper"]
    assert finetuned == (0, *scratch)
    assert len(scratch) == 6


def test_sources_without_a_part_may_be_controls() -> None:
    plan = plan_recipe(RECIPE, "tiny", {"sources": "code/mlp,code/frozen:layers:0-1"})
    assert {x.arguments["reset"] for x in runs_of(plan)} == {None, "mlp"}
    assert {x.arguments["frozen"] for x in runs_of(plan)} == {None, "layers:0-1"}


def test_amounts_have_units() -> None:
    plan = plan_recipe(RECIPE, "tiny", {"source_bytes": "9kB"})
    [pretrained] = [job for job in plan.order if job.name == "pretrained-eng_Latn"]
    assert pretrained.arguments["num_bytes"] == 9_000


@pytest.mark.parametrize(
    ("settings", "expected", "got", "where"),
    [
        (
            {"scratch_sizes": "2kB,4kB,300MB"},
            r"at most \d+ bytes, all that nld_Latn has for either side",
            "300000000 bytes",
            "scratch_sizes",
        ),
        (
            {"finetuned_sizes": "0,30MB"},
            r"at most \d+ bytes, all that nld_Latn",
            "30000000 bytes",
            "finetuned_sizes",
        ),
        (
            {"source_bytes": 10**8},
            r"at most \d+ bytes, all that eng_Latn",
            "100000000 bytes",
            "source_bytes",
        ),
        (
            {"finetuned_sizes": -5},
            "bytes such as 150kB, 2MB or 1MiB",
            "'-5'",
            "amount of bytes",
        ),
        ({"scratch_seeds": 0}, "at least 1", "0", "scratch_seeds"),
        ({"scratch_seeds": "two"}, "a whole number or null", "'two'", "setting scratch_seeds"),
        ({"finetuned_seeds": 0}, "at least 1", "0", "finetuned_seeds"),
        ({"source_bytes": 0}, "at least 1", "0", "source_bytes"),
        ({"rule": "foo"}, "one of log-log, power, linear, published", "'foo'", "setting rule"),
        ({"equal": "words"}, "one of bytes, content", "'words'", "setting equal"),
        ({"one_pass": "True"}, "true or false", "'True'", "setting one_pass"),
        ({"tokenizer": "bpe:100"}, "at least 259 ids", "bpe-100", "tokenizer"),
        ({"sources": "en/foo"}, "one of the parts embeddings, .*", "'foo'", "part"),
        ({"sources": "en/frozen:layers:7-9"}, "one of the parts", "'layers:7-9'", "part"),
        ({"sources": "en,eng"}, "one or more, each once", "eng_Latn twice", "sources"),
        ({"targets": "nl,el,nl"}, "one or more, each once", "nld_Latn twice", "targets"),
    ],
)
def test_what_could_only_fail_later_is_refused(
    settings: dict[str, Any], expected: str, got: str, where: str
) -> None:
    with pytest.raises(InputError) as caught:
        plan_recipe(RECIPE, "tiny", settings)
    assert re.match(expected, caught.value.expected)
    assert caught.value.got == got
    assert caught.value.where.endswith(where)


def test_one_size_may_stand_alone_for_pretrained_weights() -> None:
    for given in (4_000, 0):
        plan = plan_recipe(RECIPE, "tiny", {"finetuned_sizes": given})
        sizes = {x.arguments["num_bytes"] for x in runs_of(plan) if x.arguments["source"]}
        assert sizes == {given}
