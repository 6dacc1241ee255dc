"""Models: loading without running anything, swapping vocabularies, scoring, saving."""

from lingraft.model.loading import PACKAGED, LoadedModel, load
from lingraft.model.saving import save
from lingraft.model.scoring import CausalScorer
from lingraft.model.vocabulary_swap import swap_vocabulary

__all__ = ["PACKAGED", "CausalScorer", "LoadedModel", "load", "save", "swap_vocabulary"]
