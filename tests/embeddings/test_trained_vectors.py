"""Vectors from counts: the formulas by slow loops, planted company, scripts without spaces."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from lingraft.corpus.records import Document
from lingraft.embeddings import cooccurrence, train_token_vectors, train_word_vectors
from lingraft.embeddings.cooccurrence import cooccurrence_vectors
from lingraft.tokenizer import Tokenizer

sequences = st.lists(st.lists(st.integers(0, 6), max_size=12), max_size=6)


def slow_information(
    texts: list[list[int]], *, num_types: int, window: int, min_count: int, num_contexts: int
) -> np.ndarray:
    """Positive pointwise mutual information by loops; rows without a vector are zero."""
    flat = [number for text in texts for number in text]
    often = sorted(range(num_types), key=lambda number: -flat.count(number))
    contexts = [number for number in often[:num_contexts] if flat.count(number)]
    known = [number for number in range(num_types) if flat.count(number) >= max(min_count, 1)]
    counts = dict.fromkeys(((row, column) for row in known for column in contexts), 0.0)
    for text in texts:
        for here, one in enumerate(text):
            for there, other in enumerate(text):
                distance = abs(here - there)
                if 0 < distance <= window and (one, other) in counts:
                    counts[one, other] += (window + 1 - distance) / window
    smoothed = {c: sum(counts[r, c] for r in known) ** 0.75 for c in contexts}
    total = sum(smoothed.values())
    matrix = np.zeros((num_types, len(contexts)))
    for row in known:
        of_row = sum(counts[row, column] for column in contexts)
        for place, column in enumerate(contexts):
            if counts[row, column]:
                ratio = counts[row, column] / of_row / (smoothed[column] / total)
                matrix[row, place] = max(math.log(ratio), 0.0)
    return matrix


@given(sequences, st.integers(1, 4), st.integers(0, 3), st.integers(1, 7))
def test_vectors_are_the_decomposition_of_the_slow_counts(
    texts: list[list[int]], window: int, min_count: int, num_contexts: int
) -> None:
    settings = {"window": window, "min_count": min_count, "num_contexts": num_contexts}
    vectors = cooccurrence_vectors(texts, num_types=7, dimensions=9, **settings)
    matrix = slow_information(texts, num_types=7, **settings)
    assert vectors.shape == (7, 9)
    assert vectors.dtype == np.float32
    # U·S^½ is known up to signs, and up to rotation among equal values; products are not:
    # their Gram matrix U·S·U^T is the square root of M·M^T.
    values, left = np.linalg.eigh(matrix @ matrix.T)
    root = (left * np.sqrt(np.maximum(values, 0.0))) @ left.T
    assert_allclose(vectors @ vectors.T, root, atol=0.02)


@given(sequences)
def test_fewer_dimensions_are_the_first_ones(texts: list[list[int]]) -> None:
    whole = cooccurrence_vectors(texts, num_types=7, dimensions=7, min_count=1)
    first = cooccurrence_vectors(texts, num_types=7, dimensions=2, min_count=1)
    assert_array_equal(first, whole[:, :2])


def test_parts_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(4)
    texts = [draw.integers(0, 9, size=40).tolist() for _ in range(5)]
    whole = cooccurrence_vectors(texts, num_types=9, dimensions=5, min_count=1)
    monkeypatch.setattr(cooccurrence, "_POSITIONS_AT_ONCE", 7)
    cut = cooccurrence_vectors(texts, num_types=9, dimensions=5, min_count=1)
    assert_allclose(cut, whole, atol=1e-4)


def test_words_that_keep_the_same_company_are_near() -> None:
    draw = np.random.default_rng(0)
    near = {"κρασί": "πίνω", "νερό": "πίνω", "ψωμί": "τρώω", "τυρί": "τρώω"}
    texts = [
        f"{draw.choice(['εγώ', 'αυτή', 'κάποιος'])} {verb} {draw.choice(['πολύ', 'λίγο'])} {noun}"
        for noun, verb in near.items()
        for _ in range(40)
    ]
    vectors = train_word_vectors(texts, dimensions=8)
    of = dict(zip(vectors.words, vectors.vectors, strict=True))

    def cosine(one: str, other: str) -> float:
        return float(of[one] @ of[other] / np.linalg.norm(of[one]) / np.linalg.norm(of[other]))

    assert cosine("κρασί", "νερό") > cosine("κρασί", "ψωμί") + 0.2
    assert cosine("ψωμί", "τυρί") > cosine("ψωμί", "νερό") + 0.2


def test_spellings_share_the_vector_of_their_word() -> None:
    texts = ["Η γάτα και η γάτα", "Η Γάτα και ο σκύλος", "ΓΆΤΑ και σκύλος"]
    vectors = train_word_vectors(texts, min_count=2, dimensions=4)
    counts = dict(zip(vectors.words, vectors.counts.tolist(), strict=True))
    assert counts == {"και": 3, "Η": 2, "γάτα": 2, "σκύλος": 2, "Γάτα": 1, "ΓΆΤΑ": 1, "η": 1}
    of = dict(zip(vectors.words, vectors.vectors, strict=True))
    for one in ("Γάτα", "ΓΆΤΑ"):
        assert_array_equal(of[one], of["γάτα"])
    assert vectors.counts.tolist() == sorted(counts.values(), reverse=True)


@pytest.mark.parametrize(
    "text", ["古い橋が川を渡り、川は古い町を流れる。", "สะพานเก่าข้ามแม่น้ำ และแม่น้ำก็ผ่านเมืองเก่า"]
)
def test_scripts_without_spaces_have_words_too(text: str) -> None:
    vectors = train_word_vectors([text] * 3, dimensions=4)
    assert len(vectors) > 10
    assert np.isfinite(vectors.vectors).all()


def test_no_text_gives_no_vectors(tokenizer: Tokenizer) -> None:
    for texts in ([], [""], ["a"]):
        assert len(train_word_vectors(texts)) == 0
        assert train_word_vectors(texts).dimensions == 100
        assert_array_equal(
            train_token_vectors(texts, tokenizer=tokenizer), np.zeros((len(tokenizer), 100))
        )


def test_tokens_that_are_frequent_enough_have_vectors(
    tokenizer: Tokenizer, documents: list[Document], lossy_tokenizer: Tokenizer
) -> None:
    texts = [document.text for document in documents]
    flat = [token for ids in tokenizer.encode_batch(texts) for token in ids]
    vectors = train_token_vectors(texts, tokenizer=tokenizer, min_count=3, dimensions=20)
    expected = [flat.count(token) >= 3 for token in range(len(tokenizer))]
    assert_array_equal(vectors.any(axis=1), expected)
    lossy = train_token_vectors(texts, tokenizer=lossy_tokenizer, min_count=1, dimensions=20)
    assert not lossy[lossy_tokenizer.role_id("unk_token")].any()
    again = train_token_vectors(iter(texts), tokenizer=tokenizer, min_count=3, dimensions=20)
    assert again.tobytes() == vectors.tobytes()


def test_texts_are_read_in_parts(
    tokenizer: Tokenizer, documents: list[Document], monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [document.text for document in documents]
    whole = train_token_vectors(texts, tokenizer=tokenizer, min_count=1)
    monkeypatch.setattr("lingraft.embeddings.vectors._TEXTS_AT_ONCE", 2)
    assert_array_equal(train_token_vectors(texts, tokenizer=tokenizer, min_count=1), whole)
