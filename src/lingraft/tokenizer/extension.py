"""More tokens for a BPE tokenizer that goes on cutting its old language as before.

The base tokenizer's own merges are continued: new ones are learnt over the tokens into which it
cuts the new text, and come after all old ones. So every new token is reached by merges (a word
list put beside a tokenizer, as `add_tokens` does it, is matched before any rule and tears other
words apart), and a text in which no new pair stands side by side is cut as it was.
"""

import heapq
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice

import regex

from lingraft.corpus.records import Document
from lingraft.errors import InputError
from lingraft.tokenizer.bpe_rules import BpeRules, read_rules, with_rules
from lingraft.tokenizer.segments import Pair, Segments
from lingraft.tokenizer.tokenizer import Tokenizer
from lingraft.tokenizer.vocabulary import spelling_of

_SPACE_MARK = "\N{LOWER ONE EIGHTH BLOCK}"
# SentencePiece files may have no pre-tokenizer: without a rule of ours, words and punctuation
# would grow together into one token.
_ONE_KIND = regex.compile(
    rf"{_SPACE_MARK}*[\p{{L}}\p{{M}}]+|{_SPACE_MARK}*[^\s\p{{L}}\p{{M}}\p{{N}}{_SPACE_MARK}]+"
)


@dataclass(frozen=True)
class Extension:
    """A longer tokenizer and what it costs the old language.

    Attributes:
        tokenizer: The tokenizer; old tokens have their old ids, new ones follow.
        num_new: New tokens, characters included.
        num_characters: New tokens that are single characters which the base could not spell.
        num_refused: Merges and characters left out because the old text has them.
        num_unreachable: New tokens whose spelling is not cut into themselves; 0 unless the base's
            rules contradict each other.
        num_old_tokens: Tokens of the old text under the base tokenizer.
        num_changed_tokens: Those of them that are not tokens of that place any more.
    """

    tokenizer: Tokenizer
    num_new: int
    num_characters: int
    num_refused: int
    num_unreachable: int
    num_old_tokens: int
    num_changed_tokens: int

    @property
    def changed_share(self) -> float | None:
        """Share of the old text's tokens that changed; None without old text."""
        return self.num_changed_tokens / self.num_old_tokens if self.num_old_tokens else None


def extend_bpe(
    base: Tokenizer,
    documents: Iterable[Document],
    *,
    new_tokens: int,
    keep: Iterable[Document] = (),
    max_changed_share: float = 0.0,
    min_occurrences: int = 2,
) -> Extension:
    """Adds tokens for new text to a BPE tokenizer, with the merges that make them.

    The most frequent pair of neighbouring tokens inside words is merged, again and again; of
    equally frequent pairs the one of the lowest ids. A pair whose joined spelling is a token
    already is passed over: each new token has one merge, and cutting a text by the file gives
    what was counted here. Vocabularies of characters (SentencePiece) first get the characters of
    the new text that they cannot spell, the most frequent first, in at most half of the new ids.

    Args:
        base: A byte-level or SentencePiece-style BPE tokenizer; left as it is.
        documents: Text of the new language.
        new_tokens: How many tokens to add at most; fewer where the text has no more pairs.
        keep: Text of the old language, whose tokens are to stay.
        max_changed_share: A merge is refused once it could bring the changed tokens of `keep`
            above this share; at 0 no token of that text changes, at 1 none is refused.
        min_occurrences: How often a new token has to occur in the new text.

    Returns:
        The tokenizer, and how many tokens are new, refused, unreachable or changed.

    Raises:
        InputError: No text, no BPE, or a number out of its range.
    """
    if new_tokens < 1 or not 0 <= max_changed_share <= 1 or min_occurrences < 1:
        raise InputError(
            expected="new_tokens and min_occurrences of 1 or more, max_changed_share from 0 to 1",
            got=f"{new_tokens}, {min_occurrences} and {max_changed_share}",
            where="extend_bpe",
        )
    rules = read_rules(base)
    texts = [document.text for document in documents]
    old_texts = [document.text for document in keep]
    if not any(texts):
        raise InputError(expected="text to extend a tokenizer by", got="no text", where="documents")
    num_old_tokens = sum(len(ids) for ids in base.encode_batch(old_texts))
    budget = _Budget(int(max_changed_share * num_old_tokens), limited=max_changed_share < 1)
    missing = _missing_characters(base, rules, texts, old_texts, min_occurrences)
    allowed = (found for found, cost in missing if budget.allows(cost, spend=True))
    characters = list(islice(allowed, new_tokens // 2))
    spelt = base
    if characters:
        first = len(base)
        ids = {**rules.ids, **{found: first + k for k, found in enumerate(characters)}}
        spelt = with_rules(base, ids, rules.merges)
    merges = _learn(
        spelt,
        new=_words(spelt, texts),
        old=_words(spelt, old_texts),
        num_merges=new_tokens - len(characters),
        min_occurrences=min_occurrences,
        budget=budget,
    )
    added = [*characters, *("".join(pair) for pair in merges)]
    ids = {**rules.ids, **{token: len(base) + k for k, token in enumerate(added)}}
    extended = with_rules(base, ids, [*rules.merges, *merges])
    return Extension(
        tokenizer=extended,
        num_new=len(added),
        num_characters=len(characters),
        num_refused=budget.num_refused,
        num_unreachable=sum(len(extended.backend.model.tokenize(token)) != 1 for token in added),
        num_old_tokens=num_old_tokens,
        num_changed_tokens=changed_tokens(base, extended, old_texts),
    )


def changed_tokens(before: Tokenizer, after: Tokenizer, texts: Sequence[str]) -> int:
    """Counts the tokens of texts that another tokenizer does not put at the same place."""
    changed = 0
    pairs = zip(before.encode_with_offsets(texts), after.encode_with_offsets(texts), strict=True)
    for (old_ids, old_spans), (new_ids, new_spans) in pairs:
        old = Counter(zip(old_ids, old_spans, strict=True))
        old.subtract(Counter(zip(new_ids, new_spans, strict=True)))
        changed += sum(count for count in old.values() if count > 0)
    return changed


class _Budget:
    """How many tokens of the old text may still change."""

    def __init__(self, num_tokens: int, *, limited: bool) -> None:
        self.left, self.limited, self.num_refused = num_tokens, limited, 0

    def allows(self, cost: int, *, spend: bool = False) -> bool:
        if self.limited and cost > self.left:
            self.num_refused += 1
            return False
        self.left -= cost if spend else 0
        return True


def _learn(
    tokenizer: Tokenizer,
    *,
    new: Counter[tuple[int, ...]],
    old: Counter[tuple[int, ...]],
    num_merges: int,
    min_occurrences: int,
    budget: _Budget,
) -> list[tuple[str, str]]:
    """Returns new merges in their order, as pairs of spellings."""
    spellings = {
        number: token
        for token, number in tokenizer.backend.get_vocab(with_added_tokens=True).items()
    }
    num_old_ids = len(tokenizer)
    known = set(spellings.values())
    of_one_kind = spelling_of(tokenizer.to_json()) == "sentencepiece"
    segments, old_segments = Segments(new), Segments(old)
    queue = [(-count, pair) for pair, count in segments.pair_counts.items()]
    heapq.heapify(queue)
    merges: list[tuple[str, str]] = []
    passed_over: set[Pair] = set()
    while queue and len(merges) < num_merges:
        stale, pair = heapq.heappop(queue)
        count = segments.pair_counts[pair]
        if count < min_occurrences or pair in passed_over:
            continue
        if count != -stale:
            heapq.heappush(queue, (-count, pair))
            continue
        left, right = (spellings[part] for part in pair)
        # Every occurrence in the old text takes up those of its two parts that are old tokens.
        cost = old_segments.pair_counts[pair] * sum(part < num_old_ids for part in pair)
        if (
            left + right in known
            or (of_one_kind and not _ONE_KIND.fullmatch(left + right))
            or not budget.allows(cost)
        ):
            passed_over.add(pair)
            continue
        merged = num_old_ids + len(merges)
        spellings[merged] = left + right
        known.add(left + right)
        merges.append((left, right))
        _, fresh = segments.merge(pair, merged)
        taken, _ = old_segments.merge(pair, merged)
        budget.left -= sum(num for part, num in taken.items() if part < num_old_ids)
        for found in fresh:
            heapq.heappush(queue, (-segments.pair_counts[found], found))
    return merges


def _words(tokenizer: Tokenizer, texts: Sequence[str]) -> Counter[tuple[int, ...]]:
    """Counts the words of texts as the tokenizer cuts them before any merge, in its own ids.

    A word ends where the pre-tokenizer ends it, at tokens that no merge may take up (special and
    added tokens, raw bytes of SentencePiece), and before SentencePiece's space mark.
    """
    vocabulary = tokenizer.vocabulary
    added = {entry["id"] for entry in tokenizer.to_json()["added_tokens"]}
    closed = added | vocabulary.fallback | vocabulary.special.keys()
    starts: set[int] = set()
    if spelling_of(tokenizer.to_json()) == "sentencepiece":
        tokens = tokenizer.backend.get_vocab(with_added_tokens=False).items()
        starts = {number for token, number in tokens if token.startswith(_SPACE_MARK)}
    words: Counter[tuple[int, ...]] = Counter()
    for encoding in tokenizer.backend.encode_batch(list(texts), add_special_tokens=False):
        cut = zip(encoding.word_ids, encoding.ids, strict=True)
        for _, group in groupby(cut, key=lambda item: item[0]):
            words.update(_parts([number for _, number in group], closed, starts))
    return words


def _parts(ids: list[int], closed: set[int], starts: set[int]) -> Iterator[tuple[int, ...]]:
    part: list[int] = []
    for number in ids:
        if part and (number in closed or number in starts):
            yield tuple(part)
            part = []
        if number not in closed:
            part.append(number)
    if part:
        yield tuple(part)


def _missing_characters(
    base: Tokenizer,
    rules: BpeRules,
    texts: Sequence[str],
    old_texts: Sequence[str],
    min_occurrences: int,
) -> list[tuple[str, int]]:
    """Characters without a token that the new text needs, and how many old tokens each changes."""
    if spelling_of(base.to_json()) == "byte_level":
        return []
    counts, old_counts = _character_counts(base, texts), _character_counts(base, old_texts)
    missing = [
        character
        for character, count in counts.items()
        if character not in rules.ids
        and count >= min_occurrences
        and unicodedata.category(character)[0] in "LMNPS"
    ]
    missing.sort(key=lambda character: (-counts[character], character))
    # Raw bytes count one by one; an unknown character is one token.
    return [
        (found, old_counts[found] * (len(found.encode()) if rules.byte_fallback else 1))
        for found in missing
    ]


def _character_counts(base: Tokenizer, texts: Sequence[str]) -> Counter[str]:
    normalizer = base.backend.normalizer
    normal = texts if normalizer is None else [normalizer.normalize_str(text) for text in texts]
    return Counter(character for text in normal for character in text)
