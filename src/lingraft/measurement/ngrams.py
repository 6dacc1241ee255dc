"""What counting alone reaches: the floor under every claim of transfer.

Unigram and Kneser-Ney n-gram models over a tokenizer's ids (Kneser and Ney 1995, interpolated as
in Chen and Goodman 1999, section 2.8, with one discount an order, D = n1 / (n1 + 2 n2)). They
share the vocabulary with the model that they are compared with, so that no difference can come
from the tokens.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lingraft.corpus.records import Document
from lingraft.errors import InputError
from lingraft.measurement.protocols import Scored
from lingraft.measurement.requests import TokenizedRequest, tokenize_requests
from lingraft.tokenizer.tokenizer import Tokenizer

_START = -1
Context = tuple[int, ...]


@dataclass(frozen=True)
class _Order:
    """Counts of one order: (context, token), and the sums that smoothing needs.

    `counts` are token counts at the highest order and numbers of distinct left neighbours below.
    """

    counts: Mapping[tuple[Context, int], int]
    totals: Mapping[Context, int]
    num_types: Mapping[Context, int]
    discount: float

    def probability(self, context: Context, token: int, lower: float) -> float:
        """Interpolates (c − D)⁺ / Σc with the lower order's probability."""
        total = self.totals.get(context, 0)
        if total == 0:
            return lower
        count = self.counts.get((context, token), 0)
        reserved = self.discount * self.num_types[context]
        return (max(count - self.discount, 0.0) + reserved * lower) / total


class NgramScorer:
    """A Kneser-Ney model of some order, and a `Scorer` of texts.

    Args:
        documents: The text to count.
        tokenizer: Cuts it; also the vocabulary of the uniform distribution at the bottom.
        order: 1 for unigrams, 3 for trigrams; 0 for the uniform distribution.

    Raises:
        InputError: The order is negative.
    """

    def __init__(self, documents: Iterable[Document], *, tokenizer: Tokenizer, order: int) -> None:
        if order < 0:
            raise InputError(expected="an order of at least 0", got=str(order), where="order")
        self._tokenizer = tokenizer
        self._order = order
        texts = [document.text for document in documents]
        self._num_bytes = sum(len(text.encode("utf-8")) for text in texts)
        # Special tokens spell no text: they get no counts and no share of the uniform part.
        pieces = tokenizer.vocabulary.pieces
        self._num_types = sum(piece is not None for piece in pieces)
        self._orders = _count(
            ([i for i in ids if pieces[i] is not None] for ids in tokenizer.encode_batch(texts)),
            order,
        )

    @property
    def signature(self) -> dict[str, Any]:
        """Order, smoothing and bytes counted."""
        return {
            "model": f"{self._order}-gram counts",
            "smoothing": "interpolated Kneser-Ney",
            "counted_bytes": self._num_bytes,
            "vocab_size": self._num_types,
        }

    def probability(self, context: Context, token: int) -> float:
        """Returns p(token | context); the context is cut to the order's length."""
        probability = 1.0 / self._num_types
        for size, counts in enumerate(self._orders):
            if size > len(context):
                break
            suffix = context[len(context) - size :]
            probability = counts.probability(suffix, token, probability)
        return probability

    def score(self, requests: Sequence[tuple[str, str]]) -> list[Scored]:
        """Scores continuations; a prompt is context without cost."""
        return [self._score(request) for request in tokenize_requests(requests, self._tokenizer)]

    def _score(self, request: TokenizedRequest) -> Scored:
        if request.reason:
            return Scored(None, request.num_bytes, request.num_tokens, request.reason)
        size = max(self._order - 1, 0)
        history = (*[_START] * size, *request.ids)
        nats = [
            -math.log(self.probability(history[at : at + size], token))
            for at, token in enumerate(request.ids)
            if at >= request.first
        ]
        return Scored(math.fsum(nats), request.num_bytes, request.num_tokens)


def _count(texts: Iterable[Sequence[int]], order: int) -> list[_Order]:
    """Counts all orders, the lowest first; below the highest, distinct left neighbours count."""
    highest: Counter[tuple[int, ...]] = Counter()
    for ids in texts:
        padded = [_START] * (order - 1) + list(ids)
        highest.update(zip(*(padded[shift:] for shift in range(order)), strict=False))
    orders = []
    counts: Counter[tuple[int, ...]] = highest
    for _ in range(order):
        orders.append(_smoothed(counts))
        # Continuation counts: how many different tokens stand before (n − 1)-gram.
        counts = Counter(gram[1:] for gram in counts)
    return orders[::-1]


def _smoothed(grams: Mapping[tuple[int, ...], int]) -> _Order:
    totals: Counter[Context] = Counter()
    num_types: Counter[Context] = Counter()
    for gram, count in grams.items():
        totals[gram[:-1]] += count
        num_types[gram[:-1]] += 1
    of_counts = Counter(grams.values())
    once, twice = of_counts[1], of_counts[2]
    # Without singletons nothing tells how much to reserve: half a count is the customary guess.
    discount = once / (once + 2 * twice) if once else 0.5
    counts = {(gram[:-1], gram[-1]): count for gram, count in grams.items()}
    return _Order(counts, totals, num_types, min(discount, 0.99))
