"""What a run may use: it changes how fast a result comes, never which result is meant."""

import os
from dataclasses import dataclass


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
