"""Text from a hub's data sets, streamed: only what is read is fetched, and nothing of it is run."""

import importlib
from collections.abc import Iterator
from typing import Any

from lingraft.corpus.records import Document
from lingraft.errors import InputError

PACKAGE = "datasets"


def stream_documents(
    name: str, *, config: str | None, split: str = "train", text_column: str = "text"
) -> Iterator[Document]:
    """Yields a data set's documents in the order that it is stored in.

    Args:
        name: Such as ``"HuggingFaceFW/fineweb-2"`` or ``"allenai/c4"``.
        config: Its subset, such as ``"nld_Latn"``; None for data sets without.
        split: Of the data set.
        text_column: Which column holds the text.

    Raises:
        InputError: The package `datasets` is missing, the data set cannot be opened, or a row has
            no such column.
    """
    where = f"{name}, {config or 'no subset'}, {split}"
    for number, row in enumerate(open_stream(name, config, split, where)):
        text = row.get(text_column)
        if not isinstance(text, str):
            raise InputError(
                expected=f"text in a column {text_column!r}",
                got=", ".join(sorted(row)) or "no columns",
                where=f"{where}, row {number}",
            )
        # A page and its row, as the bundled text has it: each row is a page of its own.
        yield Document(text, f"{name}/{config or ''}/{row.get('id', number)}#0")


def open_stream(name: str, config: str | None, split: str, where: str) -> Any:
    """Opens a data set for streaming.

    Args:
        name: Of the data set.
        config: Its subset.
        split: ``"train"`` and the like.
        where: For errors.

    Raises:
        InputError: The package `datasets` is missing, or the data set cannot be opened.
    """
    try:
        package = importlib.import_module(PACKAGE)
    except ImportError as error:
        raise InputError(
            expected=f"the package {PACKAGE}",
            got="it is not installed",
            where=where,
            hint=f"pip install {PACKAGE}",
        ) from error
    try:
        return package.load_dataset(name, config, split=split, streaming=True)
    except Exception as error:  # network, names and formats fail in many classes
        raise InputError(
            expected="a data set within reach, stored as Parquet or JSON",
            got=f"{type(error).__name__}: {error}".splitlines()[0],
            where=where,
        ) from error
