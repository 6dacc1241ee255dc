"""Differences between conditions: paired by document, and what they are called."""

import math

import pytest

from lingraft.measurement import Score
from lingraft.pipelines.condition_record import difference, verdict


def score_of(*nats: float, data: str = "x") -> Score:
    items = tuple((value, 10.0) for value in nats)
    return Score(
        name="bits_per_byte",
        unit="bits/byte",
        numerator=sum(nats),
        denominator=10.0 * len(nats),
        scale=1 / math.log(2),
        items=items,
        signature={"data": data},
    )


def test_differences_are_paired() -> None:
    one, other = score_of(10.0, 50.0, 90.0), score_of(11.0, 51.0, 91.0)
    found = difference(one, other)
    assert found["value"] == pytest.approx(-0.1 / math.log(2))
    # Each document differs by the same: no doubt is left, however unlike the documents are.
    assert found["interval"] == pytest.approx([found["value"]] * 2)
    assert verdict(found) == "better"
    assert verdict(difference(other, one)) == "worse"
    assert verdict(difference(one, score_of(10.0, 51.0, 89.0))) == "open"
    assert difference(one, score_of(1.0, 2.0, 3.0, data="y")) == {"value": None, "interval": None}
    assert verdict({"value": None, "interval": None}) is None
