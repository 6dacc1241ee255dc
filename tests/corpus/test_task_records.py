"""Readers of tasks: every example comes back, and every line that is none is told."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lingraft.corpus.tagged_sentences import read_conll_ner, read_conllu
from lingraft.corpus.task_examples import Example, TaskData, words_of
from lingraft.corpus.task_records import read_sentence_pairs, read_squad
from lingraft.errors import InputError

WORDS = st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=6)
SENTENCES = st.lists(WORDS, min_size=1, max_size=5)


def reasons(data: TaskData) -> list[tuple[int, str]]:
    return [(row.line, row.reason) for row in data.rejected]


def lines(*rows: object) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


@settings(max_examples=25)
@given(
    pairs=st.lists(
        st.tuples(SENTENCES.map(" ".join), SENTENCES.map(" ".join), st.integers(0, 2)),
        min_size=1,
        unique_by=lambda pair: f"{pair[0]} hypothesis: {pair[1]}",
    ),
    compression=st.sampled_from(["", ".gz", ".xz", ".zst"]),
)
def test_every_pair_comes_back_in_the_papers_form(save, pairs, compression):
    rows = [{"guid": f"g{n}", "a": p, "b": h, "y": y} for n, (p, h, y) in enumerate(pairs)]
    path = save("rte.jsonl" + compression, lines(*rows))
    keys = {"task": "assin2", "premise": "a", "hypothesis": "b", "label": "y"}
    data = read_sentence_pairs(path, **keys)
    assert data.examples == tuple(
        Example(f"assin2: premise: {p} hypothesis: {h}", (str(y),), f"g{n}")
        for n, (p, h, y) in enumerate(pairs)
    )
    assert (data.kind, data.rejected) == ("entailment", ())
    assert data.labels == tuple(sorted({str(y) for _, _, y in pairs}))
    assert read_sentence_pairs(iter(rows), **keys) == data


def test_a_label_is_answered_as_the_user_says_and_all_else_is_told(save):
    good = {"premise": "A  man\nsleeps.", "hypothesis": "He rests.", "label": "entailment"}
    path = save(
        "nli.jsonl",
        lines(good, {**good, "label": "neutral"}, good)
        + "{\n[1]\n\n"
        + lines(
            {**good, "premise": " "},
            {**good, "hypothesis": 3},
            {**good, "premise": "x", "label": "odd"},
            {**good, "premise": "x", "label": -1},
            {**good, "premise": "x", "label": None},
            {**good, "premise": "x", "label": True},
            {**good, "premise": "x\x00"},
            *({**good, "premise": f"p{n}", "label": "neutral"} for n in range(20)),
        ),
    )
    data = read_sentence_pairs(path, task="nli", labels={"entailment": "1", "neutral": "0"})
    assert data.examples[0] == Example(
        "nli: premise: A man sleeps. hypothesis: He rests.", ("1",), "nli.jsonl:1"
    )
    assert (len(data), data.labels) == (21, ("0", "1"))
    assert reasons(data) == [
        (2, "duplicate with another answer"),
        (3, "duplicate"),
        (4, "bad JSON"),
        (5, "no JSON object"),
        (7, "no text under 'premise'"),
        (8, "no text under 'hypothesis'"),
        (9, "unknown label 'odd'"),
        (10, "no label"),
        (11, "no label"),
        (12, "no label"),
        (13, "no text under 'premise'"),
    ]


def test_a_file_without_the_keys_is_refused_with_their_names(save):
    path = save("nli.jsonl", lines({"sentence1": "a", "sentence2": "b", "label": 1}))
    with pytest.raises(InputError) as caught:
        read_sentence_pairs(path, task="nli")
    assert caught.value.got == "1 rows rejected (1 x no text under 'premise')"
    assert caught.value.hint == "rows have premise, hypothesis and label"
    with pytest.raises(InputError) as caught:
        read_sentence_pairs([], task="a: b")
    assert (caught.value.got, caught.value.where) == ("'a: b'", "task")
    with pytest.raises(InputError, match="nothing of that name"):
        read_sentence_pairs(path.with_name("none.jsonl"), task="nli")


def treebank(words: list[str], tags: list[str]) -> str:
    return "".join(
        f"{n}\t{word}\t_\t{tag}\tX{tag}\t_\t0\t_\t_\t_\n"
        for n, (word, tag) in enumerate(zip(words, tags, strict=True), start=1)
    )


@settings(max_examples=25)
@given(sentences=st.lists(SENTENCES, min_size=1, max_size=4, unique_by=" ".join))
def test_every_word_of_a_treebank_keeps_its_tag(save, sentences):
    tags = [[f"T{len(word)}" for word in sentence] for sentence in sentences]
    blocks = [treebank(w, t) for w, t in zip(sentences, tags, strict=True)]
    path = save("a.conllu", "\n".join(blocks))
    data = read_conllu(path)
    assert [words_of(example) for example in data.examples] == sentences
    assert [example.answers for example in data.examples] == [(" ".join(t),) for t in tags]
    assert data.labels == tuple(sorted({tag for row in tags for tag in row}))
    assert read_conllu(path, column="xpos").examples[0].answers == (
        " ".join(f"X{tag}" for tag in tags[0]),
    )


def test_a_malformed_sentence_is_told_by_its_line(save):
    row = "\t_\tNOUN\t_\t_\t0\t_\t_\t_\n"
    good = "".join(f"1\tw{n}{row}\n" for n in range(8))
    path = save(
        "a.conllu",
        "# sent_id = s-1\n# text = x\n1-2\tdel" + row + "1\tde" + row + "1.1\t_" + row
        + "2\t1 000" + row + "\n"
        + "1\ta\tb\n\n"
        + "1\ta" + row + "3\tb" + row + "\n"
        + "1\t " + row + "\n"
        + "1\ta" + row.replace("NOUN", "_") + "\n"
        + "# only a remark\n\n"
        + "1\tw0" + row + "\n\n"
        + good,
    )  # fmt: skip
    data = read_conllu(path)
    assert data.examples[0] == Example("upos: de 1\u00a0000", ("NOUN NOUN",), "s-1")
    assert words_of(data.examples[0]) == ["de", "1\u00a0000"]
    assert reasons(data) == [
        (8, "3 columns instead of 10"),
        (11, "word id '3' instead of 2"),
        (13, "no word"),
        (15, "no upos tag"),
        (17, "no words"),
        (22, "duplicate"),
    ]
    with pytest.raises(InputError) as caught:
        read_conllu(path, column="pos")
    assert caught.value.got == "'pos'"


@pytest.mark.parametrize("gap", ["\t", " "])
def test_entities_are_read_with_their_tags(save, gap):
    rows = [
        "-DOCSTART- -X- O", "", "# id 1", "Ada X B-PER", "Lovelace X I-PER", "# X O", "",
        "Ada X", "", "Ada X E-PER", "", "Ada X B-PER", "Paris B-LOC", "", "Oslo X B-LOC",
        "", "Bern X B-LOC", "", "Oslo X B-LOC", "", "Rome X B-LOC", "", "Lima X B-LOC",
    ]  # fmt: skip
    path = save("a.conll", "\n".join(rows).replace(" ", gap))
    data = read_conll_ner(path)
    assert data.examples[0] == Example("ner: Ada Lovelace #", ("B-PER I-PER O",), "a.conll:4")
    assert [e.prompt for e in data.examples[1:]] == [
        f"ner: {w}" for w in ["Oslo", "Bern", "Rome", "Lima"]
    ]
    assert (data.kind, data.labels) == ("ner", ("B-LOC", "B-PER", "I-PER", "O"))
    assert reasons(data) == [
        (8, "'X' is no BIO tag"),
        (10, "'E-PER' is no BIO tag"),
        (13, "2 columns instead of 3"),
        (19, "duplicate"),
    ]
    swapped = save("b.conll", "1\tB-LOC\tNew\u00a0York\n")
    found = read_conll_ner(swapped, word_column=2, tag_column=1, task="entities")
    assert found.examples[0].prompt == "entities: New\u00a0York"
    far = save("c.conll", "a O\n\nb\n")
    assert reasons(read_conll_ner(far, word_column=0)) == [(3, "'b' is no BIO tag")]


def question(n: int, answers: object, **more: object) -> dict[str, object]:
    return {"id": f"q{n}", "question": f"Who {n}?", "answers": answers, **more}


def test_squad_is_read_nested_and_flat(save):
    context = "Ada wrote\nit in 1843."
    told = [
        question(0, [{"text": "Ada", "answer_start": 0}, {"text": "Ada", "answer_start": 0},
                     {"text": "wrote it", "answer_start": 4}]),
        question(1, [], is_impossible=True, plausible_answers=[{"text": "Ada"}]),
        question(2, [{"text": "Ada"}], is_impossible=True),
        question(3, [{"text": "Bob", "answer_start": 0}]),
        question(4, [{"text": " "}]),
        question(5, None),
        question(0, [{"text": "Ada"}]),
        {"question": " ", "answers": []},
    ]  # fmt: skip
    articles = [
        {"paragraphs": [{"context": context, "qas": told}]},
        {"paragraphs": [{"context": "C", "qas": [question(n, [{"text": "C"}])]} for n in range(9)]},
    ]
    data = read_squad(save("a.json", json.dumps({"version": "2.0", "data": articles})))
    assert data.examples[:3] == (
        Example("question: Who 0? context: Ada wrote it in 1843.", ("Ada", "wrote it"), "q0"),
        Example("question: Who 1? context: Ada wrote it in 1843.", ("",), "q1"),
        Example("question: Who 2? context: Ada wrote it in 1843.", ("",), "q2"),
    )
    assert (len(data), data.kind, data.labels) == (12, "qa", ())
    assert reasons(data) == [
        (4, "answer is not in the passage"),
        (5, "empty answer"),
        (6, "no answers"),
        (7, "duplicate with another answer"),
        (8, "no question"),
    ]
    flat = [
        question(0, {"text": ["Ada", "wrote it"], "answer_start": [0, 4]}, passage=context),
        question(1, {"text": [], "answer_start": []}, passage=context),
        question(2, [], passage=context),
        question(3, "1843", passage=context),
        question(4, "1843", passage=None),
        question(5, 1843, passage=context),
    ]
    rows = read_squad(save("a.jsonl", lines(*flat)), context="passage")
    assert rows.examples[:3] == data.examples[:3]
    assert rows.examples[3].answers == ("1843",)
    assert reasons(rows) == [(5, "no passage"), (6, "no answers")]


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"data": 3}', '{"data": [{"paragraphs": 1}]}'])
def test_json_that_is_not_squads_is_refused(save, text):
    with pytest.raises(InputError, match="JSON in the form of SQuAD") as caught:
        read_squad(save("a.json", text))
    assert caught.value.got.split()[0] in ("JSONDecodeError", "KeyError", "TypeError")


def test_a_line_too_long_to_hold_is_told_by_every_reader(save, monkeypatch):
    monkeypatch.setattr("lingraft.corpus.streams.MAX_LINE_BYTES", 80)
    long = "x" * 100 + "\n\n"
    pair = lines({"premise": "a", "hypothesis": "b", "label": 1})
    read = [
        read_sentence_pairs(save("a.jsonl", pair + long), task="t"),
        read_conllu(save("a.conllu", treebank(["a"], ["N"]) + "\n" + long)),
        read_conll_ner(save("a.conll", "a O\n\nb O\n" + long)),
        read_squad(
            save("b.jsonl", lines({"question": "q", "context": "c", "answers": "c"}) + long)
        ),
    ]
    assert [row.reason for data in read for row in data.rejected] == [
        "line longer than 67.1 MB"
    ] * 4
    assert read[2].rejected[0].line == 4
