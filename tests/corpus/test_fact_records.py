"""Facts of every kind of row come back; what is none is told with its line and reason."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lingraft.corpus.fact_records import Fact, read_facts, select_languages
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


# The keys of ECLeKTic's rows, with made-up text: eclektic_main.jsonl as its readers take it
# (stanford-crfm/helm, scenarios/cultural_knowledge_remembering_eclektic_scenario.py).
ECLEKTIC = {
    "q_id": "q7", "original_lang": "he", "title": "T", "url": "https://he.example/T",
    "content": "C", "question": "מי?", "answer": "דן",
    "en_q": "Who?", "en_a": "Dan", "en_c": "C in English",
    "de_q": "Wer?", "de_a": "Dan", "de_c": "C auf Deutsch",
    "he_q": "מי זה?", "he_a": "דן", "he_c": "C", "zh_q": None, "zh_a": None, "zh_c": None,
}  # fmt: skip


def test_a_row_of_eclektic_is_a_fact_in_each_language():
    he, de = Language.parse("he"), Language.parse("de")
    data = read_facts([ECLEKTIC])
    assert data.facts == (
        Fact("q7", he, "מי זה?", "דן", source_lang=he, gap="\n"),
        Fact("q7", EN, "Who?", "Dan", source_lang=he, gap="\n"),
        Fact("q7", de, "Wer?", "Dan", source_lang=he, gap="\n"),
    )
    assert data.rejected == ()
    # The original may stand under its own code alone, or without one.
    row = {"id": "f1", "original_lang": "en", "en_q": "Who?", "en_a": "Nikos"}
    fact = Fact("f1", EN, "Who?", "Nikos", source_lang=EN, gap="\n")
    assert read_facts([row]).facts == (fact,)
    row = {"id": "f1", "original_lang": "en", "question": "Who?", "answer": "Nikos"}
    assert read_facts([row]).facts == (fact,)


# As data_generation/3_gen_cl-kt.py of 0Frett/Live-CLKT-BENCH writes them (2d029c0), made-up text.
LIVE_CLKT = {
    "question": "Who won\nthe match?\n- A. Oslo\n- B. The red. - C. team\n- C. Bern \n- D. 1904\n",
    "answer": "B", "text_answer": "The red. - C. team", "train_lang": "en", "test_lang": "el",
    "source": "match", "qid": "match-0",
}  # fmt: skip


def test_a_row_of_live_clkt_bench_has_its_options_in_the_question():
    data = read_facts([LIVE_CLKT, {**LIVE_CLKT, "test_lang": "en"}])
    fact = Fact(
        "match-0", EL, "Who won the match?", "The red. - C. team", ("Oslo", "Bern", "1904"),
        source_lang=EN, gap="\n",
    )  # fmt: skip
    assert [f.lang for f in data.facts] == [EL, EN]
    assert data.facts[0] == fact
    assert data.rejected == ()


def test_numbers_are_answers_as_their_text():
    row = {"id": 1, "lang": "en", "prompt": "It is", "answer": 1904, "alternatives": [1905, 0.5]}
    assert read_facts([row]).facts == (Fact("1", EN, "It is", "1904", ("1905", "0.5")),)
    translated = {"original_lang": "en", "id": "q", "en_q": "When?", "en_a": 1904}
    assert read_facts([translated]).facts[0].answer == "1904"
    listed = {"id": "m", "lang": "en", "question": "When?", "options": [3, 4], "answer": "B"}
    assert read_facts([listed]).facts == (Fact("m", EN, "When?", "4", ("3",), gap="\n"),)


def test_a_fact_knows_its_line(save):
    path = save("facts.jsonl", "\n" + lines(ECLEKTIC, {**GOOD, "lang": "en"}))
    found = read_facts(path).facts
    assert [(fact.file, fact.line) for fact in found] == [(str(path), 2)] * 3 + [(str(path), 3)]
    assert [(fact.file, fact.line) for fact in read_facts([GOOD]).facts] == [("", 1)]


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
    ({"original_lang": "en", "en_q": "Who?"}, "no id"),
    ({"original_lang": "en", "id": "q", "el_q": "Ποιος;"}, "no question in the original language"),
    ({"original_lang": "en", "id": "q", "xx_q": "?"}, "unknown language 'xx'"),
    ({"original_lang": "en", "id": "q", "en_q": "Who?"}, "no answer"),
    ({**LIVE_CLKT, "answer": "A"}, "the option of the letter is not text_answer"),
    ({**LIVE_CLKT, "answer": ["B"]}, "the option of the letter is not text_answer"),
    ({**LIVE_CLKT, "question": None}, "the option of the letter is not text_answer"),
    ({**LIVE_CLKT, "question": "Who?"}, "the option of the letter is not text_answer"),
    ({**LIVE_CLKT, "qid": None}, "no id"),
    ({**LIVE_CLKT, "test_lang": "xx"}, "unknown language 'xx'"),
    ({**GOOD, "answer": True}, "no answer"),
    ({**GOOD, "answer": float("nan")}, "no answer"),
    ({**GOOD, "frequency": float("nan")}, "frequency is no number of 0 or more"),
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
