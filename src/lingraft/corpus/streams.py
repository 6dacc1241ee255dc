"""Lines of a file that may be compressed, within stated limits of memory."""

import gzip
import lzma
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import zstandard

from lingraft.errors import InputError
from lingraft.units import format_bytes

COMPRESSIONS = (".gz", ".xz", ".zst")

MAX_LINE_BYTES = 64 * 2**20
"""A longer line is rejected, and is never held in memory."""

MAX_EXPANSION = 500
"""Decompressed over compressed bytes; text reaches 3 to 30, logs of equal lines some 200."""

FREE_EXPANSION_BYTES = 64 * 2**20
"""So much may come out of a file of any size: a few equal lines expand more than text does."""

_CHUNK_BYTES = 2**20
# One kB of zstandard can hold 32 MB (blocks of 128 KiB in 4 bytes); larger bites would let a bomb
# go off before anyone has counted.
_ZSTD_BITE_BYTES = 1024
_ZSTD_MAX_WINDOW_BYTES = 2**27
_UTF8_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a file.

    Attributes:
        number: 1-based.
        text: Without its end (LF or CRLF); None when it passes `MAX_LINE_BYTES`.
    """

    number: int
    text: str | None


def read_lines(path: Path) -> Iterator[Line]:
    r"""Yields every line of a UTF-8 file, plain or ending in .gz, .xz or .zst.

    Only ``\n`` and ``\r\n`` end a line: U+2028, U+0085 and the like are text. A byte order mark
    at the start of the file is dropped.

    Raises:
        InputError: The file is missing, is a folder, cannot be read or decompressed, expands
            beyond `MAX_EXPANSION`, or is not UTF-8.
    """
    for number, raw in enumerate(_raw_lines(path), start=1):
        if raw is None:
            yield Line(number, None)
            continue
        if number == 1:
            raw = raw.removeprefix(_UTF8_MARK)
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise _not_utf8(path, number, raw, error) from error
        yield Line(number, text.removesuffix("\r"))


def read_chunks(path: Path) -> Iterator[bytes]:
    """Yields the decompressed bytes of a file in pieces of bounded size.

    Raises:
        InputError: The file is missing, is a folder, cannot be read or decompressed, or expands
            beyond `MAX_EXPANSION`.
    """
    check_readable(path)
    compression = path.suffix.lower()
    try:
        with path.open("rb") as raw:
            if compression not in COMPRESSIONS:
                while chunk := raw.read(_CHUNK_BYTES):
                    yield chunk
                return
            num_bytes = 0
            for chunk in _decompress(raw, compression):
                num_bytes += len(chunk)
                if num_bytes > max(FREE_EXPANSION_BYTES, MAX_EXPANSION * raw.tell()):
                    raise _bomb(path, num_bytes, raw.tell())
                yield chunk
    except (EOFError, zlib.error, lzma.LZMAError, zstandard.ZstdError, gzip.BadGzipFile) as error:
        raise InputError(
            expected=f"a complete {compression} file",
            got=str(error),
            where=str(path),
            hint="make or download it again, or correct its name if it is not compressed",
        ) from error
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error


def check_readable(path: Path) -> None:
    """Refuses what is not a file before anything is read.

    Raises:
        InputError: Nothing has this name, it is a folder, or its folder cannot be searched.
    """
    try:
        is_folder, exists = path.is_dir(), path.exists()
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error
    if is_folder or not exists:
        raise _unreadable(path, "a folder" if is_folder else "nothing of that name")


def format_suffix(path: Path) -> str:
    """Returns the suffix that tells the format, e.g. ``".tsv"`` for ``PAIRS.TSV.gz``."""
    inner = Path(path.stem) if path.suffix.lower() in COMPRESSIONS else path
    return inner.suffix.lower()


def _raw_lines(path: Path) -> Iterator[bytes | None]:
    """Yields each line without its newline, or None for one that is too long to hold."""
    parts: list[bytes] = []
    num_held, too_long = 0, False
    for chunk in read_chunks(path):
        *ended, rest = chunk.split(b"\n")
        for piece in ended:
            line = b"".join([*parts, piece])
            yield None if too_long or len(line) > MAX_LINE_BYTES else line
            parts, num_held, too_long = [], 0, False
        num_held += len(rest)
        if num_held > MAX_LINE_BYTES:
            parts, too_long = [], True
        elif rest:
            parts.append(rest)
    if too_long:
        yield None
    elif parts:
        yield b"".join(parts)


def _decompress(raw: BinaryIO, compression: str) -> Iterator[bytes]:
    if compression == ".zst":
        yield from _decompress_zstandard(raw)
        return
    with gzip.open(raw) if compression == ".gz" else lzma.open(raw) as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            yield chunk


def _decompress_zstandard(raw: BinaryIO) -> Iterator[bytes]:
    # zstandard's own stream_reader takes a truncated frame for the end of the file.
    context = zstandard.ZstdDecompressor(max_window_size=_ZSTD_MAX_WINDOW_BYTES)
    frame = context.decompressobj()
    while bite := raw.read(_ZSTD_BITE_BYTES):
        while bite:
            if frame.eof:
                frame = context.decompressobj()
            if chunk := frame.decompress(bite):
                yield chunk
            bite = frame.unused_data if frame.eof else b""
    if not frame.eof:
        raise EOFError("a file that ends in the middle of a frame")


def _not_utf8(path: Path, number: int, raw: bytes, error: UnicodeDecodeError) -> InputError:
    looks_like_utf16 = number == 1 and raw.startswith(_UTF16_MARKS)
    encoding = "UTF-16" if looks_like_utf16 else "ENCODING"
    return InputError(
        expected="UTF-8 text",
        got=f"byte 0x{raw[error.start]:02x} at byte {error.start + 1} of the line",
        where=f"{path}, line {number}",
        hint=f"convert the file: iconv -f {encoding} -t UTF-8",
    )


def _bomb(path: Path, num_bytes: int, num_compressed: int) -> InputError:
    return InputError(
        expected=f"a file that expands to at most {MAX_EXPANSION} times its size",
        got=f"{format_bytes(num_bytes)} out of {format_bytes(num_compressed)}",
        where=str(path),
        hint="decompress it yourself if you trust it",
    )


def _unreadable(path: Path, got: str) -> InputError:
    return InputError(
        expected="a file that can be read",
        got=got,
        where=str(path),
        hint="check its name and its permissions",
    )
