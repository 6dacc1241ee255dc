"""The parts of a downstream task: read or made, split without leaks, kept in one file."""

import inspect
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lingraft.corpus import read_documents, summarize_rejected
from lingraft.corpus.tagged_sentences import read_conll_ner, read_conllu
from lingraft.corpus.task_examples import Example, TaskData, TaskKind, collect_examples
from lingraft.corpus.task_hub import stream_rows
from lingraft.corpus.task_records import read_sentence_pairs, read_squad
from lingraft.errors import InputError
from lingraft.files import read_json, write_json
from lingraft.languages import Language
from lingraft.seeds import derive

VERSION = 1
PARTS = "parts.json"
VALID_SHARE = 0.1
TEST_SHARE = 0.25
CONTINUATION = "continuation"
# Both halves of a sentence should have something to go by.
_MIN_WORDS = 8

READERS: dict[TaskKind, Any] = {
    "entailment": read_sentence_pairs,
    "tagging": read_conllu,
    "ner": read_conll_ner,
    "qa": read_squad,
}


@dataclass(frozen=True)
class TaskParts:
    """A task to learn and to be judged by; no prompt is in two parts.

    Attributes:
        train: Examples to learn from.
        valid: Examples to choose by.
        test: Examples to score.
        num_overlapping: Examples taken out because a later part has their prompt.
        rejected: By part, what its reader rejected and how often.
    """

    train: TaskData
    valid: TaskData
    test: TaskData
    num_overlapping: int
    rejected: Mapping[str, Mapping[str, int]]

    def counts(self) -> dict[str, int]:
        """Examples by part."""
        return {name: len(getattr(self, name)) for name in ("train", "valid", "test")}


def prepare_task(
    *,
    train: Path,
    valid: Path | None,
    test: Path | None,
    kind: TaskKind,
    columns: Mapping[str, Any],
    num_train: int | None,
    seed: int,
    out: Path,
) -> dict[str, Any]:
    """Reads a task's files and splits what has to be split, once for all models.

    Args:
        train: Examples to learn from.
        valid: Examples to choose by; None draws `VALID_SHARE` of train.
        test: Examples to score; None draws `TEST_SHARE` of train.
        kind: Says which reader reads the files.
        columns: Keyword arguments of the reader.
        num_train: Examples that are kept for learning, at most; None for all.
        seed: Of the draws.
        out: Folder for `parts.json`.

    Returns:
        Examples by part, what was taken out and what was rejected.

    Raises:
        InputError: As the readers, or a part is empty.
    """
    read = read_task({"train": train, "valid": valid, "test": test}, kind, columns)
    return _write(part_task(read, num_train=num_train, seed=seed), out)


def fetch_task(
    *,
    dataset: str,
    config: str | None,
    splits: Mapping[str, str],
    columns: Mapping[str, Any],
    num_train: int | None,
    seed: int,
    out: Path,
) -> dict[str, Any]:
    """Streams a hub's data set of sentence pairs, split by split.

    Args:
        dataset: Its name on the hub.
        config: Its subset, or None.
        splits: The hub's name of train, and of valid and test where it has them.
        columns: Keyword arguments of `read_sentence_pairs`.
        num_train: As in `prepare_task`.
        seed: Of the draws.
        out: Folder for `parts.json`.

    Returns:
        As `prepare_task`.

    Raises:
        InputError: The data set is out of reach or is none of sentence pairs.
    """
    read = {
        part: read_sentence_pairs(stream_rows(dataset, config=config, split=split), **columns)
        for part, split in splits.items()
    }
    return _write(part_task(read, num_train=num_train, seed=seed), out)


def make_continuations(
    *, text: Sequence[Path], lang: str, num_examples: int | None, seed: int, out: Path
) -> dict[str, Any]:
    """Makes a task of plain text: is the second half of a sentence its own or another one's?

    Every other sentence keeps its second half (label 1); the one before it, in a shuffled order,
    gets the same half (label 0). Who counts labels is right half of the time, and no half by itself
    says which label it has.

    Args:
        text: Files of documents.
        lang: Code of their language.
        num_examples: Of all parts together, at most; None for all.
        seed: Of the draws.
        out: Folder for `parts.json`.

    Returns:
        As `prepare_task`.

    Raises:
        InputError: No part of the text has enough words.
    """
    documents = read_documents(list(text), lang=Language.parse(lang))
    sentences = [words for row in documents if len(words := row.text.split()) >= _MIN_WORDS]
    if len(sentences) < 2:
        raise InputError(
            expected=f"documents of {_MIN_WORDS} words or more",
            got=str(len(sentences)),
            where=f"{documents.lang} text of the task",
        )
    order = np.random.default_rng(derive(seed, CONTINUATION)).permutation(len(sentences)).tolist()
    num_rows = min(num_examples or len(order), len(order)) // 2 * 2
    halves = [_halved(sentences[at]) for at in order[:num_rows]]
    read = {
        "train": collect_examples(
            CONTINUATION,
            ((at, _continuation(halves, at)) for at in range(num_rows)),
            "entailment",
            hint="",
        )
    }
    return _write(part_task(read, seed=seed), out)


def read_parts(folder: Path) -> TaskParts:
    """Reads what one of the functions above wrote."""
    record = read_json(folder / PARTS)
    return TaskParts(
        **{name: _task_data(record[name]) for name in ("train", "valid", "test")},
        num_overlapping=record["num_overlapping"],
        rejected=record["rejected"],
    )


def read_task(
    paths: Mapping[str, Path | None], kind: TaskKind, columns: Mapping[str, Any]
) -> dict[str, TaskData]:
    """Reads the files of a task that there are, by part.

    Raises:
        InputError: As `check_columns`, or as the kind's reader.
    """
    check_columns(kind, columns)
    return {
        name: READERS[kind](path, **columns) for name, path in paths.items() if path is not None
    }


def check_columns(kind: TaskKind, columns: Mapping[str, Any]) -> None:
    """Checks that there is a reader and that it understands what it will be told.

    Raises:
        InputError: There is no such kind, or its reader has other keyword arguments.
    """
    if kind not in READERS:
        raise InputError(expected=f"a task of {', '.join(READERS)}", got=repr(kind), where="kind")
    known = list(inspect.signature(READERS[kind]).parameters.values())[1:]
    needed = [each.name for each in known if each.default is each.empty]
    names = [each.name for each in known]
    problems = [f"no {name}" for name in needed if name not in columns]
    problems += [f"an unknown {name}" for name in columns if name not in names]
    if problems:
        raise InputError(
            expected=f"{', '.join(names)} of {kind}, with at least {', '.join(needed) or 'none'}",
            got=", ".join(problems),
            where="columns",
            hint='give them as JSON: --set \'columns={"task": "nli"}\'',
        )


def part_task(
    read: Mapping[str, TaskData], *, seed: int, num_train: int | None = None
) -> TaskParts:
    """Splits a task so that no prompt is in two parts.

    Where valid or test has to be drawn, examples that share a premise or a passage stay together:
    a model that has learnt the passage by heart must not be asked about it.

    Args:
        read: Examples of train and, where they are given, of valid and test.
        seed: Of the draws.
        num_train: Examples that are kept for learning, at most; None for all.

    Raises:
        InputError: Nothing is left to learn from, to choose by or to score.
    """
    train = read["train"]
    given_test = read.get("test")
    test, train = (given_test, train) if given_test else _drawn(train, TEST_SHARE, seed, "test")
    asked = {example.prompt for example in test.examples}
    valid = _without(read["valid"], asked) if "valid" in read else None
    if valid is not None:
        asked |= {example.prompt for example in valid.examples}
    cleared = _without(train, asked)
    num_overlapping = len(train) - len(cleared)
    if valid is None:
        valid, cleared = _drawn(cleared, VALID_SHARE, seed, "valid")
    else:
        num_overlapping += len(read["valid"]) - len(valid)
    if num_train is not None:
        order = np.random.default_rng(derive(seed, "train")).permutation(len(cleared)).tolist()
        cleared = _chosen(cleared, order[:num_train])
    if not cleared.examples:
        raise InputError(
            expected="training examples that are neither in valid nor in test",
            got="none",
            where="train",
        )
    rejected = {name: summarize_rejected(data.rejected) for name, data in read.items()}
    return TaskParts(cleared, valid, test, num_overlapping, rejected)


def _drawn(data: TaskData, share: float, seed: int, name: str) -> tuple[TaskData, TaskData]:
    """Returns a share of the examples, at least, in whole groups that share a text; and others."""
    groups: dict[str, list[int]] = {}
    for at, example in enumerate(data.examples):
        groups.setdefault(example.shared or f"\n{at}", []).append(at)
    members = list(groups.values())
    wanted = math.ceil(share * len(data))
    taken: list[int] = []
    for number in np.random.default_rng(derive(seed, name)).permutation(len(members)).tolist():
        if len(taken) >= wanted:
            break
        taken += members[number]
    left = set(range(len(data))) - set(taken)
    return _chosen(data, taken), _chosen(data, list(left))


def _without(data: TaskData, prompts: set[str]) -> TaskData:
    kept = [at for at, example in enumerate(data.examples) if example.prompt not in prompts]
    return _chosen(data, kept)


def _chosen(data: TaskData, places: Sequence[int]) -> TaskData:
    return replace(data, examples=tuple(data.examples[at] for at in sorted(places)))


def _continuation(halves: Sequence[tuple[str, str]], at: int) -> Example:
    """A row with its own second half, or before it one with the same half, which is not its own."""
    label = at % 2
    second = halves[at if label else at + 1][1]
    prompt = f"{CONTINUATION}: premise: {halves[at][0]} hypothesis: {second}"
    # Whoever has seen the half under one label must not be asked about the other one.
    return Example(prompt, (str(label),), str(at), shared=second)


def _halved(words: Sequence[str]) -> tuple[str, str]:
    middle = len(words) // 2
    return " ".join(words[:middle]), " ".join(words[middle:])


def _write(parts: TaskParts, out: Path) -> dict[str, Any]:
    facts = {"num_overlapping": parts.num_overlapping, "rejected": dict(parts.rejected)}
    record = {
        name: {
            "kind": data.kind,
            "labels": list(data.labels),
            "examples": [asdict(example) for example in data.examples],
        }
        for name, data in (("train", parts.train), ("valid", parts.valid), ("test", parts.test))
    }
    write_json(out / PARTS, {**record, **facts})
    return {**{f"num_{name}": num for name, num in parts.counts().items()}, **facts}


def _task_data(record: Mapping[str, Any]) -> TaskData:
    examples = tuple(
        Example(**{**row, "answers": tuple(row["answers"])}) for row in record["examples"]
    )
    return TaskData(examples, record["kind"], tuple(record["labels"]))
