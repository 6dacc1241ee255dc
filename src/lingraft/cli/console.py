"""What the verbs print: progress to stderr, tables and records to stdout."""

import contextlib
import json
import sys
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

Threads = Annotated[int, typer.Option(help="CPU threads; 0 for all.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]


class Watch:
    """`study.Progress` on a terminal: one bar, with the time that is left."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, soft_wrap=True)
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )
        self._task: Any = None

    def __enter__(self) -> "Watch":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._task is not None:
            self._bars.stop()

    def start(self, name: str, total: float | None, unit: str) -> None:
        """Begins a bar."""
        if self._task is None:
            self._bars.start()  # not before: a refused input prints its one line alone
        else:
            self._bars.remove_task(self._task)
        self._task = self._bars.add_task(name, total=total)

    def advance(self, amount: float) -> None:
        """Moves the bar."""
        if self._task is not None:
            self._bars.advance(self._task, amount)

    def note(self, text: str) -> None:
        """Prints one line above the bar."""
        self._console.print(text, highlight=False, markup=False)


@contextlib.contextmanager
def watching() -> Iterator[Watch]:
    """Shows progress on stderr while the block runs."""
    with Watch() as watch:
        yield watch


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Prints headers and rows to stdout; lines are never cut, also when piped."""
    headers, *body = rows
    table = Table(show_edge=False, pad_edge=False, header_style="bold")
    for number, header in enumerate(headers):
        table.add_column(header, justify="right" if number else "left")
    for row in body:
        table.add_row(*row)
    width = None if sys.stdout.isatty() else 200
    Console(width=width, markup=False, highlight=False).print(table)


def print_json(record: Any) -> None:
    """Prints one JSON value on one line of stdout."""
    print(json.dumps(record, ensure_ascii=False))


def print_note(text: str) -> None:
    """Prints one line to stderr."""
    print(text, file=sys.stderr)
