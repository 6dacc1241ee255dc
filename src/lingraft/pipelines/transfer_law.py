"""How transfer grows with the model: D_T = k · D_F^α · N^β over the reports of several sizes."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lingraft.files import read_json, write_json
from lingraft.measurement import Cell, fit_scaling_law

VERSION = 1


def transfer_law(*, reports: Sequence[Path], seed: int, out: Path) -> dict[str, Any]:
    """Fits the law for each source, over all targets and sizes; writes `law.json`.

    Cells of one target share its from-scratch curves and are resampled as one.

    Args:
        reports: Folders of `transfer_record`, one a size of the model.
        seed: Of the resampling.
        out: Folder for `law.json`.

    Returns:
        α and β with their intervals by source, or why they are undefined.
    """
    cells: dict[str, list[Cell]] = {}
    for folder in reports:
        record = read_json(folder / "record.json")
        for row in record["transfers"]:
            cells.setdefault(row["source"], []).append(
                Cell(
                    row["target"],
                    row["source"],
                    row["data_finetuned_bytes"],
                    row["data_transferred_bytes"],
                    num_parameters=record["model"]["num_parameters"],
                    censored=row["censored"],
                )
            )
    laws = {
        source: fit_scaling_law(rows, groups=[row.target for row in rows], seed=seed)
        for source, rows in cells.items()
    }
    write_json(out / "law.json", {source: asdict(law) for source, law in laws.items()})
    return {
        source: {
            "alpha": law.alpha,
            "alpha_interval": law.alpha_interval,
            "beta": law.beta,
            "beta_interval": law.beta_interval,
            "num_used": law.num_used,
            "num_censored": law.num_censored,
            "reason": law.reason or law.beta_reason,
        }
        for source, law in laws.items()
    }
