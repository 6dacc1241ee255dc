"""The inner loops over a corpus's types and over the lexicon, in numba.

A lexicon is a table in rows (CSR): row w begins at `row_starts[w]`, and `columns` holds the target
word of each of its places, which are called slots. Type 0 on either side is NULL.
"""

import math
from typing import Any

import numpy as np

from lingraft.compilation import compiled


@compiled
def group_words(types: Any, bounds: Any, begins: Any, pairs: Any) -> None:
    """Sorts the places of one side's words by type, in the order of the pairs within a type.

    Args:
        types: Types of the side's words.
        bounds: (num_pairs, 2) begin and end of each pair's words in `types`.
        begins: (num_types + 1,) zeros; receives where each type's places begin.
        pairs: (num_words,) int32, receives the pair of each place.
    """
    for pair in range(bounds.shape[0]):
        for place in range(bounds[pair, 0], bounds[pair, 1]):
            begins[types[place] + 1] += 1
    for number in range(1, begins.size):
        begins[number] += begins[number - 1]
    for pair in range(bounds.shape[0]):
        for place in range(bounds[pair, 0], bounds[pair, 1]):
            pairs[begins[types[place]]] = pair
            begins[types[place]] += 1
    for number in range(begins.size - 1, 0, -1):
        begins[number] = begins[number - 1]
    begins[0] = 0


@compiled
def count_words(types: Any, bounds: Any, counts: Any) -> None:
    """Adds how often each type occurs between the bounds, as in `group_words`."""
    for pair in range(bounds.shape[0]):
        for place in range(bounds[pair, 0], bounds[pair, 1]):
            counts[types[place]] += 1


@compiled
def meet(
    begins: Any,
    pairs: Any,
    target: Any,
    bounds: Any,
    frequencies: Any,
    least: int,
    starts: Any,
    columns: Any,
    histogram: Any,
) -> None:
    """Finds the target types that each source type meets, each once, NULL first.

    Called twice: with an empty `columns` it counts how many meet by their score, else it lists
    those that reach a score, in the order in which they turn up.

    A score is how often the two meet over the geometric mean of how often each occurs, in steps of
    1 / (histogram.size - 1) and at most 1. NULL's are always kept and not counted.

    Args:
        begins: (num_source_types + 1,) as `group_words` wrote it, and
        pairs: the pairs of each source type's words.
        target: Types of the target words.
        bounds: (num_pairs, 2) begin and end of each pair's words in `target`.
        frequencies: (num_target_types,) how often each type occurs in `bounds`.
        least: Lowest score that is listed, in steps.
        starts: (num_source_types + 1,) receives where each type's entries begin; row 0, which
            belongs to NULL, is the caller's.
        columns: Receives the target types.
        histogram: Receives the number of pairs of types by score.
    """
    steps = histogram.size - 1
    counts = np.zeros(frequencies.size, dtype=np.int32)
    met = np.empty(frequencies.size, dtype=np.int32)
    listing = columns.size > 0
    end = starts[1]
    for word in range(1, begins.size - 1):
        num_met = 0
        for place in range(begins[word], begins[word + 1]):
            pair = pairs[place]
            for k in range(bounds[pair, 0], bounds[pair, 1]):
                other = target[k]
                if counts[other] == 0:
                    met[num_met] = other
                    num_met += 1
                counts[other] += 1
        frequency = begins[word + 1] - begins[word]
        if listing and frequency > 0:
            columns[end] = 0
            end += 1
        for k in range(num_met):
            other = met[k]
            score = int(counts[other] / math.sqrt(frequency * frequencies[other]) * steps)
            score = min(score, steps)
            counts[other] = 0
            if not listing:
                histogram[score] += 1
            elif score >= least:
                columns[end] = other
                end += 1
        if listing:
            starts[word + 1] = end


@compiled
def place_cells(
    source: Any,
    target: Any,
    bounds: Any,
    cell_starts: Any,
    row_starts: Any,
    columns: Any,
    num_columns: int,
    slots: Any,
) -> None:
    """Writes for each cell of some pairs the place of its two words in the lexicon.

    Args:
        source: Types of the source words.
        target: Types of the target words.
        bounds: (num_pairs, 4) begin and end of each pair's words in `source` and in `target`.
        cell_starts: (num_pairs + 1,) first cell of each pair, from 0.
        row_starts: As in `lexicon.Lexicon`, as `columns` is.
        columns: Target type of each place.
        num_columns: Number of target types.
        slots: (num_cells,) receives the places; `columns.size` where two words have none.
    """
    begins = np.zeros(row_starts.size, dtype=np.int64)
    num_words = 0
    for pair in range(bounds.shape[0]):
        num_words += bounds[pair, 1] - bounds[pair, 0]
    pairs = np.empty(num_words, dtype=np.int32)
    group_words(source, bounds[:, :2], begins, pairs)
    absent = columns.size
    place = np.full(num_columns, absent, dtype=np.int32)
    for slot in range(row_starts[0], row_starts[1]):
        place[columns[slot]] = slot
    for pair in range(bounds.shape[0]):
        cell = cell_starts[pair]
        slots[cell] = absent
        for k in range(bounds[pair, 2], bounds[pair, 3]):
            cell += 1
            slots[cell] = place[target[k]]
    for slot in range(row_starts[0], row_starts[1]):
        place[columns[slot]] = absent
    for word in range(1, begins.size - 1):
        if begins[word] == begins[word + 1]:
            continue
        for slot in range(row_starts[word], row_starts[word + 1]):
            place[columns[slot]] = slot
        previous = -1
        i = 0
        for number in range(begins[word], begins[word + 1]):
            pair = pairs[number]
            begin, _, c, d = bounds[pair]
            i = i + 1 if pair == previous else 0
            while source[begin + i] != word:
                i += 1
            previous = pair
            cell = cell_starts[pair] + (i + 1) * (d - c + 1)
            slots[cell] = place[0]
            for k in range(c, d):
                cell += 1
                slots[cell] = place[target[k]]
        for slot in range(row_starts[word], row_starts[word + 1]):
            place[columns[slot]] = absent


@compiled
def group_stems(
    row_starts: Any,
    columns: Any,
    words: Any,
    begins: Any,
    stems: Any,
    num_stems: int,
    slots: Any,
    starts: Any,
    stem_columns: Any,
) -> int:
    """Numbers the pairs of stems of the pairs of words, row by row of the source stems.

    Args:
        row_starts: As in `lexicon.Lexicon`, as `columns` is.
        columns: Target word of each slot.
        words: Source words sorted by stem.
        begins: (num_source_stems + 1,) where each stem's words begin in `words`.
        stems: (num_target_words,) stem of each target word.
        num_stems: Number of target stems.
        slots: (num_slots,) receives the number of each pair's pair of stems.
        starts: (num_source_stems + 1,) receives where each source stem's pairs begin.
        stem_columns: (num_slots,) receives the target stem of each pair of stems, from the front.

    Returns:
        The number of pairs of stems.
    """
    number = np.full(num_stems, -1, dtype=np.int32)
    found = 0
    for stem in range(begins.size - 1):
        starts[stem] = found
        for k in range(begins[stem], begins[stem + 1]):
            word = words[k]
            for slot in range(row_starts[word], row_starts[word + 1]):
                other = stems[columns[slot]]
                # A number from an earlier row is below this row's first one.
                if number[other] < starts[stem]:
                    number[other] = found
                    stem_columns[found] = other
                    found += 1
                slots[slot] = number[other]
    starts[begins.size - 1] = found
    return found


@compiled
def sum_by_row(row_starts: Any, counts: Any, sums: Any) -> None:
    """Adds the counts of each row of a CSR table to its sum."""
    for row in range(row_starts.size - 1):
        for slot in range(row_starts[row], row_starts[row + 1]):
            sums[row] += counts[slot]


@compiled
def sum_by_place(places: Any, counts: Any, sums: Any) -> None:
    """Adds each count to the sum at its place."""
    for slot in range(places.size):
        sums[places[slot]] += counts[slot]


@compiled
def multiply_probabilities(
    row_starts: Any,
    columns: Any,
    slots: Any,
    counts: Any,
    shares: Any,
    of_targets: bool,
    least: float,
    product: Any,
) -> None:
    """Multiplies each pair of words' entry of `product` by its probability in one view.

    Args:
        row_starts: As in `lexicon.Lexicon`, as `columns` is.
        columns: Target word of each slot.
        slots: (num_slots,) number of each pair in the view.
        counts: (num_view_slots,) expected counts and pseudo-counts.
        shares: By given word: 1 / sum of the counts of the stem that it has in the view.
        of_targets: Whether the source word is given.
        least: Lowest probability.
        product: (num_slots,) the product over views so far.
    """
    for row in range(row_starts.size - 1):
        for slot in range(row_starts[row], row_starts[row + 1]):
            share = shares[row] if of_targets else shares[columns[slot]]
            place = slots[slot] if slots.size else slot
            product[slot] *= max(counts[place] * share, least)
