"""The law over reports of several models: planted exponents come back, bounds stay out."""

from pathlib import Path
from typing import Any

import pytest

from lingraft.files import read_json, write_json
from lingraft.pipelines.transfer_law import transfer_law

K, ALPHA, BETA = 2.0, 0.3, 0.5


def report(folder: Path, num_parameters: int, **changes: Any) -> Path:
    rows = [
        {
            "target": target,
            "source": source,
            "data_finetuned_bytes": size,
            "data_transferred_bytes": factor * K * size**ALPHA * num_parameters**BETA,
            "censored": None,
        }
        for source, factor in (("en", 1.0), ("ru", 3.0))
        for target in ("nl", "el", "tr")
        for size in (1_000, 10_000, 100_000)
    ]
    rows.append(rows[0] | {"data_finetuned_bytes": 0} | changes)
    folder.mkdir()
    write_json(
        folder / "record.json", {"model": {"num_parameters": num_parameters}, "transfers": rows}
    )
    return folder


def test_planted_exponents_come_back_by_source(tmp_path: Path) -> None:
    reports = [report(tmp_path / str(n), n) for n in (1_000_000, 4_000_000)]
    out = tmp_path / "law"
    out.mkdir()
    found = transfer_law(reports=reports, seed=0, out=out)
    assert set(found) == {"en", "ru"}
    for law in found.values():
        assert (law["alpha"], law["beta"]) == (pytest.approx(ALPHA), pytest.approx(BETA))
        assert (law["num_used"], law["reason"]) == (18, "")
    laws = read_json(out / "law.json")
    assert laws["ru"]["k"] == pytest.approx(3 * laws["en"]["k"])


def test_bounds_are_counted_and_one_model_has_no_exponent_of_its_size(tmp_path: Path) -> None:
    out = tmp_path / "law"
    out.mkdir()
    one = report(tmp_path / "one", 1_000_000, data_finetuned_bytes=5, censored="at_least")
    law = transfer_law(reports=[one], seed=0, out=out)["en"]
    assert law["alpha"] == pytest.approx(ALPHA)
    assert (law["beta"], law["num_censored"]) == (None, 1)
    assert law["reason"]
