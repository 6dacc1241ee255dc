"""Values of a recipe's settings: what a command line gives, as the recipe's `plan` declares it."""

import math
from collections.abc import Callable, Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from lingraft.errors import InputError
from lingraft.units import parse_bytes

Bytes = Annotated[int, parse_bytes]
"""Kind of a setting that is an amount of text: ``850kB`` or ``850000``."""


def fitted_settings(
    function: Callable[..., Any], values: Mapping[str, Any], *, where: str
) -> dict[str, Any]:
    """Returns the values in the kinds that a function declares for its parameters.

    A number is text where text is declared (``sizes=30000``), a whole number a float. A kind that
    is declared as ``Annotated[kind, read]`` is read from text by `read`. What is declared as
    something else than text, numbers, truth, `Literal`, a class or a union of these stays as it is.

    Args:
        function: Its annotations say the kinds.
        values: By parameter, as `parse_setting` read them.
        where: For errors.

    Raises:
        InputError: A value that is not of the declared kind, or a kind that cannot be read.
    """
    try:
        kinds = get_type_hints(function, include_extras=True)
    except NameError as error:
        raise InputError(
            expected="annotations of names that are imported", got=str(error), where=where
        ) from error
    fitted = {}
    for name, value in values.items():
        try:
            fitted[name] = _fitted(value, kinds.get(name, object))
        except _KindError as unfit:
            raise InputError(
                expected=str(unfit),
                got=repr(value),
                where=f"{where}, setting {name}",
                hint="a value is read as JSON, else as text",
            ) from None
    return fitted


class _KindError(Exception):
    """A value is of another kind; says of which it has to be."""


def _fitted(value: Any, kind: Any) -> Any:
    origin, members = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _read(value, *members[:2])
    if origin in (Union, UnionType):
        return _one_of(value, members)
    if origin is Literal:
        if value not in members:
            raise _KindError(f"one of {', '.join(map(str, members))}")
        return value
    if kind is NoneType and value is not None:
        raise _KindError("null")
    if kind in _KINDS:
        name, fit = _KINDS[kind]
        found = fit(value)
        if found is None:
            raise _KindError(name)
        return found
    held = object if kind is Any else origin or kind
    if isinstance(held, type) and not isinstance(value, held):
        raise _KindError("a JSON object" if issubclass(held, Mapping) else held.__name__)
    return value


def _read(value: Any, kind: Any, read: Callable[[str], Any]) -> Any:
    if not isinstance(value, str):
        return _fitted(value, kind)
    try:
        return read(value)
    except InputError as error:
        raise _KindError(error.expected) from None


def _one_of(value: Any, kinds: tuple[Any, ...]) -> Any:
    """The value as it is where one of the kinds has it so, else as the first that it fits."""
    found, expected = [], []
    for kind in kinds:
        try:
            found.append(_fitted(value, kind))
        except _KindError as unfit:
            expected.append(str(unfit))
    if not found:
        raise _KindError(" or ".join(expected))
    same = [one for one in found if type(one) is type(value)]
    return (same or found)[0]


def _text(value: Any) -> str | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if isinstance(value, str) else str(value) if is_number else None


def _whole(value: Any) -> int | None:
    number = _number(value) if not isinstance(value, str) else None
    return int(value) if number is not None and number == int(number) else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


_KINDS: dict[Any, tuple[str, Callable[[Any], Any]]] = {
    str: ("text", _text),
    int: ("a whole number", _whole),
    float: ("a number", _number),
    bool: ("true or false", lambda value: value if isinstance(value, bool) else None),
}
