"""Rows of a hub's data set of a task, with a stand-in for the package that fetches them."""

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from lingraft.corpus.task_hub import stream_rows
from lingraft.errors import InputError


def test_rows_are_streamed_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"premise": "a", "entailment_judgment": 1}, {"premise": "b"}]

    def load_dataset(name: str, config: str | None, **settings: Any) -> Any:
        if config is None:
            raise ValueError("no such subset")
        assert (name, config, settings) == ("a/b", "pt", {"split": "test", "streaming": True})
        return iter(rows)

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    assert list(stream_rows("a/b", config="pt", split="test")) == rows
    with pytest.raises(InputError, match="no such subset") as caught:
        next(iter(stream_rows("a/b", config=None, split="test")))
    assert caught.value.where == "a/b, no subset, test"
