"""Contamination: errors are taken out, intervals cover, what is too little is a bound."""

import sys
from dataclasses import replace
from functools import lru_cache
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lingraft.corpus import Document, Documents, samples
from lingraft.corpus.contamination import contamination, inject
from lingraft.corpus.identification import Identification
from lingraft.corpus.line_languages import (
    PY3LANGID,
    Identifier,
    LineLabels,
    glotlid,
    installed_identifier,
    label_lines,
)
from lingraft.errors import InputError
from lingraft.languages import Language

NL, EN, EL = map(Language.parse, ("nl", "en", "el"))


def first_word(text: str) -> Identification:
    """Reads language and confidence off a line such as ``nl 0.9 …``."""
    name, probability, *_ = text.split()
    return Identification(Language.parse(name), float(probability))


ORACLE = Identifier("oracle", first_word, lambda lang: lang != EL, lambda one, lang: one == lang)


def line(lang: str, probability: float = 0.9, number: int = 0) -> str:
    return f"{lang} {probability} is what this line number {number} says"


def corpus(lang: Language, *texts: str, name: str = "d") -> Documents:
    return Documents(tuple(Document(x, f"{name}{i}") for i, x in enumerate(texts)), lang)


def labels(lang: Language, hits: int, lines: int, *, name: str, size: int = 1) -> LineLabels:
    """Labels of `lines` lines in documents of `size`, the first `hits` of them English."""
    found = (EN,) * hits + (NL,) * (lines - hits)
    ids = tuple(f"{name}{i // size}" for i in range(lines))
    return LineLabels(lang, found, ids, 0, ORACLE, 0.6)


def measure(hits, lines, false, clean_lines, true=None, **settings):
    clean_target = None if true is None else labels(EN, *true, name="t")
    return contamination(
        labels(NL, hits, lines, name="s", **settings),
        EN,
        clean=labels(NL, false, clean_lines, name="c"),
        clean_target=clean_target,
        seed=0,
    )


def test_injected_text_is_found_and_none_is_a_bound() -> None:
    ask = replace(PY3LANGID, identify=lru_cache(maxsize=None)(PY3LANGID.identify))
    dutch = samples.load_documents("valid", lang=NL)
    source = Documents(dutch.records[:1000], NL)
    clean = label_lines(samples.load_documents("test", lang=NL), seed=0, max_lines=500)
    clean = replace(clean, identifier=ask)
    target = label_lines(
        samples.load_documents("test", lang=EN), seed=0, max_lines=100, identifier=ask
    )
    english = samples.load_documents("valid", lang=EN)
    found = {}
    for share in (0.0, 0.01):
        mixed = inject(source, english, share=share, seed=1).documents
        lines = label_lines(mixed, seed=0, identifier=ask)
        found[share] = contamination(lines, EN, clean=clean, clean_target=target, seed=0)
    none, one = found[0.0], found[0.01]
    assert not none.is_detected
    assert none.describe().startswith(
        f"eng_Latn in nld_Latn: < {max(none.interval[1], none.detection_limit):.3%}"
    )
    assert none.interval[0] == 0
    assert 0 < one.interval[0] < 0.01 < one.interval[1]
    assert one.found.num_labelled > none.found.num_labelled


def test_the_share_is_rogan_and_gladens() -> None:
    result = measure(60, 2000, 10, 1000, (90, 100))
    assert result.share == pytest.approx((0.03 - 0.01) / (0.9 - 0.01))
    assert result.is_detected
    assert result.describe() == (
        f"eng_Latn in nld_Latn: {result.share:.3%} ({result.interval[0]:.3%} to "
        f"{result.interval[1]:.3%}) of 2000 lines; 60 labelled, false positives 1.000% of 1000 "
        f"clean lines, true positives 90.0% of 100 lines; detection limit "
        f"{result.detection_limit:.3%}; oracle"
    )
    unmeasured = measure(60, 2000, 10, 1000)
    assert unmeasured.share == pytest.approx((0.03 - 0.01) / 0.99)
    assert unmeasured.interval[0] < unmeasured.share < unmeasured.interval[1]
    assert "true positives not measured, taken as 100 %" in unmeasured.describe()


def test_the_bound_is_the_intervals_end_where_that_is_larger() -> None:
    result = measure(40, 2000, 10, 1000, (90, 100))
    assert 0 < result.share < result.detection_limit < result.interval[1]
    assert f": < {result.interval[1]:.3%} of" in result.describe()
    assert result.amount == f"< {result.interval[1]:.3%}"
    assert measure(0, 0, 0, 10).amount == ""


def test_the_limit_is_curries() -> None:
    z, blank = 1.6448536269514722, 2000 * 10.5 / 1001
    counts = z**2 + 2 * z * (blank * (1 + 2000 / 1000)) ** 0.5
    limit = measure(60, 2000, 10, 1000, (90, 100)).detection_limit
    assert limit == pytest.approx(counts / (2000 * (0.9 - 0.01)))
    assert measure(1, 2, 0, 2).detection_limit == 1.0


def draws(share: float, num: int, *, lines: int = 2000) -> list:
    generator = np.random.default_rng(0)
    false, true, size = 0.005, 0.9, 1000
    raw = share * true + (1 - share) * false
    return [
        measure(
            int(generator.binomial(lines, raw)),
            lines,
            int(generator.binomial(size, false)),
            size,
            (int(generator.binomial(200, true)), 200),
        )
        for _ in range(num)
    ]


def test_intervals_cover() -> None:
    inside = [x.interval[0] <= 0.01 <= x.interval[1] for x in draws(0.01, 120)]
    assert 0.90 <= np.mean(inside) <= 0.99


def test_nothing_is_seldom_called_something_and_the_limit_is_seen() -> None:
    none = draws(0.0, 100)
    assert np.mean([x.is_detected for x in none]) <= 0.02
    limit = float(np.median([x.detection_limit for x in none]))
    # Nominally 5 % and 95 %; a blank counted on so few lines makes it some 9 % and 92 %.
    assert np.mean([x.share > decision_level(x) for x in none]) <= 0.15
    assert np.mean([x.share > decision_level(x) for x in draws(limit, 100)]) >= 0.85


def decision_level(result) -> float:
    gap = result.true_positives.share - result.false_positives.share
    return (result.detection_limit - 1.6448536**2 / (result.found.num_lines * gap)) / 2


def test_lines_of_one_document_are_no_independent_draws() -> None:
    alone, together = measure(40, 1000, 1, 1000), measure(40, 1000, 1, 1000, size=20)
    assert alone.found.design_effect == pytest.approx(1.0)
    # Clusters that are wholly one language widen the variance by their size.
    assert together.found.design_effect == pytest.approx(20 * 50 / 49 * 999 / 1000)
    assert together.share == alone.share
    assert together.interval[1] - together.interval[0] > 3 * (alone.interval[1] - alone.interval[0])
    assert together.detection_limit > alone.detection_limit


def test_rows_of_a_page_are_one_document() -> None:
    apart = labels(NL, 40, 1000, name="s")
    pages = replace(apart, ids=tuple(f"s{i // 20}#{i}" for i in range(1000)))
    clean = labels(NL, 1, 1000, name="c")
    assert contamination(pages, EN, clean=clean, seed=0).found.design_effect == pytest.approx(
        20 * 50 / 49 * 999 / 1000
    )


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((0, 0, 0, 10), "the corpus has no line that is long enough"),
        ((0, 10, 0, 0), "the clean text has no line that is long enough"),
        ((0, 10, 0, 10, (0, 0)), "the clean target text has no line that is long enough"),
        (
            (0, 10, 5, 10, (5, 10)),
            "the classifier finds the target no more often in target text than in clean text",
        ),
    ],
)
def test_undefined_shares_have_a_reason(arguments, reason) -> None:
    result = measure(*arguments)
    assert (result.share, result.interval, result.detection_limit) == (None, None, None)
    assert (result.reason, result.is_detected) == (reason, False)
    assert result.describe() == f"eng_Latn in nld_Latn: undefined, {reason}"


def test_unknown_target_languages_are_undefined() -> None:
    source, clean = labels(NL, 1, 9, name="s"), labels(NL, 1, 9, name="c")
    assert contamination(source, EL, clean=clean, seed=0).reason == "oracle does not know ell_Grek"


def test_short_and_unsure_lines() -> None:
    texts = "\n".join(
        [line("en"), line("en", 0.59), line("nl", 0.6), "en 1 is too short", "", "en 1"]
    )
    found = label_lines(corpus(NL, texts), seed=0, identifier=ORACLE)
    assert found.languages == (EN, None, NL)
    assert (found.ids, found.num_short, found.min_confidence) == (("d0",) * 3, 3, 0.6)
    edge = corpus(NL, "en 1 " + "x" * 15 + "\n" + "en 1 " + "x" * 16)
    assert label_lines(edge, seed=0, identifier=ORACLE).languages == (EN,)


def test_lines_are_drawn_by_the_seed() -> None:
    rows = corpus(NL, *(line("nl", number=i) for i in range(50)))
    first, again, other = (
        label_lines(rows, seed=seed, max_lines=10, identifier=ORACLE) for seed in (0, 0, 1)
    )
    assert first.ids == again.ids != other.ids
    assert len(set(first.ids)) == 10
    with pytest.raises(InputError, match=r"max_lines: expected at least 1 line, got 0"):
        label_lines(rows, seed=0, max_lines=0)


@given(
    share=st.floats(0, 1),
    sizes=st.lists(st.integers(0, 6), max_size=8),
    seed=st.integers(0, 99),
)
def test_injection_replaces_so_many_whole_lines(share, sizes, seed) -> None:
    texts = ["\n".join(line("nl", number=i) + "\r\n\nshort" for i in range(n)) for n in sizes]
    documents = corpus(NL, *texts)
    other = corpus(EN, *(line("en", number=i) for i in range(50)), name="o")
    mixed = inject(documents, other, share=share, seed=seed)
    found = label_lines(mixed.documents, seed=0, identifier=ORACLE)
    assert mixed.num_lines == sum(sizes) == len(found.languages)
    assert mixed.num_replaced == round(share * sum(sizes)) == found.languages.count(EN)
    put_in = [x for d in mixed.documents for x in d.text.split("\r\n") if "en 0.9" in x]
    lines = [x.replace("short\n", "").strip() for x in put_in]
    assert len(set(lines)) == len(lines)
    assert mixed.num_replaced_bytes == sum(map(len, lines))
    assert mixed.share == (mixed.num_replaced / sum(sizes) if sum(sizes) else None)
    assert [d.id for d in mixed.documents] == [d.id for d in documents]
    assert [d.text.count("\r\n") for d in mixed.documents] == list(sizes)
    assert mixed.documents.lang == NL
    assert mixed == inject(documents, other, share=share, seed=seed)


def test_bad_injections_are_refused() -> None:
    documents, other = corpus(NL, line("nl"), line("nl")), corpus(EN, line("en"))
    with pytest.raises(InputError, match=r"share: expected a share of lines from 0 to 1, got 1.5"):
        inject(documents, other, share=1.5, seed=0)
    with pytest.raises(
        InputError,
        match=r"text of eng_Latn to inject: expected at least 2 lines of more than 20 characters, "
        r"got 1; give more text or a smaller share",
    ):
        inject(documents, other, share=1.0, seed=0)


def test_labellings_have_to_fit_together() -> None:
    source, clean = labels(NL, 1, 9, name="s"), labels(NL, 1, 9, name="c")
    with pytest.raises(InputError, match=r"expected another language .*got nld_Latn"):
        contamination(source, NL, clean=clean, seed=0)
    with pytest.raises(InputError, match=r"clean: expected lines of nld_Latn, got eng_Latn"):
        contamination(source, EN, clean=replace(clean, lang=EN), seed=0)
    with pytest.raises(InputError, match=r"clean_target: expected lines of eng_Latn, got nld_Latn"):
        contamination(source, EN, clean=clean, clean_target=clean, seed=0)
    with pytest.raises(InputError, match=r"labels by oracle at a confidence of 0.6, got oracle at"):
        contamination(source, EN, clean=replace(clean, min_confidence=0.3), seed=0)
    with pytest.raises(
        InputError, match=r"clean: expected .*got 1 documents in both, such as s3; contamination"
    ):
        contamination(source, EN, clean=replace(clean, ids=("s3",) * 9), seed=0)


class FakeGlotlid:
    """What of fasttext's model class is used, with its list-of-one answers."""

    def get_labels(self):
        return ["__label__eng_Latn", "__label__arb_Arab", "__label__und_Zyyy"]

    def predict(self, texts, k):
        assert k == 1
        assert "\n" not in texts[0]
        if not texts[0]:
            return [()], [()]
        label = "und_Zyyy" if "noise" in texts[0] else "arb_Arab"
        return [(f"__label__{label}",)], [np.array([0.75])]


def test_glotlid_is_used_when_it_is_there(monkeypatch, tmp_path) -> None:
    path = tmp_path / "model.bin"
    with pytest.raises(InputError, match=r"expected GlotLID's model.bin, got no such file"):
        glotlid(path)
    path.write_bytes(b"")
    monkeypatch.setitem(sys.modules, "fasttext", None)
    with pytest.raises(InputError, match=r"GlotLID: expected the package fasttext, got no such"):
        glotlid(path)
    fake = SimpleNamespace(load_model=lambda name: FakeGlotlid() if name == str(path) else None)
    monkeypatch.setitem(sys.modules, "fasttext", fake)
    asked = glotlid(path)
    arabic = Language.parse("ar")
    assert asked.is_known(arabic)
    assert not asked.is_known(EL)
    assert asked.identify("two\nlines").probability == 0.75
    assert asked.is_same(asked.identify("two\nlines").language, arabic)
    assert not asked.is_same(asked.identify("noise").language, arabic)
    assert asked.identify("") == Identification(None, 0.0)


def test_the_identifier_is_what_is_installed(monkeypatch, tmp_path) -> None:
    cached = {("cis-lmu/glotlid", "model.bin"): str(tmp_path / "model.bin")}
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *name: cached.get(name))
    (tmp_path / "model.bin").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "fasttext", None)
    assert installed_identifier() is PY3LANGID
    fake = SimpleNamespace(load_model=lambda name: FakeGlotlid(), __spec__="there")
    monkeypatch.setitem(sys.modules, "fasttext", fake)
    assert installed_identifier().name == "GlotLID"
    cached.clear()
    assert installed_identifier() is PY3LANGID
