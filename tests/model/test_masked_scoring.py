"""Pseudo-likelihood: each token is hidden alone and told from all the others."""

import math
from pathlib import Path

import pytest
import torch
from tiny_models import english_tokenizer

from lingraft.corpus import samples
from lingraft.errors import InputError
from lingraft.model import load
from lingraft.model.masked_scoring import MaskedScorer
from lingraft.pipelines.tiny_models import make_tiny_model
from lingraft.runtime import Runtime
from lingraft.study import NullProgress


def test_pseudo_likelihood_hides_each_token_alone(tmp_path: Path) -> None:
    make_tiny_model(
        objective="masked",
        text=samples.path("libreoffice-help.test.jsonl.xz"),
        lang="en",
        vocab_size=300,
        width=32,
        num_layers=2,
        budget=None,
        seed=0,
        out=tmp_path,
        runtime=Runtime(num_threads=1, device="cpu", precision="float32"),
        progress=NullProgress(),
    )
    model, tokenizer, _ = load(tmp_path, dtype=torch.float32, masked=True)
    with torch.no_grad():
        model.get_input_embeddings().weight.mul_(20)
    start, mask = tokenizer.role_id("bos_token"), tokenizer.role_id("mask_token")
    assert start is not None
    text = "Click the icon to open the file."
    tokens = tokenizer.encode(text)
    room = 4
    scorer = MaskedScorer(model, tokenizer, start_token=start, window=room + 1)
    costs = []
    for begin in range(0, len(tokens), room):
        part = [start, *tokens[begin : begin + room]]
        for place in range(1, len(part)):
            hidden = [mask if at == place else token for at, token in enumerate(part)]
            with torch.no_grad():
                logits = model(input_ids=torch.tensor([hidden])).logits[0, place].double()
            costs.append(-float(logits.log_softmax(-1)[part[place]]))
    [scored] = scorer.score([("", text)])
    assert scored.nats == pytest.approx(sum(costs), rel=1e-5)
    assert abs(sum(costs) / len(tokens) - math.log(300)) > 0.3, "the model has to say something"
    assert (scored.num_tokens, scored.num_bytes) == (len(tokens), len(text))
    [later] = scorer.score([("Click the icon", " to open the file.")])
    assert 0 < later.num_tokens < len(tokens)
    assert later.nats == pytest.approx(sum(costs[-later.num_tokens :]), rel=1e-5)
    with pytest.raises(InputError, match="expected a tokenizer with a mask token") as caught:
        MaskedScorer(model, english_tokenizer(), start_token=0)
    assert caught.value.got == "no mask token, window 128"
