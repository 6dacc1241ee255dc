"""Statistical word aligners: both directions are trained together and their posteriors combined."""

from __future__ import annotations  # numba, behind Corpus, loads when something is aligned

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lingraft.alignment.bitext import number_words
from lingraft.alignment.links import Links
from lingraft.alignment.symmetrization import combine_posteriors
from lingraft.corpus.records import Pair
from lingraft.errors import InputError
from lingraft.runtime import Runtime

if TYPE_CHECKING:
    from lingraft.alignment.expectation import Corpus, Parameters, Posteriors

# Chosen by the alignment error rate of three gold sets (Swedish, Ancient Greek, Japanese with
# English): 3 to 8 iterations differ by less than .02, a threshold of .2 to .4 by less than .01.
NUM_IBM1_ITERATIONS = 5
NUM_HMM_ITERATIONS = 4
THRESHOLD = 0.25
_JUMP_SMOOTHING = 0.5


def align(
    pairs: Iterable[Pair],
    *,
    method: str = "hmm",
    seed: int,
    runtime: Runtime | None = None,
    tokenized: bool = False,
) -> Links:
    """Finds out which words of each pair translate each other, from the pairs alone.

    Both directions' models are trained on the pairs; a link is kept where the geometric mean of
    its two posteriors reaches `THRESHOLD`. The same pairs give the same links, to the bit, at any
    number of threads. Pairs with an empty side, or with more than `bitext.MAX_WORDS` words on one,
    keep their place without links.

    Args:
        pairs: The corpus; more pairs make better links, from some thousands on.
        method: A key of `METHODS`.
        seed: Recorded in the result; the methods at hand draw no random numbers.
        runtime: How many threads to use; all cores by default.
        tokenized: Whether words stand apart by white space and shall be taken so.

    Raises:
        InputError: No method has that name.

    Example:
        >>> links = align([Pair("two cats", "dos gatos", "1")] * 9, seed=0)
        >>> links.segmentation, links.num_pairs
        ('words-1', 9)
    """
    from lingraft.alignment.expectation import Corpus

    train = METHODS.get(method)
    if train is None:
        raise InputError(
            expected=f"one of {', '.join(METHODS)}", got=repr(method), where="align, method"
        )
    bitext = number_words(pairs, tokenized=tokenized)
    alignable = bitext.alignable()
    with ThreadPoolExecutor((runtime or Runtime()).threads) as pool:
        corpus = Corpus(bitext, pool)
        chunks = [_decode(chunk) for chunk in corpus.posteriors(train(corpus))]
    pair, source_word, target_word, posterior = (
        np.concatenate([np.empty(0), *columns])
        for columns in (zip(*chunks, strict=True) if chunks else [[]] * 4)
    )
    return Links(
        pair=alignable[pair.astype(np.int64)].astype(np.int32),
        source_word=source_word.astype(np.int32),
        target_word=target_word.astype(np.int32),
        posterior=posterior.astype(np.float32),
        source_starts=bitext.source.starts,
        target_starts=bitext.target.starts,
        source_offsets=bitext.source.offsets,
        target_offsets=bitext.target.offsets,
        segmentation=bitext.segmentation,
        method=method,
        seed=seed,
    )


def ibm1(corpus: Corpus) -> Parameters:
    """IBM Model 1 with NULL: any place is as likely as any other (Brown et al. 1993)."""
    parameters = corpus.uniform()
    for _ in range(NUM_IBM1_ITERATIONS):
        parameters, _ = _maximize(corpus, parameters, agreeing=False)
    return parameters


def hmm(corpus: Corpus) -> Parameters:
    """The HMM of jump widths (Vogel, Ney and Tillmann 1996), trained by agreement.

    Starts from IBM Model 1 and from jumps that prefer the next word. Agreement (Liang, Taskar and
    Klein 2006) lowers the error rate of the gold sets by .02 to .11.
    """
    from lingraft.alignment.kernels import MAX_JUMP, NUM_JUMPS, NUM_MOVES

    parameters = ibm1(corpus)
    moves = np.empty((2, NUM_MOVES))
    moves[:, :NUM_JUMPS] = 1 / (1 + np.abs(np.arange(-MAX_JUMP, MAX_JUMP + 1) - 1))
    moves[:, NUM_JUMPS:] = 1 / (1 + np.arange(MAX_JUMP + 1))
    parameters.moves = moves
    for _ in range(NUM_HMM_ITERATIONS):
        parameters, counts = _maximize(corpus, parameters, agreeing=True)
        parameters.moves = counts + _JUMP_SMOOTHING
    return parameters


METHODS: dict[str, Callable[[Corpus], Parameters]] = {"ibm1": ibm1, "hmm": hmm}


def _maximize(
    corpus: Corpus, parameters: Parameters, *, agreeing: bool
) -> tuple[Parameters, npt.NDArray[np.float64]]:
    """Returns the parameters after one iteration of EM, without moves, and the moves' counts."""
    forward, backward, moves = corpus.expected_counts(parameters, agreeing=agreeing)
    probabilities = corpus.lexicon.probabilities
    improved = type(parameters)(
        forward=probabilities(forward, of_targets=True),
        backward=probabilities(backward, of_targets=False),
    )
    return improved, moves


def _decode(chunk: Posteriors) -> tuple[npt.NDArray[np.generic], ...]:
    """Returns pair (among the alignable), source word, target word and posterior of each link."""
    combined = combine_posteriors(chunk.forward, chunk.backward)
    cells = np.flatnonzero(combined >= THRESHOLD)  # NULL's cells are 0 in one direction
    starts = np.concatenate([[0], np.cumsum(chunk.shapes.prod(axis=1))])
    pair = np.searchsorted(starts, cells, side="right") - 1
    row, column = np.divmod(cells - starts[pair], chunk.shapes[pair, 1])
    # A float32 posterior can exceed 1 by its last bit.
    return chunk.first + pair, row - 1, column - 1, np.minimum(combined[cells], np.float32(1))
