"""Spelling new tokens in old pieces."""

import numpy as np
import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from tokenizers import decoders, models, normalizers
from transfer_cases import random_rows_of, sentencepiece, words

from lingraft.embeddings import EmbeddingMatrix, Origin, pieces_rows
from lingraft.embeddings.pieces import spell
from lingraft.tokenizer import Tokenizer


def run(source: Tokenizer, target: Tokenizer) -> EmbeddingMatrix:
    return pieces_rows(random_rows_of(source), source=source, target=target)


def origin_of(piece: bytes, source: Tokenizer, target: Tokenizer) -> Origin:
    return run(source, target).origin(target.vocabulary.ids_by_bytes[piece])


def test_every_shared_token_is_copied(tokenizer: Tokenizer, other_tokenizer: Tokenizer) -> None:
    rows = random_rows_of(other_tokenizer)
    matrix = pieces_rows(rows, source=other_tokenizer, target=tokenizer)
    own = other_tokenizer.vocabulary.ids_by_bytes
    num_shared = 0
    for token, piece in enumerate(tokenizer.vocabulary.pieces):
        if piece in own:
            assert_array_equal(matrix.rows[token], rows[own[piece]])
            num_shared += 1
    assert 256 < num_shared < len(tokenizer)
    assert matrix.coverage() == {
        "copied": num_shared,
        "special": 2,
        "pieces": len(tokenizer) - num_shared - 2,
    }
    assert matrix.coverage_by_depth() == {0: num_shared + 2, 2: len(tokenizer) - num_shared - 2}


def test_other_tokens_are_the_mean_of_their_pieces() -> None:
    source = words("aa", "b", "a")
    # Bytes are tried one by one, since the source knows no word "ab".
    matrix = run(source, words("aab", "b"))
    assert matrix.origin(0) == Origin(
        "pieces", (2, 1), (pytest.approx(2 / 3), pytest.approx(1 / 3)), depth=2
    )
    rows = random_rows_of(source)
    assert_allclose(matrix.rows[0], (2 * rows[2] + rows[1]) / 3, rtol=1e-6)
    assert_array_equal(matrix.rows[1], rows[1])


def test_a_source_that_can_spell_only_a_part_spells_nothing() -> None:
    source = words("a", special=["[UNK]"])
    matrix = run(source, words("a", "ab", "жж", " "))
    assert [matrix.origin(token).rule for token in range(4)] == ["copied", "mean", "mean", "mean"]
    assert matrix.coverage_by_depth() == {0: 1, 3: 3}
    assert_array_equal(matrix.rows[1], matrix.rows[2])


def test_sentencepiece_spells_words_without_a_space_too_many(tokenizer: Tokenizer) -> None:
    """It puts a space in front of any text, also of one that starts with a space."""
    source = sentencepiece("▁", "▁t", "t", "h", "e")
    names = {piece: source.backend.token_to_id(piece) for piece in ("▁", "t", "h", "e")}
    assert spell(b" te", source) == [names["▁"], names["t"], names["e"]]
    assert (
        spell(b" t", source) == [source.backend.token_to_id("▁t")] or len(spell(b" t", source)) == 2
    )
    assert origin_of(b" the", source, tokenizer).source == tuple(
        sorted([names["▁"], names["t"], names["h"], names["e"]])
    )


def test_a_pair_of_spaces_does_not_swallow_the_one_of_a_word() -> None:
    """Llama 2 puts a space in front of " to" and merges the two before anything else."""
    pieces = {piece: number for number, piece in enumerate(("▁", "t", "o", "▁▁", "▁t", "▁to"))}
    merges = [("▁", "▁"), ("▁", "t"), ("▁t", "o")]
    backend = tokenizers.Tokenizer(models.BPE(pieces, merges))
    backend.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    source = Tokenizer(backend)
    assert source.encode(" to") == [pieces["▁▁"], pieces["t"], pieces["o"]]
    assert spell(b" to", source) == [pieces["▁to"]]


def test_a_word_with_a_space_in_front_stands_for_the_word() -> None:
    """To WordPiece, every text begins with a new word."""
    backend = tokenizers.Tokenizer(models.WordPiece({"[UNK]": 0, "un": 1, "##able": 2}))
    backend.decoder = decoders.WordPiece()
    backend.add_special_tokens(["[UNK]"])
    source = Tokenizer(backend)
    assert spell(b"unable", source) == spell(b" unable", source) == [1, 2]
    assert spell(b"able", source) == []


def test_half_characters_are_spelt_in_raw_bytes(tokenizer: Tokenizer) -> None:
    source = sentencepiece("▁", "A", "π")
    halves = [
        piece
        for piece in tokenizer.vocabulary.pieces
        if piece and len(piece) > 1 and not is_text(piece)
    ]
    assert halves, "the vocabulary is too small to have half characters"
    for piece in halves:
        assert source.vocabulary.bytes_of(spell(piece, source)) == piece
        assert origin_of(piece, source, tokenizer).rule == "pieces"
    assert origin_of(b"\xcf", source, tokenizer) == Origin("copied", (1 + 0xCF,), (1.0,))


def test_ascii_takes_the_token_and_not_the_raw_byte(tokenizer: Tokenizer) -> None:
    source = sentencepiece("▁", "A")
    assert origin_of(b"A", source, tokenizer).source == (source.backend.token_to_id("A"),)
    assert origin_of(b"B", source, tokenizer).source == (source.backend.token_to_id("<0x42>"),)


@given(st.text(alphabet="aAπ ж한\n", min_size=1))
def test_spellings_are_the_bytes_but_for_a_space_in_front(text: str) -> None:
    source = sentencepiece("▁", "A", "▁a", "π")
    ids = spell(text.encode(), source)
    assert ids
    assert source.vocabulary.bytes_of(ids).lstrip(b" ") == text.encode().lstrip(b" ")


def test_unknown_is_no_spelling() -> None:
    source = sentencepiece("▁", "a", byte_fallback=False)
    assert source.encode("\n") != []
    assert spell(b"\n", source) == []
    assert spell("ж".encode(), source) == []


class TestRoles:
    def test_a_role_keeps_its_row_under_another_name(self) -> None:
        source = words(
            "x", special=["<s>", "</s>"], roles={"bos_token": "<s>", "eos_token": "</s>"}
        )
        target = words("x", special=["[BOS]"], roles={"bos_token": "[BOS]"})
        assert run(source, target).origin(0) == Origin("special", (0,), (1.0,))

    def test_the_same_name_goes_before_the_role(self) -> None:
        source = words("x", special=["<s>", "<b>"], roles={"bos_token": "<s>"})
        target = words("x", special=["<b>"], roles={"bos_token": "<b>"})
        assert run(source, target).origin(0).source == (1,)

    def test_each_role_of_a_token_is_tried(self) -> None:
        source = words("x", special=["<e>"], roles={"eos_token": "<e>"})
        target = words("x", special=["<t>"], roles={"bos_token": "<t>", "eos_token": "<t>"})
        assert run(source, target).origin(0) == Origin("special", (0,), (1.0,))

    def test_a_special_token_that_is_new_gets_the_mean(self) -> None:
        matrix = run(words("x"), words("x", special=["<new>"], roles={"bos_token": "<new>"}))
        assert matrix.origin(0) == Origin("mean", depth=3)


def test_unused_ids_get_the_mean() -> None:
    backend = tokenizers.Tokenizer(models.WordLevel({"x": 0, "y": 2}, unk_token="x"))
    matrix = run(words("x"), Tokenizer(backend))
    assert [matrix.origin(token).rule for token in range(3)] == ["copied", "mean", "mean"]
    assert np.isfinite(matrix.rows).all()


def is_text(piece: bytes) -> bool:
    try:
        piece.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
