"""A table of losses for weighing transfer in bytes: anyone's runs, one line each.

Columns ``target, init, dataset_bytes, perplexity_per_byte`` and, where there are several runs of
a kind, ``seed``; runs that grew from one trunk name it in ``trunk``. `init` is ``scratch`` or the
source that the model was pretrained on. A size of 0 is the model before any target text.
"""

import csv
import difflib
import io
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lingraft.errors import InputError
from lingraft.units import parse_bytes

SCRATCH = "scratch"
COLUMNS = ("target", "init", "dataset_bytes", "perplexity_per_byte")
OPTIONAL_COLUMNS = ("seed", "trunk")
MAX_BYTES = 2**53  # 9 PB, to where whole numbers are exact as floats

_DELIMITERS = ",;\t"
_TOO_LIKE_SCRATCH = 0.8  # difflib's ratio; "scrath" has 0.92 and "search" 0.62
_DOTTED_THOUSANDS = re.compile(r"[1-9]\d{0,2}(\.\d{3})+\s*[A-Za-z]*")
_MAX_SHOWN = 60


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

    Column names and ``scratch`` may be in any case. Empty lines and columns of other names are
    passed over.

    Args:
        path: UTF-8 with a header; commas, semicolons or tabs between the cells, decimals with a
            point. Sizes are bytes, or have a unit as in ``30kB``.

    Raises:
        InputError: No such file, a column is missing or there twice, a line has more or fewer
            cells than the header, a cell is no number of its kind, an init is almost
            ``scratch``, two lines are of one run, or there is no line but the header.
    """
    path = Path(path)
    rows = _rows(_read(path), path)
    _, header = next(rows, (0, []))
    places = _places(header, path)
    lines, losses = [], []
    for line, cells in rows:
        where = f"{path}:{line}"
        if len(cells) != len(header):
            raise InputError(
                expected=f"{len(header)} cells as in the header",
                got=f"{len(cells)}",
                where=where,
                hint="write decimals with a point, put cells that contain the delimiter in double "
                "quotes, and keep the delimiters of empty cells",
            )
        lines.append(line)
        losses.append(_parse({name: cells[place] for name, place in places.items()}, where))
    if not losses:
        raise InputError(
            expected="one line a run",
            got="a header alone",
            where=str(path),
            hint="add the runs below the header",
        )
    check_distinct(losses, where=str(path), lines=lines)
    return tuple(losses)


def check_distinct(losses: Sequence[Loss], *, where: str, lines: Sequence[int] = ()) -> None:
    """Refuses two losses of one run: which of them counts is not for us to say.

    Args:
        losses: Of a table.
        where: What the table is called.
        lines: Of its file, one for each loss, where there is a file.

    Raises:
        InputError: Two losses agree in target, init, size and seed.
    """
    seen: dict[tuple[str, str, int, str], int] = {}
    for place, loss in enumerate(losses):
        key = (loss.target, loss.init, loss.dataset_bytes, loss.seed)
        first = seen.setdefault(key, place)
        if first != place:
            found = f"two for {', '.join(str(part) for part in key if part != '')}"
            raise InputError(
                expected="one line for each target, init, dataset_bytes and seed",
                got=f"{found}, lines {lines[first]} and {lines[place]}" if lines else found,
                where=where,
                hint="number repeated runs in a column seed",
            )


def check_scratch(losses: Iterable[Loss], *, where: str) -> None:
    """Refuses a target without any run from scratch: there is nothing to weigh its sources by.

    Raises:
        InputError: There is such a target.
    """
    for target, inits in _inits(losses).items():
        if SCRATCH not in inits:
            raise InputError(
                expected=f"runs from random weights, whose init is {SCRATCH}",
                got=f"init {', '.join(inits)} and no other",
                where=f"{where}, target {target}",
                hint=f"call the init of such runs {SCRATCH}, and a target the same in all its "
                "lines",
            )


def targets_without_source(losses: Iterable[Loss]) -> tuple[str, ...]:
    """Returns the targets that have runs from scratch alone, so that nothing can be weighed."""
    return tuple(target for target, inits in _inits(losses).items() if set(inits) == {SCRATCH})


def _inits(losses: Iterable[Loss]) -> dict[str, dict[str, None]]:
    """The inits of each target, in the order of the table."""
    inits: dict[str, dict[str, None]] = {}
    for loss in losses:
        inits.setdefault(loss.target, {})[loss.init] = None
    return inits


def _read(path: Path) -> str:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InputError(
            expected="a readable CSV file",
            got=error.strerror or str(error),
            where=str(path),
            hint="give the path of a table of losses",
        ) from error
    except UnicodeDecodeError as error:
        raise _not_text(f"byte 0x{error.object[error.start]:02x}", error.start, path) from error
    if "\0" in text:  # UTF-16 without its mark is valid UTF-8, with every second byte 0
        raise _not_text("byte 0x00", len(text[: text.index("\0")].encode()), path)
    return text


def _not_text(got: str, place: int, path: Path) -> InputError:
    return InputError(
        expected="CSV in UTF-8",
        got=f"{got} at offset {place}",
        where=str(path),
        hint="unpack a compressed file first, and save a spreadsheet as CSV in UTF-8",
    )


def _rows(text: str, path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line numbers and cells of the lines that are not empty, the header first."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=max(_DELIMITERS, key=first.count),
        skipinitialspace=True,
        strict=True,  # else a quote that nobody closed swallows the lines after it
    )
    try:
        for cells in reader:
            stripped = [cell.strip() for cell in cells]
            if any(stripped):
                yield reader.line_num, stripped
    except csv.Error as error:
        raise InputError(
            expected="cells in CSV",
            got=str(error),
            where=f"{path}:{reader.line_num}",
            hint="close every double quote, right before the next delimiter",
        ) from error


def _places(header: Sequence[str], path: Path) -> Mapping[str, int]:
    """Where the columns that we know stand."""
    names = [name.casefold() for name in header]
    wanted = f"columns {', '.join(COLUMNS)} and perhaps {' and '.join(OPTIONAL_COLUMNS)}"
    if missing := [name for name in COLUMNS if name not in names]:
        raise InputError(
            expected=wanted,
            got=f"{_shown(', '.join(header)) or 'none'}; {', '.join(missing)} missing",
            where=str(path),
            hint="name the columns in the first line, with commas, semicolons or tabs between",
        )
    known = [name for name in (*COLUMNS, *OPTIONAL_COLUMNS) if name in names]
    if twice := [name for name in known if names.count(name) > 1]:
        raise InputError(
            expected=f"{wanted}, each once",
            got=f"{', '.join(twice)} more than once",
            where=str(path),
            hint="take out or rename the column that does not count",
        )
    return {name: names.index(name) for name in known}


def _parse(row: Mapping[str, str], where: str) -> Loss:
    target, init = row["target"], row["init"]
    if not target or not init or target.startswith("#"):
        raise InputError(
            expected="a target and an init",
            got=f"{_quoted(target)} and {_quoted(init)}",
            where=where,
            hint="a table has no comments: take out lines that do not count",
        )
    return Loss(
        target=target,
        init=_init(init, where),
        dataset_bytes=_size(row["dataset_bytes"], where),
        nats_per_byte=math.log(_perplexity(row["perplexity_per_byte"], where)),
        seed=row.get("seed", ""),
        trunk=row.get("trunk", ""),
    )


def _init(cell: str, where: str) -> str:
    """``scratch`` in any case is itself; what is almost that would pass for a source."""
    name = cell.casefold()
    if name == SCRATCH:
        return SCRATCH
    if SCRATCH in name or difflib.get_close_matches(name, [SCRATCH], cutoff=_TOO_LIKE_SCRATCH):
        raise InputError(
            expected=f"init {SCRATCH} or the name of a source",
            got=_quoted(cell),
            where=where,
            hint=f"write {SCRATCH} for random weights, or give the source another name",
        )
    return cell


def _size(cell: str, where: str) -> int:
    """Also as 6e6, which is how such sizes are written, but no part of a byte."""
    value = _number(cell)
    if value is None:
        try:
            value = parse_bytes(cell)
        except (InputError, OverflowError):
            value = math.nan
    # 30.000 is thirty to a float and thirty thousand to half of Europe.
    if not 0 <= value <= MAX_BYTES or value != int(value) or _DOTTED_THOUSANDS.fullmatch(cell):
        raise InputError(
            expected=f"dataset_bytes whole, from 0 to {MAX_BYTES:.0e}",
            got=_quoted(cell),
            where=where,
            hint="write 30000, 3e4 or 30kB, thousands without a mark between",
        )
    return int(value)


def _perplexity(cell: str, where: str) -> float:
    value = _number(cell)
    if value is None or not 1.0 < value < math.inf:
        raise InputError(
            expected="perplexity_per_byte above 1",
            got=_quoted(cell),
            where=where,
            hint="a perplexity is e to the loss in nats, 2 to the loss in bits, its decimals "
            "after a point",
        )
    return value


def _number(cell: str) -> float | None:
    """What the cell says, infinity and nan too; None for no number."""
    try:
        return float(cell)
    except ValueError:
        return None


def _quoted(cell: str) -> str:
    return repr(_shown(cell))


def _shown(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"
