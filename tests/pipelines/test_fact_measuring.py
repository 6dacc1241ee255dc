"""Facts in several languages: what is recalled, what crosses over, and where languages meet."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lingraft.corpus.fact_records import FactData, read_facts
from lingraft.corpus.records import Rejected
from lingraft.errors import InputError
from lingraft.languages import Language
from lingraft.measurement import Scored
from lingraft.measurement.partial_ranks import partial_spearman
from lingraft.measurement.protocols import Prompt
from lingraft.measurement.unification import unification
from lingraft.model import LoadedModel, load
from lingraft.model.states import CausalStateReader
from lingraft.pipelines.arms import start_candidates
from lingraft.pipelines.fact_measuring import FactSettings, measure_facts
from lingraft.pipelines.fact_recall import answer_facts, recall_score, transfer_score
from lingraft.pipelines.fact_states import as_prompt, patching_record

EN, NL = Language.parse("en"), Language.parse("nl")
QUICK = FactSettings(num_candidates=3, num_patched_facts=8, num_patched_layers=2, num_resamples=50)
WORDS = ("file", "text", "page", "table", "color", "line", "cell", "sheet", "menu", "field",
         "sound", "chart")  # fmt: skip


class Costs:
    """A scorer that charges what it is told, and writes down what it was asked."""

    signature: Mapping[str, Any] = {"model": "costs"}

    def __init__(self, nats: Mapping[str, float | None]) -> None:
        self.nats, self.asked = nats, list[tuple[str, str]]()

    def score(self, requests: Sequence[tuple[str, str]]) -> list[Scored]:
        """Looks the costs up."""
        self.asked += requests
        costs = [self.nats[prompt + text] for prompt, text in requests]
        return [Scored(x, 1, 1, "" if x is not None else "lost bytes") for x in costs]


def rows(**changes: Any) -> list[dict[str, Any]]:
    return [
        {"id": word, "lang": lang, "prompt": f"{start} {word} {end}", "subject": word,
         "answer": WORDS[n - 1] if lang == "en" else WORDS[n - 1] + "s", **changes}
        for n, word in enumerate(WORDS)
        for lang, start, end in (("en", "The", "of the"), ("nl", "De", "van een"))
    ]  # fmt: skip


@pytest.fixture(scope="module")
def loaded(tiny_model: Path) -> LoadedModel:
    torch.set_num_threads(1)
    found = load(tiny_model, dtype=torch.float32)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        for parameter in found.model.parameters():
            if parameter.dim() == 2:
                parameter.normal_(std=0.3)  # so that tokens have clearly different logits
    return found


def records(loaded: LoadedModel, data: FactData, *on: str) -> list[dict[str, Any]]:
    return measure_facts(loaded.model, loaded.tokenizer, data, on=on, seed=0, settings=QUICK)


def named(found: list[dict[str, Any]], name: str, **fields: Any) -> dict[str, Any]:
    [record] = [
        r
        for r in found
        if r["name"] == name and all(r.get(key) == value for key, value in fields.items())
    ]
    return record


@settings(max_examples=25)
@given(data=st.data(), num=st.integers(1, 6))
def test_recall_and_transfer_are_the_four_cells(data, num):
    costs = st.floats(0, 20)
    facts = [
        {"id": n, "lang": lang, "prompt": f"{lang}{n}", "answer": "a", "alternatives": ["b", "c"]}
        for n in range(num)
        for lang in ("en", "nl")
    ]
    nats = {f"{f['prompt']} {text}": data.draw(costs) for f in facts for text in "abc"}
    facts = read_facts(facts)
    answers = answer_facts(Costs(nats), facts, num_candidates=5, seed=0)
    right = {}
    for key, answered in answers.items():
        own, *others = (nats[f"{answered.fact.prompt} {text}"] for text in "abc")
        right[key] = own < min(others)
        assert answered.is_right == right[key]
        total = math.fsum(math.exp(-x) for x in (own, *others))
        assert answered.log_prob == pytest.approx(-own - math.log(total))
        assert (answered.nats, answered.num_candidates) == (own, 3)
    english = [answers[str(n), EN] for n in range(num)]
    dutch = [answers[str(n), NL] for n in range(num)]
    score = recall_score(english, signature={}, seed=0)
    assert score.value == pytest.approx(np.mean([right[str(n), EN] for n in range(num)]))
    assert score.statistics["sum_chance"] == pytest.approx(num / 3)
    pairs = list(zip(english, dutch, strict=True))
    known = [n for n in range(num) if right[str(n), EN]]
    score = transfer_score(pairs, signature={}, seed=0)
    if known:
        assert score.value == pytest.approx(np.mean([right[str(n), NL] for n in known]))
    else:
        assert (score.value, score.reason) == (None, "no fact is right in the source language")
    assert sum(v for k, v in score.statistics.items() if "_target_" in k) == num


def test_candidates_are_other_facts_answers_and_the_same_in_every_language():
    data = read_facts(rows())
    nats = {f"{f.prompt} {g.answer}": 1.0 for f in data.facts for g in data.facts}
    scorer = Costs(nats)
    found = answer_facts(scorer, data, num_candidates=4, seed=3)
    asked: dict[str, list[str]] = {}
    for prompt, text in scorer.asked:
        asked.setdefault(prompt, []).append(text.strip())
    for english, dutch in data.matched(EN, NL):
        assert asked[english.prompt][0] == english.answer
        assert len(set(asked[english.prompt])) == 4
        assert [f"{text}s" for text in asked[english.prompt]] == asked[dutch.prompt]
        # Every candidate costs the same: a tie is no knowledge.
        assert found[english.id, EN].is_right is False
        assert found[english.id, EN].log_prob == pytest.approx(-math.log(4))
    assert len({tuple(sorted(texts)) for texts in asked.values()}) > 6
    other = Costs(nats)
    answer_facts(other, data, num_candidates=4, seed=4)
    assert other.asked != scorer.asked


def test_what_cannot_be_answered_is_undefined_with_its_reason():
    data = read_facts([
        {"id": "a", "lang": "en", "prompt": "p", "answer": "x"},
        {"id": "b", "lang": "en", "prompt": "q", "answer": "X"},
        {"id": "c", "lang": "nl", "prompt": "r", "answer": "x", "alternatives": ["y"]},
    ])  # fmt: skip
    found = answer_facts(
        Costs({"p x": 1.0, "q X": 1.0, "r x": 1.0, "r y": None}), data, num_candidates=9, seed=0
    )
    assert found["a", EN].reason == found["b", EN].reason == "no wrong answer to choose among"
    assert (found["c", NL].reason, found["c", NL].is_right) == ("lost bytes", None)
    score = recall_score([found["a", EN]], signature={}, seed=0)
    assert (score.value, score.reason) == (None, "no wrong answer to choose among")
    assert score.statistics["num_undefined"] == 1


def test_every_record_is_what_its_parts_say(loaded):
    data = read_facts(rows())
    found = records(loaded, data, "unification", "recall")
    names = [record["name"] for record in found]
    assert sorted(set(names)) == [
        "logit_lens", "patching", "recall", "transfer", "unification", "unification_transfer",
    ]  # fmt: skip
    start = start_candidates(loaded.tokenizer)[0]
    reader = CausalStateReader(loaded.model, loaded.tokenizer, start_token=start)
    matched = data.matched(EN, NL)
    for at in ("last", "subject"):
        one, other = (reader.read([as_prompt(p[side]) for p in matched], at=at) for side in (0, 1))
        expected = unification(one, other, centring="by language", seed=0, num_resamples=5)
        record = named(found, "unification", at=at)
        assert (record["langs"], record["layer"], len(record["layers"])) == (["en", "nl"], 1, 3)
        assert record["value"] == pytest.approx(expected.layers[1].unification.value)
    record = named(found, "logit_lens", lang="en")
    lens = reader.logit_lens([(as_prompt(a), [f" {x.answer}" for x in (a, b)]) for a, b in matched])
    apart = [ids[0] != ids[1] for ids in lens.first_ids_PK]
    assert (record["num_facts"], record["num_undefined"]) == (sum(apart), 12 - sum(apart))
    for layer, row in enumerate(record["layers"]):
        own, other = lens.log_probs_LPK[layer, apart].T
        assert row["value"] == pytest.approx(np.mean(own > other))
        assert row["own_probability"] == pytest.approx(np.exp(own).mean(), rel=1e-4)
    patched = named(found, "patching", source_lang="en")
    assert [row["layer"] for row in patched["layers"]] == [0, 1, 2]
    assert patched["value"] == patched["layers"][1]["value"]
    recall = named(found, "recall", lang="en")
    record = named(found, "unification_transfer", source_lang="en", outcome="log_prob")
    assert (record["num_facts"], record["layer"]) == (recall["numerator"], 1)
    assert len(record["plain_by_layer"]) == 3


def test_the_correlation_is_over_facts_that_the_source_knows(loaded, monkeypatch):
    from lingraft.pipelines import fact_measuring

    data = read_facts(rows(frequency=3))
    data = replace(
        data, facts=tuple(replace(f, frequency=float(n // 2 % 5)) for n, f in enumerate(data.facts))
    )
    given: dict[tuple[str, Language], Any] = {}

    def answered(scorer: Any, facts: FactData, **arguments: Any) -> Any:
        real = answer_facts(scorer, facts, **arguments)
        # The source knows all facts but the first two.
        for place, (key, found) in enumerate(real.items()):
            given[key] = replace(found, is_right=place >= 4 if key[1] == EN else found.is_right)
        return given

    monkeypatch.setattr(fact_measuring, "answer_facts", answered)
    found = records(loaded, data, "recall", "unification")
    record = named(found, "unification_transfer", source_lang="en", outcome="log_prob")
    start = start_candidates(loaded.tokenizer)[0]
    reader = CausalStateReader(loaded.model, loaded.tokenizer, start_token=start)
    matched = data.matched(EN, NL)
    one, other = (reader.read([as_prompt(p[side]) for p in matched]) for side in (0, 1))
    by_fact = unification(one, other, centring="by language", seed=0).layers[1].by_fact[2:]
    values = [given[b.id, NL].log_prob for _, b in matched[2:]]
    overlaps = []
    for a, b in matched[2:]:
        kinds = [set(loaded.tokenizer.encode(f"{f.prompt} {f.answer}")) for f in (a, b)]
        overlaps.append(len(kinds[0] & kinds[1]) / len(kinds[0] | kinds[1]))
    frequencies = [b.frequency for _, b in matched[2:]]
    expected = partial_spearman(by_fact, values, [overlaps, frequencies], seed=0)
    assert record["num_facts"] == 10
    assert record["value"] == pytest.approx(expected.rho)
    assert record["p"] == pytest.approx(expected.p)
    assert record["plain"] == pytest.approx(stats.spearmanr(by_fact, values).statistic)
    assert record["plain_by_layer"][1] == record["plain"]


def test_languages_that_ask_alike_are_one(loaded):
    """The same words under two names: nothing sets them apart, and all that is known crosses."""
    alike = [{**row, "lang": lang} for row in rows()[::2] for lang in ("en", "nl")]
    found = records(loaded, read_facts(alike), "unification", "recall")
    for layer in named(found, "unification", at="last")["layers"][1:]:
        assert layer["same_fact"]["value"] == pytest.approx(1.0)
        assert layer["auc"]["value"] == layer["reciprocal_rank"]["value"] == 1.0
    assert named(found, "transfer", source_lang="en")["value"] in (1.0, None)
    lens = named(found, "logit_lens", lang="en")
    assert lens["value"] is None
    assert lens["reason"] == "all answers begin with the same token in both languages"


def test_a_patch_gains_what_the_own_fact_saves(loaded):
    """With prompts that are the same text, the own state changes nothing: the cost is known."""
    alike = read_facts([{**row, "lang": lang} for row in rows()[::2] for lang in ("en", "nl")])
    settings_ = replace(QUICK, num_patched_facts=12)
    found = measure_facts(
        loaded.model, loaded.tokenizer, alike, on=["unification"], seed=0, settings=settings_
    )
    layers = named(found, "patching", source_lang="en")["layers"]
    assert [row["layer"] for row in layers] == [0, 1, 2]
    # All questions end alike, so that the states that enter the first layer do not differ.
    assert layers[0]["value"] == pytest.approx(0.0, abs=1e-4)
    assert abs(layers[2]["value"]) > 1e-3
    assert all(row["num_facts"] == 12 for row in layers)


class Numbered:
    """A reader whose states are the numbers of facts, and whose answers cost 3 with a wrong one."""

    num_layers = 2

    def read(self, prompts: Sequence[Prompt], *, at: str = "last") -> np.ndarray:
        """One number a prompt."""
        states_P = [WORDS.index(prompt.text.split()[1]) for prompt in prompts]
        return np.array([[[n] for n in states_P]] * 3, dtype=np.float32)

    def patched(self, requests: Any, states_PD: np.ndarray, *, layer: int, **_: Any) -> Any:
        """Costs 1 with the own fact's state above the first layer, and 3 with all others."""
        own = self.read([prompt for prompt, _ in requests])[0] == states_PD
        return [Scored(1.0 if x and layer else 3.0, 1, 1) for [x] in own]


def test_the_gain_is_what_the_own_state_saves_against_a_strangers():
    pairs = read_facts(rows()).matched(EN, NL)
    settings_ = {"num_facts": 5, "num_layers": 3, "signature": {}, "seed": 0}
    record = patching_record(Numbered(), pairs, **settings_)
    assert [row["value"] for row in record["layers"]] == [0.0, 2.0, 2.0]
    assert (record["value"], record["layer"], record["num_facts"]) == (2.0, 1, 5)


def test_facts_are_measured_from_their_source_language_only(loaded):
    found = records(loaded, read_facts(rows(source_lang="nl")), "recall")
    assert [(r["name"], r.get("source_lang")) for r in found] == [
        ("recall", None),
        ("recall", None),
        ("transfer", "nl"),
    ]
    found = records(loaded, read_facts(rows()), "unification")
    assert "unification_transfer" not in [record["name"] for record in found]


def test_one_answer_for_all_has_no_stranger_to_patch_with(loaded):
    found = records(loaded, read_facts(rows(answer="x")), "unification")
    record = named(found, "patching", source_lang="en")
    assert (record["value"], record["reason"]) == (None, "no two facts with different answers")


def test_a_source_language_that_is_not_asked_has_records_that_say_so(loaded):
    """Twelve facts known in German and asked in English and Dutch, and two known in English."""
    at_home = [{**row, "source_lang": "en" if n < 4 else "de"} for n, row in enumerate(rows())]
    found = records(loaded, read_facts(at_home), "recall", "unification")
    transfers = [r for r in found if r["name"] == "transfer"]
    assert [(r["source_lang"], r["target_lang"]) for r in transfers] == [
        ("en", "nl"), ("de", "en"), ("de", "nl"),
    ]  # fmt: skip
    assert transfers[0]["statistics"]["num_facts"] == 2
    reason = "the facts of this source language are not asked in it"
    for name in ("transfer", "unification_transfer"):
        german = [r for r in found if r["name"] == name and r["source_lang"] == "de"]
        assert [(r["value"], r["interval"], r["reason"]) for r in german] == [
            (None, None, reason)
        ] * (2 if name == "transfer" else 4)
        assert {r["num_without_partner"] for r in german} == {10}
        assert {r["signature"]["seed"] for r in german} == {0}
    few = named(found, "unification_transfer", source_lang="en", outcome="log_prob")
    assert few["reason"] in [f"{n} facts, at least 5 are needed" for n in range(3)]


def test_facts_that_one_language_alone_asks_for_are_counted(loaded):
    data = read_facts(rows()[:20] + rows()[20::2])
    found = records(loaded, data, "recall", "unification")
    assert named(found, "recall", lang="en")["statistics"]["num_facts"] == 12
    assert named(found, "transfer", source_lang="en")["statistics"]["num_facts"] == 10
    for name, fields in (
        ("transfer", {"source_lang": "en"}),
        ("transfer", {"source_lang": "nl"}),
        ("patching", {"source_lang": "nl"}),
        ("unification", {"at": "last"}),
    ):
        assert named(found, name, **fields)["num_without_partner"] == 2
    assert named(found, "unification", at="last")["num_facts"] == 10


@pytest.mark.parametrize("stated", [[], [0, 1], [0, 1, 2, 3]])
def test_what_the_answers_frequency_is_is_told(loaded, stated):
    """No fact, every second fact and every fact has one."""
    given = [
        {**row, "frequency": 7 + n} if n % 4 in stated else row for n, row in enumerate(rows())
    ]
    found = records(loaded, read_facts(given), "recall", "unification")
    record = named(found, "unification_transfer", source_lang="en", outcome="is_right")
    assert record["signature"]["answer_frequency"] == record["answer_frequency"]
    if len(stated) == 4:
        assert record["answer_frequency"] == "stated in the file"
        return
    start, _, missing = record["answer_frequency"].partition("; ")
    assert start == "facts of the file with the answer"
    num_missing, num = (int(word) for word in missing.split() if word.isdigit())
    assert num == record["num_facts"]
    assert num_missing == num if not stated else 0 < num_missing < num


def test_facts_that_the_model_cannot_read_are_left_out_by_line(loaded, tmp_path):
    """A window of 40 tokens, and one question and one answer that do not fit."""
    given = rows()
    given[2]["prompt"] = "file " * 60 + "file"
    given[2]["subject"] = "file"
    given[5]["answer"] = "file " * 60
    path = tmp_path / "facts.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in given) + "{\n", encoding="utf-8")
    notes: list[str] = []
    found = measure_facts(
        loaded.model,
        loaded.tokenizer,
        read_facts(path),
        on=["recall", "unification"],
        seed=0,
        settings=replace(QUICK, window_tokens=40),
        note=notes.append,
    )
    reason = "question and answer of more than 39 tokens"
    # The lens asks for the long answer after the other language's question too.
    assert notes == [f"left out 3 x {reason} ({path}:3)"]
    assert all(r["rejected"] == {reason: 3, "bad JSON": 1} for r in found)
    assert named(found, "recall", lang="nl")["statistics"]["num_facts"] == 11
    assert named(found, "unification", at="last")["num_facts"] == 10


def test_facts_without_a_partner_are_refused(loaded):
    alone = read_facts([r for n, r in enumerate(rows()) if (n % 4 == 0) or (n % 4 == 3)])
    with pytest.raises(InputError) as caught:
        records(loaded, alone, "recall")
    assert (caught.value.got, caught.value.where) == (
        "12 facts in en, nl without any",
        "--facts",
    )
    with pytest.raises(InputError, match="--facts: expected at least one fact, got none"):
        records(loaded, FactData(()), "unification")
    lost = FactData(alone.facts, (Rejected("f", 3, "bad JSON"), Rejected("f", 5, "bad JSON")))
    with pytest.raises(InputError) as caught:
        records(loaded, lost, "recall")
    assert caught.value.got == "12 facts in en, nl without any; left out 2 x bad JSON (f:3)"
    with pytest.raises(InputError) as caught:
        records(loaded, FactData((), lost.rejected), "recall")
    assert caught.value.got == "none; left out 2 x bad JSON (f:3)"
