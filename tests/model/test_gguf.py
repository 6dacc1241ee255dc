"""GGUF files read back by transformers: equal ids and logits; what llama.cpp lacks is refused."""

import json
import random
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import tokenizers
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, PreTrainedModel

from lingraft.corpus.records import Document
from lingraft.errors import ModelError
from lingraft.model import save
from lingraft.model.gguf import permute_rotary, write_gguf
from lingraft.model.pre_tokenizers import PRE_TOKENIZERS, PreTokenizer, pre_tokenizer_name
from lingraft.model.shards import SINGLE
from lingraft.tokenizer import Tokenizer, train_bpe
from lingraft.tokenizer.bpe import WORD_RULES

MakeModel = Callable[..., PreTrainedModel]
BY_NAME = {known.name: known for known in PRE_TOKENIZERS}
START, END, TURN, NAME = "<|start|>", "<|end|>", "<|turn|>", "<name>"
TEMPLATE = "{% for m in messages %}<|start|>{{ m['content'] }}<|end|>{% endfor %}"


def steps_of(known: PreTokenizer) -> list[Any]:
    """The rules as `tokenizer.json` files of such models spell them."""
    if known.name in ("gpt-2", "smollm"):
        digits = [pre_tokenizers.Digits(individual_digits=True)] if known.name == "smollm" else []
        return [*digits, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)]
    splits = [pre_tokenizers.Split(tokenizers.Regex(p), "isolated") for p in known.patterns]
    return [*splits, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]


def train(known: PreTokenizer, texts: Sequence[str], *, vocab_size: int = 420) -> Tokenizer:
    """A byte-level BPE under some rules, with special tokens, an added word and a template."""
    backend = tokenizers.Tokenizer(models.BPE(ignore_merges=known.ignore_merges))
    steps = steps_of(known)
    backend.pre_tokenizer = steps[0] if len(steps) == 1 else pre_tokenizers.Sequence(steps)
    backend.decoder = tokenizers.decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, initial_alphabet=alphabet, show_progress=False
    )
    backend.train_from_iterator(texts, trainer)
    backend.add_special_tokens([AddedToken(t, normalized=False) for t in (START, END, TURN)])
    backend.add_tokens([AddedToken(NAME, normalized=False)])
    roles = {"bos_token": START, "eos_token": END, "pad_token": END}
    return Tokenizer(backend, roles, TEMPLATE)


@pytest.fixture(scope="module")
def texts(documents: list[Document]) -> list[str]:
    return [document.text for document in documents] * 2


@pytest.fixture
def folder(make_model: MakeModel, texts: list[str], tmp_path: Path) -> Path:
    """An untied Llama with padding rows, for a test to damage."""
    tokenizer = train(BY_NAME["qwen35"], texts)
    save(llama(make_model, tokenizer), tokenizer, tmp_path / "model")
    return tmp_path / "model"


def llama(make_model: MakeModel, tokenizer: Tokenizer, kind: str = "llama_untied") -> Any:
    start, end = tokenizer.role_id("bos_token"), tokenizer.role_id("eos_token")
    turn = tokenizer.backend.token_to_id(TURN)
    model = make_model(kind, len(tokenizer) + 7, bos_token_id=start, eos_token_id=end)
    for layer in model.model.layers:  # norms of ones would hide a mistake
        layer.input_layernorm.weight.data.uniform_(0.5, 1.5)
    model.generation_config.eos_token_id = [end, turn]
    return model


def strings(number: int) -> list[str]:
    """Words, spaces and digits of every kind of character, seeded."""
    draw = random.Random(0)
    ranges = [(0x20, 0x7E), (0xA0, 0x17F), (0x300, 0x36F), (0x370, 0x52F), (0x590, 0x6FF)]
    ranges += [(0x900, 0xDFF), (0xE00, 0xEFF), (0x1780, 0x17FF), (0x3040, 0x30FF)]
    ranges += [(0x4E00, 0x4FFF), (0xAC00, 0xACFF), (0x1F300, 0x1F5FF), (0x2000, 0x206F)]
    texts = []
    for _ in range(number):
        parts = []
        for _ in range(draw.randrange(1, 12)):
            low, high = draw.choice(ranges)
            word = "".join(chr(draw.randrange(low, high)) for _ in range(draw.randrange(1, 6)))
            parts += [word, draw.choice([" ", "  ", "\n", "\r\n\n", "\t", "'s ", "12", "!", ""])]
        text = "".join(parts)
        texts.append("".join(c for c in text if unicodedata.category(c) not in ("Cn", "Cs")))
    return texts


def logits_of(model: Any) -> torch.Tensor:
    with torch.inference_mode():
        logits_BTV: torch.Tensor = model.eval()(input_ids=torch.arange(80).reshape(2, 40)).logits
    return logits_BTV


# Of the rules that transformers' reader leaves to GPT-2's only gpt-2 is there too.
@pytest.mark.parametrize("name", ["gpt-2", "llama-bpe", "smaug-bpe", "qwen2", "qwen35"])
@pytest.mark.parametrize("kind", ["llama_tied", "llama_untied"])
def test_what_transformers_reads_back_is_the_model(
    name: str, kind: str, make_model: MakeModel, texts: list[str], tmp_path: Path
) -> None:
    tokenizer = train(BY_NAME[name], texts)
    model = llama(make_model, tokenizer, kind)
    save(model, tokenizer, tmp_path / "model")
    written = write_gguf(tmp_path / "model", tmp_path / "model.gguf")
    assert written.pre_tokenizer == name
    assert written.num_tensors == 2 * 9 + (2 if kind == "llama_tied" else 3)
    assert written.num_bytes == (tmp_path / "model.gguf").stat().st_size
    read = {"gguf_file": "model.gguf"}
    back = AutoModelForCausalLM.from_pretrained(str(tmp_path), dtype=torch.float32, **read)
    assert torch.equal(logits_of(back), logits_of(model))
    theirs = AutoTokenizer.from_pretrained(str(tmp_path), **read)
    lines = [*texts, *strings(300), "dog's DON'T 2024 ½٣", f"a{NAME}b"]
    encoded = theirs(lines, add_special_tokens=False)["input_ids"]
    assert encoded == tokenizer.encode_batch(lines)
    assert theirs.convert_tokens_to_ids([START, END]) == [
        tokenizer.role_id("bos_token"),
        tokenizer.role_id("eos_token"),
    ]
    assert theirs.chat_template == TEMPLATE


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_text_has_the_same_ids(both: tuple[Tokenizer, Any], text: str) -> None:
    ours, theirs = both
    assert theirs(text, add_special_tokens=False)["input_ids"] == ours.encode(text)


@pytest.fixture(scope="module")
def both(
    make_model: MakeModel, texts: list[str], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Tokenizer, Any]:
    """A tokenizer and what transformers reads of it in a GGUF."""
    folder = tmp_path_factory.mktemp("gguf")
    tokenizer = train(BY_NAME["qwen35"], texts)
    save(llama(make_model, tokenizer), tokenizer, folder / "model")
    write_gguf(folder / "model", folder / "model.gguf")
    return tokenizer, AutoTokenizer.from_pretrained(str(folder), gguf_file="model.gguf")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_matrices_keep_their_dtype_and_vectors_are_float32(
    dtype: torch.dtype, make_model: MakeModel, texts: list[str], tmp_path: Path
) -> None:
    tokenizer = train(BY_NAME["gpt-2"], texts)
    model = llama(make_model, tokenizer).to(dtype)
    save(model, tokenizer, tmp_path / "model")
    write_gguf(tmp_path / "model", tmp_path / "model.gguf")
    reader = gguf.GGUFReader(tmp_path / "model.gguf")
    kind = {torch.bfloat16: "BF16", torch.float16: "F16"}[dtype]
    for tensor in reader.tensors:
        assert tensor.tensor_type.name == ("F32" if len(tensor.shape) == 1 else kind)
    back = AutoModelForCausalLM.from_pretrained(
        str(tmp_path), gguf_file="model.gguf", dtype=torch.float32
    )
    same = AutoModelForCausalLM.from_pretrained(str(tmp_path / "model"), dtype=torch.float32)
    assert torch.equal(logits_of(back), logits_of(same))


def test_settings_special_ids_and_padding_are_there(folder: Path, tmp_path: Path) -> None:
    write_gguf(folder, tmp_path / "model.gguf")
    fields = gguf.GGUFReader(tmp_path / "model.gguf").fields
    values = {name: field.contents() for name, field in fields.items()}
    tokenizer = Tokenizer.load(folder)
    start, end = tokenizer.role_id("bos_token"), tokenizer.role_id("eos_token")
    expected = {
        "general.architecture": "llama",
        "general.name": "model",
        "llama.block_count": 2,
        "llama.context_length": 128,
        "llama.embedding_length": 32,
        "llama.feed_forward_length": 64,
        "llama.attention.head_count": 2,
        "llama.attention.head_count_kv": 1,
        "llama.attention.key_length": 16,
        "llama.rope.dimension_count": 16,
        "llama.rope.freq_base": 10000.0,
        "llama.vocab_size": len(tokenizer) + 7,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "qwen35",
        "tokenizer.ggml.bos_token_id": start,
        "tokenizer.ggml.eos_token_id": end,
        "tokenizer.ggml.padding_token_id": end,
        "tokenizer.ggml.eot_token_id": tokenizer.backend.token_to_id(TURN),
        "tokenizer.ggml.add_bos_token": False,
        "tokenizer.ggml.add_eos_token": False,
        "tokenizer.chat_template": TEMPLATE,
    }
    assert {name: values.get(name) for name in expected} == expected
    types = values["tokenizer.ggml.token_type"]
    tokens = values["tokenizer.ggml.tokens"]
    assert [tokens[i] for i, kind in enumerate(types) if kind == 3] == [START, END, TURN]
    assert [tokens[i] for i, kind in enumerate(types) if kind == 4] == [NAME]
    assert list(types[-7:]) == [5] * 7
    assert len(set(tokens)) == len(tokens) == len(tokenizer) + 7


@pytest.mark.parametrize(("start", "end"), [(True, False), (False, True), (True, True)])
def test_what_the_post_processor_adds_is_told(
    start: bool, end: bool, folder: Path, tmp_path: Path
) -> None:
    tokenizer = Tokenizer.load(folder)
    single = f"{START if start else ''} $A {END if end else ''}".strip()
    ids = [(text, tokenizer.backend.token_to_id(text)) for text in (START, END)]
    tokenizer.backend.post_processor = processors.TemplateProcessing(
        single=single, special_tokens=ids
    )
    tokenizer.save(folder)
    write_gguf(folder, tmp_path / "model.gguf")
    fields = gguf.GGUFReader(tmp_path / "model.gguf").fields
    assert fields["tokenizer.ggml.add_bos_token"].contents() is start
    assert fields["tokenizer.ggml.add_eos_token"].contents() is end
    theirs = AutoTokenizer.from_pretrained(str(tmp_path), gguf_file="model.gguf")
    if not end:  # transformers' reader adds no end token
        assert theirs("a b")["input_ids"] == tokenizer.backend.encode("a b").ids


def test_the_permutation_undoes_the_halves() -> None:
    # Two heads of width 6: halves 0 1 2 | 3 4 5 become pairs 0 3 1 4 2 5.
    rows = torch.arange(12).reshape(12, 1)
    assert permute_rotary(rows, 2).flatten().tolist() == [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11]


@pytest.mark.parametrize("known", PRE_TOKENIZERS, ids=lambda known: known.name)
def test_each_name_is_found_by_its_rules(known: PreTokenizer, texts: list[str]) -> None:
    assert pre_tokenizer_name(train(known, texts[:1], vocab_size=260)) == known.name


def test_rules_with_other_names_cut_differently() -> None:
    lines = [*strings(300), "x's X'S 12345 न्ही (a)\n\n b", "ab1234", "  \n x"]
    cuts = {}
    for known in PRE_TOKENIZERS:
        if known.name != "smaug-bpe":  # llama-bpe's rules without its exception for whole words
            chain = pre_tokenizers.Sequence(steps_of(known))
            cuts[known.name] = tuple(
                tuple(span for _, span in chain.pre_tokenize_str(line)) for line in lines
            )
    assert len(set(cuts.values())) == len(cuts) == 5


WORDS = r" ?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+|\s+(?!\S)|\s+"


def test_rules_that_llama_cpp_lacks_are_refused_with_the_reason(texts: list[str]) -> None:
    for known in (
        PreTokenizer("ours", (WORDS,)),
        PreTokenizer("nearly", BY_NAME["qwen35"].patterns, ignore_merges=True),
        PreTokenizer("swapped", BY_NAME["smollm"].patterns[::-1]),
    ):
        with pytest.raises(ModelError, match=r"llama\.cpp#8649") as caught:
            pre_tokenizer_name(train(known, texts[:1], vocab_size=260))
        assert known.patterns[0] in str(caught.value)
        assert f"ignore_merges {str(known.ignore_merges).lower()}" in str(caught.value)
        assert "gpt-2, smollm, llama-bpe, smaug-bpe, qwen2, qwen35" in str(caught.value)


@pytest.mark.parametrize("words", WORD_RULES)
def test_our_own_vocabularies_have_a_name(words: str, documents: list[Document]) -> None:
    assert pre_tokenizer_name(train_bpe(documents, vocab_size=300, words=words)) == words


def changed(tokenizer: Tokenizer, change: Callable[[tokenizers.Tokenizer], object]) -> Tokenizer:
    backend = tokenizers.Tokenizer.from_str(tokenizer.backend.to_str())
    change(backend)
    return replace(tokenizer, backend=backend)


def test_other_tokenizers_are_refused(texts: list[str], lossy_tokenizer: Tokenizer) -> None:
    good = train(BY_NAME["gpt-2"], texts[:1], vocab_size=260)

    def normalise(backend: tokenizers.Tokenizer) -> None:
        backend.normalizer = normalizers.NFC()

    def prefix(backend: tokenizers.Tokenizer) -> None:
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)

    def bytes_first(backend: tokenizers.Tokenizer) -> None:
        backend.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.ByteLevel(), pre_tokenizers.Digits()]
        )

    def none(backend: tokenizers.Tokenizer) -> None:
        backend.pre_tokenizer = None

    def grouped(backend: tokenizers.Tokenizer) -> None:
        backend.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )

    for change, part in (
        (normalise, "BPE with normalizer NFC and pre-tokenizer ByteLevel"),
        (prefix, "pre-tokenizer ByteLevel"),
        (bytes_first, "pre-tokenizer Sequence"),
        (none, "pre-tokenizer none"),
        (grouped, "pre-tokenizer Sequence"),
    ):
        with pytest.raises(ModelError, match="byte-level BPE tokenizer without a norm") as caught:
            pre_tokenizer_name(changed(good, change))
        assert part in str(caught.value)
    with pytest.raises(ModelError, match="got WordPiece with normalizer Lowercase"):
        pre_tokenizer_name(lossy_tokenizer)
    trimming = changed(good, lambda b: b.add_tokens([AddedToken("<mask>", lstrip=True)]))
    with pytest.raises(ModelError, match="'<mask>', which takes the spaces beside it"):
        pre_tokenizer_name(trimming)


def edit_json(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize(
    ("values", "got"),
    [
        ({"model_type": "qwen2"}, "model_type 'qwen2'"),
        ({"model_type": "mistral", "sliding_window": 64}, "sliding_window 64"),
        ({"hidden_act": "gelu"}, "hidden_act 'gelu'"),
        ({"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}},
         "rope_type 'linear'"),
    ],
)  # fmt: skip
def test_other_architectures_are_refused(
    values: dict[str, Any], got: str, folder: Path, tmp_path: Path
) -> None:
    edit_json(folder / "config.json", **values)
    with pytest.raises(ModelError, match=r"expected a Llama without sliding .* got .*") as caught:
        write_gguf(folder, tmp_path / "model.gguf")
    assert got in str(caught.value)
    assert not (tmp_path / "model.gguf").exists()


def test_tensors_that_do_not_fit_are_refused(folder: Path, tmp_path: Path) -> None:
    whole = load_file(folder / SINGLE)
    norm, query = "model.norm.weight", "model.layers.1.self_attn.q_proj"
    out = tmp_path / "model.gguf"
    for stored, part in (
        ({k: v for k, v in whole.items() if k != norm}, f"none called {norm}"),
        (whole | {f"{query}.bias": torch.zeros(32)}, f"{query}.bias beside them"),
        (whole | {f"{query}.weight": whole[f"{query}.weight"].double()}, "got F64"),
    ):
        save_file(stored, folder / SINGLE)
        with pytest.raises(ModelError, match=r"expected (the )?tensors of") as caught:
            write_gguf(folder, out)
        assert part in str(caught.value)
    save_file(whole | {"model.rotary_emb.inv_freq": torch.zeros(4)}, folder / SINGLE)
    assert write_gguf(folder, out).num_tensors == len(whole)


def test_more_ids_than_rows_are_refused(folder: Path, tmp_path: Path) -> None:
    tokenizer = Tokenizer.load(folder)
    tokenizer.backend.add_tokens([f"<{number}>" for number in range(9)])
    tokenizer.save(folder)
    with pytest.raises(ModelError, match=r"expected at most 431 token ids.*, got 433"):
        write_gguf(folder, tmp_path / "model.gguf")


def test_an_end_token_is_needed_and_found_in_the_settings(folder: Path, tmp_path: Path) -> None:
    tokenizer = replace(Tokenizer.load(folder), roles={})
    tokenizer.save(folder)
    write_gguf(folder, tmp_path / "model.gguf")
    fields = gguf.GGUFReader(tmp_path / "model.gguf").fields
    end = tokenizer.backend.token_to_id(END)
    assert fields["tokenizer.ggml.eos_token_id"].contents() == end
    (folder / "generation_config.json").unlink()
    edit_json(folder / "config.json", eos_token_id=None)
    with pytest.raises(ModelError, match=r"expected an end token, got none; .* token 11"):
        write_gguf(folder, tmp_path / "other.gguf")


def test_a_post_processor_that_adds_something_else_is_refused(folder: Path, tmp_path: Path) -> None:
    tokenizer = Tokenizer.load(folder)
    tokenizer.backend.post_processor = processors.TemplateProcessing(
        single=f"{TURN} $A", special_tokens=[(TURN, tokenizer.backend.token_to_id(TURN))]
    )
    tokenizer.save(folder)
    with pytest.raises(ModelError, match="adds a start token, an end token, both or neither"):
        write_gguf(folder, tmp_path / "model.gguf")


def test_head_width_of_its_own_is_written(texts: list[str], tmp_path: Path) -> None:
    tokenizer = train(BY_NAME["gpt-2"], texts)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=8,
        rope_theta=5e5,
    )
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config)
    save(model, tokenizer, tmp_path / "model")
    write_gguf(tmp_path / "model", tmp_path / "model.gguf")
    back = AutoModelForCausalLM.from_pretrained(
        str(tmp_path), gguf_file="model.gguf", dtype=torch.float32
    )
    assert back.config.head_dim == 8
    assert np.array_equal(logits_of(back).numpy(), logits_of(model).numpy())
