"""A text as counted words of token ids, in which merges can be tried out one after another."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from itertools import pairwise

Pair = tuple[int, int]


class Segments:
    """Words as sequences of ids, with the counts of neighbouring ids kept up to date.

    A merge looks only at the words that hold its pair, so its cost does not depend on the size of
    the text. Of the pair (x, x) in x x x one can be merged, and two are counted.

    Attributes:
        pair_counts: How often two ids stand side by side.
    """

    def __init__(self, words: Mapping[tuple[int, ...], int]) -> None:
        self.pair_counts: Counter[Pair] = Counter()
        self._words = [list(word) for word in words]
        self._counts = list(words.values())
        self._places: dict[Pair, set[int]] = defaultdict(set)
        for place, word in enumerate(self._words):
            self._count(place, word, self._counts[place])

    def merge(self, pair: Pair, merged: int) -> tuple[Counter[int], set[Pair]]:
        """Replaces a pair by one id, from left to right in every word.

        Returns:
            How often each id was taken up by the merges, and the pairs that are new.
        """
        taken: Counter[int] = Counter()
        fresh: set[Pair] = set()
        for place in self._places.pop(pair, ()):
            word, count = self._words[place], self._counts[place]
            joined = list(_joined(word, pair, merged))
            num_merged = len(word) - len(joined)
            if not num_merged:
                continue
            for part in pair:
                taken[part] += num_merged * count
            self._count(place, word, -count)
            self._count(place, joined, count)
            self._words[place] = joined
            fresh.update(found for found in pairwise(joined) if merged in found)
        return taken, fresh

    def _count(self, place: int, word: list[int], count: int) -> None:
        for pair in pairwise(word):
            self.pair_counts[pair] += count
            if count > 0:
                self._places[pair].add(place)


def _joined(word: list[int], pair: Pair, merged: int) -> Iterator[int]:
    at = 0
    while at < len(word):
        if word[at] == pair[0] and at + 1 < len(word) and word[at + 1] == pair[1]:
            yield merged
            at += 2
        else:
            yield word[at]
            at += 1
