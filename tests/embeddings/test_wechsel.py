"""WECHSEL: rotations that are known, neighbours by a slow loop, planted translations."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from transfer_cases import make_transfer, random_rows_of, words, words_of

from lingraft.corpus.records import Pair
from lingraft.embeddings import EmbeddingMatrix, Origin, WordVectors, wechsel_rows
from lingraft.embeddings.vectors import token_vectors_from_words
from lingraft.embeddings.wechsel import _centred, _neighbours, procrustes
from lingraft.errors import InputError
from lingraft.tokenizer import Tokenizer

seeds = st.integers(0, 2**32 - 1)
ENGLISH = ("bridge", "old", "river", "town", "wall", "sea", "hill", "road")
GREEK = ("γεφύρι", "παλιό", "ποτάμι", "πόλη", "τείχος", "θάλασσα", "λόφος", "δρόμος")


def orthogonal(draw: np.random.Generator, size: int) -> np.ndarray:
    return np.linalg.qr(draw.normal(size=(size, size)))[0]


def pairs_of(*pairs: tuple[str, str]) -> list[Pair]:
    return [Pair(source, target, "1") for source, target in pairs]


@given(seeds, st.integers(1, 7), st.integers(0, 9))
def test_procrustes_finds_the_rotation(seed: int, size: int, more: int) -> None:
    draw = np.random.default_rng(seed)
    target = draw.normal(size=(size + more, size))
    rotation = orthogonal(draw, size)
    assert_allclose(procrustes(target @ rotation, target), rotation, atol=1e-6)


@given(seeds)
def test_no_rotation_is_nearer_than_the_one_of_procrustes(seed: int) -> None:
    draw = np.random.default_rng(seed)
    source, target = draw.normal(size=(2, 6, 3))
    found = procrustes(source, target)
    assert_allclose(found @ found.T, np.eye(3), atol=1e-12)
    best = np.linalg.norm(target @ found - source)
    for _ in range(10):
        other = np.linalg.qr(found + 0.2 * draw.normal(size=(3, 3)))[0]
        other *= np.sign(np.diag(other.T @ found))
        assert np.linalg.norm(target @ other - source) >= best - 1e-9


def slow_neighbours(
    vector: np.ndarray, sources: np.ndarray, num_neighbours: int, temperature: float
) -> dict[int, float]:
    cosines = {
        number: float(vector @ other / np.linalg.norm(vector) / np.linalg.norm(other))
        for number, other in enumerate(sources.astype(np.float64))
        if other.any()
    }
    nearest = sorted(cosines, key=lambda number: -cosines[number])[:num_neighbours]
    exponentials = {number: np.exp(cosines[number] / temperature) for number in nearest}
    total = sum(exponentials.values())
    return {number: value / total for number, value in exponentials.items()}


@given(seeds, st.integers(1, 12), st.floats(0.05, 3.0))
def test_neighbours_equal_the_slow_ones(seed: int, num_neighbours: int, temperature: float) -> None:
    draw = np.random.default_rng(seed)
    targets, sources = draw.normal(size=(2, 8, 4))
    targets[3], sources[5] = 0.0, 0.0
    found = _neighbours(targets, sources, num_neighbours, temperature)
    assert sorted(found) == [0, 1, 2, 4, 5, 6, 7]
    for token, origin in found.items():
        expected = slow_neighbours(targets[token], sources, num_neighbours, temperature)
        assert origin.rule == "neighbours"
        assert origin.depth == 0
        shares = dict(zip(origin.source, origin.weights, strict=True))
        assert shares == pytest.approx(expected, rel=1e-6)


def test_more_tokens_than_fit_at_once_are_all_found(monkeypatch: pytest.MonkeyPatch) -> None:
    targets, sources = np.random.default_rng(1).normal(size=(2, 20, 5))
    whole = _neighbours(targets, sources, 3, 0.1)
    monkeypatch.setattr("lingraft.embeddings.wechsel._TOKENS_AT_ONCE", 7)
    assert _neighbours(targets, sources, 3, 0.1) == whole


def rotated_case(*, num_pairs: int) -> EmbeddingMatrix:
    """Greek words whose vectors are their translations', turned; pairs in capitals."""
    draw = np.random.default_rng(5)
    english = draw.normal(size=(8, 4))
    greek = english @ orthogonal(draw, 4)
    counts = np.arange(8, 0, -1)
    source, target = words(*ENGLISH), words(*GREEK)
    pairs = [(one.upper(), other.upper()) for one, other in zip(ENGLISH, GREEK, strict=True)]
    return wechsel_rows(
        random_rows_of(source),
        source_words=WordVectors(ENGLISH, counts, english.astype(np.float32)),
        target_words=WordVectors(GREEK, counts, greek.astype(np.float32)),
        word_pairs=pairs_of(*pairs[:num_pairs]),
        source=source,
        target=target,
        num_neighbours=1,
    )


def test_a_few_pairs_show_the_way_to_all_translations() -> None:
    """Four pairs fix a rotation in four dimensions; the other four words find theirs."""
    matrix = rotated_case(num_pairs=4)
    assert matrix.coverage() == {"neighbours": 8}
    assert_array_equal(matrix.source, np.arange(8))
    assert matrix.rows.tobytes() == random_rows_of(words(*ENGLISH)).tobytes()
    assert (rotated_case(num_pairs=1).source != np.arange(8)).any()


def test_spaces_are_centred_by_how_often_words_occur() -> None:
    given = words_of(ENGLISH)
    units = [vector / np.linalg.norm(vector) for vector in given.vectors.astype(np.float64)]
    middle = sum(n * unit for n, unit in zip(given.counts, units, strict=True)) / given.counts.sum()
    expected = [(unit - middle) / np.linalg.norm(unit - middle) for unit in units]
    assert_allclose(_centred(given).vectors, expected, atol=1e-6)


def test_unknown_pairs_are_left_out() -> None:
    case = make_transfer(words(*ENGLISH), words(*GREEK))

    def rows(word_pairs: list[Pair]) -> bytes:
        return wechsel_rows(
            case.source_rows,
            source_words=words_of(ENGLISH),
            target_words=words_of(GREEK),
            word_pairs=word_pairs,
            source=case.source,
            target=case.target,
        ).rows.tobytes()

    known = pairs_of(*zip(ENGLISH[:3], GREEK[:3], strict=True))
    assert rows([*known, *pairs_of(("bridge", "жжж"), ("", ""))]) == rows(known)
    assert rows([*known, *pairs_of(("wall", "θάλασσα"))]) != rows(known)


def test_shared_words_are_translated_and_digits_copied() -> None:
    unknown = ["[UNK]"]
    source = words("taxi", "cab", "7", special=unknown)
    target = words("taxi", "7", "жжж", special=unknown)
    case = make_transfer(source, target)
    matrix = wechsel_rows(
        case.source_rows,
        source_words=words_of(["cab", "sea"]),
        target_words=words_of(["taxi", "sea"]),
        word_pairs=pairs_of(("cab", "taxi"), ("sea", "sea")),
        source=source,
        target=target,
    )
    assert matrix.origin(0) == Origin("special", (0,), (1.0,))
    assert matrix.origin(1) == Origin("neighbours", (2,), (1.0,))
    assert matrix.origin(2) == Origin("copied", (3,), (1.0,))
    assert matrix.origin(3) == Origin("mean", depth=3)


def test_a_source_without_any_known_word_gives_pieces() -> None:
    case = make_transfer(words("a", "b", special=["[UNK]"]), words("ab"))
    matrix = wechsel_rows(
        case.source_rows,
        source_words=words_of(["zz"]),
        target_words=words_of(["ab"]),
        word_pairs=pairs_of(("zz", "ab")),
        source=case.source,
        target=case.target,
    )
    assert matrix.coverage() == {"pieces": 1}


class TestTokensFromWords:
    def test_a_token_is_the_mean_of_its_words_by_their_counts(self, tokenizer: Tokenizer) -> None:
        known = ("the", "bridge", "bridges", "ποτάμι")
        given = WordVectors(
            known,
            np.array([4, 1, 2, 3]),
            np.random.default_rng(3).normal(size=(4, 3)).astype(np.float32),
        )
        found = token_vectors_from_words(given, tokenizer=tokenizer)
        for token in range(len(tokenizer)):
            uses = [
                (given.counts[number], given.vectors[number])
                for number, word in enumerate(known)
                for text in (word, " " + word)
                if token in tokenizer.encode(text)
            ]
            expected = (
                np.average([v for _, v in uses], axis=0, weights=[c for c, _ in uses])
                if uses
                else np.zeros(3)
            )
            assert_allclose(found[token], expected, atol=1e-6)
        assert 10 < found.any(axis=1).sum() < 60

    def test_unknown_spellings_say_nothing(self, lossy_tokenizer: Tokenizer) -> None:
        found = token_vectors_from_words(words_of(["다리가", "the"]), tokenizer=lossy_tokenizer)
        assert not found[lossy_tokenizer.role_id("unk_token")].any()
        assert found[lossy_tokenizer.encode("the")].any()

    def test_batches_change_nothing(
        self, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        given = words_of([*ENGLISH, *GREEK])
        whole = token_vectors_from_words(given, tokenizer=tokenizer)
        monkeypatch.setattr("lingraft.embeddings.vectors._TEXTS_AT_ONCE", 3)
        assert_allclose(token_vectors_from_words(given, tokenizer=tokenizer), whole, rtol=1e-6)


@pytest.mark.parametrize(
    ("changes", "where", "got"),
    [
        ({"target_words": words_of(["γεφύρι"], dimensions=5)}, "word vectors", "5"),
        ({"word_pairs": []}, "word_pairs", "none in 0 pairs"),
        ({"word_pairs": [Pair("sea", "γεφύρι", "1")]}, "word_pairs", "none in 1 pairs"),
        ({"num_neighbours": 0}, "num_neighbours", "0"),
        ({"temperature": 0.0}, "temperature", "0.0"),
        ({"temperature": float("nan")}, "temperature", "nan"),
    ],
)
def test_what_cannot_work_is_refused(changes: dict[str, object], where: str, got: str) -> None:
    case = make_transfer(words("bridge"), words("γεφύρι"))
    settings = {
        "source_words": words_of(["bridge"]),
        "target_words": words_of(["γεφύρι"]),
        "word_pairs": pairs_of(("bridge", "γεφύρι")),
    } | changes
    with pytest.raises(InputError) as caught:
        wechsel_rows(case.source_rows, source=case.source, target=case.target, **settings)
    assert (caught.value.where, caught.value.got) == (where, got)


@pytest.mark.parametrize(("num_counts", "shape"), [(1, (2, 3)), (2, (1, 3)), (2, (2,))])
def test_word_vectors_of_other_lengths_are_refused(num_counts: int, shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="one count and one vector for each word") as caught:
        WordVectors(("a", "b"), np.ones(num_counts, dtype=np.int64), np.ones(shape, np.float32))
    assert caught.value.got == f"2 words, {num_counts} counts and vectors of shape {shape}"
