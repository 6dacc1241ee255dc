"""What is left out of facts, and what of them has no partner."""

from pathlib import Path

import pytest

from lingraft.corpus.fact_records import FactData, read_facts
from lingraft.corpus.records import Rejected
from lingraft.languages import Language
from lingraft.pipelines.fact_selection import (
    at_home,
    directions,
    num_without_partner,
    partner_note,
    readable_facts,
    rejected_note,
    unasked_directions,
)
from lingraft.tokenizer.byte_vocabulary import byte_tokenizer

EN, NL, DE = (Language.parse(code) for code in ("en", "nl", "de"))


def facts(*rows: tuple[str, str, str | None]) -> FactData:
    return read_facts(
        {"id": name, "lang": lang, "prompt": "p", "answer": "a", "source_lang": source}
        for name, lang, source in rows
    )


@pytest.mark.parametrize(("length", "fits"), [(7, True), (8, False)])
def test_a_question_is_read_with_the_answer_of_every_language(length: int, fits: bool) -> None:
    """Of bytes: a start token, a prompt, a space and the longer answer."""
    rows = [
        {"id": "1", "lang": "en", "prompt": "x" * length, "answer": "a"},
        {"id": "1", "lang": "nl", "prompt": "p", "answer": "ab"},
        {"id": "2", "lang": "en", "prompt": "x" * 8, "answer": "a"},
    ]
    before = (Rejected("f", 9, "bad JSON"),)
    data = FactData(read_facts(rows).facts, before)
    found = readable_facts(data, byte_tokenizer(), window_tokens=11)
    ids = [(fact.id, fact.lang) for fact in found.facts]
    assert ids == [("1", EN)] * fits + [("1", NL), ("2", EN)]
    reason = "question and answer of more than 10 tokens"
    assert found.rejected == before + (Rejected("rows", 1, reason),) * (not fits)


def test_a_question_that_is_one_token_with_its_answer_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tokenizer = byte_tokenizer()
    monkeypatch.setattr(
        type(tokenizer), "encode_with_offsets", lambda _, texts: [([1], [(0, 2)]) for _ in texts]
    )
    data = read_facts([{"id": "1", "lang": "ja", "prompt": "p", "answer": "a"}])
    found = readable_facts(data, tokenizer, window_tokens=11)
    assert [row.reason for row in found.rejected] == [
        "no token of the question before its answer's"
    ]


def test_facts_are_counted_by_home_and_partner() -> None:
    data = facts(
        ("1", "en", None), ("1", "nl", None), ("2", "en", None), ("3", "nl", None),
        ("4", "nl", "en"), ("5", "en", "nl"), ("6", "en", "de"), ("6", "nl", "de"),
    )  # fmt: skip
    assert num_without_partner(data, EN, NL) == num_without_partner(data, NL, EN) == 4
    alone = {
        (one, other): num_without_partner(at_home(data, one), one, other)
        for one, other in ((EN, NL), (NL, EN), (DE, NL))
    }
    # Facts that are at home nowhere count for asked languages, 4 for English and 5 for Dutch.
    assert alone == {(EN, NL): 3, (NL, EN): 3, (DE, NL): 1}
    assert directions(data) == [(EN, NL), (NL, EN)]
    assert unasked_directions(data) == [(DE, EN), (DE, NL)]
    assert partner_note(data) == (
        "asked in one language only, in recall but not in transfer: 2 in en, 2 in nl"
    )
    assert partner_note(facts(("1", "en", None), ("1", "nl", None))) == ""


def test_reasons_are_counted_and_placed() -> None:
    rows = [Rejected("f", 2, "x"), Rejected("f", 3, "y"), Rejected(str(Path("g")), 1, "y")]
    assert rejected_note(rows) == "left out 2 x y (f:3), 1 x x (f:2)"
    assert rejected_note([]) == ""
