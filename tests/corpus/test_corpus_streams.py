"""Files that cannot be trusted: wrong encoding, damaged, too large, or not there."""

import gzip
import lzma
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from lingraft.corpus import streams
from lingraft.corpus.streams import Line, read_chunks, read_lines
from lingraft.errors import InputError

COMPRESSED = (".gz", ".xz", ".zst")


@settings(max_examples=60, deadline=None)
@given(content=st.text(st.sampled_from("ab\n\ré\u2028"), max_size=40), size=st.integers(1, 7))
def test_lines_do_not_depend_on_the_size_of_the_chunks(save, content, size):
    path = save("a.txt", content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streams, "_CHUNK_BYTES", size)
        lines = list(read_lines(path))
    expected = content.split("\n")
    if expected[-1] == "":
        expected.pop()
    assert lines == [Line(i, text.removesuffix("\r")) for i, text in enumerate(expected, start=1)]


@pytest.mark.parametrize("suffix", COMPRESSED)
def test_files_of_several_members_are_read_to_the_end(save, tmp_path, suffix):
    parts = [save(f"{i}{suffix}", f"line {i}\n" * 5000).read_bytes() for i in range(3)]
    path = tmp_path / f"all{suffix}"
    path.write_bytes(b"".join(parts))
    assert b"".join(read_chunks(path)) == b"".join(b"line %d\n" % i * 5000 for i in range(3))


@pytest.mark.parametrize("suffix", COMPRESSED)
def test_truncated_files_are_refused(save, suffix):
    path = save(f"a.txt{suffix}", "".join(f"line {i * i}\n" for i in range(3000)))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError) as caught:
        list(read_lines(path))
    assert caught.value.expected == f"a complete {suffix} file"
    assert caught.value.where == str(path)


@pytest.mark.parametrize("suffix", COMPRESSED)
def test_plain_files_with_a_compressed_name_are_refused(tmp_path, suffix):
    path = tmp_path / f"a.txt{suffix}"
    path.write_bytes(b"plain text that nobody compressed")
    with pytest.raises(InputError, match=f"expected a complete {suffix} file"):
        list(read_lines(path))


def test_a_damaged_gzip_body_is_refused(save):
    path = save("a.txt.gz", "".join(f"line {i * i}\n" for i in range(3000)))
    data = bytearray(path.read_bytes())
    data[100:200] = b"\xff" * 100
    path.write_bytes(bytes(data))
    with pytest.raises(InputError, match=r"expected a complete \.gz file"):
        list(read_lines(path))


@pytest.mark.parametrize(
    ("suffix", "compress"),
    [
        (".gz", gzip.compress),
        (".xz", lzma.compress),
        (".zst", zstandard.ZstdCompressor().compress),
    ],
)
def test_bombs_are_stopped_early(tmp_path, monkeypatch, suffix, compress):
    monkeypatch.setattr(streams, "FREE_EXPANSION_BYTES", 2**20)
    path = tmp_path / f"bomb{suffix}"
    path.write_bytes(compress(b"\0" * 2**26))
    sizes: list[int] = []
    with pytest.raises(InputError) as caught:
        sizes.extend(map(len, read_chunks(path)))
    assert caught.value.expected == "a file that expands to at most 500 times its size"
    assert caught.value.where == str(path)
    assert sum(sizes) < 2**26


def test_what_repeats_itself_within_reason_is_read(save):
    path = save("a.txt.xz", "the same line\n" * 100_000)
    assert sum(map(len, read_chunks(path))) == 1_400_000


def test_other_encodings_are_refused_with_file_line_and_byte(save):
    path = save("a.txt", b"good\nalso good\n" + "naïve\n".encode("latin-1"))
    with pytest.raises(InputError) as caught:
        list(read_lines(path))
    assert caught.value.where == f"{path}, line 3"
    assert caught.value.got == "byte 0xef at byte 3 of the line"
    utf16 = save("b.txt", "text".encode("utf-16"))
    with pytest.raises(InputError, match="iconv -f UTF-16"):
        list(read_lines(utf16))


def test_a_byte_order_mark_is_dropped_at_the_start_only(save):
    lines = read_lines(save("a.txt", "\ufeffa\n\ufeffb"))
    assert [line.text for line in lines] == ["a", "\ufeffb"]


def test_missing_files_and_folders_are_refused(tmp_path):
    for path, got in [
        (tmp_path, "a folder"),
        (tmp_path / "gone.txt", "nothing of that name"),
        (tmp_path / ("x" * 300), "File name too long"),
    ]:
        with pytest.raises(InputError) as caught:
            list(read_lines(path))
        assert (caught.value.got, caught.value.where) == (got, str(path))


def test_files_without_permission_are_refused(save, monkeypatch):
    path = save("a.txt", "x")

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InputError, match="expected a file that can be read, got Permission denied"):
        list(read_lines(path))
