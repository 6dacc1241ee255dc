"""Words, vocabulary, links and rows in every kind of script; nothing assumes spaces or case."""

import numpy as np
import pytest

from lingraft.alignment import align, token_table
from lingraft.corpus import Document, Documents, Pair, Pairs, samples
from lingraft.embeddings import trans_tokenize_rows
from lingraft.languages import Language
from lingraft.tokenizer import train_bpe
from lingraft.tokenizer.words import word_spans

ENGLISH = Language.parse("en")
HEBREW = (
    "כל בני האדם נולדו בני חורין",
    "לכל אדם הזכות לחיים",
    "אין לעבד אדם",
    "לכל אדם הזכות לחינוך",
)
ARABIC = (
    "يولد جميع الناس أحرارا",
    "لكل فرد الحق في الحياة",
    "لا يجوز استرقاق أي شخص",
    "لكل شخص الحق في التعلم",
)
THAI = ("มนุษย์ทั้งหลายเกิดมามีอิสระ", "ทุกคนมีสิทธิในการมีชีวิต", "บุคคลใดจะตกเป็นทาสไม่ได้", "ทุกคนมีสิทธิในการศึกษา")
SHORT_ENGLISH = (
    "All human beings are born free",
    "Everyone has the right to life",
    "No one shall be held in slavery",
    "Everyone has the right to education",
)
GENERATED = {"he": HEBREW, "ar": ARABIC, "th": THAI}
TAGS = ["nl", "ru", "el", "ko", "hy", "ja", "zh", "vi", "he", "ar", "th"]


def parallel(tag: str) -> Pairs:
    lang = Language.parse(tag)
    if tag in GENERATED:
        texts = [(e, t) for e, t in zip(SHORT_ENGLISH, GENERATED[tag], strict=True)] * 5
    else:
        english = {document.id: document.text for document in samples.udhr(ENGLISH)}
        texts = [(english[d.id], d.text) for d in samples.udhr(lang) if d.id in english]
    pairs = tuple(Pair(source, target, str(n)) for n, (source, target) in enumerate(texts))
    return Pairs(pairs, ENGLISH, lang)


@pytest.mark.parametrize("tag", TAGS)
def test_every_stage_up_to_the_rows_works(tag: str) -> None:
    pairs = parallel(tag)
    assert len(pairs) >= 20
    english = Documents(tuple(Document(p.source, p.id) for p in pairs), ENGLISH)
    native = Documents(tuple(Document(p.target, p.id) for p in pairs), pairs.target_lang)
    source, target = train_bpe(english, vocab_size=600), train_bpe(native, vocab_size=600)
    for document in native:
        assert target.decode(target.encode(document.text)) == document.text
        letters = sum(character.isalpha() for character in document.text)
        words = word_spans(document.text)
        assert sum(end - begin for begin, end in words) >= letters
        assert max(end - begin for begin, end in words) < 40, "no clause passes for a word"
    links = align(pairs, seed=0)
    assert len(links) >= len(pairs)
    table = token_table(links, pairs, source=source, target=target)
    # Each posterior goes to every token of its target word: nothing leaks between scripts.
    assert table.support.sum() >= links.posterior.sum() * 0.99
    generator = np.random.default_rng(0)
    source_rows = generator.standard_normal((len(source), 8)).astype(np.float32)
    rows = trans_tokenize_rows(source_rows, table=table, source=source, target=target)
    assert np.isfinite(rows.rows).all()
    # Four short sentences have a handful of words; a real text has many.
    assert rows.coverage()["table"] >= min(len({p.target for p in pairs}), 20)
