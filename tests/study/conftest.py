"""A store, and the count of calls that the functions of `study_functions` keep."""

import pytest
import study_functions

from lingraft.study import Store


@pytest.fixture(autouse=True)
def calls():
    study_functions.calls.clear()
    return study_functions.calls


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")
