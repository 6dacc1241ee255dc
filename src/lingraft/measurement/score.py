"""A number with everything that it takes to trust it: sums first, one division last."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lingraft.errors import InputError
from lingraft.seeds import derive

NUM_RESAMPLES = 1000
COVERAGE = 0.95
_DRAWN_AT_ONCE = 1_000_000


@dataclass(frozen=True)
class Score:
    """One measured quantity.

    Attributes:
        name: What was measured, e.g. ``"bits_per_byte"``.
        unit: Unit of `value`.
        numerator: Sum above the fraction line.
        denominator: Sum below it.
        scale: Factor of the fraction, e.g. 1 / ln 2 to turn nats into bits.
        items: The two sums of each document, (num_items, 2), for intervals and paired tests.
        signature: Data hash, method, settings, version and seed.
        interval: Low and high end of the 95 % interval, or None.
        reason: Why the score is undefined, or empty.
        statistics: Other sums, such as the number of tokens.
    """

    name: str
    unit: str
    numerator: float
    denominator: float
    scale: float = 1.0
    items: tuple[tuple[float, float], ...] = ()
    signature: Mapping[str, Any] = field(default_factory=dict)
    interval: tuple[float, float] | None = None
    reason: str = ""
    statistics: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.denominator == 0 and not self.reason:
            object.__setattr__(self, "reason", "nothing to divide by")

    @property
    def value(self) -> float | None:
        """The quantity itself; None where it is undefined, with `reason` saying why."""
        if self.reason:
            return None
        return self.scale * self.numerator / self.denominator

    def __add__(self, other: "Score") -> "Score":
        """Adds the sums of two parts of one measurement; the interval has to be drawn anew.

        A part without a denominator, such as an empty list of documents, changes nothing.

        Raises:
            InputError: The two measure different things or with different settings.
        """
        ours, theirs = self._settings(), other._settings()
        if ours != theirs:
            raise InputError(
                expected=f"two parts of one measurement, {ours}", got=str(theirs), where="Score"
            )
        statistics = {
            key: self.statistics.get(key, 0) + other.statistics.get(key, 0)
            for key in sorted({*self.statistics, *other.statistics})
        }
        parts = [self, other]
        data = sorted(h for part in parts for h in str(part.signature.get("data")).split("+"))
        reasons = [part.reason for part in parts if part.denominator] or [self.reason]
        return Score(
            name=self.name,
            unit=self.unit,
            numerator=self.numerator + other.numerator,
            denominator=self.denominator + other.denominator,
            scale=self.scale,
            items=self.items + other.items,
            signature={**self.signature, "data": "+".join(data)},
            reason=next(filter(None, reasons), ""),
            statistics=statistics,
        )

    def _settings(self) -> tuple[Any, ...]:
        settings = {key: value for key, value in self.signature.items() if key != "data"}
        return (self.name, self.unit, self.scale, tuple(sorted(settings.items(), key=str)))

    def to_record(self) -> dict[str, Any]:
        """Returns a JSON object with the value, the sums and the signature."""
        return {
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "numerator": self.numerator,
            "denominator": self.denominator,
            "scale": self.scale,
            "interval": None if self.interval is None else list(self.interval),
            "reason": self.reason,
            "statistics": dict(self.statistics),
            "signature": dict(self.signature),
            "items": [list(item) for item in self.items],
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Score":
        """Returns the score that `to_record` wrote."""
        interval = record["interval"]
        return cls(
            name=record["name"],
            unit=record["unit"],
            numerator=record["numerator"],
            denominator=record["denominator"],
            scale=record["scale"],
            items=tuple((item[0], item[1]) for item in record["items"]),
            signature=record["signature"],
            interval=None if interval is None else (interval[0], interval[1]),
            reason=record["reason"],
            statistics=record["statistics"],
        )


def bootstrap_interval(
    items: Sequence[tuple[float, float]], *, scale: float, seed: int
) -> tuple[float, float] | None:
    """Returns the 95 % percentile interval of a ratio of sums over resampled documents.

    Args:
        items: Numerator and denominator of each document.
        scale: Factor of the ratio.
        seed: Of the resampling; the same seed draws the same documents for every model, so that
            intervals of differences are paired.

    Returns:
        Low and high end, or None with fewer than two documents.
    """
    if len(items) < 2:
        return None
    sums: NDArray[np.float64] = np.asarray(items, dtype=np.float64)
    generator = np.random.default_rng(derive(seed, "bootstrap", len(items)))
    at_once = max(_DRAWN_AT_ONCE // len(sums), 1)
    parts = []
    for first in range(0, NUM_RESAMPLES, at_once):
        num = min(at_once, NUM_RESAMPLES - first)
        drawn_RN = generator.integers(len(sums), size=(num, len(sums)))
        parts.append(np.stack([sums[:, column][drawn_RN].sum(axis=1) for column in (0, 1)], 1))
    resampled = np.concatenate(parts)
    if not np.all(resampled[:, 1] > 0):
        return None
    edges = np.quantile(
        scale * resampled[:, 0] / resampled[:, 1], [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2]
    )
    return float(edges[0]), float(edges[1])
