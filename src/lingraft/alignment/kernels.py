"""The aligner's inner loops in numba: our own, because every packaged aligner is either GPL or C++.

Letters: I source words and J target words of one pair. A pair owns (I+1)·(J+1) consecutive cells,
cell (i, j) at `i * (J + 1) + j`; row 0 and column 0 stand for NULL. Each pair writes only its own
cells and sums stand in a fixed order, so that results do not depend on the number of threads.
Kernels release the GIL: threads come from Python, which compiles in a fraction of the time that
numba's own parallel loops take.
"""

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba
import numpy as np
import platformdirs

from lingraft.errors import StoreError

MAX_JUMP = 20  # longer jumps share the outermost bucket
NUM_JUMPS = 2 * MAX_JUMP + 1
NUM_STARTS = MAX_JUMP + 1
NUM_MOVES = NUM_JUMPS + NUM_STARTS


def cache_folder() -> Path:
    """Returns the folder of compiled kernels, readable and writable by its owner alone.

    It lies under ``$LINGRAFT_CACHE``, else under the user's cache folder. numba pickles what it
    stores, so a folder that another user can write would run that user's code.

    Raises:
        StoreError: The folder belongs to another user.
    """
    root = os.environ.get("LINGRAFT_CACHE") or platformdirs.user_cache_dir("lingraft")
    folder = Path(root) / "numba"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        status = folder.lstat()
        owned = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()
        if owned:
            folder.chmod(0o700)
    except OSError as error:
        raise _foreign(folder, str(error)) from error
    if not owned:
        raise _foreign(folder, f"one of user {status.st_uid}")
    return folder


def _foreign(folder: Path, got: str) -> StoreError:
    return StoreError(
        expected="a cache folder of your own",
        got=got,
        where=str(folder),
        hint="set LINGRAFT_CACHE to a folder of yours",
    )


# The place of the cache is fixed when a function is decorated, so numba's setting is ours only
# while this module is imported, and a NUMBA_CACHE_DIR that the user set wins.
_users_cache: str = numba.config.CACHE_DIR
if not _users_cache:
    numba.config.CACHE_DIR = str(cache_folder())
_Function = TypeVar("_Function", bound=Callable[..., Any])
_compiled: Callable[[_Function], _Function] = numba.njit(
    nogil=True, cache=True, error_model="numpy"
)


@_compiled
def meet(
    pairs: Any, type_starts: Any, target: Any, bounds: Any, seen: Any, starts: Any, columns: Any
) -> None:
    """Finds the target types that each source type meets, each once, NULL first.

    Called twice: with an empty `columns` it counts them into `starts[1:]`, then it lists them from
    `starts` on, in the order in which they turn up.

    Args:
        pairs: Pair of each source word, words sorted by type.
        type_starts: (num_source_types + 1,) where each type's words begin in `pairs`.
        target: Types of the target words.
        bounds: As in `find_slots`.
        seen: (num_target_types,) -1 everywhere; overwritten.
        starts: (num_source_types + 1,) as said above.
        columns: Receives the target types.
    """
    counting = columns.size == 0
    for word in range(1, type_starts.size - 1):
        found = 0
        previous = -1
        for place in range(type_starts[word], type_starts[word + 1]):
            pair = pairs[place]
            if previous < 0:
                if not counting:
                    columns[starts[word]] = 0
                found = 1
            if pair != previous:
                for k in range(bounds[pair, 2], bounds[pair, 3]):
                    other = target[k]
                    if seen[other] != word:
                        seen[other] = word
                        if not counting:
                            columns[starts[word] + found] = other
                        found += 1
            previous = pair
        if counting:
            starts[word + 1] = found


@_compiled
def find_slots(
    source: Any,
    target: Any,
    bounds: Any,
    cell_starts: Any,
    row_starts: Any,
    columns: Any,
    first: int,
    last: int,
    slots: Any,
) -> None:
    """Writes for each cell of pairs [first, last) the place of its word pair in the lexicon.

    `bounds` (num_pairs, 4) holds begin and end of each pair's words in `source` and `target`.
    """
    for pair in range(first, last):
        cell = cell_starts[pair] - cell_starts[0]
        a, b, c, d = bounds[pair]
        for i in range(b - a + 1):
            word = 0 if i == 0 else source[a + i - 1]
            for j in range(d - c + 1):
                wanted = 0 if j == 0 else target[c + j - 1]
                low, high = row_starts[word], row_starts[word + 1]
                while low < high:
                    middle = (low + high) >> 1
                    if columns[middle] < wanted:
                        low = middle + 1
                    else:
                        high = middle
                slots[cell] = low
                cell += 1


@_compiled
def chain_posteriors(
    emissions: Any, jumps: Any, starts: Any, null: float, jump_counts: Any, start_counts: Any
) -> Any:
    """Baum-Welch for one sentence under the HMM of Vogel et al. (1996), Och and Ney (2003).

    A hidden state is the last source word that produced a target word, and whether the present
    target word comes from it or from NULL, which has probability `null` and stays at its place.

    Args:
        emissions: (J, I + 1) probability of target word j from source word i, NULL first.
        jumps: (NUM_JUMPS,) weights of jumps, normalised here over the I places.
        starts: (NUM_STARTS,) weights of the first place.
        null: Probability of NULL at each step.
        jump_counts: (NUM_JUMPS,) receives expected jumps.
        start_counts: (NUM_STARTS,) receives expected first places.

    Returns:
        (J, I + 1) posterior of each source word for each target word, NULL first.
    """
    num_targets, width = emissions.shape
    num_sources = width - 1
    # Row num_sources is the state before any source word was used.
    moves = np.empty((num_sources + 1, num_sources))
    for k in range(num_sources + 1):
        total = 0.0
        for i in range(num_sources):
            if k == num_sources:
                weight = starts[min(i, MAX_JUMP)]
            else:
                weight = jumps[min(max(i - k, -MAX_JUMP), MAX_JUMP) + MAX_JUMP]
            moves[k, i] = weight
            total += weight
        for i in range(num_sources):
            moves[k, i] *= (1.0 - null) / total
    turned = moves.T.copy()

    last = np.zeros((num_targets + 1, num_sources + 1))  # mass by last place, after j words
    real = np.empty((num_targets, num_sources))
    scales = np.empty(num_targets)
    last[0, num_sources] = 1.0
    for j in range(num_targets):
        row = np.zeros(num_sources)
        for k in range(num_sources + 1):
            mass = last[j, k]
            if mass > 0.0:
                for i in range(num_sources):
                    row[i] += mass * moves[k, i]
        total = 0.0
        for i in range(num_sources):
            row[i] *= emissions[j, i + 1]
            total += row[i]
        for k in range(num_sources + 1):
            last[j + 1, k] = last[j, k] * null * emissions[j, 0]
            total += last[j + 1, k]
        scale = 1.0 / total
        scales[j] = scale
        for i in range(num_sources):
            real[j, i] = row[i] * scale
            last[j + 1, i] += row[i]
        for k in range(num_sources + 1):
            last[j + 1, k] *= scale

    posteriors = np.zeros((num_targets, width))
    pairs = np.zeros((num_sources + 1, num_sources))
    behind = np.ones(num_sources + 1)
    for j in range(num_targets - 1, -1, -1):
        ahead = np.empty(num_sources)
        for i in range(num_sources):
            posteriors[j, i + 1] = real[j, i] * behind[i]
            ahead[i] = emissions[j, i + 1] * behind[i] * scales[j]
        stay = null * emissions[j, 0] * scales[j]
        nothing = 0.0
        for k in range(num_sources + 1):
            nothing += last[j, k] * stay * behind[k]
            behind[k] *= stay
        posteriors[j, 0] = nothing
        for k in range(num_sources + 1):
            mass = last[j, k]
            if mass > 0.0:
                for i in range(num_sources):
                    pairs[k, i] += mass * ahead[i]
        for i in range(num_sources):
            value = ahead[i]
            for k in range(num_sources + 1):
                behind[k] += turned[i, k] * value
    for k in range(num_sources):
        for i in range(num_sources):
            bucket = min(max(i - k, -MAX_JUMP), MAX_JUMP) + MAX_JUMP
            jump_counts[bucket] += pairs[k, i] * moves[k, i]
    for i in range(num_sources):
        start_counts[min(i, MAX_JUMP)] += pairs[num_sources, i] * moves[num_sources, i]
    return posteriors


@_compiled
def independent_posteriors(emissions: Any, null: float) -> Any:
    """Returns (J, I + 1) posteriors under IBM Model 1 (Brown et al. 1993) with a NULL weight.

    Each target word chooses NULL with probability `null`, else any of the I places alike.
    """
    num_targets, width = emissions.shape
    posteriors = np.empty((num_targets, width))
    share = (1.0 - null) / (width - 1)
    for j in range(num_targets):
        total = null * emissions[j, 0]
        posteriors[j, 0] = total
        for i in range(1, width):
            posteriors[j, i] = share * emissions[j, i]
            total += posteriors[j, i]
        for i in range(width):
            posteriors[j, i] /= total
    return posteriors


@_compiled
def expect(
    bounds: Any,
    cell_starts: Any,
    slots: Any,
    first: int,
    last: int,
    forward: Any,
    backward: Any,
    chained: bool,
    null: float,
    moves: Any,
    forward_cells: Any,
    backward_cells: Any,
    move_counts: Any,
) -> None:
    """Writes both directions' posteriors for the cells of pairs [first, last).

    Args:
        bounds: As in `find_slots`.
        cell_starts: (num_pairs + 1,) first cell of each pair.
        slots: Places in the lexicon, from cell `cell_starts[0]` on.
        first: First pair.
        last: One past the last pair.
        forward: Probability of the target word given the source word, by slot.
        backward: The other way round.
        chained: Whether places follow the HMM; else they are independent (IBM Model 1).
        null: Probability of NULL.
        moves: (2, NUM_MOVES) weights of jumps, then of starts, by direction.
        forward_cells: Receives the posteriors of target words.
        backward_cells: Receives the posteriors of source words.
        move_counts: (2, NUM_MOVES) receives the expected moves, summed.
    """
    for pair in range(first, last):
        a, b, c, d = bounds[pair]
        height, width = b - a + 1, d - c + 1
        begin = cell_starts[pair] - cell_starts[0]
        for direction in range(2):
            if direction == 0:
                emissions = np.empty((width - 1, height))
                for i in range(height):
                    for j in range(1, width):
                        emissions[j - 1, i] = forward[slots[begin + i * width + j]]
            else:
                emissions = np.empty((height - 1, width))
                for i in range(1, height):
                    for j in range(width):
                        emissions[i - 1, j] = backward[slots[begin + i * width + j]]
            if chained:
                counts = move_counts[direction]
                posteriors = chain_posteriors(
                    emissions,
                    moves[direction, :NUM_JUMPS],
                    moves[direction, NUM_JUMPS:],
                    null,
                    counts[:NUM_JUMPS],
                    counts[NUM_JUMPS:],
                )
            else:
                posteriors = independent_posteriors(emissions, null)
            if direction == 0:
                for i in range(height):
                    forward_cells[begin + i * width] = 0.0
                    for j in range(1, width):
                        forward_cells[begin + i * width + j] = posteriors[j - 1, i]
            else:
                for j in range(width):
                    backward_cells[begin + j] = 0.0
                for i in range(1, height):
                    for j in range(width):
                        backward_cells[begin + i * width + j] = posteriors[i - 1, j]


@_compiled
def scatter(slots: Any, cells: Any, counts: Any) -> None:
    """Adds each cell to its slot's count, in the order of the cells."""
    for cell in range(slots.size):
        counts[slots[cell]] += cells[cell]


numba.config.CACHE_DIR = _users_cache
