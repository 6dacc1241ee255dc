"""The bytes of every token, whichever way a vocabulary spells them."""

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, decoders, models, normalizers, pre_tokenizers

from lingraft.tokenizer import Tokenizer, Vocabulary
from lingraft.tokenizer.vocabulary import byte_alphabet

RAW_BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
SENTENCEPIECE = ["<unk>", *RAW_BYTES, "▁", "▁he", "llo", "A", "ж", "▁старый", "##x", "Ġ"]


def sentencepiece(flavour: str) -> Tokenizer:
    """A vocabulary as converters write it for XGLM ("metaspace") and for Llama 2 ("prepend")."""
    ids = {piece: number for number, piece in enumerate(SENTENCEPIECE)}
    backend = tokenizers.Tokenizer(
        models.BPE(vocab=ids, merges=[], unk_token="<unk>", byte_fallback=True)
    )
    if flavour == "metaspace":
        backend.pre_tokenizer = pre_tokenizers.Metaspace()
        backend.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()])
    else:
        backend.normalizer = normalizers.Sequence(
            [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
        )
        # Without ByteFallback in the decoder, so that the normalizer alone has to tell.
        backend.decoder = decoders.Replace("▁", " ")
    backend.add_special_tokens(["<unk>"])
    return Tokenizer(backend)


@pytest.fixture(params=["metaspace", "prepend"])
def pieces(request: pytest.FixtureRequest) -> Tokenizer:
    return sentencepiece(request.param)


def test_the_byte_alphabet_is_gpt2s() -> None:
    table = byte_alphabet()
    assert sorted(table) == list(range(256))
    assert len(set(table.values())) == 256
    # From openai/gpt-2, src/encoder.py, bytes_to_unicode().
    golden = {0: "Ā", 10: "Ċ", 32: "Ġ", 33: "!", 126: "~", 127: "ġ", 160: "ł", 173: "Ń", 255: "ÿ"}
    assert {byte: table[byte] for byte in golden} == golden
    assert set(table.values()) == set(pre_tokenizers.ByteLevel.alphabet())


class TestByteLevel:
    def test_pieces_are_bytes_and_special_tokens_have_none(self, tokenizer: Tokenizer) -> None:
        vocabulary = tokenizer.vocabulary
        assert set(vocabulary.special.values()) == {"<|start|>", "<|pad|>"}
        for token, piece in enumerate(vocabulary.pieces):
            assert (piece is None) == (token in vocabulary.special)
        assert {bytes([byte]) for byte in range(256)} <= set(vocabulary.ids_by_bytes)
        assert not vocabulary.fallback

    @settings(deadline=None)
    @given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
    def test_the_file_and_the_view_spell_the_same(self, tokenizer: Tokenizer, text: str) -> None:
        ids = tokenizer.encode(text)
        stand_ins = "".join(tokenizer.backend.id_to_token(token) for token in ids)
        table = byte_alphabet()
        assert stand_ins == "".join(table[byte] for byte in tokenizer.vocabulary.bytes_of(ids))

    def test_special_ids_spell_nothing(self, tokenizer: Tokenizer) -> None:
        start = tokenizer.role_id("bos_token")
        assert start is not None
        assert tokenizer.vocabulary.bytes_of([start, *tokenizer.encode("π"), start]) == "π".encode()

    def test_added_text_is_text_and_foreign_characters_are_themselves(self) -> None:
        backend = tokenizers.Tokenizer(models.BPE({"Ġa": 0, "a b": 1}, []))
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        backend.add_tokens([AddedToken("ĠĠ")])
        assert Tokenizer(backend).vocabulary.pieces == (b" a", b"a b", "ĠĠ".encode())


class TestSentencePiece:
    def test_pieces_spell_spaces_and_raw_bytes(self, pieces: Tokenizer) -> None:
        vocabulary = pieces.vocabulary
        assert vocabulary.pieces[0] is None
        assert vocabulary.pieces[1:257] == tuple(bytes([byte]) for byte in range(256))
        shown = [piece and piece.decode() for piece in vocabulary.pieces[257:]]
        assert shown == [" ", " he", "llo", "A", "ж", " старый", "##x", "Ġ"]

    def test_an_ordinary_token_stands_before_the_raw_byte(self, pieces: Tokenizer) -> None:
        vocabulary = pieces.vocabulary
        assert vocabulary.fallback == set(range(1, 257))
        for text in ("A", " "):
            token = vocabulary.ids_by_bytes[text.encode()]
            assert token not in vocabulary.fallback
            assert vocabulary.pieces[token] == text.encode()
        assert vocabulary.ids_by_bytes[b"B"] == 1 + ord("B")

    @settings(deadline=None)
    @given(st.text(alphabet="Aжπ한 ไ!"))
    def test_any_text_is_spelt_with_a_space_in_front(self, text: str) -> None:
        tokenizer = sentencepiece("prepend")
        spelt = tokenizer.vocabulary.bytes_of(tokenizer.encode(text))
        assert spelt == (" " + text if text else "").encode()


def test_wordpiece_marks_continuations() -> None:
    ids = {"[UNK]": 0, "un": 1, "##able": 2, "ж": 3, "▁": 4, "<0x41>": 5}
    backend = tokenizers.Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.decoder = decoders.WordPiece()
    backend.add_special_tokens(["[UNK]"])
    tokenizer = Tokenizer(backend)
    vocabulary = tokenizer.vocabulary
    shown = [piece and piece.decode() for piece in vocabulary.pieces]
    assert shown == [None, " un", "able", " ж", " ▁", " <0x41>"]
    assert vocabulary.bytes_of(tokenizer.encode("unable ж")) == " unable ж".encode()
    assert not vocabulary.fallback


def test_a_vocabulary_without_any_sign_is_plain() -> None:
    backend = tokenizers.Tokenizer(models.WordLevel({"▁a": 0, "##b": 1, "Ġc": 2}, unk_token="▁a"))
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Whitespace(), pre_tokenizers.Digits()]
    )
    assert [piece and piece.decode() for piece in Tokenizer(backend).vocabulary.pieces] == [
        *("▁a", "##b", "Ġc")
    ]


def test_unused_ids_have_no_bytes_but_count() -> None:
    backend = tokenizers.Tokenizer(models.WordLevel({"a": 0, "b": 3}, unk_token="a"))
    tokenizer = Tokenizer(backend)
    assert tokenizer.vocabulary.pieces == (b"a", None, None, b"b")
    assert len(tokenizer) == len(tokenizer.vocabulary) == 4
    assert tokenizer.vocabulary.describe(2) == "unused 2"


def test_an_empty_vocabulary() -> None:
    assert len(Tokenizer(tokenizers.Tokenizer(models.BPE()))) == 0


def test_tokens_are_described_for_people() -> None:
    vocabulary = Vocabulary((" é".encode(), b"\xce", None, None), {2: "<s>"})
    assert [vocabulary.describe(token) for token in range(4)] == [" é", "ce", "<s>", "unused 3"]


def test_the_lowest_of_equal_tokens_is_found() -> None:
    vocabulary = Vocabulary((b"b", b"a", b"a", b"b"), {}, fallback=frozenset({0}))
    assert vocabulary.ids_by_bytes == {b"a": 1, b"b": 3}
