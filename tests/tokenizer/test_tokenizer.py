"""A tokenizer as a folder: saved, loaded, read by transformers, refused."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from tokenizers import processors

from lingraft.corpus.records import Document
from lingraft.errors import InputError, ModelError
from lingraft.tokenizer import Tokenizer, tokenizer_statistics, train_bpe

SAMPLES = ("The old bridge, 1234!", "Το  παλιό\n\nγεφύρι", "แม่น้ำ🌉", "오래된 다리 .", "", "  a ")


@pytest.fixture(scope="module")
def dressed(tokenizer: Tokenizer, documents: list[Document]) -> Tokenizer:
    """All that a folder can keep: post-processor, roles, template, settings."""
    backend = tokenizers.Tokenizer.from_str(tokenizer.backend.to_str())
    start = "<|start|>"
    backend.post_processor = processors.TemplateProcessing(
        single=f"{start} $A", special_tokens=[(start, backend.token_to_id(start))]
    )
    like = replace(tokenizer, backend=backend, settings={"model_max_length": 99})
    return train_bpe(documents * 3, vocab_size=350, like=like)


def facts(tokenizer: Tokenizer) -> tuple[Any, ...]:
    content, settings = tokenizer.to_json(), dict(tokenizer.settings)
    return content, dict(tokenizer.roles), tokenizer.chat_template, settings


def test_loaded_equals_saved(dressed: Tokenizer, tmp_path: Path) -> None:
    dressed.save(tmp_path)
    loaded = Tokenizer.load(tmp_path)
    assert facts(loaded) == facts(dressed)
    assert loaded.encode_batch(SAMPLES) == dressed.encode_batch(SAMPLES)
    assert loaded.vocabulary == dressed.vocabulary
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    loaded.save(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_transformers_reads_the_same_ids(dressed: Tokenizer, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    dressed.save(tmp_path)
    config = json.loads((tmp_path / "tokenizer_config.json").read_bytes())
    assert config["tokenizer_class"] == "PreTrainedTokenizerFast"
    other = AutoTokenizer.from_pretrained(tmp_path)
    for text in SAMPLES:
        ids = dressed.encode(text)
        assert other(text, add_special_tokens=False)["input_ids"] == ids
        assert other(text)["input_ids"] == [dressed.role_id("bos_token"), *ids]
        assert other.decode(ids) == text
    assert len(other) == len(dressed)
    assert other.model_max_length == 99
    assert other.bos_token_id == other.eos_token_id == dressed.role_id("bos_token")
    assert other.pad_token_id == dressed.role_id("pad_token")
    assert other.unk_token is None
    messages = [{"role": "user", "content": "γεια"}]
    assert other.apply_chat_template(messages, tokenize=False) == "γεια"


def test_a_folder_of_transformers_is_read(dressed: Tokenizer, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    dressed.save(tmp_path / "ours")
    AutoTokenizer.from_pretrained(tmp_path / "ours").save_pretrained(tmp_path / "theirs")
    loaded = Tokenizer.load(tmp_path / "theirs")
    assert loaded.encode_batch(SAMPLES) == dressed.encode_batch(SAMPLES)
    assert (loaded.roles, loaded.chat_template) == (dressed.roles, dressed.chat_template)


def test_a_template_does_not_outlive_its_tokenizer(dressed: Tokenizer, tmp_path: Path) -> None:
    dressed.save(tmp_path)
    replace(dressed, chat_template=None).save(tmp_path)
    assert Tokenizer.load(tmp_path).chat_template is None


@pytest.mark.parametrize(
    ("stored", "template"),
    [
        ("{{ a }}", "{{ a }}"),
        ([{"name": "tool", "template": "t"}, {"name": "default", "template": "d"}], "d"),
        ([{"name": "tool", "template": "t"}], None),
        (None, None),
    ],
)
def test_templates_in_the_settings_are_read(
    dressed: Tokenizer, tmp_path: Path, stored: Any, template: str | None
) -> None:
    replace(dressed, chat_template=None).save(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": stored}))
    assert Tokenizer.load(tmp_path).chat_template == template
    (tmp_path / "chat_template.jinja").write_text("{{ file }}")
    assert Tokenizer.load(tmp_path).chat_template == "{{ file }}"


def test_older_settings_name_roles_by_objects(dressed: Tokenizer, tmp_path: Path) -> None:
    dressed.save(tmp_path)
    roles = {"bos_token": {"content": "<|start|>", "lstrip": False}, "pad_token": None}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(roles))
    assert Tokenizer.load(tmp_path).roles == {"bos_token": "<|start|>"}


def test_a_folder_without_settings_has_no_roles(dressed: Tokenizer, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(dressed.backend.to_str())
    loaded = Tokenizer.load(tmp_path)
    assert (loaded.roles, loaded.settings) == ({}, {})
    assert loaded.role_id("bos_token") is None


def test_stored_padding_and_truncation_are_ignored(dressed: Tokenizer, tmp_path: Path) -> None:
    backend = tokenizers.Tokenizer.from_str(dressed.backend.to_str())
    backend.enable_truncation(3)
    backend.enable_padding(length=50)
    replace(dressed, backend=backend).save(tmp_path)
    assert Tokenizer.load(tmp_path).encode_batch(SAMPLES) == dressed.encode_batch(SAMPLES)


def test_special_tokens_are_left_out_of_decoded_text(tokenizer: Tokenizer) -> None:
    start, pad = tokenizer.role_id("bos_token"), tokenizer.role_id("pad_token")
    assert start is not None
    assert pad is not None
    ids = [start, *tokenizer.encode("old"), pad, *tokenizer.encode(" town")]
    assert tokenizer.decode(ids) == "old town"


@pytest.mark.parametrize("content", [None, "", "{}", "\0garbage"])
def test_an_unreadable_file_is_refused(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(InputError, match=r"expected a readable tokenizer\.json, got ") as caught:
        Tokenizer.load(tmp_path)
    assert caught.value.where == str(tmp_path / "tokenizer.json")
    assert "saved with one by transformers" in caught.value.hint


@pytest.mark.parametrize(
    ("content", "expected", "got"),
    [("{", "JSON", "Expecting property name"), ("[]", "a JSON object of settings", "list")],
)
def test_unreadable_settings_are_refused(
    dressed: Tokenizer, tmp_path: Path, content: str, expected: str, got: str
) -> None:
    dressed.save(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text(content)
    with pytest.raises(InputError) as caught:
        Tokenizer.load(tmp_path)
    assert caught.value.expected == expected
    assert caught.value.got.startswith(got)
    assert caught.value.where == str(tmp_path / "tokenizer_config.json")


def test_custom_code_is_refused(dressed: Tokenizer, tmp_path: Path) -> None:
    dressed.save(tmp_path)
    settings = {"auto_map": {"AutoTokenizer": ["evil.Tokenizer", None]}}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    with pytest.raises(ModelError, match=r"no code of its own, got auto_map .*never runs code"):
        Tokenizer.load(tmp_path)


def test_statistics_are_sums_and_ratios_come_last(tokenizer: Tokenizer) -> None:
    texts = ["The old bridge", "παλιό", ""]
    statistics = tokenizer_statistics(tokenizer, iter(texts))
    num_tokens = sum(len(tokenizer.encode(text)) for text in texts)
    assert (statistics.num_words, statistics.num_bytes) == (4, 14 + 10)
    assert statistics.num_tokens == num_tokens
    assert statistics.tokens_per_word == num_tokens / 4
    assert statistics.bytes_per_token == 24 / num_tokens
    assert statistics.tokens_per_byte == num_tokens / 24
    nothing = tokenizer_statistics(tokenizer, [])
    assert (nothing.tokens_per_word, nothing.bytes_per_token, nothing.tokens_per_byte) == (
        None,
        None,
        None,
    )


def test_text_that_spells_a_special_token_is_text() -> None:
    from tiny_models import english_tokenizer

    tokenizer = english_tokenizer()
    text = "stop here: <|end|> and go on"
    ids = tokenizer.encode(text)
    assert tokenizer.role_id("eos_token") not in ids
    assert tokenizer.vocabulary.bytes_of(ids) == text.encode("utf-8")
