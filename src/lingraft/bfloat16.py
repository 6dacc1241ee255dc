"""bfloat16 in compiled loops: numpy has no such type, so its bits come as uint16.

A bfloat16 is the upper half of a float32.
"""

from typing import Any

import numpy as np
import torch
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload
from numpy.typing import NDArray


def array_of(tensor: torch.Tensor) -> NDArray[Any]:
    """Returns the tensor's memory, of bfloat16 the bits as uint16.

    Args:
        tensor: On a processor.
    """
    tensor = tensor.detach()
    if tensor.dtype == torch.bfloat16:
        bits: NDArray[Any] = tensor.view(torch.int16).numpy().view(np.uint16)
        return bits
    plain: NDArray[Any] = tensor.numpy()
    return plain


def widened(number: Any) -> Any:
    """Returns a number of such an array as one to compute with; for compiled loops alone."""


def narrowed(number: Any, like: Any) -> Any:
    """Returns a number as an array holds it that has another like this; for compiled loops alone.

    bfloat16 is rounded to the nearest, ties to even. Not for numbers that are none.
    """


@overload(widened)  # type: ignore[untyped-decorator]
def _of_widened(number: Any) -> Any:
    return _whole if number == types.uint16 else _same


@overload(narrowed)  # type: ignore[untyped-decorator]
def _of_narrowed(number: Any, like: Any) -> Any:
    return _half if like == types.uint16 else _same_too


def _whole(number: Any) -> Any:
    return _float_of(np.uint32(np.uint32(number) << np.uint32(16)))


def _same(number: Any) -> Any:
    return number


def _half(number: Any, like: Any) -> Any:
    bits = _bits_of(number)
    odd = (bits >> np.uint32(16)) & np.uint32(1)
    return np.uint16((bits + np.uint32(0x7FFF) + odd) >> np.uint32(16))


def _same_too(number: Any, like: Any) -> Any:
    return number


@intrinsic  # type: ignore[untyped-decorator]
def _float_of(context: Any, bits: Any) -> Any:
    return types.float32(types.uint32), _reread_as(ir.FloatType())


@intrinsic  # type: ignore[untyped-decorator]
def _bits_of(context: Any, number: Any) -> Any:
    return types.uint32(types.float32), _reread_as(ir.IntType(32))


def _reread_as(kind: Any) -> Any:
    def reread(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], kind)

    return reread
