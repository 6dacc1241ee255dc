"""Fewer tokens for a BPE tokenizer, chosen so that what stays is reached as before.

Only leaves are cut: tokens that no remaining merge needs. A token that stays keeps all the merges
that lead to it, and a text that used a cut token falls back on that token's parts.
"""

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lingraft.corpus.records import Document
from lingraft.errors import InputError
from lingraft.tokenizer.bpe_rules import BpeRules, read_rules, with_rules
from lingraft.tokenizer.tokenizer import Tokenizer
from lingraft.tokenizer.vocabulary import spelling_of

_NUM_BYTES = 256


@dataclass(frozen=True)
class Pruning:
    """A shorter tokenizer and where its tokens come from.

    Attributes:
        tokenizer: The tokenizer, whose ids have no gaps.
        id_map: Old id to new id of every token that stayed, in ascending order of both.
        num_tokens_before: Tokens of the text under the old tokenizer.
        num_tokens_after: Tokens of the text under the new one.
    """

    tokenizer: Tokenizer
    id_map: Mapping[int, int]
    num_tokens_before: int
    num_tokens_after: int


def prune(base: Tokenizer, documents: Iterable[Document], *, vocab_size: int) -> Pruning:
    """Removes the tokens that a text needs least.

    The rarest leaf goes first, of equally rare ones the highest id. When a token goes, its count
    goes to the parts of its first merge, which may become leaves in turn. Special and other
    added tokens stay, and so do bytes; single characters stay as well, unless the vocabulary can
    spell every character in bytes.

    Args:
        base: A BPE tokenizer; left as it is.
        documents: Text that says which tokens are rare: of all languages that are to stay.
        vocab_size: Number of ids to reach.

    Returns:
        The tokenizer, the map of ids, and what the text costs before and after.

    Raises:
        InputError: No BPE, no text, or a size that cannot be reached.
    """
    rules = read_rules(base)
    staying = _staying(base, rules)
    if not len(staying) <= vocab_size <= len(rules.ids):
        raise InputError(
            expected=f"from {len(staying)} ids (bytes or characters, and added tokens) to "
            f"{len(rules.ids)}, which the tokenizer has",
            got=str(vocab_size),
            where="vocab_size",
        )
    texts = [document.text for document in documents]
    if not any(texts):
        raise InputError(
            expected="text that says which tokens are rare", got="no text", where="documents"
        )
    encoded = base.encode_batch(texts)
    counts = Counter(number for ids in encoded for number in ids)
    removed = _rarest_leaves(rules, staying, counts, num_removed=len(rules.ids) - vocab_size)
    kept = [token for token in rules.ids if token not in removed]
    merges = [pair for pair in rules.merges if "".join(pair) not in removed]
    pruned = with_rules(base, {token: new for new, token in enumerate(kept)}, merges)
    return Pruning(
        tokenizer=pruned,
        id_map={rules.ids[token]: new for new, token in enumerate(kept)},
        num_tokens_before=sum(counts.values()),
        num_tokens_after=sum(len(ids) for ids in pruned.encode_batch(texts)),
    )


def _rarest_leaves(
    rules: BpeRules, staying: frozenset[str], counts: Counter[int], *, num_removed: int
) -> set[str]:
    uses: Counter[str] = Counter(part for pair in rules.merges for part in pair)
    made_by: dict[str, list[tuple[str, str]]] = {}
    for pair in rules.merges:
        made_by.setdefault("".join(pair), []).append(pair)
    num_occurrences = {token: counts[number] for token, number in rules.ids.items()}

    def entry(token: str) -> tuple[int, int, str]:
        return num_occurrences[token], -rules.ids[token], token

    leaves = [entry(token) for token in rules.ids if token not in staying and not uses[token]]
    heapq.heapify(leaves)
    removed: set[str] = set()
    while len(removed) < num_removed:
        occurrences, _, token = heapq.heappop(leaves)
        removed.add(token)
        for first, pair in enumerate(made_by.get(token, [])):
            for part in pair:
                num_occurrences[part] += 0 if first else occurrences
            for part in set(pair):
                uses[part] -= pair.count(part)
                if not uses[part] and part not in staying:
                    heapq.heappush(leaves, entry(part))
    return removed


def _staying(base: Tokenizer, rules: BpeRules) -> frozenset[str]:
    """Tokens without which some text could not be spelt, and those that are no text."""
    fallback = {token for token, number in rules.ids.items() if number in base.vocabulary.fallback}
    spelt_in_bytes = rules.byte_fallback and len(fallback) == _NUM_BYTES
    sentencepiece = spelling_of(base.to_json()) == "sentencepiece"
    space = {"\N{LOWER ONE EIGHTH BLOCK}"} & rules.ids.keys() if sentencepiece else set()
    singles = {token for token in rules.ids if len(token) == 1}
    unknown = base.to_json()["model"].get("unk_token")
    named = {token for token in (unknown, *base.roles.values()) if token in rules.ids}
    staying = set(rules.added | fallback | named | (space if spelt_in_bytes else singles))
    # A token of several merges stays with all that leads to it.
    parts: dict[str, list[str]] = {}
    for pair in rules.merges:
        parts.setdefault("".join(pair), []).extend(pair)
    found = list(staying)
    while found:
        needed = set(parts.get(found.pop(), ())) - staying
        staying |= needed
        found.extend(needed)
    return frozenset(staying)
