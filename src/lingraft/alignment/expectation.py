"""The E-step over a whole corpus, in chunks of bounded memory that threads share."""

import itertools
import os
import tempfile
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from lingraft.alignment import kernels
from lingraft.alignment.bitext import STEM_LETTERS, Bitext
from lingraft.alignment.lexicon import LEAST, build_lexicon
from lingraft.alignment.lexicon_kernels import place_cells
from lingraft.corpus.records import Pair
from lingraft.errors import StoreError

_CHUNK_CELLS = 1 << 18  # 12 bytes a cell: what a chunk holds stays in the processor's cache
_BLOCK_CELLS = 1 << 24  # cells whose slots are looked up together
_MAX_KEPT_CELLS = 1 << 26  # the slots of more cells, 4 bytes each, wait on the disk

_Floats = npt.NDArray[np.float32]
_Result = TypeVar("_Result")


@dataclass(eq=False)
class Parameters:
    """What an aligner learns.

    Attributes:
        tables: (num_slots + 1, 2) float32, probability of the target word given the source word,
            and the other way round; last, that of two words without a slot.
        places: (2, NUM_MOVES) float64 by direction, as in `kernels.expect`.
        null: Probability of NULL at each step.
        model: One of `kernels.MODELS`.
        threshold: Lowest mean of both posteriors of a link.
        counts: (num_slots + 1, 2) float32, expected counts that the last E-step left.
    """

    tables: _Floats
    places: npt.NDArray[np.float64]
    null: float
    model: str
    threshold: float
    counts: _Floats

    @classmethod
    def uninformed(
        cls, num_slots: int, *, null: float, model: str, threshold: float
    ) -> "Parameters":
        """Returns parameters that know nothing of words, and weights of 0 for all moves."""
        tables = np.ones((num_slots + 1, 2), dtype=np.float32)
        tables[-1] = LEAST
        places = np.zeros((2, kernels.NUM_MOVES))
        return cls(tables, places, null, model, threshold, np.zeros_like(tables))


@dataclass(frozen=True, eq=False)
class Posteriors:
    """One chunk's cells: for each pair (I + 1) · (J + 1) of them, with NULL at row and column 0.

    Attributes:
        first: Number of the first pair among the alignable ones.
        shapes: (num_pairs, 2) int64, I + 1 and J + 1.
        slots: (num_cells,) int32, place in the lexicon, `len(lexicon)` for none.
        cells: (2, num_cells) float32, probability that the target word comes from the source word,
            and the other way round.
        counts: (2, 2, NUM_MOVES) float64, what `Parameters.places` are learnt from.
    """

    first: int
    shapes: npt.NDArray[np.int64]
    slots: npt.NDArray[np.int32]
    cells: _Floats
    counts: npt.NDArray[np.float64]


class Corpus:
    """The alignable pairs of a bitext, their lexicon, and how many threads work on them."""

    def __init__(
        self,
        bitext: Bitext,
        *,
        threads: int = 1,
        dictionary: Iterable[Pair] = (),
        stems: Sequence[int] = STEM_LETTERS,
    ) -> None:
        self.bitext, self.threads = bitext, threads
        self.bounds = bitext.bounds()
        self.shapes = np.diff(self.bounds)[:, [0, 2]] + 1
        self.cell_starts = np.concatenate([[0], np.cumsum(self.shapes.prod(axis=1))])
        self.stems = tuple(stems)
        self.lexicon = build_lexicon(bitext, dictionary, stems)
        self._kept = np.empty(0, dtype=np.int32)
        self._file = None
        if self.cell_starts[-1] <= _MAX_KEPT_CELLS:
            self._kept = np.empty(int(self.cell_starts[-1]), dtype=np.int32)
        else:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the corpus
            weakref.finalize(self, self._file.close)
        for _ in self._map(self._place, self._spans(_BLOCK_CELLS)):
            pass

    def posteriors(self, parameters: Parameters, *, agreeing: bool = False) -> Iterator[Posteriors]:
        """Yields both directions' posteriors of all pairs, chunk by chunk.

        Args:
            parameters: From the last M-step.
            agreeing: Whether both posteriors of a link become their product.
        """

        def chunk(span: tuple[int, int]) -> Posteriors:
            slots, shapes = self._slots(*span), self.shapes[slice(*span)]
            cells = np.empty((2, len(slots)), dtype=np.float32)
            counts = np.zeros((2, 2, kernels.NUM_MOVES))
            kernels.expect(
                shapes,
                slots,
                parameters.tables,
                kernels.MODELS.index(parameters.model),
                parameters.null,
                parameters.places,
                agreeing,
                cells,
                counts,
            )
            return Posteriors(span[0], shapes, slots, cells, counts)

        return self._map(chunk, self._spans(_CHUNK_CELLS))

    def expected_counts(
        self, parameters: Parameters, *, agreeing: bool
    ) -> tuple[_Floats, npt.NDArray[np.float64]]:
        """Returns `parameters.counts`, written anew, and counts (2, 2, NUM_MOVES) of moves.

        Args:
            parameters: From the last M-step.
            agreeing: Whether a link counts by the product of both directions' posteriors, so that
                each learns only what the other believes too (Liang, Taskar and Klein 2006).
        """
        counts, moves = parameters.counts, np.zeros((2, 2, kernels.NUM_MOVES))
        counts[:] = 0.0
        # Chunk after chunk, in one thread: sums in another order would be other sums.
        for chunk in self.posteriors(parameters, agreeing=agreeing):
            kernels.scatter(chunk.slots, chunk.cells, counts)
            moves += chunk.counts
        return counts, moves

    def maximize(self, parameters: Parameters, counts: _Floats) -> None:
        """Sets `parameters.tables` for expected counts (num_slots + 1, 2)."""
        for direction, of_targets in enumerate((True, False)):
            evidence = self.lexicon.evidence(counts, of_targets=of_targets)
            found = self.lexicon.probabilities(evidence, of_targets=of_targets)
            parameters.tables[:-1, direction] = found

    def _map(
        self, function: Callable[..., _Result], arguments: Iterable[object]
    ) -> Iterator[_Result]:
        """As `map`, by threads that are ahead by one result each and no more."""
        if self.threads == 1:
            yield from map(function, arguments)
            return
        remaining = iter(arguments)
        with ThreadPoolExecutor(self.threads) as pool:
            ahead: deque[Future[_Result]] = deque()
            for argument in itertools.islice(remaining, self.threads + 1):
                ahead.append(pool.submit(function, argument))
            while ahead:
                result = ahead.popleft().result()
                for argument in itertools.islice(remaining, 1):
                    ahead.append(pool.submit(function, argument))
                yield result

    def _spans(self, num_cells: int) -> Iterator[tuple[int, int]]:
        """Yields first pair and one past the last, of at most so many cells or of one pair."""
        num_pairs, first = len(self.bounds), 0
        while first < num_pairs:
            limit = self.cell_starts[first] + num_cells
            last = int(np.searchsorted(self.cell_starts, limit, side="right")) - 1
            last = min(max(last, first + 1), num_pairs)
            yield first, last
            first = last

    def _place(self, span: tuple[int, int]) -> None:
        """Looks up the slots of a block of pairs."""
        first, last = span
        begin, end = int(self.cell_starts[first]), int(self.cell_starts[last])
        in_memory = self._file is None
        slots = self._kept[begin:end] if in_memory else np.empty(end - begin, dtype=np.int32)
        place_cells(
            self.bitext.source.types,
            self.bitext.target.types,
            self.bounds[first:last],
            self.cell_starts[first : last + 1] - begin,
            self.lexicon.row_starts,
            self.lexicon.columns,
            len(self.bitext.target.vocabulary),
            slots,
        )
        if self._file is not None:
            _write(self._file.fileno(), slots, begin * slots.itemsize)

    def _slots(self, first: int, last: int) -> npt.NDArray[np.int32]:
        begin, end = int(self.cell_starts[first]), int(self.cell_starts[last])
        if self._file is None:
            return self._kept[begin:end]
        size = self._kept.itemsize
        stored = os.pread(self._file.fileno(), (end - begin) * size, begin * size)
        return np.frombuffer(stored, dtype=np.int32)


def _write(file: int, slots: npt.NDArray[np.int32], place: int) -> None:
    try:
        written = os.pwrite(file, slots.data, place)
        got = f"room for {written} of them"
    except OSError as error:
        written, got = 0, str(error)
    if written != slots.nbytes:
        raise StoreError(
            expected=f"room for {slots.nbytes} bytes after the first {place}",
            got=got,
            where=tempfile.gettempdir(),
            hint="set TMPDIR to a folder on a larger disk",
        )
