"""How a job tells how far it is; the command line draws it, notebooks may ignore it."""

from collections.abc import Callable
from typing import Protocol


class Progress(Protocol):
    """Where a job reports to; each `advance` belongs to the last `start`."""

    def start(self, name: str, total: float | None, unit: str) -> None:
        """Begins a stretch of work of `total` units, or of unknown length."""

    def advance(self, amount: float) -> None:
        """Reports that `amount` more units are done."""

    def note(self, text: str) -> None:
        """Tells one line."""


class NullProgress:
    """Progress that nobody watches."""

    def start(self, name: str, total: float | None, unit: str) -> None:
        """Ignores it."""

    def advance(self, amount: float) -> None:
        """Ignores it."""

    def note(self, text: str) -> None:
        """Ignores it."""


class JobProgress:
    """The progress of one job: what it reports bears the job's name."""

    def __init__(self, progress: Progress, name: str) -> None:
        self._progress, self._name = progress, name

    def start(self, name: str, total: float | None, unit: str) -> None:
        """Begins a stretch of the job's work."""
        self._progress.start(f"{self._name}: {name}", total, unit)

    def advance(self, amount: float) -> None:
        """Reports units done."""
        self._progress.advance(amount)

    def note(self, text: str) -> None:
        """Tells one line."""
        self._progress.note(f"{self._name}: {text}")


def share_reporter(progress: Progress, name: str) -> Callable[[float, str], None]:
    """Begins a stretch whose length is 1 and returns what takes the share done so far, and a note.

    Loops that may resume know how far they are, not how far they went since the last report.
    """
    progress.start(name, 1.0, "share")
    reached = 0.0

    def advance(done: float, note: str) -> None:
        nonlocal reached
        progress.advance(done - reached)
        reached = done

    return advance
