"""The alignment error rate: how far links are from those that people drew."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from lingraft.alignment.links import Links
from lingraft.errors import InputError

_LinkSets = Sequence[AbstractSet[tuple[int, int]]]


@dataclass(frozen=True)
class AlignmentScore:
    """Sums over all pairs, from which the rates come; scores of parts add up to that of the whole.

    Attributes:
        num_sure_hits: |A ∩ S|, links found among the sure ones.
        num_possible_hits: |A ∩ P|, links found among the possible ones.
        num_links: |A|, links found.
        num_sure: |S|, sure links.
    """

    num_sure_hits: int
    num_possible_hits: int
    num_links: int
    num_sure: int

    def __add__(self, other: "AlignmentScore") -> "AlignmentScore":
        return AlignmentScore(
            self.num_sure_hits + other.num_sure_hits,
            self.num_possible_hits + other.num_possible_hits,
            self.num_links + other.num_links,
            self.num_sure + other.num_sure,
        )

    @property
    def value(self) -> float | None:
        """The alignment error rate 1 - (|A ∩ S| + |A ∩ P|) / (|A| + |S|); lower is better."""
        total = self.num_links + self.num_sure
        return 1 - (self.num_sure_hits + self.num_possible_hits) / total if total else None

    @property
    def reason(self) -> str | None:
        """Why `value` is None."""
        return None if self.num_links + self.num_sure else "neither links nor sure links"

    @property
    def precision(self) -> float | None:
        """|A ∩ P| / |A|, None without links."""
        return self.num_possible_hits / self.num_links if self.num_links else None

    @property
    def recall(self) -> float | None:
        """|A ∩ S| / |S|, None without sure links."""
        return self.num_sure_hits / self.num_sure if self.num_sure else None


def alignment_error_rate(
    links: Links | _LinkSets, sure: _LinkSets, possible: _LinkSets | None = None
) -> AlignmentScore:
    """Measures links against gold ones (Och and Ney 2003, section 5).

    Args:
        links: What an aligner found: `Links`, or a set of (source word, target word) per pair.
        sure: Gold links per pair that a good aligner must find.
        possible: Gold links per pair that it may find, the sure ones among them; `sure` if None.

    Raises:
        InputError: The numbers of pairs differ, or a sure link is not possible.
    """
    found = links.sets() if isinstance(links, Links) else links
    allowed = sure if possible is None else possible
    if not len(found) == len(sure) == len(allowed):
        raise InputError(
            expected=f"gold links for {len(found)} pairs",
            got=f"{len(sure)} sure and {len(allowed)} possible sets",
            where="alignment_error_rate",
        )
    score = AlignmentScore(0, 0, 0, 0)
    for number, (a, s, p) in enumerate(zip(found, sure, allowed, strict=True)):
        if not s <= p:
            raise InputError(
                expected="every sure link among the possible ones",
                got=f"{min(s - p)} among the sure alone",
                where=f"pair {number}",
                hint="add the sure links to the possible ones",
            )
        score += AlignmentScore(len(a & s), len(a & p), len(a), len(s))
    return score
