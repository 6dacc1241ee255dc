"""Bits per byte: what a text costs under a model, in a unit that no tokenizer can bend."""

import math
from collections.abc import Iterable, Sequence

from lingraft.corpus.records import Document, data_hash
from lingraft.measurement.protocols import Scored, Scorer
from lingraft.measurement.score import Score, bootstrap_interval

VERSION = 1


def bits_per_byte(scorer: Scorer, documents: Iterable[Document], *, seed: int = 0) -> Score:
    """Measures the bits that a model needs for each byte of documents.

    total nats / (ln 2 · total UTF-8 bytes of the text itself). Each document stands alone: no
    text before it, and nothing after it is scored. Special tokens add no bytes, and the end token
    costs no nats. The text is the original one: where a tokenizer loses bytes of it (unknown
    token, lossy normalisation), the likelihood is of another text and the score is None, as it is
    without documents and where a likelihood is not finite.

    Perplexities of tokens cannot be compared between vocabularies, and scaling them by a ratio of
    token counts is linear where an exponent is needed (arXiv 2408.04303 printed 60 for what is
    3,800); sums of nats and bytes have neither trap, and add over parts of a corpus.

    Args:
        scorer: The model.
        documents: Texts, none of which the model should have seen.
        seed: Of the bootstrap over documents for the interval.

    Returns:
        A score in bits per byte with a 95 % interval over documents.
    """
    texts = [document.text for document in documents]
    scored = scorer.score([("", text) for text in texts])
    reason = _reason(scored)
    items = tuple((_nats(item), float(item.num_bytes)) for item in scored)
    scale = 1 / math.log(2)
    return Score(
        name="bits_per_byte",
        unit="bits/byte",
        numerator=math.fsum(nats for nats, _ in items),
        denominator=math.fsum(num_bytes for _, num_bytes in items),
        scale=scale,
        items=items,
        signature={
            "data": data_hash(texts),
            "method": "bits_per_byte",
            "version": VERSION,
            "seed": seed,
            **scorer.signature,
        },
        interval=None if reason else bootstrap_interval(items, scale=scale, seed=seed),
        reason=reason,
        statistics={
            "num_documents": len(texts),
            "num_tokens": sum(item.num_tokens for item in scored),
        },
    )


def _reason(scored: Sequence[Scored]) -> str:
    """Says why these costs have no sum that means anything, or nothing."""
    if not scored:
        return "no documents"
    for item in scored:
        if item.nats is None:
            return item.reason or "a document has no likelihood"
        if not math.isfinite(item.nats):
            return "a document has no finite likelihood"
    return ""


def _nats(item: Scored) -> float:
    """Undefined costs count nothing, so that records stay JSON; the reason stands beside them."""
    return item.nats if item.nats is not None and math.isfinite(item.nats) else 0.0
