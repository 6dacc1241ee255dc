"""Numbers that a study is asked for in its settings, refused before anything is planned."""

from collections.abc import Sequence

from lingraft.errors import InputError


def listed_numbers(given: str | float, where: str) -> tuple[float, ...]:
    """Returns numbers with commas between them; none of an empty text.

    `--set` reads a lone number as JSON, so that it comes as a number.

    Args:
        given: Such as ``"0,0.5,1"`` or 1.
        where: Name of the setting.

    Raises:
        InputError: A part is no number, or stands there twice.

    Example:
        >>> listed_numbers("0,0.5", "informativeness"), listed_numbers(1, "informativeness")
        ((0.0, 0.5), (1.0,))
    """
    text = str(given).strip()
    found = [_number(part, text, where) for part in text.split(",")] if text else []
    check_once(found, where)
    return tuple(found)


def check_once(values: Sequence[object], where: str) -> None:
    """Refuses repeated values: they would be trained twice and count as more seeds.

    Raises:
        InputError: A value stands there twice.
    """
    twice = next((value for place, value in enumerate(values) if value in values[:place]), None)
    if twice is not None:
        raise InputError(expected="every value once", got=f"{twice} twice", where=where)


def _number(part: str, text: str, where: str) -> float:
    try:
        return float(part)
    except ValueError:
        raise InputError(
            expected="numbers with commas, such as 0,0.5,1", got=repr(text), where=where
        ) from None
