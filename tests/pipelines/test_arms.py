"""An arm's choices: which learning rate its trials speak for."""

import pytest

from lingraft.pipelines.arms import chosen_rate


@pytest.mark.parametrize(
    ("bits_per_byte", "expected"),
    [
        ({3e-4: 1.0, 1e-3: 0.99}, 3e-4),  # as good as the best
        ({3e-4: 1.0, 1e-3: 0.9}, 1e-3),  # clearly worse
        ({1e-4: 1.05, 3e-4: 1.0, 1e-3: 0.99}, 3e-4),
        ({3e-4: 1.0, 1e-3: None}, 3e-4),  # diverged
        ({3e-4: None, 1e-3: 2.0}, 1e-3),
    ],
)
def test_the_smallest_of_the_rates_that_are_as_good_as_the_best(
    bits_per_byte: dict[float, float | None], expected: float
) -> None:
    assert chosen_rate(bits_per_byte) == expected
