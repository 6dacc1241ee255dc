"""Windows, prompts and biases of the causal scorer, against a loop over single tokens."""

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedModel

from lingraft.corpus.records import Document
from lingraft.errors import InputError
from lingraft.model import CausalScorer
from lingraft.model.scoring import cut
from lingraft.tokenizer import Tokenizer

MakeModel = Callable[..., PreTrainedModel]


@pytest.fixture(scope="module")
def model(make_model: MakeModel, tokenizer: Tokenizer) -> PreTrainedModel:
    return make_model("llama_untied", len(tokenizer))


def token_costs(model: PreTrainedModel, ids: list[int], *, start: int, window: int) -> list[float]:
    """The cost of each token, each in its own call; contexts as the docstring promises them."""
    room = window - 1
    costs = []
    for at, token in enumerate(ids):
        begin = 0
        if at >= room:
            stride = max(room // 2, 1)
            end = min(room + ((at - room) // stride + 1) * stride, len(ids))
            begin = end - room
        with torch.inference_mode():
            x_BT = torch.tensor([[start, *ids[begin:at]]])
            logits_V = model(input_ids=x_BT).logits[0, -1].double()
        costs.append(-float(logits_V.log_softmax(-1)[token]))
    return costs


@given(st.integers(0, 60), st.integers(0, 60), st.integers(2, 25))
def test_windows_score_every_token_once_with_half_a_window_before_it(
    num_tokens: int, first: int, window: int
) -> None:
    ids = list(range(100, 100 + num_tokens))
    scored = []
    for number, (part, begin) in enumerate(cut(ids, min(first, num_tokens), 7, window)):
        assert part[0] == 7
        assert len(part) <= window
        assert 1 <= begin < len(part), "a window for nothing"
        scored += part[begin:]
        reaches_start = part[1:2] == [100]
        assert reaches_start or number or first >= window - 1
        assert reaches_start or begin - 1 >= (window - 1) // 2
    assert scored == ids[first:]


@pytest.mark.parametrize("window", [2, 3, 8, 33, 128])
def test_long_texts_cost_what_a_slow_loop_says(
    model: PreTrainedModel, tokenizer: Tokenizer, documents: list[Document], window: int
) -> None:
    text = " ".join(document.text for document in documents[:3])
    ids = tokenizer.encode(text)
    assert len(ids) > 33
    scorer = CausalScorer(model, tokenizer, start_token=3, window=window)
    [scored] = scorer.score([("", text)])
    expected = math.fsum(token_costs(model, ids, start=3, window=window))
    assert scored.nats == pytest.approx(expected, rel=1e-5)
    assert scored.num_tokens == len(ids)


@pytest.mark.parametrize("window", [6, 128])
def test_costs_of_a_prompt_and_its_continuation_sum_to_the_whole(
    model: PreTrainedModel, tokenizer: Tokenizer, window: int
) -> None:
    text = "The old bridge 🌉 Το παλιό"
    [(ids, spans)] = tokenizer.encode_with_offsets([text])
    costs = token_costs(model, ids, start=0, window=window)
    scorer = CausalScorer(model, tokenizer, start_token=0, window=window)
    answers = scorer.score([(text[:at], text[at:]) for at in range(len(text))])
    for at, answer in enumerate(answers):
        # Every token that reaches beyond the prompt is the continuation's, inside a token too.
        belongs = [cost for cost, (_, end) in zip(costs, spans, strict=True) if end > at]
        assert answer.nats == pytest.approx(math.fsum(belongs), rel=1e-5)
        assert answer.num_tokens == len(belongs) > 0
        assert answer.num_bytes == len(text[at:].encode("utf-8"))


def test_the_window_is_no_longer_than_the_model_can_see(
    model: PreTrainedModel, tokenizer: Tokenizer
) -> None:
    long = "The old bridge crosses the river. " * 40
    scorer = CausalScorer(model, tokenizer, start_token=0, window=10_000)
    assert scorer.signature["window"] == 128
    assert scorer.score([("", long)])[0].nats == pytest.approx(
        CausalScorer(model, tokenizer, start_token=0, window=128).score([("", long)])[0].nats
    )


def test_a_window_without_room_is_refused(model: PreTrainedModel, tokenizer: Tokenizer) -> None:
    with pytest.raises(InputError, match=r"window: expected a window of at least 2 .*, got 1$"):
        CausalScorer(model, tokenizer, start_token=0, window=1)


def test_the_start_token_and_the_bias_change_costs_as_they_should(
    model: PreTrainedModel, tokenizer: Tokenizer
) -> None:
    def nats(start: int, bias_V: torch.Tensor | None = None) -> float:
        scorer = CausalScorer(model, tokenizer, start_token=start, bias_V=bias_V)
        [scored] = scorer.score([("", "The old bridge")])
        assert scored.nats is not None
        return scored.nats

    size = len(tokenizer)
    assert nats(0) != nats(1)
    assert nats(0, torch.full((size,), 3.0)) == pytest.approx(nats(0), rel=1e-6)
    towards = torch.zeros(size)
    towards[tokenizer.encode("The old bridge")] = 20.0
    assert nats(0, towards) < nats(0)
    biased = CausalScorer(model, tokenizer, start_token=0, bias_V=towards)
    assert (biased.signature["bias"], biased.signature["start_token"]) == ("unigram", "!")


def test_greedy_continuations_follow_the_largest_logit(
    make_model: MakeModel, tokenizer: Tokenizer
) -> None:
    model = make_model("llama_untied", len(tokenizer), eos_token_id=None)
    ids = [5, *tokenizer.encode("The old")]
    for _ in range(6):
        with torch.inference_mode():
            ids.append(int(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
    [text] = CausalScorer(model, tokenizer, start_token=5).generate(["The old"], max_new_tokens=6)
    assert text == tokenizer.decode(ids[-6:])


def test_scoring_leaves_weights_and_gradients_alone(
    model: PreTrainedModel, tokenizer: Tokenizer
) -> None:
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    CausalScorer(model, tokenizer, start_token=0).score([("The", " old")])
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
