"""bfloat16 in compiled loops is torch's."""

import numba
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from lingraft.bfloat16 import array_of, narrowed, widened


@numba.njit  # type: ignore[untyped-decorator]
def copied(flat: NDArray[np.generic], wide: NDArray[np.floating], out: NDArray[np.generic]) -> None:
    for at in range(len(flat)):
        wide[at] = widened(flat[at])
    for at in range(len(flat)):
        out[at] = narrowed(wide[at], out[at])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_numbers_are_torchs_there_and_back(dtype: torch.dtype) -> None:
    given = torch.randn(1000, generator=torch.Generator().manual_seed(0)).to(dtype)
    given[:4] = torch.tensor([0.0, -0.0, float("inf"), -float("inf")])
    wide = torch.empty(1000, dtype=torch.promote_types(dtype, torch.float32))
    out = torch.empty_like(given)
    copied(*map(array_of, (given, wide, out)))
    assert torch.equal(wide, given.to(wide.dtype))
    assert torch.equal(out, given)


def test_bfloat16_is_rounded_to_the_nearest_and_ties_to_even() -> None:
    bits = torch.arange(0x3F80_0000, 0x3F84_0000, 0x800, dtype=torch.int32)
    given = torch.cat([bits, bits + 1, bits - 1]).view(torch.float32)
    out = torch.empty(len(given), dtype=torch.bfloat16)
    copied(array_of(given), array_of(torch.empty_like(given)), array_of(out))
    assert torch.equal(out, given.bfloat16())


def test_the_memory_is_shared() -> None:
    given = torch.zeros(2, dtype=torch.bfloat16)
    array_of(given)[1] = 0x3F80
    assert given.tolist() == [0.0, 1.0]
