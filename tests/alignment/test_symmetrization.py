"""Sets of links made into one, against hand-worked cases and what must always hold."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lingraft.alignment.symmetrization import (
    grow_diag_final_and,
    intersection,
    mean_of_posteriors,
    union,
)

link_sets = st.frozensets(st.tuples(st.integers(0, 5), st.integers(0, 5)))


@given(link_sets, link_sets)
def test_growth_stays_between_intersection_and_union(
    forward: frozenset, backward: frozenset
) -> None:
    grown = grow_diag_final_and(forward, backward)
    assert intersection(forward, backward) <= grown <= union(forward, backward)


@given(link_sets, link_sets)
def test_what_is_left_out_has_a_linked_word(forward: frozenset, backward: frozenset) -> None:
    grown = grow_diag_final_and(forward, backward)
    sources, targets = {i for i, _ in grown}, {j for _, j in grown}
    assert all(i in sources or j in targets for i, j in forward | backward)


@given(link_sets)
def test_directions_that_agree_are_kept(links: frozenset) -> None:
    assert grow_diag_final_and(links, links) == links


def test_growth_goes_diagonally_and_takes_far_links_only_between_unlinked_words() -> None:
    forward = {(0, 0), (1, 1), (4, 4), (2, 4)}
    backward = {(0, 0), (5, 0), (4, 4)}
    # (1, 1) neighbours (0, 0); (2, 4) and (5, 0) neighbour nothing and have a linked word.
    assert grow_diag_final_and(forward, backward) == {(0, 0), (1, 1), (4, 4)}
    assert grow_diag_final_and({(0, 0), (3, 3)}, {(0, 0)}) == {(0, 0), (3, 3)}
    # Forward links come first: (3, 3) takes the words that (3, 2) would need.
    assert grow_diag_final_and({(3, 3)}, {(3, 2)}) == {(3, 3)}
    # A neighbour with one unlinked word joins: word 0 gets a second translation.
    assert grow_diag_final_and({(0, 0), (0, 1)}, {(0, 0)}) == {(0, 0), (0, 1)}


def test_posteriors_combine_to_their_mean_and_never_exceed_1() -> None:
    over = np.nextafter(np.float32(1), np.float32(2))
    forward = np.array([0.25, over, 0.0], dtype=np.float32)
    backward = np.array([1.0, over, 0.5], dtype=np.float32)
    combined = mean_of_posteriors(forward, backward)
    assert combined.dtype == np.float32
    assert combined.tolist() == [0.625, 1.0, 0.25]
