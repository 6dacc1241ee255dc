"""Links as values and as files."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from lingraft.alignment import Links, read_pharaoh, write_pharaoh
from lingraft.errors import InputError, StoreError


def make_links(**changes: object) -> Links:
    fields: dict[str, object] = {
        "pair": np.array([0, 0, 2], dtype=np.int32),
        "source_word": np.array([0, 1, 0], dtype=np.int32),
        "target_word": np.array([1, 0, 0], dtype=np.int32),
        "posterior": np.array([0.5, 1.0, 0.75], dtype=np.float32),
        "source_starts": np.array([0, 2, 2, 3], dtype=np.int64),
        "target_starts": np.array([0, 2, 3, 4], dtype=np.int64),
        "source_offsets": np.array([[0, 3], [4, 8], [0, 1]], dtype=np.int32),
        "target_offsets": np.array([[0, 3], [4, 9], [0, 2], [1, 2]], dtype=np.int32),
        "segmentation": "words-1",
        "method": "hmm",
        "seed": 7,
    }
    return Links(**(fields | changes))  # type: ignore[arg-type]


def test_sets_keep_the_places_of_pairs_without_links() -> None:
    links = make_links()
    assert links.num_pairs == 3
    assert len(links) == 3
    assert links.sets() == [{(0, 1), (1, 0)}, set(), {(0, 0)}]


def test_loaded_links_equal_the_saved_ones(tmp_path: Path) -> None:
    links = make_links()
    links.save(tmp_path / "a.safetensors")
    assert Links.load(tmp_path / "a.safetensors") == links


@pytest.mark.parametrize(
    "change", [{"seed": 8}, {"method": "ibm1"}, {"posterior": np.zeros(3, dtype=np.float32)}]
)
def test_any_difference_makes_links_unequal(change: dict[str, object]) -> None:
    assert make_links() != make_links(**change)
    assert make_links() != "links"


def test_other_files_are_not_links(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    with pytest.raises(StoreError, match=r"x\.safetensors: expected links in the form .*No such"):
        Links.load(path)
    path.write_bytes(b"garbage")
    with pytest.raises(StoreError, match="expected links in the form lingraft-links-1"):
        Links.load(path)
    save_file({"pair": np.zeros(1, dtype=np.int32)}, path)
    with pytest.raises(StoreError, match="got format None"):
        Links.load(path)
    make_links().save(path)
    arrays = load_file(path)
    metadata = {"links": '{"format": "lingraft-links-1", "seed": 1}'}
    save_file(arrays, path, metadata=metadata)
    with pytest.raises(StoreError, match="segmentation"):
        Links.load(path)
    metadata["links"] = metadata["links"].replace(
        '"seed"', '"method": "hmm", "segmentation": "words-1", "seed"'
    )
    save_file(arrays | {"pair": arrays["pair"].astype(np.int64)}, path, metadata=metadata)
    with pytest.raises(StoreError, match="got pair of int64"):
        Links.load(path)


def test_pharaoh_has_a_line_for_each_pair(tmp_path: Path) -> None:
    write_pharaoh(make_links(), tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_bytes() == b"0-1 1-0\n\n0-0\n"


@given(st.lists(st.frozensets(st.tuples(st.integers(0, 99), st.integers(0, 99)))))
def test_pharaoh_round_trip(
    tmp_path_factory: pytest.TempPathFactory, sets: list[frozenset[tuple[int, int]]]
) -> None:
    path = tmp_path_factory.mktemp("pharaoh") / "links"
    write_pharaoh([set(links) for links in sets], path)
    assert read_pharaoh(path) == sets


@pytest.mark.parametrize("item", ["3", "3-", "-3", "1?2", "a-1", "1-b", "1-2-3", "²-1"])
def test_items_that_are_no_links_are_refused_with_their_line(tmp_path: Path, item: str) -> None:
    path = tmp_path / "bad.txt"
    path.write_text(f"0-0\n1-1 {item}\n", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_pharaoh(path)
    assert str(caught.value).startswith(
        f"{path}:2: expected links such as 0-0 or 3-1, got {item!r}"
    )


def test_an_unreadable_pharaoh_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none: expected a readable file of links, got .*No such"):
        read_pharaoh(tmp_path / "none")


def test_equal_links_are_equal_bytes(tmp_path: Path) -> None:
    # safetensors keeps metadata in a hash map with a random seed of its own for each call.
    written = set()
    for number in range(8):
        make_links().save(tmp_path / f"{number}.safetensors")
        written.add((tmp_path / f"{number}.safetensors").read_bytes())
    assert len(written) == 1
