"""What goes with transfer: tests and regressions over the plain languages of a study.

A control, a language with something mixed in, or a model without a part is no source that was
drawn from languages: beside its own language it would count one measurement twice, and the target
itself as a source would pass for the nearest language of all. They stay in the tables.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from lingraft.errors import InputError
from lingraft.measurement import Cell, associations, commutativity, predict
from lingraft.measurement.associations import Association, PooledAssociation
from lingraft.measurement.data_transfer import Transfer
from lingraft.measurement.prediction import MIN_CELLS_PER_FEATURE, variance_shares
from lingraft.measurement.transfer_cells import has_logarithm
from lingraft.pipelines.transfer_inputs import Source
from lingraft.pipelines.transfer_likeness import BYTE_COVARIATES, COVARIATES

Pairs = Mapping[tuple[str, str], Mapping[str, Any]]
"""Rows of `likeness` by target and source."""


def plain_languages(sources: Sequence[Source]) -> list[str]:
    """Returns the names of the sources that are a language's own text and a whole model."""
    return [source.name for source in sources if source == Source(source.name, source.lang)]


def transfer_statistics(
    transfers: Sequence[Transfer],
    sources: Sequence[Source],
    alike: Sequence[Mapping[str, Any]],
    seed: int,
    *,
    nominal: Mapping[tuple[str, int], int],
) -> dict[str, Any]:
    """Returns the record's sections; for sizes above 0, since a zero-shot point has no D_F.

    Args:
        transfers: Of `data_transfer`.
        sources: All of the study.
        alike: Of `likeness`.
        seed: Of the permutations.
        nominal: By target and D_F, the size that was asked for: sizes of equal content differ in
            bytes from target to target, and what is tested within a size is tested within this.
    """
    plain = plain_languages(sources)
    cells = [
        _cell(transfer, nominal[transfer.target, transfer.data_finetuned_bytes])
        for transfer in transfers
        if transfer.data_finetuned_bytes
        and transfer.source in plain
        and transfer.source != transfer.target
    ]
    pairs = {(row["target"], row["source"]): row for row in alike}
    known = [name for name in COVARIATES if any(name in row for row in alike)]
    smallest = min((cell.data_finetuned_bytes for cell in cells), default=None)
    at_smallest = [cell for cell in cells if cell.data_finetuned_bytes == smallest]
    shares = variance_shares(at_smallest)
    return {
        "tested_sources": plain,
        "associations": [row for name in known for row in _associated(cells, pairs, name, seed)],
        "untested": {
            name: _unknown(cells, pairs, name) for name in COVARIATES if name not in known
        },
        "variance": {
            "target": shares.target,
            "source": shares.source,
            "num_cells": shares.num_cells,
            "data_finetuned_bytes": smallest,
            "reason": shares.reason,
        },
        "commutativity": [
            {
                "one": both.first,
                "other": both.second,
                "there": both.to_second,
                "back": both.to_first,
                "fold": both.fold,
            }
            for both in commutativity(at_smallest).pairs
        ],
        "prediction": _predicted(at_smallest, pairs, BYTE_COVARIATES),
        "prediction_from_all": _predicted(at_smallest, pairs, COVARIATES),
    }


def _cell(transfer: Transfer, nominal_bytes: int) -> Cell:
    return Cell(
        transfer.target,
        transfer.source,
        nominal_bytes,
        transfer.data_transferred_bytes,
        censored=transfer.censored,
    )


def _associated(cells: Sequence[Cell], pairs: Pairs, name: str, seed: int) -> list[dict[str, Any]]:
    """The tests of one covariate within each size, and over all of them."""
    found = associations(cells, [pairs[x.target, x.source][name] for x in cells], seed=seed)
    tests: list[tuple[int | None, Association | PooledAssociation, str]] = [
        *((one.data_finetuned_bytes, one, "") for one in found.by_size),
        (None, found.pooled, found.pooled.warning),
    ]
    rows = []
    for size, one, warning in tests:
        of_size = [x for x in cells if size in (None, x.data_finetuned_bytes)]
        remarks = (one.reason, _unknown(of_size, pairs, name), warning)
        rows.append(
            {
                "covariate": name,
                "data_finetuned_bytes": size,
                "rho": one.rho,
                "p": one.p,
                "num_cells": one.num_cells,
                "reason": "; ".join(filter(None, remarks)),
            }
        )
    return rows


def _unknown(cells: Sequence[Cell], pairs: Pairs, name: str) -> str:
    """In how many cells a covariate has no value, and for which reasons."""
    reasons = Counter(pairs[cell.target, cell.source]["reasons"].get(name, "") for cell in cells)
    del reasons[""]
    if not reasons:
        return ""
    told = "; ".join(f"{count}: {reason}" for reason, count in reasons.most_common())
    return f"unknown in {reasons.total()} of {len(cells)} cells ({told})"


def _predicted(cells: Sequence[Cell], pairs: Pairs, names: Sequence[str]) -> dict[str, Any]:
    """How well covariates predict transfer; where there are too few cells, why not.

    Covariates that are known everywhere enter in their order, as many as cells allow: a choice by
    what fits would make the errors too small.
    """
    known = [name for name in names if not _unknown(cells, pairs, name)]
    num_usable = sum(map(has_logarithm, cells))
    taken = known[: max(3, (num_usable - 1) // MIN_CELLS_PER_FEATURE)]
    told = {
        "features": ", ".join(taken),
        "left out, unknown in some cells": ", ".join(x for x in names if x not in known),
        "left out, too few cells": ", ".join(known[len(taken) :]),
    }
    if not taken:
        return {**told, "reason": "no covariate is known in all cells"}
    features = [[pairs[cell.target, cell.source][name] for name in taken] for cell in cells]
    try:
        found = predict(cells, features, names=taken)
    except InputError as error:
        return {**told, "reason": str(error)}
    return {
        **told,
        "num_cells": found.num_cells,
        "new target: squared error": found.new_target.squares,
        "new target: squared error of the grand mean": found.new_target.baseline_squares,
        "new cell: squared error": found.new_cell.squares,
        "new cell: squared error of target + source means": found.new_cell.baseline_squares,
    }
