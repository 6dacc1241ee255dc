"""Tables of losses: what is read, and every line that is refused."""

import math
from pathlib import Path

import pytest

from lingraft.errors import InputError
from lingraft.measurement.transfer_losses import Loss, read_losses

HEADER = "target,init,dataset_bytes,perplexity_per_byte"


def written(tmp_path: Path, *lines: str, header: str = HEADER) -> Path:
    path = tmp_path / "losses.csv"
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


def test_lines_become_losses_in_nats(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "nl,scratch,30000,7.5,1,a",
        ' "ελ" ,en,6e6,2.718281828459045,,',
        "nl,en,0,3,,",
        header=f"{HEADER},seed,trunk",
    )
    first, second, third = read_losses(path)
    assert first == Loss("nl", "scratch", 30_000, math.log(7.5), "1", "a")
    assert (second.target, second.dataset_bytes) == ('"ελ"', 6_000_000)
    assert second.nats_per_byte == pytest.approx(1.0)
    assert second.perplexity_per_byte == pytest.approx(math.e)
    assert (third.dataset_bytes, third.seed, third.trunk) == (0, "", "")


def test_columns_may_stand_in_any_order_beside_others(tmp_path: Path) -> None:
    path = tmp_path / "losses.csv"
    path.write_text(
        "\ufeffnote,perplexity_per_byte,init,target,dataset_bytes\nx,2,en,nl,5\n", encoding="utf-8"
    )
    assert read_losses(path) == (Loss("nl", "en", 5, math.log(2)),)


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, header="target,init,bytes")
    with pytest.raises(InputError) as caught:
        read_losses(path)
    assert caught.value.got == ("target, init, bytes; dataset_bytes, perplexity_per_byte missing")
    assert caught.value.where == str(path)


@pytest.mark.parametrize(
    ("line", "expected", "got"),
    [
        ("nl,scratch,5.5,2", "dataset_bytes 0 or more, whole", "'5.5'"),
        ("nl,scratch,-5,2", "dataset_bytes 0 or more, whole", "'-5'"),
        ("nl,scratch,inf,2", "dataset_bytes 0 or more, whole", "'inf'"),
        ("nl,scratch,,2", "dataset_bytes 0 or more, whole", "''"),
        ("nl,scratch,5,1", "perplexity_per_byte above 1", "'1'"),
        ("nl,scratch,5,nan", "perplexity_per_byte above 1", "'nan'"),
        ("nl,scratch,5", "perplexity_per_byte above 1", "None"),
        (",scratch,5,2", "a target and an init", "'' and 'scratch'"),
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


def test_one_run_has_one_line(tmp_path: Path) -> None:
    path = written(tmp_path, "nl,en,5,2,1", "nl,en,5,3,2", "nl,en,5,2.1,1", header=f"{HEADER},seed")
    with pytest.raises(InputError, match="two for nl, en, 5, 1") as caught:
        read_losses(path)
    assert caught.value.hint == "number repeated runs in a column seed"


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected a readable CSV file in UTF-8, got .*No such"):
        read_losses(tmp_path / "none.csv")
    latin = tmp_path / "latin.csv"
    latin.write_bytes(HEADER.encode() + b"\n\xe9,en,5,2\n")
    with pytest.raises(InputError, match="expected a readable CSV file in UTF-8"):
        read_losses(latin)
