"""Word links of parallel text, their quality, and the translation tables made of them."""

from lingraft.alignment.aligners import METHODS, align
from lingraft.alignment.links import Links, read_pharaoh, write_pharaoh
from lingraft.alignment.score import AlignmentScore, alignment_error_rate
from lingraft.alignment.tables import TranslationTable, token_table

__all__ = [
    "METHODS",
    "AlignmentScore",
    "Links",
    "TranslationTable",
    "align",
    "alignment_error_rate",
    "read_pharaoh",
    "token_table",
    "write_pharaoh",
]
