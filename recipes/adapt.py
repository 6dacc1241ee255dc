"""Adapt a model to a language: tiny for a first look, laptop for all the text, paper for a GPU.

    lingraft plan recipes/adapt.py --scale tiny
    lingraft run recipes/adapt.py --scale laptop --set to=nl

With your own data: --set model=FOLDER --set to=LANG --set text=FILE --set pairs=FILE
"""

from dataclasses import replace
from pathlib import Path

from lingraft.corpus import read_documents, samples
from lingraft.languages import Language
from lingraft.pipelines.demo import VOCAB_SIZE, demo_inputs
from lingraft.pipelines.planning import AdaptationInputs, adaptation_plan
from lingraft.pipelines.settings import ArmSettings, default_settings
from lingraft.study import Plan
from lingraft.training import Stage
from lingraft.units import Budget

SCALES = ("tiny", "laptop", "paper")


def plan(
    scale: str,
    *,
    to: str = "el",
    model: str | None = None,
    text: str | None = None,
    pairs: str | None = None,
    source_lang: str = "en",
    controls: bool | None = None,
    epochs: float = 1.0,
) -> Plan:
    """Returns the jobs of one adaptation.

    Args:
        scale: `tiny` trains 1 kB on a small part of the samples; `laptop` all the text, without the
            controls; `paper` all the text in the stages of arXiv 2408.04303, with them.
        to: The new language; a bundled one unless `text` is given.
        model: Folder or name; SmolLM2-135M by default.
        text: File of target text, instead of the bundled samples.
        pairs: File of pairs.
        source_lang: The language of the model and the pairs.
        controls: Whether to train the controls too.
        epochs: How often the text is gone through, at `laptop` and `paper`.
    """
    if text is None:
        inputs = demo_inputs(to)
    else:
        inputs = AdaptationInputs(
            model="smollm2-135m",
            text=[Path(text)],
            pairs=[[Path(pairs)]] if pairs else [],
            source_lang=Language.parse(source_lang),
            target_lang=Language.parse(to),
        )
    if model is not None:
        inputs = replace(inputs, model=model)
    if scale == "tiny" and text is None:
        few = samples.path("libreoffice-help.valid.jsonl.xz")
        inputs = replace(inputs, text=[few], pairs=[[few]], test=None, valid=None)
    return adaptation_plan(
        inputs,
        _settings(scale, inputs, epochs),
        vocab_size=VOCAB_SIZE if text is None and scale != "tiny" else None,
        controls=scale == "paper" if controls is None else controls,
        num_held_out=5 if scale == "tiny" else 100,
        num_general_rows=3 if scale == "tiny" else 40,
    )


def _settings(scale: str, inputs: AdaptationInputs, epochs: float) -> ArmSettings:
    if scale == "tiny":
        return ArmSettings(
            budget=Budget(num_bytes=1_000),
            batch_bytes=500,
            learning_rates=(3e-4,),
            stages=(Stage("all", 1.0),),
            trial_bytes=500,
            num_choice_rows=2,
            num_curve_rows=2,
            num_evaluations=1,
        )
    num_bytes = read_documents(list(inputs.text), lang=inputs.target_lang).num_bytes
    settings = default_settings(Budget(num_bytes=round(epochs * num_bytes)))
    if scale == "laptop":
        return settings
    # Section 4 of the paper: embeddings and head first, then the outer layers, then the rest.
    stages = (Stage("embeddings", 0.2), Stage("edges", 0.3), Stage("all", 0.5))
    return replace(settings, stages=stages)
