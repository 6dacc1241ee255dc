"""The stages of the study of parallel data, and the plan that puts them together."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_models import english_tokenizer

from lingraft.alignment import Links, align
from lingraft.alignment.tables import TranslationTable
from lingraft.corpus import Document, Pair, Pairs, samples
from lingraft.embeddings import EmbeddingMatrix, Origin
from lingraft.errors import InputError
from lingraft.files import read_json
from lingraft.languages import Language
from lingraft.measurement import Score, bits_per_byte
from lingraft.model import CausalScorer, load
from lingraft.model.masked_scoring import MaskedScorer
from lingraft.pipelines import factors
from lingraft.pipelines.condition_figures import FigureSettings, condition_floors, measure_rows
from lingraft.pipelines.condition_record import difference, verdict
from lingraft.pipelines.condition_rows import (
    compare_rows,
    condition_links,
    condition_rows,
    sum_tables,
)
from lingraft.pipelines.conditions import (
    DICTIONARY,
    Condition,
    clean_corpus,
    condition_corpus,
    link_scores,
    make_dictionary,
    read_probe,
    spoil,
)
from lingraft.pipelines.corpora import corpus_pairs, prepare_corpus, write_pairs
from lingraft.pipelines.parallel_data import (
    LanguageFiles,
    StudyInputs,
    TinyModels,
    study_plan,
)
from lingraft.pipelines.tiny_models import make_tiny_model
from lingraft.pipelines.vocabularies import load_rows, new_tokenizer
from lingraft.runtime import Runtime
from lingraft.study import NullProgress, Plan, Store
from lingraft.tokenizer import Tokenizer

ENGLISH, GREEK = Language.parse("en"), Language.parse("el")
CODES = {"source_lang": str(ENGLISH), "target_lang": str(GREEK)}
ONE = Runtime(num_threads=1, device="cpu", precision="float32")
SETTINGS = FigureSettings(num_bytes=1_000, batch_bytes=500, num_calibration_rows=2)


def folder(path: Path) -> Path:
    path.mkdir(parents=True)
    return path


@pytest.fixture(scope="module")
def corpus(greek: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared corpus of 600 Greek pairs, ten of them held out."""
    out = tmp_path_factory.mktemp("corpus")
    prepare_corpus(
        text=[greek["text"]],
        pairs=[[greek["pairs"]]],
        dictionary=None,
        test=None,
        valid=None,
        num_held_out=5,
        normalization=[],
        seed=0,
        out=out,
        **CODES,
    )
    return out


@pytest.fixture
def make_condition(corpus: Path, tmp_path: Path) -> Callable[..., Path]:
    """Makes a condition's corpus; what is not said is as in the base."""
    number = 0

    def make(**changes: Any) -> Path:
        nonlocal number
        number += 1
        out = folder(tmp_path / f"condition-{number}")
        settings: dict[str, Any] = {
            "other_pairs": None,
            "dictionary": None,
            "kind": "parallel",
            "num_pairs": None,
            "noise": 0.0,
            "untranslated": 0.0,
            "num_probe": 50,
            "seed": 0,
        } | changes
        condition_corpus(corpus=corpus, out=out, **CODES, **settings)
        return out

    return make


def links_of(condition: Path, out: Path, **changes: Any) -> Path:
    settings: dict[str, Any] = {"gold": None, "method": "hmm", "stems": (), "seed": 0} | changes
    condition_links(corpus=condition, out=folder(out), runtime=ONE, **CODES, **settings)
    return out


def ids(pairs: Pairs) -> list[str]:
    return [pair.id for pair in pairs]


@given(
    st.integers(0, 30), st.floats(0, 1), st.floats(0, 1), st.integers(0, 3), st.integers(0, 1 << 30)
)
def test_spoiling_changes_the_shares_that_were_asked_for(
    num: int, noise: float, untranslated: float, num_words: int, seed: int
) -> None:
    untranslated = min(untranslated, 1 - noise)
    pairs = [Pair(f"s{n}", f"t{n}", str(n)) for n in range(num)]
    changed, spoilt = spoil(pairs, noise=noise, untranslated=untranslated, seed=seed)
    shuffled = [p.id for p in changed if p.target not in (f"t{p.id}", p.source)]
    copied = [p.id for p in changed if p.target == p.source]
    wanted = round(noise * num)
    assert len(shuffled) == (wanted if wanted > 1 else 0), "one alone has no other to swap with"
    assert len(copied) == min(round(untranslated * num), num - wanted)
    assert spoilt == {*shuffled, *copied}
    assert [(p.id, p.source) for p in changed] == [(p.id, p.source) for p in pairs]
    of_shuffled = {f"t{n}" for n in shuffled}
    assert {p.target for p in changed if p.id in shuffled} == of_shuffled


def test_smaller_conditions_are_parts_of_larger_ones_and_the_probe_is_in_none(
    corpus: Path, make_condition: Callable[..., Path]
) -> None:
    whole, some, few = (make_condition(num_pairs=num) for num in (None, 200, 50))
    found = [corpus_pairs(path, ENGLISH, GREEK) for path in (whole, some, few)]
    assert ids(found[1])[:50] == ids(found[2])
    assert ids(found[0])[:200] == ids(found[1])
    probe = read_probe(whole, ENGLISH, GREEK)
    assert probe == read_probe(few, ENGLISH, GREEK)
    assert len(probe) == 50
    everything = ids(corpus_pairs(corpus, ENGLISH, GREEK))
    assert sorted(ids(found[0]) + ids(probe)) == sorted(everything)
    assert (whole / "test.jsonl").read_bytes() == (corpus / "test.jsonl").read_bytes()


def test_another_domain_is_cleared_of_what_is_measured(
    corpus: Path, make_condition: Callable[..., Path], tmp_path: Path
) -> None:
    tests = [json.loads(line) for line in (corpus / "test.jsonl").read_text("utf-8").splitlines()]
    probe = read_probe(make_condition(), ENGLISH, GREEK)
    other = tmp_path / "other.tsv"
    rows = [
        ("a new pair", "ένα νέο ζεύγος"),
        ("leaked", tests[0]["text"]),
        (probe.records[0].source, "άλλο"),
    ]
    other.write_text("".join(f"{a}\t{b}\n" for a, b in rows), encoding="utf-8")
    made = make_condition(other_pairs=other)
    found = corpus_pairs(made, ENGLISH, GREEK)
    assert [pair.source for pair in found] == ["a new pair"]
    assert read_probe(made, ENGLISH, GREEK) == probe


def test_dictionaries_given_and_linked(
    greek: dict[str, Path], make_condition: Callable[..., Path], tmp_path: Path
) -> None:
    whole = make_condition()
    links = links_of(whole, tmp_path / "links")
    given, linked = folder(tmp_path / "given"), folder(tmp_path / "linked")
    make_dictionary(file=greek["dictionary"], corpus=whole, links=None, out=given, **CODES)
    assert (given / DICTIONARY).read_text("utf-8").splitlines()[0] == "file\tαρχείο"
    result = make_dictionary(file=None, corpus=whole, links=links, out=linked, **CODES)
    words = dict(line.split("\t") for line in (linked / DICTIONARY).read_text("utf-8").splitlines())
    assert result == {"num_entries": len(words), "origin": "linked words"}
    assert len(words) > 50
    assert words["and"] == "και"
    alone = make_condition(kind="dictionary", dictionary=given)
    assert len(corpus_pairs(alone, ENGLISH, GREEK)) == 0
    assert (alone / DICTIONARY).read_bytes() == (given / DICTIONARY).read_bytes()
    both = corpus_pairs(make_condition(kind="both", dictionary=given, num_pairs=10), ENGLISH, GREEK)
    assert [(p.source, p.target) for p in both][10:] == [
        ("file", "αρχείο"),
        ("window", "παράθυρο"),
        ("text", "κείμενο"),
    ]


@pytest.mark.parametrize(
    ("changes", "expected", "got"),
    [
        ({"noise": 0.7, "untranslated": 0.4}, "shares of at least 0", "noise 0.7, untranslated"),
        ({"noise": -0.1}, "shares of at least 0", "noise -0.1"),
        ({"num_pairs": 0}, "pairs to align", "none"),
    ],
)
def test_impossible_conditions_are_refused(
    changes: dict[str, Any], expected: str, got: str, make_condition: Callable[..., Path]
) -> None:
    with pytest.raises(InputError) as caught:
        make_condition(**changes)
    assert caught.value.expected.startswith(expected)
    assert caught.value.got.startswith(got)


def test_cleaning_by_links_finds_the_spoilt_pairs(
    make_condition: Callable[..., Path], tmp_path: Path
) -> None:
    dirty = make_condition(noise=0.3, untranslated=0.1)
    links = links_of(dirty, tmp_path / "links")
    out = folder(tmp_path / "cleaned")
    result = clean_corpus(
        corpus=dirty, links=links, rules=("language", "length", "links"), out=out, **CODES
    )
    spoilt = set(read_json(dirty / "spoilt.json"))
    kept = corpus_pairs(out, ENGLISH, GREEK)
    before = corpus_pairs(dirty, ENGLISH, GREEK)
    assert result["num_spoilt"] == len(spoilt) > 200
    assert result["num_pairs"] == len(kept) == len(before) - result["num_removed"]
    assert result["num_removed_spoilt"] == len(spoilt - set(ids(kept)))
    assert result["num_removed_spoilt"] > 0.5 * len(spoilt)
    assert result["num_removed"] - result["num_removed_spoilt"] < 0.1 * (len(before) - len(spoilt))


def test_link_scores_by_hand() -> None:
    def array(*values: float) -> Any:
        return np.array(values)

    links = Links(
        pair=array(0, 0, 2).astype(np.int32),
        source_word=array(0, 1, 0).astype(np.int32),
        target_word=array(0, 0, 0).astype(np.int32),
        posterior=array(0.5, 0.25, 1.0).astype(np.float32),
        source_starts=array(0, 2, 3, 4, 4).astype(np.int64),
        target_starts=array(0, 1, 1, 2, 2).astype(np.int64),
        source_offsets=np.zeros((4, 2), np.int32),
        target_offsets=np.zeros((2, 2), np.int32),
        segmentation="words-1",
        method="hmm",
        seed=0,
    )
    assert link_scores(links).tolist() == pytest.approx([2 * 0.75 / 3, 0.0, 1.0, 0.0])


def test_links_are_of_the_pairs_and_of_a_probe_that_was_not_learnt_from(
    make_condition: Callable[..., Path], tmp_path: Path
) -> None:
    condition = make_condition(num_pairs=100)
    links = links_of(condition, tmp_path / "links")
    pairs = corpus_pairs(condition, ENGLISH, GREEK)
    own = Links.load(links / "links.safetensors")
    assert own.num_pairs == len(pairs) == 100
    whole = align(pairs, seed=0, runtime=ONE)
    shared = sum(len(a & b) for a, b in zip(own.sets(), whole.sets(), strict=True))
    assert shared / len(whole) > 0.9
    assert Links.load(links / "probe.safetensors").num_pairs == 50


def test_gold_links_give_an_alignment_error_rate(
    make_condition: Callable[..., Path], tmp_path: Path
) -> None:
    condition = make_condition()
    gold = tmp_path / "gold.tsv"
    rows = ["the file\tτο αρχείο\t0-0 1-1", "and the file\tκαι το αρχείο\t0-0 1-1 2-2"]
    gold.write_text("\n".join(rows) + "\n", encoding="utf-8")
    out = folder(tmp_path / "links")
    result = condition_links(
        corpus=condition, gold=gold, method="hmm", stems=(), seed=0, out=out, runtime=ONE, **CODES
    )
    sums = result["gold"]
    assert sums["num_sure"] == 5
    assert 3 <= sums["num_hits"] <= sums["num_links"]
    gold.write_text(rows[0] + "\n\t\t\n", encoding="utf-8")
    with pytest.raises(InputError, match="1 pairs and 2 rows"):
        links_of(condition, tmp_path / "bad", gold=gold)


def test_indonesian_whose_tag_is_the_name_of_our_ids(tmp_path: Path) -> None:
    indonesian = Language.parse("id")
    pairs = Pairs((Pair("two cats", "dua kucing", "row-1"),), ENGLISH, indonesian)
    write_pairs(tmp_path / "pairs.jsonl", pairs)
    assert corpus_pairs(tmp_path, ENGLISH, indonesian).records == pairs.records
    turned = corpus_pairs(tmp_path, indonesian, ENGLISH)
    assert [(p.source, p.target) for p in turned] == [("two cats", "dua kucing")]


def test_tables_add_up() -> None:
    def table(*entries: tuple[int, int, float]) -> TranslationTable:
        target, source, counts = zip(*entries, strict=True)
        return TranslationTable.from_entries(
            np.array(target), np.array(source), np.array(counts), shape=(3, 4)
        )

    total = sum_tables([table((0, 1, 2.0), (2, 3, 1.0)), table((0, 1, 0.5), (0, 2, 4.0))])
    assert (len(total), total.num_source) == (3, 4)
    found = [[a.tolist() for a in total.row(n)] for n in range(3)]
    assert found == [[[1, 2], [2.5, 4.0]], [[], []], [[3], [1.0]]]


def test_rows_of_two_languages_are_compared_where_both_have_links() -> None:
    origins = [Origin("table", (0,), (1.0,))] * 2 + [Origin("copied", (0,), (1.0,))]
    one = EmbeddingMatrix.from_origins(
        np.array([[1, 0], [0, 1], [5, 5]], np.float32), origins, method="a"
    )
    other = EmbeddingMatrix.from_origins(
        np.array([[3, 0], [1, 0], [5, 5]], np.float32), origins, method="b"
    )
    assert compare_rows(one, other) == {
        "num_compared": 2,
        "cosine": pytest.approx(0.5),
        "cosine_of_others": pytest.approx(0.5),
    }
    lonely = EmbeddingMatrix.from_origins(other.rows, [*origins[:1], *origins[2:] * 2], method="c")
    assert compare_rows(one, lonely)["cosine"] is None


@pytest.fixture(scope="module")
def vocabulary(
    corpus: Path, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """A new tokenizer for the corpus, and the model that it is for."""
    out = tmp_path_factory.mktemp("vocabulary")
    new_tokenizer(
        corpus=corpus,
        model=tiny_model,
        target_lang=str(GREEK),
        vocab_size=400,
        tokenizer=None,
        out=out,
    )
    return {"model": tiny_model, "tokenizer": out}


def rows_of(condition: Path, links: Path | None, out: Path, **changes: Any) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "method": "trans_tokenize",
        "sources": "first",
        "split": "learned",
        "masked": False,
        "second_corpus": condition,
        "second_links": links,
        "second_lang": str(ENGLISH),
        "seed": 0,
    } | changes
    return condition_rows(corpus=condition, links=links, out=folder(out), **CODES, **settings)


def test_two_equal_sources_give_the_rows_of_one(
    make_condition: Callable[..., Path], vocabulary: dict[str, Path], tmp_path: Path
) -> None:
    condition = make_condition()
    links = links_of(condition, tmp_path / "links")
    first = rows_of(condition, links, tmp_path / "first", **vocabulary)
    again = rows_of(condition, links, tmp_path / "again", sources="second", **vocabulary)
    mean = rows_of(condition, links, tmp_path / "mean", sources="rows", **vocabulary)
    both = rows_of(condition, links, tmp_path / "both", sources="table", **vocabulary)
    assert first["by_rule"] == again["by_rule"] == mean["by_rule"]
    rows = {name: load_rows(tmp_path / name)[0] for name in ("first", "again", "mean", "both")}
    assert np.array_equal(rows["first"].rows, rows["again"].rows)
    assert np.array_equal(rows["first"].rows, rows["mean"].rows)
    # Twice the counts; the rows differ by the weight of the spelling beside them.
    assert np.allclose(rows["both"].support, 2 * rows["first"].support)
    assert both["num_rows"] == 400
    assert mean["cosine"] == pytest.approx(1.0)
    assert mean["num_compared"] == mean["by_rule"]["table"]
    assert abs(mean["cosine_of_others"]) < 0.5
    assert not (tmp_path / "mean" / "first").exists()


def test_a_masked_model_gets_rows_of_the_same_sources(
    make_condition: Callable[..., Path], corpus: Path, tmp_path: Path
) -> None:
    folders = {}
    for objective in ("causal", "masked"):
        folders[objective] = folder(tmp_path / objective)
        made = make_tiny_model(
            objective=objective,  # type: ignore[arg-type]
            text=samples.path("libreoffice-help.test.jsonl.xz"),
            lang="en",
            vocab_size=400,
            width=32,
            num_layers=2,
            budget=None,
            seed=0,
            out=folders[objective],
            runtime=ONE,
            progress=NullProgress(),
        )
        assert made["last_nats_per_token"] is None
    one, other = (Tokenizer.load(path) for path in folders.values())
    assert one.backend.to_str() == other.backend.to_str()
    tokenizer = folder(tmp_path / "tokenizer")
    new_tokenizer(
        corpus=corpus,
        model=folders["causal"],
        target_lang=str(GREEK),
        vocab_size=400,
        tokenizer=None,
        out=tokenizer,
    )
    condition = make_condition(num_pairs=200)
    links = links_of(condition, tmp_path / "links")
    rows = {}
    for objective, model in folders.items():
        masked = objective == "masked"
        out = tmp_path / f"rows-{objective}"
        rows_of(condition, links, out, masked=masked, model=model, tokenizer=tokenizer)
        rows[objective] = load_rows(out)[0]
        figures = measure_rows(
            model=model,
            masked=masked,
            tokenizer=tokenizer,
            rows=out,
            corpus=corpus,
            target_lang=str(GREEK),
            out=folder(tmp_path / f"measured-{objective}"),
            runtime=ONE,
        )
        assert 0.5 < figures["before_bits_per_byte"] < 8
        assert 0.5 < figures["row_coverage"] <= 1
        assert 0.5 < figures["text_coverage"] <= 1
    for part in ("source", "weights", "indptr", "rule"):
        assert np.array_equal(getattr(rows["causal"], part), getattr(rows["masked"], part))
    assert not np.array_equal(rows["causal"].rows, rows["masked"].rows)


def test_pseudo_likelihood_hides_each_token_alone(tmp_path: Path) -> None:
    make_tiny_model(
        objective="masked",
        text=samples.path("libreoffice-help.test.jsonl.xz"),
        lang="en",
        vocab_size=300,
        width=32,
        num_layers=2,
        budget=None,
        seed=0,
        out=tmp_path,
        runtime=ONE,
        progress=NullProgress(),
    )
    model, tokenizer, _ = load(tmp_path, dtype=torch.float32, masked=True)
    with torch.no_grad():
        model.get_input_embeddings().weight.mul_(20)
    start, mask = tokenizer.role_id("bos_token"), tokenizer.role_id("mask_token")
    assert start is not None
    text = "Click the icon to open the file."
    tokens = tokenizer.encode(text)
    room = 4
    scorer = MaskedScorer(model, tokenizer, start_token=start, window=room + 1)
    costs = []
    for begin in range(0, len(tokens), room):
        part = [start, *tokens[begin : begin + room]]
        for place in range(1, len(part)):
            hidden = [mask if at == place else token for at, token in enumerate(part)]
            with torch.no_grad():
                logits = model(input_ids=torch.tensor([hidden])).logits[0, place].double()
            costs.append(-float(logits.log_softmax(-1)[part[place]]))
    [scored] = scorer.score([("", text)])
    assert scored.nats == pytest.approx(sum(costs), rel=1e-5)
    assert abs(sum(costs) / len(tokens) - math.log(300)) > 0.3, "the model has to say something"
    assert (scored.num_tokens, scored.num_bytes) == (len(tokens), len(text))
    [later] = scorer.score([("Click the icon", " to open the file.")])
    assert 0 < later.num_tokens < len(tokens)
    assert later.nats == pytest.approx(sum(costs[-later.num_tokens :]), rel=1e-5)
    with pytest.raises(InputError, match="expected a tokenizer with a mask token") as caught:
        MaskedScorer(model, english_tokenizer(), start_token=0)
    assert caught.value.got == "no mask token, window 128"


def test_floors_are_counted_of_the_training_and_of_all_text(
    corpus: Path, vocabulary: dict[str, Path], tmp_path: Path
) -> None:
    found = condition_floors(
        corpus=corpus,
        tokenizer=vocabulary["tokenizer"],
        settings=replace(SETTINGS, num_bytes=5_000),
        out=tmp_path,
        **CODES,
    )
    assert 2_000 < found["a_bytes"] <= 5_000 < found["b_bytes"]
    assert found["uniform_a"] == found["uniform_b"]
    assert found["trigram_b"] < found["unigram_b"] < found["unigram_a"] < found["uniform_a"]


def score_of(*nats: float, data: str = "x") -> Score:
    items = tuple((value, 10.0) for value in nats)
    return Score(
        name="bits_per_byte",
        unit="bits/byte",
        numerator=sum(nats),
        denominator=10.0 * len(nats),
        scale=1 / math.log(2),
        items=items,
        signature={"data": data},
    )


def test_differences_are_paired() -> None:
    one, other = score_of(10.0, 50.0, 90.0), score_of(11.0, 51.0, 91.0)
    found = difference(one, other)
    assert found["value"] == pytest.approx(-0.1 / math.log(2))
    # Each document differs by the same: no doubt is left, however unlike the documents are.
    assert found["interval"] == pytest.approx([found["value"]] * 2)
    assert verdict(found) == "better"
    assert verdict(difference(other, one)) == "worse"
    assert verdict(difference(one, score_of(10.0, 51.0, 89.0))) == "open"
    assert difference(one, score_of(1.0, 2.0, 3.0, data="y")) == {"value": None, "interval": None}
    assert verdict({"value": None, "interval": None}) is None


def study_inputs(greek: dict[str, Path], model: Path) -> StudyInputs:
    files = LanguageFiles(text=[greek["text"]], pairs=[greek["pairs"]])
    return StudyInputs(
        model=model,
        tiny=TinyModels(greek["text"], vocab_size=300, width=32, num_layers=1, budget=None),
        source_lang=ENGLISH,
        second_lang=Language.parse("nl"),
        languages={str(GREEK): files},
        vocab_size=400,
        num_test=5,
        num_probe=50,
    )


def num_jobs(plan: Plan, name: str) -> int:
    return sum(job.name.startswith(name) for job in plan.order)


def test_conditions_share_what_they_have_in_common(
    greek: dict[str, Path], tiny_model: Path, tmp_path: Path
) -> None:
    span = factors.Range(
        sizes=(100,), noises=(0.5,), few=100, equal=100, learning_rates=(1e-3, 3e-4)
    )
    base = Condition(str(GREEK))
    inputs = study_inputs(greek, tiny_model)
    size = study_plan(inputs, [factors.size_factor(base, span)], SETTINGS)
    # Two methods, two sizes: pairs and links once a size; the rows also of pieces.
    assert (num_jobs(size, "pairs-"), num_jobs(size, "links-")) == (2, 2)
    assert (num_jobs(size, "rows-"), num_jobs(size, "corpus-")) == (5, 1)
    lasting = study_plan(inputs, [factors.lasting_factor(base, span)], SETTINGS)
    assert num_jobs(lasting, "trained-") == 6
    training = study_plan(inputs, [factors.training_factor(base, span)], SETTINGS)
    assert num_jobs(training, "trained-") == 8
    assert num_jobs(training, "links-") == 1
    both = [factors.lasting_factor(base, span), factors.training_factor(base, span)]
    assert num_jobs(study_plan(inputs, both, SETTINGS), "trained-") == 13
    controls = study_plan(inputs, [factors.control_factor(base)], SETTINGS)
    again = study_plan(inputs, [factors.control_factor(base)], SETTINGS)
    assert controls.targets == again.targets
    changed = study_plan(replace(inputs, seed=1), [factors.control_factor(base)], SETTINGS)
    assert controls.targets != changed.targets
    assert all(not row.done for row in controls.describe(Store(tmp_path / "store")))


@pytest.mark.parametrize(
    ("make", "expected", "where"),
    [
        (lambda base: factors.domain_factor(base, 5), "pairs of another domain", "other_pairs"),
        (
            lambda base: factors.sources_factor(base, ENGLISH, Language.parse("nl")),
            "pairs with Dutch",
            "second_pairs",
        ),
        (
            lambda base: factors.control_factor(replace(base, target_lang="fin_Latn")),
            "text and pairs of one of ell_Grek",
            "languages",
        ),
    ],
)
def test_factors_without_data_are_refused_before_anything_runs(
    make: Callable[[Condition], factors.Factor],
    expected: str,
    where: str,
    greek: dict[str, Path],
    tiny_model: Path,
) -> None:
    with pytest.raises(InputError) as caught:
        study_plan(study_inputs(greek, tiny_model), [make(Condition(str(GREEK)))], SETTINGS)
    assert (caught.value.expected, caught.value.where) == (expected, where)


def test_own_vocabulary_is_measured_as_the_model_stands(
    corpus: Path, tiny_model: Path, tmp_path: Path
) -> None:
    result = measure_rows(
        model=tiny_model,
        masked=False,
        tokenizer=None,
        rows=None,
        corpus=corpus,
        target_lang=str(GREEK),
        out=tmp_path,
        runtime=ONE,
    )
    own = load(tiny_model, dtype=torch.float32)
    tests = [json.loads(line) for line in (corpus / "test.jsonl").read_text("utf-8").splitlines()]
    start = own.tokenizer.role_id("bos_token")
    assert start is not None
    scorer = CausalScorer(own.model, own.tokenizer, start_token=start)
    expected = bits_per_byte(scorer, [Document(row["text"], row["id"]) for row in tests])
    assert result == {"before_bits_per_byte": expected.value}
