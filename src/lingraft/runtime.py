"""What a run may use: it changes how fast a result comes, never which result is meant."""

import ctypes
import gc
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

# Of glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT_BYTES = 2**30


@dataclass(frozen=True)
class Runtime:
    """Threads and device of a run; the one argument that no fingerprint contains.

    Attributes:
        num_threads: CPU threads; 0 means all cores that this process may use.
        device: A torch device name, or ``"auto"`` for the best one that is present.
        precision: ``"auto"`` takes bfloat16 autocast in training where the device computes it
            in hardware, else float32; ``"float32"`` and ``"bfloat16"`` insist. Weights and
            optimiser state are float32 in every case.
    """

    num_threads: int = 0
    device: str = "auto"
    precision: str = "auto"

    @property
    def threads(self) -> int:
        """The number of threads to start, at least 1."""
        if self.num_threads > 0:
            return self.num_threads
        affinity = getattr(os, "sched_getaffinity", None)  # absent on macOS
        return len(affinity(0)) if affinity else os.cpu_count() or 1


def keep_memory() -> bool:
    """Lets the process keep freed blocks up to `KEPT_BYTES` instead of handing them back.

    Every step frees its activations and asks for as much again; glibc hands large blocks back to
    the system at once, which then clears every page anew.

    Returns:
        Whether the C library took the setting: only glibc has it.
    """
    mallopt = _of_glibc("mallopt")
    return mallopt is not None and bool(
        mallopt(M_MMAP_THRESHOLD, KEPT_BYTES) and mallopt(M_TRIM_THRESHOLD, 2 * KEPT_BYTES - 1)
    )


def release_memory() -> None:
    """Hands back what `keep_memory` kept, when a piece of work is over; elsewhere nothing.

    A process that is smaller than what may be kept is left alone: looking for garbage takes longer
    than many a job.
    """
    trim = _of_glibc("malloc_trim")
    if trim is not None and _resident_bytes() > 2 * KEPT_BYTES:
        gc.collect()
        trim(0)


def _resident_bytes() -> int:
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    except OSError:
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _of_glibc(name: str) -> Callable[..., int] | None:
    try:
        found: Callable[..., int] = getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError, TypeError):
        return None
    return found
