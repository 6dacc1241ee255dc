"""Text in: documents, pairs, what was rejected and why, splits, checks, and bundled samples."""

from lingraft.corpus import samples
from lingraft.corpus.byte_budgets import (
    BytePrefix,
    CheckedText,
    byte_prefixes,
    check_disjoint,
    check_text,
)
from lingraft.corpus.cleaning import Cleaned, clean_pairs
from lingraft.corpus.fact_records import Fact, FactData, read_facts
from lingraft.corpus.identification import (
    Identification,
    LanguageCheck,
    check_language,
    identify,
    is_identifiable,
    is_same_language,
)
from lingraft.corpus.made_facts import facts_from_dictionary, facts_from_pairs
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
from lingraft.corpus.tagged_sentences import read_conll_ner, read_conllu
from lingraft.corpus.task_examples import Example, TaskData
from lingraft.corpus.task_records import read_sentence_pairs, read_squad

__all__ = [
    "BytePrefix",
    "CheckedText",
    "Cleaned",
    "Document",
    "Documents",
    "Example",
    "Fact",
    "FactData",
    "HeldOut",
    "Identification",
    "LanguageCheck",
    "NormalizationReport",
    "OrthographyReport",
    "Pair",
    "Pairs",
    "Rejected",
    "Split",
    "TaskData",
    "byte_prefixes",
    "check_disjoint",
    "check_language",
    "check_text",
    "clean_pairs",
    "facts_from_dictionary",
    "facts_from_pairs",
    "hold_out",
    "identify",
    "inspect_orthography",
    "is_identifiable",
    "is_same_language",
    "matching_key",
    "normalize",
    "random_split",
    "read_conll_ner",
    "read_conllu",
    "read_dictionary",
    "read_documents",
    "read_facts",
    "read_pairs",
    "read_sentence_pairs",
    "read_squad",
    "samples",
    "summarize_rejected",
    "take_bytes",
    "write_rejected",
]
