"""The demo: a real English model learns to write another language in a few minutes."""

from pathlib import Path
from typing import Literal

from lingraft.corpus import samples
from lingraft.errors import InputError
from lingraft.languages import Language
from lingraft.pipelines.adapt import Adaptation, check_out, run_adaptation
from lingraft.pipelines.planning import AdaptationInputs, adaptation_plan
from lingraft.pipelines.settings import ArmSettings, default_settings
from lingraft.pipelines.weighing import WeighSettings
from lingraft.runtime import Runtime
from lingraft.study import Progress
from lingraft.training.best_loss import BestLossSettings
from lingraft.units import Budget

MODEL = "smollm2-135m"
VOCAB_SIZE = 8_000
BUDGET_BYTES = 18_000
Weighing = Literal["short", "long", "no"]
# Two minutes: text is read once, as the graft reads its own, so that D_T is mostly a bound.
SHORT_WEIGHING = WeighSettings(
    (9_000, 18_000, 36_000),
    learning_rates=(1e-3,),
    best_loss=BestLossSettings(
        evaluation_bytes=9_000, evaluations_per_epoch=1, patience=1, max_epochs=1
    ),
    num_valid_rows=4,
    num_seeds=2,
)
# Every run to its best, and every size at each rate: at most 6 MB of training, most of an hour on
# two cores.
LONG_WEIGHING = WeighSettings((18_000, 54_000, 162_000))


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
    """Returns the demo's settings: small enough for minutes on two cores."""
    return default_settings(Budget(num_bytes=BUDGET_BYTES))


def demo(
    to: str | Language = "el",
    *,
    out: str | Path = "lingraft-demo",
    weigh: Weighing = "short",
    runtime: Runtime | None = None,
    progress: Progress | None = None,
) -> Adaptation:
    """Adapts SmolLM2-135M to a bundled language and returns the numbers.

    Args:
        to: One of `samples.LANGUAGES`.
        out: Folder of the adapted model and the report.
        weigh: How to say what the graft was worth in bytes: ``"short"``, with each size of text
            read once; ``"long"``, each run to its best, which takes most of an hour more; ``"no"``.
        runtime: Threads and device.
        progress: Where to report to.
    """
    inputs = demo_inputs(to)
    check_out(Path(out))
    plan = adaptation_plan(
        inputs,
        demo_settings(),
        vocab_size=VOCAB_SIZE,
        weigh={"short": SHORT_WEIGHING, "long": LONG_WEIGHING, "no": None}[weigh],
    )
    return run_adaptation(
        plan, inputs, out=Path(out), runtime=runtime or Runtime(), progress=progress
    )
