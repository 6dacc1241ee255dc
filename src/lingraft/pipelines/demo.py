"""The demo: a real English model learns to write another language in a few minutes."""

from pathlib import Path

from lingraft.corpus import samples
from lingraft.errors import InputError
from lingraft.languages import Language
from lingraft.pipelines.adapt import Adaptation, check_out, run_adaptation
from lingraft.pipelines.planning import AdaptationInputs, adaptation_plan
from lingraft.pipelines.settings import ArmSettings, default_settings
from lingraft.pipelines.weighing import WeighSettings
from lingraft.runtime import Runtime
from lingraft.study import Progress
from lingraft.units import Budget

MODEL = "smollm2-135m"
VOCAB_SIZE = 8_000
BUDGET_BYTES = 18_000
# From random weights: half an hour on two cores, so only on demand.
WEIGH_SIZES = (18_000, 54_000, 162_000)


def demo_inputs(to: str | Language) -> AdaptationInputs:
    """Returns the bundled model, text and pairs for one of the demo's languages.

    Raises:
        InputError: There is no bundled text in that language.
    """
    lang = to if isinstance(to, Language) else Language.parse(to)
    if lang not in samples.LANGUAGES:
        raise InputError(
            expected=f"one of {', '.join(known.tag for known in samples.LANGUAGES)}",
            got=str(to),
            where="--to",
            hint="for other languages: lingraft adapt MODEL --to LANG --text FILE --pairs FILE",
        )
    train = samples.path("libreoffice-help.train.jsonl.xz")
    return AdaptationInputs(
        model=MODEL,
        text=[train],
        pairs=[[train]],
        source_lang=samples.ENGLISH,
        target_lang=lang,
        test=samples.path("libreoffice-help.test.jsonl.xz"),
        valid=samples.path("libreoffice-help.valid.jsonl.xz"),
    )


def demo_settings() -> ArmSettings:
    """Returns the demo's settings: small enough for six minutes on two cores."""
    return default_settings(Budget(num_bytes=BUDGET_BYTES))


def demo(
    to: str | Language = "el",
    *,
    out: str | Path = "lingraft-demo",
    weigh: bool = False,
    runtime: Runtime | None = None,
    progress: Progress | None = None,
) -> Adaptation:
    """Adapts SmolLM2-135M to a bundled language and returns the numbers.

    Args:
        to: One of `samples.LANGUAGES`.
        out: Folder of the adapted model and the report.
        weigh: Whether to say what the graft was worth in bytes; takes half an hour more.
        runtime: Threads and device.
        progress: Where to report to.
    """
    inputs = demo_inputs(to)
    check_out(Path(out))
    plan = adaptation_plan(
        inputs,
        demo_settings(),
        vocab_size=VOCAB_SIZE,
        weigh=WeighSettings(WEIGH_SIZES) if weigh else None,
    )
    return run_adaptation(
        plan, inputs, out=Path(out), runtime=runtime or Runtime(), progress=progress
    )
