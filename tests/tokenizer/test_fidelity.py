"""Ids from the file, from AutoTokenizer and after saving are the same ids, in every script."""

import ast
import json
import random
import re
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import regex
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_tokenizers import START, with_special_tokens
from transformers import AutoTokenizer

from lingraft.corpus import samples
from lingraft.corpus.records import Document
from lingraft.errors import ModelError
from lingraft.languages import Language
from lingraft.model.loading import load_tokenizer
from lingraft.tokenizer import Tokenizer, extend_bpe, prune, train_bpe

NUM_LINES = 10_000
KINDS = ("qwen35", "gpt-2", "sentencepiece")
DERIVED = ("extended", "pruned", "wordpiece")  # on every fifth line, to save time
SCRIPTS = (
    "Latin", "Greek", "Cyrillic", "Armenian", "Hebrew", "Arabic", "Syriac", "Thaana",
    "Devanagari", "Bengali", "Gurmukhi", "Gujarati", "Oriya", "Tamil", "Telugu", "Kannada",
    "Malayalam", "Sinhala", "Thai", "Lao", "Tibetan", "Myanmar", "Georgian", "Hangul", "Ethiopic",
    "Cherokee", "Khmer", "Mongolian", "Hiragana", "Katakana", "Bopomofo", "Han", "Javanese",
    "Balinese", "Tifinagh", "Nko", "Adlam", "Ol_Chiki", "Canadian_Aboriginal", "Yi",
)  # fmt: skip
BETWEEN = (" ", " ", " ", "  ", "\n", "\t", "\r\n", "\u00a0", "\u200b", "\u200d", ", ", ". ", "'")
MARKS = ("12", "3.5", "½", "٣٤", "!", "…", "(", ")", "🌉", "👩\u200d🚀", "e\u0301", "İ", "ß", "ﬁ")


def script_lines(num_lines: int) -> list[str]:
    """Lines of two or three scripts each, with numbers, marks and odd spaces between words."""
    draw = random.Random(0)
    points = map(chr, range(0x20, 0x1F000))
    known = "".join(c for c in points if unicodedata.category(c) not in ("Cn", "Cs", "Co"))
    characters = {script: regex.findall(rf"\p{{{script}}}", known) for script in SCRIPTS}
    assert min(len(found) for found in characters.values()) >= 40
    lines = []
    for number in range(num_lines):
        scripts = [SCRIPTS[number % len(SCRIPTS)], *draw.sample(SCRIPTS, draw.randrange(2))]
        parts = []
        for _ in range(draw.randrange(1, 9)):
            letters = characters[draw.choice(scripts)]
            word = "".join(draw.choices(letters, k=draw.randrange(1, 8)))
            parts += [word, draw.choice(BETWEEN)]
            if draw.random() < 0.2:
                parts += [draw.choice(MARKS), draw.choice(BETWEEN)]
        lines.append("".join(parts))
    return lines


@pytest.fixture(scope="module")
def lines() -> list[str]:
    """Generated lines and the bundled samples of every language, `NUM_LINES` in all."""
    rows = [
        document.text
        for lang in samples.LANGUAGES
        for document in samples.load_documents("test", lang=lang).records[:150]
    ]
    return [*rows, *script_lines(NUM_LINES - len(rows))]


def sentencepiece_like(documents: list[Document]) -> Tokenizer:
    """A BPE that spells spaces as a low line and unknown characters as raw bytes, as Llama 2."""
    backend = tokenizers.Tokenizer(tokenizers.models.BPE(byte_fallback=True, fuse_unk=True))
    backend.normalizer = tokenizers.normalizers.Sequence(
        [tokenizers.normalizers.Prepend("▁"), tokenizers.normalizers.Replace(" ", "▁")]
    )
    backend.decoder = tokenizers.decoders.Sequence(
        [
            tokenizers.decoders.Replace("▁", " "),
            tokenizers.decoders.ByteFallback(),
            tokenizers.decoders.Fuse(),
            tokenizers.decoders.Strip(" ", 1, 0),
        ]
    )
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=700,
        special_tokens=["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))],
        show_progress=False,
    )
    backend.train_from_iterator([document.text for document in documents] * 3, trainer)
    content = json.loads(backend.to_str())
    content["added_tokens"] = content["added_tokens"][:3]
    content["model"]["unk_token"] = "<unk>"
    rebuilt = tokenizers.Tokenizer.from_str(json.dumps(content))
    roles = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    return Tokenizer(rebuilt, roles)


def with_start(tokenizer: Tokenizer) -> Tokenizer:
    """One that puts its start token before every text, and has an added token that is text."""
    backend = tokenizers.Tokenizer.from_str(tokenizer.backend.to_str())
    backend.add_tokens([tokenizers.AddedToken("<tab>", normalized=False)])
    start = (START, backend.token_to_id(START))
    backend.post_processor = tokenizers.processors.TemplateProcessing(
        single=f"{START} $A", special_tokens=[start]
    )
    return replace(tokenizer, backend=backend)


def made(kind: str, documents: list[Document], wordpiece: Tokenizer) -> Tokenizer:
    """A tokenizer of a kind; those of lingraft with either rules for words."""
    if kind == "sentencepiece":
        return sentencepiece_like(documents)
    if kind == "wordpiece":
        return wordpiece
    if kind == "qwen35":
        return with_special_tokens(train_bpe(documents * 3, vocab_size=400))
    base = with_start(with_special_tokens(train_bpe(documents[:4] * 3, vocab_size=400)))
    if kind == "extended":
        return extend_bpe(base, documents * 3, new_tokens=60).tokenizer
    return base if kind == "gpt-2" else prune(base, documents, vocab_size=300).tokenizer


@pytest.fixture(scope="module", params=[*KINDS, *DERIVED])
def folder(
    request: pytest.FixtureRequest,
    documents: list[Document],
    lossy_tokenizer: Tokenizer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A saved tokenizer of each kind."""
    path = tmp_path_factory.mktemp("fidelity") / str(request.param)
    made(request.param, documents, lossy_tokenizer).save(path)
    return path


def their_ids(loaded: Any, texts: list[str]) -> list[list[int]]:
    ids: list[list[int]] = loaded(texts, add_special_tokens=False)["input_ids"]
    return ids


def test_ten_thousand_lines_have_one_sequence_of_ids(
    folder: Path, lines: list[str], tmp_path: Path
) -> None:
    assert len(lines) == NUM_LINES
    lines = lines[::5] if folder.name in DERIVED else lines
    backend = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    backend.encode_special_tokens = True
    encodings = backend.encode_batch_fast(lines, add_special_tokens=False)
    by_file = [encoding.ids for encoding in encodings]
    # To WordPiece many of the scripts are unknown.
    share = 0.5 if folder.name == "wordpiece" else 0.9
    assert sum(len(set(ids)) > 1 for ids in by_file) > share * len(lines)
    ours = load_tokenizer(folder)
    assert ours.encode_batch(lines) == by_file
    theirs = AutoTokenizer.from_pretrained(str(folder))
    assert their_ids(theirs, lines) == by_file
    dressed = [encoding.ids for encoding in backend.encode_batch_fast(lines)]
    assert theirs(lines)["input_ids"] == dressed
    assert (dressed == by_file) == (backend.post_processor is None)
    ours.save(tmp_path / "ours")
    assert load_tokenizer(tmp_path / "ours").encode_batch(lines) == by_file
    assert their_ids(AutoTokenizer.from_pretrained(str(tmp_path / "ours")), lines) == by_file
    theirs.save_pretrained(str(tmp_path / "theirs"))
    assert Tokenizer.load(tmp_path / "theirs").encode_batch(lines) == by_file
    assert their_ids(AutoTokenizer.from_pretrained(str(tmp_path / "theirs")), lines) == by_file


@pytest.fixture(scope="module")
def three(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Tokenizer, Any, Any]:
    """A tokenizer from its file, from transformers, and from transformers after saving."""
    again = tmp_path_factory.mktemp("again")
    ours = load_tokenizer(folder)
    ours.save(again)
    loaded = (AutoTokenizer.from_pretrained(str(path)) for path in (folder, again))
    return ours, *loaded


@settings(deadline=None)
@given(text=st.text(max_size=80))
def test_any_text_has_one_sequence_of_ids(three: tuple[Tokenizer, Any, Any], text: str) -> None:
    ours, theirs, again = three
    ids = ours.encode(text)
    assert their_ids(theirs, [text]) == [ids]
    assert their_ids(again, [text]) == [ids]


def test_the_bundled_languages_are_among_the_lines(lines: list[str]) -> None:
    greek = samples.load_documents("test", lang=Language.parse("el")).records[0].text
    assert greek in lines
    scripts = {s for s in SCRIPTS if any(regex.search(rf"\p{{{s}}}", line) for line in lines)}
    assert len(scripts) == len(SCRIPTS) >= 30


def test_a_mismatch_is_refused_with_both_sequences(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path)
    path = tmp_path / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"tokenizer_class": "GPT2Tokenizer"}))
    with pytest.raises(ModelError, match=r"as tokenizer\.json gives them for") as caught:
        load_tokenizer(tmp_path)
    message = str(caught.value)
    sequences = [ast.literal_eval(found) for found in re.findall(r"ids (\[[\d, ]*\])", message)]
    probe = ast.literal_eval(re.search(r"for ('.*?'|\".*?\"), got", message)[1])  # type: ignore[index]
    theirs = AutoTokenizer.from_pretrained(str(tmp_path))
    assert sequences == [tokenizer.encode(probe), *their_ids(theirs, [probe])]
    assert sequences[0] != sequences[1]
