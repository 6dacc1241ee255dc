"""Charts whose data can be read."""

import pytest

from lingraft.report import transfer_figures, transfer_heat_map, unification_figures


@pytest.fixture
def charts(monkeypatch):
    """Makes the drawing functions return matplotlib figures, whose data can be read."""
    for module in (transfer_figures, transfer_heat_map, unification_figures):
        monkeypatch.setattr(module, "svg", lambda chart: chart)
