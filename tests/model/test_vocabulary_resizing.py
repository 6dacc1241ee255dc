"""Vocabularies that grow or shrink: old rows stay, padding is used up first, ids are checked."""

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import tokenizers
import torch
from transformers import PreTrainedModel

from lingraft.corpus.records import Document
from lingraft.embeddings import EmbeddingMatrix, random_rows
from lingraft.embeddings.matrix import Origin, mix
from lingraft.errors import InputError, ModelError
from lingraft.model import extend_vocabulary, prune_vocabulary
from lingraft.model.vocabulary_swap import input_rows, is_tied, output_rows
from lingraft.tokenizer import Pruning, Tokenizer, extend_bpe, prune

MakeModel = Callable[..., PreTrainedModel]
NUM_NEW = 10


@pytest.fixture(scope="module")
def extended(tokenizer: Tokenizer, documents: list[Document]) -> Tokenizer:
    """The 402 ids of `tokenizer` and ten more."""
    return extend_bpe(tokenizer, documents * 3, new_tokens=NUM_NEW).tokenizer


@pytest.fixture(scope="module")
def pruning(tokenizer: Tokenizer, documents: list[Document]) -> Pruning:
    """Of 402 ids, 300."""
    return prune(tokenizer, documents, vocab_size=300)


def rows_for(model: PreTrainedModel, target: Tokenizer, seed: int = 0) -> EmbeddingMatrix:
    return random_rows(input_rows(model).numpy(), target=target.vocabulary, seed=seed)


def logits_of(model: PreTrainedModel) -> torch.Tensor:
    with torch.inference_mode():
        logits_BTV: torch.Tensor = model.eval()(input_ids=torch.arange(60).reshape(2, 30)).logits
    return logits_BTV


# (rows of the matrix before, multiple) to rows after: 412 ids want a row each.
@pytest.mark.parametrize(
    ("num_rows", "pad_to", "num_after"),
    [(402, 1, 412), (402, 64, 448), (410, 1, 412), (448, 1, 448), (448, 64, 448), (500, 64, 512)],
)
@pytest.mark.parametrize("kind", ["llama_tied", "llama_untied"])
def test_new_ids_take_padding_first_and_no_matrix_shrinks(
    make_model: MakeModel,
    tokenizer: Tokenizer,
    extended: Tokenizer,
    kind: str,
    num_rows: int,
    pad_to: int,
    num_after: int,
) -> None:
    model = make_model(kind, num_rows)
    rows, head = rows_for(model, extended, 1), rows_for(model, extended, 2)
    grown = extend_vocabulary(
        model,
        extended,
        rows,
        None if is_tied(model) else head,
        source_tokenizer=tokenizer,
        pad_to=pad_to,
    )
    matrices = [(input_rows(model), input_rows(grown), rows)]
    own_head, new_head = output_rows(model), output_rows(grown)
    if own_head is not None and new_head is not None:
        matrices.append((own_head, new_head, head))
    for before, after, given in matrices:
        assert after.shape == (num_after, 32)
        assert torch.equal(after[:402], before[:402])
        assert np.array_equal(after[402:412].numpy(), given.rows[402:])
        assert torch.equal(after[412:num_rows], before[412:])
        mean_D = after[:412].double().mean(0).float()
        assert torch.equal(
            after[max(412, num_rows) :], mean_D.expand(num_after - max(412, num_rows), 32)
        )
    assert is_tied(grown) == is_tied(model)
    assert grown.config.vocab_size == num_after
    # Text of the old vocabulary is scored as before.
    assert torch.allclose(logits_of(grown)[..., :402], logits_of(model)[..., :402], atol=1e-5)


def test_the_model_shares_nothing_with_its_extension(
    make_model: MakeModel, tokenizer: Tokenizer, extended: Tokenizer
) -> None:
    model = make_model("llama_tied", 402)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    grown = extend_vocabulary(
        model, extended, rows_for(model, extended), source_tokenizer=tokenizer
    )
    with torch.no_grad():
        for parameter in grown.parameters():
            parameter.add_(1.0)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert model.config.vocab_size == 402


def test_a_setting_that_names_a_padding_row_is_dropped(
    make_model: MakeModel, tokenizer: Tokenizer, extended: Tokenizer
) -> None:
    start = tokenizer.role_id("bos_token")
    model = make_model("llama_tied", 448, bos_token_id=start, pad_token_id=405)
    grown = extend_vocabulary(
        model, extended, rows_for(model, extended), source_tokenizer=tokenizer
    )
    # Id 405 had no token and has one now, which ordinary text will hold.
    assert (grown.config.bos_token_id, grown.config.pad_token_id) == (start, None)


def test_a_tokenizer_whose_old_ids_moved_is_refused(
    make_model: MakeModel, tokenizer: Tokenizer, other_tokenizer: Tokenizer, pruning: Pruning
) -> None:
    model = make_model("llama_tied", 402)
    for wrong in (other_tokenizer, pruning.tokenizer):
        with pytest.raises(
            InputError, match=r"^tokenizer: expected the token '.*' of id"
        ) as caught:
            extend_vocabulary(model, wrong, rows_for(model, wrong), source_tokenizer=tokenizer)
        assert caught.value.hint == "the new tokenizer was not made from the model's own"


def test_rows_that_do_not_fit_are_refused(
    make_model: MakeModel, tokenizer: Tokenizer, extended: Tokenizer
) -> None:
    model = make_model("llama_untied", 402)
    few, good = rows_for(model, tokenizer), rows_for(model, extended)
    with pytest.raises(InputError, match=r"^rows: .*\(412, 32\).*, got shape \(402, 32\)$"):
        extend_vocabulary(model, extended, few, good, source_tokenizer=tokenizer)
    with pytest.raises(ModelError, match="expected output rows for the head, got none"):
        extend_vocabulary(model, extended, good, source_tokenizer=tokenizer)


@pytest.mark.parametrize("kind", ["llama_tied", "llama_untied"])
def test_pruned_logits_are_the_old_ones_of_the_same_tokens(
    make_model: MakeModel, tokenizer: Tokenizer, pruning: Pruning, kind: str
) -> None:
    model = make_model(kind, 448)
    small = prune_vocabulary(
        model, pruning.tokenizer, pruning.id_map, source_tokenizer=tokenizer, pad_to=64
    )
    assert input_rows(small).shape == (320, 32)
    old, new = (torch.tensor(list(ids)) for ids in (pruning.id_map, pruning.id_map.values()))
    with torch.inference_mode():
        before = model.eval()(input_ids=old[None, :60]).logits[..., old]
        after = small.eval()(input_ids=new[None, :60]).logits[..., new]
    assert torch.allclose(before, after, atol=1e-5)


def test_the_order_of_a_map_does_not_matter(
    make_model: MakeModel, tokenizer: Tokenizer, pruning: Pruning
) -> None:
    model = make_model("llama_untied", 402)
    backwards = dict(reversed(list(pruning.id_map.items())))
    one, other = (
        prune_vocabulary(model, pruning.tokenizer, id_map, source_tokenizer=tokenizer)
        for id_map in (pruning.id_map, backwards)
    )
    assert torch.equal(logits_of(one), logits_of(other))


def test_rows_go_where_the_map_says(
    make_model: MakeModel, tokenizer: Tokenizer, pruning: Pruning
) -> None:
    model = make_model("llama_untied", 402)
    first, second = pruning.tokenizer.backend.id_to_token(0), tokenizer.backend.id_to_token(1)
    content = pruning.tokenizer.to_json()
    content["model"]["vocab"] |= {first: 1, second: 0}
    turned = replace(pruning.tokenizer, backend=tokenizers.Tokenizer.from_str(json.dumps(content)))
    id_map = {**pruning.id_map, 0: 1, 1: 0}
    small = prune_vocabulary(model, turned, id_map, source_tokenizer=tokenizer)
    before, after = input_rows(model), input_rows(small)
    assert torch.equal(after[[1, 0, 2]], before[[0, 1, 2]])


def test_a_bias_of_new_ids_is_mixed_as_the_rows_of_the_head(
    make_model: MakeModel, tokenizer: Tokenizer, extended: Tokenizer
) -> None:
    model = make_model("llama_untied", 410)
    bias_V = torch.linspace(-3, 7, 410)
    model.lm_head.bias = torch.nn.Parameter(bias_V.clone())
    own, head_own = input_rows(model).numpy(), model.lm_head.weight.detach().numpy()
    kept = [Origin("copied", (token,), (1.0,)) for token in range(402)]
    new = [Origin("mean"), *[Origin("copied", (9,), (1.0,))] * 9]
    wrong = [Origin("copied", (0,), (1.0,))] * 412
    rows = EmbeddingMatrix.from_origins(mix(own, wrong), wrong, method="test")
    head = EmbeddingMatrix.from_origins(mix(head_own, kept + new), kept + new, method="test")
    grown = extend_vocabulary(model, extended, rows, head, source_tokenizer=tokenizer)
    new_V = grown.lm_head.bias
    assert torch.equal(new_V[:402], bias_V[:402])
    # Padding has a bias too, which belongs in no mean.
    assert new_V[402].item() == pytest.approx(bias_V[:402].mean().item())
    assert torch.equal(new_V[403:], bias_V[9].expand(9))


def test_maps_that_do_not_lead_to_the_tokenizer_are_refused(
    make_model: MakeModel, tokenizer: Tokenizer, pruning: Pruning
) -> None:
    model = make_model("llama_tied", 402)
    good = dict(pruning.id_map)
    swapped = good | {0: good[1], 1: good[0]}
    with pytest.raises(InputError, match=r"^tokenizer: expected the token '!' of id 0 at id 1 "):
        prune_vocabulary(model, pruning.tokenizer, swapped, source_tokenizer=tokenizer)
    del good[0]
    with pytest.raises(InputError) as caught:
        prune_vocabulary(model, pruning.tokenizer, good, source_tokenizer=tokenizer)
    assert caught.value.expected == "each of the 300 new ids once"
    assert caught.value.got == "299 ids, 299 of them different"
    assert caught.value.where == "id_map"
