"""What a plan costs in all, and what is left of it: text, operations, hours of a GPU."""

from collections.abc import Sequence

from lingraft.study.plans import Row, format_cost

PEAK_FLOPS = 989e12
"""Of an H100 or H200 (SXM) a second, in bfloat16 without sparsity, by its data sheet."""

UTILIZATION = 0.4
"""Assumed, not measured here: what training reaches of the peak in models that fill a GPU."""


def describe_totals(rows: Sequence[Row]) -> list[str]:
    """Returns lines for a person: the jobs that are still to do, and all of them.

    Costs are as the jobs state them: where a run may end early, the most that it may take.

    Args:
        rows: Of `Plan.describe`.
    """
    lines = [
        _line("to do", [row for row in rows if not row.done]),
        _line("in all", rows),
    ]
    num_stated = sum(bool(row.costs) for row in rows)
    lines.append(f"costs: at most, as {num_stated} of {len(rows)} jobs state them")
    if any("num_flops" in row.costs for row in rows):
        share = f"{UTILIZATION:.0%}".replace("%", " %")
        lines.append(
            f"GPU hours: FLOPs at an assumed {share} of {PEAK_FLOPS / 1e12:.0f} TFLOP/s, the peak "
            "of an H100 or H200 in bfloat16; small models reach less"
        )
    return lines


def gpu_hours(num_flops: float) -> float:
    """Returns the hours of one GPU at `UTILIZATION` of `PEAK_FLOPS`."""
    return num_flops / (PEAK_FLOPS * UTILIZATION) / 3600


def _line(title: str, rows: Sequence[Row]) -> str:
    totals: dict[str, float] = {}
    for row in rows:
        for key, value in row.costs.items():
            totals[key] = totals.get(key, 0.0) + value
    parts = [f"{len(rows):,} {'job' if len(rows) == 1 else 'jobs'}"]
    parts += [format_cost(key, value) for key, value in sorted(totals.items())]
    if "num_flops" in totals:
        hours = gpu_hours(totals["num_flops"])
        parts.append(f"{hours:,.0f} GPU hours" if hours >= 100 else f"{hours:.3g} GPU hours")
    return f"{title}: {', '.join(parts)}"
