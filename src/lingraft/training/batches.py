"""Packed batches in which no document sees another.

Documents are packed side by side into rows; attention is causal within a document and blocked
between documents, positions start anew. Axes: R rows, T tokens of a row.

Batches are cut by *bytes of text*, not by tokens: arms with different vocabularies then see the
same documents in the same step, and make the same number of steps for the same text.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from lingraft.corpus.records import Document
from lingraft.errors import InputError
from lingraft.seeds import derive
from lingraft.tokenizer.tokenizer import Tokenizer

IGNORED = -100

MIN_ALONE_SHARE = 0.5
"""Of a batch's rows, that a second pass through the model is worth: it costs its own overhead."""


@dataclass(frozen=True)
class Batch:
    """One optimiser step's worth of text.

    Attributes:
        x_RT: int64, token ids.
        labels_RT: int64, the ids to predict at each position, `IGNORED` where there is none.
        position_RT: int64, position within the document.
        segment_RT: int64, number of the document within its row; -1 on padding.
        num_bytes: UTF-8 bytes of the text.
        num_tokens: Tokens to predict.
    """

    x_RT: torch.Tensor
    labels_RT: torch.Tensor
    position_RT: torch.Tensor
    segment_RT: torch.Tensor
    num_bytes: int
    num_tokens: int

    @property
    def is_alone(self) -> bool:
        """Whether no row holds two documents: causal attention then needs no mask.

        Padding is at a row's end, where no token of the document looks.
        """
        return bool((self.segment_RT <= 0).all())

    def parted(self) -> list["Batch"]:
        """Returns the batch, or its rows of one document and the others where that saves time.

        Attention without a mask has faster kernels, and computes half of what one with a mask
        does. Each part has the bytes and tokens of the whole.
        """
        alone_R = (self.segment_RT <= 0).all(dim=1)
        share = float(alone_R.double().mean())
        if share == 1.0 or share < MIN_ALONE_SHARE:
            return [self]
        return [self._rows(alone_R), self._rows(~alone_R)]

    def pieces(self, most_rows: int) -> list["Batch"]:
        """Returns pieces of nearly as many rows, each with the bytes and tokens of the whole.

        Args:
            most_rows: Of a piece.
        """
        count = -(-len(self.x_RT) // most_rows)
        if count < 2:
            return [self]
        return [self._rows(chosen_R) for chosen_R in torch.arange(len(self.x_RT)).chunk(count)]

    def _rows(self, chosen_R: torch.Tensor) -> "Batch":
        return replace(
            self,
            x_RT=self.x_RT[chosen_R],
            labels_RT=self.labels_RT[chosen_R],
            position_RT=self.position_RT[chosen_R],
            segment_RT=self.segment_RT[chosen_R],
        )

    def blocked_mask(self, dtype: torch.dtype, *, causal: bool = True) -> torch.Tensor:
        """Returns the additive attention mask (R, 1, T, T): within one document only.

        Args:
            dtype: Of the mask.
            causal: Whether a token sees only itself and what is before it.
        """
        segment_RT = self.segment_RT
        length = segment_RT.shape[1]
        seen_RTT = segment_RT[:, :, None] == segment_RT[:, None, :]
        if causal:
            seen_RTT &= torch.ones(length, length, dtype=torch.bool).tril()
        mask = torch.zeros(seen_RTT.shape, dtype=dtype)
        mask.masked_fill_(~seen_RTT, torch.finfo(dtype).min)
        return mask[:, None]


@dataclass(frozen=True)
class Packing:
    """How text becomes batches.

    Attributes:
        batch_bytes: Text of one optimiser step, in UTF-8 bytes.
        window_tokens: Longest piece of a document that the model sees at once, start and end
            tokens included.
        start_token: Id before every document.
        end_token: Id after every document, learnt so that the model can stop; None for none.
    """

    batch_bytes: int
    window_tokens: int
    start_token: int
    end_token: int | None

    def __post_init__(self) -> None:
        if self.batch_bytes < 1 or self.window_tokens < 2:
            raise InputError(
                expected="batches of at least 1 byte and windows of at least 2 tokens",
                got=f"{self.batch_bytes} bytes and {self.window_tokens} tokens",
                where="packing",
            )


def shuffled(documents: Sequence[Document], *, seed: int) -> Iterator[Document]:
    """Yields the documents that have text for ever, each epoch in its own order."""
    full = [document for document in documents if document.text]
    epoch = 0
    while full:
        generator = np.random.default_rng(derive(seed, "order", epoch))
        for index in generator.permutation(len(full)).tolist():
            yield full[index]
        epoch += 1


def text_of_steps(
    documents: Sequence[Document], *, batch_bytes: int, seed: int, max_bytes: int | None
) -> Iterator[list[Document]]:
    """Yields the documents of each step; step k ends where k + 1 times `batch_bytes` are reached.

    With `max_bytes` the stream ends before the first document that would exceed it. The order
    depends on the seed alone, so that a shorter budget is a prefix of a longer one.
    """
    step: list[Document] = []
    total, edge = 0, batch_bytes
    for document in shuffled(documents, seed=seed):
        size = len(document.text.encode("utf-8"))
        if max_bytes is not None and total + size > max_bytes:
            break
        step.append(document)
        total += size
        if total >= edge:
            yield step
            step = []
            while edge <= total:
                edge += batch_bytes
    if step:
        yield step


def pack(documents: Sequence[Document], *, tokenizer: Tokenizer, packing: Packing) -> Batch:
    """Packs documents into as few rows as first-fit by falling length finds."""
    texts = [document.text for document in documents]
    pieces = [piece for ids in tokenizer.encode_batch(texts) for piece in _windows(ids, packing)]
    length = min(packing.window_tokens, _row_length(pieces))
    rows: list[list[list[int]]] = []
    room: list[int] = []
    for piece in sorted(pieces, key=len, reverse=True):
        row = next((at for at, free in enumerate(room) if free >= len(piece)), None)
        if row is None:
            rows.append([])
            room.append(length)
            row = len(rows) - 1
        rows[row].append(piece)
        room[row] -= len(piece)
    return _tensors(
        rows, length=length - min(room), num_bytes=sum(len(t.encode("utf-8")) for t in texts)
    )


def _windows(ids: list[int], packing: Packing) -> list[list[int]]:
    """Cuts a document into pieces that each begin with the start token."""
    whole = ids if packing.end_token is None else [*ids, packing.end_token]
    room = packing.window_tokens - 1
    return [
        [packing.start_token, *whole[at : at + room]] for at in range(0, max(len(whole), 1), room)
    ]


def _row_length(pieces: list[list[int]]) -> int:
    """Rows of about 256 tokens: attention stays cheap, and the longest document fits."""
    return max(256, max(len(piece) for piece in pieces))


def _tensors(rows: list[list[list[int]]], *, length: int, num_bytes: int) -> Batch:
    shape = (len(rows), length)
    x_RT = torch.zeros(shape, dtype=torch.long)
    labels_RT = torch.full(shape, IGNORED, dtype=torch.long)
    position_RT = torch.zeros(shape, dtype=torch.long)
    segment_RT = torch.full(shape, -1, dtype=torch.long)
    num_tokens = 0
    for row, pieces in enumerate(rows):
        at = 0
        for segment, piece in enumerate(pieces):
            ids = torch.tensor(piece)
            span = slice(at, at + len(piece))
            x_RT[row, span] = ids
            labels_RT[row, at : at + len(piece) - 1] = ids[1:]
            position_RT[row, span] = torch.arange(len(piece))
            segment_RT[row, span] = segment
            num_tokens += len(piece) - 1
            at += len(piece)
    return Batch(x_RT, labels_RT, position_RT, segment_RT, num_bytes, num_tokens)
