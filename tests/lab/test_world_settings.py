"""Settings: impossible worlds are refused, naming the parameter, what must hold and what came."""

import dataclasses
import math

import numpy as np
import pytest
from world_cases import SMALL

from lingraft.errors import InputError
from lingraft.lab import WorldSettings, make_world
from lingraft.study.arguments import digest, encode

IMPOSSIBLE = [
    ({"languages": 1}, "languages: expected a whole number of 2 or more, got 1"),
    ({"languages": True}, "languages: expected a whole number of 2 or more, got True"),
    ({"subjects": 0}, "subjects: expected a whole number of 1 or more, got 0"),
    ({"relations": 1.5}, "relations: expected a whole number of 1 or more, got 1.5"),
    ({"template_tokens": -1}, "template_tokens: expected a whole number of 0 or more, got -1"),
    ({"values": 1}, "values: expected a multiple of 2, one part for each language, got 1"),
    ({"values": 0}, "values: expected a whole number of 1 or more, got 0"),
    (
        {"values": 40, "languages": 3},
        "values: expected a multiple of 3, one part for each language, got 40",
    ),
    ({"parallel_share": 1.5}, "parallel_share: expected a share from 0 to 1, got 1.5"),
    ({"informativeness": -0.1}, "informativeness: expected a share from 0 to 1, got -0.1"),
    ({"cue_flips": math.nan}, "cue_flips: expected a share from 0 to 1, got nan"),
    ({"tag_share": "x"}, "tag_share: expected a share from 0 to 1, got 'x'"),
    ({"style": "poems"}, "style: expected one of triples, biographies, got 'poems'"),
    ({"tokens": "words"}, "tokens: expected one of symbols, bytes, bpe, got 'words'"),
    ({"parallel_by": "value"}, "parallel_by: expected one of fact, subject, got 'value'"),
    (
        {"home_language_share": 2},
        "home_language_share: expected a share from 0 to 1, or a list of one for each language, "
        "got 2",
    ),
    (
        {"home_language_share": {0: 0.5}},
        "home_language_share: expected a share from 0 to 1, or a list of one for each language, "
        "got {0: 0.5}",
    ),
    (
        {"home_language_share": [0.5, "a"]},
        "home_language_share: expected a share from 0 to 1, got 'a'",
    ),
    (
        {"exposure_shares": 0.5},
        "exposure_shares: expected a list of shares, one for each language, got 0.5",
    ),
    (
        {"exposure_shares": "ab"},
        "exposure_shares: expected a list of shares, one for each language, got 'ab'",
    ),
    (
        {"exposure_shares": [True, 0.0]},
        "exposure_shares: expected a share from 0 to 1, got True",
    ),
    ({"parallel_share": True}, "parallel_share: expected a share from 0 to 1, got True"),
    (
        {"vocab_size": math.nan},
        "vocab_size: expected a whole number of 1 or more, got nan",
    ),
    ({"tokens": ["bpe"]}, "tokens: expected one of symbols, bytes, bpe, got ['bpe']"),
    ({"transliterated": "yes"}, "transliterated: expected True or False, got 'yes'"),
    ({"repeat_names": 0}, "repeat_names: expected True or False, got 0"),
    ({"seed": None}, "seed: expected a whole number, got None"),
    ({"seed": 1.5}, "seed: expected a whole number, got 1.5"),
    (
        {"name_pool": 5},
        "name_pool: expected None, since names='single' draws from no pool, got 5",
    ),
    (
        {"home_language_share": 0.5, "languages": 3},
        "home_language_share: expected 3 shares, one for each language, got 0.5",
    ),
    (
        {"home_language_share": (0.5, 0.25, 0.25)},
        "home_language_share: expected 2 shares, one for each language, got 3",
    ),
    (
        {"home_language_share": (0.5, 0.25)},
        "home_language_share: expected shares that sum to 1, got 0.75",
    ),
    (
        {"home_language_share": (1.5, -0.5)},
        "home_language_share: expected a share from 0 to 1, got 1.5",
    ),
    (
        {"home_language_share": 0.01},
        "home_language_share: expected a subject at home in every language, "
        "got [0, 12] of 12 subjects",
    ),
    (
        {"exposure_shares": (0.5,)},
        "exposure_shares: expected 2 shares, one for each language, got 1",
    ),
    (
        {"exposure_shares": (1.0, 0.0)},
        "exposure_shares: expected shares above 0, since every language is shown, got (1.0, 0.0)",
    ),
    (
        {"transliterated": True},
        "tokens: expected tokens that are spelled, bytes or bpe, to transliterate, got symbols",
    ),
    (
        {"transliterated": True, "tokens": "bytes", "languages": 6},
        "languages: expected at most 5 languages, one for each script, to transliterate, got 6",
    ),
    (
        {"bpe_merges": "separate", "tokens": "bytes"},
        "tokens: expected tokens='bpe' where languages have separate merges, got 'bytes'",
    ),
    (
        {"vocab_size": 300, "tokens": "bytes"},
        "vocab_size: expected None, since there are always 256 bytes, got 300",
    ),
    (
        {"vocab_size": 200, "tokens": "bpe"},
        "vocab_size: expected at least the 256 bytes, got 200",
    ),
    (
        {"vocab_size": 60},
        "vocab_size: expected at least 84 token ids, 36 values among what they name, got 60; "
        "fewer values, relations, subjects or template types need fewer tokens",
    ),
    (
        {"names": "multi", "name_pool": 3},
        "name_pool: expected a pool with at least 15 pairs of first and last name, "
        "got 3 names of each kind, 9 pairs",
    ),
    (
        {"names": "multi", "name_pool": 0},
        "name_pool: expected a whole number of 1 or more, got 0",
    ),
    (
        {"style": "biographies", "template_types": 2, "paraphrases": 3},
        "paraphrases: expected at most 2, with 2 template tokens of 2 types and one choice of them "
        "kept back for questions, got 3",
    ),
    (
        {"style": "biographies", "template_tokens": 0, "paraphrases": 1},
        "paraphrases: expected at most 0, with 0 template tokens of 8 types and one choice of them "
        "kept back for questions, got 1",
    ),
]


@pytest.mark.parametrize(("changed", "message"), IMPOSSIBLE)
def test_impossible_worlds_are_refused(changed, message) -> None:
    with pytest.raises(InputError) as refused:
        make_world(**SMALL | {"seed": 0} | changed)
    assert str(refused.value) == message


def test_every_setting_refuses_what_no_setting_is() -> None:
    for field in dataclasses.fields(WorldSettings):
        with pytest.raises(InputError) as refused:
            make_world(**SMALL | {"seed": 0, field.name: {"x"}})
        assert (refused.value.where, refused.value.got) == (field.name, "{'x'}")


def test_numbers_of_numpy_make_the_same_settings() -> None:
    plain = {
        **SMALL,
        "informativeness": 0.1,
        "parallel_share": 1,
        "home_language_share": 0.7,
        "exposure_shares": (0.9, 0.1),
        "transliterated": True,
        "tokens": "bpe",
        "vocab_size": 300,
        "seed": 3,
    }
    theirs = plain | {
        "subjects": np.int64(12),
        "informativeness": np.float32(0.1),
        "parallel_share": np.uint8(1),
        "home_language_share": np.float64(0.7),
        "exposure_shares": np.array([0.9, 0.1], dtype=np.float32),
        "transliterated": np.True_,
        "vocab_size": np.int32(300),
        "seed": np.int64(3),
    }
    one, other = make_world(**plain).settings, make_world(**theirs).settings
    assert repr(one) == repr(other)
    assert digest(encode(one, "world")) == digest(encode(other, "world"))


@pytest.mark.parametrize(
    "changed",
    [
        {"vocab_size": 84},
        {"names": "multi", "name_pool": 4},
        {"style": "biographies", "template_types": 2, "paraphrases": 2},
        {"transliterated": True, "tokens": "bytes", "languages": 4},
        {"home_language_share": 0.05},
    ],
)
def test_worlds_at_the_edge_of_the_possible_are_made(changed) -> None:
    assert make_world(**SMALL | changed, seed=0).num_tokens > 0
