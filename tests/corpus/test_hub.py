"""Streams of hub data sets, with a stand-in for the package that fetches them."""

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from lingraft.corpus.hub import stream_documents
from lingraft.corpus.records import Document
from lingraft.errors import InputError

ROWS = [{"id": "a", "text": "Een tekst."}, {"text": "Nog een."}, {"id": "c"}]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    seen: list[Any] = []

    def load_dataset(name: str, config: str | None, **settings: Any) -> Any:
        if name == "gone":
            raise ConnectionError("no such place\nand more")
        seen.append((name, config, settings))
        return iter(ROWS)

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    return seen


def test_rows_become_documents_as_they_are_read(calls: list[Any]) -> None:
    stream = stream_documents("some/web", config="nld_Latn")
    assert calls == []
    assert next(stream) == Document("Een tekst.", "some/web/nld_Latn/a#0")
    assert next(stream) == Document("Nog een.", "some/web/nld_Latn/1#0")
    assert calls == [("some/web", "nld_Latn", {"split": "train", "streaming": True})]
    with pytest.raises(InputError, match="expected text in a column 'text', got id") as caught:
        next(stream)
    assert caught.value.where == "some/web, nld_Latn, train, row 2"


def test_data_sets_out_of_reach_are_refused(calls: list[Any]) -> None:
    with pytest.raises(InputError, match="expected a data set within reach") as caught:
        next(stream_documents("gone", config=None))
    assert caught.value.got == "ConnectionError: no such place"
    assert caught.value.where == "gone, no subset, train"


def test_the_package_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(InputError, match="the package datasets") as caught:
        next(stream_documents("some/web", config=None))
    assert caught.value.hint == "pip install datasets"
