"""Rows through a translation table: an oracle in dictionaries, and planted tables."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from transfer_cases import byte_level, random_rows_of, random_table, sentencepiece, table_of, words

from lingraft.alignment.tables import TranslationTable
from lingraft.embeddings import EmbeddingMatrix, Origin, trans_tokenize_rows
from lingraft.embeddings.trans_tokenize import (
    MIN_SHARE_OF_BEST,
    PRIOR_LINKS,
    RESTORED_LENGTH,
)
from lingraft.errors import InputError
from lingraft.tokenizer import Tokenizer

Shares = dict[int, float]


def run(
    source: Tokenizer,
    target: Tokenizer,
    *entries: tuple[int, int, float],
    min_share: float = 0.0,
    prior_links: float = 0.0,
) -> EmbeddingMatrix:
    return trans_tokenize_rows(
        random_rows_of(source),
        table=table_of(entries, source, target),
        source=source,
        target=target,
        min_share=min_share,
        prior_links=prior_links,
    )


def shares(counts: Shares) -> Shares:
    total = sum(counts.values())
    return {source: count / total for source, count in counts.items()}


class Oracle:
    """The rules of the docstring once more, by searches over all strings."""

    def __init__(self, table: TranslationTable, source: Tokenizer, target: Tokenizer) -> None:
        self.table, self.source, self.target = table, source, target
        self.pieces = target.vocabulary.pieces
        self.evidence = [self.translated(token) for token in range(len(self.pieces))]

    def same(self, token: int) -> int | None:
        piece = self.pieces[token]
        if piece is None:
            return self.source.backend.token_to_id(self.target.vocabulary.special[token])
        named = [i for i, other in enumerate(self.source.vocabulary.pieces) if other == piece]
        return max(named, default=None)  # raw bytes come first in `sentencepiece`

    def is_one_to_one(self, token: int) -> bool:
        piece = self.pieces[token]
        if self.same(token) is None:
            return False
        text = "x" if piece is None else piece.decode("utf-8", errors="replace")
        return piece is None or not any(c.isalpha() or c == "\ufffd" for c in text)

    def translated(self, token: int) -> Shares | None:
        """The table's row where it counts, without the small ones, and the token's spelling."""
        counts = {int(i): float(c) for i, c in zip(*self.table.row(token), strict=True)}
        if not counts or self.is_one_to_one(token):
            return None
        best = max(counts.values())
        found = {i: c for i, c in counts.items() if c >= MIN_SHARE_OF_BEST * best}
        same = self.same(token)
        for i, share in ({same: 1.0} if same is not None else self.spelt(token)).items():
            found[i] = found.get(i, 0.0) + PRIOR_LINKS * share
        return shares(found)

    def relatives(self, piece: bytes) -> list[Shares]:
        mapped = {
            p: found
            for p, found in zip(self.pieces, self.evidence, strict=True)
            if p is not None and found is not None
        }
        longer = sorted(p for p in mapped if p.startswith(piece))[:32]
        if longer:
            return [mapped[p] for p in longer]
        parts, rest, covered = [], piece, 0
        while rest:
            part = max(
                (p for p in mapped if rest.startswith(p) and len(p) > 1), key=len, default=None
            )
            if part is not None:
                parts.append(mapped[part])
                covered += len(part)
            rest = rest[len(part or b"1") :]
        return parts if 2 * covered >= len(piece) else []

    def origin(self, token: int) -> tuple[str, int, Shares]:
        same, evidence = self.same(token), self.evidence[token]
        if evidence is not None:
            return "table", 0, evidence
        if same is not None:
            return "special" if self.pieces[token] is None else "copied", 0, {same: 1.0}
        piece = self.pieces[token]
        if piece is None:
            return "mean", 3, {}
        relatives = self.relatives(piece)
        if relatives:
            total: Shares = {}
            for one in relatives:
                for source, share in one.items():
                    total[source] = total.get(source, 0.0) + share / len(relatives)
            return "relatives", 1, total
        return "pieces", 2, self.spelt(token)

    def spelt(self, token: int) -> Shares:
        piece = self.pieces[token]
        if piece is None:
            return {}
        text = piece.decode("utf-8", errors="replace")
        for spelt in (self.source.encode(text), self.source.encode(text.removeprefix(" "))):
            for ids in (spelt, spelt[1:]):
                if self.source.vocabulary.bytes_of(ids) == piece:
                    return shares({i: float(ids.count(i)) for i in ids})
        single = [self.source.vocabulary.ids_by_bytes[bytes([byte])] for byte in piece]
        return shares({i: float(single.count(i)) for i in single})


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("spelling", ["byte_level", "sentencepiece"])
def test_rows_equal_the_oracles(
    tokenizer: Tokenizer, other_tokenizer: Tokenizer, spelling: str, seed: int
) -> None:
    small = sentencepiece("▁", "A", "t", "h", "e", "1", ".", "π", "ο")
    source = other_tokenizer if spelling == "byte_level" else small
    table = random_table(source, tokenizer, seed=seed)
    rows = random_rows_of(source)
    matrix = trans_tokenize_rows(rows, table=table, source=source, target=tokenizer)
    oracle = Oracle(table, source, tokenizer)
    mean = rows.mean(axis=0)
    for token in range(len(matrix)):
        rule, depth, found = oracle.origin(token)
        origin = matrix.origin(token)
        assert (origin.rule, origin.depth) == (rule, depth), tokenizer.vocabulary.describe(token)
        assert dict(zip(origin.source, origin.weights, strict=True)) == pytest.approx(found)
        away = np.sum([share * (rows[i] - mean) for i, share in found.items()], axis=0)
        if len(found) > 1:
            before = sum(share * np.linalg.norm(rows[i] - mean) for i, share in found.items())
            away = away * (before / np.linalg.norm(away)) ** RESTORED_LENGTH
        assert_allclose(matrix.rows[token], mean + away, atol=1e-5)
        if rule == "table":
            assert origin.support == pytest.approx(table.support[token])
    assert {"copied", "table", "relatives"} <= set(matrix.coverage())
    assert spelling == "byte_level" or "pieces" in matrix.coverage()


def test_a_planted_table_carries_the_right_rows() -> None:
    source, target = words("bridge", "old", "river"), words("γεφύρι", "παλιό", "ποτάμι")
    matrix = run(source, target, (0, 0, 3.0), (1, 1, 0.5), (2, 2, 1.0))
    assert matrix.rows.tobytes() == random_rows_of(source).tobytes()
    assert matrix.coverage() == {"table": 3}
    assert_array_equal(matrix.support, np.array([3, 0.5, 1], dtype=np.float32))


def test_small_entries_are_dropped() -> None:
    source, target = words("a", "b", "c"), words("γ")
    entries = [(0, 0, 10.0), (0, 1, 1.0), (0, 2, 0.99)]
    pruned = run(source, target, *entries, min_share=0.1).origin(0)
    assert pruned.source == (0, 1)
    assert pruned.weights == pytest.approx((10 / 11, 1 / 11))
    assert pruned.support == pytest.approx(11.99)
    assert run(source, target, *entries).origin(0).source == (0, 1, 2)
    assert run(source, target, *entries, min_share=1.0).origin(0).source == (0,)


def test_the_spelling_counts_as_links() -> None:
    source, target = words("taxi", "cab"), words("taxi", "ж")
    entries = [(0, 1, 3.0), (1, 1, 1.0)]
    matrix = run(source, target, *entries, prior_links=2.0)
    assert matrix.origin(0) == Origin("table", (1, 0), pytest.approx((0.6, 0.4)), support=3.0)
    assert matrix.origin(1).source == (1,)  # nothing spells it
    assert run(source, target, *entries).origin(0).source == (1,)


@pytest.mark.parametrize("prior_links", [-1.0, float("nan"), float("inf")])
def test_fewer_than_no_links_are_refused(prior_links: float) -> None:
    with pytest.raises(InputError, match="prior_links: expected 0 links or more") as caught:
        run(words("a"), words("b"), prior_links=prior_links)
    assert caught.value.got == str(prior_links)


def test_digits_and_marks_stay_one_to_one_against_the_table() -> None:
    source, target = words("7", "!", "٣", "x", "seven"), words("7", "!", "٣", "x")
    table = [(token, 4, 100.0) for token in range(4)]
    matrix = run(source, target, *table, min_share=0.1)
    assert [matrix.origin(token).rule for token in range(4)] == ["copied"] * 3 + ["table"]
    assert_array_equal(matrix.rows[:3], random_rows_of(source)[:3])


def test_relatives_are_longer_tokens_first_then_parts() -> None:
    source = words("a", "b", "c", "d")
    target = words("γεφ", "γεφύρι", "γεφύρια", "παλιό", "παλιόγεφύρια", "παλιόςςςς", "παλιόςςς")
    matrix = run(source, target, (1, 0, 1.0), (2, 1, 1.0), (3, 2, 1.0))

    def shown(token: int) -> tuple[str, int, Shares]:
        origin = matrix.origin(token)
        return origin.rule, origin.depth, dict(zip(origin.source, origin.weights, strict=True))

    assert shown(0) == ("relatives", 1, {0: 0.5, 1: 0.5})  # two longer words begin with it
    assert shown(4) == ("relatives", 1, {1: 0.5, 2: 0.5})  # spelt by the longest known parts
    assert shown(5) == ("relatives", 1, {2: 1.0})  # ten of 18 bytes are known
    assert shown(6) == ("relatives", 1, {2: 1.0})
    longer = words("παλιό", "παλιό" + "ς" * 6)
    assert run(source, longer, (0, 2, 1.0)).origin(1) == Origin("mean", depth=3)  # 10 of 22


def test_back_off_goes_down_to_the_mean() -> None:
    source = words("a", "b", "xx", special=["<s>"])
    target = words("γ", "γγ", "ab", "b", "ж", special=["<s>", "<new>"])
    matrix = run(source, target, (3, 2, 1.0))
    rules = [(matrix.origin(token).rule, matrix.origin(token).depth) for token in range(7)]
    assert rules == [
        ("special", 0),
        ("mean", 3),
        ("relatives", 1),
        ("table", 0),
        ("pieces", 2),
        ("copied", 0),
        ("mean", 3),
    ]


def test_half_characters_are_translated_and_back_off_to_their_characters() -> None:
    source = words("a", "b")
    # A byte-level vocabulary has tokens such as the first byte of a letter.
    half = byte_level(b"\xce", b"\xce\xb3\xce", "γε".encode(), b"\xff")
    matrix = run(source, half, (1, 0, 1.0), (2, 1, 3.0))
    assert matrix.origin(0) == Origin("relatives", (0, 1), (0.5, 0.5), depth=1)
    assert matrix.origin(1) == Origin("table", (0,), (1.0,), support=1.0)
    assert matrix.origin(3) == Origin("mean", depth=3)


@pytest.mark.parametrize("shape", [(2, 3), (3, 2)])
def test_a_table_of_other_vocabularies_is_refused(shape: tuple[int, int]) -> None:
    none = np.zeros(0, dtype=np.int64)
    table = TranslationTable.from_entries(none, none, np.zeros(0), shape=shape)
    two = words("a", "b")
    with pytest.raises(InputError, match=r"table: expected a table of shape \(2, 2\)") as caught:
        trans_tokenize_rows(random_rows_of(two), table=table, source=two, target=two)
    assert caught.value.got == str(shape)


def test_mixed_rows_get_length_back() -> None:
    """None of it at 0, all of it at 1, in the direction of the mix."""
    source, target = words("a", "b", "c"), words("γ", "δ")
    rows = np.array([[3, 0], [0, 4], [0, 0]], dtype=np.float32)
    rows -= rows.mean(axis=0)
    table = table_of([(0, 0, 1.0), (0, 1, 1.0), (1, 0, 1.0)], source, target)
    halves, whole = (
        trans_tokenize_rows(
            rows, table=table, source=source, target=target, restored_length=share, prior_links=0.0
        )
        for share in (0.0, 1.0)
    )
    assert_allclose(halves.rows[0], (rows[0] + rows[1]) / 2, atol=1e-6)
    lengths = np.linalg.norm(rows, axis=1)
    assert np.linalg.norm(whole.rows[0]) == pytest.approx((lengths[0] + lengths[1]) / 2)
    assert_allclose(
        whole.rows[0] / np.linalg.norm(whole.rows[0]),
        halves.rows[0] / np.linalg.norm(halves.rows[0]),
        atol=1e-6,
    )
    assert whole.rows[1].tobytes() == rows[0].tobytes()  # one source is a copy


@pytest.mark.parametrize("min_share", [-0.1, 1.1, float("nan")])
def test_a_share_outside_0_to_1_is_refused(min_share: float) -> None:
    with pytest.raises(InputError, match="min_share: expected a share from 0 to 1") as caught:
        run(words("a"), words("b"), min_share=min_share)
    assert caught.value.got == str(min_share)
