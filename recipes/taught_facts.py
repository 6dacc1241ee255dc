"""Does a fact taught in one language come out in another? Invented facts, nothing to leak.

    lingraft plan recipes/taught_facts.py --scale laptop
    lingraft run recipes/taught_facts.py --scale laptop --set to=el --set parallel_share=0.5

People with made-up names and attributes are told of in one language, by continued pretraining
mixed with ordinary text of both; some of them in both languages, some in none. Then all is asked in
both languages. One target for each direction, with `record.json` (recall, transfer, unification by
layer, patches and lenses, before and after) and `questions.jsonl`, for `lingraft measure --facts`.
Languages: en, nl and el. Your own model: --set model=FOLDER.
"""

from dataclasses import replace
from pathlib import Path

from lingraft.corpus import samples
from lingraft.languages import Language
from lingraft.model.loading import locate
from lingraft.pipelines.demo import MODEL
from lingraft.pipelines.fact_measuring import FactSettings
from lingraft.pipelines.taught_facts import TeachingSettings, make_byte_model, teach_facts
from lingraft.study import File, Job, Plan, job

SCALES = ("tiny", "laptop", "paper")
SETTINGS = {
    "tiny": TeachingSettings(
        num_subjects=5,
        parallel_share=0.2,
        untaught_share=0.2,
        num_exposures=2,
        ordinary_bytes=1_000,
        batch_bytes=500,
        window_tokens=128,
        learning_rate=2e-3,
        facts=FactSettings(num_patched_facts=4, num_patched_layers=2, num_resamples=100),
    ),
    "laptop": TeachingSettings(
        num_subjects=40,
        parallel_share=0.25,
        untaught_share=0.15,
        num_exposures=16,
        ordinary_bytes=20_000,
        batch_bytes=2_000,
        window_tokens=256,
        learning_rate=2e-4,
        facts=FactSettings(num_patched_facts=20, num_patched_layers=5),
    ),
    "paper": TeachingSettings(
        num_subjects=500,
        parallel_share=0.25,
        untaught_share=0.1,
        num_exposures=32,
        ordinary_bytes=400_000,
        batch_bytes=16_000,
        window_tokens=512,
        learning_rate=2e-4,
        facts=FactSettings(num_patched_facts=200, num_patched_layers=31),
    ),
}
BYTE_SIZE = "1m"


def plan(
    scale: str,
    *,
    to: str = "nl",
    taught: str = "en",
    model: str | None = None,
    text: str | None = None,
    parallel_share: float | None = None,
    num_subjects: int | None = None,
    num_exposures: int | None = None,
    shared_names: bool = True,
    seed: int = 0,
) -> Plan:
    """Returns the jobs of the study, one for each direction.

    Args:
        scale: `tiny` takes a byte model with random weights and five subjects; `laptop`
            SmolLM2-135M and 40 subjects; `paper` 500 subjects, for a GPU and a model of your own.
        to: One language.
        taught: The other.
        model: Folder or name.
        text: File of ordinary text in both languages; the bundled software help by default.
        parallel_share: Share of the subjects that is told of in both languages.
        num_subjects: Invented people.
        num_exposures: How often each fact is told in a language.
        shared_names: Whether names have one spelling in all languages.
        seed: Of everything that is drawn.
    """
    given = {
        "parallel_share": parallel_share,
        "num_subjects": num_subjects,
        "num_exposures": num_exposures,
    }
    settings = replace(
        SETTINGS[scale],
        shared_names=shared_names,
        **{name: value for name, value in given.items() if value is not None},  # type: ignore[arg-type]
    )
    split = "valid" if scale == "tiny" else "train"
    ordinary = Path(text) if text else samples.path(f"libreoffice-help.{split}.jsonl.xz")
    start: File | Job = (
        job(make_byte_model, name="byte-model", size=BYTE_SIZE, seed=seed)
        if scale == "tiny" and model is None
        else File(locate(model or MODEL))
    )
    codes = [Language.parse(code).tag for code in (taught, to)]
    return Plan(
        {
            f"taught-{one}": job(
                teach_facts,
                name=f"taught-{one}",
                model=start,
                text=[File(ordinary)],
                taught_lang=one,
                asked_lang=other,
                settings=settings,
                seed=seed,
            )
            for one, other in (codes, codes[::-1])
        },
        name="taught-facts",
    )
