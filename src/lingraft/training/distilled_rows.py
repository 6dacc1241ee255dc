"""Rows of new tokens learnt from what the model makes of their split form.

Token Distillation: Dobler & de Melo 2025, arXiv 2505.20133. For a model that already reads the
language in small pieces; one that does not has nothing to distil. Input rows only: what predicts
a token is not in the states behind it.
Axes: B snippets, T tokens, D width, N new tokens.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel

from lingraft.corpus.records import Document
from lingraft.embeddings.matrix import EmbeddingMatrix, Origin
from lingraft.embeddings.pieces import pieces_rows, spell
from lingraft.errors import InputError
from lingraft.seeds import derive
from lingraft.tokenizer.tokenizer import Tokenizer

# The published settings (README of the authors' code).
NUM_SNIPPETS = 100
SNIPPET_TOKENS = 50
LEARNING_RATE = 1e-4
_TEXTS_AT_ONCE = 256


@dataclass(frozen=True)
class Snippet:
    """One place of a text at which a new token stands for several source tokens.

    Attributes:
        token: Id of the new token.
        before: Source ids before it.
        split: Source ids of its bytes.
        after: Source ids behind it.
    """

    token: int
    before: tuple[int, ...]
    split: tuple[int, ...]
    after: tuple[int, ...]


def learned_rows(
    source_rows: NDArray[np.float32],
    *,
    model: PreTrainedModel,
    source: Tokenizer,
    target: Tokenizer,
    documents: Sequence[Document],
    seed: int,
    num_snippets: int = NUM_SNIPPETS,
    snippet_tokens: int = SNIPPET_TOKENS,
    learning_rate: float = LEARNING_RATE,
    batch_size: int = 16,
) -> EmbeddingMatrix:
    """Learns each new token's row so that the model goes on from it as from its split form.

    A row starts as the mean of the source pieces that spell the token. In snippets of text the
    pieces are replaced by it, and the squared distance between the last layer's states, at the
    token (its last piece) and behind it, is lowered by Adam on that row alone.

    Rules: ``"special"`` and ``"copied"`` (0), ``"learned"`` (0; support is the number of
    snippets), ``"pieces"`` (2, no snippet was found), ``"mean"`` (3).

    Args:
        source_rows: float32 (V_source, D), the model's input rows.
        model: The source model, on any device; left as it is.
        source: Its tokenizer.
        target: The new tokenizer.
        documents: Text of the new language.
        seed: Of the order of documents and snippets.
        num_snippets: Of each token, at most.
        snippet_tokens: Source tokens of a snippet, at most.
        learning_rate: Adam's.
        batch_size: Snippets of one step.

    Returns:
        Rows (V_target, D).

    Raises:
        InputError: The rows are not those of the model's width, or a setting is not positive.
    """
    _check(source_rows, model, num_snippets, snippet_tokens, learning_rate, batch_size)
    start = pieces_rows(source_rows, source=source, target=target)
    snippets = find_snippets(
        documents,
        source=source,
        target=target,
        seed=seed,
        num_snippets=num_snippets,
        snippet_tokens=snippet_tokens,
    )
    counts = np.bincount([snippet.token for snippet in snippets], minlength=len(target))
    tokens = np.flatnonzero(counts)
    rows = start.rows.copy()
    if len(tokens):
        rows[tokens] = _distil(
            start.rows[tokens],
            [(int(np.searchsorted(tokens, snippet.token)), snippet) for snippet in snippets],
            model=model,
            first=source.role_id("bos_token"),
            seed=seed,
            learning_rate=learning_rate,
            batch_size=batch_size,
        )
    origins = [
        Origin("learned", support=float(counts[token])) if counts[token] else start.origin(token)
        for token in range(len(target))
    ]
    return EmbeddingMatrix.from_origins(rows, origins, method="learned")


def find_snippets(
    documents: Sequence[Document],
    *,
    source: Tokenizer,
    target: Tokenizer,
    seed: int,
    num_snippets: int,
    snippet_tokens: int,
) -> list[Snippet]:
    """Returns up to `num_snippets` places of each new token, in random order.

    A place counts where the text's source tokens begin and end with the new token, since else
    there is no split form of it there. Only tokens that the source spells in two or more are new.

    Args:
        documents: Text.
        source: The model's tokenizer.
        target: The new tokenizer.
        seed: Of the order.
        num_snippets: Of each token, at most.
        snippet_tokens: Source tokens of a snippet, at most, half of them before the token.
    """
    wanted = {
        token: num_snippets
        for token, piece in enumerate(target.vocabulary.pieces)
        if piece is not None
        and piece not in source.vocabulary.ids_by_bytes
        and len(spell(piece, source)) > 1
    }
    generator = np.random.default_rng(derive(seed, "learned_rows", "documents"))
    order = generator.permutation(len(documents)).tolist()
    found: list[Snippet] = []
    for first in range(0, len(order), _TEXTS_AT_ONCE):
        texts = [documents[number].text for number in order[first : first + _TEXTS_AT_ONCE]]
        cut = zip(source.encode_batch(texts), target.encode_batch(texts), strict=True)
        for source_ids, target_ids in cut:
            for token, begin, end in _replaceable(source_ids, target_ids, source, target):
                if wanted.get(token, 0):
                    wanted[token] -= 1
                    room = max(snippet_tokens - (end - begin), 0)
                    front = max(begin - room // 2, 0)
                    found.append(
                        Snippet(
                            token,
                            before=tuple(source_ids[front:begin]),
                            split=tuple(source_ids[begin:end]),
                            after=tuple(source_ids[end : end + room - (begin - front)]),
                        )
                    )
    shuffle = np.random.default_rng(derive(seed, "learned_rows", "snippets"))
    return [found[number] for number in shuffle.permutation(len(found)).tolist()]


def _replaceable(
    source_ids: list[int], target_ids: list[int], source: Tokenizer, target: Tokenizer
) -> Iterator[tuple[int, int, int]]:
    """Yields (target token, begin, end) where source tokens begin to end - 1 spell that token."""
    pieces = source.vocabulary.pieces
    ours, theirs = target.vocabulary.bytes_of(target_ids), source.vocabulary.bytes_of(source_ids)
    if ours.removeprefix(b" ") != theirs.removeprefix(b" "):
        return  # a tokenizer that changes the text: its tokens cannot be compared by place
    place, at = len(theirs) - len(ours), 0  # one of them may put a space in front
    edges = {place: 0}
    for number, token in enumerate(source_ids):
        edges.setdefault(at, number)
        at += len(pieces[token] or b"")
        edges[at] = number + 1
    for token in target_ids:
        end = place + len(target.vocabulary.pieces[token] or b"")
        if place in edges and end in edges and edges[end] - edges[place] > 1:
            yield token, edges[place], edges[end]
        place = end


def _distil(
    start_ND: NDArray[np.float32],
    snippets: Sequence[tuple[int, Snippet]],
    *,
    model: PreTrainedModel,
    first: int | None,
    seed: int,
    learning_rate: float,
    batch_size: int,
) -> NDArray[np.float32]:
    """Returns the learnt rows (N, D); snippets name their row by number."""
    rows_ND = torch.nn.Parameter(torch.tensor(start_ND, device=model.device))
    # Only the rows of a step's own snippets move: Adam's running means would else push the rest.
    optimizer = torch.optim.SparseAdam([rows_ND], lr=learning_rate)
    was_training = model.training
    model.eval()
    try:
        for at in range(0, len(snippets), batch_size):
            batch = snippets[at : at + batch_size]
            loss = _distance(model, rows_ND, batch, first)
            # Gradients of the rows alone: those of the model would be kept on its parameters.
            [rows_ND.grad] = torch.autograd.grad(loss, [rows_ND])
            optimizer.step()  # type: ignore[no-untyped-call]
    finally:
        model.train(was_training)
    learned: NDArray[np.float32] = rows_ND.detach().cpu().numpy()
    return learned


def _distance(
    model: PreTrainedModel,
    rows_ND: torch.Tensor,
    batch: Sequence[tuple[int, Snippet]],
    first: int | None,
) -> torch.Tensor:
    """Mean squared distance of the states at and behind the token, over the batch."""
    front = () if first is None else (first,)
    split = [(*front, *s.before, *s.split, *s.after) for _, s in batch]
    # Any id holds the new token's place: its row is put there instead.
    whole = [(*front, *s.before, s.split[-1], *s.after) for _, s in batch]
    places = [len(front) + len(s.before) for _, s in batch]
    sizes = [1 + len(s.after) for _, s in batch]
    with torch.no_grad():
        theirs_BTD = _states(model, _embedded(model, split), split)
    x_BTD = _embedded(model, whole)
    numbers_B = torch.tensor([number for number, _ in batch], device=model.device)
    scale = getattr(model.get_input_embeddings(), "embed_scale", 1.0)  # Gemma scales what it reads
    new_BD = torch.nn.functional.embedding(numbers_B, rows_ND, sparse=True) * scale
    x_BTD[torch.arange(len(batch)), places] = new_BD.to(x_BTD.dtype)
    ours_BTD = _states(model, x_BTD, whole)
    distances = []
    for number, (place, size) in enumerate(zip(places, sizes, strict=True)):
        last = len(split[number]) - size
        wanted_TD = theirs_BTD[number, last : last + size]
        distances.append(
            (ours_BTD[number, place : place + size] - wanted_TD).float().square().mean()
        )
    return torch.stack(distances).mean()


def _embedded(model: PreTrainedModel, texts: Sequence[Sequence[int]]) -> torch.Tensor:
    """Rows of the ids, padded on the right: under causal attention nothing sees the padding."""
    longest = max(map(len, texts))
    padded = [[*ids, *[0] * (longest - len(ids))] for ids in texts]
    with torch.no_grad():
        x_BTD: torch.Tensor = model.get_input_embeddings()(
            torch.tensor(padded, device=model.device)
        )
    return x_BTD.clone()


def _states(
    model: PreTrainedModel, x_BTD: torch.Tensor, texts: Sequence[Sequence[int]]
) -> torch.Tensor:
    """Last hidden states, without the head."""
    mask_BT = torch.tensor(
        [[number < len(ids) for number in range(x_BTD.shape[1])] for ids in texts],
        dtype=torch.long,
        device=model.device,
    )
    states = model.base_model(inputs_embeds=x_BTD, attention_mask=mask_BT, use_cache=False)
    states_BTD: torch.Tensor = states.last_hidden_state
    return states_BTD


def _check(
    source_rows: NDArray[np.float32],
    model: PreTrainedModel,
    num_snippets: int,
    snippet_tokens: int,
    learning_rate: float,
    batch_size: int,
) -> None:
    width = model.get_input_embeddings().weight.shape[1]
    if source_rows.ndim != 2 or source_rows.shape[1] != width:
        raise InputError(
            expected=f"the model's input rows, {width} wide",
            got=f"shape {source_rows.shape}",
            where="source_rows",
        )
    numbers = {
        "num_snippets": num_snippets,
        "snippet_tokens": snippet_tokens,
        "learning_rate": learning_rate,
        "batch_size": batch_size,
    }
    for name, value in numbers.items():
        if not value > 0:
            raise InputError(expected="a number above 0", got=str(value), where=name)
