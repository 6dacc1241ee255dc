"""Words and tokens: scripts without a common byte, words cut by merges, rows strung together."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from world_cases import SMALL

from lingraft.lab import BOS, PAD, make_world
from lingraft.lab.lexicon import NOTHING, START
from lingraft.lab.spellings import NUM_SCRIPTS, draw_words, transliterate
from lingraft.lab.vocabulary import TokenTable, compose

LETTERS = "bdfgklmnprsaeiou"


@st.composite
def tables(draw: st.DrawFn) -> tuple[TokenTable, np.ndarray, np.ndarray]:
    """Entries of 0 to 4 tokens, and rows of entries with a mark each."""
    lengths = [0, 1, *draw(st.lists(st.integers(0, 4), min_size=1, max_size=6))]
    tokens = np.full((len(lengths), max(lengths)), PAD)
    for entry, length in enumerate(lengths):
        tokens[entry, :length] = 10 * entry + np.arange(1, length + 1)
    shape = draw(st.tuples(st.integers(1, 4), st.integers(1, 5)))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    entries, flags = rng.integers(0, len(lengths), shape), rng.random(shape) < 0.5
    return TokenTable(tokens, np.array(lengths), ()), entries, flags


@given(tables(), st.integers(0, 3))
def test_rows_are_the_tokens_of_their_entries_one_after_another(made, more) -> None:
    table, entries, flags = made
    num_tokens = int(table.length_I[entries].sum(axis=1).max()) + more
    tokens, marks, lengths = compose(table, entries, flags, num_tokens=num_tokens)
    for row in range(len(entries)):
        told = [
            (int(token), bool(flag))
            for entry, flag in zip(entries[row], flags[row], strict=True)
            for token in table.tokens_IL[entry, : table.length_I[entry]]
        ]
        assert lengths[row] == len(told)
        padded = told + [(PAD, False)] * (num_tokens - len(told))
        assert list(zip(tokens[row].tolist(), marks[row].tolist(), strict=True)) == padded
    shortest, _, _ = compose(table, entries, flags)
    assert shortest.shape[1] == num_tokens - more


def test_scripts_share_no_byte() -> None:
    seen = [set(transliterate(LETTERS, script).encode("utf-8")) for script in range(NUM_SCRIPTS)]
    assert len(set().union(*seen)) == sum(map(len, seen))
    assert all(len(set(transliterate(LETTERS, s))) == 16 for s in range(NUM_SCRIPTS))
    assert all(transliterate(LETTERS, s).isalpha() for s in range(NUM_SCRIPTS))


@pytest.mark.parametrize("num", [1, 700, 20_000])
def test_words_are_different_and_equally_long(num) -> None:
    words = draw_words(num, np.random.default_rng(0))
    assert len(set(words)) == num
    assert len({len(word) for word in words}) == 1
    assert set("".join(words)) <= set(LETTERS)


def test_transliterated_languages_share_letters_behind_and_no_byte_but_spaces() -> None:
    world = make_world(**SMALL, languages=4, tokens="bytes", transliterated=True, seed=0)
    space = 2 + ord(" ")
    lexicon = world.grammar.lexicon
    seen = []
    for lang in range(4):
        entries = np.concatenate(
            [lexicon.subject_AKN[:, lang].ravel(), lexicon.value_RVK[:, :, lang].ravel()]
        )
        seen.append(set(np.unique(world.table.tokens_IL[entries]).tolist()) - {PAD, space})
    assert len(set().union(*seen)) == sum(map(len, seen))
    latin, other = lexicon.subject_AKN[3, 0, 0], lexicon.subject_AKN[3, 2, 0]
    assert transliterate(lexicon.spellings[latin], 2) == lexicon.spellings[other]


def test_no_spelled_value_begins_another() -> None:
    world = make_world(**SMALL, tokens="bytes", value_overlap=0.5, seed=0)
    candidates = world.probes("same").candidates_PVC[0]
    assert (candidates != PAD).all()
    assert len({tuple(row) for row in candidates.tolist()}) == len(candidates)


@pytest.mark.parametrize("merges", ["shared", "separate"])
def test_byte_pairs_cut_words_as_they_are_cut_in_text(merges) -> None:
    world = make_world(
        subjects=30, tokens="bpe", bpe_merges=merges, subject_overlap=0.5, value_overlap=0.5, seed=0
    )
    by_bytes = make_world(
        subjects=30, tokens="bytes", subject_overlap=0.5, value_overlap=0.5, seed=0
    )
    samples = world.sample(100, np.random.default_rng(0))
    spelled = by_bytes.sample(100, np.random.default_rng(0))
    num_tokens = (samples.tokens_BT > BOS).sum()
    assert num_tokens < 0.7 * (spelled.tokens_BT > BOS).sum()
    for tokens, as_bytes in zip(samples.tokens_BT, spelled.tokens_BT, strict=True):
        text = "".join(world.vocabulary[token] for token in tokens if token > BOS)
        assert text.encode("utf-8") == bytes(int(t) - 2 for t in as_bytes if t > BOS)


def test_separate_merges_cut_shared_words_by_language() -> None:
    def cuts(merges: str) -> np.ndarray:
        world = make_world(subjects=30, tokens="bpe", bpe_merges=merges, template_cues=1.0, seed=0)
        return world.table.tokens_IL[world.grammar.lexicon.subject_AKN[:, :, 0]]

    shared, separate = cuts("shared"), cuts("separate")
    np.testing.assert_array_equal(shared[:, 0], shared[:, 1])
    assert (separate[:, 0] != separate[:, 1]).any()


def test_symbols_are_one_token_each() -> None:
    world = make_world(**SMALL, seed=0)
    assert world.table.length_I.tolist() == [0] + [1] * (world.num_tokens - 1)
    assert (world.vocabulary[NOTHING], world.vocabulary[START]) == ("<pad>", "<bos>")
    assert len(set(world.vocabulary[2:])) == world.num_tokens - 2
