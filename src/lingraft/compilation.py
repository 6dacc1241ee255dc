"""How inner loops are compiled, and where what was compiled is kept."""

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba
import platformdirs

from lingraft.errors import StoreError

_Function = TypeVar("_Function", bound=Callable[..., Any])


def cache_folder() -> Path:
    """Returns the folder of compiled kernels, readable and writable by its owner alone.

    It lies under ``$LINGRAFT_CACHE``, else under the user's cache folder. numba pickles what it
    stores, so a folder that another user can write would run that user's code.

    Raises:
        StoreError: The folder belongs to another user.
    """
    root = os.environ.get("LINGRAFT_CACHE") or platformdirs.user_cache_dir("lingraft")
    folder = Path(root) / "numba"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        status = folder.lstat()
        owned = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()
        if owned:
            folder.chmod(0o700)
    except OSError as error:
        raise _foreign(folder, str(error)) from error
    if not owned:
        raise _foreign(folder, f"one of user {status.st_uid}")
    return folder


def _foreign(folder: Path, got: str) -> StoreError:
    return StoreError(
        expected="a cache folder of your own",
        got=got,
        where=str(folder),
        hint="set LINGRAFT_CACHE to a folder of yours",
    )


# A NUMBA_CACHE_DIR that the user set wins.
_FOLDER: str = numba.config.CACHE_DIR or str(cache_folder())


def compiled(function: _Function) -> _Function:
    """Compiles a function to machine code that releases the GIL."""
    return _cached(numba.njit(nogil=True, cache=True, error_model="numpy"), function)


def reordered(function: _Function) -> _Function:
    """As `compiled`, where sums may be taken in any order, so that they become vector instructions.

    The order is the same in every run and at any number of threads, but perhaps another one on
    another kind of processor.
    """
    fastmath = {"reassoc", "contract", "nsz"}
    return _cached(
        numba.njit(nogil=True, cache=True, error_model="numpy", fastmath=fastmath), function
    )


def _cached(decorate: Callable[[_Function], _Function], function: _Function) -> _Function:
    """Decorates while numba's setting, which fixes the place of the cache, is ours."""
    users: str = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = _FOLDER
    try:
        return decorate(function)
    finally:
        numba.config.CACHE_DIR = users
