"""How many bytes of a target language was pretraining on a source worth? (arXiv 2404.08191)

    lingraft plan recipes/data_transfer.py --scale laptop
    lingraft run recipes/data_transfer.py --scale laptop --workers 2 --threads 1
    lingraft run recipes/data_transfer.py --scale tiny --set targets=el --set sources=en,shuffled

Byte models are pretrained on each source, trained on several sizes of each target, and compared
with models that start from random weights. Sources: languages, a target itself among them;
`en+nl:0.01`, English with 1 % of its lines in Dutch; `en/embeddings`, `en/attention`, `en/mlp`,
`en/layers:0-1`, with that part drawn anew before the target; `en/frozen:mlp` and the like, with
that part left as it is while the others are trained on the target; `shuffled` (characters), `words`
(form without content) and `enciphered` (content without form), made from the first language's
text; `code`, Python's library. The target `report` holds `losses.csv`, `record.json` and
`report.html`. `--set size=1m,4m` also fits how transfer grows with the model.
`--set tokenizer=bytes,bpe,bpe/flops` sets a BPE vocabulary beside bytes, on the same text and at
the same FLOPs. `--set hours=2` times the model on this machine and refuses what does not fit.
With text from a hub, which needs the package `datasets`: --set hub=fineweb-2 or --set hub=mc4.
With your own text: --set texts=FOLDER, which holds LANG.train.txt, LANG.valid.txt, LANG.test.txt
(or .jsonl) for every language.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from lingraft.corpus import read_pairs, samples
from lingraft.corpus.similarity import byte_premium
from lingraft.errors import InputError
from lingraft.languages import Language
from lingraft.measurement.data_transfer import Rule
from lingraft.pipelines.hubs import hub_subset
from lingraft.pipelines.transfer_arms import Arm
from lingraft.pipelines.transfer_checks import check_text
from lingraft.pipelines.transfer_inputs import HubText, Source, TextFiles, TransferInputs
from lingraft.pipelines.transfer_runs import PAPER_RUNS, TINY_RUNS, RunSettings
from lingraft.pipelines.transfer_study import transfer_plan
from lingraft.pipelines.transfer_texts import CONTROLS
from lingraft.pipelines.transfer_time import check_time
from lingraft.study import Bytes, Plan
from lingraft.training.best_loss import BestLossSettings
from lingraft.units import parse_bytes

SCALES = ("tiny", "laptop", "paper")
PAPER_SIZES = (6_000_000, 19_000_000, 60_000_000, 189_000_000, 600_000_000, 6_000_000_000)
SIZES = {
    "tiny": ((2_000, 4_000, 8_000), (0, 2_000)),
    "laptop": ((30_000, 100_000, 300_000, 1_000_000), (0, 30_000, 100_000)),
    # Pretrained weights at 6 GB too: whether pretraining hurts there is a question of its own.
    "paper": (PAPER_SIZES, (0, *PAPER_SIZES)),
}
SETTINGS = {
    "tiny": TINY_RUNS,
    "laptop": RunSettings(
        best_loss=BestLossSettings(
            evaluation_bytes=75_000, evaluations_per_epoch=2, patience=2, max_epochs=20
        )
    ),
    "paper": PAPER_RUNS,
}
MODELS = {"tiny": "1m", "laptop": "1m", "paper": "65m"}
SOURCE_BYTES = {"tiny": 8_000, "laptop": 850_000, "paper": 6_000_000_000}
SOURCE_EPOCHS = {"tiny": 1, "laptop": 3, "paper": 1}
MOST_SEEDED_BYTES = {"tiny": 8_000, "laptop": 300_000, "paper": 600_000_000}
HELD_OUT_BYTES = {"tiny": 1_000, "laptop": 15_000, "paper": 10_000_000}
SOURCES = {"tiny": "en", "laptop": "en,ru", "paper": "en,ru,zh"}
TARGETS = {"tiny": "nl", "laptop": "nl,tr,el,eu", "paper": "ar,de,en,es,fi,id,ja,ko,ru,zh"}
# Seeds of random weights first: every transfer is read off the from-scratch curve.
SCRATCH_SEEDS = {"tiny": 2, "laptop": 2, "paper": 3}
# Of the pages; the bundled Turkish text has 1 MB on the other side then.
SOURCE_SHARE = 0.35
ENGLISH = "eng_Latn"


def plan(
    scale: str,
    *,
    sources: str | None = None,
    targets: str | None = None,
    size: str | None = None,
    tokenizer: str = "bytes",
    texts: str | None = None,
    hub: str | None = None,
    scratch_sizes: str | None = None,
    finetuned_sizes: str | None = None,
    scratch_seeds: int | None = None,
    finetuned_seeds: int = 1,
    own_pretraining: bool = False,
    source_bytes: Bytes | None = None,
    rule: Rule = "log-log",
    equal: Literal["bytes", "content"] = "bytes",
    one_pass: bool = False,
    hours: float | None = None,
    workers: int = 1,
    seed: int = 0,
) -> Plan:
    """Returns the jobs of the study.

    Args:
        scale: `tiny` trains on a few kB; `laptop` on sizes up to 1 MB from random weights and 100
            kB from pretrained ones, some 117 MB in all: about two hours at 16 kB/s, two processes
            of a core each; `paper` has the paper's model and sizes, for GPUs.
        sources: What to pretrain on, with commas.
        targets: Codes of target languages, with commas.
        size: Of the model: 1m, 4m, 16m, 65m, 250m, 1b; several with commas.
        tokenizer: `bytes`; `bpe` or `bpe:4096`, a vocabulary of so many ids trained on the study's
            training text, each run to its best loss; `bpe/flops` or `bpe:4096/flops`, each run for
            the FLOPs of the run of bytes in its place; several with commas.
        texts: Folder of text; the bundled software help by default.
        hub: fineweb-2 or mc4, streamed, instead of a folder; `paper` takes the first by default.
        scratch_sizes: Bytes that random weights are trained on: 30kB,100kB,300kB.
        finetuned_sizes: Bytes that pretrained weights are trained on: 0,30kB,100kB.
        scratch_seeds: Runs from random weights for each target and size.
        finetuned_seeds: Runs from each pretrained model for each target and size. They draw other
            target text; the pretrained model and its text stay the same.
        own_pretraining: Whether each of those runs has a pretraining of its own, on other source
            text and from other random weights: so many times the pretraining, and then intervals
            hold for the source and not for one model of it.
        source_bytes: Text of a pretraining: 850kB.
        rule: How the from-scratch curve is read: log-log, power or linear; published is the
            paper's own with its defects, to compare with.
        equal: Whether sizes of target text for pretrained models are equal in `bytes`, or in
            `content`: multiplied by the target's byte premium.
        one_pass: Read text once, so that all sizes of a seed share a trunk; where text is plenty.
        hours: Refuse a study that takes longer, by three steps timed on this machine.
        workers: Processes of one thread that will run it, for `hours`.
        seed: Of texts, pretraining and intervals.
    """
    languages = [Language.parse(code) for code in (targets or TARGETS[scale]).split(",")]
    names = (sources or SOURCES[scale]).split(",")
    plain = [re.split("[+/]", name)[0] for name in names]
    first = Language.parse(next((name for name in plain if name not in CONTROLS), "en"))
    parsed = [Source.parse(name, first=first) for name in names]
    codes = [source.lang for source in parsed] + [str(lang) for lang in languages]
    codes += [source.injected_lang for source in parsed if source.injected_lang]
    wanted, finetuned = (
        own if given is None else tuple(map(parse_bytes, given.split(",")))
        for given, own in zip((scratch_sizes, finetuned_sizes), SIZES[scale], strict=True)
    )
    pretraining_bytes = SOURCE_BYTES[scale] if source_bytes is None else source_bytes
    sizes = (size or MODELS[scale]).split(",")
    arms = [Arm.parse(name) for name in tokenizer.split(",")]
    if texts is None and scale == "paper":
        hub = hub or "fineweb-2"
    is_bundled = texts is None and hub is None
    fetched_bytes = _most_bytes(wanted[-1], pretraining_bytes)
    bundled = samples.path("libreoffice-help.valid.jsonl.xz")
    inputs = TransferInputs(
        sources=parsed,
        targets=[str(lang) for lang in languages],
        texts={
            code: HubText(*hub_subset(hub, Language.parse(code)), fetched_bytes)
            if hub
            else _files(code, texts)
            for code in dict.fromkeys(codes)
        },
        pairs={str(lang): bundled for lang in languages if is_bundled and lang != samples.ENGLISH},
        reference_lang=ENGLISH,
        size=sizes[0],
        scratch_sizes=wanted,
        finetuned_sizes=finetuned,
        source_bytes=pretraining_bytes,
        source_epochs=SOURCE_EPOCHS[scale],
        source_share=SOURCE_SHARE,
        held_out_bytes=HELD_OUT_BYTES[scale],
        scratch_seeds=range(SCRATCH_SEEDS[scale] if scratch_seeds is None else scratch_seeds),
        most_seeded_bytes=MOST_SEEDED_BYTES[scale],
        finetuned_seeds=range(finetuned_seeds),
        rule=rule,
        one_pass=one_pass,
        own_pretraining=own_pretraining,
        content_factors=_premiums(languages, equal, bundled if is_bundled else None, seed),
        scale=scale,
        seed=seed,
    )
    made = transfer_plan(inputs, SETTINGS[scale], sizes=sizes, arms=arms)
    # The scales' own amounts fit the bundled text; others are not worth the reading.
    if texts or scratch_sizes or finetuned_sizes or source_bytes:
        check_text(inputs)
    if hours is not None:
        check_time(made, sizes, SETTINGS[scale], hours=hours, workers=workers)
    return made


def _most_bytes(target_bytes: int, source_bytes: int) -> int:
    """Text to fetch of a language, so that each side's share is enough, and some to spare."""
    return round(1.05 * max(target_bytes / (1 - SOURCE_SHARE), source_bytes / SOURCE_SHARE))


def _premiums(
    languages: Sequence[Language], equal: str, pairs: Path | None, seed: int
) -> dict[str, float]:
    """Byte premiums of the targets, where sizes are to be equal in content."""
    if equal == "bytes":
        return {}
    if pairs is None:
        raise InputError(
            expected="bytes, or content with the bundled, translated text",
            got=f"{equal} with other text",
            where="equal",
        )
    found = {}
    for lang in languages:
        if lang != samples.ENGLISH:
            parallel = read_pairs(pairs, source_lang=samples.ENGLISH, target_lang=lang)
            value = byte_premium(parallel, text=pairs.name, seed=seed).value
            found[str(lang)] = 1.0 if value is None else value
    return found


def _files(code: str, texts: str | None) -> TextFiles:
    if texts is None:
        lang = Language.parse(code)
        if lang not in (samples.ENGLISH, *samples.LANGUAGES):
            raise InputError(
                expected=f"one of en, {', '.join(str(x.iso639_1) for x in samples.LANGUAGES)}",
                got=code,
                where="languages of the bundled text",
                hint="bring your own text with --set texts=FOLDER",
            )
        parts = [samples.path(f"libreoffice-help.{p}.jsonl.xz") for p in samples.SPLITS]
    else:
        parts = [_found(Path(texts), code, part) for part in samples.SPLITS]
    train, valid, test = parts
    return TextFiles([train], valid, test)


def _found(folder: Path, code: str, part: str) -> Path:
    """The file of a part, under the language's long or short code."""
    lang = Language.parse(code)
    names = [f"{tag}.{part}" for tag in (code, lang.iso639_3, lang.iso639_1) if tag]
    for path in sorted(folder.glob(f"*.{part}.*")):
        if any(path.name.startswith(f"{name}.") for name in names):
            return path
    raise InputError(
        expected=f"a file {names[0]}.jsonl or {names[-1]}.txt", got="none", where=str(folder)
    )
