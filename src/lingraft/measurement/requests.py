"""How a prompt and its continuation become tokens: one way for every scorer."""

from collections.abc import Sequence
from dataclasses import dataclass

from lingraft.tokenizer.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class TokenizedRequest:
    """A prompt and its continuation as one sequence of tokens.

    Attributes:
        ids: Tokens of both.
        first: Where the continuation's tokens begin.
        num_bytes: UTF-8 bytes of the continuation.
        reason: Why the tokens are not the text's, or empty.
    """

    ids: list[int]
    first: int
    num_bytes: int
    reason: str

    @property
    def num_tokens(self) -> int:
        """Tokens of the continuation."""
        return len(self.ids) - self.first


def tokenize_requests(
    requests: Sequence[tuple[str, str]], tokenizer: Tokenizer
) -> list[TokenizedRequest]:
    """Encodes each (prompt, continuation) as the one text that they are.

    Encoding the two apart would give ids that the joined text never has. A token that spans both
    belongs to the continuation, which therefore has a token wherever it has a character.
    """
    encoded = tokenizer.encode_with_offsets([prompt + text for prompt, text in requests])
    return [
        TokenizedRequest(
            ids=ids,
            first=_first(spans, prompt),
            num_bytes=len(text.encode("utf-8")),
            reason=_loss(ids, prompt + text, tokenizer),
        )
        for (ids, spans), (prompt, text) in zip(encoded, requests, strict=True)
    ]


def _first(spans: list[tuple[int, int]], prompt: str) -> int:
    if not prompt:
        return 0
    return next((at for at, (_, end) in enumerate(spans) if end > len(prompt)), len(spans))


def _loss(ids: list[int], text: str, tokenizer: Tokenizer) -> str:
    """Says whether the ids spell another text; SentencePiece's own first space is not one."""
    spelt, whole = tokenizer.vocabulary.bytes_of(ids), text.encode("utf-8")
    return "" if spelt in (whole, b" " + whole) else "the tokenizer loses bytes of the text"
