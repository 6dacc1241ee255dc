"""Numbers of a setting are those that were written, each once."""

import pytest

from lingraft.errors import InputError
from lingraft.pipelines.listed_numbers import check_once, listed_numbers


@pytest.mark.parametrize(
    ("given", "found"),
    [("0,0.5, 1", (0.0, 0.5, 1.0)), (1, (1.0,)), (0.25, (0.25,)), ("1e-2", (0.01,)), ("", ())],
)
def test_numbers_are_read(given: str | float, found: tuple[float, ...]) -> None:
    assert listed_numbers(given, "x") == found


@pytest.mark.parametrize("given", ["abc", "0,,1", "0;1", "1,", "0.5,x"])
def test_what_is_no_number_is_refused(given: str) -> None:
    with pytest.raises(InputError) as error:
        listed_numbers(given, "cue_flips")
    assert (error.value.where, error.value.got) == ("cue_flips", repr(given))


def test_repeated_values_are_refused() -> None:
    with pytest.raises(InputError) as error:
        listed_numbers("1,0,1.0", "informativeness")
    assert (error.value.where, error.value.got) == ("informativeness", "1.0 twice")
    check_once([(0.0, 1.0), (1.0, 0.0)], "cells")
    with pytest.raises(InputError):
        check_once([(0.0, 1.0), (0.0, 1.0)], "cells")
