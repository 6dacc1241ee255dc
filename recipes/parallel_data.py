"""How rows depend on parallel data: size, noise, domain, kind, language, cleaning, training.

    lingraft plan recipes/parallel_data.py --scale laptop
    lingraft run recipes/parallel_data.py --scale laptop --set to=nl

One factor is varied at a time, each level is one job of the store, and the target `report` holds
`record.json` and `report.html`. The bundled software help has nl, fi, tr, ru, ko, eu, el and id.
With your own data: --set model=FOLDER --set to=LANG --set text=FILE --set pairs=FILE
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from lingraft.corpus import read_pairs, samples
from lingraft.errors import InputError
from lingraft.languages import Language
from lingraft.model.loading import locate
from lingraft.pipelines import factors
from lingraft.pipelines.condition_figures import FigureSettings
from lingraft.pipelines.conditions import Condition
from lingraft.pipelines.demo import MODEL, VOCAB_SIZE
from lingraft.pipelines.parallel_data import LanguageFiles, StudyInputs, TinyModels, study_plan
from lingraft.study import Plan
from lingraft.units import Budget

SCALES = ("tiny", "laptop", "paper")
RANGES = {
    "tiny": factors.Range(
        sizes=(100,),
        noises=(0.5,),
        few=100,
        equal=100,
        learning_rates=(1e-3,),
        methods=("trans_tokenize",),
        base=300,
    ),
    "laptop": factors.Range(
        sizes=(1_000, 3_000, 10_000),
        noises=(0.1, 0.3, 0.5),
        few=1_000,
        equal=10_000,
        learning_rates=(3e-4, 1e-3),
    ),
    "paper": factors.Range(
        sizes=(300, 1_000, 3_000, 10_000),
        noises=(0.05, 0.1, 0.2, 0.3, 0.4, 0.5),
        few=1_000,
        equal=10_000,
        learning_rates=(3e-4, 1e-4, 1e-3),
    ),
}
SETTINGS = {
    "tiny": FigureSettings(num_bytes=1_000, batch_bytes=500, num_calibration_rows=2),
    "laptop": FigureSettings(num_bytes=20_000, batch_bytes=2_000),
    "paper": FigureSettings(num_bytes=1_000_000, batch_bytes=4_000, num_calibration_rows=40),
}
INDONESIAN = Language.parse("id")
LANGUAGES = "nl,fi,tr,ru,ko,eu,el,id"


def plan(
    scale: str,
    *,
    to: str = "nl",
    model: str | None = None,
    languages: str | None = None,
    only: str | None = None,
    text: str | None = None,
    pairs: str | None = None,
    second_lang: str | None = None,
    second_pairs: str | None = None,
    other_pairs: str | None = None,
    dictionary: str | None = None,
    gold: str | None = None,
    source_lang: str = "en",
    seed: int = 0,
) -> Plan:
    """Returns the jobs of the study.

    Args:
        scale: `tiny` makes a random model on the spot and takes few pairs; `laptop` measures
            SmolLM2-135M on 40 rows and trains 20 kB; `paper` on 200 rows and 1 MB.
        to: The new language of all factors but the one of languages.
        model: Folder or name; SmolLM2-135M by default.
        languages: Codes that are compared, with commas; all bundled ones, or `to` with own files.
        only: Names of factors, with commas; all that there is data for by default.
        text: File of target text, instead of the bundled samples.
        pairs: File of pairs.
        second_lang: A second source language; Indonesian, or Dutch for Indonesian itself.
        second_pairs: File of pairs with it; the bundled rows of both languages by default.
        other_pairs: Pairs of another domain; the bundled declaration of human rights by default.
        dictionary: A TSV of words; by default the words that are linked most in all pairs.
        gold: A TSV of source tokens, target tokens and gold links, for alignment error rates.
        source_lang: The language of the model and the pairs.
        seed: Of every draw.
    """
    span, settings = RANGES[scale], SETTINGS[scale]
    target = Language.parse(to)
    bundled = text is None
    listed = languages or (to if not bundled else "nl,tr" if scale == "tiny" else LANGUAGES)
    codes = [Language.parse(code) for code in listed.split(",")]
    files = {str(lang): _bundled(scale) for lang in (target, *codes)} if bundled else {}
    if text is not None:
        files[str(target)] = LanguageFiles(
            text=[Path(text)],
            pairs=[Path(pairs)] if pairs else [],
            second_pairs=[Path(second_pairs)] if second_pairs else [],
        )
    other = Path(other_pairs) if other_pairs else None
    if other is None and target in samples.UDHR_LANGUAGES:
        other = samples.path("udhr.test.jsonl.xz")
    inputs = StudyInputs(
        model=None if scale == "tiny" and model is None else locate(model or MODEL),
        tiny=_tiny_models(scale),
        source_lang=Language.parse(source_lang),
        second_lang=Language.parse(second_lang or ("nl" if target == INDONESIAN else "id")),
        languages=files,
        other_pairs=other,
        dictionary=Path(dictionary) if dictionary else None,
        gold=Path(gold) if gold else None,
        vocab_size=500 if scale == "tiny" else VOCAB_SIZE,
        num_test={"tiny": 5, "laptop": 40, "paper": 200}[scale],
        num_probe=50 if scale == "tiny" else 500,
        seed=seed,
    )
    chosen = _factors(Condition(str(target), num_pairs=span.base), span, inputs, codes)
    names = only.split(",") if only else [name for name in chosen if _has_data(name, inputs, to)]
    if unknown := [name for name in names if name not in chosen]:
        raise InputError(
            expected=f"factors among {', '.join(chosen)}", got=", ".join(unknown), where="only"
        )
    return study_plan(inputs, [chosen[name]() for name in names], settings)


def _factors(
    base: Condition, span: factors.Range, inputs: StudyInputs, languages: Sequence[Language]
) -> dict[str, Callable[[], factors.Factor]]:
    """All factors by name; each is made when it is asked for, since some read files."""

    def domain() -> factors.Factor:
        pairs = read_pairs(
            inputs.other_pairs or "",
            source_lang=inputs.source_lang,
            target_lang=Language.parse(base.target_lang),
        )
        return factors.domain_factor(base, len(pairs))

    return {
        "controls": partial(factors.control_factor, base),
        "size": partial(factors.size_factor, base, span),
        "noise": partial(factors.noise_factor, base, span),
        "kind": partial(factors.kind_factor, base, span),
        "domain": domain,
        "sources": partial(factors.sources_factor, base, inputs.source_lang, inputs.second_lang),
        "cleaning": partial(factors.cleaning_factor, base),
        "language": partial(factors.language_factor, languages, span),
        "training": partial(factors.training_factor, base, span),
        "lasting": partial(factors.lasting_factor, base, span),
        "objective": partial(factors.objective_factor, base, span),
    }


def _has_data(name: str, inputs: StudyInputs, to: str) -> bool:
    """Whether a factor that needs more than text and pairs has it."""
    needed = {
        "sources": inputs.languages[str(Language.parse(to))].second_pairs,
        "domain": inputs.other_pairs,
    }
    return name not in needed or bool(needed[name])


def _bundled(scale: str) -> LanguageFiles:
    split = "valid" if scale == "tiny" else "train"
    held_out: dict[str, Any] = {}
    if scale != "tiny":
        held_out = {
            part: samples.path(f"libreoffice-help.{part}.jsonl.xz") for part in ("test", "valid")
        }
    train = samples.path(f"libreoffice-help.{split}.jsonl.xz")
    return LanguageFiles(text=[train], pairs=[train], second_pairs=[train], **held_out)


def _tiny_models(scale: str) -> TinyModels:
    if scale == "tiny":
        return TinyModels(
            text=samples.path("libreoffice-help.test.jsonl.xz"),
            vocab_size=500,
            width=32,
            num_layers=2,
            budget=None,
        )
    return TinyModels(
        text=samples.path("libreoffice-help.train.jsonl.xz"),
        vocab_size=4_000,
        width=128,
        num_layers=4,
        budget=Budget(num_bytes=2_000_000 if scale == "laptop" else 20_000_000),
    )
