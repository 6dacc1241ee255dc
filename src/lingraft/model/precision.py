"""Where models compute, and the precision that products of matrices are made in while training."""

import torch
from accelerate import Accelerator

from lingraft.errors import InputError
from lingraft.runtime import Runtime


def autocast_dtype(device: torch.device, runtime: Runtime) -> torch.dtype | None:
    """Returns bfloat16 where the device computes it in hardware or the user insists, else None."""
    if runtime.precision == "float32":
        return None
    if runtime.precision == "bfloat16":
        return torch.bfloat16
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else None
    if device.type == "cpu":
        has = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
        return torch.bfloat16 if has() else None
    return None


def computing_device(runtime: Runtime) -> torch.device:
    """Returns the device that the user names, or what accelerate finds best.

    Raises:
        InputError: torch has no such device here.
    """
    if runtime.device == "auto":
        best: torch.device = Accelerator().device
        return best
    try:
        return torch.empty(0, device=runtime.device).device
    except (RuntimeError, AssertionError) as error:  # unknown, or not of this build of torch
        raise InputError(
            expected="a device that torch can use here, or auto",
            got=repr(runtime.device),
            where="device",
            hint=str(error).splitlines()[0],
        ) from error
