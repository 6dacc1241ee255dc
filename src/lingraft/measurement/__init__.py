"""Measurements: what a model can do, with the sums, the signature and the interval."""

from lingraft.measurement.bits_per_byte import bits_per_byte
from lingraft.measurement.ngrams import NgramScorer
from lingraft.measurement.protocols import Generator, Scored, Scorer
from lingraft.measurement.score import Score, bootstrap_interval

__all__ = [
    "Generator",
    "NgramScorer",
    "Score",
    "Scored",
    "Scorer",
    "bits_per_byte",
    "bootstrap_interval",
]
