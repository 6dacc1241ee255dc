"""Rows of a hub's data sets of tasks, streamed."""

from collections.abc import Iterator, Mapping
from typing import Any

from lingraft.corpus.hub import open_stream


def stream_rows(name: str, *, config: str | None, split: str) -> Iterator[Mapping[str, Any]]:
    """Yields a data set's rows in the order that it is stored in.

    Args:
        name: Such as ``"nilc-nlp/assin2"``.
        config: Its subset; None for data sets without.
        split: Of the data set.

    Raises:
        InputError: The package `datasets` is missing, or the data set cannot be opened.
    """
    yield from open_stream(name, config, split, f"{name}, {config or 'no subset'}, {split}")
