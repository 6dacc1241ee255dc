"""Models: loading without running anything, vocabulary surgery, scoring, saving."""

from lingraft.model.byte_lm import byte_lm, ladder_lm
from lingraft.model.loading import PACKAGED, LoadedModel, load
from lingraft.model.masked_scoring import MaskedScorer
from lingraft.model.saving import save
from lingraft.model.scoring import CausalScorer
from lingraft.model.states import CausalStateReader, LogitLens
from lingraft.model.vocabulary_resizing import extend_vocabulary, prune_vocabulary
from lingraft.model.vocabulary_swap import swap_vocabulary

__all__ = [
    "PACKAGED",
    "CausalScorer",
    "CausalStateReader",
    "LoadedModel",
    "LogitLens",
    "MaskedScorer",
    "byte_lm",
    "extend_vocabulary",
    "ladder_lm",
    "load",
    "prune_vocabulary",
    "save",
    "swap_vocabulary",
]
