"""What every aligner has to do, on corpora whose links are known."""

import itertools
import subprocess
import sys
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from lingraft.alignment import METHODS, Links, align, alignment_error_rate, expectation
from lingraft.alignment.bitext import MAX_WORDS, RARE_COUNT, number_words
from lingraft.alignment.expectation import NULL, Corpus
from lingraft.alignment.kernels import NUM_MOVES
from lingraft.alignment.lexicon import IDENTICAL_COUNT, PSEUDO_COUNT, build_lexicon
from lingraft.corpus.records import Pair
from lingraft.errors import InputError
from lingraft.runtime import Runtime
from lingraft.tokenizer.words import SEGMENTATION, word_spans

GREEK = "αβγδεζηθ"
every_method = pytest.mark.parametrize("method", list(METHODS))


def make_corpus(num_pairs: int = 300, num_types: int = 40) -> tuple[list[Pair], list[set]]:
    """Sentences and their word-by-word translations, in which two neighbours swap places."""
    rng = np.random.default_rng(5)
    pairs, truth = [], []
    for number in range(num_pairs):
        words = rng.choice(num_types, size=rng.integers(3, 10), replace=False)
        order = list(range(len(words)))
        swap = int(rng.integers(len(words) - 1))
        order[swap : swap + 2] = reversed(order[swap : swap + 2])
        source = " ".join(chr(97 + word // 26) + chr(97 + word % 26) + "q" for word in words)
        target = " ".join(GREEK[words[k] // 8] + GREEK[words[k] % 8] for k in order)
        pairs.append(Pair(source, target, str(number)))
        truth.append({(i, j) for j, i in enumerate(order)})
    return pairs, truth


def pair_of(source: str, target: str) -> Pair:
    return Pair(source, target, "1")


@every_method
def test_true_links_are_found(method: str) -> None:
    pairs, truth = make_corpus()
    links = align(pairs, method=method, seed=0)
    error = alignment_error_rate(links, truth).value
    assert error is not None
    assert error < 0.05
    assert (links.method, links.seed, links.segmentation) == (method, 0, SEGMENTATION)


@every_method
def test_one_and_two_threads_and_two_runs_give_the_same_bits(method: str) -> None:
    pairs, _ = make_corpus()
    copy = list(pairs)
    runs = [align(pairs, method=method, seed=0, runtime=Runtime(threads)) for threads in (1, 2, 2)]
    assert runs[0] == runs[1] == runs[2]
    assert pairs == copy


def test_sums_of_float64_do_not_depend_on_the_number_of_threads() -> None:
    # Links are float32, which would hide that a sum was taken in another order.
    bitext = number_words(make_corpus()[0], tokenized=False)
    sums = []
    for threads in (1, 2, 3):
        with ThreadPoolExecutor(threads) as pool:
            corpus = Corpus(bitext, pool)
            parameters = corpus.uniform()
            parameters.moves = np.random.default_rng(0).uniform(0.1, 1, (2, NUM_MOVES))
            sums.append(corpus.expected_counts(parameters, agreeing=True))
    for others in sums[1:]:
        for first, other in zip(sums[0], others, strict=True):
            np.testing.assert_array_equal(first, other)


@every_method
def test_links_are_sorted_and_point_at_words(method: str) -> None:
    pairs, _ = make_corpus(60)
    links = align(pairs, method=method, seed=0)
    triples = list(
        zip(
            links.pair.tolist(), links.source_word.tolist(), links.target_word.tolist(), strict=True
        )
    )
    assert triples == sorted(set(triples))
    assert links.posterior.min() > 0
    assert links.posterior.max() <= 1
    for number, pair in enumerate(pairs):
        begin, end = links.source_starts[number : number + 2]
        assert list(map(tuple, links.source_offsets[begin:end])) == word_spans(pair.source)
        begin, end = links.target_starts[number : number + 2]
        assert list(map(tuple, links.target_offsets[begin:end])) == word_spans(pair.target)
    assert (links.source_word < np.diff(links.source_starts)[links.pair]).all()
    assert (links.target_word < np.diff(links.target_starts)[links.pair]).all()


@every_method
def test_pairs_that_cannot_be_aligned_keep_their_places(method: str) -> None:
    good = [pair_of("cat dog", "γάτα σκύλος"), pair_of("cat", "γάτα"), pair_of("dog", "σκύλος")]
    odd = [pair_of("", "γάτα"), pair_of("cat", " "), pair_of("", "")]
    long = pair_of("cat " * (MAX_WORDS + 1), "γάτα")
    mixed = [odd[0], good[0], odd[1], long, good[1], odd[2], good[2]]
    links = align(mixed, method=method, seed=0)
    alone = align(good, method=method, seed=0)
    sets = links.sets()
    assert [sets[k] for k in (0, 2, 3, 5)] == [set()] * 4
    assert [sets[k] for k in (1, 4, 6)] == alone.sets() == [{(0, 0), (1, 1)}, {(0, 0)}, {(0, 0)}]
    np.testing.assert_array_equal(links.posterior, alone.posterior)
    assert np.diff(links.source_starts).tolist() == [0, 2, 1, MAX_WORDS + 1, 1, 0, 1]


@every_method
def test_empty_and_one_item_corpora(method: str, tmp_path: Path) -> None:
    empty = align([], method=method, seed=0)
    assert (empty.num_pairs, len(empty), empty.sets()) == (0, 0, [])
    assert empty.pair.dtype == np.int32
    assert align([pair_of("", "")], method=method, seed=0).sets() == [set()]
    assert align([pair_of("cat", "γάτα")], method=method, seed=0).sets() == [{(0, 0)}]
    empty.save(tmp_path / "links")
    assert Links.load(tmp_path / "links") == empty


@every_method
def test_unspaced_scripts_are_aligned_by_their_units(method: str) -> None:
    text = {"cat": "猫", "dog": "犬", "bird": "鳥", "eats": "食", "sees": "見", "fish": "魚"}
    subjects, verbs = ("cat", "dog", "bird"), ("eats", "sees")
    pairs = [
        pair_of(f"{a} {verb} {b}", text[a] + text[b] + text[verb])
        for a, verb, b in itertools.product(subjects, verbs, (*subjects, "fish"))
        if a != b
    ]
    sets = align(pairs, method=method, seed=0).sets()
    assert all(links == {(0, 0), (1, 2), (2, 1)} for links in sets)


def test_tokenized_text_is_cut_at_spaces_alone() -> None:
    links = align([pair_of("don't-stop it.", "stop nicht")], seed=0, tokenized=True)
    assert links.source_offsets.tolist() == [[0, 10], [11, 14]]
    assert links.segmentation != SEGMENTATION


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(InputError, match="method: expected one of ibm1, hmm, got 'giza'"):
        align([], method="giza", seed=0)


def test_chunks_change_nothing_but_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs, _ = make_corpus(80)
    whole = align(pairs, seed=0)
    monkeypatch.setattr(expectation, "_CHUNK_CELLS", 100)
    parts = align(pairs, seed=0)
    assert parts.sets() == whole.sets()
    np.testing.assert_allclose(parts.posterior, whole.posterior, atol=1e-5)


def test_lexicon_holds_exactly_the_types_that_meet() -> None:
    pairs = [pair_of("a b a", "x y"), pair_of("b", "x a"), pair_of("", "z"), pair_of("c", "a")]
    bitext = number_words(pairs, tokenized=True)
    lexicon = build_lexicon(bitext)
    source, target = bitext.source.vocabulary, bitext.target.vocabulary
    slots = [(source[i], target[j]) for i, j in zip(lexicon.rows, lexicon.columns, strict=True)]
    expected = {("", word) for word in "xya"}
    for pair in pairs:
        if pair.source:
            expected |= set(itertools.product(pair.source.split(), ["", *pair.target.split()]))
    assert len(slots) == len(expected)
    assert set(slots) == expected
    alike = dict(zip(slots, lexicon.prior.tolist(), strict=True))
    assert alike["a", "x"] == np.float32(PSEUDO_COUNT)
    assert ("a", "a") not in alike
    assert lexicon.row_starts.tolist() == [0, 3, 6, 10, 12]


def test_words_spelled_alike_start_with_a_count() -> None:
    lexicon = build_lexicon(number_words([pair_of("7 cat", "7 γάτα")], tokenized=False))
    assert lexicon.prior.max() == IDENTICAL_COUNT
    assert np.count_nonzero(lexicon.prior == IDENTICAL_COUNT) == 1


def test_expected_counts_equal_the_enumeration_of_all_alignments() -> None:
    pairs = [pair_of("a b", "x y z"), pair_of("b c b", "y x"), pair_of("a", "z z")]
    with ThreadPoolExecutor(2) as pool:
        corpus = Corpus(number_words(pairs, tokenized=True), pool)
        parameters = corpus.uniform()
        rng = np.random.default_rng(1)
        parameters.forward = rng.uniform(0.1, 1, len(corpus.lexicon)).astype(np.float32)
        forward, backward, _ = corpus.expected_counts(parameters, agreeing=False)
    source, target = corpus.bitext.source.vocabulary, corpus.bitext.target.vocabulary
    slots = [
        (source[i], target[j])
        for i, j in zip(corpus.lexicon.rows, corpus.lexicon.columns, strict=True)
    ]
    for found, probabilities, turned in (
        (forward, parameters.forward, False),
        (backward, parameters.backward, True),
    ):
        chance = dict(zip(slots, probabilities.tolist(), strict=True))
        expected = enumerate_counts(pairs, chance, turned=turned)
        np.testing.assert_allclose(found, [expected[slot] for slot in slots], atol=1e-5)


def enumerate_counts(pairs, chance, *, turned):
    counts = defaultdict(float)
    for pair in pairs:
        given, made = pair.source.split(), pair.target.split()
        if turned:
            given, made = made, given
        given = ["", *given]
        weights = []
        for path in itertools.product(range(len(given)), repeat=len(made)):
            links = [(given[i], word) for i, word in zip(path, made, strict=True)]
            slots = [link[::-1] if turned else link for link in links]
            prior = [NULL if i == 0 else (1 - NULL) / (len(given) - 1) for i in path]
            weights.append((np.prod(prior) * np.prod([chance[slot] for slot in slots]), slots))
        total = sum(weight for weight, _ in weights)
        for weight, slots in weights:
            for slot in slots:
                counts[slot] += weight / total
    return counts


def test_agreement_multiplies_posteriors_except_those_of_null() -> None:
    with ThreadPoolExecutor(1) as pool:
        corpus = Corpus(number_words([pair_of("a b", "x y")], tokenized=True), pool)
        own = corpus.expected_counts(corpus.uniform(), agreeing=False)
        joint = corpus.expected_counts(corpus.uniform(), agreeing=True)
    rows, columns = corpus.lexicon.rows, corpus.lexicon.columns
    product = np.where((rows == 0) | (columns == 0), own[0] + own[1], own[0] * own[1])
    np.testing.assert_allclose(np.maximum(joint[0], joint[1]), product, rtol=1e-6)


def test_rare_words_share_the_type_of_their_stem_and_frequent_ones_do_not() -> None:
    text = "Κατάλογος κατάλογοι KATALOGI kata 123456 123457" + " settings" * RARE_COUNT
    side = number_words([pair_of(text, "x")], tokenized=False).source
    words = [side.vocabulary[number] for number in side.types]
    assert words[:7] == ["κατάλ", "κατάλ", "katal", "kata", "123456", "123457", "settings"]


def test_composed_and_decomposed_spellings_are_one_type() -> None:
    side = number_words([pair_of("é e\u0301 É", "x")], tokenized=False).source
    assert side.types.tolist() == [1, 1, 1]


def test_importing_the_stage_loads_no_compiler() -> None:
    code = "import sys, lingraft.alignment; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
