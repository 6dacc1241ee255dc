"""Learnt rows: which places of a text teach, and that states come nearer to those of the pieces."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tokenizers
import torch
from numpy.testing import assert_array_equal
from transformers import PreTrainedModel

from lingraft.corpus.records import Document
from lingraft.embeddings import EmbeddingMatrix, Origin, pieces_rows
from lingraft.errors import InputError
from lingraft.tokenizer import Tokenizer
from lingraft.training.distilled_rows import find_snippets, learned_rows

SETTINGS: dict[str, Any] = {"seed": 0, "num_snippets": 4, "snippet_tokens": 12}


@pytest.fixture(scope="module", params=["llama_tied", "gpt2"])
def model(
    request: pytest.FixtureRequest,
    make_model: Callable[..., PreTrainedModel],
    other_tokenizer: Tokenizer,
) -> PreTrainedModel:
    return make_model(request.param, len(other_tokenizer))


def rows_of(model: PreTrainedModel) -> np.ndarray:
    return model.get_input_embeddings().weight.detach().numpy().copy()


def learn(
    model: PreTrainedModel, source: Tokenizer, target: Tokenizer, texts: list[Document], **more: Any
) -> EmbeddingMatrix:
    settings = {"model": model, "source": source, "target": target, "documents": texts}
    return learned_rows(rows_of(model), **settings, **(SETTINGS | {"learning_rate": 0.03} | more))


@torch.no_grad()
def distance(
    model: PreTrainedModel,
    matrix: EmbeddingMatrix,
    source: Tokenizer,
    target: Tokenizer,
    texts: list[Document],
) -> float:
    """Mean squared distance of the states, one snippet at a time and without padding."""
    found = find_snippets(texts, source=source, target=target, **SETTINGS)
    first = source.role_id("bos_token")
    embed = model.get_input_embeddings()
    distances = []
    for snippet in found:
        front = [first, *snippet.before]
        whole = model.base_model(
            input_ids=torch.tensor([[*front, *snippet.split, *snippet.after]])
        ).last_hidden_state[0]
        inputs = embed(torch.tensor([[*front, 0, *snippet.after]])).clone()
        inputs[0, len(front)] = torch.tensor(matrix.rows[snippet.token])
        ours = model.base_model(inputs_embeds=inputs).last_hidden_state[0]
        size = 1 + len(snippet.after)
        distances.append(float((ours[-size:] - whole[-size:]).square().mean()))
    return float(np.mean(distances))


def test_states_come_nearer_and_all_else_stays(
    model: PreTrainedModel,
    other_tokenizer: Tokenizer,
    tokenizer: Tokenizer,
    documents: list[Document],
) -> None:
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    source, target = other_tokenizer, tokenizer
    start = pieces_rows(rows_of(model), source=source, target=target)
    matrix = learn(model, source, target, documents * 8, num_snippets=16)
    ends = [distance(model, rows, source, target, documents) for rows in (start, matrix)]
    assert ends[1] < 0.9 * ends[0]
    coverage = matrix.coverage()
    assert coverage["learned"] > 30
    for rule in ("special", "copied"):
        assert coverage[rule] == start.coverage()[rule]
    for token in range(len(target)):
        origin = matrix.origin(token)
        if origin.rule == "learned":
            assert origin == Origin("learned", support=origin.support)
            assert 8 <= origin.support <= 16
            assert (matrix.rows[token] != start.rows[token]).any()
        else:
            assert origin == start.origin(token)
            assert_array_equal(matrix.rows[token], start.rows[token])
    assert not model.training
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name])
    assert all(p.requires_grad and p.grad is None for p in model.parameters())


def test_the_same_seed_gives_the_same_bytes(
    model: PreTrainedModel,
    other_tokenizer: Tokenizer,
    tokenizer: Tokenizer,
    documents: list[Document],
) -> None:
    first, again, other = (
        learn(model, other_tokenizer, tokenizer, documents[:3], seed=seed) for seed in (1, 1, 2)
    )
    assert first.rows.tobytes() == again.rows.tobytes()
    assert first.rows.tobytes() != other.rows.tobytes()


def test_without_text_rows_are_pieces(
    model: PreTrainedModel, other_tokenizer: Tokenizer, tokenizer: Tokenizer
) -> None:
    matrix = learn(model, other_tokenizer, tokenizer, [])
    start = pieces_rows(rows_of(model), source=other_tokenizer, target=tokenizer)
    assert matrix.rows.tobytes() == start.rows.tobytes()
    assert (matrix.method, matrix.coverage()) == ("learned", start.coverage())


def test_a_mode_of_training_is_put_back(
    model: PreTrainedModel,
    other_tokenizer: Tokenizer,
    tokenizer: Tokenizer,
    documents: list[Document],
) -> None:
    model.train()
    try:
        learn(model, other_tokenizer, tokenizer, documents[:1])
        assert model.training
    finally:
        model.eval()


class TestSnippets:
    def test_pieces_spell_the_token_where_it_stands(
        self, other_tokenizer: Tokenizer, tokenizer: Tokenizer, documents: list[Document]
    ) -> None:
        source, target = other_tokenizer, tokenizer
        found = find_snippets(documents, source=source, target=target, **SETTINGS)
        texts = [document.text.encode() for document in documents]
        assert len(found) > 60
        for snippet in found:
            piece = target.vocabulary.pieces[snippet.token]
            assert source.vocabulary.bytes_of(snippet.split) == piece
            assert len(snippet.split) > 1
            assert piece not in source.vocabulary.ids_by_bytes
            parts = (*snippet.before, *snippet.split, *snippet.after)
            assert len(parts) <= 12
            assert any(source.vocabulary.bytes_of(parts) in text for text in texts)
        counts = np.bincount([snippet.token for snippet in found])
        assert counts.max() == 2
        many = find_snippets(documents * 8, source=source, target=target, **SETTINGS)
        assert np.bincount([snippet.token for snippet in many]).max() == 4

    def test_each_place_is_found(self) -> None:
        source, target = letters("a", "b", "c"), letters("a", "b", "c", "ab", merges=[("a", "b")])
        texts = [Document("cabcabc", "1")]
        found = find_snippets(texts, source=source, target=target, **SETTINGS)
        [ab] = target.encode("ab")
        assert sorted((s.token, s.before, s.split, s.after) for s in found) == [
            (ab, (2,), (0, 1), (2, 0, 1, 2)),
            (ab, (2, 0, 1, 2), (0, 1), (2,)),
        ]
        short = find_snippets(
            texts, source=source, target=target, **(SETTINGS | {"snippet_tokens": 4})
        )
        assert sorted((s.before, s.after) for s in short) == [((2,), (2,)), ((2,), (2,))]

    def test_a_token_that_ends_inside_a_source_token_teaches_nothing(self) -> None:
        source = letters("a", "b", "c", "bc", merges=[("b", "c")])
        target = letters("a", "b", "c", "ab", merges=[("a", "b")])
        settings = {"source": source, "target": target} | SETTINGS
        assert find_snippets([Document("abc", "1")], **settings) == []
        assert len(find_snippets([Document("abbc", "1")], **settings)) == 1

    @pytest.mark.parametrize("spaced", ["source", "target"])
    def test_a_space_that_one_tokenizer_puts_in_front_moves_no_place(self, spaced: str) -> None:
        names = ("▁", "a", "b", "c")
        source, target = letters(*names), letters(*names, "bc", merges=[("b", "c")])
        settings = {"source": source, "target": target}
        settings[spaced] = with_space_in_front(settings[spaced])
        [snippet] = find_snippets([Document("abc", "1")], **settings, **SETTINGS)
        assert snippet.split == tuple(source.backend.token_to_id(name) for name in "bc")
        assert snippet.before[-1] == source.backend.token_to_id("a")

    def test_a_first_word_begins_at_the_space_in_front(self) -> None:
        names, joined = ("▁", "a", "b", "c"), [("▁", "a")]
        spaced = with_space_in_front(letters(*names, "▁a", merges=joined))
        plain = letters(*names, "ab", merges=[("a", "b")])
        [snippet] = find_snippets([Document("abc", "1")], source=spaced, target=plain, **SETTINGS)
        assert (snippet.before, snippet.split, snippet.after) == ((), (4, 2), (3,))
        word = letters(*names, "▁a", "▁ab", merges=[*joined, ("▁a", "b")])
        bare = letters(*names)
        [snippet] = find_snippets(
            [Document("abc", "1")], source=bare, target=with_space_in_front(word), **SETTINGS
        )
        assert (snippet.token, snippet.split, snippet.after) == (5, (1, 2), (3,))

    def test_a_tokenizer_that_changes_text_teaches_nothing(
        self, lossy_tokenizer: Tokenizer, tokenizer: Tokenizer, documents: list[Document]
    ) -> None:
        settings = {"source": tokenizer, "target": lossy_tokenizer} | SETTINGS
        assert find_snippets(documents, **settings) == []


@pytest.mark.parametrize(
    ("changes", "where", "got"),
    [
        ({"num_snippets": 0}, "num_snippets", "0"),
        ({"snippet_tokens": 0}, "snippet_tokens", "0"),
        ({"learning_rate": float("nan")}, "learning_rate", "nan"),
        ({"batch_size": -1}, "batch_size", "-1"),
    ],
)
def test_settings_that_are_not_positive_are_refused(
    model: PreTrainedModel,
    other_tokenizer: Tokenizer,
    changes: dict[str, Any],
    where: str,
    got: str,
) -> None:
    with pytest.raises(InputError, match="expected a number above 0") as caught:
        learn(model, other_tokenizer, other_tokenizer, [], **changes)
    assert (caught.value.where, caught.value.got) == (where, got)


def test_rows_of_another_width_are_refused(
    model: PreTrainedModel, other_tokenizer: Tokenizer
) -> None:
    with pytest.raises(InputError, match="the model's input rows, 32 wide") as caught:
        learned_rows(
            np.ones((3, 5), np.float32),
            model=model,
            source=other_tokenizer,
            target=other_tokenizer,
            documents=[],
            seed=0,
        )
    assert caught.value.got == "shape (3, 5)"


def letters(*names: str, merges: list[tuple[str, str]] | None = None) -> Tokenizer:
    ids = {name: number for number, name in enumerate(names)}
    return Tokenizer(tokenizers.Tokenizer(tokenizers.models.BPE(ids, merges or [])))


def with_space_in_front(plain: Tokenizer) -> Tokenizer:
    """The same tokenizer, which spells a space as SentencePiece does and puts one in front."""
    backend = tokenizers.Tokenizer.from_str(plain.backend.to_str())
    backend.normalizer = tokenizers.normalizers.Sequence(
        [tokenizers.normalizers.Prepend("▁"), tokenizers.normalizers.Replace(" ", "▁")]
    )
    spaced = Tokenizer(backend)
    assert spaced.vocabulary.pieces[0] == b" "
    return spaced
