"""States are read at the right token, and other states in their place do what they must."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import BertConfig, BertForMaskedLM

from lingraft.errors import InputError
from lingraft.measurement.protocols import Prompt
from lingraft.model import CausalScorer
from lingraft.model.states import CausalStateReader

KINDS = ("llama_tied", "llama_untied", "gpt2", "qwen2")
START = 0
TEXTS = ("The red house", "a", "Το κόκκινο σπίτι είναι μεγάλο", "한국어 문장")


@pytest.fixture(scope="module", params=KINDS)
def model(request, make_model, tokenizer):
    return make_model(request.param, len(tokenizer))


@pytest.fixture(scope="module")
def reader(model, tokenizer):
    return CausalStateReader(model, tokenizer, start_token=START)


@pytest.fixture(scope="module")
def scorer(model, tokenizer):
    return CausalScorer(model, tokenizer, start_token=START)


def hidden_states(model, ids):
    """Every state of one prompt, as transformers itself returns them: (L + 1, T, D)."""
    with torch.inference_mode():
        found = model(input_ids=torch.tensor([[START, *ids]]), output_hidden_states=True)
    return torch.stack(found.hidden_states)[:, 0].numpy()


def test_states_are_those_of_transformers_alone_and_in_a_batch(reader, model, tokenizer):
    states_LPD = reader.read([Prompt(text) for text in TEXTS])
    assert states_LPD.shape == (3, 4, 32)
    assert states_LPD.dtype == np.float32
    norm = getattr(model.base_model, "norm", None) or model.base_model.ln_f
    for number, text in enumerate(TEXTS):
        expected = hidden_states(model, tokenizer.encode(text))[:, -1]
        np.testing.assert_allclose(states_LPD[:-1, number], expected[:-1], atol=1e-4)
        # The last of transformers' states is the normed one.
        with torch.inference_mode():
            normed = norm(torch.from_numpy(states_LPD[-1, number])).numpy()
        np.testing.assert_allclose(normed, expected[-1], atol=1e-4)
        alone = reader.read([Prompt(text)])
        np.testing.assert_allclose(alone[:, 0], states_LPD[:, number], atol=1e-4)


def test_the_subject_is_its_last_overlapping_token(reader, model, tokenizer):
    text = TEXTS[2]
    start = text.index("σπίτι")
    [(ids, spans)] = tokenizer.encode_with_offsets([text])
    inside = [n for n, (low, high) in enumerate(spans) if low < start + 5 and high > start]
    assert 0 < inside[-1] < len(ids) - 1
    found = reader.read([Prompt(text, (start, start + 5))], at="subject")
    expected = hidden_states(model, ids)[:-1, inside[-1] + 1]
    np.testing.assert_allclose(found[:-1, 0], expected, atol=1e-4)


@pytest.mark.parametrize("at", ["last", "subject"])
def test_a_prompts_own_state_changes_nothing(reader, scorer, at):
    prompts = [Prompt(text, (0, 1)) for text in TEXTS]
    requests = [(prompt, " and more") for prompt in prompts]
    plain = [s.nats for s in scorer.score([(p.text, text) for p, text in requests])]
    states_LPD = reader.read(prompts, at=at)
    for layer in range(reader.num_layers + 1):
        found = reader.patched(requests, states_LPD[layer], layer=layer, at=at)
        assert [s.nats for s in found] == pytest.approx(plain, abs=1e-3)
        assert all(s.num_bytes == 9 and s.num_tokens >= 1 for s in found)


def test_the_only_token_replaced_at_the_bottom_is_the_other_prompt(reader, scorer):
    other = reader.read([Prompt("b")])
    found = reader.patched([(Prompt("a"), "cd")], other[0], layer=0)
    [plain], [own] = scorer.score([("b", "cd")]), scorer.score([("a", "cd")])
    assert found[0].nats == pytest.approx(plain.nats, abs=1e-3)
    assert abs(found[0].nats - own.nats) > 0.05


def test_the_last_state_replaced_at_the_top_answers_for_the_other_prompt(reader, scorer, tokenizer):
    # Only the next token hangs on it alone; "!" is a token of its own after both.
    assert len(tokenizer.encode("!")) == 1
    other = reader.read([Prompt(TEXTS[2])])
    found = reader.patched([(Prompt(TEXTS[0]), "!")], other[-1], layer=reader.num_layers)
    [plain] = scorer.score([(TEXTS[2], "!")])
    assert found[0].nats == pytest.approx(plain.nats, abs=1e-3)


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(4)))
def test_patches_do_not_depend_on_their_neighbours(reader, order):
    requests = [(Prompt(text), "!") for text in TEXTS]
    states_PD = reader.read([Prompt(text) for text in TEXTS[::-1]])[1]
    plain = reader.patched(requests, states_PD, layer=1)
    mixed = reader.patched([requests[n] for n in order], states_PD[list(order)], layer=1)
    assert [s.nats for s in mixed] == pytest.approx([plain[n].nats for n in order], abs=1e-3)


def test_the_lens_on_the_last_layer_is_the_model(reader, scorer, tokenizer):
    lens = reader.logit_lens([(Prompt(text), ["!", "?"]) for text in TEXTS])
    assert lens.log_probs_LPK.shape == (3, 4, 2)
    assert lens.first_ids_PK.tolist() == [[tokenizer.encode(c)[0] for c in "!?"]] * 4
    for number, text in enumerate(TEXTS):
        costs = [s.nats for s in scorer.score([(text, "!"), (text, "?")])]
        assert -lens.log_probs_LPK[-1, number] == pytest.approx(costs, abs=1e-3)
    best = scorer.generate(TEXTS, max_new_tokens=1)
    assert list(lens.top_tokens[-1]) == best
    assert not np.allclose(lens.log_probs_LPK[0], lens.log_probs_LPK[-1], atol=0.01)


def test_what_cannot_be_read_is_refused(reader, tokenizer, make_model):
    with pytest.raises(InputError) as caught:
        reader.read([Prompt("")])
    assert (caught.value.got, caught.value.where) == (
        "0 tokens, 0 before the continuation",
        "prompt 0: ''",
    )
    with pytest.raises(InputError, match="128 tokens"):
        reader.read([Prompt("a"), Prompt("!" * 128)])
    with pytest.raises(InputError, match="at least one character within the prompt, got none"):
        reader.read([Prompt("a")], at="subject")
    with pytest.raises(InputError, match="got characters 3 to 9"):
        reader.read([Prompt("a", (3, 9))], at="subject")
    states_PD = np.zeros((1, 32), dtype=np.float32)
    with pytest.raises(InputError, match="a layer from 0 to 2, got 3"):
        reader.patched([(Prompt("a"), "b")], states_PD, layer=3)
    with pytest.raises(InputError, match="one state for each of 2 requests, got 1"):
        reader.patched([(Prompt("a"), "b")] * 2, states_PD, layer=1)
    with pytest.raises(InputError, match=r"same number of continuations .* got 1, 2"):
        reader.logit_lens([(Prompt("a"), ["b"]), (Prompt("a"), ["b", "c"])])
    with pytest.raises(InputError, match="at least one token, got ''"):
        reader.logit_lens([(Prompt("a"), [""])])


def test_a_tokenizer_that_loses_bytes_gives_no_number(make_model, lossy_tokenizer):
    model = make_model("llama_tied", len(lossy_tokenizer))
    reader = CausalStateReader(model, lossy_tokenizer, start_token=START)
    states_PD = reader.read([Prompt("the")])[1]
    [scored] = reader.patched([(Prompt("the"), " 한국어")], states_PD, layer=1)
    assert scored.nats is None
    assert scored.reason == "the tokenizer loses bytes of the text"


def test_an_encoder_is_refused(tokenizer):
    sizes = {"hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 32}
    config = BertConfig(vocab_size=len(tokenizer), num_hidden_layers=2, **sizes)
    with pytest.raises(InputError) as caught:
        CausalStateReader(BertForMaskedLM(config), tokenizer, start_token=START)
    assert caught.value.got == "1 lists and 0 norms in BertForMaskedLM"
    assert caught.value.where == "model type bert"
