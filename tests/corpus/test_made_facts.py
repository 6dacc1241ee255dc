"""Facts made of a dictionary and of parallel text."""

import pytest

from lingraft.corpus.fact_records import Fact
from lingraft.corpus.made_facts import facts_from_dictionary, facts_from_pairs
from lingraft.corpus.records import Pair, Pairs
from lingraft.errors import InputError
from lingraft.languages import Language

EN, EL = (Language.parse(code) for code in ("en", "el"))


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
