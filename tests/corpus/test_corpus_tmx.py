"""Translation memories: the right variants, without codes, and nothing that expands."""

from xml.sax.saxutils import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lingraft.corpus import read_pairs
from lingraft.corpus.readers import MAX_PAIR_CHARACTERS, TOO_LONG_SIDE
from lingraft.corpus.records import Pair
from lingraft.corpus.rejects import NOT_IN_LANGUAGE
from lingraft.errors import InputError
from lingraft.languages import Language

EN, EL = Language.parse("en"), Language.parse("el")
HEAD = '<?xml version="1.0"?>\n<!DOCTYPE tmx SYSTEM "tmx14.dtd">\n<tmx version="1.4"><body>\n'
END = "</body></tmx>"


def _unit(*variants: tuple[str, str], attributes: str = "") -> str:
    inner = "".join(f'<tuv xml:lang="{tag}"><seg>{seg}</seg></tuv>' for tag, seg in variants)
    return f"<tu {attributes}>{inner}</tu>\n"


def _read(path):
    return read_pairs(path, source_lang=EN, target_lang=EL)


# XML has no control characters, and its parsers turn every line end into \n.
XML_TEXT = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"),
    min_size=1,
    max_size=20,
).filter(str.strip)


@settings(max_examples=25, deadline=None)
@given(
    sides=st.lists(st.tuples(XML_TEXT, XML_TEXT), min_size=1, max_size=5),
    compression=st.sampled_from(["", ".gz", ".xz", ".zst"]),
    size=st.integers(1, 50),
)
def test_units_come_back_whatever_the_chunks(save, sides, compression, size):
    units = [_unit(("el", escape(t)), ("en-US", escape(s))) for s, t in sides]
    path = save("a.tmx" + compression, HEAD + "".join(units) + END)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lingraft.corpus.streams._CHUNK_BYTES", size)
        pairs = _read(path)
    assert [(pair.source, pair.target) for pair in pairs] == sides


def test_ids_codes_and_variants(save):
    text = (
        HEAD
        + _unit(
            ("en", 'press <bpt i="1">&lt;b&gt;</bpt>OK<ept i="1"/>'), ("el", "<hi>πατήστε</hi> OK")
        )
        + _unit(("en-GB", "colour"), ("en", "color"), ("el", "χρώμα"), attributes='tuid="c7"')
        + '<tu><tuv lang="EN"><seg>old</seg></tuv><tuv lang="EL-GR"><seg>παλιό</seg></tuv></tu>'
        + _unit(("en", "a<ph><sub>note</sub></ph>b"), ("el", "γ"))
        + END
    )
    assert _read(save("a.tmx", text)).records == (
        Pair("press OK", "πατήστε OK", "a.tmx:4"),
        Pair("color", "χρώμα", "c7"),
        Pair("old", "παλιό", "a.tmx:6"),
        Pair("ab", "γ", "a.tmx:6"),
    )


def test_units_without_both_languages_or_with_bad_sides_are_rejected(save):
    long = "x" * (MAX_PAIR_CHARACTERS + 5)
    text = HEAD + "".join(
        [
            _unit(("en", "good"), ("el", "καλό")),
            _unit(("en", "only")),
            _unit(("en", "latin"), ("el-Latn", "latinika")),
            _unit(("en", "what"), ("??", "τι")),
            _unit(("en", ""), ("el", "κενό")),
            _unit(("en", long), ("el", "μακρύ")),
            _unit(("en", "good"), ("el", "καλό")),
        ]
    )
    pairs = _read(save("a.tmx", text + END))
    assert len(pairs) == 2
    assert [(row.line, row.reason) for row in pairs.rejected] == [
        (5, NOT_IN_LANGUAGE),
        (6, NOT_IN_LANGUAGE),
        (7, NOT_IN_LANGUAGE),
        (8, "empty source side"),
        (9, TOO_LONG_SIDE),
    ]


def test_utf16_is_read(save):
    text = (
        '<?xml version="1.0" encoding="utf-16"?><tmx>' + _unit(("en", "a"), ("el", "ά")) + "</tmx>"
    )
    assert _read(save("a.tmx", text.encode("utf-16"))).records[0].target == "ά"


@pytest.mark.parametrize(
    ("declaration", "use"),
    [
        ('[<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;">]', "&b;"),
        ('[<!ENTITY a SYSTEM "file:///etc/passwd">]', "&a;"),
        ('[<!ENTITY % a SYSTEM "http://localhost/evil.dtd"> %a;]', ""),
        ('SYSTEM "tmx14.dtd"', "&a;"),
    ],
)
def test_entities_are_refused(save, declaration, use):
    text = (
        f"<?xml version='1.0'?>\n<!DOCTYPE tmx {declaration}><tmx>" + _unit(("en", use)) + "</tmx>"
    )
    path = save("a.tmx", text)
    with pytest.raises(InputError) as caught:
        _read(path)
    assert caught.value.expected == "a TMX file without entities of its own"
    assert caught.value.got in ("the entity 'a'", "the entity 'b'")
    assert caught.value.where == f"{path}, line 2"


def test_broken_xml_is_refused_with_its_line(save):
    path = save("a.tmx", HEAD + _unit(("en", "a"), ("el", "ά")) + "<tu></body>")
    with pytest.raises(InputError) as caught:
        _read(path)
    assert caught.value.where == f"{path}, line 5"
    assert caught.value.got == "mismatched tag at column 7"
    with pytest.raises(InputError, match="expected well-formed XML, got no element found"):
        _read(save("b.tmx", HEAD + _unit(("en", "a"), ("el", "ά"))))
