"""A table of losses for weighing transfer in bytes: anyone's runs, one line each.

Columns ``target, init, dataset_bytes, perplexity_per_byte`` and, where there are several runs of
a kind, ``seed``; runs that grew from one trunk name it in ``trunk``. `init` is ``scratch`` or the
source that the model was pretrained on. A size of 0 is the model before any target text.
"""

import csv
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lingraft.errors import InputError

SCRATCH = "scratch"
COLUMNS = ("target", "init", "dataset_bytes", "perplexity_per_byte")


@dataclass(frozen=True)
class Loss:
    """What one run reached.

    Attributes:
        target: Language, or whatever the validation text is called.
        init: ``"scratch"``, or the source of the pretrained weights.
        dataset_bytes: Target text trained on; 0 for none.
        nats_per_byte: Loss on held-out target text.
        seed: Tells runs of one kind apart; empty where there is one.
        trunk: Runs with the same non-empty name share most of their training.
    """

    target: str
    init: str
    dataset_bytes: int
    nats_per_byte: float
    seed: str = ""
    trunk: str = ""

    @property
    def perplexity_per_byte(self) -> float:
        """e to the loss."""
        return math.exp(self.nats_per_byte)


def read_losses(path: str | Path) -> tuple[Loss, ...]:
    """Reads a table of losses.

    Args:
        path: CSV with a header, UTF-8.

    Raises:
        InputError: No such file, a column is missing, a cell is no number of its kind, or two
            lines are of one run.
    """
    path = Path(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            _check_header(reader.fieldnames or [], path)
            losses = tuple(_parse(reader, path))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            expected="a readable CSV file in UTF-8", got=str(error), where=str(path)
        ) from error
    check_distinct(losses, where=str(path))
    return losses


def check_distinct(losses: Iterable[Loss], *, where: str) -> None:
    """Refuses two losses of one run: which of them counts is not for us to say.

    Raises:
        InputError: Two losses agree in target, init, size and seed.
    """
    seen: set[tuple[str, str, int, str]] = set()
    for loss in losses:
        key = (loss.target, loss.init, loss.dataset_bytes, loss.seed)
        if key in seen:
            raise InputError(
                expected="one line for each target, init, dataset_bytes and seed",
                got=f"two for {', '.join(map(str, key))}".rstrip(", "),
                where=where,
                hint="number repeated runs in a column seed",
            )
        seen.add(key)


def _check_header(names: Iterable[str], path: Path) -> None:
    given = list(names)
    if missing := [name for name in COLUMNS if name not in given]:
        raise InputError(
            expected=f"columns {', '.join(COLUMNS)} and perhaps seed and trunk",
            got=f"{', '.join(given) or 'none'}; {', '.join(missing)} missing",
            where=str(path),
        )


def _parse(rows: Iterable[Mapping[str, str | None]], path: Path) -> Iterator[Loss]:
    for line, row in enumerate(rows, start=2):
        where = f"{path}:{line}"
        target, init = ((row[name] or "").strip() for name in ("target", "init"))
        if not target or not init:
            raise InputError(
                expected="a target and an init", got=f"{target!r} and {init!r}", where=where
            )
        yield Loss(
            target=target,
            init=init,
            dataset_bytes=_size(row["dataset_bytes"], where),
            nats_per_byte=math.log(_perplexity(row["perplexity_per_byte"], where)),
            seed=(row.get("seed") or "").strip(),
            trunk=(row.get("trunk") or "").strip(),
        )


def _size(cell: str | None, where: str) -> int:
    """Also as 6e6, which is how such sizes are written, but no part of a byte."""
    value = _number(cell)
    if value is None or value < 0 or value != int(value):
        raise InputError(expected="dataset_bytes 0 or more, whole", got=repr(cell), where=where)
    return int(value)


def _perplexity(cell: str | None, where: str) -> float:
    value = _number(cell)
    if value is None or value <= 1.0:
        raise InputError(
            expected="perplexity_per_byte above 1",
            got=repr(cell),
            where=where,
            hint="a perplexity is e to the loss in nats, 2 to the loss in bits",
        )
    return value


def _number(cell: str | None) -> float | None:
    try:
        value = float(cell or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None
