"""What adaptations and studies brought, told from their records: pages, a model card, tables.

`report` reads records, which are plain JSON values, and never models.
"""

from lingraft.report.card import write_model_card
from lingraft.report.downstream import write_downstream_report
from lingraft.report.factors import write_factor_report
from lingraft.report.interventions import write_intervention_report
from lingraft.report.page import write_report
from lingraft.report.table import render_table
from lingraft.report.transfer import transfer_rows, write_transfer_report
from lingraft.report.unification import write_unification_report

__all__ = [
    "render_table",
    "transfer_rows",
    "write_downstream_report",
    "write_factor_report",
    "write_intervention_report",
    "write_model_card",
    "write_report",
    "write_transfer_report",
    "write_unification_report",
]
