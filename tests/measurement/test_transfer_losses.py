"""Tables of losses: what is read, and every line that is refused."""

import gzip
import math
from pathlib import Path

import pytest

from lingraft.errors import InputError
from lingraft.measurement.transfer_losses import (
    Loss,
    check_scratch,
    read_losses,
    targets_without_source,
)

HEADER = "target,init,dataset_bytes,perplexity_per_byte"


def written(tmp_path: Path, *lines: str, header: str = HEADER) -> Path:
    path = tmp_path / "losses.csv"
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


def test_lines_become_losses_in_nats(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "nl,scratch,30000,7.5,1,a",
        ' "ελ, new", en ,6e6,2.718281828459045,,',
        "nl,en,0,3,,",
        header=f"{HEADER},seed,trunk",
    )
    first, second, third = read_losses(path)
    assert first == Loss("nl", "scratch", 30_000, math.log(7.5), "1", "a")
    assert (second.target, second.dataset_bytes) == ("ελ, new", 6_000_000)
    assert second.nats_per_byte == pytest.approx(1.0)
    assert second.perplexity_per_byte == pytest.approx(math.e)
    assert (third.dataset_bytes, third.seed, third.trunk) == (0, "", "")


def test_columns_may_stand_in_any_order_beside_others(tmp_path: Path) -> None:
    path = tmp_path / "losses.csv"
    path.write_text(
        "\ufeffnote,perplexity_per_byte,init,target,dataset_bytes\nx,2,en,nl,5\n", encoding="utf-8"
    )
    assert read_losses(path) == (Loss("nl", "en", 5, math.log(2)),)


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_semicolons_and_tabs_divide_cells_too(tmp_path: Path, delimiter: str) -> None:
    header = '"target","init","dataset_bytes","perplexity_per_byte"'
    path = written(
        tmp_path,
        "nl,scratch,5,2.5".replace(",", delimiter),
        header=header.replace(",", delimiter),
    )
    assert read_losses(path) == (Loss("nl", "scratch", 5, math.log(2.5)),)


def test_names_of_columns_and_scratch_are_in_any_case(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "nl,Scratch,5,2,1",
        "nl,SCRATCH,5,2,2",
        header="Target, INIT ,dataset_bytes,Perplexity_per_byte,Seed",
    )
    assert [(x.init, x.seed) for x in read_losses(path)] == [("scratch", "1"), ("scratch", "2")]


@pytest.mark.parametrize("name", ["scrath", "from scratch", "Scratch (1m)", "scratch-0"])
def test_what_is_almost_scratch_is_no_source(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, f"nl,{name},5,2")
    with pytest.raises(InputError, match="write scratch for random weights") as caught:
        read_losses(path)
    assert caught.value.expected == "init scratch or the name of a source"
    assert (caught.value.got, caught.value.where) == (repr(name), f"{path}:2")
    assert read_losses(written(tmp_path, "nl,search,5,2"))[0].init == "search"


@pytest.mark.parametrize(
    ("cell", "num_bytes"),
    [("1kB", 1000), ("1.5 KiB", 1536), ("2MB", 2_000_000), ("3000.0", 3000), ("9e15", 9 * 10**15)],
)
def test_sizes_have_units_or_are_bytes(tmp_path: Path, cell: str, num_bytes: int) -> None:
    assert read_losses(written(tmp_path, f"nl,en,{cell},2"))[0].dataset_bytes == num_bytes


def test_line_ends_and_empty_lines_do_not_count(tmp_path: Path) -> None:
    path = tmp_path / "losses.csv"
    lines = ["", HEADER, "", "nl,en,5,2", ",,,", "  ", "nl,ru,6,2", ",,,"]
    for end in ("\n", "\r\n", "\r"):
        path.write_bytes(b"\xef\xbb\xbf" + end.join(lines).encode())
        assert [x.init for x in read_losses(path)] == ["en", "ru"]
    path.write_text("\n".join([*lines, "nl,ru,x,2"]), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_losses(path)
    assert caught.value.where == f"{path}:9"


@pytest.mark.parametrize(
    ("header", "got"),
    [
        ("target,init,bytes", "target, init, bytes; dataset_bytes, perplexity_per_byte missing"),
        ("target|init", f"target|init; {', '.join(HEADER.split(','))} missing"),
        ("", f"none; {', '.join(HEADER.split(','))} missing"),
    ],
)
def test_a_missing_column_is_named(tmp_path: Path, header: str, got: str) -> None:
    path = written(tmp_path, header=header)
    with pytest.raises(InputError, match="with commas, semicolons or tabs between") as caught:
        read_losses(path)
    assert (caught.value.got, caught.value.where) == (got, str(path))


def test_a_column_is_there_once(tmp_path: Path) -> None:
    path = written(tmp_path, "nl,en,5,2,3,,", header=f"{HEADER}, Perplexity_Per_Byte,note,note")
    with pytest.raises(InputError, match="each once, got perplexity_per_byte more than once") as e:
        read_losses(path)
    assert e.value.where == str(path)
    assert len(read_losses(written(tmp_path, "nl,en,5,2,,", header=f"{HEADER},note,note"))) == 1


@pytest.mark.parametrize(
    ("line", "num_cells"),
    [
        ("nl,scratch,1000,9,5", 5),
        ("nl,scratch,1,500,9.0", 5),
        ("nl,scratch,5", 3),
        ("# aside", 1),
    ],
)
def test_lines_have_as_many_cells_as_the_header(tmp_path: Path, line: str, num_cells: int) -> None:
    """Else 9,5 would be read as 9, and 1,500 as 1 with a perplexity of 500."""
    path = written(tmp_path, "nl,en,5,2", line)
    with pytest.raises(InputError, match="write decimals with a point, put cells") as caught:
        read_losses(path)
    error = caught.value
    assert error.expected == "4 cells as in the header"
    assert (error.got, error.where) == (str(num_cells), f"{path}:3")


SIZE = "dataset_bytes whole, from 0 to 9e+15"
PERPLEXITY = "perplexity_per_byte above 1"


@pytest.mark.parametrize(
    ("line", "expected", "got"),
    [
        ("nl,scratch,5.5,2", SIZE, "'5.5'"),
        ("nl,scratch,-5,2", SIZE, "'-5'"),
        ("nl,scratch,inf,2", SIZE, "'inf'"),
        ("nl,scratch,nan,2", SIZE, "'nan'"),
        ("nl,scratch,1e300,2", SIZE, "'1e300'"),
        ("nl,scratch,30.000,2", SIZE, "'30.000'"),
        ("nl,scratch,1.500.000 B,2", SIZE, "'1.500.000 B'"),
        ('nl,scratch,"1,500",2', SIZE, "'1,500'"),
        ("nl,scratch,5 steps,2", SIZE, "'5 steps'"),
        (f"nl,scratch,{'1' * 400}kB,2", SIZE, repr("1" * 60 + "…")),
        ("nl,scratch,,2", SIZE, "''"),
        ("nl,scratch,5,1", PERPLEXITY, "'1'"),
        ("nl,scratch,5,-3", PERPLEXITY, "'-3'"),
        ("nl,scratch,5,nan", PERPLEXITY, "'nan'"),
        ("nl,scratch,5,1e400", PERPLEXITY, "'1e400'"),
        ('nl,scratch,5,"9,5"', PERPLEXITY, "'9,5'"),
        ("nl,scratch,5,", PERPLEXITY, "''"),
        (",scratch,5,2", "a target and an init", "'' and 'scratch'"),
        ("nl,,5,2", "a target and an init", "'nl' and ''"),
        ("# nl,scratch,5,2", "a target and an init", "'# nl' and 'scratch'"),
    ],
)
def test_cells_that_are_no_such_number_are_refused(
    tmp_path: Path, line: str, expected: str, got: str
) -> None:
    path = written(tmp_path, "nl,en,5,2", line)
    with pytest.raises(InputError) as caught:
        read_losses(path)
    error = caught.value
    assert (error.expected, error.got, error.where) == (expected, got, f"{path}:3")
    assert error.hint


@pytest.mark.parametrize(
    ("lines", "got", "line"),
    [
        (["nl," + "x" * 140_000 + ",5,2,"], "field larger than field limit (131072)", 2),
        (['nl,en,5,2,"aside', "nl,ru,5,2,"], "unexpected end of data", 3),
        (['nl,en,5,2,"aside"s', "nl,ru,5,2,"], "',' expected after '\"'", 2),
    ],
)
def test_quotes_that_swallow_lines_are_refused(
    tmp_path: Path, lines: list[str], got: str, line: int
) -> None:
    path = written(tmp_path, *lines, header=f"{HEADER},note")
    with pytest.raises(InputError, match=r"expected cells in CSV.*close every double quote") as e:
        read_losses(path)
    assert (e.value.got, e.value.where) == (got, f"{path}:{line}")


def test_one_run_has_one_line(tmp_path: Path) -> None:
    path = written(tmp_path, "nl,en,5,2,1", "nl,en,5,3,2", "nl,en,5,2.1,1", header=f"{HEADER},seed")
    with pytest.raises(InputError, match="two for nl, en, 5, 1, lines 2 and 4") as caught:
        read_losses(path)
    assert caught.value.hint == "number repeated runs in a column seed"


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    for path, got in ((tmp_path / "none.csv", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(InputError, match=f"expected a readable CSV file, got {got}") as caught:
            read_losses(path)
        assert caught.value.where == str(path)
    with pytest.raises(InputError, match="expected one line a run, got a header alone"):
        read_losses(written(tmp_path))


@pytest.mark.parametrize(
    ("content", "got"),
    [
        (HEADER.encode() + b"\n\xe9,en,5,2\n", f"byte 0xe9 at offset {len(HEADER) + 1}"),
        (gzip.compress(HEADER.encode(), mtime=0), "byte 0x8b at offset 1"),
        (HEADER.encode("utf-16-le"), "byte 0x00 at offset 1"),
    ],
    ids=["latin-1", "gzip", "utf-16"],
)
def test_files_that_are_no_text_are_refused(tmp_path: Path, content: bytes, got: str) -> None:
    path = tmp_path / "losses.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"expected CSV in UTF-8.*unpack a compressed file") as e:
        read_losses(path)
    assert (e.value.got, e.value.where) == (got, str(path))


def test_every_target_with_a_source_has_runs_from_scratch() -> None:
    """And those with runs from scratch alone are told apart from the others."""
    scratch, source = Loss("nl", "scratch", 5, 2.0), Loss("nl", "en", 5, 2.0)
    alone = Loss("tr", "scratch", 5, 2.0)
    check_scratch([source, scratch, alone], where="losses")
    assert targets_without_source([source, scratch, alone]) == ("tr",)
    with pytest.raises(InputError, match="call the init of such runs scratch") as caught:
        check_scratch([alone, source, Loss("nl", "random", 5, 2.0)], where="losses")
    error = caught.value
    assert error.expected == "runs from random weights, whose init is scratch"
    assert (error.got, error.where) == ("init en, random and no other", "losses, target nl")
