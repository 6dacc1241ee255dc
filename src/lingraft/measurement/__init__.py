"""Measurements: what a model can do, with the sums, the signature and the interval."""

from lingraft.measurement.associations import Association, Associations, associations
from lingraft.measurement.bits_per_byte import bits_per_byte
from lingraft.measurement.data_transfer import DataTransfer, Transfer, data_transfer
from lingraft.measurement.exposures import effective_exposures
from lingraft.measurement.language_probe import linear_probe
from lingraft.measurement.ngrams import NgramScorer
from lingraft.measurement.partial_ranks import partial_spearman, spearman
from lingraft.measurement.parts_carried import PartCarried, parts_carried
from lingraft.measurement.phases import Curves, Phases, onset_step, phases
from lingraft.measurement.prediction import commutativity, predict, variance_shares
from lingraft.measurement.protocols import Generator, Prompt, Scored, Scorer, StateReader
from lingraft.measurement.recall import Recall, recall
from lingraft.measurement.scaling_law import ScalingLaw, fit_scaling_law
from lingraft.measurement.score import Score, bootstrap_interval
from lingraft.measurement.state_geometry import checkerboard
from lingraft.measurement.transfer_cells import Cell
from lingraft.measurement.transfer_losses import Loss, read_losses
from lingraft.measurement.unification import Unification, unification

__all__ = [
    "Association",
    "Associations",
    "Cell",
    "Curves",
    "DataTransfer",
    "Generator",
    "Loss",
    "NgramScorer",
    "PartCarried",
    "Phases",
    "Prompt",
    "Recall",
    "ScalingLaw",
    "Score",
    "Scored",
    "Scorer",
    "StateReader",
    "Transfer",
    "Unification",
    "associations",
    "bits_per_byte",
    "bootstrap_interval",
    "checkerboard",
    "commutativity",
    "data_transfer",
    "effective_exposures",
    "fit_scaling_law",
    "linear_probe",
    "onset_step",
    "partial_spearman",
    "parts_carried",
    "phases",
    "predict",
    "read_losses",
    "recall",
    "spearman",
    "unification",
    "variance_shares",
]
