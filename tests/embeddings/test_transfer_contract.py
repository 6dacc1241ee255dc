"""What holds for every transfer method, run over every one of them."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from transfer_cases import (
    Transfer,
    make_transfer,
    permuted,
    random_rows_of,
    sentencepiece,
    table_of,
    words,
)

from lingraft.embeddings import METHODS, EmbeddingMatrix
from lingraft.tokenizer import Tokenizer

KNOWS_TOKENS = sorted(set(METHODS) - {"random", "mean"})
COPIES_ALL_SHARED = ["focus", "omp", "pieces"]
# What each method finds out from its own inputs, beyond copies and pieces.
EVIDENCE = {
    "dictionary": "table",
    "focus": "similar",
    "omp": "combined",
    "trans_tokenize": "table",
    "wechsel": "neighbours",
}
every_method = pytest.mark.parametrize("method", sorted(METHODS))


@pytest.fixture(scope="module", params=["byte_level", "sentencepiece", "wordpiece", "words"])
def case(
    request: pytest.FixtureRequest,
    tokenizer: Tokenizer,
    other_tokenizer: Tokenizer,
    lossy_tokenizer: Tokenizer,
) -> Transfer:
    """From vocabularies of every spelling to a byte-level one."""
    source = {
        "byte_level": other_tokenizer,
        "sentencepiece": sentencepiece("▁", "A", "the", "▁the", "π"),
        "wordpiece": lossy_tokenizer,
        "words": words("the", "π", "1", special=["<|pad|>"]),
    }[request.param]
    return make_transfer(source, tokenizer)


def equal(one: EmbeddingMatrix, other: EmbeddingMatrix) -> bool:
    return all(
        np.array_equal(getattr(one, field.name), getattr(other, field.name))
        and np.asarray(getattr(one, field.name)).dtype
        == np.asarray(getattr(other, field.name)).dtype
        for field in fields(EmbeddingMatrix)
    )


@every_method
def test_every_token_has_a_row_and_an_origin(method: str, case: Transfer) -> None:
    matrix = case.run(method)
    num_rows = len(case.target.vocabulary)
    assert matrix.rows.shape == (num_rows, case.source_rows.shape[1])
    assert matrix.rows.dtype == np.float32
    assert matrix.rows.flags.c_contiguous
    assert np.isfinite(matrix.rows).all()
    assert matrix.method == method
    assert len(matrix.rule) == len(matrix.support) == len(matrix.depth) == num_rows
    assert len(matrix.indptr) == num_rows + 1
    assert sum(matrix.coverage().values()) == num_rows
    assert sum(matrix.coverage_by_depth().values()) == num_rows


@every_method
def test_sources_are_real_tokens_and_weights_are_shares(method: str, case: Transfer) -> None:
    matrix = case.run(method)
    for token in range(len(matrix)):
        origin = matrix.origin(token)
        assert len(set(origin.source)) == len(origin.source)
        assert all(0 <= source < len(case.source) for source in origin.source)
        assert bool(origin.source) == (origin.rule not in ("mean", "random"))
        if origin.source:
            assert list(origin.weights) == sorted(origin.weights, key=abs, reverse=True)
            assert 0 not in origin.weights
        if origin.source and origin.rule != "combined":  # a sum, and no mean
            assert sum(origin.weights) == pytest.approx(1.0, abs=1e-5)
            assert min(origin.weights) > 0


LENGTHENED = ("dictionary", "trans_tokenize")


@pytest.mark.parametrize("method", EVIDENCE)
def test_each_method_uses_its_evidence(method: str, case: Transfer) -> None:
    matrix = case.run(method)
    assert matrix.coverage()[EVIDENCE[method]] > 2
    without = make_transfer(case.source, case.target, evidence=False).run(method)
    assert set(without.coverage()) <= {"special", "copied", "pieces", "mean"}


@every_method
def test_rows_are_their_sources_mixed(method: str, case: Transfer) -> None:
    """Table methods lengthen a mixed row's difference to the mean row, all others keep the mix."""
    matrix = case.run(method)
    mean = case.source_rows.mean(axis=0, dtype=np.float64)
    for token, row in enumerate(matrix.rows):
        origin = matrix.origin(token)
        if origin.rule == "mean":
            np.testing.assert_allclose(row, mean, atol=1e-6)
        elif origin.rule != "random":
            slow = sum(
                weight * case.source_rows[source].astype(np.float64)
                for source, weight in zip(origin.source, origin.weights, strict=True)
            )
            scale = np.abs(origin.weights).sum() * np.abs(case.source_rows).max()
            factor = 1.0
            if method in LENGTHENED and len(origin.source) > 1:
                factor = np.linalg.norm(row - mean) / np.linalg.norm(slow - mean)
                assert 1.0 < factor < 3.0
            np.testing.assert_allclose(row - mean, factor * (slow - mean), atol=3e-6 * scale)
        if origin.weights == (1.0,):
            assert_array_equal(row, case.source_rows[origin.source[0]])


@every_method
def test_the_same_seed_gives_the_same_bytes(method: str, case: Transfer) -> None:
    assert equal(case.run(method, seed=3), case.run(method, seed=3))


@every_method
def test_inputs_are_left_as_they_were(method: str, case: Transfer) -> None:
    def inputs() -> list[object]:
        arrays = [case.source_rows, case.table.indptr, case.table.source, case.table.counts]
        for words_of_side in (case.source_words, case.target_words):
            arrays += [words_of_side.counts, words_of_side.vectors]
        arrays.append(case.target_vectors)
        texts = (case.source.backend.to_str(), case.target.backend.to_str())
        return [*(array.tobytes() for array in arrays), *texts]

    before = inputs()
    case.run(method)
    assert inputs() == before


@every_method
def test_loaded_equals_saved(method: str, case: Transfer, tmp_path: Path) -> None:
    matrix = case.run(method)
    matrix.save(tmp_path)
    assert equal(EmbeddingMatrix.load(tmp_path), matrix)


@pytest.mark.parametrize("method", sorted(set(METHODS) - {"random"}))  # draws by position
def test_permuting_target_tokens_permutes_rows(method: str, case: Transfer) -> None:
    num_tokens = len(case.target)
    new_ids = np.random.default_rng(2).permutation(num_tokens)
    target = permuted(case.target, new_ids)
    assert target.encode("the 12 γεφύρι") == [
        new_ids[i] for i in case.target.encode("the 12 γεφύρι")
    ]
    entries = [
        (int(new_ids[token]), int(source), float(count))
        for token in range(num_tokens)
        for source, count in zip(*case.table.row(token), strict=True)
    ]
    vectors = np.empty_like(case.target_vectors)
    vectors[new_ids] = case.target_vectors
    table = table_of(entries, case.source, target)
    moved = replace(case, target=target, table=table, target_vectors=vectors)
    plain, shuffled = case.run(method), moved.run(method)
    for token in range(num_tokens):
        one, other = plain.origin(token), shuffled.origin(int(new_ids[token]))
        assert replace(one, source=(), weights=()) == replace(other, source=(), weights=())
        # A product of matrices may round a row by where it stands, so not to the bit.
        weights = dict(zip(one.source, one.weights, strict=True))
        assert dict(zip(other.source, other.weights, strict=True)) == pytest.approx(weights)
    np.testing.assert_allclose(shuffled.rows[new_ids], plain.rows, rtol=1e-4, atol=1e-5)
    if method not in ("focus", "omp", "wechsel"):
        assert_array_equal(shuffled.rows[new_ids], plain.rows)


@pytest.mark.parametrize("method", KNOWS_TOKENS)
def test_shared_special_tokens_and_digits_keep_their_rows(method: str, case: Transfer) -> None:
    matrix = case.run(method)
    source, target = case.source.vocabulary, case.target.vocabulary
    special = {text: token for token, text in source.special.items()}
    shared = [(token, special[text]) for token, text in target.special.items() if text in special]
    for character in "0123456789.,!":
        piece = character.encode()
        if piece in source.ids_by_bytes:
            shared.append((target.ids_by_bytes[piece], source.ids_by_bytes[piece]))
    for token, same in shared:
        assert_array_equal(matrix.rows[token], case.source_rows[same])
        assert matrix.origin(token).rule in ("special", "copied")


@pytest.mark.parametrize("method", COPIES_ALL_SHARED)
def test_every_shared_token_keeps_its_row(method: str, case: Transfer) -> None:
    matrix = case.run(method)
    own = case.source.vocabulary.ids_by_bytes
    num_shared = 0
    for token, piece in enumerate(case.target.vocabulary.pieces):
        if piece is not None and piece in own:
            assert_array_equal(matrix.rows[token], case.source_rows[own[piece]])
            num_shared += 1
    assert matrix.coverage()["copied"] == num_shared > 0


@pytest.mark.parametrize("method", KNOWS_TOKENS)
def test_the_own_vocabulary_gets_its_own_rows(method: str, case: Transfer) -> None:
    """Also where two tokens have the same bytes, such as <0x41> and A."""
    evidence = method in COPIES_ALL_SHARED  # others translate even a token that both have
    matrix = make_transfer(case.source, case.source, evidence=evidence).run(method)
    assert matrix.rows.tobytes() == case.source_rows.tobytes()
    assert set(matrix.coverage()) <= {"copied", "special"}
    assert_array_equal(matrix.source, np.arange(len(case.source)))


@every_method
@pytest.mark.parametrize("evidence", [True, False])
def test_one_token_is_enough(method: str, evidence: bool) -> None:
    matrix = make_transfer(words("a"), words("b"), evidence=evidence).run(method)
    assert matrix.rows.shape == (1, 7)
    assert np.isfinite(matrix.rows).all()


class TestControls:
    def test_mean_rows_are_all_the_mean(self, case: Transfer) -> None:
        matrix = case.run("mean")
        mean = case.source_rows.astype(np.float64).mean(axis=0)
        assert_array_equal(matrix.rows, np.tile(mean.astype(np.float32), (len(matrix), 1)))
        assert matrix.coverage() == {"mean": len(matrix)}
        assert matrix.num_duplicates == len(matrix) - 1

    def test_random_rows_differ_by_seed_and_by_token(self, case: Transfer) -> None:
        matrix = case.run("random", seed=1)
        assert matrix.num_duplicates == 0
        assert (matrix.rows != case.run("random", seed=2).rows).any(axis=1).all()
        assert matrix.coverage() == {"random": len(matrix)}

    def test_random_rows_have_the_sources_mean_and_deviation(self, tokenizer: Tokenizer) -> None:
        rows = random_rows_of(tokenizer) * np.arange(1, 8) + np.arange(7) * 10
        drawn = METHODS["random"](rows.astype(np.float32), target=tokenizer.vocabulary, seed=1).rows
        # 402 draws: the mean is known to a twentieth of the deviation, three sigma to 0.15.
        assert (np.abs(drawn.mean(axis=0) - rows.mean(axis=0)) < 0.2 * rows.std(axis=0)).all()
        np.testing.assert_allclose(drawn.std(axis=0), rows.std(axis=0), rtol=0.15)
