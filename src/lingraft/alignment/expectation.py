"""The E-step over a whole corpus, in chunks of bounded memory that threads share."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lingraft.alignment import kernels
from lingraft.alignment.bitext import Bitext
from lingraft.alignment.lexicon import Evidence, build_lexicon
from lingraft.corpus.records import Pair

_CHUNK_CELLS = 1 << 21  # 12 bytes a cell
# Looking a cell's slot up takes longer than its share of an E-step; up to 256 MB they are kept.
_MAX_KEPT_SLOTS = 1 << 26
# A chunk's blocks do not depend on the number of threads, so that neither do the results.
_NUM_BLOCKS = 16

_Floats = npt.NDArray[np.float32]


@dataclass(eq=False)
class Parameters:
    """What an aligner learns.

    Attributes:
        tables: (num_slots, 2) float32, probability of the target word given the source word, and
            the other way round.
        places: (2, NUM_MOVES) float64 by direction: weights of jumps and starts where places
            follow a chain; else the tension of the diagonal, in the first column.
        null: Probability of NULL at each step.
        chained: Whether places follow a chain (HMM).
        evidence: What `tables` were made of, by direction and view.
    """

    tables: _Floats
    places: npt.NDArray[np.float64]
    null: float
    chained: bool = False
    evidence: tuple[tuple[Evidence, ...], ...] = ()


@dataclass(frozen=True, eq=False)
class Posteriors:
    """One chunk's cells: for each pair (I + 1) · (J + 1) of them, with NULL at row and column 0.

    Attributes:
        first: Number of the first pair among the alignable ones.
        shapes: (num_pairs, 2) int64, I + 1 and J + 1.
        slots: (num_cells,) int32, place in the lexicon.
        cells: (2, num_cells) float32, probability that the target word comes from the source word,
            and the other way round.
        counts: (2, NUM_MOVES) float64, what `Parameters.places` are learnt from.
    """

    first: int
    shapes: npt.NDArray[np.int64]
    slots: npt.NDArray[np.int32]
    cells: _Floats
    counts: npt.NDArray[np.float64]


class Corpus:
    """The alignable pairs of a bitext, their lexicon, and the threads that work on them."""

    def __init__(
        self,
        bitext: Bitext,
        pool: ThreadPoolExecutor,
        dictionary: Iterable[Pair] = (),
    ) -> None:
        self.bitext, self.pool = bitext, pool
        self.bounds = bitext.bounds()
        self.shapes = np.diff(self.bounds)[:, [0, 2]] + 1
        self.cell_starts = np.concatenate([[0], np.cumsum(self.shapes.prod(axis=1))])
        self.lexicon = build_lexicon(bitext, dictionary)
        self._kept: dict[int, npt.NDArray[np.int32]] = {}

    def posteriors(self, parameters: Parameters) -> Iterator[Posteriors]:
        """Yields both directions' posteriors of all pairs, chunk by chunk."""
        num_pairs, first = len(self.bounds), 0
        while first < num_pairs:
            limit = self.cell_starts[first] + _CHUNK_CELLS
            last = int(np.searchsorted(self.cell_starts, limit, side="right")) - 1
            last = min(max(last, first + 1), num_pairs)
            yield self._chunk(parameters, first, last)
            first = last

    def expected_counts(
        self, parameters: Parameters, *, agreeing: bool
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Returns (2, num_slots) expected counts, forward and backward, and (2, NUM_MOVES).

        Args:
            parameters: From the last M-step.
            agreeing: Whether a link counts by the product of both directions' posteriors, so that
                each learns only what the other believes too (Liang, Taskar and Klein 2006).
        """
        counts = np.zeros((2, len(self.lexicon)))
        moves = np.zeros((2, kernels.NUM_MOVES))
        for chunk in self.posteriors(parameters):
            if agreeing:
                kernels.agree(chunk.cells)
            jobs = [chunk.slots] * 2, chunk.cells, counts
            list(self.pool.map(kernels.scatter, *jobs))
            moves += chunk.counts
        return counts, moves

    def maximize(self, parameters: Parameters, counts: npt.NDArray[np.float64]) -> None:
        """Sets `parameters.tables` and `.evidence` for expected counts (2, num_slots)."""
        jobs = self.pool.map(
            lambda d: self.lexicon.evidence(counts[d], of_targets=d == 0), range(2)
        )
        parameters.evidence = tuple(jobs)
        parameters.tables = self.tables(parameters.evidence)

    def tables(self, evidence: Sequence[Sequence[Evidence]]) -> _Floats:
        """Returns `Parameters.tables` (num_slots, 2) for both directions' evidence by view."""
        tables = np.empty((len(self.lexicon), 2), dtype=np.float32)

        def fill(direction: int) -> None:
            tables[:, direction] = self.lexicon.probabilities(
                evidence[direction], of_targets=direction == 0
            )

        list(self.pool.map(fill, range(2)))
        return tables

    def _chunk(self, parameters: Parameters, first: int, last: int) -> Posteriors:
        starts = self.cell_starts[first : last + 1] - self.cell_starts[first]
        num_cells = int(starts[-1])
        slots, looked_up = self._slots(first, num_cells)
        cells = np.empty((2, num_cells), dtype=np.float32)
        counts = np.zeros((_NUM_BLOCKS, 2, kernels.NUM_MOVES))
        bounds = self.bounds[first:last]
        marks = np.linspace(0, num_cells, _NUM_BLOCKS + 1)[1:-1]
        edges = [0, *np.searchsorted(starts, marks).tolist(), last - first]

        def work(block: int) -> None:
            span = edges[block], edges[block + 1]
            part = slice(int(starts[span[0]]), int(starts[span[1]]))
            if not looked_up:
                kernels.find_slots(
                    self.bitext.source.types,
                    self.bitext.target.types,
                    bounds,
                    starts,
                    self.lexicon.row_starts,
                    self.lexicon.columns,
                    *span,
                    slots[part],
                )
            kernels.expect(
                bounds,
                starts,
                slots[part],
                *span,
                parameters.tables,
                parameters.chained,
                parameters.null,
                parameters.places,
                cells[:, part],
                counts[block],
            )

        list(self.pool.map(work, range(_NUM_BLOCKS)))
        return Posteriors(first, self.shapes[first:last], slots, cells, counts.sum(axis=0))

    def _slots(self, first: int, num_cells: int) -> tuple[npt.NDArray[np.int32], bool]:
        """Returns a chunk's slots, and whether they hold what they held before."""
        if first in self._kept:
            return self._kept[first], True
        slots = np.empty(num_cells, dtype=np.int32)
        if self.cell_starts[-1] <= _MAX_KEPT_SLOTS:
            self._kept[first] = slots
        return slots, False
