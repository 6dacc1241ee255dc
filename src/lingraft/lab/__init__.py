"""The lab: synthetic multilingual worlds in which everything is known."""

from lingraft.lab.contrast import Contrast, ContrastSettings
from lingraft.lab.decoders import TinyDecoder
from lingraft.lab.ensembles import EnsembleRun, train_ensemble
from lingraft.lab.extractability import sampled_extractability, template_cues_for
from lingraft.lab.influence import gradient_products
from lingraft.lab.information import Information
from lingraft.lab.members import Member
from lingraft.lab.probes import PROBE_KINDS, Probes
from lingraft.lab.samples import Samples
from lingraft.lab.settings import WorldSettings
from lingraft.lab.vocabulary import BOS, PAD
from lingraft.lab.worlds import World, build_world, make_world, matched_probes

__all__ = [
    "BOS",
    "PAD",
    "PROBE_KINDS",
    "Contrast",
    "ContrastSettings",
    "EnsembleRun",
    "Information",
    "Member",
    "Probes",
    "Samples",
    "TinyDecoder",
    "World",
    "WorldSettings",
    "build_world",
    "gradient_products",
    "make_world",
    "matched_probes",
    "sampled_extractability",
    "template_cues_for",
    "train_ensemble",
]
