"""Text in: documents, pairs, what was rejected and why, splits, checks, and bundled samples."""

from lingraft.corpus import samples
from lingraft.corpus.cleaning import Cleaned, clean_pairs
from lingraft.corpus.identification import (
    Identification,
    LanguageCheck,
    check_language,
    identify,
    is_identifiable,
    is_same_language,
)
from lingraft.corpus.orthography import (
    NormalizationReport,
    OrthographyReport,
    inspect_orthography,
    normalize,
)
from lingraft.corpus.readers import read_dictionary, read_documents, read_pairs
from lingraft.corpus.records import Document, Documents, Pair, Pairs, Rejected
from lingraft.corpus.rejects import summarize_rejected, write_rejected
from lingraft.corpus.splits import (
    HeldOut,
    Split,
    hold_out,
    matching_key,
    random_split,
    take_bytes,
)

__all__ = [
    "Cleaned",
    "Document",
    "Documents",
    "HeldOut",
    "Identification",
    "LanguageCheck",
    "NormalizationReport",
    "OrthographyReport",
    "Pair",
    "Pairs",
    "Rejected",
    "Split",
    "check_language",
    "clean_pairs",
    "hold_out",
    "identify",
    "inspect_orthography",
    "is_identifiable",
    "is_same_language",
    "matching_key",
    "normalize",
    "random_split",
    "read_dictionary",
    "read_documents",
    "read_pairs",
    "samples",
    "summarize_rejected",
    "take_bytes",
    "write_rejected",
]
