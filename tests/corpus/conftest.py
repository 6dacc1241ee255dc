"""Files of every format and compression, written by libraries that the readers do not use."""

import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.ZstdCompressor().compress,
}


@pytest.fixture(scope="session")
def save(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str | bytes], Path]:
    """Saves text or bytes under a name in a new folder, compressed as the name says."""

    def write(name: str, content: str | bytes) -> Path:
        data = content.encode("utf-8") if isinstance(content, str) else content
        path = tmp_path_factory.mktemp("corpus") / name
        path.write_bytes(COMPRESS.get(path.suffix, bytes)(data))
        return path

    return write
