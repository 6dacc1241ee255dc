"""Arguments of the lab, each checked where it is given and made Python's own.

Numbers may be numpy's: as Python's they have the same JSON, and a world the same fingerprint. Every
reader takes what was given and the parameter's name, and returns it or refuses it by an
`InputError` that says what must hold and what came.
"""

from collections.abc import Callable, Iterable, Sequence
from math import inf
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from lingraft.errors import InputError

Reader = Callable[[Any, str], Any]


def whole_number(given: object, where: str, *, smallest: float = -inf, largest: float = inf) -> int:
    """Returns a whole number within bounds, if there are any."""
    found = _plain(given)
    if isinstance(found, bool) or not isinstance(found, int) or not smallest <= found <= largest:
        bounds = f" from {smallest} to {largest}" if largest < inf else f" of {smallest} or more"
        expected = "a whole number" + (bounds if smallest > -inf else "")
        raise InputError(expected=expected, got=repr(given), where=where)
    return int(found)


def number(
    given: object, where: str, *, expected: str, is_allowed: Callable[[float], bool]
) -> float:
    """Returns a number that something holds for; a whole one stays whole."""
    found = _plain(given)
    if isinstance(found, bool) or not isinstance(found, int | float) or not is_allowed(found):
        raise InputError(expected=expected, got=repr(given), where=where)
    return found


def share(given: object, where: str) -> float:
    """Returns a number from 0 to 1."""
    return number(given, where, expected="a share from 0 to 1", is_allowed=_is_share)


def shares(given: object, where: str) -> tuple[float, ...]:
    """Returns a list of shares."""
    if not _is_list(given):
        raise InputError(
            expected="a list of shares, one for each language", got=repr(given), where=where
        )
    return tuple(float(share(item, where)) for item in given)


def share_or_shares(given: object, where: str) -> float | tuple[float, ...]:
    """Returns one share, or a list of them."""
    if _is_list(given):
        return shares(given, where)
    expected = "a share from 0 to 1, or a list of one for each language"
    return number(given, where, expected=expected, is_allowed=_is_share)


def flag(given: object, where: str) -> bool:
    """Returns whether something holds."""
    found = _plain(given)
    if not isinstance(found, bool):
        raise InputError(expected="True or False", got=repr(given), where=where)
    return found


def choice(given: object, where: str, *, choices: Sequence[str]) -> str:
    """Returns one of some names."""
    if not isinstance(given, str) or given not in choices:
        raise InputError(expected=f"one of {', '.join(choices)}", got=repr(given), where=where)
    return given


def optional(given: object, where: str, *, read: Reader) -> Any:
    """Returns what another reader does, or None."""
    return None if given is None else read(given, where)


def whole_numbers(given: object, where: str, *, largest: int) -> NDArray[np.int64]:
    """Returns a list of at least one whole number from 0 on as an array."""
    array = np.array(given, dtype=object)
    if array.ndim != 1 or len(array) == 0:
        raise InputError(
            expected="a list of at least one whole number", got=f"shape {array.shape}", where=where
        )
    found = [whole_number(item, where, smallest=0, largest=largest) for item in array]
    return np.array(found, dtype=np.int64)


def _is_share(found: float) -> bool:
    return 0 <= found <= 1


def _is_list(given: object) -> TypeGuard[Iterable[object]]:
    if isinstance(given, np.ndarray):
        return given.ndim > 0
    return isinstance(given, Sequence) and not isinstance(given, str | bytes)


def _plain(given: object) -> object:
    """Returns a number or flag of numpy's as Python's, and all else as it is."""
    if isinstance(given, np.floating):
        return float(str(given))  # as it was written: np.float32(0.1) is 0.1
    return given.item() if isinstance(given, np.integer | np.bool_) else given
