"""The time that a study of data transfer takes: one that does not fit is refused."""

from pathlib import Path

import pytest
from transfer_study_cases import SETTINGS, make_inputs

from lingraft.errors import InputError
from lingraft.pipelines.transfer_study import transfer_plan
from lingraft.pipelines.transfer_time import check_time


def test_a_study_that_does_not_fit_is_refused(transfer_files: dict[str, Path]) -> None:
    plan = transfer_plan(make_inputs(transfer_files), SETTINGS)
    check_time(plan, ["1m"], SETTINGS, hours=100.0, workers=1)
    with pytest.raises(
        InputError, match=r"hours: expected at most .* of training, 1e-06 h"
    ) as caught:
        check_time(plan, ["1m"], SETTINGS, hours=1e-6, workers=2)
    assert caught.value.got.startswith("about ")
    assert "of the targets, sources or seeds would fit" in caught.value.hint
    with pytest.raises(InputError, match="workers: expected at least 1 worker, got 0"):
        check_time(plan, ["1m"], SETTINGS, hours=1.0, workers=0)
