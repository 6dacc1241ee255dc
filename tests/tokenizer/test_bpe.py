"""Training: one result for one text, and what a new tokenizer takes over from an old one."""

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, processors

from lingraft.corpus.records import Document
from lingraft.errors import InputError
from lingraft.tokenizer import Tokenizer, train_bpe, vocabulary_rule
from lingraft.tokenizer.bpe import MAX_CHOSEN_VOCAB_SIZE, MIN_OCCURRENCES, WORD_RULES

# Many pairs are equally frequent here, so that an order taken from a hash table would show.
TRAIN_ONCE = """
import random, sys
from pathlib import Path
from lingraft.corpus.records import Document
from lingraft.tokenizer import train_bpe
draw = random.Random(5)
words = ["".join(draw.choices("abcdeαβγ가나ไท", k=draw.randint(1, 7))) for _ in range(300)]
texts = [" ".join(draw.choices(words, k=60)) for _ in range(30)]
documents = [Document(text, str(number)) for number, text in enumerate(texts)]
train_bpe(documents, vocab_size=800).save(Path(sys.argv[1]))
"""


def documents_of(*texts: str) -> list[Document]:
    return [Document(text, f"document-{number}") for number, text in enumerate(texts)]


@pytest.fixture(scope="module")
def old(documents: list[Document]) -> Tokenizer:
    """Special tokens at the end of the ids, one added token of plain text, a post-processor."""
    plain = train_bpe(documents * 3, vocab_size=300)
    backend = tokenizers.Tokenizer.from_str(plain.backend.to_str())
    backend.add_special_tokens(["<s>", "</s>", AddedToken("<mask>", lstrip=True)])
    backend.add_tokens([AddedToken("<tab>", normalized=False)])
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> $B </s>",
        special_tokens=[(name, backend.token_to_id(name)) for name in ("<s>", "</s>")],
    )
    return replace(
        plain,
        backend=backend,
        roles={"bos_token": "<s>", "eos_token": "</s>", "mask_token": "<mask>"},
        chat_template="{{ messages }}",
        settings={"model_max_length": 77, "padding_side": "left"},
    )


@pytest.fixture(scope="module")
def new(documents: list[Document], old: Tokenizer) -> Tokenizer:
    """Trained like the old one."""
    return train_bpe(documents * 3, vocab_size=330, like=old)


def test_every_run_gives_the_same_file(tmp_path: Path) -> None:
    digests = set()
    for run, (hash_seed, threads) in enumerate([(0, 1), (1, 2), (2, 4), (3, 1), (4, 3)]):
        folder = tmp_path / str(run)
        environment = {
            **os.environ,
            "PYTHONHASHSEED": str(hash_seed),
            "RAYON_NUM_THREADS": str(threads),
            "TOKENIZERS_PARALLELISM": "false" if run == 3 else "true",
        }
        subprocess.run([sys.executable, "-c", TRAIN_ONCE, str(folder)], check=True, env=environment)
        digests.add(hashlib.sha256((folder / "tokenizer.json").read_bytes()).hexdigest())
    assert len(digests) == 1


def test_the_order_of_documents_changes_nothing(documents: list[Document]) -> None:
    forth = train_bpe(documents * 3, vocab_size=350)
    back = train_bpe(documents[::-1] * 3, vocab_size=350)
    assert forth.backend.to_str() == back.backend.to_str()


@pytest.mark.parametrize("vocab_size", [256, 257, 300, 400])
def test_the_size_is_the_one_asked_for(documents: list[Document], vocab_size: int) -> None:
    assert len(train_bpe(documents * 3, vocab_size=vocab_size)) == vocab_size


def test_a_short_text_gives_fewer_ids() -> None:
    trained = train_bpe(documents_of("ab ab ab"), vocab_size=1000)
    assert trained.vocabulary.pieces[256:] == (b"ab", b" ab")


def test_without_a_size_tokens_have_to_occur_often_enough() -> None:
    often, seldom = " often" * MIN_OCCURRENCES, " rare" * (MIN_OCCURRENCES - 1)
    known = train_bpe(documents_of(often + seldom), vocab_size=None).vocabulary.ids_by_bytes
    assert b" often" in known
    assert b" rare" not in known


def test_the_rule_tells_where_the_size_came_from() -> None:
    assert vocabulary_rule(900) == "900 ids, as asked"
    rule = vocabulary_rule(None)
    assert f"occurs {MIN_OCCURRENCES} times" in rule
    assert f"at most {MAX_CHOSEN_VOCAB_SIZE} ids" in rule


@pytest.mark.parametrize("word", ["แม่น้ำ", "हिन्दी", "الْقَدِيم", "שָׁלוֹם"])
def test_marks_belong_to_their_letters(word: str) -> None:
    trained = train_bpe(documents_of(f"{word} {word} {word}"), vocab_size=400)
    assert trained.encode(word) == [trained.vocabulary.ids_by_bytes[word.encode()]]
    torn = train_bpe(documents_of(f"{word} {word} {word}"), vocab_size=400, words="gpt-2")
    assert len(torn.encode(word)) > 1


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("so on and so on", "gpt-2"),
        ("12 345", "gpt-2"),
        ("a" * 1999 + "e\u0301" * 1, "gpt-2"),
        ("a" * 1999 + "e\u0301" * 3, "qwen35"),
        ("नदी", "qwen35"),
        ("سنة ١٩٩٩", "qwen35"),
    ],
)
def test_the_text_chooses_rules_that_tear_nothing(text: str, rules: str) -> None:
    chosen = train_bpe(documents_of(text), vocab_size=300)
    assert (
        chosen.backend.to_str()
        == train_bpe(documents_of(text), vocab_size=300, words=rules).backend.to_str()
    )
    other = {"gpt-2": "qwen35", "qwen35": "gpt-2"}[rules]
    assert (
        chosen.to_json()["pre_tokenizer"]
        != train_bpe(documents_of(text), vocab_size=300, words=other).to_json()["pre_tokenizer"]
    )


def test_other_rules_are_refused() -> None:
    with pytest.raises(
        InputError, match=r"words: expected one of the rules gpt-2, qwen35, got 'x'"
    ):
        train_bpe(documents_of("a"), vocab_size=300, words="x")


@pytest.mark.parametrize("words", WORD_RULES)
def test_no_token_spans_words_digits_or_punctuation(words: str) -> None:
    text = "so on, 1999 and so on, 1999. (so on) 'tis 3so\n\n  12 " * 9
    trained = train_bpe(documents_of(text), vocab_size=500, words=words)
    spelt = [piece.decode() for piece in trained.vocabulary.pieces[256:] if piece]
    assert " and" in spelt
    for piece in spelt:
        assert not any(map(str.isdigit, piece))
        # Qwen3.5's words begin with the sign before them.
        bare = piece[1:] if words == "qwen35" else piece.removeprefix(" ").removeprefix("'")
        assert piece.isalpha() or bare.isalpha() or not any(map(str.isalpha, piece))


@pytest.mark.parametrize("words", WORD_RULES)
@settings(deadline=None)
@given(number=st.integers(0, 10**9), before=st.sampled_from(["", " ", "  ", "so", "\n\n"]))
def test_every_digit_is_a_token(words: str, number: int, before: str) -> None:
    trained = trained_under(words)
    digits = [trained.vocabulary.ids_by_bytes[digit.encode()] for digit in str(number)]
    assert trained.encode(f"{before}{number}")[-len(digits) :] == digits


@cache
def trained_under(words: str) -> Tokenizer:
    return train_bpe(documents_of("so on, 1999 2024 2024  2024" * 9), vocab_size=300, words=words)


@pytest.mark.parametrize("like_old", [False, True])
def test_too_few_ids_are_refused(documents: list[Document], old: Tokenizer, like_old: bool) -> None:
    like, num_special = (old, 4) if like_old else (None, 0)
    smallest = 256 + num_special
    assert len(train_bpe(documents, vocab_size=smallest, like=like)) == smallest
    with pytest.raises(InputError) as caught:
        train_bpe(documents, vocab_size=smallest - 1, like=like)
    assert caught.value.where == "vocab_size"
    assert caught.value.got == str(smallest - 1)
    assert caught.value.expected == (
        f"at least {smallest} ids (256 bytes and {num_special} special tokens)"
    )


@pytest.mark.parametrize("texts", [(), ("",), ("", "")])
def test_no_text_is_refused(texts: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match=r"documents: expected text to train .*, got no text"):
        train_bpe(documents_of(*texts), vocab_size=300)


class TestLike:
    def test_added_tokens_come_first_in_their_order_with_their_flags(
        self, old: Tokenizer, new: Tokenizer
    ) -> None:
        def flags(tokenizer: Tokenizer) -> list[dict[str, Any]]:
            entries = tokenizer.to_json()["added_tokens"]
            return [{key: entry[key] for key in entry if key != "id"} for entry in entries]

        assert flags(new) == flags(old)
        assert [entry["id"] for entry in new.to_json()["added_tokens"]] == [0, 1, 2, 3]
        assert new.vocabulary.special == {0: "<s>", 1: "</s>", 2: "<mask>"}

    def test_added_text_stays_text(self, new: Tokenizer) -> None:
        ids = new.encode("a<tab>b")
        assert 3 in ids
        assert new.vocabulary.pieces[3] == b"<tab>"
        assert new.decode(ids) == "a<tab>b"

    def test_roles_template_and_settings_survive(self, old: Tokenizer, new: Tokenizer) -> None:
        assert new.roles == old.roles
        assert new.chat_template == old.chat_template
        assert new.settings["model_max_length"] == 77
        assert new.settings["padding_side"] == "left"
        assert new.settings["clean_up_tokenization_spaces"] is False
        assert [new.role_id(f"{role}_token") for role in ("bos", "eos", "mask", "pad")] == [
            *(0, 1, 2),
            None,
        ]

    def test_the_post_processor_has_the_new_ids(self, old: Tokenizer, new: Tokenizer) -> None:
        assert old.role_id("bos_token") == 300
        ids = new.backend.encode("12").ids
        assert ids == [0, *new.encode("12"), 1]
        assert new.encode("12") == [new.vocabulary.ids_by_bytes[d] for d in (b"1", b"2")]

    @pytest.mark.parametrize(
        "make", [processors.BertProcessing, processors.RobertaProcessing], ids=["bert", "roberta"]
    )
    def test_older_post_processors_have_the_new_ids(
        self, documents: list[Document], old: Tokenizer, make: Any
    ) -> None:
        backend = tokenizers.Tokenizer.from_str(old.backend.to_str())
        parts = make(("</s>", 301), ("<s>", 300))
        backend.post_processor = processors.Sequence([parts])
        new = train_bpe(documents, vocab_size=280, like=replace(old, backend=backend))
        assert new.backend.encode("1").ids == [0, *new.encode("1"), 1]

    def test_a_role_whose_token_is_not_an_added_one_survives(
        self, documents: list[Document]
    ) -> None:
        backend = tokenizers.Tokenizer(
            tokenizers.models.WordPiece({"[UNK]": 0, "a": 1}, unk_token="[UNK]")
        )
        like = Tokenizer(backend, roles={"unk_token": "[UNK]", "pad_token": "[UNK]"})
        new = train_bpe(documents, vocab_size=257, like=like)
        assert new.role_id("unk_token") == new.role_id("pad_token") == 0
        assert new.vocabulary.special == {0: "[UNK]"}

    def test_the_model_tokenizer_is_left_as_it_was(
        self, documents: list[Document], old: Tokenizer
    ) -> None:
        before = old.backend.to_str()
        train_bpe(documents, vocab_size=280, like=old)
        assert old.backend.to_str() == before
