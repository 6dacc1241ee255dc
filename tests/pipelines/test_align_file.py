"""Files of pairs in, files of links out: no row shifts, whatever the form."""

import gzip
import json
import lzma
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import zstandard

from lingraft.alignment import TrainedAligner, read_links
from lingraft.corpus import read_pairs
from lingraft.errors import InputError
from lingraft.languages import Language
from lingraft.pipelines.alignments import AlignedFile, align_file
from lingraft.runtime import Runtime

ROWS = [
    ("red house", "κόκκινο σπίτι"),
    ("", "σπίτι"),
    ("house", "σπίτι"),
    ("red", ""),
    ("", ""),
    ("red", "κόκκινο"),
    ("the red house", "το κόκκινο σπίτι"),
]
EXPECTED = [{(0, 0), (1, 1)}, set(), {(0, 0)}, set(), set(), {(0, 0)}, {(0, 0), (1, 1), (2, 2)}]
COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.ZstdCompressor().compress,
}

run = partial(
    align_file,
    source_lang="en",
    target_lang="el",
    method="hmm",
    symmetrization="posterior",
    tokenized=False,
    dictionary=None,
    model=None,
    save_model=None,
    seed=0,
    runtime=Runtime(1),
)


def tsv() -> str:
    return "".join(f"{a}\t{b}\n" if a or b else "\n" for a, b in ROWS)


def jsonl() -> str:
    rows = [json.dumps({"en": a, "el": b}) if a or b else "" for a, b in ROWS]
    return "".join(row + "\n" for row in rows)


def tmx() -> str:
    units = "".join(
        f'<tu><tuv xml:lang="en"><seg>{a}</seg></tuv><tuv xml:lang="el"><seg>{b}</seg></tuv></tu>\n'
        for a, b in ROWS
    )
    return f'<tmx version="1.4"><header/><body>{units}</body></tmx>'


@pytest.mark.parametrize("compression", list(COMPRESS))
@pytest.mark.parametrize(("suffix", "content"), [(".tsv", tsv), (".jsonl", jsonl), (".tmx", tmx)])
def test_no_row_shifts_in_any_form(
    suffix: str, content: Callable[[], str], compression: str, tmp_path: Path
) -> None:
    path = tmp_path / f"pairs{suffix}{compression}"
    path.write_bytes(COMPRESS[compression](content().encode("utf-8")))
    done = run(str(path), out=tmp_path / "links")
    assert read_links(tmp_path / "links") == EXPECTED
    assert sum(done.rejected.values()) == 3


def test_no_row_shifts_in_two_files(tmp_path: Path) -> None:
    for side, name in enumerate(("a", "b")):
        text = "".join(row[side] + "\n" for row in ROWS)
        (tmp_path / name).write_text(text, encoding="utf-8")
    done = run(f"{tmp_path / 'a'},{tmp_path / 'b'}", out=tmp_path / "links")
    assert read_links(tmp_path / "links") == EXPECTED
    assert done.links.num_pairs == len(ROWS)


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.tsv"
    path.write_text(tsv(), encoding="utf-8")
    return path


@pytest.mark.parametrize("suffix", ["", ".tsv", ".jsonl"])
def test_links_are_read_as_they_were_written(suffix: str, pairs: Path, tmp_path: Path) -> None:
    out = tmp_path / f"links{suffix}"
    assert run(str(pairs), out=out).links.sets() == EXPECTED
    assert read_links(out) == EXPECTED


def test_links_with_their_texts_are_pairs_again(pairs: Path, tmp_path: Path) -> None:
    languages = {"source_lang": Language.parse("en"), "target_lang": Language.parse("el")}
    given = [(pair.source, pair.target) for pair in read_pairs(pairs, **languages)]
    for suffix in (".tsv", ".jsonl"):
        out = tmp_path / f"links{suffix}"
        run(str(pairs), out=out)
        again = read_pairs(out, **languages)
        assert [(pair.source, pair.target) for pair in again] == given
    row = json.loads(out.read_text(encoding="utf-8").split("\n")[0])
    assert row["source_words"] == [[0, 3], [4, 9]]
    assert [link[:2] for link in row["links"]] == [[0, 0], [1, 1]]


def test_a_saved_aligner_aligns_a_new_file(pairs: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    trained: AlignedFile = run(str(pairs), out=tmp_path / "links", save_model=model)
    assert trained.links.sets() == EXPECTED
    assert TrainedAligner.load(model).method == "hmm"
    new = tmp_path / "new.tsv"
    new.write_text("house red\tσπίτι κόκκινο\n", encoding="utf-8")
    assert run(str(new), out=tmp_path / "links", model=model).links.sets() == [{(0, 0), (1, 1)}]


def test_a_dictionary_file_is_used(tmp_path: Path) -> None:
    pairs, entries = tmp_path / "pairs.tsv", tmp_path / "entries.tsv"
    pairs.write_text("cat dog\tkissa koira\n" * 3, encoding="utf-8")
    entries.write_text("cat\tkoira\ndog\tkissa\n", encoding="utf-8")
    done = run(str(pairs), out=tmp_path / "links", dictionary=entries)
    assert done.links.sets() == [{(0, 1), (1, 0)}] * 3


def test_a_file_of_defects_is_refused(tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("cat\tγάτα\n\tx\ny\t\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"at most 50% .*, got 2 of 3 \(1 x empty source side"):
        run(str(pairs), out=tmp_path / "links")


@pytest.mark.parametrize(
    ("name", "content", "got"),
    [
        ("links.tsv", "a\tb\n", "'a.tb'"),
        ("links.jsonl", '{"source": "a"}\n', "source"),
        ("links.jsonl", "[1]\n", "1"),
    ],
)
def test_a_file_without_links_is_refused(name: str, content: str, got: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=f":1: expected a pair and its links.*{got}"):
        read_links(path)


def test_links_of_other_pairs_are_not_written(pairs: Path, tmp_path: Path) -> None:
    from lingraft.alignment import write_links

    links = run(str(pairs), out=tmp_path / "links").links
    for rows in ([], [replace(links_pair) for links_pair in _pairs(pairs)] * 2):
        with pytest.raises(InputError, match=r"expected the 7 pairs that were aligned, got \d+"):
            write_links(links, rows, tmp_path / "links.tsv")


def _pairs(path: Path) -> list:
    return list(
        read_pairs(path, source_lang=Language.parse("en"), target_lang=Language.parse("el"))
    )
