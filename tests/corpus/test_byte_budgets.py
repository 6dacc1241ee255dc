"""Byte budgets: exact sizes, each inside the next; parts that overlap and wrong encodings."""

import gzip
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lingraft.corpus.byte_budgets import byte_prefixes, check_disjoint, check_text, remove_marks
from lingraft.corpus.records import Document, Documents, data_hash
from lingraft.corpus.splits import hold_out, random_split
from lingraft.errors import InputError
from lingraft.languages import Language

DUTCH = Language.parse("nl")
characters = st.characters(exclude_categories=["Cs"])


def corpus(*texts: str, name: str = "text") -> Documents:
    records = (Document(text, f"{name}:{number}") for number, text in enumerate(texts, start=1))
    return Documents(tuple(records), DUTCH)


def joined(documents: Documents) -> str:
    return "".join(document.text for document in documents)


@given(st.lists(st.text(characters, max_size=8), min_size=1), st.data(), st.integers(0, 9))
def test_prefixes_are_exact_and_nested(texts: list[str], data: st.DataObject, seed: int) -> None:
    documents = corpus("é", *texts)
    size = st.integers(1, documents.num_bytes)
    sizes = sorted(data.draw(st.sets(size, min_size=1, max_size=5)))
    prefixes = byte_prefixes(documents, sizes, seed=seed)
    whole = byte_prefixes(documents, [documents.num_bytes], seed=seed)[0]
    assert sorted(whole.documents, key=lambda document: document.id) == sorted(
        (document for document in documents if document.text), key=lambda document: document.id
    )
    text = joined(whole.documents)
    for asked, prefix in zip(sizes, prefixes, strict=True):
        # The longest run of characters that fits, found by trying all of them.
        fitting = max(n for n in range(len(text) + 1) if len(text[:n].encode("utf-8")) <= asked)
        assert joined(prefix.documents) == text[:fitting]
        assert [document.id for document in prefix.documents] == [
            document.id for document in whole.documents
        ][: len(prefix.documents)]
        assert all(document.text for document in prefix.documents)
        assert prefix.manifest == {
            "asked_bytes": asked,
            "num_bytes": len(text[:fitting].encode("utf-8")),
            "num_characters": fitting,
            "num_documents": len(prefix.documents),
            "data_hash": data_hash([document.text for document in prefix.documents]),
        }
        assert 0 <= asked - prefix.num_bytes <= 3


def test_the_order_is_the_seed_s_whatever_the_sizes() -> None:
    documents = corpus(*(f"document {number}" for number in range(40)))
    first, again, other = (
        byte_prefixes(documents, sizes, seed=seed)
        for sizes, seed in (([50, 200], 0), ([200], 0), ([200], 1))
    )
    assert first[1] == again[0]
    assert {document.id for document in again[0].documents} != {
        document.id for document in other[0].documents
    }
    assert [document.id for document in documents] == [f"text:{n}" for n in range(1, 41)]


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        (
            [4, 8, 10, 20],
            r"^sizes, nld_Latn: expected at most 9 bytes, which is all the text there is, "
            "got 20 bytes; the largest of the sizes that fits is 8$",
        ),
        ([10], "got 10 bytes; none of the sizes fits; bring more text$"),
        ([], "^sizes: expected one or more sizes in bytes, positive and rising, got none$"),
        ([8, 4], "positive and rising, got 8, 4$"),
        ([4, 4], "positive and rising, got 4, 4$"),
        ([0, 4], "positive and rising, got 0, 4$"),
        ([-1], "positive and rising, got -1$"),
    ],
)
def test_sizes_that_cannot_be_are_refused(sizes: list[int], message: str) -> None:
    documents = corpus("één", "tien")
    assert documents.num_bytes == 9
    assert byte_prefixes(documents, [9], seed=0)[0].num_bytes == 9
    with pytest.raises(InputError, match=message):
        byte_prefixes(documents, sizes, seed=0)


def test_parts_that_share_a_text_are_refused() -> None:
    train = corpus("een", "Twee  stuks!", "drie", name="train")
    valid = corpus("nieuw", "twee stuks", "DRIE", name="valid")
    with pytest.raises(
        InputError,
        match=r"^train and valid: expected valid to share no document with train, got 2 of its 3 "
        r"documents, one of them valid:2, with the text of one there; "
        r"remove them from train with corpus\.hold_out$",
    ):
        check_disjoint(train=train, valid=valid)
    check_disjoint(train=hold_out(train, [valid]).kept, valid=valid)


def test_parts_that_share_an_id_are_refused_unless_ids_are_local() -> None:
    parts = {"train": corpus("een"), "valid": corpus("twee", name="v"), "test": corpus("drie")}
    with pytest.raises(
        InputError,
        match=r"^train and test: .* got 1 of its 1 documents, one of them text:1, with the id of "
        r"one there; .*, or pass match_ids=False if ids are not unique$",
    ):
        check_disjoint(**parts)
    check_disjoint(match_ids=False, **parts)


@given(st.lists(st.text(st.sampled_from("aB1 ,"), max_size=3), min_size=4))
def test_parts_of_a_split_pass(texts: list[str]) -> None:
    documents = corpus("one", "two", "three", *texts)
    split = random_split(documents, num_valid=1, num_test=1, seed=0)
    check_disjoint(train=split.train, valid=split.valid, test=split.test)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("tekst".encode("utf-16"), "got the byte order mark of UTF-16LE; .* iconv -f UTF-16LE -t"),
        (b"\xfe\xff\0t", "got the byte order mark of UTF-16BE; .* iconv -f UTF-16BE"),
        ("tekst".encode("utf-32"), "got the byte order mark of UTF-32LE; .* iconv -f UTF-32LE"),
        (b"\0\0\xfe\xff\0\0\0t", "got the byte order mark of UTF-32BE; .* iconv -f UTF-32BE"),
        ("tekst".encode("utf-16-le"), "got 5 NUL bytes, the first at byte 2; .* -f UTF-16LE -t"),
        ("tekst".encode("utf-16-be"), "got 5 NUL bytes, the first at byte 1; .* -f UTF-16BE -t"),
        ("tekst".encode("utf-32-le"), "got 15 NUL bytes, the first at byte 2; .* -f UTF-32LE -t"),
        ("дом и лес".encode("utf-32-be"), "NUL bytes, the first at byte 1; .* -f UTF-32BE -t"),
        ("дом и лес".encode("utf-16-le"), "got 2 NUL bytes, the first at byte 8; .* -f UTF-16LE"),
        ("één".encode("utf-16-le"), "got byte 0xe9 at byte 1; .* iconv -f UTF-16LE"),
        ("één".encode("latin-1"), "UTF-8 text, got byte 0xe9 at byte 1; .* -f ENCODING -t UTF-8$"),
        (b"a" * 99 + b"\0", r"text without NUL, got 1 NUL bytes, .* 100; .* -d .\\000.$"),
        (
            b"abc\n" + "tekst".encode("utf-16"),
            "throughout, got the byte order mark of UTF-16LE at byte 5; files "
            "of two encodings were joined",
        ),
        ("één\ufffe".encode(), "got U.FFFE, a byte order mark with its bytes swapped, at byte 6;"),
    ],
)
def test_other_encodings_and_byte_orders_are_refused(raw: bytes, message: str) -> None:
    with pytest.raises(InputError, match=f"^text: expected .*{message}"):
        check_text(raw)


def test_marks_are_removed_and_counted_and_losses_only_counted() -> None:
    found = check_text("\ufeffeen\n\ufefftw\ufeffee\n".encode())
    assert (found.text, found.num_marks_removed, found.num_replaced) == ("een\ntwee\n", 3, 0)
    found = check_text("na\ufffdef en caf\ufffd".encode())
    assert (found.text, found.num_marks_removed, found.num_replaced) == (
        "na\ufffdef en caf\ufffd",
        0,
        2,
    )


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufeff\ufffe\ufffd")))
def test_sound_text_is_left_as_it_is(text: str) -> None:
    found = check_text(text.encode("utf-8"))
    assert (found.text, found.num_marks_removed, found.num_replaced) == (text, 0, 0)


def test_a_file_is_checked_by_name(tmp_path: Path) -> None:
    path = tmp_path / "text.txt.gz"
    path.write_bytes(gzip.compress("\ufeffeen".encode()))
    assert check_text(path).text == "een"
    path.write_bytes(gzip.compress(b"een" * 9 + b"\0"))
    with pytest.raises(InputError, match=rf"^{re.escape(str(path))}: expected text without NUL"):
        check_text(path)


def test_marks_within_documents_are_removed_and_counted() -> None:
    texts = ("een", "\ufefftw\ufeffee", " \ufeff", "dr\ufffde")
    documents = Documents(tuple(Document(x, str(i)) for i, x in enumerate(texts)), DUTCH)
    found = remove_marks(documents)
    assert [x.text for x in found.documents] == ["een", "twee", "dr\ufffde"]
    assert [x.id for x in found.documents] == ["0", "1", "3"]
    assert found.documents.records[0] is documents.records[0]
    assert (found.num_marks_removed, found.num_emptied, found.num_replaced) == (3, 1, 1)


def test_a_swapped_mark_within_a_document_is_refused() -> None:
    documents = Documents((Document("een", "a"), Document("tw\ufffeee", "b")), DUTCH)
    with pytest.raises(
        InputError, match=r"^nld_Latn, b: expected text in one byte order, got U\+FFFE.* byte 3;"
    ):
        remove_marks(documents)
