"""Intervals hold the truth as often as they say: a sample of what `make bench-coverage` prints."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from lingraft.measurement.data_transfer import Rule

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "interval_coverage.py"


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("coverage_benchmark", BENCHMARK)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look their annotations up
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("design", "rule", "curve", "scatter", "widest"),
    [
        ("laptop", "log-log", "sigmoid", 0.005, 1.7),
        ("three", "log-log", "sigmoid", 0.005, 2.0),
        ("three", "linear", "sigmoid", 0.005, 2.2),
        ("weigh", "log-log", "sigmoid", 0.005, 12.0),
        ("weigh", "log-log", "broken", 0.005, 16.0),
        ("trunks-2", "log-log", "sigmoid", 0.005, 2.5),
        ("trunks-3", "log-log", "power", 0.02, 2.6),
        ("six", "linear", "sigmoid", 0.005, 1.6),
    ],
)
def test_few_runs_few_sizes_and_wrong_families_are_covered(
    benchmark: ModuleType, design: str, rule: Rule, curve: str, scatter: float, widest: float
) -> None:
    found = benchmark.coverage(rule, curve, scatter, design, num_tables=200, num_draws=100)
    print(f"covered {found.share:.1%}, × {found.width:.2f}, {found.open_share:.0%} open")
    assert found.share >= 0.9
    assert found.width <= widest, "not by being wide without need"
    assert found.open_share <= 0.5


def test_a_power_law_fitted_to_another_curve_is_covered(benchmark: ModuleType) -> None:
    found = benchmark.coverage("power", "sigmoid", 0.005, "six", num_tables=60, num_draws=60)
    assert found.share >= 0.9
    assert found.width <= 1.7
