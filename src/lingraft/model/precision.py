"""The precision that products of matrices are made in while training."""

import torch

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
