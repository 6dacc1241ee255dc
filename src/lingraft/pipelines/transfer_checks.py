"""What no study of data transfer can be made of, refused before its first job."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import torch
from transformers import LlamaForCausalLM

from lingraft.corpus import read_documents
from lingraft.corpus.streams import COMPRESSIONS
from lingraft.errors import InputError
from lingraft.languages import Language
from lingraft.model.byte_lm import byte_config
from lingraft.model.parts import names_of_part
from lingraft.pipelines.transfer_arms import Arm
from lingraft.pipelines.transfer_inputs import Source, TextFiles, TransferInputs
from lingraft.tokenizer import byte_tokenizer

MIN_SIZES = 3


def check_inputs(
    inputs: TransferInputs, *, sizes: Sequence[str], arms: Sequence[Arm], batch_bytes: int
) -> None:
    """Refuses what jobs would fail on, some of them hours later.

    Args:
        inputs: What is compared.
        sizes: Of the models.
        arms: What text is cut into.
        batch_bytes: Text of one optimiser step, which a size of a shared trunk has to hold.

    Raises:
        InputError: Amounts that do not rise, no seeds, names twice, a part that a model lacks, or
            an arm that cannot be.
    """
    lowest = batch_bytes if inputs.one_pass else 1
    # Runs that share a trunk leave out the model as it is.
    finetuned = [size for size in inputs.finetuned_sizes if size or not inputs.one_pass]
    _check_rising(inputs.scratch_sizes, MIN_SIZES, lowest, "scratch_sizes")
    _check_rising(finetuned, 1, lowest if inputs.one_pass else 0, "finetuned_sizes")
    amounts = {
        "source_bytes": inputs.source_bytes,
        "scratch_seeds": len(inputs.scratch_seeds),
        "finetuned_seeds": len(inputs.finetuned_seeds),
    }
    for where, amount in amounts.items():
        if amount < 1:
            raise InputError(expected="at least 1", got=str(amount), where=where)
    names = {"sources": [source.name for source in inputs.sources], "targets": inputs.targets}
    for where, given in names.items():
        twice = [name for number, name in enumerate(given) if name in given[:number]]
        if twice or not given:
            raise InputError(
                expected="one or more, each once",
                got=f"{twice[0]} twice" if twice else "none",
                where=where,
            )
    _check_parts(inputs.sources, sizes)
    _check_arms(arms, one_pass=inputs.one_pass)


def check_text(inputs: TransferInputs) -> None:
    """Refuses amounts of text that a language has not, as far as its files tell.

    A language's pages are parted between sources and targets, and held-out text is taken from
    them: what fits here may still be more than its side has, which the first run on it tells.

    Args:
        inputs: What is compared; text of a hub is fetched in the amount that is needed.

    Raises:
        InputError: More bytes of a language are asked for than its files hold.
    """
    asked = [
        (source.lang, inputs.source_bytes, "source_bytes")
        for source in inputs.sources
        if source.control != "code"
    ]
    for code in inputs.targets:
        factor = inputs.content_factors.get(code, 1.0)
        asked.append((code, max(inputs.scratch_sizes), "scratch_sizes"))
        asked.append((code, round(max(inputs.finetuned_sizes) * factor), "finetuned_sizes"))
    there = {
        code: _most_bytes(files.train, Language.parse(code))
        for code, files in inputs.texts.items()
        if isinstance(files, TextFiles)
    }
    for code, num_bytes, where in asked:
        if num_bytes > there.get(code, num_bytes):
            raise InputError(
                expected=f"at most {there[code]} bytes, all that {code} has for either side",
                got=f"{num_bytes} bytes",
                where=where,
                hint="ask for less, or bring more text",
            )


def _check_rising(sizes: Sequence[int], min_num: int, lowest: int, where: str) -> None:
    rising = all(a < b for a, b in pairwise(sizes))
    if len(sizes) < min_num or not rising or sizes[0] < lowest:
        raise InputError(
            expected=f"{min_num} or more sizes in bytes, rising, from {lowest} on",
            got=", ".join(map(str, sizes)) or "none",
            where=where,
        )


def _check_parts(sources: Sequence[Source], sizes: Sequence[str]) -> None:
    parts = {part for source in sources for part in (source.reset, source.frozen)} - {None}
    for size in sizes if parts else ():
        with torch.device("meta"):
            model = LlamaForCausalLM(byte_config(size))
        for part in sorted(filter(None, parts)):
            names_of_part((name for name, _ in model.named_parameters()), part)


def _check_arms(arms: Sequence[Arm], *, one_pass: bool) -> None:
    names = ", ".join(arm.name for arm in arms)
    if one_pass and any(arm.equal == "flops" for arm in arms):
        raise InputError(
            expected="arms at equal bytes, where text is read once",
            got=names,
            where="tokenizer",
            hint="leave out one_pass, or the arms that end in /flops",
        )
    smallest = len(byte_tokenizer())
    if any(arm.vocab_size is not None and arm.vocab_size < smallest for arm in arms):
        raise InputError(
            expected=f"at least {smallest} ids, of the bytes and special tokens",
            got=names,
            where="tokenizer",
        )


def _most_bytes(paths: Sequence[Path], lang: Language) -> int:
    """Of the text in files: those of a plain file are more than its text, and cost no reading."""
    if any(path.suffix.lower() in COMPRESSIONS for path in paths):
        return read_documents(list(paths), lang=lang).num_bytes
    return sum(path.stat().st_size for path in paths)
