"""Invented facts: what is taught, to whom it leaks, and that the same seed invents the same."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lingraft.errors import InputError
from lingraft.languages import Language
from lingraft.pipelines.invented_facts import LANGUAGES, invent_facts

EN, NL, EL = LANGUAGES
FEW = {
    "taught_lang": EN,
    "asked_lang": EL,
    "num_subjects": 10,
    "parallel_share": 0.3,
    "untaught_share": 0.2,
    "num_exposures": 3,
    "shared_names": True,
    "seed": 0,
}


@settings(max_examples=25)
@given(
    langs=st.permutations(LANGUAGES),
    num=st.integers(1, 30),
    parallel=st.floats(0, 0.45),
    untaught=st.floats(0, 0.45),
    num_exposures=st.integers(1, 4),
    shared=st.booleans(),
)
def test_every_group_is_told_where_it_should_be(
    langs, num, parallel, untaught, num_exposures, shared
):
    one, other = langs[:2]
    given_ = {"num_subjects": num, "parallel_share": parallel, "untaught_share": untaught}
    given_ |= {"num_exposures": num_exposures, "shared_names": shared}
    if num == round(parallel * num) + round(untaught * num):
        return
    found = invent_facts(taught_lang=one, asked_lang=other, **given_, seed=1)
    assert len(found.groups) == 4 * num
    assert len(found.questions) == 8 * num
    assert list(found.groups.values()).count("parallel") == 4 * round(parallel * num)
    assert list(found.groups.values()).count("untaught") == 4 * round(untaught * num)
    told_in = {"taught": (one,), "parallel": (one, other), "untaught": ()}
    texts = [document.text for document in found.statements]
    assert len({document.id for document in found.statements}) == len(texts)
    for fact in found.questions.facts:
        group = found.groups[fact.id]
        told = texts.count(f"{fact.prompt} {fact.answer}.")
        wanted = -(-num_exposures // 2) if fact.lang in told_in[group] else 0
        assert told == wanted
        assert not any(text == f"{fact.prompt} {x}." for text in texts for x in fact.alternatives)
        assert fact.source_lang == (one if group == "taught" else None)
        assert len({fact.answer, *fact.alternatives}) == 8
        assert fact.subject is not None
        name = fact.prompt[slice(*fact.subject)]
        # Nothing of a taught subject is ever said in the other language.
        if group != "parallel" and fact.lang == other:
            ids = [d.id for d in found.statements if d.id.startswith(f"{fact.id}:{other.tag}")]
            assert ids == []
        assert name[0].isupper()
        assert name.isascii() == (shared or fact.lang != EL)


def test_values_mean_the_same_in_every_language():
    for lang in (NL, EL):
        found = invent_facts(**FEW | {"asked_lang": lang})
        for english, other in found.questions.matched(EN, lang):
            values = [
                sorted({f.answer, *f.alternatives}, key=[*f.alternatives, f.answer].index)
                for f in (english, other)
            ]
            assert len(values[0]) == len(values[1]) == 8
            # The answer is left out at the same place of both lists.
            assert (english.id, english.answer in other.alternatives) == (other.id, False)
    answers = {(a.answer, b.answer) for a, b in found.questions.matched(EN, EL)}
    assert len({a for a, _ in answers}) == len(answers) == len({b for _, b in answers})


def test_the_seed_alone_decides():
    assert invent_facts(**FEW) == invent_facts(**FEW)
    assert invent_facts(**FEW) != invent_facts(**FEW | {"seed": 1})
    # The other direction has the same people with the same attributes.
    back = invent_facts(**FEW | {"taught_lang": EL, "asked_lang": EN})
    assert back.groups == invent_facts(**FEW).groups
    assert {(f.prompt, f.answer) for f in back.questions.facts} == {
        (f.prompt, f.answer) for f in invent_facts(**FEW).questions.facts
    }


def test_names_are_spelt_in_greek_where_they_are_not_shared():
    plain, spelt = (invent_facts(**FEW | {"shared_names": x}) for x in (True, False))
    pairs = [
        (a.prompt[slice(*a.subject or (0, 0))], b.prompt[slice(*b.subject or (0, 0))])
        for a, b in zip(plain.questions.facts, spelt.questions.facts, strict=True)
        if a.lang == EL
    ]
    assert all(latin.isascii() and not greek.isascii() for latin, greek in pairs)
    assert len(set(pairs)) == len({a for a, _ in pairs}) == len({b for _, b in pairs}) == 10
    assert all(sum(letter in "άέίόύ" for letter in greek.lower()) == 1 for _, greek in pairs)


@pytest.mark.parametrize(
    ("changes", "got", "where"),
    [
        ({"asked_lang": EN}, "en, en", "languages of invented facts"),
        ({"asked_lang": Language.parse("fi")}, "en, fi", "languages of invented facts"),
        ({"num_subjects": 0}, "0 subjects, 0.3 parallel, 0.2 untaught", "num_subjects"),
        ({"parallel_share": 1.0}, "10 subjects, 1.0 parallel, 0.2 untaught", "num_subjects"),
        ({"untaught_share": -0.5}, "10 subjects, 0.3 parallel, -0.5 untaught", "num_subjects"),
        ({"num_subjects": 10**9}, "1000000000 subjects, 0.3 parallel, 0.2 untaught", "num_subj"),
        ({"num_exposures": 0}, "0", "num_exposures"),
    ],
)
def test_what_cannot_be_invented_is_refused(changes, got, where):
    with pytest.raises(InputError) as caught:
        invent_facts(**FEW | changes)
    assert caught.value.got == got
    assert caught.value.where.startswith(where)
