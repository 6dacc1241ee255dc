"""Training: packed batches, stages, the loop and its checkpoints."""

from lingraft.training.answers import PAPER_SETTINGS, AnswerSettings, FineTuned, fine_tune, predict
from lingraft.training.batches import Packing
from lingraft.training.loop import continue_pretraining
from lingraft.training.runs import CurvePoint, TrainingRun
from lingraft.training.stages import Schedule, Stage

__all__ = [
    "PAPER_SETTINGS",
    "AnswerSettings",
    "CurvePoint",
    "FineTuned",
    "Packing",
    "Schedule",
    "Stage",
    "TrainingRun",
    "continue_pretraining",
    "fine_tune",
    "predict",
]
