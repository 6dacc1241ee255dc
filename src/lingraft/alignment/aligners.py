"""Statistical word aligners: both directions are trained together and their posteriors combined."""

from __future__ import annotations  # numba, behind Corpus, loads when something is aligned

from collections.abc import Callable, Iterable, Sequence, Set
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lingraft.alignment.bitext import STEM_LETTERS, number_words
from lingraft.alignment.links import Links
from lingraft.alignment.symmetrization import (
    grow_diag_final_and,
    intersection,
    mean_of_posteriors,
    union,
)
from lingraft.alignment.trained import TrainedAligner
from lingraft.corpus.records import Pair
from lingraft.errors import InputError
from lingraft.runtime import Runtime

if TYPE_CHECKING:
    from lingraft.alignment.expectation import Corpus, Parameters, Posteriors

# Chosen on every other sentence of three gold sets (docs/log.md, "aligners side by side, and up to
# a million pairs").
NUM_IBM1_ITERATIONS = 3
NUM_START_ITERATIONS, NUM_CHAIN_ITERATIONS = 2, 2
NUM_DIAGONAL_ITERATIONS = 5
IBM1_THRESHOLD, DIAGONAL_THRESHOLD, HMM_THRESHOLD = 0.2, 0.35, 0.4
DEFAULT_METHOD = "hmm"
NULL = 0.2
_JUMP_SMOOTHING = 0.5
# fast_align's own: the first tension, the probability of NULL, the step and bounds of learning.
_TENSION, _DIAGONAL_NULL = 4.0, 0.08
_TENSION_STEP, _MIN_TENSION, _MAX_TENSION = 20.0, 0.1, 14.0


def align(
    pairs: Iterable[Pair],
    *,
    method: str = DEFAULT_METHOD,
    seed: int,
    runtime: Runtime | None = None,
    tokenized: bool = False,
    dictionary: Iterable[Pair] = (),
    stems: Sequence[int] = STEM_LETTERS,
    symmetrization: str = "posterior",
    trained: TrainedAligner | None = None,
) -> Links:
    """Finds out which words of each pair translate each other, from the pairs alone.

    Both directions' models are trained on the pairs, and their posteriors combined. The same pairs
    give the same links, to the bit, at any number of threads. Pairs with an empty side, or with
    more than `bitext.MAX_WORDS` words on one, keep their place without links.

    Args:
        pairs: The corpus, read once; more pairs make better links, from some thousands on.
        method: A key of `METHODS`.
        seed: Recorded in the result; the methods at hand draw no random numbers.
        runtime: How many threads to use; all cores by default.
        tokenized: Whether words stand apart by white space and shall be taken so.
        dictionary: Words and their translations, which get a pseudo-count.
        stems: Words are also seen as their first letters, in a view for each of these numbers.
            None of them aligns worse, but makes better rows (docs/log.md, "rows want whole
            words").
        symmetrization: A key of `SYMMETRIZATIONS`: ``"posterior"`` keeps a link where the mean of
            its two posteriors reaches the method's threshold; the others combine each direction's
            best links.
        trained: What `train_aligner` learnt from other pairs; nothing is learnt from these then.

    Raises:
        InputError: No method or symmetrization has that name, or the trained aligner cut its
            words by another rule.

    Example:
        >>> links = align([Pair("two cats", "dos gatos", "1")] * 9, seed=0)
        >>> links.segmentation, links.num_pairs
        ('words-1', 9)
    """
    if symmetrization not in SYMMETRIZATIONS:
        raise InputError(
            expected=f"one of {', '.join(SYMMETRIZATIONS)}",
            got=repr(symmetrization),
            where="align, symmetrization",
        )
    train = _method(method)
    bitext = number_words(pairs, tokenized=tokenized)
    if trained is not None and trained.segmentation != bitext.segmentation:
        raise InputError(
            expected=f"words cut by {trained.segmentation!r}, as the aligner was trained",
            got=repr(bitext.segmentation),
            where="align, tokenized",
        )
    from lingraft.alignment.expectation import Corpus

    corpus = Corpus(
        bitext,
        threads=(runtime or Runtime()).threads,
        dictionary=dictionary,
        stems=stems if trained is None else trained.stems,
    )
    parameters = train(corpus) if trained is None else trained.parameters(corpus)
    name = method if trained is None else trained.method
    decode, threshold = SYMMETRIZATIONS[symmetrization], parameters.threshold
    chunks = [decode(chunk, threshold) for chunk in corpus.posteriors(parameters)]
    del corpus, parameters
    alignable = bitext.alignable().astype(np.int32)
    pair, source_word, target_word, posterior = (
        np.concatenate([np.empty(0, dtype), *(chunk[column] for chunk in chunks)])
        for column, dtype in enumerate((np.int32, np.int32, np.int32, np.float32))
    )
    return Links(
        pair=alignable[pair],
        source_word=source_word,
        target_word=target_word,
        posterior=posterior,
        source_starts=bitext.source.starts,
        target_starts=bitext.target.starts,
        source_offsets=bitext.source.offsets,
        target_offsets=bitext.target.offsets,
        segmentation=bitext.segmentation,
        method=name,
        seed=seed,
    )


def train_aligner(
    pairs: Iterable[Pair],
    *,
    method: str = DEFAULT_METHOD,
    runtime: Runtime | None = None,
    tokenized: bool = False,
    dictionary: Iterable[Pair] = (),
    stems: Sequence[int] = STEM_LETTERS,
) -> TrainedAligner:
    """Learns from pairs what `align` can use on others.

    Args:
        pairs: As in `align`, as the other arguments are.
        method: A key of `METHODS`.
        runtime: How many threads to use.
        tokenized: Whether words stand apart by white space.
        dictionary: Words and their translations.
        stems: Numbers of first letters.

    Raises:
        InputError: No method has that name.
    """
    from lingraft.alignment.expectation import Corpus

    train = _method(method)
    bitext = number_words(pairs, tokenized=tokenized)
    corpus = Corpus(
        bitext, threads=(runtime or Runtime()).threads, dictionary=dictionary, stems=stems
    )
    return TrainedAligner.from_parameters(corpus, train(corpus), method=method)


def ibm1(corpus: Corpus) -> Parameters:
    """IBM Model 1 with NULL: any place is as likely as any other (Brown et al. 1993)."""
    return _ibm1(corpus, num_iterations=NUM_IBM1_ITERATIONS)


def diagonal(corpus: Corpus) -> Parameters:
    """fast_align's model: words prefer the diagonal (Dyer, Chahuneau and Smith 2013).

    One gradient step of the tension for each iteration of EM, where fast_align takes eight.
    """
    from lingraft.alignment.expectation import Parameters

    parameters = Parameters.uninformed(
        len(corpus.lexicon), null=_DIAGONAL_NULL, model="diagonal", threshold=DIAGONAL_THRESHOLD
    )
    parameters.places[:, 0] = _TENSION
    for _ in range(NUM_DIAGONAL_ITERATIONS):
        counts, moves = corpus.expected_counts(parameters, agreeing=False)
        corpus.maximize(parameters, counts)
        linked, found, expected = moves[:, 0, :3].T
        step = _TENSION_STEP * (found - expected) / np.maximum(linked, 1.0)
        tension = np.clip(parameters.places[:, 0] + step, _MIN_TENSION, _MAX_TENSION)
        parameters.places[:, 0] = tension
    return parameters


def hmm(corpus: Corpus) -> Parameters:
    """The HMM of jump widths (Vogel, Ney and Tillmann 1996), trained by agreement.

    Starts from IBM Model 1 and from jumps that prefer the next word. Agreement (Liang, Taskar and
    Klein 2006) lowered the error rate of the gold sets by .02 to .11 (without views).
    """
    from lingraft.alignment.kernels import MAX_JUMP, NUM_BAND, NUM_JUMPS

    parameters = _ibm1(corpus, num_iterations=NUM_START_ITERATIONS)
    parameters.model, parameters.threshold = "chain", HMM_THRESHOLD
    jumps = np.abs(np.arange(-MAX_JUMP, MAX_JUMP + 1) - 1)
    parameters.places[:, :NUM_BAND] = 1 / (1 + jumps)
    parameters.places[:, NUM_BAND] = 1 / (2 + MAX_JUMP)
    parameters.places[:, NUM_JUMPS:] = 1 / (1 + np.arange(MAX_JUMP + 1))
    _normalize(parameters.places)
    for _ in range(NUM_CHAIN_ITERATIONS):
        counts, moves = corpus.expected_counts(parameters, agreeing=True)
        corpus.maximize(parameters, counts)
        parameters.places = _move_weights(moves)
    return parameters


METHODS: dict[str, Callable[[Corpus], Parameters]] = {
    "ibm1": ibm1,
    "diagonal": diagonal,
    "hmm": hmm,
}


def _ibm1(corpus: Corpus, *, num_iterations: int) -> Parameters:
    from lingraft.alignment.expectation import Parameters

    parameters = Parameters.uninformed(
        len(corpus.lexicon), null=NULL, model="anywhere", threshold=IBM1_THRESHOLD
    )
    for _ in range(num_iterations):
        counts, _ = corpus.expected_counts(parameters, agreeing=False)
        corpus.maximize(parameters, counts)
    return parameters


def _move_weights(moves: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Returns (2, NUM_MOVES) weights for the counts (2, 2, NUM_MOVES) of `kernels.expect`.

    Weights are normalized within each sentence, over the places that it has, so that counts alone
    make rare what seldom fits, and common what many places share. A count divided by what a weight
    of 1 would lead one to expect there raises the likelihood with each step (Hunter 2004, "MM
    algorithms"), and lowered the error rate most where words travel far (docs/log.md, "aligners
    side by side, and up to a million pairs").
    """
    from lingraft.alignment.kernels import NUM_JUMPS

    found, chances = moves.transpose(1, 0, 2)
    weights = np.zeros(found.shape)
    for kind in (slice(NUM_JUMPS), slice(NUM_JUMPS, None)):
        smoothing = _JUMP_SMOOTHING * found[:, kind].shape[1]
        weights[:, kind] = (found[:, kind] + _JUMP_SMOOTHING) / (chances[:, kind] + smoothing)
    _normalize(weights)
    return weights


def _normalize(weights: npt.NDArray[np.float64]) -> None:
    """Scales the weights of jumps, and those of first places, to a sum of 1 each, in place."""
    from lingraft.alignment.kernels import NUM_JUMPS

    for kind in (slice(NUM_JUMPS), slice(NUM_JUMPS, None)):
        weights[:, kind] /= weights[:, kind].sum(axis=1, keepdims=True)


def _method(name: str) -> Callable[[Corpus], Parameters]:
    method = METHODS.get(name)
    if method is None:
        raise InputError(
            expected=f"one of {', '.join(METHODS)}", got=repr(name), where="align, method"
        )
    return method


_Columns = tuple[
    npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.float32]
]


def _by_posterior(chunk: Posteriors, threshold: float) -> _Columns:
    """Returns pair (among the alignable), source word, target word and posterior of each link."""
    combined = mean_of_posteriors(*chunk.cells)
    return _columns(chunk, combined, combined >= threshold)


def _by_best(
    combine: Callable[[Set[tuple[int, int]], Set[tuple[int, int]]], set[tuple[int, int]]],
    chunk: Posteriors,
    threshold: float,
) -> _Columns:
    """As `_by_posterior`, from each word's most probable partner in either direction."""
    from lingraft.alignment.kernels import mark_best

    chosen = np.zeros(chunk.cells.shape, dtype=np.bool_)
    mark_best(chunk.shapes, chunk.cells, chosen)
    kept = np.zeros(chunk.cells.shape[1], dtype=np.bool_)
    begin = 0
    for height, width in chunk.shapes.tolist():
        cells = slice(begin, begin + height * width)
        forward, backward = (
            {divmod(cell, width) for cell in np.flatnonzero(side[cells]).tolist()}
            for side in chosen
        )
        for i, j in combine(forward, backward):
            kept[begin + i * width + j] = True
        begin = cells.stop
    return _columns(chunk, mean_of_posteriors(*chunk.cells), kept)


def _columns(
    chunk: Posteriors, posterior: npt.NDArray[np.float32], kept: npt.NDArray[np.bool_]
) -> _Columns:
    cells = np.flatnonzero(kept)
    starts = np.concatenate([[0], np.cumsum(chunk.shapes.prod(axis=1))])
    pair = np.searchsorted(starts, cells, side="right") - 1
    row, column = np.divmod(cells - starts[pair], chunk.shapes[pair, 1])
    words = (row > 0) & (column > 0)  # what is left is NULL's
    numbers = (chunk.first + pair, row - 1, column - 1)
    first, source, target = (values[words].astype(np.int32) for values in numbers)
    return first, source, target, posterior[cells[words]]


SYMMETRIZATIONS: dict[str, Callable[[Posteriors, float], _Columns]] = {
    "posterior": _by_posterior,
    "grow-diag-final-and": partial(_by_best, grow_diag_final_and),
    "intersection": partial(_by_best, intersection),
    "union": partial(_by_best, union),
}
