"""The aligner's inner loops in numba: our own, because every packaged aligner is either GPL or C++.

Letters: I source words and J target words of one pair. A pair owns (I+1)·(J+1) consecutive cells,
cell (i, j) at `i * (J + 1) + j`; row 0 and column 0 stand for NULL. Each pair writes only its own
cells and sums stand in a fixed order, so that results do not depend on the number of threads.
Kernels release the GIL: threads come from Python, which compiles in a fraction of the time that
numba's own parallel loops take.
"""

import math
from typing import Any

import numpy as np

from lingraft.compilation import compiled, reordered

MAX_JUMP = 10  # longer jumps share one weight
NUM_BAND = 2 * MAX_JUMP + 1
NUM_JUMPS = NUM_BAND + 1
NUM_STARTS = MAX_JUMP + 1
NUM_MOVES = NUM_JUMPS + NUM_STARTS
MODELS = ("anywhere", "diagonal", "chain")  # what decides about places
ANYWHERE, DIAGONAL, CHAIN = range(3)


@reordered
def _chain(
    emissions: Any,
    nulls: Any,
    num_places: int,
    moves: Any,
    null: float,
    scratch: Any,
    masses: Any,
    ahead: Any,
    posteriors: Any,
    counts: Any,
) -> None:
    """Baum-Welch for one sentence under the HMM of Vogel et al. (1996), Och and Ney (2003).

    A hidden state is the last source word that produced a target word, and whether the present
    target word comes from it or from NULL, which has probability `null` and stays at its place.

    A jump of at most `MAX_JUMP` has a weight of its own, all longer ones share the weight
    `outside`. So a sum over all places is `outside` times the whole mass, plus a band, and time
    grows with the number of places, not with its square.

    Args:
        emissions: (J, width) probability of target word j from source word i; 0 from I on.
        nulls: (J,) probability of each target word from NULL; overwritten by the posterior.
        num_places: I.
        moves: (NUM_MOVES,) as in `expect`.
        null: Probability of NULL at each step.
        scratch: (8, at least width and J), overwritten, as are
        masses: (at least (J + 1) * (width + MAX_JUMP),) and
        ahead: as large.
        posteriors: (J, width) receives the posterior of each source word for each target word.
        counts: (2, NUM_MOVES) as in `expect`, added to.
    """
    num_steps, width = emissions.shape
    stride = width + MAX_JUMP
    kind = emissions.dtype.type
    zero, one = kind(0.0), kind(1.0)
    stays, outside = kind(null), kind(moves[NUM_BAND])
    band, sums = np.empty(NUM_BAND, kind), np.zeros(NUM_BAND + 1)
    for d in range(NUM_BAND):
        band[d] = moves[d] - moves[NUM_BAND]
        sums[d + 1] = sums[d] + moves[d] - moves[NUM_BAND]
    shares, first, last = scratch[0, :width], scratch[1, :width], scratch[2, :width]
    behind, leaving, begun = scratch[3, :width], scratch[4, :width], scratch[5, :width]
    scales, unstarted = scratch[6, :num_steps], scratch[7, :num_steps]
    starts = 0.0
    for i in range(num_places):
        starts += moves[NUM_JUMPS + min(i, MAX_JUMP)]
    for i in range(width):
        shares[i], first[i], last[i] = zero, zero, zero
        behind[i], leaving[i], begun[i] = one, zero, zero
    for i in range(num_places):
        low, high = max(0, MAX_JUMP - i), min(NUM_BAND, MAX_JUMP + num_places - i)
        shares[i] = (1.0 - null) / (moves[NUM_BAND] * num_places + sums[high] - sums[low])
        first[i] = (1.0 - null) * moves[NUM_JUMPS + min(i, MAX_JUMP)] / starts
    for j in range(num_steps + 1):
        for k in range(MAX_JUMP):
            masses[j * stride + k], ahead[j * stride + k] = zero, zero

    # The loops over a band of fixed width are unrolled, and those around them become vectors.
    before = one
    for j in range(num_steps):
        mass, row, chances = masses[j * stride :], posteriors[j], emissions[j]
        whole = zero
        for i in range(width):
            mass[MAX_JUMP + i] = last[i] * shares[i]
            whole += mass[MAX_JUMP + i]
        whole *= outside
        stay = stays * nulls[j]
        reached = stay
        for i in range(width):
            value = whole + before * first[i]
            for d in range(NUM_BAND):
                value += band[d] * mass[i + 2 * MAX_JUMP - d]
            row[i] = value * chances[i]
            reached += row[i]
        scale = one / reached
        scales[j], unstarted[j] = scale, before
        stay *= scale
        for i in range(width):
            last[i] = last[i] * stay + row[i] * scale
        before *= stay

    products = 0.0
    for j in range(num_steps - 1, -1, -1):
        mass, coming = masses[j * stride :], ahead[j * stride :]
        row, chances = posteriors[j], emissions[j]
        scale, before = scales[j], unstarted[j]
        stay = stays * nulls[j] * scale
        linked, whole = zero, zero
        for i in range(width):
            value = behind[i] * scale
            row[i] *= value
            linked += row[i]
            value *= chances[i]
            coming[MAX_JUMP + i] = value
            begun[i] += before * value
            whole += value
        nulls[j] = max(zero, one - linked)
        gone, base = zero, outside * whole
        for i in range(width):
            value = base
            for d in range(NUM_BAND):
                value += band[d] * coming[i + d]
            gone += mass[MAX_JUMP + i]
            leaving[i] += mass[MAX_JUMP + i] * value
            behind[i] = behind[i] * stay + shares[i] * value
        products += gone * whole

    far = products
    for d in range(NUM_BAND):
        shifted = masses[2 * MAX_JUMP - d :]
        product = zero
        for k in range(num_steps * stride - MAX_JUMP):
            product += shifted[k] * ahead[MAX_JUMP + k]
        far -= product
        counts[0, d] += moves[d] * product
    counts[0, NUM_BAND] += moves[NUM_BAND] * max(0.0, far)
    started = 0.0
    for i in range(num_places):
        departures = leaving[i] * shares[i] / (1.0 - null)
        low, high = max(0, MAX_JUMP - i), min(NUM_BAND, MAX_JUMP + num_places - i)
        for d in range(low, high):
            counts[1, d] += departures
        counts[1, NUM_BAND] += departures * (num_places - (high - low))
        counts[0, NUM_JUMPS + min(i, MAX_JUMP)] += begun[i] * first[i]
        started += begun[i] * first[i]
    for i in range(num_places):
        counts[1, NUM_JUMPS + min(i, MAX_JUMP)] += started / starts


@reordered
def _anywhere(height: int, width: int, null: float, forward: Any, backward: Any) -> None:
    """Turns one pair's probabilities into posteriors if all places are alike (IBM Model 1).

    Args:
        height: I + 1.
        width: J + 1.
        null: Probability of NULL.
        forward: (height * width,) cells of target words; and
        backward: of source words, both in place.
    """
    odds = null / (1.0 - null)
    for i in range(1, height):
        row = backward[i * width : (i + 1) * width]
        row[0] *= odds * (width - 1)
        total = row[0]
        for j in range(1, width):
            total += row[j]
        share = 1 / total
        for j in range(width):
            row[j] *= share
    sums = backward[:width]  # NULL's row, which has no posteriors in this direction
    for j in range(width):
        forward[j] *= odds * (height - 1)
        sums[j] = forward[j]
    for i in range(1, height):
        row = forward[i * width : (i + 1) * width]
        for j in range(width):
            sums[j] += row[j]
    for j in range(width):
        sums[j] = 1 / sums[j]
    for i in range(height):
        row = forward[i * width : (i + 1) * width]
        for j in range(width):
            row[j] *= sums[j]
        row[0] = 0.0
    for j in range(width):
        sums[j] = 0.0


@compiled
def _near_diagonal(
    emissions: Any, nulls: Any, num_places: int, tension: float, null: float, counts: Any
) -> None:
    """Turns one direction's probabilities into posteriors under fast_align's model, in place.

    Each target word chooses NULL with probability `null`, else place i of I with a weight of
    exp(-tension · |i / I - j / J|), places counted from 1 (Dyer, Chahuneau and Smith 2013,
    section 2).

    Args:
        emissions: (J, width) as in `_chain`, as `nulls` and `num_places` are.
        nulls: (J,)
        num_places: I.
        tension: How much the diagonal is preferred.
        null: Probability of NULL.
        counts: (3,) receives sums over the target words: how probably they are not NULL's, and
            times that -|i / I - j / J| as the posteriors have it and as the model expects it.
    """
    num_steps = len(emissions)
    weights = np.empty(num_places)
    for j in range(num_steps):
        total, mean = 0.0, 0.0
        for i in range(num_places):
            nearness = -abs((i + 1) / num_places - (j + 1) / num_steps)
            weights[i] = math.exp(tension * nearness)
            total += weights[i]
            mean += weights[i] * nearness
        share = (1.0 - null) / total
        row = emissions[j]
        nulls[j] *= null
        reached = nulls[j]
        for i in range(num_places):
            row[i] *= share * weights[i]
            reached += row[i]
        nulls[j] /= reached
        linked, expected = 0.0, 0.0
        for i in range(num_places):
            row[i] /= reached
            linked += row[i]
            expected -= row[i] * abs((i + 1) / num_places - (j + 1) / num_steps)
        counts[0] += linked
        counts[1] += expected
        counts[2] += linked * mean / total


@compiled
def _padded(width: int) -> int:
    """Rounds up to whole vectors: loops over the rest cost more than the zeros."""
    return (width + 7) // 8 * 8


@compiled
def expect(
    shapes: Any,
    slots: Any,
    tables: Any,
    model: int,
    null: float,
    places: Any,
    agreeing: bool,
    cells: Any,
    counts: Any,
) -> None:
    """Writes both directions' posteriors for the cells of some pairs.

    Args:
        shapes: (num_pairs, 2) I + 1 and J + 1 of each pair.
        slots: (num_cells,) place of each cell's words in `tables`.
        tables: (num_slots, 2) probability of the target word given the source word, and reversed.
        model: `ANYWHERE`, `DIAGONAL` or `CHAIN`.
        null: Probability of NULL.
        places: (2, NUM_MOVES) by direction. Of a chain, the weights of jumps from -MAX_JUMP to
            MAX_JUMP, of any longer jump, of the first place from 0 to MAX_JUMP - 1 and of any later
            one; of the diagonal, its tension first.
        agreeing: Whether both directions' posteriors of a link become their product.
        cells: (2, num_cells) receives the posteriors of target words and of source words, 0 for
            those of NULL.
        counts: (2, 2, NUM_MOVES) by direction, added to. Of a chain: expected moves; and, summed
            over departures, their probability over the sum of the weights that are within the
            sentence, once for each place that a weight leads to. Of the diagonal: as
            `_near_diagonal` says.
    """
    longest = 0
    for pair in range(len(shapes)):
        longest = max(longest, shapes[pair, 0], shapes[pair, 1])
    room = _padded(longest) if model != ANYWHERE else 0
    emissions = np.empty((2, room * room), tables.dtype)
    nulls = np.empty((2, room), tables.dtype)
    posteriors = np.empty(room * room if model == CHAIN else 0, tables.dtype)
    scratch = np.empty((8, room), tables.dtype)
    masses = np.empty((room + 1) * (room + MAX_JUMP), tables.dtype)
    ahead = np.empty_like(masses)
    begin = 0
    for pair in range(len(shapes)):
        height, width = shapes[pair]
        end = begin + height * width
        if model == ANYWHERE:
            for cell in range(begin, end):
                slot = slots[cell]
                cells[0, cell], cells[1, cell] = tables[slot, 0], tables[slot, 1]
            _anywhere(height, width, null, cells[0][begin:end], cells[1][begin:end])
        else:
            wide, high = _padded(width - 1), _padded(height - 1)
            forward = emissions[0, : (width - 1) * high].reshape(width - 1, high)
            backward = emissions[1, : (height - 1) * wide].reshape(height - 1, wide)
            for j in range(1, width):
                nulls[0, j - 1] = tables[slots[begin + j], 0]
                for i in range(height - 1, high):
                    forward[j - 1, i] = 0.0
            for i in range(1, height):
                cell = begin + i * width
                nulls[1, i - 1] = tables[slots[cell], 1]
                for j in range(1, width):
                    slot = slots[cell + j]
                    forward[j - 1, i - 1] = tables[slot, 0]
                    backward[i - 1, j - 1] = tables[slot, 1]
                for j in range(width - 1, wide):
                    backward[i - 1, j] = 0.0
            for direction in range(2):
                given, size = (forward, height - 1) if direction == 0 else (backward, width - 1)
                beside = nulls[direction, : len(given)]
                if model == CHAIN:
                    found = posteriors[: given.size].reshape(given.shape)
                    _chain(
                        given,
                        beside,
                        size,
                        places[direction],
                        null,
                        scratch,
                        masses,
                        ahead,
                        found,
                        counts[direction],
                    )
                else:
                    found = given
                    _near_diagonal(
                        given, beside, size, places[direction, 0], null, counts[direction, 0]
                    )
                if direction == 0:
                    for j in range(1, width):
                        cells[0, begin + j] = beside[j - 1]
                    for i in range(1, height):
                        cells[0, begin + i * width] = 0.0
                        for j in range(1, width):
                            cells[0, begin + i * width + j] = found[j - 1, i - 1]
                else:
                    for j in range(width):
                        cells[1, begin + j] = 0.0
                    for i in range(1, height):
                        cells[1, begin + i * width] = beside[i - 1]
                        for j in range(1, width):
                            cells[1, begin + i * width + j] = found[i - 1, j - 1]
                    cells[0, begin] = 0.0
        if agreeing:
            for i in range(1, height):
                for cell in range(begin + i * width + 1, begin + (i + 1) * width):
                    both = cells[0, cell] * cells[1, cell]
                    cells[0, cell], cells[1, cell] = both, both
        begin = end


@compiled
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


@compiled
def scatter(slots: Any, cells: Any, counts: Any) -> None:
    """Adds cells (2, num_cells) to the counts (num_slots, 2) of their slots, in order."""
    for cell in range(slots.size):
        counts[slots[cell], 0] += cells[0, cell]
        counts[slots[cell], 1] += cells[1, cell]
