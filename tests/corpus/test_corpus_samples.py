"""The bundled samples are whole, licensed, small enough, and split as they say."""

import lzma
import random
import subprocess
import sys

import pytest

from lingraft.corpus import hold_out, matching_key, samples
from lingraft.errors import InputError
from lingraft.languages import Language

EN, EL = Language.parse("en"), Language.parse("el")

# Rows that have both languages, by the table of counts that came with the data.
TAGS = ("nl", "fi", "tr", "ru", "ko", "eu", "el", "id")
NUM_PAIRS = {
    "train": (30353, 14672, 20303, 18905, 16023, 30224, 29974, 22486),
    "valid": (1392, 514, 1007, 998, 855, 1349, 1342, 1088),
    "test": (941, 518, 605, 628, 490, 951, 945, 744),
}
MAX_BYTES = 6_000_000


@pytest.mark.parametrize("split", samples.SPLITS)
def test_every_pair_is_there(split):
    assert tuple(lang.tag for lang in samples.LANGUAGES) == TAGS
    for lang, num_pairs in zip(samples.LANGUAGES, NUM_PAIRS[split], strict=True):
        pairs = samples.load_pairs(split, target_lang=lang)
        assert len(pairs) == num_pairs
        assert (pairs.source_lang, pairs.target_lang) == (EN, lang)
        assert len({pair.id for pair in pairs}) == len(pairs)
        assert all(pair.source.strip() and pair.target.strip() for pair in pairs)


def test_documents_are_the_sides_of_the_pairs():
    pairs = samples.load_pairs("test", target_lang=EL)
    greek = samples.load_documents("test", lang=EL)
    assert [(d.text, d.id) for d in greek] == [(p.target, p.id) for p in pairs]
    assert len(samples.load_documents("test", lang=EN)) == 958


def test_no_english_text_and_no_page_is_in_two_splits():
    parts = [samples.load_documents(split, lang=EN) for split in samples.SPLITS]
    keys = [{matching_key(d.text) for d in part} for part in parts]
    pages = [{d.id.partition("#")[0] for d in part} for part in parts]
    for sets in (keys, pages):
        assert sum(map(len, sets)) == len(set.union(*sets))


def test_what_the_splits_share_in_greek_is_little_and_can_be_held_out():
    train = samples.load_pairs("train", target_lang=EL)
    test = samples.load_pairs("test", target_lang=EL)
    result = hold_out(train, [test])
    assert (result.num_removed_source, result.num_removed_target) == (0, 14)
    assert hold_out(result.kept, [test]).removed == ()


def test_general_english_is_neither_help_nor_found_in_it():
    general = samples.general_english()
    sources = [d.id.partition("/")[0] for d in general]
    assert (sources.count("udhr"), sources.count("bsb"), len(general)) == (61, 250, 311)
    assert len({d.id for d in general}) == 311
    assert hold_out(samples.load_documents("train", lang=EN), [general]).removed == ()
    verses = [int(d.id.partition("/")[2]) for d in general if d.id.startswith("bsb/")]
    blocks = [verses[i : i + 10] for i in range(0, 250, 10)]
    assert all(block[0] // 10**6 == block[-1] // 10**6 for block in blocks)
    assert verses == sorted(verses)


def test_the_declaration_is_there_in_every_language():
    for lang in samples.UDHR_LANGUAGES:
        declaration = samples.udhr(lang)
        assert 51 <= len(declaration) <= 61
        assert all(document.id.startswith("udhr/") for document in declaration)


@pytest.mark.parametrize("lang", [EL, EN])
def test_test_rows_are_the_shuffled_rows_of_the_language(lang):
    rows = list(samples.load_documents("test", lang=lang))
    random.Random(0).shuffle(rows)
    assert samples.test_rows(lang=lang).records == tuple(rows[:100])
    assert samples.test_rows(lang=lang, num=3).records == tuple(rows[:3])
    valid = list(samples.load_documents("valid", lang=lang))
    random.Random(0).shuffle(valid)
    assert samples.valid_rows(lang=lang, num=7).records == tuple(valid[:7])


def test_the_first_greek_test_rows_never_change():
    assert [document.id for document in samples.test_rows(lang=EL, num=4)] == [
        "lo/swriter/guide/hyphen_prevent#11",
        "lo/swriter/01/02150000#0",
        "lo/simpress/guide/gluepoints#10",
        "lo/scalc/01/func_value#4",
    ]


def test_unknown_names_are_refused():
    for call, got in [
        (lambda: samples.load_pairs("dev", target_lang=EL), "'dev'"),
        (lambda: samples.load_pairs("test", target_lang=EN), "eng_Latn"),
        (lambda: samples.load_documents("test", lang=Language.parse("tt")), "tat_Cyrl"),
        (lambda: samples.udhr(Language.parse("sv")), "swe_Latn"),
        (lambda: samples.test_rows(lang=EL, num=946), "946"),
        (lambda: samples.valid_rows(lang=EL, num=0), "0"),
        (lambda: samples.path("../__init__.py"), "'../__init__.py'"),
        (lambda: samples.path("gone"), "'gone'"),
    ]:
        with pytest.raises(InputError) as caught:
            call()
        assert caught.value.got == got


def test_every_file_has_its_licence_and_a_row_in_the_notice():
    folder = samples.path("NOTICE.md").parent
    notice = samples.path("NOTICE.md").read_text("utf-8")
    assert {path.name for path in folder.glob("*.xz")} == set(samples.LICENCES)
    for name, licences in samples.LICENCES.items():
        assert f"`{name}`" in notice
        for licence in licences:
            assert licence.spdx.removeprefix("LicenseRef-").replace("-domain", " domain") in notice
    assert "Mozilla Public License Version 2.0" in samples.path("LICENSE.MPL-2.0").read_text(
        "utf-8"
    )
    assert "Titus Wormer" in samples.path("LICENSE.MIT").read_text("utf-8")


def test_the_samples_fit_into_the_wheel():
    folder = samples.path("NOTICE.md").parent
    assert sum(path.stat().st_size for path in folder.iterdir() if path.is_file()) < MAX_BYTES
    for path in folder.glob("*.xz"):
        lzma.decompress(path.read_bytes())


def test_importing_the_corpus_loads_neither_torch_nor_the_identifier():
    code = (
        "import sys, lingraft.corpus; "
        "print([m for m in ('torch', 'transformers', 'py3langid', 'numpy') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
