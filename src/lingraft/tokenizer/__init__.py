"""Tokenizers: the byte view of any vocabulary, BPE training and surgery, words with offsets."""

from lingraft.tokenizer.bpe import train_bpe, vocabulary_rule
from lingraft.tokenizer.byte_vocabulary import byte_tokenizer
from lingraft.tokenizer.extension import Extension, extend_bpe
from lingraft.tokenizer.pruning import Pruning, prune
from lingraft.tokenizer.statistics import TokenizerStatistics, tokenizer_statistics
from lingraft.tokenizer.tokenizer import Tokenizer
from lingraft.tokenizer.vocabulary import Vocabulary

__all__ = [
    "Extension",
    "Pruning",
    "Tokenizer",
    "TokenizerStatistics",
    "Vocabulary",
    "byte_tokenizer",
    "extend_bpe",
    "prune",
    "tokenizer_statistics",
    "train_bpe",
    "vocabulary_rule",
]
