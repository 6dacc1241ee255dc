"""Measurements: what a model can do, with the sums, the signature and the interval."""

from lingraft.measurement.associations import Association, Associations, associations
from lingraft.measurement.bits_per_byte import bits_per_byte
from lingraft.measurement.data_transfer import DataTransfer, Transfer, data_transfer
from lingraft.measurement.ngrams import NgramScorer
from lingraft.measurement.prediction import commutativity, predict, variance_shares
from lingraft.measurement.protocols import Generator, Scored, Scorer
from lingraft.measurement.scaling_law import ScalingLaw, fit_scaling_law
from lingraft.measurement.score import Score, bootstrap_interval
from lingraft.measurement.transfer_cells import Cell
from lingraft.measurement.transfer_losses import Loss, read_losses

__all__ = [
    "Association",
    "Associations",
    "Cell",
    "DataTransfer",
    "Generator",
    "Loss",
    "NgramScorer",
    "ScalingLaw",
    "Score",
    "Scored",
    "Scorer",
    "Transfer",
    "associations",
    "bits_per_byte",
    "bootstrap_interval",
    "commutativity",
    "data_transfer",
    "fit_scaling_law",
    "predict",
    "read_losses",
    "variance_shares",
]
