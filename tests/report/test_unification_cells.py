"""Members of cells: which are pictured, and their unification when half is recalled."""

import pytest
from unification_records import GRID, make_record

from lingraft.report.unification_cells import cell_name, chosen_members, early_unification


@pytest.fixture
def record():
    return make_record()


def test_no_more_than_six_models_of_different_cells_are_chosen(record):
    chosen = chosen_members(record)
    assert len(chosen) == 6
    assert all(member["pictures"] for member in chosen)
    names = [cell_name(member["axes"]) for member in chosen]
    assert len(set(names)) == 6
    for member in record["members"]:
        member["pictures"] = []
    assert [m["axes"] for m in chosen_members(record)] == GRID[:6]
    assert {m["seed"] for m in chosen_members(record)} == {0}


def test_early_unification_is_that_of_the_first_half_recalled(record):
    member = record["members"][0]
    accuracies = [point["same_accuracy"] for point in member["curve"]]
    assert [accuracy >= 0.5 for accuracy in accuracies] == [False, False, True, True, True]
    member["curve"][2]["layers"]["by language"] = [{"unification": u} for u in (0.1, 0.2, 0.3)]
    assert early_unification(record, member) == 0.2
    for point in member["curve"]:
        point["same_accuracy"] = 0.49
    assert early_unification(record, member) is None
