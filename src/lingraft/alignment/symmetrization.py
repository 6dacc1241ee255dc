"""Ways to make one set of links out of the two directions' of an aligner.

`align` combines posteriors; the functions on sets serve links that other aligners wrote, each
direction to its own Pharaoh file, both with the source word first.
"""

from collections.abc import Set

import numpy as np
import numpy.typing as npt

_Link = tuple[int, int]
_NEIGHBOURS = ((-1, 0), (0, -1), (1, 0), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1))


def mean_of_posteriors(
    forward: npt.NDArray[np.float32], backward: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Returns the mean: high where one direction is sure and the other not against it.

    The geometric mean, tried first, asks for both and misses the words that one word of the other
    language renders; its error rate is higher on all gold sets (docs/log.md, "aligner: views").
    """
    # A float32 posterior can exceed 1 by its last bit.
    mean: npt.NDArray[np.float32] = np.minimum((forward + backward) / 2, 1).astype(np.float32)
    return mean


def intersection(forward: Set[_Link], backward: Set[_Link]) -> set[_Link]:
    """Returns the links of one pair that both directions have."""
    return set(forward) & set(backward)


def union(forward: Set[_Link], backward: Set[_Link]) -> set[_Link]:
    """Returns the links of one pair that either direction has."""
    return set(forward) | set(backward)


def grow_diag_final_and(forward: Set[_Link], backward: Set[_Link]) -> set[_Link]:
    """Grows the intersection of one pair into the union (Koehn, Och and Marcu 2003).

    First, again and again, by links of the union that neighbour a link (diagonally too) and have
    an unlinked word on either side; then by links, forward ones first, whose both words are
    unlinked.
    """
    links = intersection(forward, backward)
    candidates = union(forward, backward)
    sources, targets = {i for i, _ in links}, {j for _, j in links}

    def add(link: _Link) -> None:
        links.add(link)
        sources.add(link[0])
        targets.add(link[1])

    grown = True
    while grown:
        grown = False
        # Rounds over what is there in the order of the words, as Moses does, fix the outcome.
        for i, j in sorted(links):
            for di, dj in _NEIGHBOURS:
                link = i + di, j + dj
                unlinked = link[0] not in sources or link[1] not in targets
                if unlinked and link in candidates and link not in links:
                    add(link)
                    grown = True
    for direction in (forward, backward):
        for link in sorted(direction):
            if link[0] not in sources and link[1] not in targets:
                add(link)
    return links
