"""Readers give back what was written, keep every row in its place, and tell what they refuse."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lingraft.corpus import read_dictionary, read_documents, read_pairs, readers
from lingraft.corpus.readers import MAX_PAIR_CHARACTERS, TOO_LONG_SIDE
from lingraft.corpus.records import Document, Pair, Rejected
from lingraft.corpus.rejects import NOT_IN_LANGUAGE, TOO_LONG_LINE
from lingraft.errors import InputError
from lingraft.languages import Language

EN, EL, TT = Language.parse("en"), Language.parse("el"), Language.parse("tt")
COMPRESSIONS = ("", ".gz", ".xz", ".zst")


def _texts(forbidden: str) -> st.SearchStrategy[str]:
    characters = st.characters(
        exclude_categories=["Cs"], exclude_characters="\x00\ufeff" + forbidden
    )
    return st.text(characters, min_size=1, max_size=30).filter(str.strip)


LINES = st.lists(_texts("\r\n\t"), min_size=1, max_size=6)
TEXTS = st.lists(_texts(""), min_size=1, max_size=6)


@settings(max_examples=25, deadline=None)
@given(texts=LINES, compression=st.sampled_from(COMPRESSIONS), end=st.sampled_from(["\n", "\r\n"]))
def test_lines_of_text_come_back_to_the_byte(save, texts, compression, end):
    path = save("a.txt" + compression, end.join(texts))
    documents = read_documents(path, lang=EL)
    assert [document.text for document in documents] == texts
    assert [document.id for document in documents] == [
        f"{path.name}:{i}" for i in range(1, len(texts) + 1)
    ]
    assert documents.rejected == ()


@settings(max_examples=25, deadline=None)
@given(
    texts=TEXTS,
    compression=st.sampled_from(COMPRESSIONS),
    key=st.sampled_from(["text", "el", "ell", "ell_Grek"]),
    ascii_only=st.booleans(),
)
def test_json_documents_come_back_to_the_byte(save, texts, compression, key, ascii_only):
    rows = [
        json.dumps({"id": f"d{i}", key: t}, ensure_ascii=ascii_only) for i, t in enumerate(texts)
    ]
    documents = read_documents(save("a.jsonl" + compression, "\n".join(rows)), lang=EL)
    assert documents.records == tuple(Document(t, f"d{i}") for i, t in enumerate(texts))


@settings(max_examples=25, deadline=None)
@given(
    sides=st.lists(st.tuples(_texts("\r\n\t"), _texts("\r\n\t")), min_size=1, max_size=5),
    data=st.data(),
)
def test_pairs_come_back_from_every_line_format(save, sides, data):
    compression = data.draw(st.sampled_from(COMPRESSIONS))
    keys = data.draw(st.sampled_from([("source", "target"), ("en", "el"), ("eng_Latn", "ell")]))
    tsv = save("a.tsv" + compression, "".join(f"{s}\t{t}\tmore\n" for s, t in sides))
    rows = [json.dumps(dict(zip(keys, side, strict=True))) for side in sides]
    jsonl = save("a.jsonl" + compression, "\n".join(rows))
    source = save("a.en" + compression, "\n".join(s for s, _ in sides))
    target = save("a.el" + compression, "\n".join(t for _, t in sides) + "\n")
    for paths in (tsv, jsonl, f"{source},{target}"):
        pairs = read_pairs(paths, source_lang=EN, target_lang=EL)
        assert [(pair.source, pair.target) for pair in pairs] == sides
        assert pairs.rejected == ()


def test_only_newlines_end_a_line_and_blank_lines_are_no_rows(save):
    text = "\ufeffα\u2028β\u0085γ\x0bδ\r\n\n   \nε"
    documents = read_documents(save("a.txt", text), lang=EL)
    assert documents.records == (
        Document("α\u2028β\u0085γ\x0bδ", "a.txt:1"),
        Document("ε", "a.txt:4"),
    )
    assert documents.rejected == ()


def test_files_follow_each_other_and_a_format_can_be_given(save):
    first, second = save("a.txt", "one"), save("b.corpus", '{"text": "two", "ref": "r"}')
    assert [d.text for d in read_documents([first, save("c.TXT", "three")], lang=EN)] == [
        "one",
        "three",
    ]
    documents = read_documents(str(second), lang=EN, format="jsonl")
    assert documents.records == (Document("two", "r"),)


def test_each_bad_json_row_is_rejected_with_its_line_and_reason(save):
    rows = [
        '{"text": "a"}',
        '{"text": ',
        "[1]",
        '{"text": 7}',
        '{"text": "  "}',
        '{"text": "x\\u0000y"}',
        '{"text": "\\ud800"}',
        "",
        '{"nl": "een"}',
        "[" * 100_000,
        '{"text": "b", "id": 5}',
        '{"text": null, "el": "c", "id": "\\udfff"}',
        *['{"text": "more"}'] * 5,
    ]
    path = save("bad.jsonl", "\n".join(rows))
    documents = read_documents(path, lang=EL)
    assert documents.records[:3] == (
        Document("a", "bad.jsonl:1"),
        Document("b", "5"),
        Document("c", "bad.jsonl:12"),
    )
    assert documents.rejected == tuple(
        Rejected(str(path), line, reason)
        for line, reason in [
            (2, "bad JSON"),
            (3, "no JSON object"),
            (4, "text is not a string"),
            (5, "empty text"),
            (6, "NUL character"),
            (7, "lone surrogate"),
            (9, NOT_IN_LANGUAGE),
            (10, "bad JSON"),
        ]
    )


def test_bad_rows_of_a_table_never_shift_the_others(save):
    long = "x" * (MAX_PAIR_CHARACTERS + 1)
    rows = [
        "a\tα",
        "\tβ",
        "c\t",
        "d",
        "",
        f"{long}\tε",
        "f\tζ\tmore",
        "g\x00\tη",
        "h\tθ",
        "i\tι",
        "j\tκ",
    ]
    path = save("bad.tsv", "\n".join(rows))
    pairs = read_pairs(path, source_lang=EN, target_lang=EL)
    assert pairs.records == (
        Pair("a", "α", "bad.tsv:1"),
        Pair("f", "ζ", "bad.tsv:7"),
        Pair("h", "θ", "bad.tsv:9"),
        Pair("i", "ι", "bad.tsv:10"),
        Pair("j", "κ", "bad.tsv:11"),
    )
    assert [(row.line, row.reason) for row in pairs.rejected] == [
        (2, "empty source side"),
        (3, "empty target side"),
        (4, "fewer than two columns"),
        (5, "blank line"),
        (6, TOO_LONG_SIDE),
        (8, "NUL character"),
    ]


def test_a_side_of_the_greatest_length_is_kept(save):
    path = save("a.tsv", "x" * MAX_PAIR_CHARACTERS + "\ty")
    assert len(read_pairs(path, source_lang=EN, target_lang=EL)) == 1


def test_rows_in_other_languages_are_listed_but_are_no_defect(save):
    rows = [
        '{"en": "a", "el": "α"}',
        *['{"en": "b", "nl": "bé"}'] * 3,
        '{"en": "c", "el": null}',
        "{",
    ]
    pairs = read_pairs(save("a.jsonl", "\n".join(rows)), source_lang=EN, target_lang=EL)
    assert [pair.target for pair in pairs] == ["α"]
    assert [row.reason for row in pairs.rejected] == [NOT_IN_LANGUAGE] * 4 + ["bad JSON"]


def test_short_tags_are_keys_of_languages_with_several_scripts(save):
    assert readers.language_keys(TT) == ("tt-Cyrl", "tat_Cyrl", "tt", "tat")
    path = save("a.jsonl", '{"tt": "кеше"}')
    assert read_documents(path, lang=TT).records[0].text == "кеше"


def test_lines_beyond_the_limit_are_rejected_in_every_line_format(save, monkeypatch):
    monkeypatch.setattr("lingraft.corpus.streams.MAX_LINE_BYTES", 8)
    monkeypatch.setattr("lingraft.corpus.streams._CHUNK_BYTES", 3)
    text = "123456789\na\tb\nc\td\n"
    documents = read_documents(save("a.txt", text + "12345678901234"), lang=EN)
    assert [d.text for d in documents] == ["a\tb", "c\td"]
    assert [(row.line, row.reason) for row in documents.rejected] == [
        (1, TOO_LONG_LINE),
        (4, TOO_LONG_LINE),
    ]
    pairs = read_pairs(save("a.tsv", text), source_lang=EN, target_lang=EL)
    assert [row.line for row in pairs.rejected] == [1]
    rows = '{"text": "a"}\n{}\n3\n'
    with pytest.raises(InputError, match="3 rows rejected"):
        read_documents(save("a.jsonl", rows), lang=EN)
    moses = f"{save('a', '1234567890' + chr(10) + 'a')},{save('b', 'b' + chr(10) + 'c')}"
    pairs = read_pairs(moses, source_lang=EN, target_lang=EL)
    assert [(p.source, p.target) for p in pairs] == [("a", "c")]
    assert [(row.line, row.reason) for row in pairs.rejected] == [(1, TOO_LONG_LINE)]


def test_parallel_files_of_different_length_are_refused_with_both_counts(save):
    a, b = save("a.en", "one\ntwo\nthree\n"), save("a.el", "ένα\nδύο\n")
    with pytest.raises(InputError) as caught:
        read_pairs(f"{a},{b}", source_lang=EN, target_lang=EL)
    assert caught.value.got == "3 and 2 lines"
    assert caught.value.where == f"{a},{b}"
    with pytest.raises(InputError, match="got 3 names"):
        read_pairs(f"{a},{b},{a}", source_lang=EN, target_lang=EL)
    with pytest.raises(InputError, match="nothing of that name"):
        read_pairs(f"{a},{a}.gone", source_lang=EN, target_lang=EL)


def test_blank_lines_of_parallel_files_keep_their_place(save):
    a, b = save("a.en", "one\n\nthree\n"), save("a.el", "ένα\n\nτρία\n")
    pairs = read_pairs(f"{a},{b}", source_lang=EN, target_lang=EL)
    assert pairs.records == (Pair("one", "ένα", "a.en:1"), Pair("three", "τρία", "a.en:3"))
    assert pairs.rejected == (Rejected(str(a), 2, "empty source side"),)


def test_a_file_may_have_a_comma_in_its_name(save):
    path = save("a,b.tsv", "x\ty")
    assert len(read_pairs(path, source_lang=EN, target_lang=EL)) == 1


def test_mostly_bad_files_are_refused_with_the_counts_by_reason(save):
    path = save("a.tsv", "a\tb\nc\nd\n\te\n")
    with pytest.raises(InputError) as caught:
        read_pairs(path, source_lang=EN, target_lang=EL)
    assert caught.value.got == "3 of 4 (2 x fewer than two columns, 1 x empty source side)"
    assert caught.value.where == str(path)
    half = save("half.tsv", "a\tb\nc\n")
    assert len(read_pairs(half, source_lang=EN, target_lang=EL)) == 1


def test_files_without_a_row_are_refused(save):
    with pytest.raises(InputError, match="got an empty file"):
        read_documents(save("a.txt", "\n\n"), lang=EN)
    with pytest.raises(InputError, match=f"2 rows rejected \\(2 x {NOT_IN_LANGUAGE}\\)"):
        read_pairs(save("a.jsonl", '{"en": "a"}\n{"en": "b"}'), source_lang=EN, target_lang=EL)
    with pytest.raises(InputError, match="expected at least one file, got none"):
        read_documents([], lang=EN)


@pytest.mark.parametrize("name", ["a.docx", "a", "a.gz", "a.docx.xz"])
def test_unknown_formats_are_refused_by_name(save, name):
    with pytest.raises(InputError, match=r"expected a file in \.txt, \.jsonl"):
        read_documents(save(name, "x"), lang=EN)
    with pytest.raises(InputError, match=r"expected a file in \.tsv, \.jsonl, \.tmx"):
        read_pairs(save(name, "x"), source_lang=EN, target_lang=EL)


def test_an_unknown_format_argument_is_refused(save):
    with pytest.raises(InputError, match=r"the format '\.csv'"):
        read_documents(save("a.txt", "x"), lang=EN, format="csv")


def test_dictionaries_are_tables_of_any_name(save):
    path = save("en-el.dic.xz", "dog\tσκύλος\t1\ttrain\ndog\tσκυλί\t2\ttest\ncat\n")
    pairs = read_dictionary(path, source_lang=EN, target_lang=EL)
    assert [(p.source, p.target) for p in pairs] == [("dog", "σκύλος"), ("dog", "σκυλί")]
    assert pairs.rejected == (Rejected(str(path), 3, "fewer than two columns"),)
    with pytest.raises(InputError, match="a row is word<TAB>translation"):
        read_dictionary(save("muse.txt", "dog σκύλος\n"), source_lang=EN, target_lang=EL)
    with pytest.raises(InputError, match="nothing of that name"):
        read_dictionary(Path("gone.tsv"), source_lang=EN, target_lang=EL)
