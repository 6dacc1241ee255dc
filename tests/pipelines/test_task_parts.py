"""Parts of a task: nothing that is asked was learnt, and what is read comes back as it was."""

import json
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lingraft.corpus.task_examples import Example, TaskData
from lingraft.errors import InputError
from lingraft.pipelines.task_parts import (
    TaskParts,
    check_columns,
    fetch_task,
    make_continuations,
    part_task,
    prepare_task,
    read_parts,
)


def task(rows: list[tuple[int, int]]) -> TaskData:
    """Examples with a premise of a number, or without any for a negative one."""
    examples = tuple(
        Example(f"t: {p} {n}", (str(n % 2),), f"{p} {n}", shared="" if p < 0 else f"p{p}")
        for p, n in rows
    )
    return TaskData(examples, "entailment", ("0", "1"))


def parts_of(parts: TaskParts) -> list[tuple[Example, ...]]:
    return [parts.train.examples, parts.valid.examples, parts.test.examples]


@given(
    premises=st.lists(st.integers(-3, 12), min_size=30, max_size=80),
    seed=st.integers(0, 3),
)
def test_no_premise_is_on_two_sides_and_nothing_is_lost(premises: list[int], seed: int) -> None:
    data = task([(premise, number) for number, premise in enumerate(premises)])
    if len({p for p in premises if p >= 0}) + sum(p < 0 for p in premises) < 8:
        return
    try:
        parts = part_task({"train": data}, seed=seed)
    except InputError:
        # One premise holds nearly all examples.
        assert max(Counter(p for p in premises if p >= 0).values()) > len(premises) // 4
        return
    found = parts_of(parts)
    assert Counter(example for part in found for example in part) == Counter(data.examples)
    for one, other in ((0, 1), (0, 2), (1, 2)):
        shared = [{example.shared for example in found[at]} - {""} for at in (one, other)]
        assert not shared[0] & shared[1]
    assert len(found[2]) >= len(data) / 4
    assert len(found[1]) >= (len(data) - len(found[2])) / 10
    assert parts == part_task({"train": data}, seed=seed)
    assert parts.num_overlapping == 0


def test_a_premise_is_taken_whole_but_no_more_of_them_than_needed() -> None:
    data = task([(premise, number) for number in range(4) for premise in range(25)])
    parts = part_task({"train": data}, seed=0)
    assert parts.counts() == {"train": 64, "valid": 8, "test": 28}
    drawn = {parts.test.examples, part_task({"train": data}, seed=1).test.examples}
    assert len(drawn) == 2


def test_what_is_asked_later_is_taken_out_and_fewer_lie_inside_more() -> None:
    given_parts = {
        "train": task([(-1, n) for n in range(20)]),
        "valid": task([(-1, n) for n in range(15, 25)]),
        "test": task([(-1, n) for n in range(22, 30)]),
    }
    parts = part_task(given_parts, seed=0)
    assert parts.counts() == {"train": 15, "valid": 7, "test": 8}
    assert parts.num_overlapping == 5 + 3
    few, more = (part_task(given_parts, seed=0, num_train=num) for num in (4, 9))
    assert (len(few.train), len(more.train)) == (4, 9)
    assert set(few.train.examples) < set(more.train.examples)
    assert (few.test, few.valid) == (parts.test, parts.valid)
    with pytest.raises(InputError) as caught:
        part_task({"train": given_parts["train"], "test": given_parts["train"]}, seed=0)
    assert caught.value.expected == "training examples that are neither in valid nor in test"
    assert (caught.value.got, caught.value.where) == ("none", "train")


def test_files_come_back_as_they_were_split(tmp_path: Path) -> None:
    rows = [{"premise": f"p{n // 3}", "hypothesis": f"h{n}", "gold": n % 3} for n in range(60)]
    path = tmp_path / "nli.jsonl"
    text = "".join(json.dumps(row) + "\n" for row in rows) + "{\n"
    path.write_text(text, encoding="utf-8")
    facts = prepare_task(
        train=path, valid=None, test=None, kind="entailment",
        columns={"task": "nli", "label": "gold"}, num_train=30, seed=0, out=tmp_path,
    )  # fmt: skip
    parts = read_parts(tmp_path)
    assert facts == {
        "num_train": 30,
        "num_valid": 6,
        "num_test": 15,
        "num_overlapping": 0,
        "rejected": {"train": {"bad JSON": 1}},
    }
    assert {f"num_{name}": num for name, num in parts.counts().items()}.items() <= facts.items()
    assert (parts.train.kind, parts.train.labels) == ("entailment", ("0", "1", "2"))
    example = parts.test.examples[0]
    number = int(example.prompt.rpartition("h")[2])
    assert example == Example(
        f"nli: premise: p{number // 3} hypothesis: h{number}", (str(number % 3),), example.id
    )
    assert example.shared == f"p{number // 3}"


def test_a_hubs_splits_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def load_dataset(name: str, config: str | None, *, split: str, streaming: bool) -> Any:
        seen.append((name, config, split, streaming))
        return iter({"premise": f"{split} {n}", "hypothesis": "h", "y": n % 2} for n in range(20))

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    facts = fetch_task(
        dataset="some/nli", config=None, splits={"train": "train", "test": "validation"},
        columns={"task": "t", "label": "y"}, num_train=None, seed=0, out=tmp_path,
    )  # fmt: skip
    assert seen == [("some/nli", None, "train", True), ("some/nli", None, "validation", True)]
    assert (facts["num_train"], facts["num_valid"], facts["num_test"]) == (18, 2, 20)
    assert read_parts(tmp_path).test.examples[3].prompt == "t: premise: validation 3 hypothesis: h"


def test_no_half_says_its_label_and_none_is_on_two_sides(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    lines = [" ".join(f"w{n}.{m}" for m in range(8 + n % 2)) for n in range(101)]
    text.write_text("\n".join([*lines, "too short"]), encoding="utf-8")
    for num, expected in ((None, 100), (41, 40)):
        make_continuations(text=[text], lang="en", num_examples=num, seed=0, out=tmp_path)
        parts = parts_of(read_parts(tmp_path))
        assert sum(map(len, parts)) == expected
        for part in parts:
            seen: dict[str, list[str]] = {}
            for example in part:
                first, second = example.prompt.split("premise: ")[1].split(" hypothesis: ")
                own = first.split(".")[0] == second.split(".")[0]
                assert example.answers == (str(int(own)),)
                seen.setdefault(second, []).append(example.answers[0])
            assert all(sorted(labels) == ["0", "1"] for labels in seen.values())
    text.write_text("one short line\n", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        make_continuations(text=[text], lang="en", num_examples=None, seed=0, out=tmp_path)
    assert caught.value.expected == "documents of 8 words or more"
    assert (caught.value.got, caught.value.where) == ("0", "eng_Latn text of the task")


@pytest.mark.parametrize(
    ("kind", "columns", "got"),
    [
        ("entailment", {}, "no task"),
        ("entailment", {"task": "t", "lable": "y"}, "an unknown lable"),
        ("tagging", {"task": "t"}, "an unknown task"),
        ("parsing", {}, "'parsing'"),
    ],
)
def test_columns_that_no_reader_knows_are_refused(
    kind: Any, columns: dict[str, Any], got: str
) -> None:
    with pytest.raises(InputError) as caught:
        check_columns(kind, columns)
    assert caught.value.got == got
    check_columns("entailment", {"task": "t", "labels": {"a": "b"}})
    check_columns("qa", {})
