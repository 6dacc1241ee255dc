"""Tokenizers: the byte view of any vocabulary, BPE training, words with offsets."""

from lingraft.tokenizer.bpe import train_bpe, vocabulary_rule
from lingraft.tokenizer.statistics import TokenizerStatistics, tokenizer_statistics
from lingraft.tokenizer.tokenizer import Tokenizer
from lingraft.tokenizer.vocabulary import Vocabulary

__all__ = [
    "Tokenizer",
    "TokenizerStatistics",
    "Vocabulary",
    "tokenizer_statistics",
    "train_bpe",
    "vocabulary_rule",
]
