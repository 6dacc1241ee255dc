"""What an adaptation cost and brought, told from its record: a page, a model card, a table.

`report` reads records, which are plain JSON values, and never models.
"""

from lingraft.report.card import write_model_card
from lingraft.report.factors import write_factor_report
from lingraft.report.page import write_report
from lingraft.report.table import render_table

__all__ = ["render_table", "write_factor_report", "write_model_card", "write_report"]
