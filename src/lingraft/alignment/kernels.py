"""The aligner's inner loops in numba: our own, because every packaged aligner is either GPL or C++.

Letters: I source words and J target words of one pair. A pair owns (I+1)·(J+1) consecutive cells,
cell (i, j) at `i * (J + 1) + j`; row 0 and column 0 stand for NULL. Each pair writes only its own
cells and sums stand in a fixed order, so that results do not depend on the number of threads.
Kernels release the GIL: threads come from Python, which compiles in a fraction of the time that
numba's own parallel loops take.
"""

import math
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

    `bounds` (num_pairs, 4) holds begin and end of each pair's words in `source` and `target`;
    `slots` begins with the cells of pair `first`.
    """
    for pair in range(first, last):
        cell = cell_starts[pair] - cell_starts[first]
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
def chain_posteriors(emissions: Any, jumps: Any, starts: Any, null: float, counts: Any) -> Any:
    """Baum-Welch for one sentence under the HMM of Vogel et al. (1996), Och and Ney (2003).

    A hidden state is the last source word that produced a target word, and whether the present
    target word comes from it or from NULL, which has probability `null` and stays at its place.
    Everything is computed in the precision of `emissions`; the loops over pairs of places add
    whole rows, which the compiler turns into vector instructions.

    Args:
        emissions: (J, I + 1) probability of target word j from source word i, NULL first.
        jumps: (NUM_JUMPS,) weights of jumps, normalised here over the I places.
        starts: (NUM_STARTS,) weights of the first place.
        null: Probability of NULL at each step.
        counts: (NUM_MOVES,) receives expected jumps, then expected first places.

    Returns:
        (J, I + 1) posterior of each source word for each target word, NULL first.
    """
    num_targets, width = emissions.shape
    num_sources = width - 1
    precision = emissions.dtype
    # Row num_sources is the state before any source word was used.
    moves = np.empty((num_sources + 1, num_sources), dtype=precision)
    for k in range(num_sources + 1):
        total = 0.0
        for i in range(num_sources):
            if k == num_sources:
                weight = starts[min(i, MAX_JUMP)]
            else:
                weight = jumps[min(max(i - k, -MAX_JUMP), MAX_JUMP) + MAX_JUMP]
            moves[k, i] = weight
            total += weight
        share = (1.0 - null) / total
        for i in range(num_sources):
            moves[k, i] *= share
    turned = np.empty((num_sources, num_sources + 1), dtype=precision)
    for k in range(num_sources + 1):
        for i in range(num_sources):
            turned[i, k] = moves[k, i]

    # Mass by last place, after j words.
    last = np.zeros((num_targets + 1, num_sources + 1), dtype=precision)
    real = np.zeros((num_targets, num_sources), dtype=precision)
    scales = np.empty(num_targets, dtype=precision)
    last[0, num_sources] = 1.0
    for j in range(num_targets):
        row = real[j]
        for k in range(num_sources + 1):
            mass = last[j, k]
            if mass > 0.0:
                leaving = moves[k]
                for i in range(num_sources):
                    row[i] += mass * leaving[i]
        total = 0.0
        for i in range(num_sources):
            row[i] *= emissions[j, i + 1]
            total += row[i]
        stay = null * emissions[j, 0]
        for k in range(num_sources + 1):
            last[j + 1, k] = last[j, k] * stay
            total += last[j + 1, k]
        scales[j] = 1.0 / total
        scale = scales[j]
        for i in range(num_sources):
            row[i] *= scale
            last[j + 1, i] = last[j + 1, i] * scale + row[i]
        last[j + 1, num_sources] *= scale

    posteriors = np.zeros((num_targets, width), dtype=precision)
    pairs = np.zeros((num_sources + 1, num_sources), dtype=precision)
    ahead = np.empty(num_sources, dtype=precision)
    behind = np.ones(num_sources + 1, dtype=precision)
    for j in range(num_targets - 1, -1, -1):
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
                leaving = pairs[k]
                for i in range(num_sources):
                    leaving[i] += mass * ahead[i]
        for i in range(num_sources):
            value = ahead[i]
            arriving = turned[i]
            for k in range(num_sources + 1):
                behind[k] += arriving[k] * value
    for k in range(num_sources):
        for i in range(num_sources):
            bucket = min(max(i - k, -MAX_JUMP), MAX_JUMP) + MAX_JUMP
            counts[bucket] += pairs[k, i] * moves[k, i]
    for i in range(num_sources):
        counts[NUM_JUMPS + min(i, MAX_JUMP)] += pairs[num_sources, i] * moves[num_sources, i]
    return posteriors


@_compiled
def diagonal_posteriors(emissions: Any, tension: float, null: float, counts: Any) -> Any:
    """Returns (J, I + 1) posteriors of words whose places do not depend on each other.

    Each target word chooses NULL with probability `null`, else place i of I with a weight of
    exp(-tension · |i / I - j / J|), places counted from 1: the model of fast_align (Dyer, Chahuneau
    and Smith 2013, section 2). With tension 0 all places are alike: IBM Model 1 (Brown et al.
    1993).

    Args:
        emissions: As in `chain_posteriors`.
        tension: How much the diagonal is preferred.
        null: Probability of NULL.
        counts: (3,) receives sums over the target words: how probably they are not NULL's, and
            times that -|i / I - j / J| as the posteriors have it and as the model expects it.
    """
    num_targets, width = emissions.shape
    posteriors = np.empty((num_targets, width), dtype=emissions.dtype)
    for j in range(num_targets):
        weights, mean = 0.0, 0.0
        for i in range(1, width):
            nearness = -abs(i / (width - 1) - (j + 1) / num_targets)
            weight = math.exp(tension * nearness)
            posteriors[j, i] = weight
            weights += weight
            mean += weight * nearness
        total = null * emissions[j, 0]
        posteriors[j, 0] = total
        share = (1.0 - null) / weights
        for i in range(1, width):
            posteriors[j, i] *= share * emissions[j, i]
            total += posteriors[j, i]
        linked, expected = 0.0, 0.0
        for i in range(width):
            posteriors[j, i] /= total
            if i > 0:
                linked += posteriors[j, i]
                expected -= posteriors[j, i] * abs(i / (width - 1) - (j + 1) / num_targets)
        counts[0] += linked
        counts[1] += expected
        counts[2] += linked * mean / weights
    return posteriors


@_compiled
def expect(
    bounds: Any,
    cell_starts: Any,
    slots: Any,
    first: int,
    last: int,
    tables: Any,
    chained: bool,
    null: float,
    places: Any,
    cells: Any,
    counts: Any,
) -> None:
    """Writes both directions' posteriors for the cells of pairs [first, last).

    Args:
        bounds: As in `find_slots`.
        cell_starts: (num_pairs + 1,) first cell of each pair.
        slots: Places in the lexicon, from the first cell of pair `first` on.
        first: First pair.
        last: One past the last pair.
        tables: (num_slots, 2) probability of the target word given the source word, and reversed.
        chained: Whether places follow the HMM; else they are independent.
        null: Probability of NULL.
        places: (2, NUM_MOVES) by direction: weights of jumps and starts, or the tension first.
        cells: (2, num_cells) receives the posteriors of target words and of source words.
        counts: (2, NUM_MOVES) receives what the places' parameters are learnt from, summed.
    """
    for pair in range(first, last):
        a, b, c, d = bounds[pair]
        height, width = b - a + 1, d - c + 1
        begin = cell_starts[pair] - cell_starts[first]
        forward = np.empty((width - 1, height), dtype=tables.dtype)
        backward = np.empty((height - 1, width), dtype=tables.dtype)
        for i in range(height):
            for j in range(width):
                slot = slots[begin + i * width + j]
                if j > 0:
                    forward[j - 1, i] = tables[slot, 0]
                if i > 0:
                    backward[i - 1, j] = tables[slot, 1]
        for direction in range(2):
            emissions = forward if direction == 0 else backward
            place = places[direction]
            if chained:
                posteriors = chain_posteriors(
                    emissions, place[:NUM_JUMPS], place[NUM_JUMPS:], null, counts[direction]
                )
            else:
                posteriors = diagonal_posteriors(emissions, place[0], null, counts[direction])
            if direction == 0:
                for i in range(height):
                    cells[0, begin + i * width] = 0.0
                    for j in range(1, width):
                        cells[0, begin + i * width + j] = posteriors[j - 1, i]
            else:
                for j in range(width):
                    cells[1, begin + j] = 0.0
                for i in range(1, height):
                    for j in range(width):
                        cells[1, begin + i * width + j] = posteriors[i - 1, j]


@_compiled
def agree(cells: Any) -> None:
    """Replaces both directions' posteriors of each link by their product, in place.

    A cell of NULL has a posterior in one direction only, and keeps it.
    """
    for cell in range(cells.shape[1]):
        both = cells[0, cell] * cells[1, cell]
        if both > 0.0:
            cells[0, cell] = both
            cells[1, cell] = both


@_compiled
def mark_best(shapes: Any, cells: Any, chosen: Any) -> None:
    """Marks the most probable source word of each target word, and the other way round.

    A word whose most probable partner is NULL gets no mark. Cells as in `expect`; `shapes`
    (num_pairs, 2) holds I + 1 and J + 1.
    """
    begin = 0
    for pair in range(shapes.shape[0]):
        height, width = shapes[pair]
        for j in range(1, width):
            best = 0
            for i in range(1, height):
                if cells[0, begin + i * width + j] > cells[0, begin + best * width + j]:
                    best = i
            if best > 0:
                chosen[0, begin + best * width + j] = True
        for i in range(1, height):
            best = 0
            for j in range(1, width):
                if cells[1, begin + i * width + j] > cells[1, begin + i * width + best]:
                    best = j
            if best > 0:
                chosen[1, begin + i * width + best] = True
        begin += height * width


@_compiled
def scatter(slots: Any, cells: Any, counts: Any) -> None:
    """Adds each cell to its slot's count, in the order of the cells."""
    for cell in range(slots.size):
        counts[slots[cell]] += cells[cell]


@_compiled
def multiply_probabilities(
    slots: Any, given: Any, prior: Any, counts: Any, totals: Any, least: float, tables: Any
) -> None:
    """Multiplies each slot's entry of `tables` by its probability in one view.

    Args:
        slots: (num_slots,) place of each slot in the view.
        given: (num_view_slots,) the type that each of the view's slots is conditioned on.
        prior: (num_view_slots,) pseudo-counts.
        counts: (num_view_slots,) expected counts; overwritten by probabilities.
        totals: Sums of counts and priors by given type.
        least: Lowest probability.
        tables: (num_slots,) the product over views so far.
    """
    for slot in range(counts.size):
        counts[slot] = max((counts[slot] + prior[slot]) / totals[given[slot]], least)
    for slot in range(slots.size):
        tables[slot] *= counts[slots[slot]]


numba.config.CACHE_DIR = _users_cache
