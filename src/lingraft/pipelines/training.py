"""Continued pretraining of a model as it is, from files to a folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lingraft.files import write_json
from lingraft.languages import Language
from lingraft.model.loading import check_folder, load_tokenizer, locate
from lingraft.pipelines.adapt import STATE, check_out, publish
from lingraft.pipelines.arms import choose_settings, run_arm
from lingraft.pipelines.corpora import prepare_corpus
from lingraft.pipelines.settings import default_settings
from lingraft.runtime import Runtime
from lingraft.study import File, Plan, Progress, Store, job, run
from lingraft.units import Budget

NUM_HELD_OUT = 100


def train(
    model: str | Path,
    *,
    text: Sequence[str | Path],
    to: str,
    budget: Budget,
    out: Path,
    seed: int = 0,
    runtime: Runtime | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Trains a model on text and writes it, with its bits per byte before and after.

    Args:
        model: A model folder, a packaged model or a hub name.
        text: Files of text.
        to: Language of the text.
        budget: In bytes, steps or seconds.
        out: Folder of the trained model.
        seed: Of the split and the order of the text.
        runtime: Threads and device.
        progress: Where to report to.

    Returns:
        The result of the training as JSON values.
    """
    check_out(out)
    folder = locate(model)
    check_folder(folder)
    load_tokenizer(folder)
    lang = str(Language.parse(to))
    settings = default_settings(budget, seed=seed)
    corpus = job(
        prepare_corpus,
        name="corpus",
        text=[File(Path(path)) for path in text],
        pairs=[],
        dictionary=None,
        test=None,
        valid=None,
        num_held_out=NUM_HELD_OUT,
        normalization=[],
        seed=seed,
        source_lang=lang,
        target_lang=lang,
    )
    shared: dict[str, Any] = {
        "model": File(folder),
        "tokenizer": None,
        "rows": None,
        "corpus": corpus,
        "target_lang": lang,
        "settings": settings,
    }
    choice = job(choose_settings, name="choice", **shared)
    trained = job(run_arm, name="trained", choice=choice, keep_model=True, fit_bias=False, **shared)
    done = run(
        Plan({"choice": choice, "trained": trained}, name="train"),
        store=Store(out / STATE / "store"),
        runtime=runtime or Runtime(),
        progress=progress,
    )
    publish(done["trained"].path / "model", out)
    result = {**done["choice"].result, **done["trained"].result, "model_path": str(out)}
    write_json(out / STATE / "training.json", result)
    return result
