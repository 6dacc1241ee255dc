"""Word links of parallel text, their quality, and the translation tables made of them."""

from lingraft.alignment.aligners import (
    DEFAULT_METHOD,
    METHODS,
    SYMMETRIZATIONS,
    align,
    train_aligner,
)
from lingraft.alignment.links import Links, read_links, read_pharaoh, write_links, write_pharaoh
from lingraft.alignment.score import AlignmentScore, alignment_error_rate
from lingraft.alignment.tables import TranslationTable, token_table
from lingraft.alignment.trained import TrainedAligner

__all__ = [
    "DEFAULT_METHOD",
    "METHODS",
    "SYMMETRIZATIONS",
    "AlignmentScore",
    "Links",
    "TrainedAligner",
    "TranslationTable",
    "align",
    "alignment_error_rate",
    "read_links",
    "read_pharaoh",
    "token_table",
    "train_aligner",
    "write_links",
    "write_pharaoh",
]
