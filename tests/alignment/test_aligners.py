"""What every aligner has to do, on corpora whose links are known."""

import itertools
import subprocess
import sys
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lingraft.alignment import (
    METHODS,
    SYMMETRIZATIONS,
    Links,
    TrainedAligner,
    align,
    aligners,
    alignment_error_rate,
    expectation,
    train_aligner,
)
from lingraft.alignment import lexicon as lexicon_module
from lingraft.alignment.aligners import DIAGONAL_THRESHOLD, HMM_THRESHOLD, IBM1_THRESHOLD, NULL
from lingraft.alignment.bitext import MAX_WORDS, number_words
from lingraft.alignment.expectation import Corpus, Parameters
from lingraft.alignment.kernels import MAX_JUMP, NUM_BAND, NUM_JUMPS, NUM_MOVES
from lingraft.alignment.lexicon import (
    DICTIONARY_COUNT,
    IDENTICAL_COUNT,
    PSEUDO_COUNT,
    Lexicon,
    build_lexicon,
)
from lingraft.corpus.records import Pair
from lingraft.errors import InputError, StoreError
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


def uninformed(corpus: Corpus, model: str = "anywhere") -> Parameters:
    return Parameters.uninformed(len(corpus.lexicon), null=NULL, model=model, threshold=0.5)


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


def test_sums_do_not_depend_on_the_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    # Links would hide that a sum was taken in another order.
    monkeypatch.setattr(expectation, "_CHUNK_CELLS", 500)
    bitext = number_words(make_corpus()[0], tokenized=False)
    sums = []
    for threads in (1, 2, 3):
        corpus = Corpus(bitext, threads=threads)
        parameters = uninformed(corpus, "chain")
        parameters.places = np.random.default_rng(0).uniform(0.1, 1, (2, NUM_MOVES))
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
    links = align(pairs, method=method, seed=0)
    error = alignment_error_rate(links, [{(0, 0), (1, 2), (2, 1)}] * len(pairs)).value
    assert error is not None
    # A model that believes in the diagonal cannot be right about words that always swap.
    assert error < (0.6 if method == "diagonal" else 0.01)


def test_tokenized_text_is_cut_at_spaces_alone() -> None:
    links = align([pair_of("don't-stop it.", "stop nicht")], seed=0, tokenized=True)
    assert links.source_offsets.tolist() == [[0, 10], [11, 14]]
    assert links.segmentation != SEGMENTATION


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(InputError, match="method: expected one of ibm1, diagonal, hmm, got 'giza'"):
        align([], method="giza", seed=0)


def test_chunks_change_nothing_but_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs, _ = make_corpus(80)
    whole = align(pairs, seed=0)
    monkeypatch.setattr(expectation, "_CHUNK_CELLS", 100)
    parts = align(pairs, seed=0)
    assert parts.sets() == whole.sets()
    np.testing.assert_allclose(parts.posterior, whole.posterior, atol=1e-5)


def test_slots_that_wait_on_the_disk_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs, _ = make_corpus(80)
    kept = align(pairs, seed=0, runtime=Runtime(2))
    monkeypatch.setattr(expectation, "_MAX_KEPT_CELLS", 100)
    monkeypatch.setattr(expectation, "_BLOCK_CELLS", 700)
    written = []
    write = expectation._write
    monkeypatch.setattr(
        expectation, "_write", lambda *given: written.append(given[2]) or write(*given)
    )
    assert align(pairs, seed=0, runtime=Runtime(2)) == kept
    assert len(written) > 5


@pytest.mark.parametrize("problem", ["refused", "short"])
def test_a_full_disk_is_reported(problem: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(file: int, content: memoryview, place: int) -> int:
        if problem == "refused":
            raise OSError(28, "No space left on device")
        return 5

    monkeypatch.setattr(expectation, "_MAX_KEPT_CELLS", 1)
    monkeypatch.setattr(expectation.os, "pwrite", write)
    got = {"refused": "No space left on device", "short": "room for 5 of them"}[problem]
    message = rf"expected room for 16 bytes after the first 0, got .*{got}.*set TMPDIR"
    with pytest.raises(StoreError, match=message):
        align([pair_of("cat", "γάτα")], seed=0)


def words_of(lexicon: Lexicon) -> list[tuple[str, str]]:
    view = lexicon.views[0]
    return [
        (view.sources[i], view.targets[j])
        for i, j in zip(view.rows(), lexicon.columns, strict=True)
    ]


def test_lexicon_holds_exactly_the_types_that_meet() -> None:
    pairs = [pair_of("a b a", "x y"), pair_of("b", "x a"), pair_of("", "z"), pair_of("c", "a")]
    lexicon = build_lexicon(number_words(pairs, tokenized=True))
    slots = words_of(lexicon)
    expected = {("", word) for word in "xya"}
    for pair in pairs:
        if pair.source:
            expected |= set(itertools.product(pair.source.split(), ["", *pair.target.split()]))
    assert len(slots) == len(expected) == lexicon.num_met
    assert set(slots) == expected
    alike = dict(zip(slots, lexicon.views[0].prior().tolist(), strict=True))
    assert alike["a", "x"] == np.float32(PSEUDO_COUNT)
    assert ("a", "a") not in alike
    assert lexicon.row_starts.tolist() == [0, 3, 6, 10, 12]


@pytest.mark.parametrize("max_slots", [400, 300, 200])
def test_lexicon_is_bounded_and_keeps_what_meets_most(
    max_slots: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = make_corpus()[0]
    bitext = number_words(pairs, tokenized=True)
    whole = words_of(build_lexicon(bitext))
    monkeypatch.setattr(lexicon_module, "MAX_SLOTS", max_slots)
    bounded = build_lexicon(bitext)
    assert bounded.num_met == len(whole) > max_slots
    assert max_slots - 100 < len(bounded) <= max_slots
    meetings = Counter(
        entry
        for pair in pairs
        for entry in itertools.product(pair.source.split(), pair.target.split())
    )
    sources = Counter(word for pair in pairs for word in pair.source.split())
    targets = Counter(word for pair in pairs for word in pair.target.split())
    scores = {
        (a, b): count / (sources[a] * targets[b]) ** 0.5 for (a, b), count in meetings.items()
    }
    kept = {entry for entry in words_of(bounded) if all(entry)}
    dropped = set(scores) - kept
    # Scores are counted in steps, so that two which are nearly alike fall together.
    assert min(scores[entry] for entry in kept) >= max(scores[entry] for entry in dropped) - 1e-3
    assert {entry for entry in whole if not all(entry)} <= set(words_of(bounded))


def test_pairs_are_aligned_by_the_words_that_a_bounded_lexicon_keeps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pairs, truth = make_corpus()
    monkeypatch.setattr(lexicon_module, "MAX_SLOTS", 300)
    error = alignment_error_rate(align(pairs, seed=0), truth).value
    assert error is not None
    assert error < 0.05


def test_words_spelled_alike_start_with_a_count() -> None:
    lexicon = build_lexicon(number_words([pair_of("7 cat", "7 γάτα")], tokenized=False))
    for view in lexicon.views:
        prior = view.prior()
        assert np.count_nonzero(prior == np.float32(PSEUDO_COUNT + IDENTICAL_COUNT)) == 1
        assert np.count_nonzero(prior == np.float32(PSEUDO_COUNT)) == len(prior) - 1


def test_expected_counts_equal_the_enumeration_of_all_alignments() -> None:
    pairs = [pair_of("a b", "x y z"), pair_of("b c b", "y x"), pair_of("a", "z z")]
    corpus = Corpus(number_words(pairs, tokenized=True), threads=2)
    parameters = uninformed(corpus)
    rng = np.random.default_rng(1)
    size = parameters.tables.shape
    parameters.tables = rng.uniform(0.1, 1, size).astype(np.float32)
    counts, _ = corpus.expected_counts(parameters, agreeing=False)
    slots = words_of(corpus.lexicon)
    for direction, turned in enumerate((False, True)):
        chance = dict(zip(slots, parameters.tables[:-1, direction].tolist(), strict=True))
        expected = enumerate_counts(pairs, chance, turned=turned)
        found = counts[:-1, direction]
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


def test_views_see_words_and_their_first_letters() -> None:
    text = "Κατάλογος κατάλογοι ΚΑΤΆ 123456 123457"
    lexicon = build_lexicon(number_words([pair_of(text, "x")], tokenized=False))
    stems = [view.sources[1:] for view in lexicon.views]
    numbers = ["123456", "123457"]
    assert stems == [
        ["κατάλογοσ", "κατάλογοι", "κατά", *numbers],
        ["κατ", *numbers],
        ["κατάλ", "κατά", *numbers],
    ]


def test_a_probability_is_the_geometric_mean_over_views() -> None:
    pairs = [pair_of("abcde abcxy", "uvw"), pair_of("abcde", "uvwxyz")]
    lexicon = build_lexicon(number_words(pairs, tokenized=True))
    counts = np.random.default_rng(0).uniform(0, 1, (len(lexicon) + 1, 2)).astype(np.float32)
    slots = words_of(lexicon)
    for direction in range(2):
        evidence = lexicon.evidence(counts, of_targets=direction == 0)
        found = lexicon.probabilities(evidence, of_targets=direction == 0)
        product = np.ones(len(lexicon))
        for letters, view in zip((None, 3, 5), lexicon.views, strict=True):
            weights: dict[tuple[str, str], float] = defaultdict(float)
            for (a, b), count in zip(slots, counts[:, direction].tolist(), strict=False):
                weights[a[:letters], b[:letters]] += count
            assert len(view.columns) == len(weights)
            for number, (a, b) in enumerate(slots):
                key = a[:letters], b[:letters]
                total = sum(
                    weight + PSEUDO_COUNT
                    for other, weight in weights.items()
                    if other[direction] == key[direction]
                )
                product[number] *= (weights[key] + PSEUDO_COUNT) / total
        np.testing.assert_allclose(found, product ** (1 / 3), rtol=1e-5)


@every_method
def test_a_dictionary_decides_where_the_pairs_cannot(method: str) -> None:
    pairs = [pair_of("cat dog", "kissa koira")]
    crossed = [pair_of("Cat", "koira"), pair_of("dog", "kissa"), pair_of("two words", "x")]
    links = align(pairs, method=method, seed=0, dictionary=crossed, symmetrization="intersection")
    assert links.sets() == [{(0, 1), (1, 0)}]
    entry = pair_of("cat", "koira")
    lexicon = build_lexicon(number_words(pairs, tokenized=False), [entry])
    for view in lexicon.views:
        assert np.count_nonzero(view.prior() == np.float32(PSEUDO_COUNT + DICTIONARY_COUNT)) == 1


def test_weights_of_moves_are_found_again_from_sentences_of_any_length() -> None:
    # A million departures from each place of each sentence, as the true weights have it.
    rng = np.random.default_rng(0)
    true, found = rng.uniform(0.1, 1, NUM_MOVES), np.zeros(NUM_MOVES)
    departures = []
    for length in (2, 5, 12, 40):
        places = np.arange(length)
        departures.append(NUM_JUMPS + np.minimum(places, MAX_JUMP))
        for last in places:
            jumps = places - last
            departures.append(np.where(np.abs(jumps) <= MAX_JUMP, jumps + MAX_JUMP, NUM_BAND))
    for buckets in departures:
        np.add.at(found, buckets, 1e6 * true[buckets] / true[buckets].sum())
    weights = np.ones(NUM_MOVES)
    for _ in range(300):
        chances = np.zeros(NUM_MOVES)
        for buckets in departures:
            np.add.at(chances, buckets, 1e6 / weights[buckets].sum())
        weights = aligners._move_weights(np.array([[found, chances]] * 2))[0]
    for kind in (slice(NUM_JUMPS), slice(NUM_JUMPS, None)):
        np.testing.assert_allclose(weights[kind], true[kind] / true[kind].sum(), rtol=1e-3)


@every_method
def test_a_trained_aligner_finds_the_same_links_and_aligns_new_text(
    method: str, tmp_path: Path
) -> None:
    pairs, truth = make_corpus()
    trained = train_aligner(pairs, method=method)
    trained.save(tmp_path / "aligner")
    again = TrainedAligner.load(tmp_path / "aligner")
    same = align(pairs, method=method, seed=0)
    assert align(pairs, seed=0, trained=again).sets() == same.sets()
    assert align(pairs, seed=0, trained=again) == align(pairs, seed=0, trained=trained)
    new = [pairs[3], pair_of("", "x"), pair_of("unseen words", "ξένες λέξεις"), pairs[8]]
    links = align(new, seed=0, trained=again)
    assert links.method == method
    assert links.sets()[1] == set()
    found = [links.sets()[0], links.sets()[3]]
    error = alignment_error_rate(found, [truth[3], truth[8]]).value
    assert error is not None
    assert error < 0.1


def test_stems_are_views_that_a_trained_aligner_keeps(tmp_path: Path) -> None:
    pairs = [pair_of("walked walking", "περπάτησε περπατώντας"), pair_of("walks", "περπατά")]
    whole = build_lexicon(number_words(pairs, tokenized=True), stems=())
    assert [len(view.slots) for view in whole.views] == [0]
    assert len(build_lexicon(number_words(pairs, tokenized=True), stems=(4,)).views) == 2
    trained = train_aligner(pairs, stems=())
    trained.save(tmp_path / "aligner.safetensors")
    again = TrainedAligner.load(tmp_path / "aligner.safetensors")
    assert (again.stems, len(again.views)) == ((), 1)
    whole_words = align(pairs, seed=0, stems=())
    assert align(pairs, seed=0, trained=again) == whole_words  # whatever stems stand beside it
    assert align(pairs, seed=0) != whole_words


def test_a_trained_aligner_refuses_words_cut_by_another_rule() -> None:
    trained = train_aligner([pair_of("cat", "γάτα")])
    with pytest.raises(InputError, match=r"expected words cut by 'words-1', .* 'spaces-"):
        align([pair_of("cat", "γάτα")], seed=0, trained=trained, tokenized=True)


@pytest.mark.parametrize("content", [b"", b"{}", None])
def test_a_file_that_is_no_trained_aligner_is_refused(
    content: bytes | None, tmp_path: Path
) -> None:
    path = tmp_path / "aligner"
    if content is None:
        align([], seed=0).save(path)
    else:
        path.write_bytes(content)
    with pytest.raises(StoreError, match="aligner: expected a trained aligner in the form"):
        TrainedAligner.load(path)


@pytest.mark.parametrize("symmetrization", list(SYMMETRIZATIONS))
def test_every_symmetrization_finds_the_true_links(symmetrization: str) -> None:
    pairs, truth = make_corpus()
    links = align(pairs, seed=0, symmetrization=symmetrization)
    error = alignment_error_rate(links, truth).value
    assert error is not None
    assert error < 0.05


def test_symmetrizations_relate_as_their_names_say() -> None:
    # Each pair lacks a translation, which the directions make up for in different ways.
    pairs = [replace(pair, target=pair.target[3:]) for pair in make_corpus(30)[0]]
    both, grown, either = (
        align(pairs, seed=0, method="ibm1", symmetrization=name).sets()
        for name in ("intersection", "grow-diag-final-and", "union")
    )
    assert both != either
    for a, b, c in zip(both, grown, either, strict=True):
        assert a <= b <= c


@pytest.mark.parametrize(
    ("method", "threshold"),
    [("ibm1", IBM1_THRESHOLD), ("diagonal", DIAGONAL_THRESHOLD), ("hmm", HMM_THRESHOLD)],
)
def test_each_method_has_a_threshold_of_its_own(
    method: str, threshold: float, tmp_path: Path
) -> None:
    # Each pair lacks a translation, so that posteriors of all sizes occur.
    pairs = [replace(pair, target=pair.target[3:]) for pair in make_corpus(60)[0]]
    trained = train_aligner(pairs, method=method)
    trained.save(tmp_path / "aligner")
    assert TrainedAligner.load(tmp_path / "aligner").threshold == threshold
    links = align(pairs, seed=0, method=method)
    assert threshold <= links.posterior.min() < threshold + 0.05
    assert align(pairs, seed=0, trained=trained).posterior.min() < threshold + 0.05


def test_an_unknown_symmetrization_is_refused() -> None:
    message = "symmetrization: expected one of posterior, grow-diag-final-and, inter.*, got 'or'"
    with pytest.raises(InputError, match=message):
        align([], seed=0, symmetrization="or")


def test_composed_and_decomposed_spellings_are_one_type() -> None:
    side = number_words([pair_of("é e\u0301 É", "x")], tokenized=False).source
    assert side.types.tolist() == [1, 1, 1]


def test_importing_the_stage_loads_no_compiler() -> None:
    code = "import sys, lingraft.alignment; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
