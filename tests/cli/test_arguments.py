"""How the command line reads what a shell gives it."""

import pytest

from lingraft.cli import spread


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ([], []),
        (["adapt", "m", "--text", "a"], ["adapt", "m", "--text", "a"]),
        (
            ["adapt", "m", "--text", "a", "b", "--to", "el", "--text", "c"],
            ["adapt", "m", "--text", "a", "--text", "b", "--to", "el", "--text", "c"],
        ),
        (
            ["tokenizer", "train", "--text", "a", "b", "--out", "o"],
            ["tokenizer", "train", "--text", "a", "--text", "b", "--out", "o"],
        ),
        (["measure", "m", "--text", "a", "b"], ["measure", "m", "--text", "a", "b"]),
    ],
)
def test_several_files_may_follow_one_option(given: list[str], read: list[str]) -> None:
    assert spread(given) == read
