"""Amounts that users write with a unit: ``2MB``, ``90s``, ``200 steps``.

MB is 10^6 bytes and MiB 2^20, always.
"""

import re
from dataclasses import dataclass

from lingraft.errors import InputError

BYTES_PER = {
    "B": 1,
    "kB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
}
SECONDS_PER = {"s": 1, "min": 60, "h": 3600}
_AMOUNT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*")
_LOWER = {unit.lower(): size for unit, size in BYTES_PER.items()}


@dataclass(frozen=True)
class Budget:
    """How long a training may last: exactly one of bytes of text, steps, or seconds is set."""

    num_bytes: int | None = None
    num_steps: int | None = None
    num_seconds: float | None = None

    def __post_init__(self) -> None:
        given = [x for x in (self.num_bytes, self.num_steps, self.num_seconds) if x is not None]
        if len(given) != 1 or given[0] <= 0:
            raise InputError(
                expected="a budget with exactly one positive amount of bytes, steps or seconds",
                got=str(self),
                where="budget",
            )

    @property
    def timed(self) -> bool:
        """Whether a clock ends the run, so that a rerun need not give the same bytes."""
        return self.num_seconds is not None


def parse_bytes(text: str) -> int:
    """Returns the number of bytes in ``"150kB"``, ``"2 MB"``, ``"1MiB"`` or ``"4096"``.

    Raises:
        InputError: The text is not a number with a known unit of bytes.
    """
    if text.strip().isdecimal():  # not isdigit(), which also takes superscripts
        return int(text)
    match = _AMOUNT.fullmatch(text)
    unit = _LOWER.get(match[2].lower()) if match else None
    if match is None or unit is None:
        raise InputError(
            expected="bytes such as 150kB, 2MB or 1MiB", got=repr(text), where="amount of bytes"
        )
    return round(float(match[1]) * unit)


def parse_budget(text: str) -> Budget:
    """Returns the budget that ``"2MB"``, ``"300s"``, ``"5min"`` or ``"200steps"`` stands for.

    Raises:
        InputError: The text names no unit of bytes, time or steps.
    """
    match = _AMOUNT.fullmatch(text)
    if match and match[2] in SECONDS_PER:
        return Budget(num_seconds=float(match[1]) * SECONDS_PER[match[2]])
    if match and match[2] in ("step", "steps") and match[1].isdecimal():
        return Budget(num_steps=int(match[1]))
    if match and match[2].lower() in _LOWER:
        return Budget(num_bytes=parse_bytes(text))
    raise InputError(
        expected="a budget such as 2MB, 300s, 5min or 200steps", got=repr(text), where="budget"
    )


def format_bytes(num_bytes: float) -> str:
    """Returns bytes for a person, in powers of ten: ``format_bytes(2_500_000)`` is 2.5 MB."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        # From where three digits round up to the unit: 999 950 is 1 MB, never 1e+03 kB.
        if num_bytes >= size - size // 2000:
            amount = num_bytes / size
            return f"{amount:.0f} {unit}" if amount >= 100 else f"{amount:.3g} {unit}"
    return f"{num_bytes:.0f} B"
