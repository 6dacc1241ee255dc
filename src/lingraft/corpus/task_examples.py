"""Examples of a downstream task: prompts with their right answers, and what was rejected."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import regex

from lingraft.corpus.records import Rejected
from lingraft.corpus.rejects import check_rejected
from lingraft.errors import InputError

TaskKind = Literal["entailment", "tagging", "ner", "qa"]

ANSWER_MARK = "\n"
"""Stands between prompt and answer: no usual pre-tokenizer joins it with what comes after it."""


@dataclass(frozen=True, slots=True)
class Example:
    """A prompt and what may be answered to it.

    Attributes:
        prompt: In one line, white space as single spaces; without `ANSWER_MARK`.
        answers: The right ones, also in one line; the first is learnt. An empty one says that the
            question has no answer.
        id: Where it came from.
        shared: The text that it may share with other examples, a premise or a passage, or empty.
            Examples that share one stay together when a task is split. It follows from the prompt,
            so it is not compared.
    """

    prompt: str
    answers: tuple[str, ...]
    id: str
    shared: str = field(default="", compare=False)

    @property
    def marked_prompt(self) -> str:
        """The prompt as a model reads it: the answer comes next."""
        return self.prompt + ANSWER_MARK


@dataclass(frozen=True)
class TaskData:
    """Examples of one task in the order of the file, and what was rejected.

    Attributes:
        examples: No two with the same prompt.
        kind: What is asked for.
        labels: The labels, or tags, that occur in the answers, sorted; empty for questions.
        rejected: File, line (the question's number in SQuAD's nested JSON, the row's number for
            rows in memory) and why.
    """

    examples: tuple[Example, ...]
    kind: TaskKind
    labels: tuple[str, ...]
    rejected: tuple[Rejected, ...] = ()

    def __len__(self) -> int:
        return len(self.examples)


Found: TypeAlias = tuple[int, Example | str]
"""An example, or the reason why there is none, with its line."""


def words_of(example: Example) -> list[str]:
    """Returns the words of a tagging prompt, one for each tag of its answer."""
    return example.prompt.split(": ", 1)[1].split(" ")


def collect_examples(place: str, found: Iterable[Found], kind: TaskKind, *, hint: str) -> TaskData:
    """Returns the data of a task: of equal prompts only the first one stays.

    Args:
        place: The file, or what else messages should call it.
        found: Line and example, or line and the reason why there is none.
        kind: Of the task.
        hint: How the file should look.

    Raises:
        InputError: Less than half of what was found are examples.
    """
    kept: dict[str, Example] = {}
    rejected: list[Rejected] = []
    for line, example in found:
        if isinstance(example, str):
            rejected.append(Rejected(place, line, example))
        elif example.prompt in kept:
            same = kept[example.prompt].answers == example.answers
            reason = "duplicate" if same else "duplicate with another answer"
            rejected.append(Rejected(place, line, reason))
        else:
            kept[example.prompt] = example
    check_rejected(place, len(kept), rejected, hint=hint)
    examples = tuple(kept.values())
    labels = set[str]()
    if kind != "qa":
        labels = {label for example in examples for label in _labels(example.answers[0], kind)}
    return TaskData(examples, kind, tuple(sorted(labels)), tuple(rejected))


def _labels(answer: str, kind: TaskKind) -> list[str]:
    return [answer] if kind == "entailment" else answer.split(" ")


def one_line(value: Any) -> str:
    """Returns a text in one line, or nothing where it is none or is no UTF-8."""
    if not isinstance(value, str) or "\x00" in value or regex.search(r"\p{Cs}", value):
        return ""
    return " ".join(value.split())


def check_task_name(task: str) -> None:
    """Checks the name that a prompt begins with.

    Raises:
        InputError: It is empty or has a colon, which ends it.
    """
    if not task.strip() or ":" in task:
        raise InputError(expected="a name without a colon", got=repr(task), where="task")
