"""The folder of compiled kernels: numba unpickles what lies there."""

import os
import stat
from pathlib import Path

import numba
import pytest

from lingraft import compilation
from lingraft.errors import StoreError


def test_the_cache_folder_is_the_users_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINGRAFT_CACHE", str(tmp_path))
    (tmp_path / "numba").mkdir(mode=0o777)
    (tmp_path / "numba").chmod(0o777)
    folder = compilation.cache_folder()
    assert folder == tmp_path / "numba"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_cache_folder_of_someone_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINGRAFT_CACHE", str(tmp_path))
    owner = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: owner + 1)
    message = rf"numba: expected a cache folder of your own, got one of user {owner}; set LINGRAFT"
    with pytest.raises(StoreError, match=message):
        compilation.cache_folder()


def test_a_cache_folder_that_cannot_be_made_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LINGRAFT_CACHE", str(tmp_path / "file"))
    with pytest.raises(StoreError, match=r"expected a cache folder of your own, got .*director"):
        compilation.cache_folder()


def test_numbas_own_setting_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    for decorate in (compilation.compiled, compilation.reordered):
        assert decorate(lambda x: x + 1)(2) == 3
        assert numba.config.CACHE_DIR == ""
