"""Extended tokenizers: new tokens are reached, old text is cut as before, nothing is lost."""

import hashlib
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from surgery_tokenizers import NEW, OLD, SPACE_MARK, SPELLINGS, documents_of, make_tokenizer

from lingraft.errors import InputError
from lingraft.tokenizer import Extension, Tokenizer, extend_bpe, train_bpe
from lingraft.tokenizer.bpe_rules import read_rules, with_rules
from lingraft.tokenizer.extension import changed_tokens

NUM_NEW = 40
# Many pairs are equally frequent here, so that an order taken from a hash table would show.
EXTEND_ONCE = """
import random, sys
from pathlib import Path
from lingraft.corpus.records import Document
from lingraft.tokenizer import extend_bpe, train_bpe
draw = random.Random(5)
def documents(alphabet):
    words = ["".join(draw.choices(alphabet, k=draw.randint(1, 7))) for _ in range(200)]
    texts = [" ".join(draw.choices(words, k=60)) for _ in range(20)]
    return [Document(text, str(number)) for number, text in enumerate(texts)]
old, new = documents("abcde"), documents("abcdeαβγ가나ไท")
base = train_bpe(old, vocab_size=400)
extend_bpe(base, new, new_tokens=300, keep=old[:3]).tokenizer.save(Path(sys.argv[1]))
"""
any_text = st.text(alphabet=st.characters(exclude_categories=["Cs"]))
words = st.sampled_from([" " + word for text in (*OLD, *NEW) for word in text.split()])


@pytest.fixture(scope="module", params=SPELLINGS)
def base(request: pytest.FixtureRequest) -> Tokenizer:
    return make_tokenizer(request.param)


@pytest.fixture(scope="module")
def extension(base: Tokenizer) -> Extension:
    return extend_bpe(base, documents_of(*NEW * 2), new_tokens=NUM_NEW, keep=documents_of(*OLD))


def new_tokens(base: Tokenizer, extended: Tokenizer) -> list[str]:
    return [extended.backend.id_to_token(i) for i in range(len(base), len(extended))]


def test_ids_and_rules_of_old_tokens_stay(base: Tokenizer, extension: Extension) -> None:
    extended = extension.tokenizer
    assert extension.num_new == NUM_NEW
    assert len(extended) == len(base) + NUM_NEW
    for token in range(len(base)):
        assert extended.backend.id_to_token(token) == base.backend.id_to_token(token)
    before, after = base.to_json(), extended.to_json()
    num_merges = len(before["model"]["merges"])
    assert after["model"]["merges"][:num_merges] == before["model"]["merges"]
    assert len(after["model"]["merges"]) == num_merges + NUM_NEW - extension.num_characters
    for part in ("added_tokens", "post_processor", "normalizer", "pre_tokenizer", "decoder"):
        assert after[part] == before[part]
    assert (extended.roles, extended.chat_template) == (base.roles, base.chat_template)
    assert extended.vocabulary.special == base.vocabulary.special


def test_every_new_token_is_reached(base: Tokenizer, extension: Extension) -> None:
    extended = extension.tokenizer
    used = {token for ids in extended.encode_batch(NEW) for token in ids}
    assert extension.num_unreachable == 0
    num_texts = 0
    for number, token in enumerate(new_tokens(base, extended), start=len(base)):
        [found] = extended.backend.model.tokenize(token)
        assert found.id == number
        piece = extended.vocabulary.pieces[number]
        assert piece is not None
        text = piece.decode(errors="replace")
        sentencepiece = SPACE_MARK in "".join(base.backend.get_vocab())
        if "\ufffd" not in text and (not sentencepiece or text.startswith(" ")):
            num_texts += 1
            # SentencePiece puts the space in front there by itself.
            assert extended.encode(text[1:] if sentencepiece else text) == [number]
    assert num_texts > 5
    assert len(used & set(range(len(base), len(extended)))) > NUM_NEW / 2


def test_old_text_is_cut_as_before(base: Tokenizer, extension: Extension) -> None:
    extended = extension.tokenizer
    for text in (*OLD, "<tab>crosses <s> the<tab>", ""):
        assert extended.encode(text) == base.encode(text)
        assert extended.backend.encode(text).ids == base.backend.encode(text).ids
    assert extension.num_old_tokens == sum(len(base.encode(text)) for text in OLD)
    assert extension.num_changed_tokens == 0
    assert extension.changed_share == 0


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_words_of_the_old_text_are_cut_as_before_in_any_order(spelling: str) -> None:
    base, extended = HYPOTHESIS_PAIRS[spelling]

    @settings(deadline=None)
    @given(st.lists(st.sampled_from([word for text in OLD for word in text.split()[1:]])))
    def same(chosen: list[str]) -> None:
        text = "".join(f" {word}" for word in chosen)
        assert extended.encode(text) == base.encode(text)

    same()


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_any_text_round_trips(spelling: str) -> None:
    base, extended = HYPOTHESIS_PAIRS[spelling]

    @settings(deadline=None)
    @given(st.one_of(any_text, st.lists(words).map("".join)))
    def round_trip(text: str) -> None:
        ids = extended.encode(text)
        assert extended.vocabulary.bytes_of(ids) == base.vocabulary.bytes_of(base.encode(text))
        assert extended.decode(ids) == base.decode(base.encode(text))

    round_trip()


def test_new_text_takes_fewer_tokens(base: Tokenizer, extension: Extension) -> None:
    before, after = (
        sum(len(ids) for ids in tokenizer.encode_batch(NEW))
        for tokenizer in (base, extension.tokenizer)
    )
    assert after < 0.7 * before


@pytest.mark.parametrize("spelling", ["byte_level", "whole_words", "metaspace"])
@pytest.mark.parametrize("keep", [(), OLD])
def test_merges_are_those_of_counting_all_over_again(spelling: str, keep: tuple[str, ...]) -> None:
    base = make_tokenizer(spelling)
    texts = (*NEW, *(word for word in OLD[0].split() if len(word) > 3), "aaaaaaa aaaa baaab")
    if spelling == "metaspace":  # characters come first; their merges are what is tried here
        ids = read_rules(base).ids
        missing = sorted({c for text in texts for c in text if not c.isspace()} - ids.keys())
        ids = {**ids, **{c: len(base) + number for number, c in enumerate(missing)}}
        base = with_rules(base, ids, read_rules(base).merges)
    done = extend_bpe(
        base,
        documents_of(*texts),
        new_tokens=25,
        keep=documents_of(*keep),
        max_changed_share=0.0 if keep else 1.0,
    )
    expected = counted_again(base, texts, keep, num_merges=25)
    num_old = len(read_rules(base).merges)
    assert len(expected) > 5
    assert list(read_rules(done.tokenizer).merges[num_old:]) == expected


def counted_again(
    base: Tokenizer, texts: tuple[str, ...], keep: tuple[str, ...], *, num_merges: int
) -> list[tuple[str, str]]:
    """The merges that come of encoding everything again after each of them."""
    current, merges = base, []
    while len(merges) < num_merges:
        rules = read_rules(current)
        closed = {rules.ids[token] for token in rules.added} | current.vocabulary.fallback
        forbidden = neighbours(current, keep)
        open_pairs = {
            pair: count
            for pair, count in neighbours(current, texts).items()
            if count >= 2
            and not closed & set(pair)
            and pair not in forbidden
            and "".join(map(current.backend.id_to_token, pair)) not in rules.ids
            and not ("metaspace" in str(base.to_json()["pre_tokenizer"]).lower()
                     and mixed_kinds("".join(map(current.backend.id_to_token, pair))))
        }  # fmt: skip
        if not open_pairs:
            break
        best = min(open_pairs, key=lambda pair: (-open_pairs[pair], pair))
        merge = (current.backend.id_to_token(best[0]), current.backend.id_to_token(best[1]))
        merges.append(merge)
        ids = {**rules.ids, "".join(merge): len(current)}
        current = with_rules(current, ids, [*rules.merges, merge])
    return merges


def neighbours(tokenizer: Tokenizer, texts: tuple[str, ...]) -> Counter[tuple[int, int]]:
    counts: Counter[tuple[int, int]] = Counter()
    for text in texts:
        encoding = tokenizer.backend.encode(text, add_special_tokens=False)
        cut = zip(encoding.word_ids, encoding.ids, strict=True)
        for _, group in groupby(cut, key=lambda item: item[0]):
            counts.update(pairwise(number for _, number in group))
    return counts


def mixed_kinds(token: str) -> bool:
    kinds = {
        "letter" if c.isalpha() or not c.isascii() else "digit" if c.isdigit() else "other"
        for c in token.replace(SPACE_MARK, "")
    }
    return len(kinds) != 1 or "digit" in kinds


class TestOldLanguage:
    base = train_bpe(documents_of(*OLD * 3), vocab_size=275)
    # The new text is in the old language's letters, so that almost every merge meets old words.
    new = documents_of("de oude brug kruist de rivier en de stad " * 3, OLD[0])

    def extend(self, share: float) -> Extension:
        return extend_bpe(
            self.base,
            self.new,
            new_tokens=50,
            keep=documents_of(*OLD),
            max_changed_share=share,
        )

    def test_merges_that_old_words_hold_are_refused(self) -> None:
        strict, free = self.extend(0.0), self.extend(1.0)
        assert strict.num_refused > 0
        assert (strict.num_changed_tokens, free.num_refused) == (0, 0)
        assert free.num_changed_tokens > 0
        assert free.changed_share == free.num_changed_tokens / free.num_old_tokens
        assert free.changed_share <= 1

    @pytest.mark.parametrize("share", [0.03, 0.05, 0.1, 0.3])
    def test_the_share_is_kept(self, share: float) -> None:
        done = self.extend(share)
        assert done.changed_share is not None
        assert 0 < done.changed_share <= share

    def test_a_share_of_one_refuses_nothing(self) -> None:
        # Two pairs of four tokens are counted in these three.
        text = documents_of("aaa")
        plain = train_bpe(text, vocab_size=256)
        free = extend_bpe(plain, text * 2, new_tokens=1, keep=text, max_changed_share=1.0)
        assert (free.num_new, free.num_refused, free.num_changed_tokens) == (1, 0, 2)
        nearly = extend_bpe(plain, text * 2, new_tokens=1, keep=text, max_changed_share=0.9)
        assert (nearly.num_new, nearly.num_refused) == (0, 1)

    def test_changed_tokens_are_those_not_at_their_place(self) -> None:
        one = extend_bpe(self.base, documents_of("Evening Evening"), new_tokens=1).tokenizer
        text = "even Evening"
        before, after = self.base.encode(text), one.encode(text)
        num_taken = len(before) - len(after) + 1
        assert (num_taken, changed_tokens(self.base, one, [text, text])) == (2, 4)
        assert changed_tokens(self.base, self.base, [text]) == 0
        # Half characters: of the three bytes of this one, two are merged.
        byte_ids = self.base.encode("ก")
        rules = read_rules(self.base)
        pair = tuple(self.base.backend.id_to_token(i) for i in byte_ids[:2])
        ids = {**rules.ids, "".join(pair): len(self.base)}
        merged = with_rules(self.base, ids, [*rules.merges, (pair[0], pair[1])])
        assert changed_tokens(self.base, merged, ["aก"]) == 2

    def test_without_old_text_nothing_is_promised(self) -> None:
        done = extend_bpe(self.base, self.new, new_tokens=5)
        assert (done.num_old_tokens, done.changed_share, done.num_refused) == (0, None, 0)


class TestSentencePiece:
    def extend(self, *texts: str, **settings: Any) -> tuple[Tokenizer, Extension]:
        base = make_tokenizer("no_pre_tokenizer")
        return base, extend_bpe(base, documents_of(*texts), **settings)

    def test_missing_characters_come_first_and_take_at_most_half(self) -> None:
        base, done = self.extend("αβ αβ α\n1 \t", new_tokens=4)
        assert new_tokens(base, done.tokenizer) == ["α", "β", f"{SPACE_MARK}α", f"{SPACE_MARK}αβ"]
        assert (done.num_characters, done.num_new) == (2, 4)
        base, done = self.extend("αβγ αβγ α", new_tokens=3)
        assert new_tokens(base, done.tokenizer)[:1] == ["α"]
        assert done.num_characters == 1

    def test_the_most_frequent_character_comes_first(self) -> None:
        base, done = self.extend("α β α β β", new_tokens=2)
        assert new_tokens(base, done.tokenizer)[0] == "β"

    def test_a_character_changes_as_many_tokens_as_it_has_bytes(self) -> None:
        keep = documents_of("the α letter")
        base = make_tokenizer("no_pre_tokenizer")
        share = 1.5 / len(base.encode("the α letter"))  # one token may change, and α has two
        _, done = self.extend("α α", new_tokens=2, keep=keep, max_changed_share=share)
        assert (done.num_refused, done.num_new) == (1, 0)

    def test_characters_spend_what_they_change(self) -> None:
        text = "the αβ letter"
        keep, base = documents_of(text), make_tokenizer("no_pre_tokenizer")
        share = 3.5 / len(base.encode(text))  # three tokens may change; each character has two
        _, done = self.extend("α α β", new_tokens=4, keep=keep, max_changed_share=share,
                              min_occurrences=1)  # fmt: skip
        assert done.num_characters == 1

    def test_seldom_characters_are_left_to_bytes(self) -> None:
        base, done = self.extend("αα β αα", new_tokens=9)
        assert done.num_characters == 1
        assert "β" not in new_tokens(base, done.tokenizer)

    def test_characters_of_the_old_text_are_refused(self) -> None:
        keep = documents_of("the α letter")
        base, done = self.extend("αβ αβ", new_tokens=10, keep=keep)
        assert "α" not in new_tokens(base, done.tokenizer)
        assert (done.num_refused, done.num_changed_tokens) == (1, 0)
        base, done = self.extend("αβ αβ", new_tokens=10, keep=keep, max_changed_share=0.99)
        assert "α" in new_tokens(base, done.tokenizer)
        assert done.num_changed_tokens == 3  # the space mark and the two bytes of α

    def test_words_punctuation_and_digits_stay_apart(self) -> None:
        _, done = self.extend(
            "the town, the town, 12 12 the town ... the town ... " * 3, new_tokens=60
        )
        spelt = [
            piece.decode() for piece in done.tokenizer.vocabulary.pieces[-done.num_new :] if piece
        ]
        assert " town" in spelt
        assert " ..." in spelt
        for piece in spelt:
            assert piece.strip(" ").isalpha() or set(piece) <= set(". ,")
            assert piece.rfind(" ") <= 0

    def test_raw_bytes_are_never_merged(self) -> None:
        _, done = self.extend("α" + " \u0378" * 9, new_tokens=10)  # an unassigned code point
        assert not any(piece and "<0x" in str(piece) for piece in new_tokens(_, done.tokenizer))

    def test_unknown_characters_without_raw_bytes(self) -> None:
        backend = tokenizers.Tokenizer(
            tokenizers.models.BPE({"<unk>": 0, "a": 1, "b": 2}, [], unk_token="<unk>")
        )
        backend.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
        backend.add_special_tokens(["<unk>"])
        base = Tokenizer(backend)
        done = extend_bpe(
            base,
            documents_of("αb αb αb γ γ"),
            new_tokens=4,
            keep=documents_of("aγ"),
        )
        assert new_tokens(base, done.tokenizer) == ["α", "αb"]
        assert (done.num_refused, done.num_changed_tokens) == (1, 0)
        assert done.tokenizer.encode("αb γ") == [4, 0]


def test_every_run_gives_the_same_file(tmp_path: Path) -> None:
    digests = set()
    for run, (hash_seed, threads) in enumerate([(0, 1), (1, 2), (2, 4)]):
        folder = tmp_path / str(run)
        environment = {
            **os.environ,
            "PYTHONHASHSEED": str(hash_seed),
            "RAYON_NUM_THREADS": str(threads),
            "TOKENIZERS_PARALLELISM": "true",
        }
        subprocess.run(
            [sys.executable, "-c", EXTEND_ONCE, str(folder)], check=True, env=environment
        )
        digests.add(hashlib.sha256((folder / "tokenizer.json").read_bytes()).hexdigest())
    assert len(digests) == 1


def test_the_order_of_documents_changes_nothing(base: Tokenizer) -> None:
    forth, back = (
        extend_bpe(base, documents_of(*texts), new_tokens=30).tokenizer.backend.to_str()
        for texts in (NEW, NEW[::-1])
    )
    assert forth == back


def test_a_saved_extension_is_what_transformers_reads(
    base: Tokenizer, extension: Extension, tmp_path: Path
) -> None:
    from transformers import AutoTokenizer

    extension.tokenizer.save(tmp_path)
    loaded, other = Tokenizer.load(tmp_path), AutoTokenizer.from_pretrained(tmp_path)
    for text in (*OLD, *NEW, "<tab>x"):
        ids = extension.tokenizer.encode(text)
        assert loaded.encode(text) == ids
        assert other(text, add_special_tokens=False)["input_ids"] == ids
    assert loaded.to_json() == extension.tokenizer.to_json()
    assert len(other) == len(extension.tokenizer)
    assert other.bos_token_id == base.role_id("bos_token")


def test_a_text_of_few_pairs_gives_few_tokens() -> None:
    base = make_tokenizer("byte_level")
    done = extend_bpe(base, documents_of("αβ αβ"), new_tokens=100)
    assert done.num_new == len(done.tokenizer) - len(base)
    assert 0 < done.num_new < 10
    nothing = extend_bpe(base, documents_of("q"), new_tokens=100)
    assert nothing.num_new == 0
    assert nothing.tokenizer.encode(OLD[0]) == base.encode(OLD[0])


def test_no_second_way_to_a_token_is_made() -> None:
    ids = {token: number for number, token in enumerate(["a", "b", "c", "bc", "ab", "abc"])}
    backend = tokenizers.Tokenizer(
        tokenizers.models.BPE(ids, [("b", "c"), ("a", "b"), ("ab", "c")])
    )
    backend.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    # "abc" is cut into "a" and "bc", and the token "abc" stays out of reach.
    done = extend_bpe(Tokenizer(backend), documents_of("abc abc abc"), new_tokens=5)
    assert done.num_new == 0
    assert done.tokenizer.encode("abc") == [0, 3]


def test_new_tokens_occur_often_enough() -> None:
    base = make_tokenizer("byte_level")
    text = documents_of(" αβ" * 5 + " γδ" * 4)
    done = extend_bpe(base, text, new_tokens=100, min_occurrences=5)
    known = done.tokenizer.vocabulary.ids_by_bytes
    assert " αβ".encode() in known
    assert " γδ".encode() not in known


def test_the_base_is_left_as_it_was(base: Tokenizer) -> None:
    before = base.backend.to_str()
    extend_bpe(base, documents_of(*NEW), new_tokens=10)
    assert base.backend.to_str() == before


@pytest.mark.parametrize(
    ("settings", "got"),
    [
        ({"new_tokens": 0}, "0, 2 and 0.0"),
        ({"new_tokens": 5, "min_occurrences": 0}, "5, 0 and 0.0"),
        ({"new_tokens": 5, "max_changed_share": -0.1}, "5, 2 and -0.1"),
        ({"new_tokens": 5, "max_changed_share": 1.1}, "5, 2 and 1.1"),
    ],
)
def test_numbers_out_of_range_are_refused(settings: dict[str, Any], got: str) -> None:
    with pytest.raises(InputError) as caught:
        extend_bpe(make_tokenizer("byte_level"), documents_of("a"), **settings)
    assert (caught.value.where, caught.value.got) == ("extend_bpe", got)


@pytest.mark.parametrize("texts", [(), ("",)])
def test_no_text_is_refused(texts: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match=r"documents: expected text to extend .*, got no text"):
        extend_bpe(make_tokenizer("byte_level"), documents_of(*texts), new_tokens=1)


def test_other_kinds_of_tokenizers_are_refused(lossy_tokenizer: Tokenizer) -> None:
    suffixed = tokenizers.models.BPE({"a": 0, "a</w>": 1}, [], end_of_word_suffix="</w>")
    random = tokenizers.models.BPE({"a": 0}, [], dropout=0.5)
    kinds = [
        (lossy_tokenizer, "WordPiece, continuing_subword_prefix"),
        (Tokenizer(tokenizers.Tokenizer(suffixed)), "BPE, end_of_word_suffix"),
        (Tokenizer(tokenizers.Tokenizer(random)), "BPE, dropout"),
    ]
    for tokenizer, got in kinds:
        with pytest.raises(InputError) as caught:
            extend_bpe(tokenizer, documents_of("a a"), new_tokens=1)
        assert (caught.value.where, caught.value.got) == ("base", got)


def test_special_tokens_that_words_would_spell_are_refused() -> None:
    base = make_tokenizer("whole_words")
    backend = tokenizers.Tokenizer.from_str(base.backend.to_str())
    backend.add_special_tokens(["PAD"])
    base = replace(base, backend=backend)
    assert base.backend.token_to_id("PAD") not in base.encode("PAD")
    with pytest.raises(InputError) as caught:
        extend_bpe(base, documents_of(*NEW), new_tokens=5)
    assert caught.value.expected == "special tokens that text cannot spell"
    assert (caught.value.got, caught.value.where) == ("'PAD'", "base")


def test_a_second_extension_follows_the_first() -> None:
    base = train_bpe(documents_of(*OLD * 3), vocab_size=300)
    once = extend_bpe(base, documents_of(*NEW[:2]), new_tokens=10).tokenizer
    twice = extend_bpe(once, documents_of(NEW[2]), new_tokens=10, keep=documents_of(*OLD, *NEW[:2]))
    assert twice.num_changed_tokens == 0
    assert len(twice.tokenizer) == len(base) + 20


HYPOTHESIS_PAIRS = {
    spelling: (
        made := make_tokenizer(spelling),
        extend_bpe(
            made, documents_of(*NEW * 2), new_tokens=NUM_NEW, keep=documents_of(*OLD)
        ).tokenizer,
    )
    for spelling in SPELLINGS
}
