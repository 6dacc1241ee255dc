"""Whether one vocabulary was made out of another, so that its tokens are the other's tokens."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from lingraft.tokenizer.tokenizer import Tokenizer


@dataclass(frozen=True)
class Descent:
    """How a vocabulary came out of another.

    Attributes:
        kind: ``"extended"`` if it has all tokens of the other, else ``"pruned"``.
        kept: New id to old id of every token that both have, in ascending order of new ids.
    """

    kind: Literal["extended", "pruned"]
    kept: Mapping[int, int]


def descent(source: Tokenizer, target: Tokenizer) -> Descent | None:
    """Returns how one vocabulary was extended or pruned to the other, or None if it was not.

    Vocabularies of different origin have tokens in common too, but each has some of its own; what
    their common tokens mean is for a transfer method to say. A token is the same where spelling
    and bytes are the same. Ids without any token are kept where they are, as their rows are.
    """
    old_ids, new_ids = (t.backend.get_vocab(with_added_tokens=True) for t in (source, target))
    kept = {
        number: old_ids[token]
        for token, number in new_ids.items()
        if token in old_ids
        and source.vocabulary.pieces[old_ids[token]] == target.vocabulary.pieces[number]
    }
    if len(kept) < min(len(old_ids), len(new_ids)):
        return None
    extended = len(kept) == len(old_ids)
    if extended:
        shared = range(min(len(source), len(target)))
        gaps = set(shared) - set(old_ids.values()) - set(new_ids.values())
        kept |= {number: number for number in gaps}
    return Descent("extended" if extended else "pruned", dict(sorted(kept.items())))
