"""Facts of every kind of row come back; what is none is told with its line and reason."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lingraft.corpus.fact_records import (
    Fact,
    facts_from_dictionary,
    facts_from_pairs,
    read_facts,
    select_languages,
)
from lingraft.corpus.records import Pair, Pairs
from lingraft.errors import InputError
from lingraft.languages import Language

EN, EL, JA = (Language.parse(code) for code in ("en", "el", "ja"))
WORDS = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=6)


def lines(*rows: object) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


@settings(max_examples=25)
@given(
    facts=st.lists(
        st.tuples(WORDS, st.sampled_from(["en", "el"]), WORDS, WORDS),
        min_size=1,
        unique_by=lambda fact: fact[:2],
    ),
    key=st.sampled_from(["prompt", "question"]),
    compression=st.sampled_from(["", ".gz", ".xz", ".zst"]),
)
def test_every_row_comes_back(save, facts, key, compression):
    rows = [{"id": i, "lang": lang, key: p, "answer": a} for i, lang, p, a in facts]
    data = read_facts(save("facts.jsonl" + compression, lines(*rows)))
    gap = " " if key == "prompt" else "\n"
    assert data.facts == tuple(
        Fact(i, Language.parse(lang), p, a, gap=gap) for i, lang, p, a in facts
    )
    assert data.rejected == ()
    assert read_facts(iter(rows)) == data
    both = {i for i, lang, *_ in facts if lang == "en"} & {
        i for i, lang, *_ in facts if lang == "el"
    }
    assert {(a.id, b.id, a.lang, b.lang) for a, b in data.matched(EN, EL)} == {
        (i, i, EN, EL) for i in both
    }
    assert set(data.langs) == {Language.parse(lang) for _, lang, *_ in facts}


def test_all_fields_of_a_row(save):
    row = {
        "id": 7,
        "lang": "el",
        "prompt": "Η  Αθήνα και η Αθήνα\nείναι",
        "answer": "πόλη",
        "alternatives": ["χώρα", "νησί", "χώρα"],
        "subject": "Αθήνα",
        "source_lang": "en",
        "frequency": 12,
    }
    [fact] = read_facts([row]).facts
    prompt = "Η Αθήνα και η Αθήνα είναι"
    span = (prompt.rindex("Αθήνα"), prompt.rindex("Αθήνα") + 5)
    assert fact == Fact("7", EL, prompt, "πόλη", ("χώρα", "νησί"), span, EN, 12.0)
    assert fact.continuation == " πόλη"
    [japanese] = read_facts([{"id": "1", "lang": "ja", "prompt": "首都は", "answer": "東京"}]).facts
    assert japanese.continuation == "東京"


def test_a_row_of_translations_is_a_fact_in_each_language():
    row = {
        "q_id": "f1",
        "original_lang": "el",
        "q_original": "Ποιος;",
        "a_original": "Νίκος",
        "q_en": "Who?",
        "a_en": "Nikos",
        "q_ja": None,
        "title": "x",
    }
    data = read_facts([row])
    assert data.facts == (
        Fact("f1", EL, "Ποιος;", "Νίκος", source_lang=EL, gap="\n"),
        Fact("f1", EN, "Who?", "Nikos", source_lang=EL, gap="\n"),
    )
    # The original may also stand under its own code alone.
    row = {"id": "f1", "original_lang": "en", "q_en": "Who?", "a_en": "Nikos"}
    assert read_facts([row]).facts == (Fact("f1", EN, "Who?", "Nikos", source_lang=EN, gap="\n"),)


@pytest.mark.parametrize(
    "options", [["Rome", "Oslo", "Bern"], {"A": "Rome", "B": "Oslo", "C": "Bern"}]
)
def test_a_row_with_options_has_the_others_as_alternatives(options):
    row = {"id": "m", "lang": "en", "question": "Where?", "options": options, "answer": "B"}
    [fact] = read_facts([row]).facts
    assert fact == Fact("m", EN, "Where?", "Oslo", ("Rome", "Bern"), gap="\n")


GOOD = {"id": "a", "lang": "en", "prompt": "A man", "answer": "sleeps"}
BAD = [
    ({**GOOD, "id": None}, "no id"),
    ({**GOOD, "id": True}, "no id"),
    ({**GOOD, "lang": "xx"}, "unknown language 'xx'"),
    ({**GOOD, "lang": 3}, "unknown language 3"),
    ({**GOOD, "source_lang": "xx"}, "unknown language 'xx'"),
    ({**GOOD, "prompt": " "}, "no text under 'prompt'"),
    ({**GOOD, "prompt": None, "question": "\x00"}, "no text under 'question'"),
    ({**GOOD, "answer": ""}, "no answer"),
    ({**GOOD, "alternatives": "rests"}, "alternatives are no list of texts"),
    ({**GOOD, "alternatives": ["", 3]}, "alternatives are no list of texts"),
    ({**GOOD, "alternatives": ["rests", "sleeps"]}, "the answer is among the alternatives"),
    ({**GOOD, "subject": "woman"}, "subject is not in the prompt"),
    ({**GOOD, "subject": ""}, "subject is not in the prompt"),
    ({**GOOD, "frequency": -1}, "frequency is no number of 0 or more"),
    ({**GOOD, "frequency": "often"}, "frequency is no number of 0 or more"),
    ({"text": "A man sleeps"}, "keys of no known kind of row"),
    ({**GOOD, "options": ["a", "b"], "answer": "C"}, "answer is no letter of the options"),
    ({**GOOD, "options": 3, "answer": "C"}, "answer is no letter of the options"),
    ({"original_lang": "xx", "id": "q"}, "unknown language 'xx'"),
    ({"original_lang": "en", "q_en": "Who?"}, "no id"),
    ({"original_lang": "en", "id": "q", "q_el": "Ποιος;"}, "no question in the original language"),
    ({"original_lang": "en", "id": "q", "q_xx": "?"}, "unknown language 'xx'"),
    ({"original_lang": "en", "id": "q", "q_en": "Who?"}, "no answer"),
]


@pytest.mark.parametrize(("row", "reason"), BAD)
def test_a_row_that_is_no_fact_is_told(save, row, reason):
    data = read_facts(save("facts.jsonl", lines({**GOOD, "id": "first"}, row)))
    assert [fact.id for fact in data.facts] == ["first"]
    assert [(r.line, r.reason) for r in data.rejected] == [(2, reason)]


def test_bad_lines_and_repeated_facts_are_told(save):
    rows = [{**GOOD, "id": name} for name in "abcde"]
    path = save("facts.jsonl", lines(*rows) + "{\n\n[1]\n" + lines({**GOOD, "answer": "rests"}))
    data = read_facts(path)
    assert len(data) == 5
    assert [(row.file, row.line, row.reason) for row in data.rejected] == [
        (str(path), 6, "bad JSON"),
        (str(path), 8, "no JSON object"),
        (str(path), 9, "a second row of this id and language"),
    ]


def test_a_file_of_something_else_is_refused_with_the_keys(save):
    path = save("facts.jsonl", lines({"text": "x"}))
    with pytest.raises(InputError) as caught:
        read_facts(path)
    assert caught.value.got == "1 rows rejected (1 x keys of no known kind of row)"
    assert '"id", "lang", "prompt"' in caught.value.hint
    with pytest.raises(InputError, match="an empty file"):
        read_facts(save("facts.jsonl", ""))
    with pytest.raises(InputError, match="nothing of that name"):
        read_facts(path.with_name("none.jsonl"))


def test_a_dictionary_asks_for_one_answer_in_two_languages():
    words = Pairs(
        tuple(
            Pair(s, t, "") for s, t in [("house", "σπίτι"), ("red", "κόκκινο"), ("house", "οίκος")]
        ),
        EN,
        EL,
    )
    templates = {EN: 'The Greek word for "{x}" is', EL: 'Το "{x}" λέγεται στα ελληνικά'}
    data = facts_from_dictionary(templates, words)
    assert [(f.id, f.lang, f.prompt, f.answer) for f in data.facts] == [
        ("house", EN, 'The Greek word for "house" is', "σπίτι"),
        ("house", EL, 'Το "house" λέγεται στα ελληνικά', "σπίτι"),
        ("red", EN, 'The Greek word for "red" is', "κόκκινο"),
        ("red", EL, 'Το "red" λέγεται στα ελληνικά', "κόκκινο"),
    ]
    for fact in data.facts:
        assert fact.subject is not None
        assert fact.prompt[slice(*fact.subject)] == fact.id
    for bad in ({EN: "{x}"}, {EN: "{x}", EL: "x"}, {EN: "{x}", EL: "{x} {x}"}):
        with pytest.raises(InputError, match=r"two languages or more, each with one \{x\}"):
            facts_from_dictionary(bad, words)


def test_a_pair_asks_for_the_word_after_each_first_half():
    rows = [
        ("The house is big, my friend.", "Το σπίτι είναι «μεγάλο», φίλε."),
        ("Too short here", "Ένα δύο τρία τέσσερα"),
        ("One two — three", "Ένα δύο τρία τέσσερα"),
    ]
    pairs = Pairs(tuple(Pair(s, t, f"p{n}") for n, (s, t) in enumerate(rows)), EN, EL)
    data = facts_from_pairs(pairs)
    assert data.facts == (
        Fact("1:p0", EN, "The house is", "big"),
        Fact("1:p0", EL, "Το σπίτι είναι", "μεγάλο"),
    )
    assert [(row.line, row.reason) for row in data.rejected] == [
        (2, "fewer than 4 words between spaces"),
        (3, "no word after the first half"),
    ]


def test_languages_are_chosen_or_refused_by_name():
    data = read_facts([GOOD, {**GOOD, "lang": "el"}])
    assert select_languages(data, []) == data
    assert [fact.lang for fact in select_languages(data, [EL]).facts] == [EL]
    with pytest.raises(InputError) as caught:
        select_languages(data, [JA])
    assert (caught.value.expected, caught.value.got, caught.value.where) == (
        "languages of the facts: en, el",
        "ja",
        "--lang",
    )
