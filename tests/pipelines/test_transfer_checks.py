"""What no study of data transfer can be made of is refused before its first job."""

import lzma
from pathlib import Path
from typing import Any

import pytest
from transfer_study_cases import DUTCH, ENGLISH, GREEK, SETTINGS, make_inputs

from lingraft.errors import InputError
from lingraft.pipelines.transfer_arms import Arm
from lingraft.pipelines.transfer_checks import check_text
from lingraft.pipelines.transfer_inputs import Source, TextFiles
from lingraft.pipelines.transfer_study import transfer_plan

SCRATCH = "3 or more sizes in bytes, rising, from 1 on"
TUNED = "1 or more sizes in bytes, rising, from 0 on"


@pytest.mark.parametrize(
    ("changes", "expected", "got", "where"),
    [
        ({"scratch_sizes": ()}, SCRATCH, "none", "scratch_sizes"),
        ({"scratch_sizes": (200, 400)}, SCRATCH, "200, 400", "scratch_sizes"),
        ({"scratch_sizes": (200, 400, 200)}, SCRATCH, "200, 400, 200", "scratch_sizes"),
        ({"scratch_sizes": (200, 400, 400)}, SCRATCH, "200, 400, 400", "scratch_sizes"),
        ({"scratch_sizes": (0, 200, 400)}, SCRATCH, "0, 200, 400", "scratch_sizes"),
        ({"finetuned_sizes": ()}, TUNED, "none", "finetuned_sizes"),
        ({"finetuned_sizes": (-5,)}, TUNED, "-5", "finetuned_sizes"),
        ({"finetuned_sizes": (200, 200)}, TUNED, "200, 200", "finetuned_sizes"),
        (
            {"finetuned_sizes": (0,), "one_pass": True},
            "1 or more sizes in bytes, rising, from 100 on",
            "none",
            "finetuned_sizes",
        ),
        (
            {"scratch_sizes": (50, 200, 400), "one_pass": True},
            "3 or more sizes in bytes, rising, from 100 on",
            "50, 200, 400",
            "scratch_sizes",
        ),
        ({"scratch_seeds": ()}, "at least 1", "0", "scratch_seeds"),
        ({"finetuned_seeds": ()}, "at least 1", "0", "finetuned_seeds"),
        ({"source_bytes": 0}, "at least 1", "0", "source_bytes"),
        ({"targets": [DUTCH, DUTCH]}, "one or more, each once", f"{DUTCH} twice", "targets"),
        ({"sources": []}, "one or more, each once", "none", "sources"),
    ],
)
def test_amounts_and_names_that_make_no_study(
    transfer_files: dict[str, Path], changes: dict[str, Any], expected: str, got: str, where: str
) -> None:
    with pytest.raises(InputError) as caught:
        transfer_plan(make_inputs(transfer_files, **changes), SETTINGS)
    assert (caught.value.expected, caught.value.got) == (expected, got)
    assert caught.value.where == where


def test_a_part_that_one_of_the_models_lacks(transfer_files: dict[str, Path]) -> None:
    """The smaller has 4 layers, the larger 7."""
    inputs = make_inputs(transfer_files, sources=[Source.parse("en/layers:5-6", first=ENGLISH)])
    transfer_plan(inputs, SETTINGS, sizes=["16m"])
    with pytest.raises(InputError, match="part: expected one of the parts") as caught:
        transfer_plan(inputs, SETTINGS, sizes=["16m", "1m"])
    assert caught.value.got == "'layers:5-6'"


def test_a_vocabulary_smaller_than_the_bytes(transfer_files: dict[str, Path]) -> None:
    inputs = make_inputs(transfer_files)
    transfer_plan(inputs, SETTINGS, arms=[Arm(259)])
    with pytest.raises(InputError, match="tokenizer: expected at least 259 ids") as caught:
        transfer_plan(inputs, SETTINGS, arms=[Arm(258)])
    assert caught.value.got == "bpe-258"


@pytest.mark.parametrize("compressed", [False, True])
def test_more_text_than_there_is(tmp_path: Path, compressed: bool) -> None:
    text = "De tekst opent in een nieuw venster.\n" * 30
    path = tmp_path / ("nl.txt.xz" if compressed else "nl.txt")
    path.write_bytes(lzma.compress(text.encode()) if compressed else text.encode())
    files = {"train": path, "valid": path, "test": path}
    texts = {DUTCH: TextFiles([path], path, path)}
    sources = [Source.parse("code", first=ENGLISH)]  # which reads no text of a language
    changes: dict[str, Any] = {"texts": texts, "targets": [DUTCH], "sources": sources}
    check_text(make_inputs(files, **changes))
    for name, sizes in (("scratch_sizes", (200, 400, 2_000)), ("finetuned_sizes", (0, 2_000))):
        with pytest.raises(InputError, match=f"{name}: expected at most 1") as caught:
            check_text(make_inputs(files, **changes, **{name: sizes}))
        assert caught.value.got == "2000 bytes"
        assert caught.value.hint == "ask for less, or bring more text"
    with pytest.raises(InputError, match="finetuned_sizes: expected at most 1"):
        check_text(make_inputs(files, **changes, content_factors={DUTCH: 10.0, GREEK: 1.0}))
    changes["sources"] = [Source.parse("nl", first=ENGLISH)]
    with pytest.raises(InputError, match="source_bytes: expected at most 1"):
        check_text(make_inputs(files, **changes, source_bytes=2_000))
